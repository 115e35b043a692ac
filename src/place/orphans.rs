//! Files in table folders that no executable refers to any more.
//!
//! Tables are named after the id of their executable, so a program that is
//! built again leaves one behind. What is here for a reason that cannot be seen
//! is never called an orphan: if a file beside the table folder cannot be read,
//! nothing in the folder is.

use std::collections::{BTreeSet, HashSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use indir_shim::format::bindings_layout::SUFFIX as BINDINGS;
use rayon::prelude::*;

use super::collect::collect;
use super::names::{FOLDER, UNDO_SUFFIX};
use super::table::Place;
use crate::elf::MappedElf;

/// Longest id in hexadecimal.
const LONGEST: usize = 2 * indir_shim::format::layout::ID_LEN;

/// What `folder`, a folder of tables, holds for executables that are not there;
/// `used` are the tables of those that are known to be elsewhere.
pub fn orphans(folder: &Path, used: &HashSet<PathBuf>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let belongs = |path: &Path| {
        let table = table_of(path);
        table.is_none_or(|table| used.contains(&table))
    };
    let files = entries.map(|entry| entry.path());
    let mut candidates: Vec<PathBuf> = files.filter(|path| !belongs(path)).collect();
    if candidates.is_empty() {
        return candidates;
    }
    let Some(used) = folder.parent().and_then(tables_of) else {
        return Vec::new();
    };
    candidates.retain(|path| table_of(path).is_some_and(|table| !used.contains(&table)));
    candidates.sort();
    candidates
}

/// The table that a file in a table folder is, or belongs to.
fn table_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    let (id, rest) = name.split_at(name.find('.').unwrap_or(name.len()));
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let is_id = !id.is_empty() && id.len() <= LONGEST && id.bytes().all(is_hex);
    let is_ours = rest.is_empty() || rest == BINDINGS || rest.ends_with(UNDO_SUFFIX);
    (is_id && is_ours).then(|| path.with_file_name(id))
}

/// The tables of the executables in `folder`; `None` if that cannot be told.
fn tables_of(folder: &Path) -> Option<HashSet<PathBuf>> {
    let mut tables = HashSet::new();
    for entry in std::fs::read_dir(folder).ok()? {
        let entry = entry.ok()?;
        if !entry.file_type().ok()?.is_file() {
            continue;
        }
        let path = entry.path();
        match std::fs::File::open(&path) {
            Ok(_) => tables.extend(table_at(&path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(_) => return None,
        }
    }
    Some(tables)
}

/// The table of the executable at `exe`, if it has a place for one.
fn table_at(exe: &Path) -> Option<PathBuf> {
    let map = MappedElf::open(exe).ok()?;
    let notes = map.elf().ok()?.notes();
    Place::of(exe, &notes).ok().map(|place| place.path)
}

/// Removes what is left of tables that lost their executable: each of `tables`
/// that nobody refers to, with what belongs to it, and folders that are empty
/// then. Returns what could not be removed.
pub fn forget(tables: &[PathBuf]) -> Vec<(PathBuf, std::io::Error)> {
    let tables: HashSet<&PathBuf> = tables.iter().collect();
    let folders: BTreeSet<&Path> = tables.iter().filter_map(|table| table.parent()).collect();
    let mut failures = Vec::new();
    for folder in folders {
        let mut files = orphans(folder, &HashSet::new());
        files.retain(|file| table_of(file).is_some_and(|table| tables.contains(&table)));
        failures.extend(remove(&files));
        if folder.ends_with(FOLDER) {
            // It fails if anything is left in it, as it should.
            let _ = std::fs::remove_dir(folder);
        }
    }
    failures
}

/// What the table folders in `paths` hold that no executable refers to.
pub fn unused(paths: &[PathBuf]) -> Vec<PathBuf> {
    let collected = collect(paths);
    let executables = collected.executables.par_iter();
    let used: HashSet<PathBuf> = executables.filter_map(|exe| table_at(exe)).collect();
    let folders = collected.table_folders.par_iter();
    folders
        .flat_map_iter(|folder| orphans(folder, &used))
        .collect()
}

/// Removes `files`; returns those that could not be removed.
pub fn remove(files: &[PathBuf]) -> Vec<(PathBuf, std::io::Error)> {
    let removed = files.iter().map(|file| (file, std::fs::remove_file(file)));
    let failed = removed.filter_map(|(file, result)| Some((file.clone(), result.err()?)));
    failed
        .filter(|(_, error)| error.kind() != std::io::ErrorKind::NotFound)
        .collect()
}
