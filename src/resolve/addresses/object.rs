//! A library or executable, parsed once and shared by every closure it is in.
//!
//! Holds what ld.so keeps in a link_map: symbol and hash tables, versions by
//! index, relocation tables. Places in the file are kept as ranges, so that an
//! object owns its mapping and can be shared between threads (`Arc`). Files
//! are untrusted: every access is checked and nothing here panics. It decides
//! nothing about other objects; that is `lookup`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use object::elf::{self, FileType, RelocationType, SymbolSection};

use super::content::Content;
use super::entries::{RawSymbol, Rela, Version};
use super::hash::{HashTable, NameHash};
use super::plan::RelocationPlan;
use super::tables::{
    VersionEntry, end_of_versions, range_of, sized_table, table_at, versions_by_index,
};
use crate::arch::{Arch, Relocations};
use crate::elf::{ElfError, MappedElf, Segment};

const SYMBOL_LEN: usize = 24;
const RELA_LEN: usize = 24;
const VERSION_INDEX: u16 = 0x7fff;

/// A parsed ELF file, with the tables that symbol resolution needs.
#[derive(Debug)]
pub struct LoadedObject {
    file: MappedElf,
    kind: FileType,
    segments: Vec<Segment>,
    symbolic: bool,
    text_relocations: bool,
    bind_now: bool,
    arch: &'static Arch,
    /// Bits of `st_other` of functions that are never bound late.
    eager: u8,
    strings: Range<usize>,
    symbols: Range<usize>,
    symbol_count: usize,
    versym: Option<Range<usize>>,
    versions: Vec<Option<VersionEntry>>,
    hash: HashTable,
    soname: Option<Range<usize>>,
    rela: Range<usize>,
    relative_count: u64,
    jump_relocations: Range<usize>,
    relr: Range<usize>,
    has_rel: bool,
    has_rela: bool,
    verneed: Option<usize>,
    verdef: Option<usize>,
    /// Filled by `relocations`.
    pub(super) plan: OnceLock<RelocationPlan>,
    /// Filled by `digest`.
    pub(super) content: OnceLock<Content>,
}

impl LoadedObject {
    /// Opens and parses the file at `path`.
    ///
    /// # Errors
    /// As [`LoadedObject::new`], and when the file cannot be mapped.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ElfError> {
        Self::new(MappedElf::open(path)?)
    }

    /// Parses a mapped file. A file without a dynamic section is an object
    /// without symbols and relocations.
    ///
    /// # Errors
    /// When a table that ld.so would read lies outside of the file, or the machine is
    /// not served.
    pub fn new(file: MappedElf) -> Result<Self, ElfError> {
        let elf = file.elf()?;
        let arch = Arch::of(elf.machine()).ok_or(ElfError::Machine)?;
        let dynamic = elf.dynamic()?.unwrap_or_default();
        let versions = elf.versions(&dynamic)?;
        let bytes = file.bytes();
        let flags = dynamic.value(elf::DT_FLAGS).unwrap_or(0);
        let flags_1 = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0);
        let has = |tag, bit: u64| dynamic.value(tag).is_some() || flags & bit != 0;
        let table = |tag| table_at(&elf, &dynamic, tag);
        let hash = if let Some(range) = table(elf::DT_GNU_HASH)? {
            HashTable::gnu(bytes, range)?
        } else if let Some(range) = table(elf::DT_HASH)? {
            HashTable::sysv(bytes, range)?
        } else {
            HashTable::Empty
        };
        let by_index = versions_by_index(bytes, &versions);
        let parsed = Self {
            kind: elf.kind(),
            segments: elf.segments().to_vec(),
            symbolic: has(elf::DT_SYMBOLIC, elf::DF_SYMBOLIC.0),
            text_relocations: has(elf::DT_TEXTREL, elf::DF_TEXTREL.0),
            bind_now: has(elf::DT_BIND_NOW, elf::DF_BIND_NOW.0) || flags_1 & elf::DF_1_NOW.0 != 0,
            arch,
            eager: match arch.eager {
                Some((tag, bits)) if dynamic.value(tag).is_some() => bits,
                _ => 0,
            },
            strings: range_of(bytes, dynamic.strings),
            symbols: table(elf::DT_SYMTAB)?.unwrap_or(0..0),
            symbol_count: elf.symbols(&dynamic)?.len(),
            // ld.so keeps versions only if the object names any.
            versym: if by_index.is_empty() {
                None
            } else {
                table(elf::DT_VERSYM)?
            },
            versions: by_index,
            hash,
            soname: dynamic.soname.map(|name| range_of(bytes, name)),
            rela: sized_table(&elf, &dynamic, elf::DT_RELA, elf::DT_RELASZ)?,
            relative_count: dynamic.value(elf::DT_RELACOUNT).unwrap_or(0),
            jump_relocations: sized_table(&elf, &dynamic, elf::DT_JMPREL, elf::DT_PLTRELSZ)?,
            relr: sized_table(&elf, &dynamic, elf::DT_RELR, elf::DT_RELRSZ)?,
            has_rel: dynamic.value(elf::DT_REL).is_some(),
            has_rela: dynamic.value(elf::DT_RELA).is_some_and(|at| at != 0),
            verneed: table(elf::DT_VERNEED)?.map(|range| range.start),
            verdef: table(elf::DT_VERDEF)?.map(|range| range.start),
            plan: OnceLock::new(),
            content: OnceLock::new(),
            file: file.clone(),
        };
        Ok(parsed.without_overlap())
    }

    /// A DT_RELA that ends with DT_JMPREL counts without it (the gABI allows
    /// both ways; glibc elf/dynamic-link.h).
    fn without_overlap(mut self) -> Self {
        let jump = &self.jump_relocations;
        if !jump.is_empty() && jump.end == self.rela.end && jump.start >= self.rela.start {
            self.rela.end = jump.start;
        }
        self
    }

    /// The mapped file, for everything that is not kept here.
    pub fn file(&self) -> &MappedElf {
        &self.file
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// DT_SONAME.
    pub fn soname(&self) -> Option<&[u8]> {
        self.file.bytes().get(self.soname.clone()?)
    }

    /// ET_EXEC or ET_DYN.
    pub fn kind(&self) -> FileType {
        self.kind
    }

    /// All program headers.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// DT_SYMBOLIC or DF_SYMBOLIC: a library looks into itself first.
    pub fn is_symbolic(&self) -> bool {
        self.symbolic
    }

    /// DT_TEXTREL or DF_TEXTREL: relocations change read-only segments.
    pub fn has_text_relocations(&self) -> bool {
        self.text_relocations
    }

    /// DT_BIND_NOW, DF_BIND_NOW or DF_1_NOW: nothing is bound late.
    pub fn binds_now(&self) -> bool {
        self.bind_now
    }

    /// Its machine.
    pub fn arch(&self) -> &'static Arch {
        self.arch
    }

    /// The relocation types of its machine.
    pub fn relocation_types(&self) -> &'static Relocations {
        &self.arch.relocations
    }

    /// Whether a function call by symbol `symbol` is looked up at the first call only,
    /// unless the user asks for all at start.
    pub fn binds_late(&self, symbol: u32) -> bool {
        let other = || self.symbol(symbol).map_or(0, |symbol| symbol.other);
        !self.bind_now && (self.eager == 0 || other() & self.eager == 0)
    }

    /// Number of dynamic symbols, the null symbol included.
    pub fn symbol_count(&self) -> usize {
        self.symbol_count
    }

    /// Symbol `index` as relocations and hash tables number them.
    pub fn symbol(&self, index: u32) -> Option<RawSymbol> {
        let at = (index as usize)
            .checked_mul(SYMBOL_LEN)?
            .checked_add(self.symbols.start)?;
        let raw: &[u8; SYMBOL_LEN] = self.file.bytes().get(at..self.symbols.end)?.first_chunk()?;
        Some(RawSymbol {
            name: u32::from_le_bytes(*raw.first_chunk()?),
            info: raw[4],
            other: raw[5],
            shndx: SymbolSection(u16::from_le_bytes([raw[6], raw[7]])),
            value: u64::from_le_bytes(*raw[8..].first_chunk()?),
            size: u64::from_le_bytes(*raw[16..].first_chunk()?),
        })
    }

    /// The string at `offset` of the string table, without its NUL.
    pub fn string(&self, offset: u32) -> Option<&[u8]> {
        let tail = self.strings()?.get(offset as usize..)?;
        tail.get(..tail.iter().position(|&b| b == 0)?)
    }

    /// Name of symbol `index`.
    pub fn symbol_name(&self, index: u32) -> Option<&[u8]> {
        self.string(self.symbol(index)?.name)
    }

    fn strings(&self) -> Option<&[u8]> {
        self.file.bytes().get(self.strings.clone())
    }

    /// Whether the string at `offset` is exactly `name`.
    pub(super) fn string_is(&self, offset: u32, name: &[u8]) -> bool {
        self.strings()
            .and_then(|all| all.get(offset as usize..))
            .and_then(|tail| tail.strip_prefix(name))
            .is_some_and(|rest| rest.first() == Some(&0))
    }

    /// Whether the object has symbol versions that ld.so looks at.
    pub fn has_versions(&self) -> bool {
        self.versym.is_some()
    }

    /// DT_VERSYM's entry of symbol `index`, hidden bit included; `None` if the
    /// object has no versions.
    pub fn version_index(&self, index: u32) -> Option<u16> {
        let range = self.versym.clone()?;
        let at = (index as usize).checked_mul(2)?.checked_add(range.start)?;
        let raw = self.file.bytes().get(at..range.end)?.first_chunk()?;
        Some(u16::from_le_bytes(*raw))
    }

    /// The version with index `index` (the hidden bit is ignored), defined or
    /// needed; `None` for "no version" (indexes 0 and 1, usually).
    pub fn version(&self, index: u16) -> Option<Version<'_>> {
        let entry = self
            .versions
            .get(usize::from(index & VERSION_INDEX))?
            .as_ref()?;
        let bytes = self.file.bytes();
        Some(Version {
            name: bytes.get(entry.name.clone())?,
            hash: entry.hash,
            hidden: entry.hidden,
            file: entry.file.clone().and_then(|range| bytes.get(range)),
        })
    }

    /// The version that symbol `index` is defined or needed with.
    pub fn symbol_version(&self, index: u32) -> Option<Version<'_>> {
        self.version(self.version_index(index)?)
    }

    /// Whether the object defines version `name` (DT_VERDEF, without the base
    /// version); glibc elf/dl-version.c.
    pub fn defines_version(&self, name: &[u8]) -> bool {
        let bytes = self.file.bytes();
        self.versions
            .iter()
            .flatten()
            .any(|v| v.file.is_none() && bytes.get(v.name.clone()) == Some(name))
    }

    /// Calls `candidate` with the symbols whose hash fits, until it says true.
    pub(super) fn candidates(&self, hash: &NameHash<'_>, candidate: &mut dyn FnMut(u32) -> bool) {
        self.hash.walk(self.file.bytes(), hash, candidate);
    }

    /// DT_RELA's entries, in order.
    pub fn relocations(&self) -> impl ExactSizeIterator<Item = Rela> + '_ {
        self.relas(&self.rela)
    }

    /// DT_JMPREL's entries, in order.
    pub fn jump_relocations(&self) -> impl ExactSizeIterator<Item = Rela> + '_ {
        self.relas(&self.jump_relocations)
    }

    /// DT_RELACOUNT: how many of DT_RELA's first entries ld.so takes for
    /// RELATIVE without looking.
    pub fn relative_count(&self) -> u64 {
        self.relative_count
    }

    /// Whether the object has a DT_RELA table, empty or not.
    pub fn has_rela(&self) -> bool {
        self.has_rela
    }

    /// Whether the object has DT_REL, which ld.so ignores where it knows DT_RELA.
    pub fn has_rel(&self) -> bool {
        self.has_rel
    }

    /// Where the words lie that DT_RELR moves by the load address, in order.
    pub fn relr_places(&self) -> impl Iterator<Item = u64> + '_ {
        let mut place = 0_u64;
        self.relr().flat_map(move |word| {
            let (base, mut bits) = match word & 1 {
                0 => (word, 1),
                _ => (place, word >> 1),
            };
            place = match word & 1 {
                0 => word.wrapping_add(8),
                _ => place.wrapping_add(63 * 8),
            };
            std::iter::from_fn(move || {
                let step = u64::from((bits != 0).then(|| bits.trailing_zeros())?) * 8;
                bits &= bits - 1;
                Some(base.wrapping_add(step))
            })
        })
    }

    /// DT_RELR's words, in order.
    fn relr(&self) -> impl ExactSizeIterator<Item = u64> + '_ {
        let bytes = self.file.bytes().get(self.relr.clone()).unwrap_or(&[]);
        bytes
            .chunks_exact(8)
            .map(|word| word.first_chunk().map_or(0, |w| u64::from_le_bytes(*w)))
    }

    fn relas(&self, range: &Range<usize>) -> impl ExactSizeIterator<Item = Rela> + '_ {
        let bytes = self.file.bytes().get(range.clone()).unwrap_or(&[]);
        bytes.chunks_exact(RELA_LEN).map(|raw| {
            let long = |at: usize| {
                let word = raw.get(at..).and_then(|b| b.first_chunk());
                word.map_or(0, |w| u64::from_le_bytes(*w))
            };
            let info = long(8);
            Rela {
                offset: long(0),
                kind: RelocationType(info as u32),
                symbol: (info >> 32) as u32,
                addend: long(16) as i64,
            }
        })
    }

    /// Where hash table, symbols, names, versions and the relocations that look a
    /// symbol up lie in the file.
    pub(super) fn tables_of_symbols(&self) -> Vec<Range<usize>> {
        let bytes = self.file.bytes();
        let first = |table: &Range<usize>, len: usize| {
            table.start..table.start.saturating_add(len).min(table.end)
        };
        let counted = usize::try_from(self.relative_count).unwrap_or(usize::MAX);
        let behind = self
            .rela
            .start
            .saturating_add(counted.saturating_mul(RELA_LEN));
        let mut all = vec![
            self.hash.range(self.symbol_count),
            first(&self.symbols, self.symbol_count * SYMBOL_LEN),
            self.strings.clone(),
            behind.min(self.rela.end)..self.rela.end,
            self.jump_relocations.clone(),
        ];
        if let Some(versym) = &self.versym {
            all.push(first(versym, self.symbol_count * 2));
        }
        let versions = [(self.verneed, true), (self.verdef, false)];
        for (start, needs) in versions {
            let range = start.map(|start| start..end_of_versions(bytes, start, needs));
            all.extend(range);
        }
        all
    }

    /// The bytes of the file at an address range, empty if a segment does not
    /// have them all.
    pub(super) fn bytes_at(&self, address: u64, len: u64) -> &[u8] {
        let find = || {
            let holds = |s: &&Segment| {
                s.kind == elf::PT_LOAD
                    && address >= s.vaddr
                    && address - s.vaddr <= s.filesz
                    && len <= s.filesz - (address - s.vaddr)
            };
            let load = self.segments.iter().find(holds)?;
            let at = usize::try_from(load.offset.checked_add(address - load.vaddr)?).ok()?;
            let end = at.checked_add(usize::try_from(len).ok()?)?;
            self.file.bytes().get(at..end)
        };
        find().unwrap_or(&[])
    }

    /// The eight bytes that the file has at `address`, as far as they are
    /// backed by the file; the rest of a segment is zero.
    pub fn initial_word(&self, address: u64) -> Option<u64> {
        let load = self.segments.iter().find(|s| {
            s.kind == elf::PT_LOAD && address >= s.vaddr && address - s.vaddr < s.memsz
        })?;
        let within = address - load.vaddr;
        (load.memsz - within >= 8).then_some(())?;
        let mut word = [0; 8];
        let backed = load.filesz.saturating_sub(within).min(8) as usize;
        let at = usize::try_from(load.offset.checked_add(within)?).ok()?;
        word.get_mut(..backed)?
            .copy_from_slice(self.file.bytes().get(at..at.checked_add(backed)?)?);
        Some(u64::from_le_bytes(word))
    }
}
