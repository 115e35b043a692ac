//! From the paths on the command line to executables.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::names::FOLDER;
use super::temporary::is_abandoned;
use crate::elf::{ElfFile, MappedElf};

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
        let found = in_folder(&real, &mut collected);
        if found.is_empty() {
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
        if entry.file_type().is_dir() && entry.file_name() == FOLDER {
            collected.table_folders.push(entry.into_path());
            continue;
        }
        if !entry.file_type().is_file() {
            continue;
        }
        if is_abandoned(entry.file_name()) {
            collected.leftovers.push(entry.into_path());
        } else {
            files.push(entry.into_path());
        }
    }
    files
        .into_par_iter()
        .filter(|file| is_indirect(file))
        .collect()
}

/// Whether the file has an `indir` note, well-formed or not. What cannot be
/// read is not an executable that anyone could start.
fn is_indirect(path: &Path) -> bool {
    use std::io::Read as _;
    // Most files of a tree are not ELF: four bytes tell, without a mapping.
    let mut magic = [0; 4];
    let is_elf = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut magic));
    if is_elf.is_err() || magic != *b"\x7fELF" {
        return false;
    }
    let Ok(map) = MappedElf::open(path) else {
        return false;
    };
    let notes = map.elf().map(|elf: ElfFile<'_>| {
        let notes = elf.notes();
        elf.interpreter().is_some() && (notes.reference.is_some() || notes.malformed)
    });
    notes.unwrap_or(false)
}
