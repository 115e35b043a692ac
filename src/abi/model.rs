//! The ABI of a shared library, as a link editor and a loader see it.
//!
//! A plain value: equal values have the same text, the same digest and the
//! same stub. What is left out on purpose (function sizes, addresses, order …)
//! is listed with reasons in docs/stubs.md. This module must not read files.

use std::collections::BTreeMap;

use crate::elf::ORDINARY_ALIGN;

/// A name as ELF has it: bytes without NUL, not necessarily UTF-8.
pub type Name = Vec<u8>;

/// Largest alignment that is modelled, in bytes. More is cut to it.
pub const MAX_ALIGN: u64 = 1 << 16;

/// The alignment that every object of `size` bytes is given: the power of two
/// that covers it, at most [`ORDINARY_ALIGN`].
pub fn canonical_align(size: u64) -> u64 {
    size.clamp(1, ORDINARY_ALIGN).next_power_of_two()
}

/// What identifies a defined symbol.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// Name without version.
    pub name: Name,
    /// Version, `None` for the base definition.
    pub version: Option<Name>,
    /// Whether links without a version choose it (`@@`, or no version at all).
    pub default: bool,
}

/// Symbol types that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// STT_FUNC or STT_GNU_IFUNC.
    Function,
    /// STT_OBJECT or STT_COMMON.
    Object,
    /// STT_TLS.
    Tls,
    /// STT_NOTYPE: assembler labels, linker-made symbols.
    NoType,
}

/// Symbol bindings that can be exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binding {
    /// STB_GLOBAL; also every function that is not unique.
    Global,
    /// STB_WEAK, for data only.
    Weak,
    /// STB_GNU_UNIQUE.
    Unique,
}

/// Where a symbol lives; decides what a copy relocation does with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Executable code.
    Text,
    /// Never written.
    Rodata,
    /// Written by the loader only (PT_GNU_RELRO).
    Relro,
    /// Writable; initialised or not makes no difference to clients.
    Data,
    /// The thread-local template.
    Tls,
    /// SHN_ABS: a number, not an address.
    Absolute(u64),
}

/// A defined symbol.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol {
    /// Type.
    pub kind: Kind,
    /// Binding.
    pub binding: Binding,
    /// STV_PROTECTED rather than STV_DEFAULT.
    pub protected: bool,
    /// `st_other` without the visibility bits: processor flags.
    pub other: u8,
    /// Where it lives.
    pub place: Place,
    /// Size in bytes; 0 for everything in [`Place::Text`].
    pub size: u64,
    /// Canonical alignment in bytes; 0 for [`Place::Text`] and
    /// [`Place::Absolute`].
    pub align: u64,
    /// The smallest key among the symbols at the same address, if that is
    /// another one.
    pub alias: Option<Key>,
}

impl Symbol {
    /// A global function.
    pub fn function() -> Self {
        Self {
            kind: Kind::Function,
            binding: Binding::Global,
            protected: false,
            other: 0,
            place: Place::Text,
            size: 0,
            align: 0,
            alias: None,
        }
    }

    /// Whether executables may take a copy of it.
    pub fn is_data(&self) -> bool {
        matches!(self.place, Place::Rodata | Place::Relro | Place::Data)
    }
}

/// A version definition other than the base one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VersionNode {
    /// VER_FLG_WEAK.
    pub weak: bool,
    /// Versions that it inherits from, sorted.
    pub parents: Vec<Name>,
}

/// A symbol that whoever uses the library must, or may, provide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Undefined {
    /// It may stay undefined.
    pub weak: bool,
    /// It is thread-local.
    pub tls: bool,
}

/// GNU properties of a shared object that linkers obey.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Properties {
    /// GNU_PROPERTY_NO_COPY_ON_PROTECTED.
    pub no_copy_on_protected: bool,
    /// GNU_PROPERTY_1_NEEDED, a bit set.
    pub needed_1: u32,
}

/// The ABI of one shared library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Abi {
    /// `e_machine`.
    pub machine: u16,
    /// `e_flags`.
    pub flags: u32,
    /// DT_SONAME.
    pub soname: Option<Name>,
    /// DT_NEEDED, sorted, each once.
    pub needed: Vec<Name>,
    /// GNU properties.
    pub properties: Properties,
    /// Version definitions by name.
    pub versions: BTreeMap<Name, VersionNode>,
    /// What clients must provide.
    pub undefined: BTreeMap<Name, Undefined>,
    /// Exported symbols.
    pub symbols: BTreeMap<Key, Symbol>,
    /// GNU ld's warnings for users of a symbol.
    pub warnings: BTreeMap<Name, Name>,
}

impl Abi {
    /// Members of every alias group, leader first; symbols on their own are
    /// left out.
    pub fn groups(&self) -> BTreeMap<&Key, Vec<&Key>> {
        let mut groups: BTreeMap<&Key, Vec<&Key>> = BTreeMap::new();
        for (key, symbol) in &self.symbols {
            if let Some(leader) = &symbol.alias {
                groups
                    .entry(leader)
                    .or_insert_with(|| vec![leader])
                    .push(key);
            }
        }
        groups
    }

    /// Makes the leader of every group its smallest key, gives its members one
    /// alignment, and drops aliases of symbols that are not there.
    pub fn normalise(&mut self) {
        self.needed.sort();
        self.needed.dedup();
        let mut groups: BTreeMap<Key, Vec<Key>> = BTreeMap::new();
        for (key, symbol) in &self.symbols {
            if let Some(leader) = &symbol.alias {
                groups.entry(leader.clone()).or_default().push(key.clone());
            }
        }
        for (leader, mut members) in groups {
            if self.symbols.contains_key(&leader) && !members.contains(&leader) {
                members.push(leader);
            }
            members.sort();
            let align = members
                .iter()
                .filter_map(|k| Some(self.symbols.get(k)?.align))
                .max();
            for (at, key) in members.iter().enumerate() {
                if let Some(symbol) = self.symbols.get_mut(key) {
                    symbol.align = align.unwrap_or(symbol.align);
                    symbol.alias = (at > 0).then(|| members[0].clone());
                }
            }
        }
    }
}
