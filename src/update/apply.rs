//! Replacing tables: all temporaries, one sync, all renames, one sync.
//!
//! A table is replaced by rename, so that it is old or new at any moment, for
//! programs that are starting and after a power cut: a temporary's content is
//! on disk before it takes the table's name. Syncing each of a thousand files
//! would wait for the disk a thousand times; `syncfs` waits once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rayon::prelude::*;

use super::plan::{Plan, State};
use crate::interrupt;
use crate::place::{Folder, Place, Subject, Tables, Temporary, WriteError};
use crate::table::{Kept, Run};

/// Fewest files for which syncing the whole file system is quicker.
const SYNCFS_FROM: usize = 16;
/// How often a table is written again whose temporary somebody removed.
const ATTEMPTS: usize = 3;
/// Descriptors that are open for one plan: folders, temporaries.
const DESCRIPTORS: u64 = 5;

/// One table that is to be written.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) exe: &'a Path,
    pub(super) subject: &'a Subject,
    pub(super) place: &'a Place,
    pub(super) table: &'a [u8],
    pub(super) bindings: Bindings<'a>,
    pub(super) keep: Keep,
}

/// What becomes of the bindings beside a table.
#[derive(Debug)]
pub(super) enum Bindings<'a> {
    /// These are written.
    New(&'a [u8]),
    /// Those that were kept are them again.
    Kept,
    /// They go.
    Gone,
    /// There are none.
    None,
}

/// What becomes of the table that is kept for `update --undo`.
#[derive(Debug)]
pub(super) enum Keep {
    /// These are its bytes, and it had bindings or not.
    New(Vec<u8>, bool),
    /// It goes.
    Gone,
    /// It stays: the table stays as well.
    Same,
}

impl<'a> Job<'a> {
    fn of(plan: &'a Plan, run: &Run) -> Self {
        let bindings = match &plan.bindings {
            Some(bytes) => Bindings::New(bytes),
            // Without a table there were no bindings that anybody would use.
            None if plan.state == State::New => Bindings::None,
            None => Bindings::Gone,
        };
        let keep = match (&plan.previous, &plan.before) {
            (Some(previous), before) => {
                let was_bound = before.as_ref().is_some_and(|before| before.plan == "bound");
                Keep::New(Kept::to_bytes(run, previous), was_bound)
            }
            // The bindings alone are written again.
            (None, Some(_)) if plan.state == State::Changed => Keep::Same,
            (None, _) => Keep::Gone,
        };
        Self {
            exe: &plan.exe,
            subject: &plan.subject,
            place: &plan.place,
            table: &plan.bytes,
            bindings,
            keep,
        }
    }
}

/// Writes the tables of all plans that are not current, and keeps those that they
/// replace; they survive a power cut once this has returned. The result has the index
/// and the outcome of every plan that was to be written.
pub fn apply(plans: &[Plan]) -> Vec<(usize, Result<(), WriteError>)> {
    let to_write = || {
        let all = plans.iter().enumerate();
        all.filter(|(_, plan)| plan.state != State::Current)
    };
    let run = Run::now(
        to_write()
            .filter(|(_, plan)| plan.previous.is_some())
            .count(),
    );
    let jobs = to_write().map(|(index, plan)| (index, Job::of(plan, &run)));
    apply_jobs(&jobs.collect::<Vec<_>>())
}

/// The same of anything that is to be written.
pub(super) fn apply_jobs(jobs: &[(usize, Job<'_>)]) -> Vec<(usize, Result<(), WriteError>)> {
    // A temporary stays open, and so locked, until it has its name.
    let batches = jobs.chunks(most_at_once());
    batches.flat_map(apply_batch).collect()
}

/// Removes what killed runs left where nothing is to be written.
pub(super) fn clean_current(plans: &[Plan]) {
    let mut seen = HashSet::new();
    let current = plans.iter().filter(|plan| plan.state == State::Current);
    let once = current.filter(|plan| seen.insert(plan.place.folder()));
    let once: Vec<&Plan> = once.collect();
    once.into_par_iter()
        .for_each(|plan| Tables::clean_at(&plan.exe, &plan.subject, &plan.place));
}

/// How many plans the limit on descriptors allows, which is raised for it.
fn most_at_once() -> usize {
    const OTHERS: u64 = 64;
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((256, 256));
    let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    let (soft, _) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((soft, hard));
    let most = soft.saturating_sub(OTHERS) / DESCRIPTORS;
    usize::try_from(most).unwrap_or(usize::MAX).max(1)
}

fn apply_batch(batch: &[(usize, Job<'_>)]) -> Vec<(usize, Result<(), WriteError>)> {
    let each = batch.len() < SYNCFS_FROM;
    let opened: Vec<Result<Tables, WriteError>> = batch
        .par_iter()
        .map(|(_, job)| Tables::open(job.exe, job.subject, job.place))
        .collect();
    clean(&opened);
    let written: Vec<_> = batch
        .par_iter()
        .zip(opened)
        .map(|((_, job), tables)| {
            let tables = tables?;
            interrupt::check()?;
            let written = Written::new(&tables, job, each)?;
            Ok((tables, written))
        })
        .collect();
    let folders = distinct(&written);
    let synced = if each {
        Ok(())
    } else {
        sync_file_systems(&folders)
    };
    let results: Vec<Result<Tables, WriteError>> = batch
        .par_iter()
        .zip(written)
        .map(|((_, job), written)| {
            let (tables, written) = written?;
            again(&synced)?;
            interrupt::check()?;
            publish(&tables, job, written)?;
            Ok(tables)
        })
        .collect();
    let finished = if each {
        Ok(())
    } else {
        sync_file_systems(&folders)
    };
    let results = batch.iter().zip(results).map(|((index, _), tables)| {
        let result = tables.and_then(|tables| {
            again(&finished)?;
            if each {
                tables.sync()?;
            }
            Ok(())
        });
        (*index, result)
    });
    results.collect()
}

/// Removes what killed runs left, once in each folder.
fn clean(opened: &[Result<Tables, WriteError>]) {
    let mut seen = HashSet::new();
    let tables = opened.iter().flatten();
    let once = tables.filter(|tables| tables.folder().id().is_ok_and(|id| seen.insert(id)));
    let once: Vec<&Tables> = once.collect();
    once.into_par_iter().for_each(|tables| {
        // Whoever cannot use the folder is told so when a table is written.
        let _ = tables.clean();
    });
}

/// The same error for another plan.
fn again(result: &io::Result<()>) -> Result<(), WriteError> {
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(io::Error::new(error.kind(), error.to_string()).into()),
    }
}

/// The temporaries of one table, in the order in which they take their names.
struct Written {
    kept: Option<Temporary>,
    bindings: Option<Temporary>,
    table: Temporary,
}

impl Written {
    fn new(tables: &Tables, job: &Job<'_>, sync: bool) -> Result<Self, WriteError> {
        tables.act(|| {
            let kept = match &job.keep {
                Keep::New(bytes, _) => Some(tables.write(&job.place.kept(), bytes, sync)?),
                Keep::Gone | Keep::Same => None,
            };
            let bindings = match job.bindings {
                Bindings::New(bytes) => Some(tables.write(&job.place.bindings(), bytes, sync)?),
                _ => None,
            };
            Ok(Self {
                kept,
                bindings,
                table: tables.write(&job.place.path, job.table, sync)?,
            })
        })
    }

    /// Bindings that do not belong to the table that is there are not used, so
    /// that the names need not change at the same moment.
    fn publish(self, tables: &Tables, job: &Job<'_>, again: bool) -> Result<(), WriteError> {
        let place = job.place;
        tables.act(|| {
            match job.keep {
                // Those that are there by now may be the new ones.
                _ if again => {}
                Keep::New(_, true) => {
                    tables.set_aside(&place.bindings(), &place.kept_bindings())?;
                }
                Keep::New(_, false) => tables.remove(&place.kept_bindings())?,
                Keep::Gone | Keep::Same => {}
            }
            if let Some(kept) = self.kept {
                tables.publish(kept)?;
            }
            if let Some(bindings) = self.bindings {
                tables.publish(bindings)?;
            }
            if let Bindings::Kept = job.bindings {
                tables.rename(&place.kept_bindings(), &place.bindings())?;
            }
            tables.publish(self.table)?;
            if let Bindings::Gone = job.bindings {
                tables.remove(&place.bindings())?;
            }
            if let Keep::Gone = job.keep {
                tables.remove(&place.kept())?;
                tables.remove(&place.kept_bindings())?;
            }
            Ok(())
        })
    }
}

/// Renames; a temporary that somebody has removed is written again.
fn publish(tables: &Tables, job: &Job<'_>, mut written: Written) -> Result<(), WriteError> {
    for attempt in 1..ATTEMPTS {
        match written.publish(tables, job, attempt > 1) {
            Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        written = Written::new(tables, job, true)?;
    }
    written.publish(tables, job, true)
}

/// A folder on each file system that was written to.
fn distinct(written: &[Result<(Tables, Written), WriteError>]) -> Vec<Arc<Folder>> {
    let mut folders: HashMap<u64, Arc<Folder>> = HashMap::new();
    for (tables, _) in written.iter().flatten() {
        let folder = tables.folder();
        if let Ok((device, _)) = folder.id() {
            folders.entry(device).or_insert_with(|| Arc::clone(folder));
        }
    }
    folders.into_values().collect()
}

/// Flushes the file system of each of `folders`.
fn sync_file_systems(folders: &[Arc<Folder>]) -> io::Result<()> {
    folders.iter().try_for_each(|f| f.sync_file_system())
}
