//! The bindings of an executable whose closure is known.
//!
//! Ties together `resolve::bindings`, which decides, and `table::bindings`,
//! which stores; whether they are worth a file is the plan's decision.

use std::sync::Arc;

use crate::resolve::bindings::{Bindings, bind};
use crate::resolve::lookup::Scope;
use crate::resolve::{Closure, Library};
use crate::table::Identity;
use crate::table::bindings::{BindingsSpec, EncodeError};

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

/// The bindings of a closure, before they are tied to a table.
#[derive(Debug)]
pub struct ClosureBindings {
    scope: Scope,
    bindings: Bindings,
    identities: Vec<Identity>,
    ldso: Option<usize>,
}

impl ClosureBindings {
    /// Looks up every symbol of the closure. Libraries are parsed once, however
    /// many closures they are in.
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
        let scope = Scope::new(objects);
        Ok(Self {
            bindings: bind(&scope),
            scope,
            identities: libraries().map(|l| l.identity.clone()).collect(),
            ldso: closure.ldso_index.map(|index| index + 1),
        })
    }

    /// The bindings.
    pub fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The objects that they are for, the executable first.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The bytes of the file beside the table with this digest.
    ///
    /// # Errors
    /// When they do not fit the format.
    pub fn to_bytes(&self, digest: [u8; 16]) -> Result<Vec<u8>, EncodeError> {
        BindingsSpec {
            scope: &self.scope,
            bindings: &self.bindings,
            identities: &self.identities,
            ldso: self.ldso,
            digest,
        }
        .to_bytes()
    }
}
