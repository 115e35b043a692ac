//! `indir update --undo`: the tables as they were before the last update.
//!
//! An update keeps each table that it replaces (`table/kept.rs`). Turned back is one
//! run: the last that replaced a table of any of the executables that are asked for.
//! What that run did not replace stays. A table goes back only if it counts, and if the
//! files that it names are still the ones that it was made for: libraries that were
//! replaced where they lay cannot be had back by a table.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use indir_shim::format::bindings::Bindings as Parsed;
use indir_shim::format::bindings_layout::MAX_BINDINGS;
use indir_shim::format::layout::PLAN_BOUND;
use indir_shim::format::table::Table;
use rayon::prelude::*;

use super::apply::{Bindings, Job, Keep, apply_jobs};
use super::change::Facts;
use crate::elf::{Identity, MappedElf, Root};
use crate::place::{self, Place, Subject, WriteError, check_place, collect};
use crate::resolve::Store;
use crate::resolve::files::store::Probe;
use crate::table::{Kept, LoadError, Run, TableFile, absolute, arch_of};

/// What became of one path.
#[derive(Debug)]
pub enum Turned {
    /// Its table is that of before, or would be in a dry run.
    Back,
    /// The run that is turned back did not replace its table; an earlier one did.
    Stays,
    /// No earlier table is kept: its table is its first, or was turned back already.
    Nothing,
    /// Its earlier table does not count, or its libraries are not there any more.
    Refused(String),
    /// Something else went wrong.
    Failed(String),
    /// A signal came before its table was written; it stays.
    Left,
}

/// Path, table and outcome of one executable.
#[derive(Debug)]
pub struct TurnedBack {
    /// The executable, or a path that is none.
    pub path: PathBuf,
    /// Its table, if it has a place for one.
    pub table: Option<PathBuf>,
    /// What going back changes, where it goes back.
    pub change: Option<String>,
    /// Its bindings of before are not there or not good: it starts slower.
    pub lacks_bindings: bool,
    /// What became of it.
    pub outcome: Turned,
}

/// What a run of `update --undo` did, in the order of its paths.
#[derive(Debug, Default)]
pub struct UndoReport {
    /// One entry for each executable and each path that failed.
    pub entries: Vec<TurnedBack>,
    /// The update that was turned back, if there was one.
    pub run: Option<Run>,
}

/// A table that could go back.
struct Candidate {
    subject: Subject,
    place: Place,
    kept: Kept,
    /// The table that is there, if it can be read.
    now: Option<TableFile>,
}

/// Turns back the last update of everything that `paths` mean, whose tables lie in the
/// folder `tables`, by id, if one is given; what tables name is below `root`. `progress` is told how many of how many
/// executables were looked at, from any thread.
pub fn undo(
    paths: &[PathBuf],
    (root, tables): (&Root, Option<&Path>),
    dry_run: bool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> UndoReport {
    let collected = collect(paths);
    let total = collected.executables.len();
    let done = AtomicUsize::new(0);
    progress(0, total);
    let looked: Vec<(TurnedBack, Option<Candidate>)> = collected
        .executables
        .into_par_iter()
        .map(|exe| {
            let found = look(root, &exe, tables);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            let (outcome, table, candidate) = match found {
                Ok(Some(found)) => (Turned::Stays, Some(found.place.path.clone()), Some(found)),
                Ok(None) => (Turned::Nothing, None, None),
                Err(outcome) => (outcome, None, None),
            };
            let entry = TurnedBack {
                path: exe,
                table,
                change: None,
                lacks_bindings: false,
                outcome,
            };
            (entry, candidate)
        })
        .collect();
    let mut report = UndoReport {
        run: looked
            .iter()
            .filter_map(|(_, c)| Some(c.as_ref()?.kept.run))
            .max(),
        entries: Vec::with_capacity(looked.len()),
    };
    let failures = collected
        .failures
        .into_iter()
        .map(|(path, why)| TurnedBack {
            path,
            table: None,
            change: None,
            lacks_bindings: false,
            outcome: Turned::Failed(why),
        });
    report.entries.extend(failures);
    let store = Store::in_root(root.clone());
    // Copies share a table.
    let mut sharing: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    let mut going = Vec::new();
    for (mut entry, candidate) in looked {
        if let Some(candidate) = candidate
            && Some(candidate.kept.run) == report.run
        {
            match check(&store, &entry.path, &candidate) {
                Err(why) => entry.outcome = Turned::Refused(why),
                Ok(back) => {
                    entry.outcome = Turned::Back;
                    entry.change = back.change;
                    entry.lacks_bindings = back.lacks_bindings;
                    let all = sharing.entry(candidate.place.path.clone()).or_default();
                    all.push(report.entries.len());
                    if all.len() == 1 {
                        let has_bindings = back.is_bound && !back.lacks_bindings;
                        going.push((report.entries.len(), candidate, has_bindings));
                    }
                }
            }
        }
        report.entries.push(entry);
    }
    if dry_run {
        return report;
    }
    let paths: Vec<PathBuf> = going
        .iter()
        .filter_map(|(at, ..)| Some(report.entries.get(*at)?.path.clone()))
        .collect();
    let jobs = going
        .iter()
        .zip(&paths)
        .map(|((at, candidate, bound), exe)| {
            let job = Job {
                exe,
                subject: &candidate.subject,
                place: &candidate.place,
                table: candidate.kept.table.bytes(),
                bindings: if *bound {
                    Bindings::Kept
                } else {
                    Bindings::Gone
                },
                keep: Keep::Gone,
            };
            (*at, job)
        });
    for (at, result) in apply_jobs(&jobs.collect::<Vec<_>>()) {
        let Err(error) = result else { continue };
        let all = report.entries.get(at).and_then(|entry| {
            let table = entry.table.as_ref()?;
            sharing.get(table)
        });
        for at in all.into_iter().flatten() {
            if let Some(entry) = report.entries.get_mut(*at) {
                entry.outcome = match &error {
                    WriteError::Refused(why) => {
                        Turned::Refused(format!("its table is not written: {why}"))
                    }
                    WriteError::Interrupted(_) => Turned::Left,
                    WriteError::Io(error) => {
                        Turned::Failed(format!("failed to write its table: {error}"))
                    }
                };
            }
        }
    }
    report
}

/// The earlier table of the executable at `exe`; `None` if there is none.
fn look(root: &Root, exe: &Path, tables: Option<&Path>) -> Result<Option<Candidate>, Turned> {
    let failed = |error: &dyn std::fmt::Display| Turned::Failed(error.to_string());
    let map = MappedElf::open(exe).map_err(|error| failed(&error))?;
    let elf = map.elf().map_err(|error| failed(&error))?;
    let notes = elf.notes();
    let place = match tables {
        Some(folder) => Place::in_folder(folder, &notes),
        None => Place::of(exe, &notes).and_then(|place| place.in_root(root)),
    };
    let place = place.map_err(|error| failed(&error))?;
    let subject = Subject::of(map.metadata());
    let owner = subject.owner.uid;
    let foreign = |path: &Path, why: &str| {
        let mend = place::mend(path, owner);
        Turned::Refused(format!(
            "`{}` does not count: {why}; run `{mend}` if you know what it is",
            path.display()
        ))
    };
    let kept = match Kept::load_for(&place.kept(), owner) {
        Ok(Some(kept)) => kept,
        Ok(None) => return Ok(None),
        Err(LoadError::Foreign(path, why)) => return Err(foreign(&path, &why)),
        Err(error) => return Err(failed(&error)),
    };
    check_place(exe, &subject, &place).map_err(|error| Turned::Refused(error.to_string()))?;
    let now = match TableFile::load_for(&place.path, owner) {
        Ok(now) => now,
        Err(LoadError::Foreign(path, why)) => return Err(foreign(&path, &why)),
        // What is damaged now was none of ours then.
        Err(_) => None,
    };
    if now.as_ref() == Some(&kept.table) {
        return Ok(None);
    }
    if kept
        .table
        .table()
        .is_ok_and(|table| table.exe_id() != place.id)
    {
        let path = place.kept();
        return Err(Turned::Failed(format!(
            "its earlier table `{}` is another executable's",
            path.display()
        )));
    }
    Ok(Some(Candidate {
        subject,
        place,
        kept,
        now,
    }))
}

/// What going back means.
struct Back {
    is_bound: bool,
    lacks_bindings: bool,
    change: Option<String>,
}

/// Whether the table of before still says what is there.
///
/// # Errors
/// Names the first file that is not what it was, and how many more there are.
fn check(store: &Store, exe: &Path, candidate: &Candidate) -> Result<Back, String> {
    let table = candidate.kept.table.table();
    let table = table.map_err(|error| error.message().to_owned())?;
    let arch = arch_of(&table);
    let Some(name) = store.root().inside(exe) else {
        return Err("it does not lie in the folder of `--sysroot`".to_owned());
    };
    let exe = &*name;
    let objects = table.objects();
    let objects = objects.map(|object| (object.path, Identity::from_raw(&object.raw.identity)));
    let ldso = (
        table.ldso(),
        Identity::from_raw(&table.header().ldso_identity),
    );
    let mut wrong = Vec::new();
    let binder = table.binder().map(|path| (path, Identity::None));
    for (path, then) in objects.chain([ldso]).chain(binder) {
        let path = absolute(path.to_bytes(), exe);
        let why = match store.probe(arch, &path) {
            Probe::Found(now) if then == Identity::None || now.identity == then => continue,
            Probe::Found(_) => "is another build now",
            Probe::Missing => "is gone",
            Probe::Skip(_) | Probe::Bad(_) => "cannot be used any more",
        };
        let line = format!("`{}` {why}", path.display());
        if !wrong.contains(&line) {
            wrong.push(line);
        }
    }
    if let Some(first) = wrong.first() {
        let more = match wrong.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        return Err(format!(
            "its earlier table names libraries that are not there any more; its table stays as it is: {first}{more}"
        ));
    }
    let is_bound = table.header().plan == PLAN_BOUND;
    let has_bindings = is_bound && {
        let owner = candidate.subject.owner.uid;
        let bytes = place::read(&candidate.place.kept_bindings(), owner, MAX_BINDINGS as u64);
        let bytes = bytes.ok().flatten().unwrap_or_default();
        Parsed::parse(&bytes, &table.header().digest).is_ok()
    };
    Ok(Back {
        is_bound,
        lacks_bindings: is_bound && !has_bindings,
        change: change(exe, &table, candidate.now.as_ref()),
    })
}

/// The way from the table that is there to that of before.
fn change(exe: &Path, back: &Table<'_>, now: Option<&TableFile>) -> Option<String> {
    let now = now.and_then(|now| Some(Facts::of(&now.table().ok()?, exe)));
    Some(Facts::of(back, exe).since(now.as_ref()))
}
