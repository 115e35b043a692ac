//! `indir abi`: ABI text, comparison, floors.

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::abi::diff::{Class, Diff, diff};
use crate::abi::floor::{Common, FloorError};
use crate::abi::used::{Lacking, Used};
use crate::abi::{self, Abi, Finder, LoadError, Loaded, Pattern, Private};
use crate::elf::Root;
use crate::exit::{self, Refused};
use crate::resolve::Store;
use crate::update::{self, Subject};

/// Read, compare and intersect the ABIs of libraries.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: indir abi diff old/libexpat.so.1 new/libexpat.so.1")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the ABI of a library as text.
    #[command(
        after_help = "Example: indir abi dump /lib/x86_64-linux-gnu/libz.so.1 > libz.so.1.abi"
    )]
    Dump(Dump),
    /// Compare two ABIs: may clients of A run with B?
    ///
    /// The exit code is a bit set: 0 equal, 4 changed, 8 incompatible (so 12), 1 error.
    #[command(after_help = "Example: indir abi diff old/libexpat.so.1 new/libexpat.so.1")]
    Diff(DiffArgs),
    /// Compute the greatest floor that several builds of a library satisfy, or, with
    /// --used-by, the smallest with which some programs run.
    #[command(
        override_usage = "indir abi floor [OPTIONS] <LIB>... -o <F.abi> [--used-by <PROGRAM>...]",
        after_help = "\
Examples:
  indir abi floor 2.36/libc.so.6 2.41/libc.so.6 -o libc.so.6.abi
  indir abi floor libdbus-1.so.3 -o libdbus-1.so.3.abi --used-by /usr/bin/dbus-daemon

With --used-by, exit code 3 says that a build lacks what a program binds to."
    )]
    Floor(FloorArgs),
}

#[derive(Debug, clap::Args)]
struct Dump {
    /// Library, stub or ABI text.
    #[arg(value_name = "LIB")]
    file: PathBuf,
    /// Print only the SHA-256 of the text.
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    search: Search,
}

#[derive(Debug, clap::Args)]
struct DiffArgs {
    /// Library, stub or ABI text that clients were linked with.
    #[arg(value_name = "A")]
    old: PathBuf,
    /// Library, stub or ABI text that they shall run with.
    #[arg(value_name = "B")]
    new: PathBuf,
    /// One JSON document on stdout.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    search: Search,
}

#[derive(Debug, clap::Args)]
struct FloorArgs {
    /// Libraries, stubs or ABI texts: builds of one library.
    #[arg(value_name = "LIB", required = true)]
    files: Vec<PathBuf>,
    /// The ABI text to write.
    #[arg(short, long, value_name = "F.abi")]
    output: PathBuf,
    /// Keep only what these programs, libraries or plugins bind to, private or not; their
    /// libraries are looked for as at a start, in --lib-dir first.
    #[arg(long, value_name = "PROGRAM", num_args = 1..)]
    used_by: Vec<PathBuf>,
    /// With --used-by: keep what is public whether it is used or not.
    #[arg(long, requires = "used_by")]
    keep_public: bool,
    #[command(flatten)]
    search: Search,
}

/// Where the libraries that a library needs are looked for.
#[derive(Debug, clap::Args)]
pub(super) struct Search {
    /// Folder with needed libraries, searched before the library's own folder
    /// and the system's.
    #[arg(long = "lib-dir", value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The system's folders are those of the system in this folder.
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
    /// Symbols that are nobody's ABI, beside those whose names say so: NAME,
    /// NAME@VERSION or @VERSION, with `*` and `?`; SONAME: before it means one library.
    #[arg(long, value_name = "PATTERN")]
    private: Vec<Pattern>,
    /// Symbols that are ABI although a pattern says that they are private.
    #[arg(long, value_name = "PATTERN")]
    public: Vec<Pattern>,
}

impl Search {
    /// # Errors
    /// When there is no folder of `--sysroot`.
    pub(super) fn finder(&self) -> anyhow::Result<Finder> {
        let mut finder = Finder::new(self.folders.clone());
        finder.root = self.root()?;
        finder.private = Private::new(self.private.clone(), self.public.clone());
        Ok(finder)
    }

    fn root(&self) -> anyhow::Result<Root> {
        super::given::root(self.sysroot.as_deref())
    }
}

/// Runs `indir abi`.
///
/// # Errors
/// When a file cannot be read as an ABI.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Dump(args) => dump(&args),
        Command::Diff(args) => compare(&args),
        Command::Floor(args) => floor(&args),
    }
}

/// The ABI in `path`, with a word on stderr about what it could not include.
pub(super) fn load(path: &Path, finder: &Finder) -> anyhow::Result<Loaded> {
    warned(path, abi::load(path, finder))
}

/// Like [`load`], to be compared with `other`: private symbols that this one has count.
pub(super) fn load_for(path: &Path, finder: &Finder, other: &Abi) -> anyhow::Result<Loaded> {
    warned(path, abi::load_for(path, finder, other))
}

fn warned(path: &Path, loaded: Result<Loaded, LoadError>) -> anyhow::Result<Loaded> {
    let loaded = loaded?;
    for name in &loaded.missing {
        crate::say::err!(
            "warning: {}: needs `{}`, which is not found; symbols that neither provides are left \
             out (hint: --lib-dir)",
            path.display(),
            String::from_utf8_lossy(name)
        );
    }
    Ok(loaded)
}

fn dump(args: &Dump) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.file, &args.search.finder()?)?;
    let text = if args.digest {
        format!("{}\n", loaded.digest())
    } else {
        loaded.abi.to_text()
    };
    crate::say::data(text.as_bytes());
    Ok(ExitCode::from(exit::DONE))
}

/// Bits of the exit code of `abi diff`, as abidiff has them.
const CHANGED: u8 = 4;
const INCOMPATIBLE: u8 = 8;

fn compare(args: &DiffArgs) -> anyhow::Result<ExitCode> {
    let finder = args.search.finder()?;
    let old = load(&args.old, &finder)?.abi;
    let new = load_for(&args.new, &finder, &old)?.abi;
    let diff = diff(&old, &new);
    let text = if args.json {
        json(args, &diff)?
    } else {
        human(&diff)
    };
    crate::say::data(text.as_bytes());
    Ok(ExitCode::from(match diff.class() {
        Class::Equal => exit::DONE,
        Class::Added | Class::Compatible => CHANGED,
        Class::Incompatible => CHANGED | INCOMPATIBLE,
    }))
}

#[derive(serde::Serialize)]
struct Report<'a> {
    version: u32,
    old: String,
    new: String,
    class: Class,
    changes: Vec<Entry<'a>>,
}

#[derive(serde::Serialize)]
struct Entry<'a> {
    #[serde(flatten)]
    change: &'a abi::diff::Change,
    why: &'static str,
}

fn json(args: &DiffArgs, diff: &Diff) -> anyhow::Result<String> {
    let changes = diff.changes.iter().map(|change| Entry {
        change,
        why: change.rule.why(),
    });
    let report = Report {
        version: 1,
        old: args.old.display().to_string(),
        new: args.new.display().to_string(),
        class: diff.class(),
        changes: changes.collect(),
    };
    let mut text = serde_json::to_string_pretty(&report)?;
    text.push('\n');
    Ok(text)
}

/// The worst first, each rule explained once.
fn human(diff: &Diff) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut last = None;
    for change in diff.changes.iter().rev() {
        if last != Some(change.rule) {
            let class = match change.class {
                Class::Equal => "equal",
                Class::Added => "added",
                Class::Compatible => "compatible",
                Class::Incompatible => "incompatible",
            };
            let _ = writeln!(
                text,
                "{class}: {} ({})",
                change.rule.code(),
                change.rule.why()
            );
            last = Some(change.rule);
        }
        let gap = if change.detail.is_empty() { "" } else { ": " };
        let _ = writeln!(text, "  {}{gap}{}", change.subject, change.detail);
    }
    text
}

fn floor(args: &FloorArgs) -> anyhow::Result<ExitCode> {
    let finder = args.search.finder()?;
    let only_used = !args.used_by.is_empty();
    let load = |path: &PathBuf| {
        // Which of the private symbols are used is not known yet.
        warned(path, abi::load_with(path, &finder, &|_, _| only_used))
    };
    let builds: Result<Vec<_>, _> = args.files.iter().map(load).collect();
    let builds: Vec<_> = builds?.into_iter().map(|b| b.abi).collect();
    let named = |error: FloorError| {
        let file = match &error {
            FloorError::Different { index, .. } => args.files.get(index - 1),
            _ => None,
        };
        let file = file.map(|file| format!("`{}`", file.display()));
        match file {
            Some(file) => anyhow::Error::from(error).context(file),
            None => error.into(),
        }
    };
    let mut common = abi::floor::common(&builds).map_err(named)?;
    if only_used {
        cut(args, &finder.private, &builds, &mut common)?;
    }
    for key in &common.contradicting {
        let name = key.display();
        crate::say::err!("left out: {name} (the builds contradict each other in it)");
    }
    let output = &args.output;
    // From here on something would be left.
    crate::interrupt::watch();
    crate::stub::replace(output, common.floor.to_text().as_bytes(), 0o644)
        .with_context(|| format!("cannot write {}", output.display()))?;
    Ok(ExitCode::from(exit::DONE))
}

/// Takes from the floor what the programs do not use.
fn cut(
    args: &FloorArgs,
    private: &Private,
    builds: &[Abi],
    common: &mut Common,
) -> anyhow::Result<()> {
    let name = match (&common.floor.soname, args.files.first()) {
        (Some(soname), _) => soname.clone(),
        (None, first) => {
            let name = first.and_then(|file| file.file_name());
            name.unwrap_or_default().as_bytes().to_vec()
        }
    };
    let shown = String::from_utf8_lossy(&name).into_owned();
    let root = args.search.root()?;
    let lib_dirs = args
        .search
        .folders
        .iter()
        .map(|folder| super::given::absolute(&root, folder));
    let lib_dirs = lib_dirs.collect::<anyhow::Result<Vec<_>>>()?;
    let options = update::Options {
        lib_dirs: (!lib_dirs.is_empty()).then_some(lib_dirs),
        root: root.clone(),
        ..update::Options::default()
    };
    let store = Store::in_root(root);
    let mut used = Used::new(&name, builds, private);
    let mut strangers = Vec::new();
    for program in &args.used_by {
        let subject = Subject::of(&store, program, &options)
            .with_context(|| format!("`{}`", program.display()))?;
        let client = (&*subject.path, &*subject.library);
        if !used.add(client, &subject.closure, &subject.scope) {
            strangers.push(program.display().to_string());
        }
    }
    if used.is_empty() && !args.keep_public {
        bail!("no file of --used-by binds to anything of `{shown}`; nothing is written");
    }
    if !strangers.is_empty() {
        /// Most that are named.
        const MOST: usize = 5;
        let (count, all) = (strangers.len(), args.used_by.len());
        let mut names: Vec<String> = strangers.into_iter().take(MOST).collect();
        if count > MOST {
            names.push("…".to_owned());
        }
        let names = names.join(", ");
        crate::say::err!(
            "warning: {count} of the {all} files of --used-by bind to nothing of `{shown}`: {names}"
        );
    }
    let cut = used.cut(common, args.keep_public);
    let why = |lacking: &Lacking| match lacking.build.and_then(|at| args.files.get(at)) {
        Some(file) => format!("not in {}", file.display()),
        None => "the builds contradict each other in it".to_owned(),
    };
    for lacking in &cut.weak {
        let (what, user, why) = (&lacking.what, lacking.user.display(), why(lacking));
        crate::say::err!("left out: {what} ({why}; {user} does without it)");
    }
    for lacking in &cut.lacking {
        let (what, user, why) = (&lacking.what, lacking.user.display(), why(lacking));
        crate::say::err!("  {what}, needed by {user}: {why}");
    }
    match cut.lacking.len() {
        0 => Ok(()),
        count => Err(Refused(format!(
            "no floor of `{shown}` has {count} of the symbols that are bound to, listed above; \
             nothing is written"
        ))
        .into()),
    }
}
