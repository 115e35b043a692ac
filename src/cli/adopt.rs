//! `indir adopt`: make prebuilt executables indirect, or undo that.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::adopt::{self, Adopted, Target, Undone};
use crate::exit::{self, Refused};
use crate::place;
use crate::shell::quoted;
use crate::update::{Kind, Options};

/// Make prebuilt executables indirect
#[derive(Debug, clap::Args)]
// By name, each of them, when none is given.
#[group(id = "where", required = true, multiple = true, args = ["output", "in_place", "undo"])]
#[command(after_help = "\
Examples:
  indir adopt -o ./ffmpeg /usr/bin/ffmpeg
  indir adopt --in-place --lib-dir /opt/glibc/lib /srv/programs/bin/*
  indir adopt --undo /srv/programs/bin/*

--undo needs the `.indir` folder and the very bytes that were written; after
`strip` or `patchelf` it refuses. The program's own RPATH keeps being searched. A file that checks its own bytes
(a signature, a checksum) will notice the change.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 refused, because the
libraries do not satisfy at least one of the executables. What failed or was
refused stays as it was.")]
pub struct Args {
    /// Dynamically linked executables
    #[arg(required = true, value_name = "EXE")]
    exes: Vec<PathBuf>,
    /// Search this folder for libraries before all others
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    #[command(flatten)]
    plugins: super::update::Plugins,
    /// Write the result there: a file, or a folder that exists
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the executables; mode, owner, time and capabilities stay
    #[arg(long, conflicts_with = "output")]
    in_place: bool,
    /// Give executables the bytes back that they had before they were adopted
    #[arg(long, conflicts_with_all = ["lib_dirs", "shim", "places"])]
    undo: bool,
    /// The shim to refer to [default: that of the prefix of this executable]
    #[arg(long = "indir-shim", value_name = "PATH")]
    shim: Option<PathBuf>,
    /// A further place where a table is looked for, such as /srv/tables/$ID: an
    /// absolute path in which `$ID` stands for the id of the executable
    #[arg(long = "indir-table", value_name = "REF")]
    places: Vec<OsString>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the command line asks for what cannot be done; what happens to single
/// executables is printed and decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let to_folder = args.output.as_deref().is_some_and(Path::is_dir);
    if args.exes.len() > 1 && args.output.is_some() && !to_folder {
        bail!("`-o` with several executables must be a folder that exists");
    }
    check_output(&args)?;
    let targets: Vec<Target> = args
        .exes
        .iter()
        .map(|exe| match &args.output {
            None => Target::InPlace,
            Some(folder) if to_folder => {
                Target::Copy(folder.join(exe.file_name().unwrap_or_default()))
            }
            Some(file) => Target::Copy(file.clone()),
        })
        .collect();
    if args.undo {
        return Ok(undo(&args.exes, &targets));
    }
    let shim = match &args.shim {
        Some(path) => std::path::absolute(path)
            .and_then(|path| std::fs::metadata(&path).map(|_| path))
            .with_context(|| format!("`--indir-shim {}`", path.display()))?,
        None => adopt::own_shim()?,
    };
    let mut lib_dirs = Vec::with_capacity(args.lib_dirs.len());
    for folder in &args.lib_dirs {
        lib_dirs.push(super::update::absolute(folder)?);
    }
    let mut options = Options {
        kind: Kind::Auto,
        lib_dirs: (!lib_dirs.is_empty()).then_some(lib_dirs),
        ..Options::default()
    };
    args.plugins.apply(&mut options)?;
    let places = places(&args.places)?;
    let mut code = exit::DONE;
    for (exe, target) in args.exes.iter().zip(&targets) {
        match adopt::adopt_file(exe, target, &shim, &places, &options) {
            Ok(Adopted::Now { headers_moved }) => {
                if headers_moved {
                    crate::say::err!(
                        "warning: `{}`: its program headers moved, which `strip` and `objcopy` do not expect: strip the original, not the result",
                        exe.display()
                    );
                }
            }
            Ok(Adopted::Already) => {
                let done = match target {
                    Target::InPlace => "its table was updated",
                    Target::Copy(_) => "the copy has a table of its own",
                };
                crate::say::err!("`{}` is indirect already; {done}", exe.display());
            }
            Err(error) => code = code.max(failed(exe, &error)),
        }
    }
    Ok(ExitCode::from(code))
}

/// Refuses what `-o` cannot mean.
fn check_output(args: &Args) -> anyhow::Result<()> {
    let Some(output) = &args.output else {
        return Ok(());
    };
    if output.as_os_str().as_encoded_bytes().ends_with(b"/") && !output.is_dir() {
        bail!(
            "`-o {}`: there is no such folder (run `mkdir -p {}`)",
            output.display(),
            quoted(output)
        );
    }
    let mut seen = HashSet::new();
    for exe in &args.exes {
        let name = exe.file_name().unwrap_or_default();
        let out = if output.is_dir() {
            if !seen.insert(name) {
                bail!(
                    "`-o {}`: several of the executables are called `{}`: give them folders of their own",
                    output.display(),
                    Path::new(name).display()
                );
            }
            output.join(name)
        } else {
            output.clone()
        };
        let same = |(a, b): (std::fs::Metadata, std::fs::Metadata)| {
            (a.dev(), a.ino()) == (b.dev(), b.ino())
        };
        if std::fs::metadata(exe)
            .ok()
            .zip(std::fs::metadata(&out).ok())
            .is_some_and(same)
        {
            bail!(
                "`-o {}` is `{}` itself: to replace it, give `--in-place`",
                output.display(),
                exe.display()
            );
        }
    }
    Ok(())
}

/// What `--indir-table` gave.
///
/// # Errors
/// When one of them is no place.
pub(super) fn places(given: &[OsString]) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = given.iter().map(|place| place.as_encoded_bytes().to_vec());
    let places: Vec<Vec<u8>> = bytes.collect();
    for place in &places {
        place::check_reference(place).context("`--indir-table`")?;
    }
    Ok(places)
}

/// Undoes adoptions; tables that are of no use any more go, too.
fn undo(exes: &[PathBuf], targets: &[Target]) -> ExitCode {
    let mut code = exit::DONE;
    let mut tables = Vec::new();
    for (exe, target) in exes.iter().zip(targets) {
        match adopt::undo_file(exe, target) {
            Ok(Undone::Now(table)) => {
                if *target == Target::InPlace {
                    tables.push(table);
                }
            }
            Ok(Undone::NotIndirect) => {
                crate::say::err!(
                    "`{}` is not indirect: there is nothing to undo",
                    exe.display()
                );
            }
            Err(error) => code = code.max(failed(exe, &error)),
        }
    }
    for (file, error) in place::forget(&tables) {
        crate::say::err!("indir: failed to remove `{}`: {error}", file.display());
        code = exit::FAILED;
    }
    ExitCode::from(code)
}

/// Prints why it failed; returns the exit code for it.
fn failed(exe: &Path, error: &anyhow::Error) -> u8 {
    crate::say::err!("indir: `{}`: {}", exe.display(), crate::say::reason(error));
    if error.chain().any(|cause| cause.is::<Refused>()) {
        exit::REFUSED
    } else {
        exit::FAILED
    }
}
