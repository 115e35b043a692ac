//! What a package changes besides its libraries.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::change::Build;
use super::error::ReachError;
use crate::elf::MappedElf;

/// Most files of a package.
const MAX_FILES: usize = 1_000_000;
/// How deep a package may be.
const MAX_DEPTH: usize = 100;
/// Folders of a package that only people read.
const FOR_PEOPLE: [&str; 5] = [
    "share/doc",
    "share/man",
    "share/info",
    "share/lintian",
    "lib/debug",
];

/// The first file, by name, that differs between the folders of two builds of a package
/// and is none of their libraries; what is only documentation does not count.
///
/// # Errors
/// When a folder cannot be read.
pub fn other_change(
    (old, new): (&Path, &Path),
    builds: (&Build, &Build),
) -> Result<Option<PathBuf>, ReachError> {
    let (before, after) = (files(old)?, files(new)?);
    let judged = |build: &Build, folder: &Path, file: &Path| {
        let real = std::fs::canonicalize(folder.join(file)).ok();
        real.is_some_and(|real| build.libraries.values().any(|library| *library == real))
    };
    for file in before.union(&after) {
        if judged(builds.0, old, file) && judged(builds.1, new, file) {
            continue;
        }
        // A link to a library, or to whatever else is compared by itself.
        let is_link = |folder: &Path| folder.join(file).is_symlink();
        let by_itself = is_link(old) && is_link(new);
        let aims = |folder: &Path| std::fs::read_link(folder.join(file)).ok();
        if by_itself && (aims(old) == aims(new) || judged(builds.0, old, file)) {
            continue;
        }
        // A library that is called otherwise now is compared by its soname.
        let renamed = judged(builds.0, old, file) || judged(builds.1, new, file);
        if renamed && builds.0.libraries.keys().eq(builds.1.libraries.keys()) {
            continue;
        }
        if by_itself || !is_equal(&old.join(file), &new.join(file)) {
            return Ok(Some(file.clone()));
        }
    }
    Ok(None)
}

/// Files and links below `folder`, relative to it.
fn files(folder: &Path) -> Result<BTreeSet<PathBuf>, ReachError> {
    let failed = |why: String| ReachError::Build(folder.to_owned(), why);
    if !folder.is_dir() {
        return Err(failed("--package compares two folders".to_owned()));
    }
    let mut files = BTreeSet::new();
    let walk = walkdir::WalkDir::new(folder).max_depth(MAX_DEPTH);
    for entry in walk.into_iter().take(MAX_FILES) {
        let entry = entry.map_err(|error| failed(error.to_string()))?;
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        let for_people = |under: &&str| {
            let inner = path.strip_prefix("usr").unwrap_or(path);
            inner.starts_with(under)
        };
        if !entry.file_type().is_dir() && !FOR_PEOPLE.iter().any(for_people) {
            files.insert(path.to_owned());
        }
    }
    Ok(files)
}

fn is_equal(old: &Path, new: &Path) -> bool {
    let empty = |path: &Path| {
        let metadata = std::fs::symlink_metadata(path);
        metadata.is_ok_and(|m| m.is_file() && m.len() == 0)
    };
    match (MappedElf::open(old), MappedElf::open(new)) {
        (Ok(old), Ok(new)) => old.bytes() == new.bytes(),
        _ => empty(old) && empty(new),
    }
}
