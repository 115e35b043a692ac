//! The ABI of a shared library, as a link editor and a loader see it.
//!
//! A plain value: equal values have the same text, the same digest and the
//! same stub. What is left out on purpose (function sizes, addresses, order …)
//! is listed with reasons in docs/stubs.md. This module must not read files.

use std::collections::{BTreeMap, BTreeSet};

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

/// The alignment that an object of `size` bytes is given in a section that is aligned
/// to `section` bytes: [`canonical_align`], or the strictest one that both bear. A
/// type's size is a multiple of its alignment (C17 6.2.8), and a section is aligned as
/// strictly as what is in it. The address, an accident, has no say.
pub fn object_align(size: u64, section: u64) -> u64 {
    let of_size = 1u64 << size.trailing_zeros().min(MAX_ALIGN.trailing_zeros());
    match section.min(of_size) {
        strict if strict > ORDINARY_ALIGN && size > 0 => strict,
        _ => canonical_align(size),
    }
}

/// Versions of this prefix are marks, which linkers make programs need although no
/// symbol has them (glibc: GLIBC_ABI_DT_RELR and its like).
const MARK: &[u8] = b"GLIBC_ABI_";

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

/// The ABI of one shared library. Equal ones have equal texts: `unused` does not count.
#[derive(Clone, Debug, Default, Eq)]
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
    /// Names of those that were left out because no symbol has them. In no text and no
    /// stub; but a client of an older build may need one and be given a symbol without
    /// version.
    pub unused: BTreeSet<Name>,
    /// What clients must provide.
    pub undefined: BTreeMap<Name, Undefined>,
    /// Exported symbols.
    pub symbols: BTreeMap<Key, Symbol>,
    /// GNU ld's warnings for users of a symbol.
    pub warnings: BTreeMap<Name, Name>,
}

impl PartialEq for Abi {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            machine,
            flags,
            soname,
            needed,
            properties,
            versions,
            unused: _,
            undefined,
            symbols,
            warnings,
        } = self;
        (*machine, *flags, *properties) == (other.machine, other.flags, other.properties)
            && *soname == other.soname
            && *needed == other.needed
            && *versions == other.versions
            && *undefined == other.undefined
            && *symbols == other.symbols
            && *warnings == other.warnings
    }
}

impl Abi {
    /// All definitions of `name`.
    pub fn definitions<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = (&'a Key, &'a Symbol)> {
        let name = name.to_vec();
        let first = Key {
            name: name.clone(),
            version: None,
            default: false,
        };
        self.symbols
            .range(first..)
            .take_while(move |(key, _)| key.name == name)
    }

    /// Whether it defines `name` with `version`, as the default one or not.
    pub fn has(&self, name: &[u8], version: Option<&[u8]>) -> bool {
        self.definitions(name)
            .any(|(key, _)| key.version.as_deref() == version)
    }

    /// Whether ld.so finds a definition of `version`.
    pub fn defines_version(&self, version: &Name) -> bool {
        self.versions.contains_key(version) || self.unused.contains(version)
    }

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

    /// Leaves out versions that no symbol has, but for marks: linkers note the versions
    /// of the symbols that a program refers to, so that none can need them. What such a
    /// version inherits from is inherited from in its place.
    pub fn drop_unused_versions(&mut self) {
        let used: BTreeSet<&Name> = self
            .symbols
            .keys()
            .filter_map(|k| k.version.as_ref())
            .collect();
        let is_kept = |name: &Name| used.contains(name) || name.starts_with(MARK);
        let unused: Vec<Name> = self
            .versions
            .keys()
            .filter(|name| !is_kept(name))
            .cloned()
            .collect();
        if unused.is_empty() {
            return;
        }
        let mut kept = BTreeMap::new();
        for (name, node) in self.versions.iter().filter(|v| is_kept(v.0)) {
            let mut parents = BTreeSet::new();
            let mut queue: Vec<&Name> = node.parents.iter().collect();
            let mut seen: BTreeSet<&Name> = queue.iter().copied().collect();
            while let Some(parent) = queue.pop() {
                match self.versions.get(parent).filter(|_| !is_kept(parent)) {
                    Some(left_out) => {
                        queue.extend(left_out.parents.iter().filter(|p| seen.insert(p)));
                    }
                    None => {
                        parents.insert(parent.clone());
                    }
                }
            }
            let parents = parents.into_iter().collect();
            let weak = node.weak;
            kept.insert(name.clone(), VersionNode { weak, parents });
        }
        self.versions = kept;
        self.unused.extend(unused);
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
