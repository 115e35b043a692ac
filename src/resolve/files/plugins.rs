//! What dlopen of one file would load into a program whose closure is known
//! (`_dl_map_object` and `_dl_map_object_deps` in glibc elf/dl-load.c and
//! elf/dl-deps.c, for an object that was opened by its path).
//!
//! Unlike at start, ld.so itself searches, so a table cannot overrule anything:
//! its `search` is the executable's DT_RPATH, and objects with a DT_RUNPATH do
//! not ask it; or it is the executable's DT_RUNPATH, which none of them asks. That a need is missing is told, not an error: what cannot be
//! opened may never be opened.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indir_shim::format::layout::MAX_OBJECTS;

use super::closure::{Closure, Node};
use super::error::ResolveError;
use super::library::{Library, NeedKind};
use super::search::{Folders, Outcome, Searcher};
use super::store::{Hit, Probe, SearchList, Store};
use super::tokens;
use crate::arch::Arch;

/// What one closure's plugins are resolved with.
#[derive(Debug)]
pub struct Opener<'a> {
    store: &'a Store,
    arch: &'static Arch,
    closure: &'a Closure,
    files: HashMap<(u64, u64), usize>,
    /// Asked before anything else.
    first: Arc<SearchList>,
    /// The table's folders, if they are a DT_RPATH.
    table: Option<Arc<SearchList>>,
    /// Whether ld.so's own cache and default folders are those of this system.
    is_ordinary: bool,
    /// Asked when nothing else has the name.
    siblings: Arc<SearchList>,
}

/// What opening an object brings.
#[derive(Debug)]
pub struct Opened {
    /// The closure with the object, and what it needs, behind it.
    pub closure: Closure,
    /// Index of the object among the nodes; what follows is new as well.
    pub first: usize,
    /// Needs that cannot be met.
    pub missing: Vec<ResolveError>,
    /// Folders that the table's search lacks: what was found there was found by
    /// means that another ld.so does not share, or not at all without them.
    pub folders: Vec<PathBuf>,
}

/// An object that is new, in the order of loading.
struct Loaded {
    folders: Folders,
    /// Index among the new ones of who asked for it; its own for the first.
    loader: usize,
}

struct Walk<'o, 'a> {
    opener: &'o Opener<'a>,
    opened: Opened,
    loaded: Vec<Loaded>,
    files: HashMap<(u64, u64), usize>,
    wanted: HashSet<PathBuf>,
}

impl<'a> Opener<'a> {
    /// For programs with `closure` and the folders `table` in their table, `None` if
    /// what is opened does not ask them; `siblings` are the folders of plugins.
    pub fn new(
        store: &'a Store,
        closure: &'a Closure,
        table: Option<&[PathBuf]>,
        siblings: &[PathBuf],
        is_ordinary: bool,
    ) -> Self {
        let nodes = closure.nodes.iter().enumerate();
        let files = nodes.map(|(index, node)| (node.library.file_id, index));
        let arch = closure.ldso.1.arch;
        Self {
            store,
            arch,
            closure,
            files: files.collect(),
            first: store.list(arch, &[]),
            table: table.map(|folders| store.list(arch, folders)),
            is_ordinary,
            siblings: store.list(arch, siblings),
        }
    }

    /// The same where `folders` are searched before all others, whoever asks.
    pub fn preferring(mut self, folders: &[PathBuf]) -> Self {
        self.first = self.store.list(self.arch, folders);
        self
    }

    /// What opening `library`, whose absolute path is `path`, brings; `None` if
    /// it is in the closure.
    pub fn open(&self, path: &Path, library: &Arc<Library>) -> Option<Opened> {
        if self.files.contains_key(&library.file_id) || library.is_ldso() {
            return None;
        }
        let first = self.closure.nodes.len();
        let mut walk = Walk {
            opener: self,
            opened: Opened {
                closure: self.closure.clone(),
                first,
                missing: Vec::new(),
                folders: Vec::new(),
            },
            loaded: Vec::new(),
            files: HashMap::new(),
            wanted: HashSet::new(),
        };
        let hit = Hit {
            library: library.clone(),
            path: path.to_owned(),
            variants: Vec::new(),
        };
        walk.add(path.as_os_str().as_bytes(), hit, 0);
        let mut at = 0;
        while at < walk.loaded.len() {
            walk.load_needs(at);
            at += 1;
        }
        Some(walk.opened)
    }
}

impl Walk<'_, '_> {
    fn node(&self, at: usize) -> Option<&Node> {
        self.opened.closure.nodes.get(self.opened.first + at)
    }

    fn path(&self, at: usize) -> PathBuf {
        self.node(at)
            .map(|node| node.path.clone())
            .unwrap_or_default()
    }

    fn add(&mut self, name: &[u8], hit: Hit, loader: usize) {
        let index = self.opened.closure.nodes.len();
        let names = &mut self.opened.closure.names;
        names.insert(name.into(), Some(index));
        let path = hit.path.as_os_str().as_bytes();
        names.entry(path.into()).or_insert(Some(index));
        if let Some(soname) = &hit.library.soname {
            names.entry(soname.clone()).or_insert(Some(index));
        }
        self.files.insert(hit.library.file_id, index);
        self.loaded.push(Loaded {
            folders: Folders::of(self.opener.store, &hit.library, &hit.path, None),
            loader,
        });
        self.opened.closure.nodes.push(Node {
            library: hit.library,
            path: hit.path,
            name: name.to_vec(),
            loader: (self.loaded.len() > 1).then_some(self.opened.first + loader),
            variants: hit.variants,
            relative: None,
            fixed: false,
        });
    }

    fn load_needs(&mut self, loader: usize) {
        let Some(library) = self.node(loader).map(|node| node.library.clone()) else {
            return;
        };
        for (kind, name) in &library.needs {
            let result = self.load(name, loader);
            if let Err(error) = result
                && *kind != NeedKind::Auxiliary
            {
                self.opened.missing.push(error);
            }
        }
    }

    fn load(&mut self, name: &[u8], loader: usize) -> Result<(), ResolveError> {
        let expanded;
        let name = if name.contains(&b'$') {
            let path = self.path(loader);
            let origin = path.parent().unwrap_or(Path::new("/"));
            expanded = tokens::expand(self.opener.arch, name, origin.as_os_str().as_bytes());
            &expanded
        } else {
            name
        };
        // ld.so is always there, under its soname.
        if name == self.opener.arch.ldso.as_bytes() || self.opened.closure.names.contains_key(name)
        {
            return Ok(());
        }
        let (hit, folder) = self.find(name, loader)?;
        let known = self.files.get(&hit.library.file_id);
        let known = known.or_else(|| self.opener.files.get(&hit.library.file_id));
        let names = &mut self.opened.closure.names;
        if let Some(&index) = known {
            names.insert(name.into(), Some(index));
            return Ok(());
        }
        if hit.library.is_ldso() {
            return Ok(());
        }
        if hit.library.is_executable {
            return Err(ResolveError::Bad {
                needed_by: self.path(loader),
                path: hit.path,
                why: "an executable, not a library, which ld.so refuses to load".to_owned(),
            });
        }
        if self.opened.closure.nodes.len() >= MAX_OBJECTS {
            return Err(ResolveError::TooMany);
        }
        if let Some(folder) = folder
            && self.wanted.insert(folder.clone())
        {
            self.opened.folders.push(folder);
        }
        self.add(name, hit, loader);
        Ok(())
    }

    /// The file, and its folder if the table's search should have it.
    fn find(&self, name: &[u8], loader: usize) -> Result<(Hit, Option<PathBuf>), ResolveError> {
        let opener = self.opener;
        let needed_by = || self.path(loader);
        let readable = || String::from_utf8_lossy(name).into_owned();
        let bad = |path, why: Arc<str>| ResolveError::Bad {
            path,
            needed_by: needed_by(),
            why: why.to_string(),
        };
        if name.contains(&b'/') {
            let path = PathBuf::from(OsStr::from_bytes(name));
            if !path.is_absolute() {
                return Err(ResolveError::Relative {
                    name: readable(),
                    needed_by: needed_by(),
                });
            }
            return match opener.store.probe(opener.arch, &path) {
                Probe::Found(library) => {
                    let variants = Vec::new();
                    Ok((
                        Hit {
                            library,
                            path,
                            variants,
                        },
                        None,
                    ))
                }
                Probe::Bad(why) | Probe::Skip(why) => Err(bad(path, why)),
                Probe::Missing => Err(ResolveError::Missing {
                    name: readable(),
                    needed_by: needed_by(),
                    looked: path.parent().map(Path::to_owned).into_iter().collect(),
                    skipped: Vec::new(),
                }),
            };
        }
        let mut rpaths: Vec<&SearchList> = Vec::new();
        let folders = self.loaded.get(loader).map(|loaded| &loaded.folders);
        let runpath = folders.and_then(|folders| folders.runpath.as_deref());
        if runpath.is_none() {
            let mut at = loader;
            while let Some(loaded) = self.loaded.get(at) {
                rpaths.extend(loaded.folders.rpath.as_deref());
                // A loader is older than what it loads: the chain ends at 0.
                if at == 0 {
                    break;
                }
                at = loaded.loader;
            }
            rpaths.extend(opener.table.as_deref());
        }
        let asked: Vec<PathBuf> = rpaths
            .iter()
            .copied()
            .chain(runpath)
            .flat_map(|list| list.folders.iter().cloned())
            .collect();
        let searcher = Searcher {
            store: opener.store,
            arch: opener.arch,
            lib_dirs: &opener.first,
            rpaths,
            runpath,
            no_defaults: folders.is_some_and(|folders| folders.no_defaults),
        };
        // What has no RUNPATH of its own asks the table, or would if that were a DT_RPATH.
        let asks_table = runpath.is_none();
        let beyond = |hit: Hit| {
            let folder = hit.path.parent().map(Path::to_owned);
            let folder = folder.filter(|folder| asks_table && !asked.contains(folder));
            (hit, folder)
        };
        match searcher.find(name) {
            Outcome::Found(hit, _) if opener.is_ordinary => Ok((hit, None)),
            Outcome::Found(hit, _) => Ok(beyond(hit)),
            Outcome::Bad(path, why) => Err(bad(path, why)),
            Outcome::Missing { looked, skipped } => {
                use super::store::Lookup;
                if asks_table
                    && let Lookup::Found(hit) = &*opener.store.search(&opener.siblings, name)
                {
                    return Ok(beyond(hit.clone()));
                }
                let skipped = skipped.into_iter();
                Err(ResolveError::Missing {
                    name: readable(),
                    needed_by: needed_by(),
                    looked,
                    skipped: skipped.map(|(path, why)| (path, why.to_string())).collect(),
                })
            }
        }
    }
}
