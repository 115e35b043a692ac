//! What of a folder is to be made indirect, and what the rest is.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::refuse;
use crate::arch::Arch;
use crate::elf::{MappedElf, Root, open_regular};
use crate::place::{is_table_folder, is_temporary};

/// Most files of one folder.
const MAX_FILES: usize = 10_000_000;

/// What a file of a folder is that is not made indirect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skipped {
    /// It begins with `#!`.
    Script,
    /// It loads no library.
    Static,
    /// A shared library, or what says so of itself.
    Library,
    /// A program of musl, of another C library or another machine.
    Foreign,
    /// Neither ELF nor a script.
    Other,
}

impl Skipped {
    /// All of them, in the order in which they are told.
    pub const ALL: [Self; 5] = [
        Self::Script,
        Self::Static,
        Self::Library,
        Self::Foreign,
        Self::Other,
    ];

    /// The word for one.
    pub fn word(self) -> &'static str {
        match self {
            Self::Script => "script",
            Self::Static => "static",
            Self::Library => "library",
            Self::Foreign => "foreign",
            Self::Other => "other",
        }
    }
}

/// What is in a folder and below.
#[derive(Debug, Default)]
pub struct InFolder {
    /// Executables for glibc's ld.so, sorted.
    pub executables: Vec<PathBuf>,
    /// Everything else, with what it is.
    pub skipped: BTreeMap<PathBuf, Skipped>,
    /// What could not be looked at, and why.
    pub failures: Vec<(PathBuf, String)>,
}

/// Looks at every file of `folder` and below, but in folders of tables; links in it are
/// not followed. Interpreters are looked for below `root`.
pub fn in_folder(root: &Root, folder: &Path) -> InFolder {
    let mut found = InFolder::default();
    let mut files = Vec::new();
    let walk = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter();
    let ours = |entry: &walkdir::DirEntry| {
        entry.depth() > 0 && entry.file_type().is_dir() && is_table_folder(entry.file_name())
    };
    for entry in walk.filter_entry(|entry| !ours(entry)).take(MAX_FILES) {
        match entry {
            // What another run writes, or left, is no program of the folder.
            Ok(entry) if is_temporary(entry.file_name()) => {}
            Ok(entry) if entry.file_type().is_file() => files.push(entry.into_path()),
            Ok(_) => {}
            Err(error) => {
                let path = error.path().unwrap_or(folder).to_owned();
                let why = error.io_error().map(ToString::to_string);
                found
                    .failures
                    .push((path, why.unwrap_or_else(|| error.to_string())));
            }
        }
    }
    let looked: Vec<_> = files
        .into_par_iter()
        .map(|file| {
            let what = what(root, &file);
            (file, what)
        })
        .collect();
    for (file, what) in looked {
        match what {
            Ok(None) => found.executables.push(file),
            Ok(Some(what)) => {
                found.skipped.insert(file, what);
            }
            Err(why) => found.failures.push((file, why)),
        }
    }
    found
}

/// What the file at `path` is; `None` if it can be made indirect.
///
/// # Errors
/// When it cannot be read.
pub fn what(root: &Root, path: &Path) -> Result<Option<Skipped>, String> {
    // Most files of a tree are not ELF: four bytes tell, without a mapping.
    let mut magic = [0; 4];
    let (mut file, _) = open_regular(path).map_err(|error| error.to_string())?;
    let whole = file.read_exact(&mut magic).is_ok();
    if magic.starts_with(b"#!") {
        return Ok(Some(Skipped::Script));
    }
    if !whole || magic != *b"\x7fELF" {
        return Ok(Some(Skipped::Other));
    }
    let Ok(map) = MappedElf::open(path) else {
        return Ok(Some(Skipped::Foreign));
    };
    let Ok(elf) = map.elf() else {
        // Object files, core dumps, other machines.
        return Ok(Some(Skipped::Foreign));
    };
    let dynamic = elf.dynamic().ok().flatten();
    if Arch::of(elf.machine()).is_none() {
        return Ok(Some(Skipped::Foreign));
    }
    Ok(match (elf.interpreter(), dynamic) {
        // libc.so.6 has an interpreter and an entry point, too.
        (_, Some(dynamic)) if dynamic.soname.is_some() => Some(Skipped::Library),
        (None, _) => Some(match super::edit::no_interpreter(&elf) {
            super::AdoptError::Static => Skipped::Static,
            _ => Skipped::Library,
        }),
        (Some(_), _) if refuse::unsuitable(root, &map).is_err() => Some(Skipped::Foreign),
        (Some(_), _) => None,
    })
}
