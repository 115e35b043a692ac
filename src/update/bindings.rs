//! The bindings of an executable whose closure is known.
//!
//! Ties together `resolve::addresses::bindings`, which decides, and `table::bindings`,
//! which stores; whether they are worth a file is the plan's decision.

use std::sync::Arc;

use crate::arch::Class;
use crate::resolve::addresses::bindings::{Bindings, bind};
use crate::resolve::addresses::lookup::Scope;
use crate::resolve::addresses::object::LoadedObject;
use crate::resolve::addresses::plan::Symbolic;
use crate::resolve::{Closure, Library};
use crate::table::bindings::{BindingsSpec, EncodeError, ObjectFile};
use crate::table::bindings_file;

/// Why a closure has no bindings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureBindingsError {
    /// The tables of an object are not usable.
    #[error("`{0}`: {1}")]
    Object(String, String),
    /// See [`EncodeError`].
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// The objects of a closure, parsed for lookups.
#[derive(Debug)]
pub struct ClosureScope {
    scope: Scope,
    files: Vec<ObjectFile>,
    ldso: Option<usize>,
}

impl ClosureScope {
    /// Parses what was not parsed for another closure.
    ///
    /// # Errors
    /// When an object cannot be parsed.
    pub fn new(exe: &Library, closure: &Closure) -> Result<Self, ClosureBindingsError> {
        let libraries = || std::iter::once(exe).chain(closure.nodes.iter().map(|n| &*n.library));
        let loaded = |library: &Library| {
            let path = || library.map().path().display().to_string();
            library
                .loaded()
                .map_err(|why| ClosureBindingsError::Object(path(), why))
        };
        let objects = libraries()
            .map(loaded)
            .collect::<Result<Vec<Arc<_>>, _>>()?;
        let mut files = vec![ObjectFile {
            identity: exe.identity.clone(),
            ..ObjectFile::default()
        }];
        files.extend(closure.nodes.iter().map(|node| ObjectFile {
            identity: node.library.identity.clone(),
            state: Some(bindings_file::state_of(node.library.map().metadata())),
            stored: bindings_file::is_stored(&node.path),
        }));
        Ok(Self {
            scope: Scope::new(objects),
            files,
            ldso: closure.ldso_index.map(|index| index + 1),
        })
    }

    /// The objects, the executable first.
    pub fn objects(&self) -> &[Arc<LoadedObject>] {
        self.scope.objects()
    }

    /// Whether the binder, which refers to ld.so's `_r_debug`, is given that one. It is
    /// not where the program has a copy of it, which is empty at that time, or another
    /// object of that name.
    pub fn gives_the_list(&self) -> bool {
        let Some(exe) = self.scope.objects().first() else {
            return false;
        };
        let version = exe.arch().first_version;
        let found = self
            .scope
            .find(b"_r_debug", Some(version.as_bytes()), Class::Data);
        found.is_some_and(|found| Some(found.object) == self.ldso)
    }

    /// Symbols that ld.so looks up before the program begins: all symbolic
    /// relocations, but functions that are bound at the first call.
    pub fn lookups_at_start(&self) -> usize {
        let of = |object: &Arc<LoadedObject>| {
            let symbolic = &object.relocation_plan().symbolic;
            let late = |s: &&Symbolic| s.jump && object.binds_late(s.symbol);
            symbolic.iter().filter(|s| !late(s)).count()
        };
        self.scope.objects().iter().map(of).sum()
    }

    /// Looks up every symbol.
    pub fn bind(self) -> ClosureBindings {
        ClosureBindings {
            bindings: bind(&self.scope),
            closure: self,
        }
    }
}

/// The bindings of a closure, before they are tied to a table.
#[derive(Debug)]
pub struct ClosureBindings {
    closure: ClosureScope,
    bindings: Bindings,
}

impl ClosureBindings {
    /// Looks up every symbol of the closure. Libraries are parsed once, however
    /// many closures they are in.
    ///
    /// # Errors
    /// When an object cannot be parsed.
    pub fn new(exe: &Library, closure: &Closure) -> Result<Self, ClosureBindingsError> {
        Ok(ClosureScope::new(exe, closure)?.bind())
    }

    /// The bindings.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The objects that they are for, the executable first.
    pub fn scope(&self) -> &Scope {
        &self.closure.scope
    }

    /// The bytes of the file beside the table with this digest.
    ///
    /// # Errors
    /// When they do not fit the format.
    pub fn to_bytes(&self, digest: [u8; 16]) -> Result<Vec<u8>, EncodeError> {
        BindingsSpec {
            scope: &self.closure.scope,
            bindings: &self.bindings,
            files: &self.closure.files,
            ldso: self.closure.ldso,
            digest,
        }
        .to_bytes()
    }
}
