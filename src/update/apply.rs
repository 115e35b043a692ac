//! Replacing tables: all temporaries, one sync, all renames, one sync.
//!
//! A table is replaced by rename, so that it is old or new at any moment, for
//! programs that are starting and after a power cut: a temporary's content is
//! on disk before it takes the table's name. Syncing each of a thousand files
//! would wait for the disk a thousand times; `syncfs` waits once.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use rayon::prelude::*;

use super::plan::{Plan, State};
use crate::place::{Temporary, is_abandoned, sync_folder};

/// Fewest files for which syncing the whole file system is quicker.
const SYNCFS_FROM: usize = 16;
/// How often a table is written again whose temporary somebody removed.
const ATTEMPTS: usize = 3;

/// How much to promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The tables survive a power cut once `apply` has returned.
    Durable,
    /// They are replaced whole, but the kernel writes them when it likes.
    Fast,
}

/// Writes the tables of all plans that are not current. The result has the
/// index and the outcome of every plan that was to be written.
pub fn apply(plans: &[Plan], mode: Mode) -> Vec<(usize, io::Result<()>)> {
    let work: Vec<usize> = plans
        .iter()
        .enumerate()
        .filter(|(_, plan)| plan.state != State::Current)
        .map(|(index, _)| index)
        .collect();
    let each = mode == Mode::Durable && work.len() < SYNCFS_FROM;
    let all = mode == Mode::Durable && !each;
    let written: Vec<(usize, io::Result<Written>)> = work
        .into_par_iter()
        .filter_map(|index| Some((index, plans.get(index)?)))
        .map(|(index, plan)| (index, Written::new(plan, each)))
        .collect();
    let folders: BTreeSet<&Path> = written
        .iter()
        .filter_map(|(index, _)| plans.get(*index))
        .map(|plan| plan.place.folder())
        .collect();
    let synced = if all {
        sync_file_systems(&folders)
    } else {
        Ok(())
    };
    let results: Vec<(usize, io::Result<()>)> = written
        .into_par_iter()
        .map(|(index, temporary)| {
            let result = match (&synced, plans.get(index)) {
                (Err(error), _) => Err(io::Error::new(error.kind(), error.to_string())),
                (Ok(()), Some(plan)) => publish(plan, temporary, mode),
                (Ok(()), None) => Ok(()),
            };
            (index, result)
        })
        .collect();
    let finished = if all {
        sync_file_systems(&folders)
    } else if each {
        folders
            .par_iter()
            .try_for_each(|folder| sync_with_parent(folder))
    } else {
        Ok(())
    };
    match finished {
        Ok(()) => results,
        Err(error) => results
            .into_iter()
            .map(|(index, result)| {
                let failed = || Err(io::Error::new(error.kind(), error.to_string()));
                (index, result.and_then(|()| failed()))
            })
            .collect(),
    }
}

/// The temporaries of one plan; the bindings come first.
struct Written {
    bindings: Option<Temporary>,
    table: Temporary,
}

impl Written {
    fn new(plan: &Plan, sync: bool) -> io::Result<Self> {
        let bindings = plan.bindings.as_ref();
        let bindings = bindings.map(|bytes| Temporary::write(&plan.place.bindings(), bytes, sync));
        Ok(Self {
            bindings: bindings.transpose()?,
            table: Temporary::write(&plan.place.path, &plan.bytes, sync)?,
        })
    }

    /// Bindings that do not belong to the table that is there are not used, so
    /// that the two names need not change at the same moment.
    fn publish(self, plan: &Plan) -> io::Result<()> {
        let bound = self.bindings.is_some();
        if let Some(bindings) = self.bindings {
            bindings.publish()?;
        }
        self.table.publish()?;
        // Without a table there were no bindings that anybody would use.
        if !bound && plan.state != State::New {
            match fs::remove_file(plan.place.bindings()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Renames; a temporary that a cleaner took for abandoned is written again.
fn publish(plan: &Plan, temporary: io::Result<Written>, mode: Mode) -> io::Result<()> {
    let mut temporary = temporary;
    for _ in 1..ATTEMPTS {
        match temporary?.publish(plan) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        temporary = Written::new(plan, mode == Mode::Durable);
    }
    temporary?.publish(plan)
}

/// Flushes each file system that one of `folders` is on.
fn sync_file_systems(folders: &BTreeSet<&Path>) -> io::Result<()> {
    let mut devices = BTreeSet::new();
    for folder in folders {
        // A folder that could not even be made has its own error elsewhere.
        let Ok(file) = fs::File::open(folder) else {
            continue;
        };
        if devices.insert(file.metadata()?.dev()) {
            nix::unistd::syncfs(file.file().as_fd())?;
        }
    }
    Ok(())
}

/// Makes renames in `folder` durable, and `folder` itself if it is new.
fn sync_with_parent(folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    sync_folder(folder)?;
    folder.parent().map_or(Ok(()), sync_folder)
}

/// Removes what killed runs left in the folders of `plans`, and `leftovers`.
pub(super) fn clean(plans: &[Plan], leftovers: &[PathBuf]) {
    let folders: BTreeSet<&Path> = plans.iter().map(|plan| plan.place.folder()).collect();
    let in_folders = folders
        .into_iter()
        .filter_map(|folder| std::fs::read_dir(folder).ok());
    let abandoned = in_folders
        .flatten()
        .flatten()
        .filter(|entry| is_abandoned(&entry.file_name()))
        .map(|entry| entry.path());
    for path in abandoned.chain(leftovers.iter().cloned()) {
        // Whoever cannot remove it could not use the folder either.
        let _ = std::fs::remove_file(path);
    }
}
