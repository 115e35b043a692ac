//! The closure of an executable: what ld.so would load at start, in its order
//! (`_dl_map_object_deps` in glibc elf/dl-deps.c).

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indir_shim::format::layout::MAX_OBJECTS;

use super::error::ResolveError;
use super::library::{Library, NeedKind};
use super::search::{Folder, Folders, Via};
use super::store::{SearchList, Store};
use super::tokens;
use crate::elf::Search;

/// One library of a closure.
#[derive(Clone, Debug)]
pub struct Node {
    /// The file.
    pub library: Arc<Library>,
    /// Absolute path by which it was found.
    pub path: PathBuf,
    /// Name under which it was first asked for.
    pub name: Vec<u8>,
    /// Index of the node that asked first; `None` for the executable.
    pub loader: Option<usize>,
    /// Folders that hold a glibc-hwcaps variant of it, before its own or the
    /// same.
    pub variants: Vec<PathBuf>,
    /// Its path as `$ORIGIN/…`, if it was reached from the executable that way.
    pub relative: Option<PathBuf>,
    /// LD_LIBRARY_PATH does not replace it: a DT_RPATH or a path named it.
    pub fixed: bool,
}

/// The closure of one executable.
#[derive(Clone, Debug)]
pub struct Closure {
    /// All libraries in ld.so's breadth-first order, without the executable.
    pub nodes: Vec<Node>,
    /// ld.so: path and file.
    pub ldso: (PathBuf, Arc<Library>),
    /// Which of `nodes` is ld.so, if anything asks for it.
    pub ldso_index: Option<usize>,
    /// The path of ld.so as `$ORIGIN/…`, if libc.so.6 was reached that way.
    pub ldso_relative: Option<PathBuf>,
    /// Whether an ordinary start takes the same ld.so.
    pub is_ordinary: bool,
    /// Folders of the executable's RPATH or RUNPATH, in order.
    pub exe_folders: Vec<Folder>,
    /// Which of the two it has.
    pub exe_search: Option<Search>,
    /// Every name that was asked for, with who provides it: `None` for the
    /// executable itself.
    pub names: HashMap<Box<[u8]>, Option<usize>>,
}

impl Closure {
    /// The library that `name` means, if it was asked for.
    pub fn provider(&self, name: &[u8]) -> Option<&Node> {
        self.nodes.get((*self.names.get(name)?)?)
    }
}

/// Finds closures with one set of `--lib-dir` folders.
#[derive(Debug)]
pub struct Resolver<'a> {
    pub(super) store: &'a Store,
    lib_dirs: Vec<PathBuf>,
    origin_dirs: Vec<PathBuf>,
}

impl<'a> Resolver<'a> {
    /// A resolver that looks into `lib_dirs` before everything else.
    ///
    /// They win even over a DT_RPATH: a prebuilt library's baked-in folders are
    /// exactly what a table is there to override.
    pub fn new(store: &'a Store, lib_dirs: &[PathBuf]) -> Self {
        Self {
            store,
            lib_dirs: lib_dirs.to_vec(),
            origin_dirs: Vec::new(),
        }
    }

    /// Looks into `folders` as well, as if the executable's search path began
    /// with them.
    #[must_use]
    pub fn with_origin_dirs(mut self, folders: &[PathBuf]) -> Self {
        self.origin_dirs = folders.to_vec();
        self
    }

    /// The closure of `exe`, whose path `exe_path` is absolute and free of
    /// symlinks, as `$ORIGIN` in an executable wants it.
    ///
    /// # Errors
    /// The first need, in ld.so's order, that cannot be met.
    pub fn resolve(&self, exe_path: &Path, exe: &Library) -> Result<Closure, ResolveError> {
        if !exe.dynamic {
            return Err(ResolveError::Static);
        }
        Walk::new(self, exe_path, exe).run()
    }
}

/// Number of an object in the order of loading; the executable is 0.
pub(super) type Id = usize;

/// An object that the walk has met.
pub(super) struct Loaded {
    /// `None` for ld.so, which is chosen when everything else is known.
    pub(super) library: Option<Arc<Library>>,
    pub(super) path: PathBuf,
    pub(super) relative: Option<PathBuf>,
    pub(super) via: Via,
    fixed: bool,
    name: Vec<u8>,
    pub(super) loader: Id,
    pub(super) folders: Folders,
    variants: Vec<PathBuf>,
}

pub(super) struct Walk<'a> {
    pub(super) resolver: &'a Resolver<'a>,
    pub(super) exe: &'a Library,
    /// The folders of `--lib-dir`.
    pub(super) lib_dirs: Arc<SearchList>,
    pub(super) loaded: Vec<Loaded>,
    pub(super) names: HashMap<Box<[u8]>, Id>,
    files: HashMap<(u64, u64), Id>,
    pub(super) ldso: Option<Id>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(resolver: &'a Resolver<'a>, exe_path: &Path, exe: &'a Library) -> Self {
        let origin = Some(Path::new("$ORIGIN"));
        let mut folders = Folders::of(resolver.store, exe, exe_path, origin);
        folders.put_first(resolver.store, exe.arch, &resolver.origin_dirs);
        let mut names = HashMap::new();
        if let Some(soname) = &exe.soname {
            names.insert(soname.clone(), 0);
        }
        Self {
            resolver,
            exe,
            lib_dirs: resolver.store.list(exe.arch, &resolver.lib_dirs),
            loaded: vec![Loaded {
                library: None,
                path: exe_path.to_owned(),
                relative: None,
                via: Via::Path,
                fixed: true,
                name: Vec::new(),
                loader: 0,
                folders,
                variants: Vec::new(),
            }],
            names,
            files: HashMap::from([(exe.file_id, 0)]),
            ldso: None,
        }
    }

    /// glibc keeps a linked list with a "done" mark. A filter's target goes in
    /// before the object that asks for it, and the walk continues with it.
    fn run(mut self) -> Result<Closure, ResolveError> {
        let mut order: Vec<(Id, bool)> = vec![(0, false)];
        let mut listed = vec![true];
        let mut at = 0;
        while let Some(entry) = order.get_mut(at) {
            if entry.1 {
                at += 1;
                continue;
            }
            entry.1 = true;
            let id = entry.0;
            // Where the object that asks stands, behind its filters' targets.
            let mut own = at;
            let loaded = self
                .loaded
                .get(id)
                .and_then(|loaded| loaded.library.clone());
            // ld.so, which has no library yet, needs nothing.
            let needs = match &loaded {
                Some(library) => &library.needs,
                None if id == 0 => &self.exe.needs,
                None => continue,
            };
            for (kind, name) in needs {
                let wanted = match (self.load(name, id), kind) {
                    (Ok(wanted), _) => wanted,
                    (Err(_), NeedKind::Auxiliary) => continue,
                    (Err(error), _) => return Err(error),
                };
                if wanted >= listed.len() {
                    listed.resize(wanted + 1, false);
                }
                let is_listed = std::mem::replace(&mut listed[wanted], true);
                match kind {
                    NeedKind::Needed if !is_listed => order.push((wanted, false)),
                    NeedKind::Auxiliary | NeedKind::Filter if !is_listed => {
                        order.insert(own, (wanted, false));
                        own += 1;
                    }
                    _ => {}
                }
            }
        }
        let order = order
            .into_iter()
            .map(|(id, _)| id)
            .filter(|&id| id != 0)
            .collect();
        self.finish(order)
    }

    /// soname of its ld.so.
    pub(super) fn ldso_name(&self) -> &'static [u8] {
        self.exe.arch.ldso.as_bytes()
    }

    pub(super) fn path(&self, id: Id) -> &Path {
        self.loaded
            .get(id)
            .map_or(Path::new(""), |loaded| &loaded.path)
    }

    /// The object that `name`, asked for by `loader`, means.
    fn load(&mut self, name: &[u8], loader: Id) -> Result<Id, ResolveError> {
        let expanded;
        let name = if name.contains(&b'$') {
            let origin = self.path(loader).parent().unwrap_or(Path::new("/"));
            expanded = tokens::expand(self.exe.arch, name, origin.as_os_str().as_bytes());
            &expanded
        } else {
            name
        };
        if let Some(&id) = self.names.get(name) {
            return Ok(id);
        }
        if name == self.ldso_name() {
            return self.add_ldso(name, loader);
        }
        let found = self.find(name, loader)?;
        let hit = found.hit;
        if hit.library.is_ldso() {
            return self.add_ldso(name, loader);
        }
        let known = self.files.get(&hit.library.file_id).copied();
        let known = known.or_else(|| self.names.get(hit.path.as_os_str().as_bytes()).copied());
        if let Some(id) = known {
            self.names.insert(name.into(), id);
            return Ok(id);
        }
        if hit.library.is_executable {
            return Err(ResolveError::Bad {
                path: hit.path,
                needed_by: self.path(loader).to_owned(),
                why: "an executable, not a library, which ld.so refuses to load".to_owned(),
            });
        }
        let id = self.next_id()?;
        self.files.insert(hit.library.file_id, id);
        self.names.insert(name.into(), id);
        self.names
            .entry(hit.path.as_os_str().as_bytes().into())
            .or_insert(id);
        if let Some(soname) = &hit.library.soname {
            self.names.entry(soname.clone()).or_insert(id);
        }
        let folder = found.relative.as_deref().and_then(Path::parent);
        self.loaded.push(Loaded {
            folders: Folders::of(self.resolver.store, &hit.library, &hit.path, folder),
            library: Some(hit.library),
            path: hit.path,
            relative: found.relative,
            via: found.via,
            fixed: found.fixed,
            name: name.to_vec(),
            loader,
            variants: hit.variants,
        });
        Ok(id)
    }

    fn next_id(&self) -> Result<Id, ResolveError> {
        if self.loaded.len() > MAX_OBJECTS {
            Err(ResolveError::TooMany)
        } else {
            Ok(self.loaded.len())
        }
    }

    /// ld.so is loaded before everything and matched by its soname.
    fn add_ldso(&mut self, name: &[u8], loader: Id) -> Result<Id, ResolveError> {
        let id = match self.ldso {
            Some(id) => id,
            None => {
                let id = self.next_id()?;
                self.loaded.push(Loaded {
                    library: None,
                    path: PathBuf::new(),
                    relative: None,
                    via: Via::System,
                    fixed: true,
                    name: self.ldso_name().to_vec(),
                    loader,
                    folders: Folders {
                        own: Vec::new(),
                        rpath: None,
                        runpath: None,
                        no_defaults: false,
                    },
                    variants: Vec::new(),
                });
                self.ldso = Some(id);
                id
            }
        };
        self.names.insert(self.ldso_name().into(), id);
        self.names.insert(name.into(), id);
        Ok(id)
    }

    fn finish(mut self, order: Vec<Id>) -> Result<Closure, ResolveError> {
        let ldso = self.choose_ldso()?;
        if let Some(loaded) = self.ldso.and_then(|id| self.loaded.get_mut(id)) {
            loaded.path.clone_from(&ldso.path);
            loaded.relative.clone_from(&ldso.relative);
            loaded.library = Some(ldso.library.clone());
        }
        let mut index_of = vec![None; self.loaded.len()];
        for (index, &id) in order.iter().enumerate() {
            if let Some(slot) = index_of.get_mut(id) {
                *slot = Some(index);
            }
        }
        let index = |id: Id| index_of.get(id).copied().flatten();
        let mut loaded: Vec<Option<Loaded>> = self.loaded.into_iter().map(Some).collect();
        let mut nodes = Vec::with_capacity(order.len());
        for id in order {
            let Some(Loaded {
                library: Some(library),
                path,
                name,
                loader,
                variants,
                relative,
                fixed,
                ..
            }) = loaded.get_mut(id).and_then(Option::take)
            else {
                continue;
            };
            nodes.push(Node {
                library,
                path,
                name,
                loader: index(loader),
                variants,
                relative,
                fixed,
            });
        }
        let exe = loaded.first_mut().and_then(Option::take);
        let exe = exe.map(|exe| exe.folders);
        Ok(Closure {
            nodes,
            ldso: (ldso.path, ldso.library),
            ldso_relative: ldso.relative,
            is_ordinary: ldso.is_ordinary,
            ldso_index: self.ldso.and_then(index),
            exe_search: exe.as_ref().and_then(Folders::kind),
            exe_folders: exe.map(|exe| exe.own).unwrap_or_default(),
            names: self
                .names
                .into_iter()
                .map(|(name, id)| (name, index(id)))
                .collect(),
        })
    }
}
