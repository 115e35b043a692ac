//! Files and folders as one run sees them: each read once, shared by threads.
//!
//! A thousand executables that share sixty libraries open sixty libraries.
//! What was seen first stays for the whole run, so that all tables of a run
//! agree.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::hash::Hash;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use super::ldcache::{self, LdCache};
use super::library::{Library, LibraryError};
use crate::arch::{self, Arch};
use crate::elf::{ElfError, Root, open_regular};
use crate::resolve::addresses::open::Open;

/// Most entries of one folder of plugins that are looked at.
const MAX_ENTRIES: usize = 1_000_000;
/// Most plugins of one folder.
const MAX_PLUGINS: usize = 20_000;
/// How deep a folder of plugins may be.
const MAX_DEPTH: usize = 40;

/// A map of values that are computed once, by whoever asks first.
#[derive(Debug)]
struct Once<K, V>(RwLock<HashMap<K, Arc<OnceLock<V>>>>);

impl<K: Hash + Eq, V: Clone> Once<K, V> {
    fn new() -> Self {
        Self(RwLock::new(HashMap::new()))
    }

    fn get<Q>(&self, key: &Q, make: impl FnOnce() -> V) -> V
    where
        Q: ?Sized + Hash + Eq + ToOwned<Owned = K>,
        K: std::borrow::Borrow<Q>,
    {
        let known = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .cloned();
        let cell = known.unwrap_or_else(|| {
            let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
            map.entry(key.to_owned()).or_default().clone()
        });
        cell.get_or_init(make).clone()
    }
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Probe {
    /// Nothing.
    Missing,
    /// A file that ld.so passes over while it searches, and why.
    Skip(Arc<str>),
    /// A file that makes ld.so give up, and why.
    Bad(Arc<str>),
    /// A usable object.
    Found(Arc<Library>),
}

/// Result of looking for a name in a list of folders.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// In none of them; files that were passed over, and why.
    Missing(Vec<(PathBuf, Arc<str>)>),
    /// Found first a file that makes ld.so give up.
    Bad(PathBuf, Arc<str>),
    /// Found.
    Found(Hit),
}

/// A found object.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The object.
    pub library: Arc<Library>,
    /// Path by which it was found.
    pub path: PathBuf,
    /// Folders, up to the one of `path`, that hold a glibc-hwcaps variant.
    pub variants: Vec<PathBuf>,
}

/// An ordered list of folders with a memory of what was looked up in it.
#[derive(Debug)]
pub struct SearchList {
    /// The machine whose objects are looked for.
    arch: &'static Arch,
    /// The folders, absolute, in order.
    pub folders: Vec<PathBuf>,
    found: Once<Vec<u8>, Arc<Lookup>>,
}

/// Everything that a run has read.
#[derive(Debug)]
pub struct Store {
    root: Root,
    /// Folders of links, which stand for what they lead to.
    links: Vec<PathBuf>,
    files: Once<(u64, u64), Probe>,
    paths: Once<PathBuf, Probe>,
    /// For a list of libraries: what they lack among themselves.
    open: Once<Vec<(u64, u64)>, Arc<Open>>,
    /// In the order of [`arch::ALL`].
    machines: [OfMachine; arch::ALL.len()],
}

/// What is found differs by machine.
#[derive(Debug)]
struct OfMachine {
    lists: Once<Vec<PathBuf>, Arc<SearchList>>,
    /// For a folder: its existing glibc-hwcaps folders.
    variants: Once<PathBuf, Arc<[PathBuf]>>,
    /// For a folder: the shared objects in it and below.
    objects: Once<PathBuf, Result<Arc<[PathBuf]>, Arc<str>>>,
    cache: OnceLock<LdCache>,
    defaults: SearchList,
}

impl OfMachine {
    fn new(arch: &'static Arch) -> Self {
        Self {
            lists: Once::new(),
            variants: Once::new(),
            objects: Once::new(),
            cache: OnceLock::new(),
            defaults: SearchList {
                arch,
                folders: arch.folders.iter().map(PathBuf::from).collect(),
                found: Once::new(),
            },
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::in_root(Root::default())
    }
}

impl Store {
    /// A store of files whose absolute paths are below `root`.
    pub fn in_root(root: Root) -> Self {
        Self {
            root,
            files: Once::new(),
            paths: Once::new(),
            open: Once::new(),
            machines: arch::ALL.map(OfMachine::new),
            links: Vec::new(),
        }
    }

    /// A store in which what is found in one of `folders`, which have links alone, is
    /// where the link leads: `$ORIGIN` is there.
    pub fn with_links(folders: Vec<PathBuf>) -> Self {
        Self {
            links: folders,
            ..Self::default()
        }
    }

    /// The root of all paths.
    pub fn root(&self) -> &Root {
        &self.root
    }

    fn of(&self, arch: &Arch) -> &OfMachine {
        let [first, ..] = &self.machines;
        self.machines.get(arch.index()).unwrap_or(first)
    }

    /// The folders that ld.so of that machine searches last.
    pub fn defaults(&self, arch: &Arch) -> &SearchList {
        &self.of(arch).defaults
    }

    /// What ld.so's cache has for that machine.
    pub fn cache(&self, arch: &Arch) -> &LdCache {
        let path = || self.root.real(Path::new(ldcache::PATH));
        let load = || match path() {
            Ok(path) => LdCache::load(&path, arch.cache_flags),
            Err(_) => LdCache::default(),
        };
        self.of(arch).cache.get_or_init(load)
    }

    /// The list of these folders, for objects of that machine.
    pub fn list(&self, arch: &'static Arch, folders: &[PathBuf]) -> Arc<SearchList> {
        self.of(arch).lists.get(folders, || {
            Arc::new(SearchList {
                arch,
                folders: folders.to_vec(),
                found: Once::new(),
            })
        })
    }

    /// What the libraries with these file ids lack among themselves, computed
    /// by `find` for the first who asks.
    pub(in crate::resolve) fn open(
        &self,
        libraries: &[(u64, u64)],
        find: impl FnOnce() -> Open,
    ) -> Arc<Open> {
        self.open.get(libraries, || Arc::new(find()))
    }

    /// The dynamic shared objects in `folder` and below that a program of that machine
    /// could open, sorted by path; links are followed, each file is there once.
    ///
    /// # Errors
    /// When the folder cannot be read, or has too many.
    pub fn objects_in(&self, arch: &Arch, folder: &Path) -> Result<Arc<[PathBuf]>, Arc<str>> {
        let objects = &self.of(arch).objects;
        objects.get(folder, || self.find_objects(arch, folder))
    }

    fn find_objects(&self, arch: &Arch, folder: &Path) -> Result<Arc<[PathBuf]>, Arc<str>> {
        let name = folder;
        let real = self.root.real(name);
        let folder = &*real.map_err(|error| Arc::from(error.to_string()))?;
        if let Err(error) = std::fs::read_dir(folder) {
            return Err(error.to_string().into());
        }
        // Paths of entries begin with the folder's.
        let named = |path: &Path| match path.strip_prefix(folder) {
            Ok(below) => name.join(below),
            Err(_) => path.to_owned(),
        };
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        let walk = walkdir::WalkDir::new(folder).follow_links(true);
        let entries = walk.max_depth(MAX_DEPTH).sort_by_file_name().into_iter();
        // What cannot be read, or is a loop of links, no program can open.
        for entry in entries.take(MAX_ENTRIES).flatten() {
            let is_elf = || {
                use std::io::Read as _;
                let mut magic = [0; 4];
                let read =
                    open_regular(entry.path()).and_then(|(mut f, _)| f.read_exact(&mut magic));
                read.is_ok() && magic == *b"\x7fELF"
            };
            if !entry.file_type().is_file() || !is_elf() {
                continue;
            }
            if let Probe::Found(library) = self.probe(arch, &named(entry.path()))
                && library.dynamic
                && !library.is_executable
                && library
                    .map()
                    .elf()
                    .is_ok_and(|elf| elf.interpreter().is_none())
                && seen.insert(library.file_id)
            {
                found.push(named(entry.path()));
            }
            if found.len() > MAX_PLUGINS {
                return Err(format!("more than {MAX_PLUGINS} shared objects").into());
            }
        }
        Ok(found.into())
    }

    /// What is at `path` for ld.so of that machine.
    pub fn probe(&self, arch: &Arch, path: &Path) -> Probe {
        let look = || {
            let path = match self.root.real(path) {
                Ok(path) => path,
                Err(error) => return unreadable(&error),
            };
            match std::fs::metadata(&path) {
                Ok(stat) => self.files.get(&(stat.dev(), stat.ino()), || read(&path)),
                Err(error) => unreadable(&error),
            }
        };
        match self.paths.get(path, look) {
            Probe::Found(library) if library.arch != arch => {
                Probe::Skip(ElfError::Machine.to_string().into())
            }
            probe => probe,
        }
    }

    /// Looks for `name` in the folders of `list`, as ld.so's `open_path`.
    pub fn search(&self, list: &SearchList, name: &[u8]) -> Arc<Lookup> {
        list.found
            .get(name, || Arc::new(self.search_now(list, name)))
    }

    fn search_now(&self, list: &SearchList, name: &[u8]) -> Lookup {
        let name = OsStr::from_bytes(name);
        let mut skipped = Vec::new();
        let mut variants = Vec::new();
        for folder in &list.folders {
            if self.has_variant(list.arch, folder, name) {
                variants.push(folder.clone());
            }
            let path = folder.join(name);
            match self.probe(list.arch, &path) {
                Probe::Missing => {}
                Probe::Skip(why) => skipped.push((path, why)),
                Probe::Bad(why) => return Lookup::Bad(path, why),
                Probe::Found(library) => {
                    let aim = || std::fs::read_link(&path).ok();
                    let aim = self.links.contains(folder).then(aim).flatten();
                    return Lookup::Found(Hit {
                        library,
                        path: aim.unwrap_or(path),
                        variants,
                    });
                }
            }
        }
        Lookup::Missing(skipped)
    }

    /// Whether `folder/glibc-hwcaps/*/name` is there.
    pub fn has_variant(&self, arch: &Arch, folder: &Path, name: &OsStr) -> bool {
        let folders = self.of(arch).variants.get(folder, || {
            let base = folder.join("glibc-hwcaps");
            if !self.root.is_dir(&base) {
                return Arc::default();
            }
            arch.hwcaps
                .iter()
                .map(|v| base.join(v))
                .filter(|v| self.root.is_dir(v))
                .collect()
        });
        folders
            .iter()
            .any(|variant| matches!(self.probe(arch, &variant.join(name)), Probe::Found(_)))
    }
}

fn unreadable(error: &std::io::Error) -> Probe {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => Probe::Missing,
        _ => Probe::Skip(error.to_string().into()),
    }
}

/// ld.so passes over files of another class or machine, and gives up on what
/// is not ELF at all (`open_verify` in glibc elf/dl-load.c).
fn read(path: &Path) -> Probe {
    match Library::open(path) {
        Ok(library) => Probe::Found(Arc::new(library)),
        Err(LibraryError::Elf(ElfError::Io(error))) => unreadable(&error),
        Err(
            error @ (LibraryError::Stub | LibraryError::Elf(ElfError::Class | ElfError::Machine)),
        ) => Probe::Skip(error.to_string().into()),
        Err(error) => Probe::Bad(error.to_string().into()),
    }
}
