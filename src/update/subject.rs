//! An executable with everything that ld.so would look symbols up in. Reads only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indir_shim::format::table::Table;

use super::error::PlanError;
use super::folders;
use super::options::Options;
use crate::elf::Root;
use crate::place::Place;
use crate::resolve::addresses::lookup::Scope;
use crate::resolve::files::library::LibraryError;
use crate::resolve::files::plugins::Opener;
use crate::resolve::files::store::Probe;
use crate::resolve::{Closure, Library, ResolveError, Resolver, Store};
use crate::table::{Inputs, Replacement, TableFile};

/// An executable with everything that ld.so would look symbols up in.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Its path in its system, absolute and free of symlinks.
    pub path: PathBuf,
    /// The file.
    pub library: Arc<Library>,
    /// Its libraries.
    pub closure: Closure,
    /// It and its libraries, in order.
    pub scope: Scope,
    /// Where its table says that its plugins are.
    pub plugin_dirs: Vec<PathBuf>,
    /// Folders that are searched before all others, whoever asks.
    first: Vec<PathBuf>,
    inputs: Inputs,
}

/// A program that has opened a plugin.
#[derive(Debug)]
pub struct Opening {
    /// The program; the plugin and what it brings stand behind its own libraries.
    pub subject: Subject,
    /// Index of the plugin among the nodes of the closure.
    pub node: usize,
    /// Needs that cannot be met.
    pub missing: Vec<ResolveError>,
}

impl Subject {
    /// The executable, library or plugin at `exe` with the folders of its table if it
    /// has one, or with others if `options` say so.
    ///
    /// # Errors
    /// When the closure cannot be found.
    pub fn of(store: &Store, exe: &Path, options: &Options) -> Result<Self, PlanError> {
        Self::preferring(&[], store, exe, options)
    }

    /// The same where the folders `first` are searched before all others.
    ///
    /// # Errors
    /// When the closure cannot be found.
    pub fn preferring(
        first: &[PathBuf],
        store: &Store,
        exe: &Path,
        options: &Options,
    ) -> Result<Self, PlanError> {
        let root = store.root();
        let (real, path) = paths(root, exe)?;
        let library = Library::open(&real)?;
        let mut inputs = asked(root, &real, &library, options)?;
        let before = inputs.lib_dirs.clone();
        inputs.replace(&options.replacements);
        match inputs.lib_dirs.iter().find(|folder| !root.is_dir(folder)) {
            None => {}
            Some(gone) if before.contains(gone) => return Err(PlanError::Lost(gone.clone())),
            Some(gone) => return Err(PlanError::Nowhere(gone.clone())),
        }
        inputs.lib_dirs.splice(0..0, first.iter().cloned());
        Self::with(store, path, library, inputs, first)
    }

    /// The replacements of `options` that concern no folder of these executables.
    pub fn unconcerned(root: &Root, exes: &[PathBuf], options: &Options) -> Vec<Replacement> {
        let mut left = options.replacements.clone();
        for exe in exes {
            if left.is_empty() {
                break;
            }
            let inputs = paths(root, exe).ok().and_then(|(real, _)| {
                let library = Library::open(&real).ok()?;
                asked(root, &real, &library, options).ok()
            });
            let Some(inputs) = inputs else {
                continue;
            };
            left.retain(|one| inputs.folders().all(|folder| one.apply(folder).is_none()));
        }
        left
    }

    /// The executable at `exe` with the folders that `table` was made with.
    ///
    /// # Errors
    /// When the closure cannot be found.
    pub fn of_table(store: &Store, exe: &Path, table: &Table<'_>) -> Result<Self, PlanError> {
        let root = store.root();
        let (real, path) = paths(root, exe)?;
        let library = Library::open(&real)?;
        Self::with(store, path, library, Inputs::of(table), &[])
    }

    fn with(
        store: &Store,
        path: PathBuf,
        library: Library,
        inputs: Inputs,
        first: &[PathBuf],
    ) -> Result<Self, PlanError> {
        let closure = Resolver::new(store, &inputs.lib_dirs)
            .with_origin_dirs(&inputs.origin_dirs)
            .resolve(&path, &library)?;
        let nodes = closure
            .nodes
            .iter()
            .map(|node| (&*node.library, &node.path));
        let objects = std::iter::once((&library, &path)).chain(nodes);
        let objects = objects
            .map(|(object, path)| {
                object
                    .loaded()
                    .map_err(|why| PlanError::Object(path.clone(), why))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            path,
            library: Arc::new(library),
            closure,
            scope: Scope::new(objects),
            plugin_dirs: inputs.plugin_dirs.clone(),
            first: first.to_vec(),
            inputs,
        })
    }

    /// The program once it has opened the object at `plugin`; `siblings` are the folders
    /// of all that it opens. `None` if that is one of its libraries.
    ///
    /// # Errors
    /// When the plugin, or what it brings, cannot be read.
    pub fn opening(
        &self,
        store: &Store,
        plugin: &Path,
        siblings: &[PathBuf],
    ) -> Result<Option<Opening>, PlanError> {
        let library = match store.probe(self.library.arch, plugin) {
            Probe::Found(library) => library,
            Probe::Skip(why) | Probe::Bad(why) => {
                return Err(PlanError::Object(plugin.to_owned(), why.to_string()));
            }
            Probe::Missing => {
                let why = "there is no such file".to_owned();
                return Err(PlanError::Object(plugin.to_owned(), why));
            }
        };
        let table = folders::of_table(&self.inputs, &self.closure, &[]);
        let opener = Opener::new(
            store,
            &self.closure,
            table.inherited(),
            siblings,
            table.is_ordinary,
        );
        let Some(opened) = opener.preferring(&self.first).open(plugin, &library) else {
            return Ok(None);
        };
        let mut objects = self.scope.objects().to_vec();
        for node in opened.closure.nodes.iter().skip(opened.first) {
            let object = node.library.loaded();
            objects.push(object.map_err(|why| PlanError::Object(node.path.clone(), why))?);
        }
        Ok(Some(Opening {
            subject: Self {
                closure: opened.closure,
                scope: Scope::new(objects),
                ..self.clone()
            },
            node: opened.first,
            missing: opened.missing,
        }))
    }
}

/// The folders of the table of the executable at `real`, or those of `options`.
fn asked(
    root: &Root,
    real: &Path,
    library: &Library,
    options: &Options,
) -> Result<Inputs, PlanError> {
    match &options.lib_dirs {
        Some(lib_dirs) => Ok(Inputs {
            lib_dirs: Inputs::new(lib_dirs.iter().cloned())?.lib_dirs,
            ..inputs(root, real, library).unwrap_or_default()
        }),
        None => inputs(root, real, library),
    }
}

/// Where the executable at `exe` is, free of symlinks, and its path in `root`.
fn paths(root: &Root, exe: &Path) -> Result<(PathBuf, PathBuf), PlanError> {
    let real = std::fs::canonicalize(exe).map_err(LibraryError::from)?;
    let path = root.inside(&real);
    let path = path.ok_or_else(|| PlanError::Outside(root.folder().map(Path::to_owned)))?;
    Ok((real, path))
}

/// The folders of the executable's table; none if it is not indirect.
fn inputs(root: &Root, exe: &Path, library: &Library) -> Result<Inputs, PlanError> {
    let elf = library.map().elf().map_err(LibraryError::from)?;
    let Ok(Some(place)) = Place::find(root, exe, &elf.notes()) else {
        return Ok(Inputs::default());
    };
    let owner = crate::place::owner_of(exe);
    let file = TableFile::load_for(&place.path, owner).map_err(PlanError::Load)?;
    let table = file.as_ref().and_then(|file| file.table().ok());
    Ok(table.map(|table| Inputs::of(&table)).unwrap_or_default())
}
