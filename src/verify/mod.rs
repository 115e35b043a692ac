//! Tables against the files that they name. Reads only, runs nothing.
//!
//! What is reported would keep a program from starting, make it start with
//! other libraries than its table was made for, make it slower than it should
//! be, or let others decide what it runs. `table` compares a table with the
//! files and with what an update would write now; `bindings` does the same for
//! the file beside it; `plugins` tells what of that is for plugins; `trust` asks
//! who could replace a file; `interpreter` looks at the shim and the binder.

mod bindings;
mod interpreter;
mod plugins;
mod table;
mod trust;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};
use rayon::prelude::*;

use crate::resolve::Store;
use crate::resolve::library::{Library, LibraryError};
use crate::table::{LoadError, Place, TableFile};
use crate::update::{collect, orphans};
use interpreter::Known;
pub(crate) use trust::is_privileged;

/// What kind of thing is wrong: one word, for programs that read JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file is not there.
    Missing,
    /// A file cannot be looked at.
    Unreadable,
    /// A table, or bindings, that are damaged.
    Broken,
    /// A table of another executable, bindings of another table, an interpreter
    /// that is no shim.
    Foreign,
    /// A library is not the one that the table was made for.
    Replaced,
    /// A file is not what it should be.
    Unusable,
    /// An update would write something else.
    Stale,
    /// The libraries do not satisfy the program.
    Unsatisfied,
    /// The shim or the binder is not that of this `indir`.
    Version,
    /// Others can decide what the program runs.
    Unsafe,
}

impl Kind {
    /// What a file is that could not be used.
    fn of_useless(path: &Path) -> Self {
        match eaccess(path, AccessFlags::R_OK) {
            Err(Errno::EACCES) => Self::Unreadable,
            _ => Self::Unusable,
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Broken => "broken",
            Self::Foreign => "foreign",
            Self::Replaced => "replaced",
            Self::Unusable => "unusable",
            Self::Stale => "stale",
            Self::Unsatisfied => "unsatisfied",
            Self::Version => "version",
            Self::Unsafe => "unsafe",
        }
    }
}

/// Something wrong with an executable, its table, or a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// The file that it is about.
    pub file: PathBuf,
    /// What is wrong, for people; one line.
    pub why: String,
    /// The command that mends it, if there is one.
    pub mend: Option<String>,
}

/// What was found out about one executable.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The executable, or a path that is none.
    pub path: PathBuf,
    /// Its table, if it has a place for one.
    pub table: Option<PathBuf>,
    /// What is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// What was found out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each executable, and for each path that is none.
    pub verified: Vec<Verified>,
    /// Files in table folders that no executable refers to, and what killed
    /// runs left behind. They do no harm.
    pub orphans: Vec<PathBuf>,
}

/// The findings of one executable while they are made.
struct Findings<'a> {
    exe: &'a Path,
    all: Vec<Finding>,
}

impl Findings<'_> {
    /// What `indir update` mends.
    fn update(&mut self, kind: Kind, file: &Path, why: impl Into<String>) {
        let mend = format!("indir update {}", quoted(self.exe));
        self.push(kind, file, why, Some(mend));
    }

    fn push(&mut self, kind: Kind, file: &Path, why: impl Into<String>, mend: Option<String>) {
        self.all.push(Finding {
            kind,
            file: file.to_owned(),
            why: why.into(),
            mend,
        });
    }
}

/// `path` as an argument of a shell's command.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:,@%".contains(c);
    if text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Verifies everything that `paths` mean, in parallel; `deep` computes all
/// bindings again. `progress` is told how many of how many executables are done,
/// from any thread.
pub fn verify(paths: &[PathBuf], deep: bool, progress: &(dyn Fn(usize, usize) + Sync)) -> Report {
    let collected = collect(paths);
    let failed = collected.failures.into_iter().map(|(path, why)| Verified {
        findings: vec![Finding {
            kind: Kind::of_useless(&path),
            file: path.clone(),
            why,
            mend: None,
        }],
        path,
        table: None,
    });
    let mut verified: Vec<Verified> = failed.collect();
    let store = Store::default();
    let known = Known::default();
    let done = std::sync::atomic::AtomicUsize::new(0);
    let total = collected.executables.len();
    let executables = collected.executables.into_par_iter();
    verified.par_extend(executables.map(|exe| {
        let one = verify_one(&store, &known, exe, deep);
        let before = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        progress(before + 1, total);
        one
    }));
    let used: HashSet<PathBuf> = verified
        .iter()
        .filter_map(|one| one.table.clone())
        .collect();
    let folders = collected.table_folders.par_iter();
    let mut left: Vec<PathBuf> = folders.flat_map_iter(|f| orphans(f, &used)).collect();
    left.extend(collected.leftovers);
    Report {
        verified,
        orphans: left,
    }
}

fn verify_one(store: &Store, known: &Known, exe: PathBuf, deep: bool) -> Verified {
    let mut findings = Findings {
        exe: &exe,
        all: Vec::new(),
    };
    let mut place = None;
    match look(&exe) {
        Ok((library, at)) => {
            let context = Context {
                store,
                known,
                exe: &exe,
                library: &library,
                place: &at,
                deep,
            };
            context.check(&mut findings);
            place = Some(at.path);
        }
        Err(why) => findings.push(Kind::of_useless(&exe), &exe, why, None),
    }
    let findings = findings.all;
    Verified {
        path: exe,
        table: place,
        findings,
    }
}

/// The executable, and where its table should lie.
fn look(exe: &Path) -> Result<(Library, Place), String> {
    let library = Library::open(exe).map_err(|error: LibraryError| error.to_string())?;
    let elf = library.map().elf().map_err(|error| error.to_string())?;
    let place = Place::of(exe, &elf.notes()).map_err(|error| error.to_string())?;
    Ok((library, place))
}

/// One executable and what all of a run share.
struct Context<'a> {
    store: &'a Store,
    known: &'a Known,
    exe: &'a Path,
    library: &'a Library,
    place: &'a Place,
    deep: bool,
}

impl Context<'_> {
    fn check(&self, findings: &mut Findings<'_>) {
        if !self.check_interpreter(findings) {
            return;
        }
        let path = &self.place.path;
        let file = match TableFile::load(path) {
            Ok(Some(file)) => file,
            Ok(None) => return findings.update(Kind::Missing, path, "there is no table"),
            Err(LoadError::Table(path, error)) => {
                return findings.update(Kind::Broken, &path, error.message());
            }
            Err(error) => {
                return findings.push(Kind::Unreadable, path, error.to_string(), None);
            }
        };
        if let Ok(table) = file.table() {
            self.check_table(&file, &table, findings);
        }
    }
}
