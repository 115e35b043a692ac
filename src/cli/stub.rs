//! `indir stub`: stubs of libraries, ABI texts and whole folders.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::abi::diff::Change;
use crate::abi::{Abi, Finder, floor};
use crate::exit::Refused;
use crate::stub;
use crate::stub::tree::{Options, Tree};

use super::abi::{Search, load, load_for};

/// Write linkable stubs that are a function of a library's ABI alone.
#[derive(Debug, clap::Args)]
// By name, each of them, when none is given.
#[group(id = "from", required = true, multiple = true, args = ["libraries", "tree", "include"])]
#[command(after_help = "Examples:
  indir stub /lib/x86_64-linux-gnu/libz.so.1 -o stubs/libz.so
  indir stub --tree glibc/lib --tree glibc-dev/lib -o stubs --floor-dir floors
  indir stub --include glibc-dev/include -o headers")]
pub struct Args {
    /// Libraries, or ABI texts.
    #[arg(value_name = "LIB", conflicts_with_all = ["tree", "include"])]
    libraries: Vec<PathBuf>,
    /// Whole development folder: shared libraries, symlinks, linker scripts,
    /// crt objects; may be repeated, all go into one OUT.
    #[arg(long, value_name = "DIR")]
    tree: Vec<PathBuf>,
    /// A folder of headers, written to OUT without comments, blank lines and
    /// runs of white space.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["tree", "floor"])]
    include: Option<PathBuf>,
    /// With --include: keep comments, or lines of them, that have this text, beside those
    /// that tools are known to read.
    #[arg(
        long,
        value_name = "TEXT",
        requires = "include",
        conflicts_with_all = ["libraries", "tree"],
        value_parser = clap::builder::NonEmptyStringValueParser::new()
    )]
    keep_comments: Vec<String>,
    /// With --tree: floors, each named like its library or soname plus `.abi`.
    #[arg(long, value_name = "D", requires = "tree")]
    floor_dir: Option<PathBuf>,
    /// With --tree: keep static archives that duplicate a shared library.
    #[arg(long, requires = "tree")]
    archives: bool,
    /// The stub; a folder if it is one, ends in `/`, or several LIBs are given.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Cut the stub from this ABI text, after checking that LIB satisfies it.
    #[arg(long, value_name = "F.abi")]
    floor: Option<PathBuf>,
    #[command(flatten)]
    search: Search,
}

/// Runs `indir stub`.
///
/// # Errors
/// When a library cannot be read or a stub cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::interrupt::watch();
    if !args.tree.is_empty() {
        return tree(args);
    }
    if let Some(folder) = &args.include {
        let left_out = stub::include::write(folder, &args.output, &args.keep_comments)
            .with_context(|| format!("cannot write the headers of {}", folder.display()))?;
        warn_left_out(&left_out);
        return Ok(ExitCode::from(crate::exit::DONE));
    }
    let finder = args.search.finder()?;
    let named_folder = args.output.as_os_str().as_encoded_bytes().ends_with(b"/");
    let folder = args.libraries.len() > 1 || named_folder || args.output.is_dir();
    if folder {
        fs_err::create_dir_all(&args.output)?;
    }
    if args.floor.is_some() && args.libraries.len() > 1 {
        bail!("--floor is for one library; use --tree with --floor-dir for a folder");
    }
    for library in &args.libraries {
        crate::interrupt::check()?;
        let abi = match &args.floor {
            Some(floor) => on_floor(library, floor, &finder)?,
            None => load(library, &finder)?.abi,
        };
        let bytes = stub::stub(&abi).with_context(|| library.display().to_string())?;
        let output = if folder {
            let name = match library.extension() {
                Some(extension) if extension == "abi" => library.file_stem(),
                _ => library.file_name(),
            };
            let Some(name) = name else {
                bail!(
                    "{}: has no file name to call the stub by",
                    library.display()
                );
            };
            args.output.join(name)
        } else {
            args.output.clone()
        };
        write(&output, &bytes)?;
    }
    Ok(ExitCode::from(crate::exit::DONE))
}

/// The floor at `path`, if the library satisfies it.
fn on_floor(library: &Path, path: &Path, finder: &Finder) -> anyhow::Result<Abi> {
    let floor = load(path, finder)?.abi;
    let abi = load_for(library, finder, &floor)?.abi;
    let lost = floor::check(&floor, &abi);
    if lost.is_empty() {
        return Ok(floor);
    }
    list(&lost);
    let count = lost.len();
    Err(Refused(format!(
        "{} does not satisfy the floor {} ({count} listed above); if that is wanted, dependents \
         must be rebuilt: make a new floor with `indir abi floor`",
        library.display(),
        path.display(),
    ))
    .into())
}

/// Prints why a floor is not satisfied.
fn list(lost: &[Change]) {
    for change in lost {
        let gap = if change.detail.is_empty() { "" } else { ": " };
        let (subject, detail, rule) = (&change.subject, &change.detail, change.rule.code());
        crate::say::err!("  {subject}{gap}{detail} [{rule}]");
    }
}

/// Names what is in a folder and for no compiler and no linker.
fn warn_left_out(list: &[(PathBuf, String)]) {
    for (path, why) in list {
        crate::say::err!("warning: {}: left out: {why}", path.display());
    }
}

fn tree(args: Args) -> anyhow::Result<ExitCode> {
    // What the tree itself holds comes before the system's libraries.
    let mut finder = args.search.finder()?;
    finder.folders.extend(args.tree.iter().cloned());
    let names = args
        .tree
        .iter()
        .map(|folder| format!("`{}`", folder.display()));
    let named = match args.tree.len() {
        1 => format!("the tree {}", names.collect::<String>()),
        _ => format!("the trees {}", names.collect::<Vec<_>>().join(", ")),
    };
    let options = Options {
        folders: args.tree,
        floors: args.floor_dir,
        archives: args.archives,
        finder,
    };
    // Draws nothing unless stderr is a terminal.
    let bar = indicatif::ProgressBar::new(0).with_style(
        indicatif::ProgressStyle::with_template("{bar:40} {pos}/{len} files")
            .unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()),
    );
    let tree = Tree::read(&options, &|done, total| {
        bar.set_length(total);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    crate::interrupt::check()?;
    let tree = tree.with_context(|| format!("cannot read {named}"))?;
    warn_left_out(&tree.left_out);
    for (path, why) in &tree.kept {
        crate::say::err!("warning: {}: kept as it is: {why}", path.display());
    }
    for (path, why) in &tree.failed {
        crate::say::err!("  {}: {why}", path.display());
    }
    for (path, lost) in &tree.refused {
        crate::say::err!("  {} does not satisfy its floor:", path.display());
        list(lost);
    }
    if !tree.refused.is_empty() {
        let count = tree.refused.len();
        return Err(Refused(format!(
            "{named}: {count} libraries do not satisfy their floors, listed above; nothing is written"
        ))
        .into());
    }
    if !tree.failed.is_empty() {
        bail!(
            "{named}: {} files cannot be used, listed above; nothing is written",
            tree.failed.len()
        );
    }
    let output = &args.output;
    tree.write(output)
        .with_context(|| format!("cannot write `{}`, the stubs of {named}", output.display()))?;
    Ok(ExitCode::from(crate::exit::DONE))
}

/// Replaces `path` by `bytes` in one step.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    stub::replace(path, bytes, 0o644).with_context(|| format!("cannot write {}", path.display()))
}
