//! Files in table folders that no executable refers to any more.
//!
//! Tables are named after the id of their executable, so a program that is
//! built again leaves one behind. What is here for a reason that cannot be seen
//! is never called an orphan: if a file beside the table folder cannot be read,
//! nothing in the folder is.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::collect::collect;
use super::folder::{FileId, Folder};
use super::names::{MAGIC, id_in, is_table_folder};
use super::owner::Acting;
use super::table::Place;
use crate::elf::{MappedElf, open_regular};

/// A file of ours that nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Its path.
    pub path: PathBuf,
    /// Which file it was when it was looked at.
    file: FileId,
}

/// What `folder`, a folder of tables, holds for executables that are not there;
/// `used` are the tables of those that are known to be elsewhere.
pub fn orphans(folder: &Path, used: &HashSet<PathBuf>) -> Vec<Unused> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let belongs = |path: &Path| {
        let table = table_of(path);
        table.is_none_or(|table| used.contains(&table))
    };
    let files = entries.map(|entry| entry.path());
    let mut candidates: Vec<PathBuf> = files.filter(|path| !belongs(path)).collect();
    if candidates.is_empty() {
        return Vec::new();
    }
    let Some(used) = folder.parent().and_then(tables_of) else {
        return Vec::new();
    };
    candidates.retain(|path| table_of(path).is_some_and(|table| !used.contains(&table)));
    candidates.sort();
    with_identity(candidates)
}

/// Those of `paths` that are files of ours.
fn with_identity(paths: Vec<PathBuf>) -> Vec<Unused> {
    let ours = paths.into_iter().filter_map(|path| {
        let file = ours_at(&path)?;
        Some(Unused { path, file })
    });
    ours.collect()
}

/// The table that a file in a table folder is, or belongs to.
fn table_of(path: &Path) -> Option<PathBuf> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    id_in(name).map(|id| path.with_file_name(id))
}

/// Which file is at `path`, if its content, too, says that it is one of ours.
fn ours_at(path: &Path) -> Option<FileId> {
    use std::io::Read as _;
    let (mut file, metadata) = open_regular(path).ok()?;
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic).ok()?;
    let not_a_link = std::fs::symlink_metadata(path).is_ok_and(|m| m.ino() == metadata.ino());
    (magic == MAGIC && not_a_link).then(|| (metadata.dev(), metadata.ino()))
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
        match open_regular(&path) {
            Ok(_) => tables.extend(table_at(&path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
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
pub fn forget(tables: &[PathBuf]) -> Vec<(PathBuf, io::Error)> {
    let tables: HashSet<&PathBuf> = tables.iter().collect();
    let folders: HashSet<&Path> = tables.iter().filter_map(|table| table.parent()).collect();
    let mut failures = Vec::new();
    for folder in folders {
        let mut files = orphans(folder, &HashSet::new());
        files.retain(|file| table_of(&file.path).is_some_and(|table| tables.contains(&table)));
        failures.extend(remove(&files));
        if folder.file_name().is_some_and(is_table_folder) {
            remove_empty(folder);
        }
    }
    failures
}

/// Removes a folder of tables with nothing in it.
fn remove_empty(folder: &Path) {
    let (Some(parent), Some(name)) = (folder.parent(), folder.file_name()) else {
        return;
    };
    let Ok(parent) = Folder::open(parent) else {
        return;
    };
    if let Ok(Some(found)) = parent.look(name) {
        // It fails if anything is left in it, as it should.
        let _ = as_owner(found.owner.uid, found.owner.gid, || {
            parent.remove_empty(name);
            Ok(())
        });
    }
}

/// What the table folders in `paths` hold that no executable refers to.
pub fn unused(paths: &[PathBuf]) -> Vec<Unused> {
    let collected = collect(paths);
    let executables = collected.executables.par_iter();
    let used: HashSet<PathBuf> = executables.filter_map(|exe| table_at(exe)).collect();
    let folders = collected.table_folders.par_iter();
    folders
        .flat_map_iter(|folder| orphans(folder, &used))
        .collect()
}

/// What `folder`, where tables are by id, holds for executables that `paths` do not
/// mean; nothing if that cannot be told of all of them.
pub fn unused_in(folder: &Path, paths: &[PathBuf]) -> Vec<Unused> {
    let collected = collect(paths);
    let executables = collected.executables.par_iter();
    let used: Option<HashSet<PathBuf>> = executables
        .map(|exe| {
            let map = MappedElf::open(exe).ok()?;
            let notes = map.elf().ok()?.notes();
            Some(Place::in_folder(folder, &notes).ok()?.path)
        })
        .collect();
    let Some(used) = used.filter(|_| collected.failures.is_empty()) else {
        return Vec::new();
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    let is_unused = |path: &PathBuf| table_of(path).is_some_and(|table| !used.contains(&table));
    let mut unused: Vec<PathBuf> = paths.filter(is_unused).collect();
    unused.sort();
    with_identity(unused)
}

/// Removes `files`, each as the owner of its folder could and only if it still
/// is the file that was looked at; returns those that could not be removed.
pub fn remove(files: &[Unused]) -> Vec<(PathBuf, io::Error)> {
    let mut folders: BTreeMap<&Path, Vec<&Unused>> = BTreeMap::new();
    for file in files {
        let folder = file.path.parent().unwrap_or(Path::new("/"));
        folders.entry(folder).or_default().push(file);
    }
    let mut failures = Vec::new();
    for (path, files) in folders {
        let folder = Folder::open(path);
        for file in files {
            let result = match &folder {
                Ok(folder) => remove_in(folder, file),
                Err(error) => Err(io::Error::new(error.kind(), error.to_string())),
            };
            if let Err(error) = result {
                failures.push((file.path.clone(), error));
            }
        }
    }
    failures.retain(|(_, error)| error.kind() != io::ErrorKind::NotFound);
    failures
}

fn remove_in(folder: &Folder, file: &Unused) -> io::Result<()> {
    let name = file.path.file_name().unwrap_or_default();
    let owner = folder.found()?.owner;
    as_owner(owner.uid, owner.gid, || match folder.look(name)? {
        Some(found) if found.id == file.file => folder.remove(name),
        _ => Ok(()),
    })
}

/// What root does in a folder of somebody else's, it does as that one could.
fn as_owner(uid: u32, gid: u32, work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    let acts = uid != 0 && nix::unistd::geteuid().is_root();
    let _acting = acts.then(|| Acting::new(uid, gid)).transpose()?;
    work()
}
