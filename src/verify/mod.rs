//! Tables against the files that they name. Reads only, runs nothing.
//!
//! What is reported would keep a program from starting, make it start with
//! other libraries than its table was made for, make it slower than it should
//! be, or let others decide what it runs. `table` compares a table with the
//! files and with what an update would write now; `bindings` does the same for
//! the file beside it; `running` looks at processes; `plugins` tells what of that is for plugins; `trust` asks
//! who could replace a file; `interpreter` looks at the shim and the binder.

mod bindings;
mod context;
mod finding;
mod interpreter;
mod plugins;
mod process;
mod report;
mod running;
mod table;
mod trust;

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use context::{Context, Known};
use finding::Findings;
pub use finding::{Finding, Kind};
pub use report::{Report, Verified};
pub use running::{verify_processes, verify_running};

use crate::elf::Root;
use crate::place::{self, CHANGED, Place, collect, orphans};
use crate::resolve::Store;
use crate::resolve::files::library::{Library, LibraryError};
use crate::table::{LoadError, TableFile};

/// Verifies everything that `paths` mean, in parallel, what tables name being below
/// `root`; `deep` computes all bindings again. `progress` is told how many of how many executables are done,
/// from any thread.
pub fn verify(
    paths: &[PathBuf],
    root: &Root,
    deep: bool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Report {
    let collected = collect(paths);
    let failed = collected.failures.into_iter().map(|(path, why)| Verified {
        findings: vec![Finding {
            kind: Kind::of_useless(&path),
            file: path.clone(),
            why,
            mend: None,
        }],
        path,
        pid: None,
        table: None,
    });
    let mut verified: Vec<Verified> = failed.collect();
    let store = Store::in_root(root.clone());
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
    let left = folders.flat_map_iter(|f| orphans(f, &used));
    let mut left: Vec<PathBuf> = left.map(|unused| unused.path).collect();
    left.extend(collected.leftovers);
    Report {
        verified,
        orphans: left,
    }
}

fn verify_one(store: &Store, known: &Known, exe: PathBuf, deep: bool) -> Verified {
    let mut findings = Findings {
        exe: &exe,
        root: store.root().folder(),
        all: Vec::new(),
    };
    let mut place = None;
    let mut unchanged = None;
    match look(store.root(), &exe) {
        Ok((library, at, name)) => {
            let context = Context {
                store,
                known,
                exe: &exe,
                name: &name,
                library: &library,
                place: &at,
                deep,
            };
            context.check(&mut findings);
            unchanged = Some(library.map().is_unchanged());
            place = Some(at.path);
        }
        Err(why) => findings.push(Kind::of_useless(&exe), &exe, why, None),
    }
    if let Some(false) = unchanged {
        // What was found says nothing of the file as it will be.
        findings.all.clear();
        findings.push(Kind::Unusable, &exe, CHANGED, None);
    }
    let findings = findings.all;
    Verified {
        path: exe,
        pid: None,
        table: place,
        findings,
    }
}

/// The executable, where its table should lie, and its path in its system.
fn look(root: &Root, exe: &Path) -> Result<(Library, Place, PathBuf), String> {
    let name = root.inside(exe);
    let name = name.ok_or("it does not lie in the folder of `--sysroot`")?;
    let library = Library::open(exe).map_err(|error: LibraryError| error.to_string())?;
    let elf = library.map().elf().map_err(|error| error.to_string())?;
    let place = Place::now(root, exe, &elf.notes()).map_err(|error| error.to_string())?;
    Ok((library, place, name))
}

impl Context<'_> {
    /// What becomes of a program without a table.
    fn without_table(&self) -> String {
        let elf = self.library.map().elf();
        let recorded = elf.as_ref().ok().and_then(|elf| elf.notes().interpreter);
        match recorded {
            Some(path) => format!(
                "there is no table, so that `{}` starts it as an ordinary program",
                path.to_string_lossy()
            ),
            None => "there is no table, so that it does not start".to_owned(),
        }
    }

    fn check(&self, findings: &mut Findings<'_>) {
        if !self.check_interpreter(findings) {
            return;
        }
        let path = &self.place.path;
        let owner = self.library.map().metadata().uid();
        let file = match TableFile::load_for(path, owner) {
            Ok(Some(file)) => file,
            Ok(None) => return findings.update(Kind::Missing, path, self.without_table()),
            Err(LoadError::Foreign(path, why)) => {
                let why = format!("the table does not count: {why}");
                let mend = place::mend(&path, owner);
                return findings.push(Kind::Unsafe, &path, why, Some(mend));
            }
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
