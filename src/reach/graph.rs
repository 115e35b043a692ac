//! A library as a graph: what it consists of, and what refers to what.
//!
//! An atom's hash covers its content without addresses, and of each reference how and at
//! which offset it refers; what it refers to is an edge. Two builds in which the same
//! can be reached by the same edges over the same hashes behave the same, wherever
//! things lie.

use std::collections::HashMap;

use crate::arch::Class;

/// What an atom is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A function, or a part of one.
    Code,
    /// Bytes between functions that are no instructions.
    CodeData,
    /// A constant string.
    Text,
    /// Other constant bytes.
    Constant,
    /// A variable, or a constant that ld.so relocates.
    Data,
    /// The initial values of thread-local variables.
    Tls,
    /// An exception table.
    Lsda,
    /// A symbol that ld.so looks up.
    Import,
    /// What is no bytes of the file: constructors, the end of a section.
    Made,
}

/// The version of the analysis: changed whenever a graph of the same library, or a walk
/// over it, comes to mean something else.
pub(super) const ANALYSIS: u32 = 2;
/// The atom cannot be read with certainty.
pub(super) const UNSURE: u8 = 1;
/// The atom is part of glibc and opens libraries by name.
pub(super) const OPENS: u8 = 2;
/// What of glibc finds a symbol by its name.
pub(super) const FINDERS: [&[u8]; 2] = [b"dlsym", b"dlvsym"];
/// No atom has this many names.
pub(super) const NO_NAME: u32 = u32::MAX;

/// A piece of a library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Atom {
    /// What it is.
    pub kind: Kind,
    pub(super) flags: u8,
    /// Its content, and the manner of its references.
    pub hash: [u8; 16],
    /// The same without numbers of lines and texts.
    pub(super) loose: u64,
    /// Its address in the file's own numbering; 0 of what is not in the file.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
    pub(super) name: u32,
    pub(super) first: u32,
}

impl Atom {
    /// Whether two references to it may be told apart from two references to its like:
    /// all but constant bytes are themselves.
    pub(super) fn has_identity(&self, edges: usize) -> bool {
        edges > 0 || !matches!(self.kind, Kind::Text | Kind::Constant | Kind::CodeData)
    }
}

/// A symbol that ld.so looks up for a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Import {
    /// Its index in the dynamic symbol table.
    pub(super) symbol: u32,
    /// How it is looked up.
    pub(super) class: Class,
}

/// Names that an atom gives to dlsym; `None` if they are not all constant.
pub(super) type Lookup = Option<Vec<Box<[u8]>>>;

/// A library.
#[derive(Debug, Default)]
pub struct Graph {
    pub(super) atoms: Vec<Atom>,
    /// Of all atoms one after the other.
    pub(super) edges: Vec<u32>,
    pub(super) names: Vec<Box<str>>,
    pub(super) imports: HashMap<u32, Import>,
    /// By index in the dynamic symbol table: atom, and offset in it.
    pub(super) exports: HashMap<u32, (u32, i64)>,
    /// What runs whenever the library is loaded, relocated and unloaded.
    pub(super) constructors: u32,
    /// What ld.so runs to choose the implementation of an exported symbol.
    pub(super) resolver_of: HashMap<u32, u32>,
    /// Atoms that look symbols up while they run.
    pub(super) lookups: HashMap<u32, Lookup>,
}

impl Graph {
    /// Number of atoms.
    pub fn len(&self) -> usize {
        self.atoms.len()
    }

    /// Whether it has no atoms.
    pub fn is_empty(&self) -> bool {
        self.atoms.is_empty()
    }

    /// The atom with this index.
    pub fn atom(&self, index: u32) -> Option<&Atom> {
        self.atoms.get(index as usize)
    }

    /// What an atom refers to.
    pub fn edges(&self, index: u32) -> &[u32] {
        let find = || {
            let first = self.atom(index)?.first as usize;
            let next = self.atoms.get(index as usize + 1);
            let end = next.map_or(self.edges.len(), |atom| atom.first as usize);
            self.edges.get(first..end)
        };
        find().unwrap_or(&[])
    }

    /// The name of an atom, if its symbol table has one.
    pub fn name(&self, index: u32) -> Option<&str> {
        let name = self.atom(index)?.name;
        self.names.get(name as usize).map(|name| &**name)
    }

    /// The atom of a symbol that the library offers, by its index in the dynamic symbol
    /// table.
    pub fn export(&self, symbol: u32) -> Option<u32> {
        self.exports.get(&symbol).map(|export| export.0)
    }
}
