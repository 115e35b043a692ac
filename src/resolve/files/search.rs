//! Finding the file for one name, in ld.so's order (`_dl_map_object` in glibc
//! elf/dl-load.c), with the caller's own folders before everything.
//!
//! LD_LIBRARY_PATH and LD_PRELOAD of the updating process are not consulted:
//! a table must not depend on the shell that wrote it.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::library::Library;
use super::store::{Hit, Lookup, Probe, SearchList, Store};
use super::tokens;
use crate::arch::Arch;
use crate::elf::{Root, Search};

/// Most folders of one RPATH or RUNPATH that are searched.
const MAX_FOLDERS: usize = 4096;

/// A folder of a run path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is: absolute.
    pub path: PathBuf,
    /// The same as `$ORIGIN/…`, if it was reached from the executable by `$ORIGIN`
    /// alone: `$ORIGIN` is the executable's folder.
    pub relative: Option<PathBuf>,
}

/// Where an object's needs are looked for, besides what is common to all.
#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// Its own folders in order, whichever tag named them.
    pub own: Vec<Folder>,
    /// DT_RPATH: inherited by the needs of needs.
    pub rpath: Option<Arc<SearchList>>,
    /// DT_RUNPATH.
    pub runpath: Option<Arc<SearchList>>,
    /// DF_1_NODEFLIB.
    pub no_defaults: bool,
}

impl Folders {
    /// The folders that `library`, found at `path`, brings; `relative` is its
    /// own folder as `$ORIGIN/…`, if it has such a name.
    pub(super) fn of(
        store: &Store,
        library: &Library,
        path: &Path,
        relative: Option<&Path>,
    ) -> Self {
        let mut folders = Self {
            own: Vec::new(),
            rpath: None,
            runpath: None,
            no_defaults: library.no_default_folders,
        };
        if let Some((kind, text)) = &library.search {
            folders.own = split(library.arch, text, path, relative);
            folders.set(store, library.arch, *kind);
        }
        folders
    }

    fn set(&mut self, store: &Store, arch: &'static Arch, kind: Search) {
        let paths: Vec<PathBuf> = self.own.iter().map(|folder| folder.path.clone()).collect();
        let list = Some(store.list(arch, &paths));
        match kind {
            Search::Rpath => self.rpath = list,
            Search::Runpath => self.runpath = list,
        }
    }

    /// Which tag named its own folders.
    pub(super) fn kind(&self) -> Option<Search> {
        let runpath = self.runpath.as_ref().map(|_| Search::Runpath);
        runpath.or_else(|| self.rpath.as_ref().map(|_| Search::Rpath))
    }

    /// The name as `$ORIGIN/…` of the file at `path`, found in one of its folders.
    pub(super) fn relative(&self, path: &Path) -> Option<PathBuf> {
        let folder = path.parent()?;
        let own = self.own.iter().find(|own| own.path == folder)?;
        Some(own.relative.as_ref()?.join(path.file_name()?))
    }

    /// Puts `moved`, which `$ORIGIN` named where the object came from, before
    /// its own folders, under the same tag.
    pub(super) fn put_first(&mut self, store: &Store, arch: &'static Arch, moved: &[PathBuf]) {
        if moved.is_empty() {
            return;
        }
        let moved = moved.iter().map(|path| Folder {
            path: path.clone(),
            relative: None,
        });
        self.own.splice(..0, moved);
        self.set(store, arch, self.kind().unwrap_or(Search::Runpath));
    }
}

/// The folders of an RPATH or RUNPATH. Empty and relative ones mean the
/// current folder of a later start, so that a table cannot follow them.
fn split(arch: &Arch, text: &[u8], object: &Path, relative: Option<&Path>) -> Vec<Folder> {
    let origin = object
        .parent()
        .unwrap_or(Path::new("/"))
        .as_os_str()
        .as_bytes();
    let mut seen = HashSet::new();
    text.split(|&b| b == b':')
        .take(MAX_FOLDERS)
        .map(|text| Folder {
            path: trimmed(tokens::expand(arch, text, origin)),
            relative: relative.and_then(|relative| {
                let mut name = relative.as_os_str().as_bytes().to_vec();
                name.extend(tokens::below_origin(arch, text)?);
                Some(trimmed(name))
            }),
        })
        .filter(|folder| folder.path.is_absolute() && seen.insert(folder.path.clone()))
        .collect()
}

/// Without slashes at the end.
fn trimmed(mut folder: Vec<u8>) -> PathBuf {
    while folder.len() > 1 && folder.last() == Some(&b'/') {
        folder.pop();
    }
    PathBuf::from(OsString::from_vec(folder))
}

/// Folders in `root` of the search path of `library` that the executable at `from` finds by
/// `$ORIGIN`, and a copy of it at `to` would not find: they are not there, or hold
/// no library, or lack one that the executable needs.
pub fn left_behind(root: &Root, library: &Library, from: &Path, to: &Path) -> Vec<PathBuf> {
    let Some((_, text)) = &library.search else {
        return Vec::new();
    };
    let expand = |folder: &[u8], object: &Path| {
        let origin = object.parent().unwrap_or(Path::new("/"));
        let folder = tokens::expand(library.arch, folder, origin.as_os_str().as_bytes());
        PathBuf::from(OsStr::from_bytes(&folder))
    };
    text.split(|&b| b == b':')
        .take(MAX_FOLDERS)
        .map(|folder| (expand(folder, from), expand(folder, to)))
        .filter(|(here, there)| here != there && here.is_absolute() && root.is_dir(here))
        .filter(|(here, there)| {
            !root.is_dir(there)
                || lacks(root, there, here, library)
                || (has_none(root, there) && !has_none(root, here))
        })
        .filter_map(|(here, _)| root.canonical(&here).ok())
        .collect()
}

/// Whether `here` has something that `library` needs, and `there` has not.
fn lacks(root: &Root, there: &Path, here: &Path, library: &Library) -> bool {
    let mut names = library
        .needs
        .iter()
        .map(|(_, name)| OsStr::from_bytes(name));
    names.any(|name| root.exists(&here.join(name)) && !root.exists(&there.join(name)))
}

/// Whether `folder` holds nothing that is called like a shared library.
fn has_none(root: &Root, folder: &Path) -> bool {
    /// Most names that are looked at.
    const MOST: usize = 100_000;
    let is_library = |name: &OsStr| {
        let name = name.as_bytes();
        name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.")
    };
    let real = root.real(folder);
    let entries = real.and_then(std::fs::read_dir);
    let entries = entries.into_iter().flatten().flatten();
    !entries
        .take(MOST)
        .any(|entry| is_library(&entry.file_name()))
}

/// Which list a file was found through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Via {
    /// `--lib-dir`.
    Given,
    /// A DT_RPATH: which of the searcher's.
    Rpath(usize),
    /// The DT_RUNPATH of the object that asks.
    Runpath,
    /// ld.so's cache or its default folders.
    System,
    /// No list: the name is a path.
    Path,
}

/// Outcome of a search, with what to tell if it failed.
#[derive(Debug)]
pub(super) enum Outcome {
    Found(Hit, Via),
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
    /// The machine of the program.
    pub arch: &'static Arch,
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
        let rpaths = self.rpaths.iter().enumerate();
        let before_cache = std::iter::once((Via::Given, self.lib_dirs))
            .chain(rpaths.map(|(index, list)| (Via::Rpath(index), *list)))
            .chain(self.runpath.map(|list| (Via::Runpath, list)));
        for (via, list) in before_cache {
            if let Some(outcome) = self.look(via, list, name, &mut looked, &mut skipped) {
                return outcome;
            }
        }
        if let Some(outcome) = self.look_in_cache(name, &mut skipped) {
            return outcome;
        }
        looked.push(PathBuf::from(super::ldcache::PATH));
        if !self.no_defaults
            && let Some(outcome) = self.look(
                Via::System,
                self.store.defaults(self.arch),
                name,
                &mut looked,
                &mut skipped,
            )
        {
            return outcome;
        }
        Outcome::Missing { looked, skipped }
    }

    fn look(
        &self,
        via: Via,
        list: &SearchList,
        name: &[u8],
        looked: &mut Vec<PathBuf>,
        skipped: &mut Vec<(PathBuf, Arc<str>)>,
    ) -> Option<Outcome> {
        if list.folders.is_empty() {
            return None;
        }
        match &*self.store.search(list, name) {
            Lookup::Found(hit) => Some(Outcome::Found(hit.clone(), via)),
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
        let cached = self.store.cache(self.arch).get(name)?;
        let path = cached.path.as_ref()?;
        let in_default = || {
            let defaults = &self.store.defaults(self.arch).folders;
            defaults.iter().any(|folder| path.starts_with(folder))
        };
        if self.no_defaults && in_default() {
            return None;
        }
        match self.store.probe(self.arch, path) {
            Probe::Found(library) => {
                // DIR/glibc-hwcaps/LEVEL/name is a variant of DIR/name.
                let variants = cached.variants.iter().filter_map(|v| v.parent()?.parent());
                let hit = Hit {
                    library,
                    path: path.clone(),
                    variants: variants.map(Path::to_owned).collect(),
                };
                Some(Outcome::Found(hit, Via::System))
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
