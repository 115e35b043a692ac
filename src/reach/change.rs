//! What changes. Two builds of libraries are found by their sonames as ld.so finds them:
//! each is a folder of links for the time of a run, which is searched before all others.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::error::ReachError;
use crate::elf::MappedElf;
use crate::table::{Replacement, TableFile};

/// How deep a folder of libraries may be.
const MAX_DEPTH: usize = 40;
/// Most files of such a folder.
const MAX_FILES: usize = 1_000_000;

/// Which libraries stand for which.
#[derive(Debug)]
pub enum Change {
    /// Two builds of libraries, by soname.
    Builds(Box<Build>, Box<Build>),
    /// Folders of tables.
    Replacements(Vec<Replacement>),
    /// Tables, by program.
    Tables(Tables),
}

impl Change {
    /// Folders of links that stand for what they lead to.
    pub(super) fn links(&self) -> Vec<PathBuf> {
        match self {
            Self::Builds(old, new) => vec![old.folder().to_owned(), new.folder().to_owned()],
            _ => Vec::new(),
        }
    }
}

/// The table that each program had, and the one that it gets.
#[derive(Debug, Default)]
pub struct Tables(HashMap<PathBuf, [TableFile; 2]>);

impl Tables {
    /// Adds those of the program at `program`, which is absolute and free of symlinks.
    pub fn add(&mut self, program: PathBuf, old: TableFile, new: TableFile) {
        self.0.insert(program, [old, new]);
    }

    /// Both of the program at `program`.
    pub(super) fn of(&self, program: &Path) -> Result<&[TableFile; 2], ReachError> {
        self.0.get(program).ok_or(ReachError::NoTable)
    }
}

/// One build.
#[derive(Debug)]
pub struct Build {
    folder: tempfile::TempDir,
    /// The libraries by soname, absolute.
    pub libraries: BTreeMap<Vec<u8>, PathBuf>,
    /// All files by their names.
    files: BTreeMap<OsString, PathBuf>,
}

impl Build {
    /// The library at `path`, or all libraries in the folder at `path` and below it.
    ///
    /// # Errors
    /// When there is none, or two have one soname.
    pub fn of(path: &Path) -> Result<Self, ReachError> {
        let failed = |why: String| ReachError::Build(path.to_owned(), why);
        let io = |error: std::io::Error| failed(error.to_string());
        let real = std::fs::canonicalize(path).map_err(io)?;
        let mut libraries = BTreeMap::new();
        let mut files = BTreeMap::new();
        if real.is_dir() {
            let walk = walkdir::WalkDir::new(&real).max_depth(MAX_DEPTH);
            for entry in walk.sort_by_file_name().into_iter().take(MAX_FILES) {
                let entry = entry.map_err(|error| failed(error.to_string()))?;
                if !entry.file_type().is_file() {
                    continue;
                }
                files.insert(entry.file_name().to_owned(), entry.path().to_owned());
                let Ok(soname) = soname(entry.path()) else {
                    continue;
                };
                let new = entry.into_path();
                if let Some(other) = libraries.insert(soname, new.clone()) {
                    return Err(failed(format!(
                        "`{}` and `{}` have one soname; give the folder of one of them",
                        other.display(),
                        new.display()
                    )));
                }
            }
        } else {
            let soname = soname(&real).map_err(failed)?;
            libraries.insert(soname, real);
        }
        if libraries.is_empty() {
            return Err(failed("no library with a soname in it".to_owned()));
        }
        let folder = tempfile::tempdir().map_err(io)?;
        for (soname, library) in &libraries {
            let name = OsStr::from_bytes(soname);
            std::os::unix::fs::symlink(library, folder.path().join(name)).map_err(io)?;
        }
        Ok(Self {
            folder,
            libraries,
            files,
        })
    }

    /// The file that is called so, or the library with that soname.
    pub(super) fn of_name(&self, name: &OsStr) -> Option<&Path> {
        let library = || self.libraries.get(name.as_bytes());
        Some(self.files.get(name).or_else(library)?)
    }

    /// The folder of links.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// The soname of a shared library, which is one file name.
fn soname(path: &Path) -> Result<Vec<u8>, String> {
    let file = MappedElf::open(path).map_err(|error| error.to_string())?;
    let elf = file.elf().map_err(|error| error.to_string())?;
    let dynamic = elf.dynamic().map_err(|error| error.to_string())?;
    let soname = dynamic.and_then(|dynamic| dynamic.soname);
    match soname {
        Some(name)
            if !name.is_empty() && !name.contains(&b'/') && name != b"." && name != b".." =>
        {
            Ok(name.to_vec())
        }
        _ => Err("not a library with a soname".to_owned()),
    }
}
