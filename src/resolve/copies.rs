//! Objects that a program has a copy of.
//!
//! A program that uses a library's data directly holds its own copy of it
//! (a COPY relocation): ld.so fills it at start, and the library then uses the
//! copy, whose size was fixed when the program was linked. ld.so copies the
//! smaller of both sizes and warns if the library's is larger
//! (elf_machine_rela in glibc's dl-machine.h). Whether a program
//! may be given such a library is `update`'s decision.

use std::path::{Path, PathBuf};

use object::elf;

use super::addresses::entries::RawSymbol;
use super::addresses::lookup::{Resolution, Scope};
use super::addresses::object::LoadedObject;
use super::files::closure::Closure;
use super::unmet::{Measure, Misfit, Unmet, describe};
use crate::arch::Class;
use crate::elf::{ElfFile, ORDINARY_ALIGN};

/// Alignment beyond that of pages is not kept by every loader, in bytes.
const PAGE: u64 = 4096;

impl Misfit {
    fn of(copy: &RawSymbol, original: &RawSymbol, library: &LoadedObject) -> Option<Self> {
        let misfit = |what, copy, original| {
            (original > copy).then_some(Self {
                what,
                copy,
                original,
            })
        };
        let protected = || {
            let is_protected = original.visibility() == elf::STV_PROTECTED;
            misfit(Measure::Protected, 0, u64::from(is_protected))
        };
        protected()
            .or_else(|| misfit(Measure::Size, copy.size, original.size))
            .or_else(|| {
                let needed = needed_align(original, library);
                let address = 1_u64.checked_shl(copy.value.trailing_zeros());
                misfit(Measure::Align, address.unwrap_or(PAGE), needed)
            })
    }
}

/// The alignment that an object of a library provably wants, in bytes. See
/// docs/closure.md, "What is checked": up to [`ORDINARY_ALIGN`] addresses are
/// accidents, and a type's size is a multiple of its alignment (C17 6.2.8).
fn needed_align(original: &RawSymbol, library: &LoadedObject) -> u64 {
    let strict = |align: u64| align > ORDINARY_ALIGN && original.size.is_multiple_of(align);
    // Most objects end here, and no section header is read for them.
    if original.size == 0 || !strict(2 * ORDINARY_ALIGN) {
        return 1;
    }
    let shown = |elf: ElfFile<'_>| elf.sections().shown_align(original.value).min(PAGE);
    let shown = library.file().elf().map_or(1, shown);
    if strict(shown) { shown } else { 1 }
}

/// The copies, given as object of the scope and symbol in it, whose original is
/// missing, too large or aligned more strictly. A smaller original is none of them: ld.so says nothing,
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
        let (provider, misfit) = match found {
            Resolution::Zero => return None,
            Resolution::Missing => return describe(exe_path, closure, scope, (from, symbol)),
            Resolution::Found(original) => {
                let copy = scope.objects().get(from)?.symbol(symbol)?;
                let library = scope.objects().get(original.object)?;
                let mut misfit = Misfit::of(&copy, &original.raw, library)?;
                if misfit.what == Measure::Protected && needs_indirect(closure, original.object) {
                    misfit.what = Measure::Indirect;
                }
                (path_of(original.object), Some(misfit))
            }
        };
        Some(Unmet {
            provider,
            misfit,
            ..describe(exe_path, closure, scope, (from, symbol))?
        })
    };
    copies.filter_map(check).collect()
}

/// Functions that the executable takes for its own, by a value of its undefined
/// symbol, and that their library has protected and needs indirect access to.
pub(super) fn direct_functions(exe_path: &Path, closure: &Closure, scope: &Scope) -> Vec<Unmet> {
    // Hardly any library says so.
    if !closure
        .nodes
        .iter()
        .any(|node| node.library.demands.indirect_access)
    {
        return Vec::new();
    }
    let Some(exe) = scope.objects().first() else {
        return Vec::new();
    };
    let check = |symbol: u32| {
        let raw = exe.symbol(symbol)?;
        if raw.shndx != elf::SHN_UNDEF || raw.value == 0 {
            return None;
        }
        let Resolution::Found(found) = scope.resolve(0, symbol, Class::Copy) else {
            return None;
        };
        let is_protected = found.raw.visibility() == elf::STV_PROTECTED;
        if !is_protected || !needs_indirect(closure, found.object) {
            return None;
        }
        let node = closure.nodes.get(found.object.checked_sub(1)?)?;
        Some(Unmet {
            provider: Some(node.path.clone()),
            misfit: Some(Misfit {
                what: Measure::Indirect,
                copy: 0,
                original: 1,
            }),
            ..describe(exe_path, closure, scope, (0, symbol))?
        })
    };
    let count = u32::try_from(exe.symbol_count()).unwrap_or(u32::MAX);
    (1..count).filter_map(check).collect()
}

fn needs_indirect(closure: &Closure, object: usize) -> bool {
    let node = object
        .checked_sub(1)
        .and_then(|index| closure.nodes.get(index));
    node.is_some_and(|node| node.library.demands.indirect_access)
}
