//! From the paths on the command line to executables.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::folder::Folder;
use super::names::{CHANGED, id_in, is_table_folder};
use super::temporary::{abandoned, is_temporary};
use crate::elf::{ElfFile, MappedElf, open_regular};

/// Most files of one run.
const MAX_FILES: usize = 10_000_000;

/// What the paths mean.
#[derive(Clone, Debug, Default)]
pub struct Collected {
    /// Executables, absolute and free of symlinks, each once, sorted within
    /// each folder that was given.
    pub executables: Vec<PathBuf>,
    /// Paths that mean nothing, and why.
    pub failures: Vec<(PathBuf, String)>,
    /// Temporaries that a killed run left behind.
    pub leftovers: Vec<PathBuf>,
    /// Folders of tables.
    pub table_folders: Vec<PathBuf>,
}

/// Resolves `paths`: a file stands for itself, a folder for every indirect
/// executable in it, symlinks in it not followed.
pub fn collect(paths: &[PathBuf]) -> Collected {
    let mut collected = Collected::default();
    let mut seen = HashSet::new();
    for path in paths {
        let real = match std::fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) => {
                collected.failures.push((path.clone(), error.to_string()));
                continue;
            }
        };
        if !real.is_dir() {
            if seen.insert(real.clone()) {
                collected.executables.push(real);
            }
            continue;
        }
        let before = collected.failures.len();
        let found = in_folder(&real, &mut collected);
        if found.is_empty() && collected.failures.len() == before {
            let why = "no indirect executable in this folder".to_owned();
            collected.failures.push((path.clone(), why));
        }
        let new = found.into_iter().filter(|file| seen.insert(file.clone()));
        collected.executables.extend(new);
    }
    collected
}

fn in_folder(folder: &Path, collected: &mut Collected) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .take(MAX_FILES)
    {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let why = error
                    .io_error()
                    .map_or_else(|| error.to_string(), ToString::to_string);
                collected.failures.push((path, why));
                continue;
            }
        };
        if entry.file_type().is_dir() && is_table_folder(entry.file_name()) {
            let path = entry.into_path();
            collected.leftovers.extend(abandoned_in(&path));
            collected.table_folders.push(path);
            continue;
        }
        if entry.file_type().is_file() {
            let path = entry.into_path();
            if is_abandoned_at(&path) {
                collected.leftovers.push(path);
            } else {
                files.push(path);
            }
        }
    }
    let looked_at: Vec<(PathBuf, Result<bool, String>)> = files
        .into_par_iter()
        .map(|file| {
            let is_indirect = is_indirect(&file);
            (file, is_indirect)
        })
        .collect();
    let mut found = Vec::new();
    for (file, is_indirect) in looked_at {
        match is_indirect {
            Ok(true) => found.push(file),
            Ok(false) => {}
            Err(why) => collected.failures.push((file, why)),
        }
    }
    found
}

/// Whether a killed `indir adopt -o` left the file: its name says so, and nobody
/// writes it. Outside of our own folders that does not suffice to remove it.
fn is_abandoned_at(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return false;
    };
    is_temporary(name)
        && Folder::open(folder).is_ok_and(|folder| abandoned(&folder, name, |_| true).is_some())
}

/// What killed runs left in a folder of tables.
pub(super) fn abandoned_in(path: &Path) -> Vec<PathBuf> {
    let Ok(folder) = Folder::open(path) else {
        return Vec::new();
    };
    let mut names = folder.names();
    names.retain(|name| abandoned(&folder, name, |name| id_in(name).is_some()).is_some());
    names.sort();
    names.iter().map(|name| path.join(name)).collect()
}

/// Whether the file has an `indir` note, well-formed or not. What cannot be
/// read is not an executable that anyone could start.
///
/// # Errors
/// When the file was written while it was looked at.
fn is_indirect(path: &Path) -> Result<bool, String> {
    use std::io::Read as _;
    // Most files of a tree are not ELF: four bytes tell, without a mapping.
    let mut magic = [0; 4];
    let is_elf = open_regular(path).and_then(|(mut file, _)| file.read_exact(&mut magic));
    if is_elf.is_err() || magic != *b"\x7fELF" {
        return Ok(false);
    }
    let Ok(map) = MappedElf::open(path) else {
        return Ok(false);
    };
    let notes = map.elf().map(|elf: ElfFile<'_>| {
        let notes = elf.notes();
        elf.interpreter().is_some() && (notes.reference.is_some() || notes.malformed)
    });
    let is_indirect = notes.unwrap_or(false);
    match is_indirect || map.is_unchanged() {
        true => Ok(is_indirect),
        false => Err(CHANGED.to_owned()),
    }
}
