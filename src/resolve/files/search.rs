//! Finding the file for one name, in ld.so's order (`_dl_map_object` in glibc
//! elf/dl-load.c), with the caller's own folders before everything.
//!
//! LD_LIBRARY_PATH and LD_PRELOAD of the updating process are not consulted:
//! a table must not depend on the shell that wrote it.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::library::Library;
use super::store::{Hit, Lookup, Probe, SearchList, Store};
use super::tokens;
use crate::elf::Search;

/// Most folders of one RPATH or RUNPATH that are searched.
const MAX_FOLDERS: usize = 4096;

/// Where an object's needs are looked for, besides what is common to all.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// DT_RPATH: inherited by the needs of needs.
    pub rpath: Option<Arc<SearchList>>,
    /// DT_RUNPATH.
    pub runpath: Option<Arc<SearchList>>,
    /// DF_1_NODEFLIB.
    pub no_defaults: bool,
}

impl Folders {
    /// The folders that `library`, found at `path`, brings.
    pub(super) fn of(store: &Store, library: &Library, path: &Path) -> Self {
        let mut folders = Self {
            rpath: None,
            runpath: None,
            no_defaults: library.no_default_folders,
        };
        if let Some((kind, text)) = &library.search {
            let list = Some(store.list(&split(text, path)));
            match kind {
                Search::Rpath => folders.rpath = list,
                Search::Runpath => folders.runpath = list,
            }
        }
        folders
    }

    /// Puts `moved`, which `$ORIGIN` named where the object came from, before
    /// its own folders, under the same tag.
    pub(super) fn put_first(&mut self, store: &Store, moved: &[PathBuf]) {
        if moved.is_empty() {
            return;
        }
        let all: Vec<PathBuf> = moved.iter().chain(self.own()).cloned().collect();
        let list = Some(store.list(&all));
        if self.rpath.is_some() {
            self.rpath = list;
        } else {
            self.runpath = list;
        }
    }

    /// Its own folders, whichever tag named them.
    pub(super) fn own(&self) -> &[PathBuf] {
        let list = self.rpath.as_ref().or(self.runpath.as_ref());
        list.map_or(&[], |list| &list.folders)
    }
}

/// The folders of an RPATH or RUNPATH. Empty and relative ones mean the
/// current folder of a later start, so that a table cannot follow them.
fn split(text: &[u8], object: &Path) -> Vec<PathBuf> {
    let origin = object
        .parent()
        .unwrap_or(Path::new("/"))
        .as_os_str()
        .as_bytes();
    let mut seen = HashSet::new();
    text.split(|&b| b == b':')
        .take(MAX_FOLDERS)
        .map(|folder| tokens::expand(folder, origin))
        .map(|mut folder| {
            while folder.len() > 1 && folder.last() == Some(&b'/') {
                folder.pop();
            }
            PathBuf::from(OsStr::from_bytes(&folder))
        })
        .filter(|folder| folder.is_absolute() && seen.insert(folder.clone()))
        .collect()
}

/// Folders of the search path of `library` that exist beside the executable at
/// `from`, but not beside a copy of it at `to`: what `$ORIGIN` would lose.
pub fn left_behind(library: &Library, from: &Path, to: &Path) -> Vec<PathBuf> {
    let Some((_, text)) = &library.search else {
        return Vec::new();
    };
    let expand = |folder: &[u8], object: &Path| {
        let origin = object.parent().unwrap_or(Path::new("/"));
        let folder = tokens::expand(folder, origin.as_os_str().as_bytes());
        PathBuf::from(OsStr::from_bytes(&folder))
    };
    text.split(|&b| b == b':')
        .take(MAX_FOLDERS)
        .map(|folder| (expand(folder, from), expand(folder, to)))
        .filter(|(here, there)| here != there && here.is_absolute() && !there.is_dir())
        .filter_map(|(here, _)| {
            std::fs::canonicalize(here)
                .ok()
                .filter(|here| here.is_dir())
        })
        .collect()
}

/// Outcome of a search, with what to tell if it failed.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(Hit),
    Bad(PathBuf, Arc<str>),
    Missing {
        /// Folders and caches that were searched, in order.
        looked: Vec<PathBuf>,
        skipped: Vec<(PathBuf, Arc<str>)>,
    },
}

/// One search: the lists that apply, in order.
pub(super) struct Searcher<'a> {
    pub store: &'a Store,
    /// The caller's folders.
    pub lib_dirs: &'a SearchList,
    /// DT_RPATH lists of the object that asks, its loader, and so on.
    pub rpaths: Vec<&'a SearchList>,
    /// DT_RUNPATH of the object that asks.
    pub runpath: Option<&'a SearchList>,
    /// Whether the default folders are left out.
    pub no_defaults: bool,
}

impl Searcher<'_> {
    /// Finds `name`, which holds no slash.
    pub(super) fn find(&self, name: &[u8]) -> Outcome {
        let mut looked = Vec::new();
        let mut skipped = Vec::new();
        let before_cache = std::iter::once(self.lib_dirs)
            .chain(self.rpaths.iter().copied())
            .chain(self.runpath);
        for list in before_cache {
            if let Some(outcome) = self.look(list, name, &mut looked, &mut skipped) {
                return outcome;
            }
        }
        if let Some(outcome) = self.look_in_cache(name, &mut skipped) {
            return outcome;
        }
        looked.push(PathBuf::from(super::ldcache::PATH));
        if !self.no_defaults
            && let Some(outcome) = self.look(self.store.defaults(), name, &mut looked, &mut skipped)
        {
            return outcome;
        }
        Outcome::Missing { looked, skipped }
    }

    fn look(
        &self,
        list: &SearchList,
        name: &[u8],
        looked: &mut Vec<PathBuf>,
        skipped: &mut Vec<(PathBuf, Arc<str>)>,
    ) -> Option<Outcome> {
        if list.folders.is_empty() {
            return None;
        }
        match &*self.store.search(list, name) {
            Lookup::Found(hit) => Some(Outcome::Found(hit.clone())),
            Lookup::Bad(path, why) => Some(Outcome::Bad(path.clone(), why.clone())),
            Lookup::Missing(over) => {
                looked.extend(list.folders.iter().cloned());
                skipped.extend(over.iter().cloned());
                None
            }
        }
    }

    fn look_in_cache(
        &self,
        name: &[u8],
        skipped: &mut Vec<(PathBuf, Arc<str>)>,
    ) -> Option<Outcome> {
        let cached = self.store.cache().get(name)?;
        let path = cached.path.as_ref()?;
        let in_default = || {
            let defaults = &self.store.defaults().folders;
            defaults.iter().any(|folder| path.starts_with(folder))
        };
        if self.no_defaults && in_default() {
            return None;
        }
        match self.store.probe(path) {
            Probe::Found(library) => {
                // DIR/glibc-hwcaps/LEVEL/name is a variant of DIR/name.
                let variants = cached.variants.iter().filter_map(|v| v.parent()?.parent());
                Some(Outcome::Found(Hit {
                    library,
                    path: path.clone(),
                    variants: variants.map(Path::to_owned).collect(),
                }))
            }
            Probe::Bad(why) => Some(Outcome::Bad(path.clone(), why)),
            Probe::Skip(why) => {
                skipped.push((path.clone(), why));
                None
            }
            Probe::Missing => None,
        }
    }
}
