//! Objects that a program has a copy of.
//!
//! A program that uses a library's data directly holds its own copy of it
//! (R_X86_64_COPY): ld.so fills it at start, and the library then uses the
//! copy, whose size was fixed when the program was linked. ld.so copies the
//! smaller of both sizes and warns if the library's is larger
//! (elf_machine_rela in glibc sysdeps/x86_64/dl-machine.h). Whether a program
//! may be given such a library is `update`'s decision.

use std::path::{Path, PathBuf};

use object::elf;

use super::check::{Unmet, describe};
use super::closure::Closure;
use super::lookup::{Class, Resolution, Scope};
use super::object::LoadedObject;

/// A library's object that does not fit into the copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grown {
    /// Bytes that the copy has room for (`st_size` of the copy).
    pub room: u64,
    /// Bytes that the library's object has (`st_size` of the original).
    pub size: u64,
}

/// The symbols that `object` has copies of.
pub(super) fn copied(object: &LoadedObject) -> Vec<u32> {
    let copies = object
        .relocations()
        .filter(|r| r.kind == elf::R_X86_64_COPY);
    let mut symbols: Vec<u32> = copies.map(|r| r.symbol).collect();
    symbols.sort_unstable();
    symbols.dedup();
    symbols
}

/// The copies, given as object of the scope and symbol in it, whose original is
/// missing or too large. A smaller original is none of them: ld.so says nothing,
/// and nobody writes beyond the copy.
pub(super) fn unfit(
    exe_path: &Path,
    closure: &Closure,
    scope: &Scope,
    copies: impl Iterator<Item = (usize, u32)>,
) -> Vec<Unmet> {
    let path_of = |object: usize| -> Option<PathBuf> {
        let node = closure.nodes.get(object.checked_sub(1)?)?;
        Some(node.path.clone())
    };
    let check = |(from, symbol): (usize, u32)| {
        let found = scope.resolve(from, symbol, Class::Copy);
        let (provider, grown) = match found {
            Resolution::Zero => return None,
            Resolution::Missing => return describe(exe_path, closure, scope, (from, symbol)),
            Resolution::Found(original) => {
                let room = scope.objects().get(from)?.symbol(symbol)?.size;
                let size = original.raw.size;
                let grown = (size > room).then_some(Grown { room, size })?;
                (path_of(original.object), Some(grown))
            }
        };
        Some(Unmet {
            provider,
            grown,
            ..describe(exe_path, closure, scope, (from, symbol))?
        })
    };
    copies.filter_map(check).collect()
}
