//! What a list of libraries leaves open among themselves: references that nobody
//! satisfies, and copies of objects, whose originals may not fit into them.

use std::sync::Arc;

use super::lookup::{Resolution, Scope};
use super::object::LoadedObject;
use crate::arch::Class;

/// A reference of a library: index of the library in the closure, index of the
/// symbol in it, how it is looked up, and whether only late calls use it.
type LibraryReference = (usize, u32, Class, bool);

/// What the libraries of a closure lack among themselves. The same for every
/// executable with these libraries, which can only add definitions.
#[derive(Clone, Debug, Default)]
pub struct Open {
    pub(in crate::resolve) references: Vec<LibraryReference>,
    /// Index of a library in the closure, and a symbol that it has a copy of.
    pub(in crate::resolve) copies: Vec<(usize, u32)>,
    pub(in crate::resolve) versions: bool,
}

/// What each of `libraries` has copies of.
pub(in crate::resolve) fn library_copies(libraries: &[Arc<LoadedObject>]) -> Vec<(usize, u32)> {
    let numbered = libraries.iter().enumerate();
    let copies = numbered.flat_map(|(index, library)| {
        let symbols = copied(library).into_iter();
        symbols.map(move |symbol| (index, symbol))
    });
    copies.collect()
}

/// What `libraries` lack among themselves.
pub(in crate::resolve) fn open_references(
    libraries: &[Arc<LoadedObject>],
) -> Vec<LibraryReference> {
    // Position 0 of a scope is the executable's; the first library stands in
    // for it, since an object that is there twice defines nothing new.
    let scope = Scope::new(
        libraries
            .first()
            .into_iter()
            .chain(libraries)
            .cloned()
            .collect(),
    );
    let mut open = Vec::new();
    for index in 0..libraries.len() {
        for reference in scope.references(index + 1) {
            let resolve = || scope.resolve(index + 1, reference.symbol, reference.class);
            if !reference.weak && resolve() == Resolution::Missing {
                open.push((index, reference.symbol, reference.class, reference.lazy));
            }
        }
    }
    open
}

/// The symbols that `object` has copies of.
pub fn copied(object: &LoadedObject) -> Vec<u32> {
    let class = object.relocation_types().class;
    let copies = object
        .relocations()
        .filter(|r| class(r.kind) == Class::Copy);
    let mut symbols: Vec<u32> = copies.map(|r| r.symbol).collect();
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}
