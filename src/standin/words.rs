//! What a source names: every word of every file, and what else decides whether a
//! change can be seen.
//!
//! Comments and documents count too: leaving a file out by its name once cost a
//! declaration. Only the rule of versions (docs/stand-in.md) asks where a word stands.

use std::collections::BTreeSet;
use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::scan::{self, Scanned};
pub use super::word::{Files, Pattern, Word};

/// Longest file that is read, in bytes.
const MAX_FILE: u64 = 256 << 20;
/// Most files.
const MAX_FILES: usize = 2_000_000;
/// Most different words.
const MAX_WORDS: usize = 16_000_000;
/// How many files are scanned before their words are put together.
const CHUNK: usize = 256;
/// Folders of version control, of which no build takes anything.
const UNREAD: &[&str] = &[".git", ".hg", ".svn", ".bzr"];

/// The words of one source or several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// Files by index.
    pub files: Vec<String>,
    /// All words.
    pub words: BTreeMap<Vec<u8>, Word>,
    /// Conditions of the preprocessor, without `defined`-only ones' shorthand: tokens
    /// with a space between.
    pub conditions: BTreeSet<Vec<u8>>,
    /// Names that are put together.
    pub patterns: BTreeSet<Pattern>,
    /// Numbers of versions that are compared with.
    pub versions: BTreeSet<String>,
    /// How versions of modules are asked for: `modversion`, `version()`, prefixes of
    /// CMake's `pkg_check_modules`.
    pub asks: BTreeSet<Vec<u8>>,
    /// Whether macros paste words.
    pub pastes: bool,
}

impl Words {
    /// The words of all files below `folders`.
    ///
    /// # Errors
    /// When a folder or file cannot be read, with its path, or there are too many.
    pub fn read(folders: &[PathBuf]) -> io::Result<Self> {
        let mut words = Self::default();
        for folder in folders {
            let paths = files(folder)?;
            for paths in paths.chunks(CHUNK) {
                let scanned: io::Result<Vec<Scanned>> = paths
                    .par_iter()
                    .map(|path| read(&folder.join(path)))
                    .collect();
                for (path, scanned) in paths.iter().zip(scanned?) {
                    words.add(path, scanned)?;
                }
            }
        }
        Ok(words)
    }

    /// Adds a file's.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn add(&mut self, path: &str, scanned: Scanned) -> io::Result<()> {
        let index = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.push(path.to_owned());
        for (text, found) in scanned.words {
            let place = (index, found.place.1);
            let files = match found.files {
                Files::All => Files::All,
                _ if found.in_code || found.in_condition => Files::Some(vec![index]),
                none => none,
            };
            let found = Word {
                place,
                files,
                ..found
            };
            self.merge(text, found)?;
        }
        self.conditions.extend(scanned.conditions);
        self.patterns.extend(scanned.patterns);
        self.versions.extend(scanned.versions);
        self.asks.extend(scanned.asks);
        self.pastes |= scanned.pastes;
        Ok(())
    }

    /// Adds a word.
    ///
    /// # Errors
    /// When there are too many.
    pub(super) fn merge(&mut self, text: Vec<u8>, found: Word) -> io::Result<()> {
        let is_full = self.words.len() >= MAX_WORDS;
        match self.words.entry(text) {
            Entry::Occupied(mut known) => known.get_mut().merge(found),
            Entry::Vacant(_) if is_full => {
                return Err(io::Error::other("more than 16 million words"));
            }
            Entry::Vacant(place) => {
                place.insert(found);
            }
        }
        Ok(())
    }

    /// Adds those of another source.
    ///
    /// # Errors
    /// When there are too many words.
    pub fn join(&mut self, other: Self) -> io::Result<()> {
        let offset = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        self.files.extend(other.files);
        for (text, found) in other.words {
            let place = (found.place.0.saturating_add(offset), found.place.1);
            let files = found.files.moved(offset);
            let found = Word {
                place,
                files,
                ..found
            };
            self.merge(text, found)?;
        }
        self.conditions.extend(other.conditions);
        self.patterns.extend(other.patterns);
        self.versions.extend(other.versions);
        self.asks.extend(other.asks);
        self.pastes |= other.pastes;
        Ok(())
    }

    /// Where a word stands, for people.
    pub fn place(&self, word: &Word) -> String {
        let file = self.files.get(word.place.0 as usize);
        match file {
            Some(file) => format!("{file}:{}", word.place.1),
            None => "a file that is not known".to_owned(),
        }
    }
}

/// The regular files below a folder, or the file itself, by path from it, sorted.
fn files(folder: &Path) -> io::Result<Vec<String>> {
    let at = |path: &Path, error: io::Error| {
        io::Error::new(error.kind(), format!("{}: {error}", path.display()))
    };
    if !folder
        .metadata()
        .map_err(|error| at(folder, error))?
        .is_dir()
    {
        return Err(at(folder, io::ErrorKind::NotADirectory.into()));
    }
    // The folder itself may be a symlink; what is below it is not followed.
    let root = folder.canonicalize().map_err(|error| at(folder, error))?;
    let mut found = Vec::new();
    let walk = walkdir::WalkDir::new(&root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| !UNREAD.iter().any(|name| entry.file_name() == *name));
    for entry in walk {
        let entry = entry.map_err(io::Error::from)?;
        if entry.file_type().is_file() {
            let path = entry.path().strip_prefix(&root).map_err(io::Error::other)?;
            found.push(path.to_string_lossy().into_owned());
        }
        if found.len() > MAX_FILES {
            return Err(at(folder, io::Error::other("more than 2 million files")));
        }
    }
    Ok(found)
}

fn read(path: &Path) -> io::Result<Scanned> {
    let at =
        |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let size = path.metadata().map_err(at)?.len();
    if size > MAX_FILE {
        return Err(at(io::Error::other("is larger than 256 MiB")));
    }
    let data = std::fs::read(path).map_err(at)?;
    Ok(scan::scan(&path.to_string_lossy(), &data))
}
