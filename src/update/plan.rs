//! The table that an executable should have, computed from files alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use indir_shim::format::layout::{
    OBJECT_FIXED, OBJECT_GLIBC, OBJECT_LDSO, OBJECT_SEARCH, SEARCH_OWN,
};
use indir_shim::format::table::{Table, TableError};
use sha2::{Digest as _, Sha256};

use super::asked::Asked;
use super::bound;
use super::change::Facts;
use super::error::PlanError;
use super::folders::{self, Folders};
use super::glibc;
use super::options::{Kind, Options};
use super::plugins::{self, Plugin};
use super::tolerate;
use crate::elf::is_privileged;
use crate::place::{Place, Subject};
use crate::resolve::files::library::LibraryError;
use crate::resolve::unmet::Unmet;
use crate::resolve::{Closure, Library, Node, Resolver, Store};
use crate::table::{Chosen, Inputs, LoadError, ObjectSpec, Replacement, TableFile, TableSpec};

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
    /// Its path in the system that it is for.
    pub name: PathBuf,
    /// The file that was read as that.
    pub subject: Subject,
    /// Where its table lies.
    pub place: Place,
    /// The table.
    pub bytes: Vec<u8>,
    /// The bindings beside it, in a bound plan that is not current.
    pub bindings: Option<Vec<u8>>,
    /// What has to be done.
    pub state: State,
    /// The table that is there, if it is another one.
    pub previous: Option<TableFile>,
    /// What the table that is there says; `None` if there is none that can be read.
    pub before: Option<Facts>,
    /// The folders that its libraries are in.
    pub folders: Vec<PathBuf>,
    /// The libraries of its closure.
    pub libraries: Vec<Arc<Library>>,
    /// Functions that nobody provides, which the program may never call, and
    /// copies that were too small before.
    pub tolerated: Vec<Unmet>,
    /// What else does not fit together, and did not before; what was wrong with
    /// bindings beside a table that is as it should be.
    pub warnings: Vec<String>,
    /// The plugins that were looked at; `None` if there is no folder of any.
    pub plugins: Option<Vec<Plugin>>,
}

impl Plan {
    /// What the table changes, for people.
    pub fn change(&self) -> Option<String> {
        let new = Facts::of(&Table::parse(&self.bytes).ok()?, &self.name);
        Some(match self.state {
            State::Current => format!("{}, {}", new.plan, new.glibc.display()),
            _ => new.since(self.before.as_ref()),
        })
    }
}

/// Makes plans that share what was read of libraries.
#[derive(Debug)]
pub struct Planner<'a> {
    store: &'a Store,
    options: &'a Options,
    asked: Asked<'a>,
}

impl<'a> Planner<'a> {
    /// A planner for one run.
    pub fn new(store: &'a Store, options: &'a Options) -> Self {
        Self {
            store,
            options,
            asked: Asked::new(&options.replacements),
        }
    }

    /// The replacements that no table of this run knew.
    pub fn unknown(&self) -> Vec<Replacement> {
        self.asked.unknown()
    }

    /// The plan for the executable at `exe`; symlinks are resolved, since the
    /// shim goes by /proc/self/exe.
    ///
    /// # Errors
    /// When no table can be made; see [`PlanError`].
    pub fn plan(&self, exe: &Path) -> Result<Plan, PlanError> {
        let exe = std::fs::canonicalize(exe).map_err(LibraryError::from)?;
        let library = Library::open(&exe)?;
        let subject = Subject::of(library.map().metadata());
        self.plan_as(exe, &library, subject)
    }

    /// The plan for the executable `library`, which is, or will be, at `exe`.
    ///
    /// # Errors
    /// See [`Planner::plan`].
    pub fn plan_as(
        &self,
        exe: PathBuf,
        library: &Library,
        subject: Subject,
    ) -> Result<Plan, PlanError> {
        let place = self.place(&exe, library)?;
        crate::place::check_place(&exe, &subject, &place).map_err(PlanError::Refused)?;
        self.plan_at(exe, library, subject, place)
    }

    /// The same for a table at `place`, wherever that is.
    ///
    /// # Errors
    /// See [`Planner::plan`].
    pub fn plan_at(
        &self,
        exe: PathBuf,
        library: &Library,
        subject: Subject,
        place: Place,
    ) -> Result<Plan, PlanError> {
        let old = TableFile::load_for(&place.path, subject.owner.uid);
        if let Err(foreign @ LoadError::Foreign(..)) = old {
            let mend = crate::place::mend(&place.path, subject.owner.uid);
            return Err(PlanError::Foreign(foreign, mend));
        }
        let root = self.store.root();
        // What it finds by `$ORIGIN` is in the system that it is for.
        let name = root.inside(&exe);
        let name = name.ok_or_else(|| PlanError::Outside(root.folder().map(Path::to_owned)))?;
        let mut inputs = self.inputs(&old)?;
        let closure = Resolver::new(self.store, &inputs.lib_dirs)
            .with_origin_dirs(&inputs.origin_dirs)
            .resolve(&name, library)?;
        let known = old.as_ref().ok().and_then(Option::as_ref);
        self.asked.check(&name, known, &closure)?;
        let tolerated = tolerate::check(self.store, (&name, library), &closure, &inputs, &old)?;
        let mut warnings = tolerate::unfit(self.store, (&name, library), &closure, &inputs)?;
        if let (Err(LoadError::Table(path, error)), None) = (&old, &self.options.lib_dirs) {
            warnings.push(format!(
                "`{}`: {}: it is written anew, and what it knew of `--lib-dir` and `--plugin-dir` is lost",
                path.display(),
                error.message()
            ));
        }
        let plugins = plugins::Question {
            store: self.store,
            exe: &name,
            library,
            inputs: &inputs,
            closure: &closure,
            old: known,
        };
        let plugins = plugins.answer()?;
        let lacking = plugins.iter().flat_map(|found| &found.plugins);
        let lacking = lacking.filter(|plugin| !plugin.missing.is_empty());
        inputs.set_lacking(lacking.map(Plugin::hash));
        let added = plugins.as_ref().map_or(&[][..], |found| &found.folders);
        let search = folders::of_table(&inputs, &closure, added);
        let mut spec = self.spec((&exe, &name, library), &place, &inputs, &closure, &search)?;
        let kind = match inputs.plan {
            Some(Chosen::Direct) => Kind::Direct,
            Some(Chosen::Bound) => Kind::Bound,
            None => self.options.asked.unwrap_or(self.options.kind),
        };
        let bound = bound::Candidate::new(root, kind, library, &closure)?;
        spec.binder = bound.as_ref().map(|bound| bound.binder.clone());
        let bytes = spec.to_bytes()?;
        let before = known.and_then(|old| Some(Facts::of(&old.table().ok()?, &name)));
        let is_own = |old: &&TableFile| old.table().is_ok_and(|t| t.exe_id() == place.id);
        let previous = known.filter(is_own).filter(|old| old.bytes() != bytes);
        let previous = previous.cloned();
        let mut state = match old {
            Ok(Some(old)) if old.bytes() == bytes => State::Current,
            Ok(None) => State::New,
            _ => State::Changed,
        };
        let mut bindings = None;
        if let Some(bound) = bound {
            // Bindings tell the content of every object, so that they need not be
            // computed again to be compared.
            if state == State::Current
                && let Some(fault) = bound.fault(&place, &bytes)
            {
                state = State::Changed;
                if let bound::Fault::Bad(why) = fault {
                    let path = place.bindings();
                    warnings.push(format!("`{}`: {why}; written again", path.display()));
                }
            }
            if state != State::Current {
                bindings = Some(bound.encode(&bytes)?);
            }
        }
        if !library.map().is_unchanged() {
            return Err(PlanError::Changed(exe));
        }
        Ok(Plan {
            exe,
            name,
            subject,
            place,
            bytes,
            bindings,
            state,
            previous,
            before,
            folders: folders_of(&closure),
            libraries: closure.nodes.into_iter().map(|node| node.library).collect(),
            tolerated,
            warnings,
            plugins: plugins.map(|found| found.plugins),
        })
    }

    /// Where the table of the executable at `exe` lies.
    fn place(&self, exe: &Path, library: &Library) -> Result<Place, PlanError> {
        let elf = library.map().elf().map_err(LibraryError::from)?;
        if elf.interpreter().is_none() {
            return Err(PlanError::NoInterpreter);
        }
        let notes = elf.notes();
        let beside = Place::of(exe, &notes)?.in_root(self.store.root())?;
        Ok(match &self.options.tables {
            Some(folder) => Place::in_folder(folder, &notes)?,
            None => beside,
        })
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
                let again = std::io::Error::new(error.kind(), error.to_string());
                return Err(PlanError::Load(again.into()));
            }
            (None, Err(LoadError::Table(_, error))) if is_damage(*error) => Inputs::default(),
            (None, Err(LoadError::Table(path, error))) => {
                return Err(PlanError::Load(LoadError::Table(path.clone(), *error)));
            }
            (None, Err(LoadError::Foreign(path, why))) => {
                return Err(PlanError::Load(LoadError::Foreign(
                    path.clone(),
                    why.clone(),
                )));
            }
        };
        if let Some(folders) = &self.options.plugin_dirs {
            inputs.set_plugin_dirs(folders.iter().cloned())?;
        }
        if let Some(folders) = &self.options.origin_dirs {
            inputs.set_origin_dirs(folders.iter().cloned())?;
        }
        match self.options.asked {
            None => {}
            Some(Kind::Auto) => inputs.plan = None,
            Some(Kind::Direct) => inputs.plan = Some(Chosen::Direct),
            Some(Kind::Bound) => inputs.plan = Some(Chosen::Bound),
        }
        inputs.scan_plugins = self.options.scan_plugins.unwrap_or(inputs.scan_plugins);
        self.asked.replace(self.store.root(), &mut inputs)?;
        Ok(inputs)
    }

    fn spec(
        &self,
        (exe_path, name, exe): (&Path, &Path, &Library),
        place: &Place,
        inputs: &Inputs,
        closure: &Closure,
        search: &Folders,
    ) -> Result<TableSpec, PlanError> {
        let (ldso_path, ldso) = &closure.ldso;
        // Under AT_SECURE the executable's folder proves nothing.
        let may_move = !(self.options.privileged || is_privileged(exe_path));
        let stored = |path: &PathBuf, relative: &Option<PathBuf>| {
            relative
                .as_ref()
                .filter(|_| may_move)
                .unwrap_or(path)
                .clone()
        };
        let parts = glibc::parts(self.store.root(), closure);
        let facts = ldso
            .ldso_facts()
            .map_err(|why| PlanError::Ldso(ldso_path.clone(), why))?;
        let objects = closure
            .nodes
            .iter()
            .enumerate()
            .map(|(index, node)| ObjectSpec {
                soname: node.name.clone(),
                path: stored(&node.path, &node.relative),
                identity: node.library.identity.clone(),
                flags: if closure.ldso_index == Some(index) {
                    OBJECT_LDSO
                } else {
                    let flag = |flag, is_set: bool| if is_set { flag } else { 0 };
                    let may_search = || self.may_search((name, exe), node, search);
                    flag(OBJECT_SEARCH, may_search())
                        | flag(OBJECT_FIXED, node.fixed)
                        | flag(OBJECT_GLIBC, parts.contains(&index))
                },
            });
        Ok(TableSpec {
            arch: exe.arch,
            exe_id: place.id.clone(),
            ldso: stored(ldso_path, &closure.ldso_relative),
            ldso_identity: ldso.identity.clone(),
            ldso_span: facts.span,
            ldso_r_debug: facts.r_debug,
            objects: objects.collect(),
            search: search.text.clone(),
            search_fixed: search.fixed,
            flags: if search.own { SEARCH_OWN } else { 0 },
            inputs: inputs.to_text(),
            abi_digest: abi_digest(exe, closure),
            binder: None,
        })
    }

    /// Whether ld.so, searching by name for the executable, ends at `node` or at a
    /// glibc-hwcaps variant of it. Only then may the choice be left to ld.so,
    /// so that a table written on one processor is right on another. Another glibc's
    /// cache and default folders are not known: there the table's must do.
    fn may_search(
        &self,
        (exe_path, exe): (&Path, &Library),
        node: &Node,
        search: &Folders,
    ) -> bool {
        use crate::resolve::files::store::{Hit, Lookup};
        if node.variants.is_empty() || node.name.contains(&b'/') {
            return false;
        }
        let same = |hit: &Hit| {
            hit.library.file_id == node.library.file_id
                && hit
                    .variants
                    .iter()
                    .all(|folder| node.variants.contains(folder))
        };
        match &*self
            .store
            .search(&self.store.list(exe.arch, &search.paths), &node.name)
        {
            Lookup::Found(hit) => same(hit),
            Lookup::Missing(_) if search.is_ordinary => {
                let ordinary = Resolver::new(self.store, &[]);
                ordinary
                    .of_system(exe_path, exe, &node.name)
                    .is_some_and(|hit| same(&hit))
            }
            _ => false,
        }
    }
}

/// Whether a table of ours has lost what it said; a file that never was one, or is of
/// another version, is not for us to replace.
fn is_damage(error: TableError) -> bool {
    matches!(
        error,
        TableError::Empty | TableError::Truncated | TableError::Corrupt
    )
}

/// The folders that the objects of `closure` were found in, each once.
fn folders_of(closure: &Closure) -> Vec<PathBuf> {
    let nodes = closure.nodes.iter().map(|node| &node.path);
    let all = nodes.chain([&closure.ldso.0]);
    let mut folders: Vec<PathBuf> = all.filter_map(|p| p.parent()).map(Path::to_owned).collect();
    folders.sort_unstable();
    folders.dedup();
    folders
}

/// SHA-256 over the sorted digests of what each object needs.
fn abi_digest(exe: &Library, closure: &Closure) -> [u8; 32] {
    let libraries = closure.nodes.iter().map(|node| &*node.library);
    let mut needs: Vec<[u8; 32]> = libraries.chain([exe]).map(Library::needs_digest).collect();
    needs.sort_unstable();
    Sha256::digest(needs.as_flattened()).into()
}
