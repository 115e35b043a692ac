//! The ABI of an ELF shared object.
//!
//! Reads dynamic tags and program headers; section headers only as evidence of
//! over-alignment and for warnings (see `elf::Sections`). Nothing here knows a
//! machine. The file is untrusted: names are bounded together by the size of
//! the file, so memory stays a small multiple of it. This module must not
//! search for other files; `closure` does.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};

use indir_shim::format::note;
use object::elf;

use crate::elf::{
    Dynamic, ElfError, ElfFile, Sections, Symbol as Raw, VERSYM_HIDDEN, VersionDef, Versions,
};

use super::model::{
    Abi, Binding, Key, Kind, MAX_ALIGN, Name, Place, Properties, Symbol, Undefined, VersionNode,
    canonical_align, object_align,
};
use super::private::Private;

const GNU_OWNER: &[u8] = b"GNU\0";
const NT_GNU_PROPERTY_TYPE_0: u32 = 5;
const GNU_PROPERTY_NO_COPY_ON_PROTECTED: u32 = 2;
const GNU_PROPERTY_1_NEEDED: u32 = 0xb000_8000;
const VER_FLG_BASE: u16 = 1;
const VER_FLG_WEAK: u16 = 2;

const NOT_DYNAMIC: ElfError = ElfError::Malformed("it has no dynamic section");
const TOO_MANY_NAMES: ElfError = ElfError::Malformed("its symbol names overlap absurdly");

/// What one file says, before anything is known of the libraries it needs.
#[derive(Debug)]
pub struct FileAbi {
    /// The ABI; `undefined` holds every strong or weak reference without a
    /// version, whoever provides it.
    pub abi: Abi,
    /// The file is a stub: `undefined` is exact, nothing was left out, and this is
    /// whether it matches the digest in it.
    pub stub: Option<bool>,
}

/// What is left out of a library's ABI, by soname, name and version (`None` for the
/// base).
pub(super) type Hides<'h> = &'h dyn Fn(Option<&[u8]>, &[u8], Option<&[u8]>) -> bool;

/// Reads a shared object, without what is private by the built-in table.
///
/// # Errors
/// When the file is no shared object, or malformed.
pub fn read(elf: &ElfFile<'_>) -> Result<FileAbi, ElfError> {
    let private = Private::default();
    read_without(elf, &|soname, name, version| {
        private.hides(soname, name, version)
    })
}

/// Reads a shared object, without what `hides` says; a stub as it is.
///
/// # Errors
/// When the file is no shared object, or malformed.
pub(super) fn read_without(elf: &ElfFile<'_>, hides: Hides<'_>) -> Result<FileAbi, ElfError> {
    let dynamic = elf.dynamic()?.ok_or(NOT_DYNAMIC)?;
    if elf.kind() != elf::ET_DYN {
        return Err(ElfError::Malformed(
            "it is an executable, not a shared object",
        ));
    }
    let notes = elf.notes();
    let versions = elf.versions(&dynamic)?;
    let mut abi = Abi {
        machine: elf.machine().0,
        flags: elf.flags(),
        soname: dynamic.soname.filter(|n| !n.is_empty()).map(<[u8]>::to_vec),
        needed: names(&dynamic.needed),
        properties: properties(elf),
        versions: version_nodes(&versions),
        ..Abi::default()
    };
    let sections = elf.sections();
    Reader {
        elf,
        versions: &versions,
        by_index: version_names(&versions),
        sections: &sections,
        exact: notes.stub.is_some(),
        hides,
        groups: HashMap::new(),
        budget: elf.data().len().saturating_mul(4),
    }
    .symbols(&dynamic, &mut abi)?;
    for (name, text) in &sections.warnings {
        abi.warnings
            .entry(name.to_vec())
            .or_insert_with(|| text.to_vec());
    }
    abi.normalise();
    let stub = notes.stub.map(|digest| abi.digest().0[..] == *digest);
    if stub.is_none() {
        abi.drop_unused_versions();
    }
    Ok(FileAbi { abi, stub })
}

fn names(list: &[&[u8]]) -> Vec<Name> {
    list.iter()
        .filter(|n| !n.is_empty())
        .map(|n| n.to_vec())
        .collect()
}

fn version_nodes(versions: &Versions<'_>) -> BTreeMap<Name, VersionNode> {
    let own = versions.defs.iter().filter(|d| d.flags & VER_FLG_BASE == 0);
    own.filter(|d| !d.name.is_empty())
        .map(|d| {
            let parents = d.parents.iter().filter(|p| !p.is_empty());
            let mut parents: Vec<Name> = parents.map(|p| p.to_vec()).collect();
            parents.sort();
            parents.dedup();
            let weak = d.flags & VER_FLG_WEAK != 0;
            (d.name.to_vec(), VersionNode { weak, parents })
        })
        .collect()
}

fn version_names<'a>(versions: &Versions<'a>) -> HashMap<u16, Option<&'a [u8]>> {
    let name = |def: &VersionDef<'a>| (def.flags & VER_FLG_BASE == 0).then_some(def.name);
    versions
        .defs
        .iter()
        .map(|def| (def.index, name(def)))
        .collect()
}

/// A version's name (`None` for the base), and whether it is the default.
type Version<'a> = (Option<&'a [u8]>, bool);

struct Reader<'r, 'a> {
    elf: &'r ElfFile<'a>,
    versions: &'r Versions<'a>,
    /// Name of each version definition; `None` is the base.
    by_index: HashMap<u16, Option<&'a [u8]>>,
    sections: &'r Sections<'a>,
    /// The file is a stub: its addresses are aligned exactly as the model says.
    exact: bool,
    hides: Hides<'r>,
    /// Symbols with a size, by where they are.
    groups: HashMap<(Place, u64), Vec<Key>>,
    /// Bytes of names that may still be copied.
    budget: usize,
}

impl<'a> Reader<'_, 'a> {
    fn symbols(mut self, dynamic: &Dynamic<'a>, abi: &mut Abi) -> Result<(), ElfError> {
        let symbols = self.elf.symbols(dynamic)?;
        for (index, raw) in symbols.iter() {
            self.budget = self
                .budget
                .checked_sub(raw.name.len())
                .ok_or(TOO_MANY_NAMES)?;
            if raw.name.is_empty() {
                continue;
            }
            if raw.is_undefined() {
                self.undefined(index, &raw, abi);
            } else if let Some((key, symbol)) = self.defined(abi.soname.as_deref(), index, &raw)? {
                // The first one of its name and version is what ld.so finds.
                let Entry::Vacant(free) = abi.symbols.entry(key) else {
                    continue;
                };
                if symbol.size > 0 && symbol.align > 0 {
                    let at = self.groups.entry((symbol.place, raw.value)).or_default();
                    at.push(free.key().clone());
                }
                free.insert(symbol);
            }
        }
        for mut keys in self.groups.into_values() {
            keys.sort();
            keys.dedup();
            let Some((leader, rest)) = keys.split_first() else {
                continue;
            };
            for key in rest {
                if let Some(symbol) = abi.symbols.get_mut(key) {
                    symbol.alias = Some(leader.clone());
                }
            }
        }
        Ok(())
    }

    fn undefined(&self, index: usize, raw: &Raw<'_>, abi: &mut Abi) {
        let weak = raw.binding() == elf::STB_WEAK;
        if !weak && raw.binding() != elf::STB_GLOBAL {
            return;
        }
        // A version names the file that provides it.
        let version = self.versions.versym(index).unwrap_or(0);
        if self.versions.need(version).is_some() {
            return;
        }
        let tls = raw.kind() == elf::STT_TLS;
        let entry = abi.undefined.entry(raw.name.to_vec());
        let known = entry.or_insert(Undefined { weak, tls });
        known.weak &= weak;
        known.tls |= tls;
    }

    fn defined(
        &self,
        soname: Option<&[u8]>,
        index: usize,
        raw: &Raw<'_>,
    ) -> Result<Option<(Key, Symbol)>, ElfError> {
        let kind = match raw.kind() {
            elf::STT_FUNC | elf::STT_GNU_IFUNC => Kind::Function,
            elf::STT_OBJECT | elf::STT_COMMON => Kind::Object,
            elf::STT_TLS => Kind::Tls,
            elf::STT_NOTYPE => Kind::NoType,
            _ => return Ok(None),
        };
        let binding = match raw.binding() {
            elf::STB_GLOBAL => Binding::Global,
            elf::STB_WEAK => Binding::Weak,
            elf::STB_GNU_UNIQUE => Binding::Unique,
            _ => return Ok(None),
        };
        let protected = match raw.visibility() {
            elf::STV_DEFAULT => false,
            elf::STV_PROTECTED => true,
            _ => return Ok(None),
        };
        let Some((version, default)) = self.version(index)? else {
            return Ok(None);
        };
        if (self.is_version_mark(raw) && version.is_some_and(|v| v == raw.name))
            || (!self.exact && (self.hides)(soname, raw.name, version))
        {
            return Ok(None);
        }
        let place = self.place(kind, raw);
        let data = place != Place::Text;
        let symbol = Symbol {
            kind,
            binding: match binding {
                Binding::Weak if !data => Binding::Global,
                other => other,
            },
            protected,
            other: raw.other & !3,
            place,
            size: if data { raw.size } else { 0 },
            align: match place {
                Place::Text | Place::Absolute(_) => 0,
                Place::Tls if !self.exact => canonical_align(raw.size),
                _ => self.align(raw),
            },
            alias: None,
        };
        let key = Key {
            name: raw.name.to_vec(),
            version: version.map(<[u8]>::to_vec),
            default,
        };
        Ok(Some((key, symbol)))
    }

    /// Linkers mark each version by an absolute symbol of its name.
    fn is_version_mark(&self, raw: &Raw<'_>) -> bool {
        raw.shndx == elf::SHN_ABS && raw.size == 0
    }

    /// Version and whether it is the default; `None` for a symbol that the
    /// version script made local.
    fn version(&self, index: usize) -> Result<Option<Version<'a>>, ElfError> {
        if !self.versions.has_versym() {
            return Ok(Some((None, true)));
        }
        let raw = self.versions.versym(index);
        let raw = raw.ok_or(ElfError::Malformed(
            "DT_VERSYM is shorter than the symbol table",
        ))?;
        let default = raw & VERSYM_HIDDEN == 0;
        match raw & !VERSYM_HIDDEN {
            0 => Ok(None),
            // Index 1 is the base whatever DT_VERDEF says, or without it.
            1 => Ok(Some((None, default))),
            other => match self.by_index.get(&other) {
                Some(name) => Ok(Some((name.filter(|n| !n.is_empty()), default))),
                None => Err(ElfError::Malformed("a symbol's version is not defined")),
            },
        }
    }

    fn place(&self, kind: Kind, raw: &Raw<'_>) -> Place {
        match kind {
            Kind::Function => return Place::Text,
            Kind::Tls => return Place::Tls,
            Kind::Object | Kind::NoType => {}
        }
        if raw.shndx == elf::SHN_ABS {
            return Place::Absolute(raw.value);
        }
        let holds = |start: u64, len: u64| raw.value >= start && raw.value - start < len;
        let segments = self.elf.segments();
        let relro = segments.iter().filter(|s| s.kind == elf::PT_GNU_RELRO);
        if relro.into_iter().any(|s| holds(s.vaddr, s.memsz)) {
            return Place::Relro;
        }
        let load = segments
            .iter()
            .find(|s| s.kind == elf::PT_LOAD && holds(s.vaddr, s.memsz));
        match load.map(|s| s.flags.0) {
            Some(flags) if flags & elf::PF_W.0 != 0 => Place::Data,
            Some(flags) if flags & elf::PF_X.0 != 0 && kind == Kind::NoType => Place::Text,
            Some(_) => Place::Rodata,
            // `_end` and its like lie just behind everything.
            None => Place::Data,
        }
    }

    /// See docs/stubs.md, "Alignment".
    fn align(&self, raw: &Raw<'_>) -> u64 {
        if self.exact {
            return match raw.value {
                0 => 1,
                value => (1u64 << value.trailing_zeros()).min(MAX_ALIGN),
            };
        }
        object_align(raw.size, self.sections.section_align(raw.value))
    }
}

fn properties(elf: &ElfFile<'_>) -> Properties {
    let mut properties = Properties::default();
    for segment in elf.segments().iter().filter(|s| s.kind == elf::PT_NOTE) {
        let mut rest = elf.segment_bytes(segment).unwrap_or_default();
        while let Some((note, tail)) = note::next(rest, segment.align as usize) {
            if note.owner == GNU_OWNER && note.kind == NT_GNU_PROPERTY_TYPE_0 {
                scan_property(note.desc, &mut properties);
            }
            rest = tail;
        }
    }
    properties
}

/// Entries of a property note: type, size, data padded to 8 (x86-64 psABI,
/// "Program Property").
fn scan_property(mut desc: &[u8], properties: &mut Properties) {
    let word = |bytes: &[u8]| Some(u32::from_le_bytes(*bytes.first_chunk()?));
    while let (Some(kind), Some(size)) = (word(desc), desc.get(4..).and_then(word)) {
        let data = desc.get(8..).unwrap_or_default();
        match kind {
            GNU_PROPERTY_NO_COPY_ON_PROTECTED => properties.no_copy_on_protected = true,
            GNU_PROPERTY_1_NEEDED => properties.needed_1 |= word(data).unwrap_or(0),
            _ => {}
        }
        let Some(next) = (size as usize)
            .checked_next_multiple_of(8)
            .and_then(|n| data.get(n..))
        else {
            return;
        };
        desc = next;
    }
}
