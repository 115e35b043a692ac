//! `indir adopt`: make prebuilt executables indirect, or undo that.

mod entry;
mod print;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use rayon::prelude::*;

use entry::{Entry, State};

use crate::adopt::{self, Adopted, Shims, Skipped, Target, Undone};
use crate::elf::Root;
use crate::exit::{self, Refused};
use crate::interrupt::Interrupted;
use crate::place;
use crate::resolve::Store;
use crate::shell::quoted;
use crate::update::{self, Kind, Options};

/// Make prebuilt executables indirect
#[derive(Debug, clap::Args)]
// By name, each of them, when none is given.
#[group(id = "where", required = true, multiple = true, args = ["output", "in_place", "undo"])]
#[command(after_help = "\
Examples:
  indir adopt -o ./ffmpeg /usr/bin/ffmpeg
  indir adopt --in-place --lib-dir /opt/glibc/lib /srv/programs
  indir adopt --undo /srv/programs

A folder means every program in it and below that glibc's ld.so starts; scripts,
static programs, libraries and programs of other C libraries in it are counted and
stay as they are. With -o, OUT gets the same folders.

--undo needs the `.indir` folder and the very bytes that were written; after
`strip` or `patchelf` it refuses. The program's own RPATH keeps being searched. A file that checks its own bytes
(a signature, a checksum) will notice the change.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 refused, because the
libraries do not satisfy at least one of the executables. What failed or was
refused stays as it was. Ctrl-C ends it when what was begun is done.")]
pub struct Args {
    /// Dynamically linked executables, or folders of which every one is meant
    #[arg(required = true, value_name = "EXE", value_hint = clap::ValueHint::AnyPath)]
    exes: Vec<PathBuf>,
    /// Search this folder for libraries before all others
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    #[command(flatten)]
    plugins: super::update::Plugins,
    /// The paths of programs and tables are those of the system in this folder
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Write the result there: a file, or a folder that exists
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Replace the executables; mode, owner, time and capabilities stay
    #[arg(long, conflicts_with = "output")]
    in_place: bool,
    /// Give executables the bytes back that they had before they were adopted
    #[arg(long, conflicts_with_all = ["lib_dirs", "shim", "places", "sysroot"])]
    undo: bool,
    /// The shim to refer to [default: that of the prefix of this executable]
    #[arg(long = "indir-shim", value_name = "PATH")]
    shim: Option<PathBuf>,
    /// A further place where a table is looked for, such as /srv/tables/$ID: an
    /// absolute path in which `$ID` stands for the id of the executable
    #[arg(long = "indir-table", value_name = "REF")]
    places: Vec<OsString>,
    /// Name every program and what its table says, and what is left as it is
    #[arg(short, long, conflicts_with_all = ["json", "quiet", "undo"])]
    verbose: bool,
    /// Say nothing but what was refused or failed
    #[arg(short, long, conflicts_with_all = ["json", "undo"])]
    quiet: bool,
    /// Say what would become of which program, write nothing
    #[arg(long, conflicts_with = "undo")]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "undo")]
    json: bool,
    /// Number of threads [default: one a processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
}

/// What the paths mean.
#[derive(Debug, Default)]
struct Meant {
    /// Each program, and where it lies below the folder that was given.
    programs: Vec<(PathBuf, PathBuf)>,
    /// Those that were found in a folder, by paths without links.
    found: HashSet<PathBuf>,
    skipped: BTreeMap<PathBuf, Skipped>,
    failures: Vec<(PathBuf, String)>,
    has_folder: bool,
}

impl Meant {
    /// By `paths`; with `undo` a folder means what is indirect. What is changed
    /// `in_place` is meant once, however many paths lead to it.
    fn by(root: &Root, paths: &[PathBuf], undo: bool, in_place: bool) -> Self {
        let mut meant = Self::default();
        let mut seen = HashSet::new();
        let mut is_new = |file: &Path| match file.canonicalize() {
            Ok(real) if in_place => seen.insert(real),
            _ => true,
        };
        for path in paths {
            let name = |path: &Path| PathBuf::from(path.file_name().unwrap_or_default());
            if !path.is_dir() {
                if is_new(path) {
                    meant.programs.push((path.clone(), name(path)));
                }
                continue;
            }
            meant.has_folder = true;
            // What is found in it is named without links.
            let path = &path.canonicalize().unwrap_or_else(|_| path.clone());
            let found = match undo {
                true => {
                    let found = place::collect(std::slice::from_ref(path));
                    meant.failures.extend(found.failures);
                    found.executables
                }
                false => {
                    let found = adopt::in_folder(root, path);
                    meant.failures.extend(found.failures);
                    meant.skipped.extend(found.skipped);
                    found.executables
                }
            };
            let below = |file: &PathBuf| file.strip_prefix(path).map(Path::to_owned);
            let found = found.into_iter().filter(|file| is_new(file));
            let found: Vec<PathBuf> = found.collect();
            meant.found.extend(found.iter().cloned());
            let placed = found.into_iter().map(|file| {
                let rest = below(&file).unwrap_or_else(|_| name(&file));
                (file, rest)
            });
            meant.programs.extend(placed);
        }
        meant
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When the command line asks for what cannot be done; what happens to single
/// executables is printed and decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::interrupt::watch();
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(jobs) = args.jobs {
        pool = pool.num_threads(jobs.get());
    }
    let pool = pool.build().context("failed to start threads")?;
    let root = super::given::root(args.sysroot.as_deref())?;
    let mut meant = pool.install(|| Meant::by(&root, &args.exes, args.undo, args.output.is_none()));
    let to_folder = args.output.as_deref().is_some_and(Path::is_dir);
    if let Some(output) = args.output.as_ref().filter(|_| !to_folder)
        && (args.exes.len() > 1 || meant.has_folder)
    {
        let output = quoted(output);
        bail!(
            "`-o {output}` must be a folder that exists, since there are several executables (run `mkdir -p {output}`)"
        );
    }
    check_output(args.output.as_deref(), &meant.programs)?;
    let programs = std::mem::take(&mut meant.programs);
    let programs: Vec<(PathBuf, Target)> = programs
        .into_iter()
        .map(|(exe, below)| match &args.output {
            None => (exe, Target::InPlace),
            Some(folder) if to_folder => (exe, Target::Copy(folder.join(below))),
            Some(file) => (exe, Target::Copy(file.clone())),
        })
        .collect();
    if args.undo {
        return Ok(undo(&programs, &meant.failures));
    }
    let shims = match &args.shim {
        Some(path) => std::path::absolute(path)
            .and_then(|path| std::fs::metadata(root.real(&path)?).map(|_| Shims::One(path)))
            .with_context(|| format!("`--indir-shim {}`", path.display()))?,
        None => Shims::own()?,
    };
    let mut lib_dirs = Vec::with_capacity(args.lib_dirs.len());
    for folder in &args.lib_dirs {
        lib_dirs.push(super::given::absolute(&root, folder)?);
    }
    let mut options = Options {
        kind: Kind::Auto,
        root: root.clone(),
        lib_dirs: (!lib_dirs.is_empty()).then_some(lib_dirs),
        ..Options::default()
    };
    args.plugins.apply(&mut options)?;
    let request = adopt::Request {
        shims: &shims,
        places: &places(&args.places)?,
        options: &options,
        store: &Store::in_root(root),
        dry_run: args.dry_run,
    };
    let bar = super::update::progress_bar();
    bar.set_length(programs.len() as u64);
    let failures = std::mem::take(&mut meant.failures).into_iter();
    let mut entries: Vec<Entry> = failures
        .map(|(path, why)| Entry {
            path,
            output: None,
            table: None,
            change: None,
            folders: Vec::new(),
            state: State::Failed(why),
        })
        .collect();
    let how = print::How {
        dry_run: args.dry_run,
        json: args.json,
        verbose: args.verbose,
        quiet: args.quiet,
        many: meant.has_folder || programs.len() > 1,
    };
    entries.extend(pool.install(|| {
        let all = programs.into_par_iter().map(|(exe, target)| {
            let was_found = meant.found.contains(&exe);
            let entry = one(exe, target, was_found, &request);
            bar.inc(1);
            entry
        });
        all.collect::<Vec<_>>()
    }));
    bar.finish_and_clear();
    let taken: Vec<&PathBuf> = entries.iter().flat_map(|entry| &entry.folders).collect();
    let idle = match taken.is_empty() {
        true => Vec::new(),
        false => update::idle(&options, &taken),
    };
    Ok(ExitCode::from(print::tell(
        &entries,
        &meant.skipped,
        &idle,
        how,
    )))
}

/// Makes one program indirect, unless a signal came. What `was_found` in a folder is not
/// followed out of it by a link that took its place.
fn one(exe: PathBuf, target: Target, was_found: bool, request: &adopt::Request<'_>) -> Entry {
    let mut entry = Entry {
        path: exe,
        output: match &target {
            Target::InPlace => None,
            Target::Copy(output) => Some(output.clone()),
        },
        table: None,
        change: None,
        folders: Vec::new(),
        state: State::Left,
    };
    if crate::interrupt::is_pending() {
        return entry;
    }
    if was_found
        && !entry
            .path
            .canonicalize()
            .is_ok_and(|real| real == entry.path)
    {
        entry.state = State::Failed(place::CHANGED.to_owned());
        return entry;
    }
    entry.state = match adopt::adopt_file(&entry.path, &target, request) {
        Ok(done) => {
            entry.table = Some(done.table);
            entry.change = done.change;
            entry.folders = done.folders;
            match done.adopted {
                Adopted::Now { headers_moved } => State::Adopted { headers_moved },
                Adopted::Already => State::Already,
            }
        }
        Err(error) if error.chain().any(|cause| cause.is::<Interrupted>()) => State::Left,
        Err(error) if is_refusal(&error) => State::Refused(crate::say::reason(&error)),
        Err(error) => State::Failed(crate::say::reason(&error)),
    };
    entry
}

/// Refuses what `-o` cannot mean.
fn check_output(output: Option<&Path>, programs: &[(PathBuf, PathBuf)]) -> anyhow::Result<()> {
    let Some(output) = output else {
        return Ok(());
    };
    if output.as_os_str().as_encoded_bytes().ends_with(b"/") && !output.is_dir() {
        bail!(
            "`-o {}`: there is no such folder (run `mkdir -p {}`)",
            output.display(),
            quoted(output)
        );
    }
    let mut seen = HashMap::new();
    for (exe, below) in programs {
        let out = if output.is_dir() {
            if let Some(other) = seen.insert(below, exe) {
                bail!(
                    "`-o {}`: `{}` and `{}` are called `{}`: give them folders of their own",
                    output.display(),
                    other.display(),
                    exe.display(),
                    below.display()
                );
            }
            output.join(below)
        } else {
            output.to_owned()
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
fn undo(programs: &[(PathBuf, Target)], failures: &[(PathBuf, String)]) -> ExitCode {
    let mut code = exit::DONE;
    for (path, why) in failures {
        crate::say::err!("indir: `{}`: {why}", path.display());
        code = exit::FAILED;
    }
    let mut tables = Vec::new();
    let mut left = 0;
    for (exe, target) in programs {
        if crate::interrupt::is_pending() {
            left += 1;
            continue;
        }
        match adopt::undo_file(exe, target) {
            Ok(Undone::Now(table)) => {
                if *target == Target::InPlace {
                    tables.push(table);
                }
            }
            Ok(Undone::NotIndirect) => {
                crate::say::err!(
                    "note: `{}` is not indirect: there is nothing to undo",
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
    if left > 0 {
        crate::say::err!("indir: interrupted: {left} programs stay as they are");
        code = code.max(exit::FAILED);
    }
    ExitCode::from(code)
}

/// Prints why it failed; returns the exit code for it.
fn failed(exe: &Path, error: &anyhow::Error) -> u8 {
    crate::say::err!("indir: `{}`: {}", exe.display(), crate::say::reason(error));
    if is_refusal(error) {
        exit::REFUSED
    } else {
        exit::FAILED
    }
}

fn is_refusal(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| cause.is::<Refused>())
}
