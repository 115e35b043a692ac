//! A difference of two trees: what it is, and for whom it counts.

use super::names::Name;

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A macro.
    Macro,
    /// A declaration or definition.
    Declaration,
    /// A value of an enum.
    Enumerator,
    /// A header that another one includes, or includes no more.
    Include,
    /// What is around declarations, or speaks to the compiler.
    Directive,
    /// A header that cannot be cut into parts.
    Header,
    /// A file of pkg-config.
    Module,
    /// A file of CMake.
    Cmake,
    /// A macro of aclocal.
    M4,
    /// A version number.
    Version,
    /// A symbol of a library.
    Symbol,
    /// A library as a whole.
    Library,
    /// The new library does not satisfy the earlier one as a floor.
    Floor,
    /// Another file.
    File,
    /// Another library of the consumer names what is new here.
    Sibling,
    /// The tree cannot be read.
    Unreadable,
}

impl Kind {
    /// The kind as `--json` and `--explain` call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Macro => "macro",
            Self::Declaration => "declaration",
            Self::Enumerator => "enumerator",
            Self::Include => "include",
            Self::Directive => "directive",
            Self::Header => "header",
            Self::Module => "module",
            Self::Cmake => "cmake",
            Self::M4 => "m4",
            Self::Version => "version",
            Self::Symbol => "symbol",
            Self::Library => "library",
            Self::Floor => "floor",
            Self::File => "file",
            Self::Sibling => "sibling",
            Self::Unreadable => "unreadable",
        }
    }
}

/// For whom a difference counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// For everybody.
    Always,
    /// For who reaches the name.
    Name(Name),
    /// For who reaches all of them.
    Names(Vec<Name>),
    /// A macro that stands for another text: for who reaches it in code, or has a
    /// condition that tells the two apart.
    Value(Name),
    /// For who spells these words.
    Spelled(Vec<String>),
    /// A version, for who asks for it or compares with one between the two.
    Version {
        /// Words by which the package is named; empty if it is named in any case.
        named: Vec<String>,
        /// What variables that hold its version begin with, in CMake.
        prefixes: Vec<String>,
        /// The earlier version.
        old: String,
        /// The new one.
        new: String,
    },
}

/// A difference.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    /// What it is.
    pub(super) kind: Kind,
    /// For people: what, how, where.
    pub(super) what: String,
    /// For whom it counts.
    pub(super) test: Test,
}
