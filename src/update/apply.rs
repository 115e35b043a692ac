//! Replacing tables: all temporaries, one sync, all renames, one sync.
//!
//! A table is replaced by rename, so that it is old or new at any moment, for
//! programs that are starting and after a power cut: a temporary's content is
//! on disk before it takes the table's name. Syncing each of a thousand files
//! would wait for the disk a thousand times; `syncfs` waits once.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rayon::prelude::*;

use super::plan::{Plan, State};
use crate::place::{Folder, Tables, Temporary, WriteError};

/// Fewest files for which syncing the whole file system is quicker.
const SYNCFS_FROM: usize = 16;
/// How often a table is written again whose temporary somebody removed.
const ATTEMPTS: usize = 3;
/// Descriptors that are open for one plan: folders, temporaries.
const DESCRIPTORS: u64 = 4;

/// Writes the tables of all plans that are not current; they survive a power cut once
/// this has returned. The result has the index and the outcome of every plan that was
/// to be written.
pub fn apply(plans: &[Plan]) -> Vec<(usize, Result<(), WriteError>)> {
    let plans: Vec<(usize, &Plan)> = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| plan.state != State::Current)
        .collect();
    // A temporary stays open, and so locked, until it has its name.
    let batches = plans.chunks(most_at_once());
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

fn apply_batch(batch: &[(usize, &Plan)]) -> Vec<(usize, Result<(), WriteError>)> {
    let each = batch.len() < SYNCFS_FROM;
    let opened: Vec<Result<Tables, WriteError>> = batch
        .par_iter()
        .map(|(_, plan)| Tables::open(&plan.exe, &plan.subject, &plan.place))
        .collect();
    clean(&opened);
    let written: Vec<_> = batch
        .par_iter()
        .zip(opened)
        .map(|((_, plan), tables)| {
            let tables = tables?;
            let written = Written::new(&tables, plan, each)?;
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
        .map(|((_, plan), written)| {
            let (tables, written) = written?;
            again(&synced)?;
            publish(&tables, plan, written)?;
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

/// The temporaries of one plan; the bindings come first.
struct Written {
    bindings: Option<Temporary>,
    table: Temporary,
}

impl Written {
    fn new(tables: &Tables, plan: &Plan, sync: bool) -> Result<Self, WriteError> {
        tables.act(|| {
            let bindings = plan.bindings.as_ref();
            let bindings = bindings.map(|bytes| tables.write(&plan.place.bindings(), bytes, sync));
            Ok(Self {
                bindings: bindings.transpose()?,
                table: tables.write(&plan.place.path, &plan.bytes, sync)?,
            })
        })
    }

    /// Bindings that do not belong to the table that is there are not used, so
    /// that the two names need not change at the same moment.
    fn publish(self, tables: &Tables, plan: &Plan) -> Result<(), WriteError> {
        tables.act(|| {
            let bound = self.bindings.is_some();
            if let Some(bindings) = self.bindings {
                tables.publish(bindings)?;
            }
            tables.publish(self.table)?;
            // Without a table there were no bindings that anybody would use.
            if !bound && plan.state != State::New {
                tables.remove(&plan.place.bindings())?;
            }
            Ok(())
        })
    }
}

/// Renames; a temporary that somebody has removed is written again.
fn publish(tables: &Tables, plan: &Plan, mut written: Written) -> Result<(), WriteError> {
    for _ in 1..ATTEMPTS {
        match written.publish(tables, plan) {
            Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        written = Written::new(tables, plan, true)?;
    }
    written.publish(tables, plan)
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
