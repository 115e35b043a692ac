//! The table that an executable should have, computed from files alone.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::layout::{OBJECT_LDSO, OBJECT_SEARCH};
use sha2::{Digest as _, Sha256};

use super::bindings::ClosureBindingsError;
use super::bound;
use super::folders;
use super::plugins::{self, Plugin};
use crate::exit::Refused;
use crate::resolve::check::{self, Unmet};
use crate::resolve::library::LibraryError;
use crate::resolve::{Closure, Library, Node, ResolveError, Resolver, Store};
use crate::table::{
    BuildError, Identity, Inputs, InputsError, LoadError, ObjectSpec, Place, PlaceError,
    Replacement, TableFile, TableSpec,
};

/// Which of the two plans tables are to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Bound where it makes the program start faster.
    Auto,
    /// Paths only.
    #[default]
    Direct,
    /// Paths and bindings.
    Bound,
}

/// How tables are to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which plan.
    pub kind: Kind,
    /// Folders to search before all others; `None` repeats the table's own.
    pub lib_dirs: Option<Vec<PathBuf>>,
    /// Rewrites the folders.
    pub replacements: Vec<Replacement>,
    /// Folders of plugins; `None` repeats the table's own.
    pub plugin_dirs: Option<Vec<PathBuf>>,
    /// Whether to look for plugins in the packages of the closure; `None`
    /// repeats what the table says.
    pub scan_plugins: Option<bool>,
}

/// Why no table can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The executable is not usable.
    #[error(transparent)]
    Executable(#[from] LibraryError),
    /// It is a shared library, or a kind of file that has no interpreter.
    #[error("it has no interpreter: not a dynamically linked executable")]
    NoInterpreter,
    /// It has no place for a table.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table that is there cannot be read, and holds the folders.
    #[error(
        "its table cannot be read, so its folders are not known: {0} (give them again with `--lib-dir`)"
    )]
    Load(#[source] LoadError),
    /// A folder cannot be searched.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The closure cannot be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// ld.so was found but makes no sense.
    #[error("`{}` is not a usable ld.so: {}", .0.display(), .1)]
    Ldso(PathBuf, &'static str),
    /// An object of the closure has tables that ld.so could not use.
    #[error("`{}` cannot be used: {}", .0.display(), .1)]
    Object(PathBuf, String),
    /// The libraries lack what is needed.
    #[error("the libraries do not satisfy it; its table stays as it was{}", list(.0))]
    Unmet(Vec<Unmet>),
    /// A folder of plugins cannot be searched.
    #[error("`--plugin-dir {}`: {} (give the folders of plugins again, or use `--no-plugins`)", .0.display(), .1)]
    PluginDir(PathBuf, String),
    /// A plugin would lose a library that it had.
    #[error("the libraries do not satisfy its plugins; its table stays as it was{}", lines(.0))]
    Plugins(Vec<String>),
    /// The table would not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There can be no bindings.
    #[error(transparent)]
    Bindings(#[from] ClosureBindingsError),
    /// A bound plan was asked for, and the binder is missing.
    #[error(
        "there is no binder at `{}`: the prefix was set up by another version (run `indir setup`, or use `--plan direct`)", .0.display()
    )]
    NoBinder(PathBuf),
}

fn list(unmet: &[Unmet]) -> String {
    unmet.iter().map(|unmet| format!("\n  {unmet}")).collect()
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("\n  {line}")).collect()
}

impl PlanError {
    /// Whether this is a refusal (exit code 3): the files are there and sound,
    /// but the libraries do not satisfy the binaries.
    pub fn is_refusal(&self) -> bool {
        matches!(self, Self::Unmet(_) | Self::Plugins(_))
    }

    /// As an error of one command, with the exit code that belongs to it.
    pub fn into_error(self) -> anyhow::Error {
        if self.is_refusal() {
            Refused(self.to_string()).into()
        } else {
            self.into()
        }
    }
}

/// What has to be done for an executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has no table.
    New,
    /// Its table differs.
    Changed,
    /// Its table is as it should be.
    Current,
}

/// A table that is ready to be written.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The executable, absolute and free of symlinks.
    pub exe: PathBuf,
    /// Where its table lies.
    pub place: Place,
    /// The table.
    pub bytes: Vec<u8>,
    /// The bindings beside it, in a bound plan that is not current.
    pub bindings: Option<Vec<u8>>,
    /// What has to be done.
    pub state: State,
    /// Number of libraries in its closure.
    pub libraries: usize,
    /// Functions that nobody provides, which the program may never call, and
    /// copies that were too small before.
    pub tolerated: Vec<Unmet>,
    /// The plugins that were looked at; `None` if there is no folder of any.
    pub plugins: Option<Vec<Plugin>>,
}

/// Makes plans that share what was read of libraries.
#[derive(Debug)]
pub struct Planner<'a> {
    store: &'a Store,
    options: &'a Options,
}

impl<'a> Planner<'a> {
    /// A planner for one run.
    pub fn new(store: &'a Store, options: &'a Options) -> Self {
        Self { store, options }
    }

    /// The plan for the executable at `exe`; symlinks are resolved, since the
    /// shim goes by /proc/self/exe.
    ///
    /// # Errors
    /// When no table can be made; see [`PlanError`].
    pub fn plan(&self, exe: &Path) -> Result<Plan, PlanError> {
        let exe = std::fs::canonicalize(exe).map_err(LibraryError::from)?;
        let library = Library::open(&exe)?;
        let place = place(&exe, &library)?;
        let old = TableFile::load(&place.path);
        let inputs = self.inputs(&old)?;
        let closure = Resolver::new(self.store, &inputs.lib_dirs).resolve(&exe, &library)?;
        let tolerated = self.check(&exe, &library, &closure, &inputs, &old)?;
        let plugins = plugins::Question {
            store: self.store,
            exe: &exe,
            library: &library,
            inputs: &inputs,
            closure: &closure,
            old: old.as_ref().ok().and_then(Option::as_ref),
        };
        let plugins = plugins.answer()?;
        let added = plugins.as_ref().map_or(&[][..], |found| &found.folders);
        let search = folders::of_table(&inputs, &closure, added);
        let mut spec = self.spec(&place, &library, &inputs, &closure, &search)?;
        let bound = bound::Candidate::new(self.options.kind, &library, &closure)?;
        spec.binder = bound.as_ref().map(|bound| bound.binder.clone());
        let bytes = spec.to_bytes()?;
        let mut state = match old {
            Ok(Some(old)) if old.bytes() == bytes => State::Current,
            Ok(None) => State::New,
            _ => State::Changed,
        };
        let mut bindings = None;
        if let Some(bound) = bound {
            // A table tells the content of every object, so that bindings that
            // belong to it need not be computed again to be compared.
            if state == State::Current && !bound::are_there(&place, &bytes) {
                state = State::Changed;
            }
            if state != State::Current {
                bindings = Some(bound.encode(&bytes)?);
            }
        }
        Ok(Plan {
            exe,
            place,
            bytes,
            bindings,
            state,
            libraries: closure.nodes.len(),
            tolerated,
            plugins: plugins.map(|found| found.plugins),
        })
    }

    /// Refuses a closure that lacks what is needed.
    ///
    /// A function that is only ever called, in an object that binds late, does
    /// not keep ld.so from starting the program. Such a miss is tolerated, and
    /// returned, if it is no loss: the ordinary resolution, without any
    /// `--lib-dir`, lacks it as well, and, where that is the very closure in
    /// question, no library has changed since the last table. Likewise a copy
    /// that is too small for its original, which ld.so warns of: in the ordinary
    /// resolution the original must be as large, or else its library unchanged.
    fn check(
        &self,
        exe_path: &Path,
        exe: &Library,
        closure: &Closure,
        inputs: &Inputs,
        old: &Result<Option<TableFile>, LoadError>,
    ) -> Result<Vec<Unmet>, PlanError> {
        let find = |closure: &Closure| {
            let unmet = check::unmet(self.store, exe_path, exe, closure);
            unmet.map_err(|(path, why)| PlanError::Object(path, why))
        };
        let unmet = find(closure)?;
        if unmet.is_empty() {
            return Ok(unmet);
        }
        let is_loss = if !unmet.iter().all(|u| u.lazy || u.grown.is_some()) {
            true
        } else if inputs.lib_dirs.is_empty() {
            let is_new = |old: &TableFile, unmet: &Unmet| match (&unmet.grown, &unmet.provider) {
                (Some(_), Some(provider)) => is_another(old, closure, provider),
                _ => has_changed(old, closure),
            };
            matches!(old, Ok(Some(old)) if unmet.iter().any(|unmet| is_new(old, unmet)))
        } else {
            let ordinary = Resolver::new(self.store, &[]).resolve(exe_path, exe);
            let lacks_too = |lacking: Vec<Unmet>| {
                // The library that lacks it may be another file.
                let key = |unmet: &Unmet| {
                    let name = unmet.needed_by.file_name().map(ToOwned::to_owned);
                    let names = (unmet.symbol.clone(), unmet.version.clone());
                    (names, name, unmet.grown.is_some())
                };
                let size = |unmet: &Unmet| unmet.grown.map_or(0, |grown| grown.size);
                let lacking: HashMap<_, _> = lacking.iter().map(|u| (key(u), size(u))).collect();
                let was_there = |u: &Unmet| lacking.get(&key(u)).is_some_and(|&was| size(u) <= was);
                unmet.iter().all(was_there)
            };
            !ordinary.is_ok_and(|closure| find(&closure).is_ok_and(lacks_too))
        };
        if is_loss {
            Err(PlanError::Unmet(unmet))
        } else {
            Ok(unmet)
        }
    }

    /// The folders to search: those given, or those of the old table.
    fn inputs(&self, old: &Result<Option<TableFile>, LoadError>) -> Result<Inputs, PlanError> {
        let mut inputs = match (&self.options.lib_dirs, old) {
            (Some(lib_dirs), old) => {
                let given = Inputs::new(lib_dirs.iter().cloned())?;
                let old = old.as_ref().ok().and_then(Option::as_ref);
                let old = old.and_then(|old| Some(Inputs::of(&old.table().ok()?)));
                Inputs {
                    lib_dirs: given.lib_dirs,
                    ..old.unwrap_or_default()
                }
            }
            (None, Ok(Some(old))) => old
                .table()
                .map(|table| Inputs::of(&table))
                .unwrap_or_default(),
            (None, Ok(None)) => Inputs::default(),
            (None, Err(LoadError::Io(error))) => {
                return Err(PlanError::Load(std::io::Error::from(error.kind()).into()));
            }
            (None, Err(LoadError::Table(path, error))) => {
                return Err(PlanError::Load(LoadError::Table(path.clone(), *error)));
            }
        };
        if let Some(folders) = &self.options.plugin_dirs {
            inputs.set_plugin_dirs(folders.iter().cloned())?;
        }
        inputs.scan_plugins = self.options.scan_plugins.unwrap_or(inputs.scan_plugins);
        inputs.replace(&self.options.replacements);
        Ok(inputs)
    }

    fn spec(
        &self,
        place: &Place,
        exe: &Library,
        inputs: &Inputs,
        closure: &Closure,
        search: &[PathBuf],
    ) -> Result<TableSpec, PlanError> {
        let (ldso_path, ldso) = &closure.ldso;
        let facts = ldso
            .ldso_facts()
            .map_err(|why| PlanError::Ldso(ldso_path.clone(), why))?;
        let objects = closure
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| ObjectSpec {
                soname: node.name.clone(),
                path: node.path.clone(),
                identity: node.library.identity.clone(),
                flags: if closure.ldso_index == Some(index) {
                    OBJECT_LDSO
                } else if self.may_search(node, search) {
                    OBJECT_SEARCH
                } else {
                    0
                },
            });
        Ok(TableSpec {
            exe_id: place.id.clone(),
            ldso: ldso_path.clone(),
            ldso_identity: ldso.identity.clone(),
            ldso_span: facts.span,
            ldso_r_debug: facts.r_debug,
            objects: objects.collect(),
            search: folders::join(search),
            inputs: inputs.to_text(),
            abi_digest: abi_digest(exe, closure),
            binder: None,
        })
    }

    /// Whether ld.so, searching `folders` by name, ends at `node` or at a
    /// glibc-hwcaps variant of it. Only then may the choice be left to ld.so,
    /// so that a table written on one processor is right on another.
    fn may_search(&self, node: &Node, folders: &[PathBuf]) -> bool {
        use crate::resolve::store::Lookup;
        if node.variants.is_empty() || node.name.contains(&b'/') {
            return false;
        }
        match &*self.store.search(&self.store.list(folders), &node.name) {
            Lookup::Found(hit) => {
                hit.library.file_id == node.library.file_id
                    && hit
                        .variants
                        .iter()
                        .all(|folder| node.variants.contains(folder))
            }
            _ => false,
        }
    }
}

/// Whether `closure` has other files, or files of other content, than `old`.
pub(super) fn has_changed(old: &TableFile, closure: &Closure) -> bool {
    let Ok(table) = old.table() else { return true };
    let then = table.objects().map(|object| {
        let identity = Identity::from_raw(&object.raw.identity);
        (object.path.to_bytes().to_vec(), identity)
    });
    let now = closure.nodes.iter().map(|node| {
        (
            node.path.as_os_str().as_bytes().to_vec(),
            node.library.identity.clone(),
        )
    });
    !then.eq(now)
}

/// Whether `old` does not name the file at `path` of `closure`, with its content.
fn is_another(old: &TableFile, closure: &Closure, path: &Path) -> bool {
    let (Ok(table), Some(now)) = (
        old.table(),
        closure.nodes.iter().find(|node| node.path == path),
    ) else {
        return true;
    };
    let is_same = |object: indir_shim::table::ObjectRef<'_>| {
        object.path.to_bytes() == path.as_os_str().as_bytes()
            && Identity::from_raw(&object.raw.identity) == now.library.identity
    };
    !table.objects().any(is_same)
}

/// Where the table of the executable at `exe` lies.
fn place(exe: &Path, library: &Library) -> Result<Place, PlanError> {
    let elf = library.map().elf().map_err(LibraryError::from)?;
    if elf.interpreter().is_none() {
        return Err(PlanError::NoInterpreter);
    }
    Ok(Place::of(exe, &elf.notes())?)
}

/// SHA-256 over the sorted digests of what each object needs.
fn abi_digest(exe: &Library, closure: &Closure) -> [u8; 32] {
    let libraries = closure.nodes.iter().map(|node| &*node.library);
    let mut needs: Vec<[u8; 32]> = libraries.chain([exe]).map(Library::needs_digest).collect();
    needs.sort_unstable();
    Sha256::digest(needs.as_flattened()).into()
}
