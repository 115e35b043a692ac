//! Symbol lookup over a closure, exactly as ld.so does it at start.
//!
//! Follows glibc elf/dl-lookup.c (check_match, do_lookup_x,
//! _dl_lookup_symbol_x) and elf/dl-reloc.c (resolve_map) with LD_DYNAMIC_WEAK
//! off. Where glibc releases decide differently the result says so
//! ([`Definition::ambiguous`]), and where ld.so's answer depends on the order
//! of earlier lookups (STB_GNU_UNIQUE) the caller must compare all answers.

use std::sync::Arc;

use object::elf;

use super::entries::{RawSymbol, Version};
use super::hash::{self, NameHash};
use super::object::LoadedObject;
use crate::arch::{Class, Kind};

/// Where a symbol was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Index of the object in the scope.
    pub object: usize,
    /// Index of the symbol in that object.
    pub symbol: u32,
    /// The symbol itself.
    pub raw: RawSymbol,
    /// glibc releases do not agree on it (2.42 changed check_match): the object
    /// has several candidates, or has lost its versions.
    pub ambiguous: bool,
}

/// Outcome of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// Someone provides it.
    Found(Definition),
    /// Nobody does, and the reference is weak: its address is 0.
    Zero,
    /// Nobody does: ld.so stops, now or when the function is first called.
    Missing,
}

/// A reference of one object to a symbol.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// Index of the symbol in the referring object.
    pub symbol: u32,
    /// Name, without version.
    pub name: &'a [u8],
    /// The version that it is needed with.
    pub version: Option<Version<'a>>,
    /// STB_WEAK: may stay unresolved.
    pub weak: bool,
    /// How it is looked up.
    pub class: Class,
    /// Only function calls refer to it, in an object that binds late: a missing
    /// definition stops the program at the first call, not at start.
    pub lazy: bool,
}

/// What to look for.
#[derive(Clone, Copy)]
struct Query<'a> {
    hash: NameHash<'a>,
    version: Option<Version<'a>>,
    class: Class,
}

/// The global scope of a program: the executable, then its libraries in
/// ld.so's breadth-first order.
#[derive(Clone, Debug)]
pub struct Scope {
    objects: Vec<Arc<LoadedObject>>,
}

impl Scope {
    /// A scope of these objects, the executable first.
    pub fn new(objects: Vec<Arc<LoadedObject>>) -> Self {
        Self { objects }
    }

    /// The objects, the executable first.
    pub fn objects(&self) -> &[Arc<LoadedObject>] {
        &self.objects
    }

    /// What symbol `symbol` of object `from` resolves to.
    ///
    /// A symbol that does not exist or has no readable name is `Missing`.
    pub fn resolve(&self, from: usize, symbol: u32, class: Class) -> Resolution {
        let Some((object, raw)) = self
            .objects
            .get(from)
            .and_then(|o| Some((o, o.symbol(symbol)?)))
        else {
            return Resolution::Missing;
        };
        let own = Definition {
            object: from,
            symbol,
            raw,
            ambiguous: false,
        };
        if raw.binding() == elf::STB_LOCAL || raw.binds_locally() {
            return Resolution::Found(own);
        }
        let Some(name) = object.string(raw.name) else {
            return Resolution::Missing;
        };
        let mut query = Query {
            hash: NameHash {
                name,
                gnu: hash::gnu(name),
            },
            version: object.symbol_version(symbol),
            class,
        };
        let Some(found) = self.find_from(from, &query) else {
            return if raw.binding() == elf::STB_WEAK {
                Resolution::Zero
            } else {
                Resolution::Missing
            };
        };
        if raw.visibility() == elf::STV_PROTECTED {
            // The reference is protected: its own object wins, unless someone
            // else's lookup would find nothing else (_dl_lookup_symbol_x).
            let other = if class == Class::Plt {
                Some(found)
            } else {
                query.class = Class::Plt;
                self.find_from(from, &query)
            };
            if other.is_some_and(|other| other.object != from) {
                return Resolution::Found(own);
            }
        }
        Resolution::Found(found)
    }

    /// Who provides `name`, asked from outside of any object. With a version,
    /// as a versioned reference; without, as one from before versions.
    pub fn find(&self, name: &[u8], version: Option<&[u8]>, class: Class) -> Option<Definition> {
        let query = Query {
            hash: NameHash {
                name,
                gnu: hash::gnu(name),
            },
            version: version.map(|name| Version {
                name,
                hash: hash::sysv(name),
                hidden: false,
                file: None,
            }),
            class,
        };
        self.search(0..self.objects.len(), &query)
    }

    /// Every symbol that object `from` refers to without defining it, with the
    /// strictest way it is looked up in, in the order of its symbol table.
    pub fn references(&self, from: usize) -> Vec<Reference<'_>> {
        let Some(object) = self.objects.get(from) else {
            return Vec::new();
        };
        let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
        let mut uses: Vec<Option<(Class, bool)>> = vec![None; count as usize];
        let types = object.relocation_types();
        let eager = object.relocations().map(|r| (r, false));
        let calls = object.jump_relocations();
        let calls = calls.map(|r| (r, object.binds_late(r.symbol)));
        for (relocation, lazy) in eager.chain(calls) {
            if !(types.uses_symbol)(relocation.kind) {
                continue;
            }
            let lazy = lazy && (types.kind)(relocation.kind) == Kind::Function;
            if let Some(seen) = uses.get_mut(relocation.symbol as usize) {
                let class = (types.class)(relocation.kind);
                *seen = Some(match *seen {
                    // Whoever satisfies a call satisfies an address too.
                    Some((Class::Plt, was)) => (Class::Plt, was && lazy),
                    Some((_, was)) => (class, was && lazy),
                    None => (class, lazy),
                });
            }
        }
        let reference = |symbol| {
            let raw = object.symbol(symbol)?;
            if raw.shndx != elf::SHN_UNDEF || raw.binding() == elf::STB_LOCAL {
                return None;
            }
            let used = uses.get(symbol as usize).copied().flatten();
            let (class, lazy) = used.unwrap_or((Class::Data, true));
            Some(Reference {
                symbol,
                name: object.string(raw.name)?,
                version: object.symbol_version(symbol),
                weak: raw.binding() == elf::STB_WEAK,
                class,
                lazy,
            })
        };
        (1..count).filter_map(reference).collect()
    }

    /// ld.so's scope of an object: itself first if it is a DT_SYMBOLIC library
    /// (never the executable: elf/dl-load.c), then all.
    fn find_from(&self, from: usize, query: &Query<'_>) -> Option<Definition> {
        if from != 0
            && self.objects.get(from).is_some_and(|o| o.is_symbolic())
            && let Some(own) = self.search(from..from + 1, query)
        {
            return Some(own);
        }
        self.search(0..self.objects.len(), query)
    }

    /// do_lookup_x.
    fn search(&self, range: std::ops::Range<usize>, query: &Query<'_>) -> Option<Definition> {
        let start = range.start;
        for (offset, object) in self.objects.get(range)?.iter().enumerate() {
            let index = start + offset;
            if index == 0 && query.class == Class::Copy {
                continue;
            }
            let Some((symbol, raw, ambiguous)) = search_object(object, query) else {
                continue;
            };
            if raw.binds_locally() {
                continue;
            }
            if matches!(
                raw.binding(),
                elf::STB_WEAK | elf::STB_GLOBAL | elf::STB_GNU_UNIQUE
            ) {
                return Some(Definition {
                    object: index,
                    symbol,
                    raw,
                    ambiguous,
                });
            }
        }
        None
    }
}

/// How a candidate fits.
enum Match {
    No,
    /// It is what is looked for.
    Exact,
    /// It will do if nothing else in the object fits better.
    Fallback,
}

/// The definition that one object offers, and whether glibc releases differ.
///
/// Up to 2.41 an unversioned definition ends the search of a versioned
/// reference at once; later, an exact version further down the chain wins, and
/// two unversioned ones cancel each other. All candidates are looked at, and
/// the choice is only sure when both rules make it.
fn search_object(object: &LoadedObject, query: &Query<'_>) -> Option<(u32, RawSymbol, bool)> {
    let mut exact = None;
    let mut fallback = None;
    let mut fallbacks = 0;
    object.candidates(&query.hash, &mut |symbol| {
        let Some(raw) = object.symbol(symbol) else {
            return false;
        };
        match check_match(object, symbol, &raw, query) {
            Match::No => false,
            Match::Exact => {
                exact = Some((symbol, raw));
                true
            }
            Match::Fallback => {
                fallbacks += 1;
                fallback.get_or_insert((symbol, raw));
                false
            }
        }
    });
    // Without a version, several definitions with versions are no answer in
    // any release, and an exact one ended the walk rightly.
    let versioned = query.version.is_some();
    // glibc up to 2.41 stops if the very file that the version is needed of has
    // no versions at all.
    let lost = |v: &Version<'_>| v.file.is_some() && v.file == object.soname();
    let lost = query.version.as_ref().is_some_and(lost) && !object.has_versions();
    match (exact, fallback) {
        (Some((symbol, raw)), other) => Some((symbol, raw, lost || versioned && other.is_some())),
        (None, Some((symbol, raw))) if fallbacks == 1 || versioned => {
            Some((symbol, raw, fallbacks > 1))
        }
        _ => None,
    }
}

fn check_match(object: &LoadedObject, symbol: u32, raw: &RawSymbol, query: &Query<'_>) -> Match {
    let kind = raw.kind();
    let valueless = raw.value == 0 && raw.shndx != elf::SHN_ABS && kind != elf::STT_TLS;
    let only_referred_to = query.class == Class::Plt && raw.shndx == elf::SHN_UNDEF;
    let definable = matches!(
        kind,
        elf::STT_NOTYPE
            | elf::STT_OBJECT
            | elf::STT_FUNC
            | elf::STT_COMMON
            | elf::STT_TLS
            | elf::STT_GNU_IFUNC
    );
    if valueless || only_referred_to || !definable || !object.string_is(raw.name, query.hash.name) {
        return Match::No;
    }
    let Some(index) = object.version_index(symbol) else {
        return Match::Exact;
    };
    let hidden = index & crate::elf::VERSYM_HIDDEN != 0;
    match &query.version {
        Some(wanted) => match object.version(index) {
            Some(has) if has.hash == wanted.hash && has.name == wanted.name => Match::Exact,
            None if !wanted.hidden && !hidden => Match::Fallback,
            _ => Match::No,
        },
        // Indexes up to 2 are: local, global, and the first (oldest) version.
        None if index & !crate::elf::VERSYM_HIDDEN < 3 => Match::Exact,
        None if !hidden => Match::Fallback,
        None => Match::No,
    }
}
