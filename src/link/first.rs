//! A first table for a fresh executable, so that what a build runs at once
//! (configure's tests, generators, `make check`) starts.
//!
//! Best effort: it must neither print nor fail the link. `indir update` writes
//! the table that stays.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::options::{Item, What};
use crate::elf::ElfFile;
use crate::resolve::Store;
use crate::resolve::files::ldcache::LdCache;

/// The environment variable that, being `0`, turns first tables off.
const VARIABLE: &str = "INDIR_LINK_TABLE";

/// Where the link itself looked for libraries.
#[derive(Debug, Default)]
pub(super) struct Folders {
    /// -rpath and LD_RUN_PATH: where the user wants them found at start.
    run: Vec<PathBuf>,
    /// -L.
    link: Vec<PathBuf>,
}

impl Folders {
    /// Adds a list of folders that the executable would have had as its RPATH.
    pub(super) fn add_run(&mut self, list: &OsStr) {
        self.run.extend(std::env::split_paths(list));
    }

    /// Adds the -L folders.
    pub(super) fn add_link(&mut self, items: &[Item]) {
        for item in items {
            if let What::LibraryPath(folder) = &item.what {
                self.link.push(folder.into());
            }
        }
    }

    /// The folders to search for the libraries of `file`, which is at `path`:
    /// the run-time ones, then those -L folders that hold a library it needs,
    /// unless ld.so looks there anyway.
    fn search(&self, path: &Path, file: &ElfFile<'_>) -> Vec<PathBuf> {
        let origin = path.parent().unwrap_or(Path::new("/"));
        let needed = file.dynamic().ok().flatten().unwrap_or_default().needed;
        let mut seen = HashSet::new();
        let run = self.run.iter().map(|folder| expand(folder, origin));
        let link = self.link.iter().filter(|folder| {
            let holds = |name: &&[u8]| folder.join(OsStr::from_bytes(name)).is_file();
            needed.iter().any(holds) && !is_default(folder)
        });
        run.chain(link.cloned())
            .filter_map(|folder| std::path::absolute(folder).ok())
            .filter(|folder| seen.insert(folder.clone()))
            .collect()
    }
}

/// Writes the table of the executable `file` at `path` if its libraries can be
/// found, and if the user has not turned that off.
pub(super) fn write(folders: &Folders, path: &Path, file: &ElfFile<'_>) {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "0") {
        return;
    }
    let Ok(path) = std::path::absolute(path) else {
        return;
    };
    // One table is no work for threads, and starting them costs more than it.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .use_current_thread()
        .build_global();
    // No table is what there was before.
    let _ = crate::update::first_table(&path, &folders.search(&path, file));
}

/// ld.so's `$ORIGIN`, which is the folder of the executable.
fn expand(folder: &Path, origin: &Path) -> PathBuf {
    let bytes = folder.as_os_str().as_bytes();
    for token in [&b"$ORIGIN"[..], b"${ORIGIN}"] {
        if let Some(rest) = bytes.strip_prefix(token) {
            let mut path = origin.as_os_str().to_os_string();
            path.push(OsStr::from_bytes(rest));
            return PathBuf::from(OsString::from_vec(path.into_vec()));
        }
    }
    folder.to_path_buf()
}

/// Whether ld.so searches `folder` without being told.
fn is_default(folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else {
        return false;
    };
    let store = Store::with_cache(LdCache::default());
    let mut defaults = store.defaults().folders.iter();
    defaults.any(|default| default.canonicalize().is_ok_and(|path| path == folder))
}
