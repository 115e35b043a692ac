//! The dynamic symbol table.
//!
//! DT_SYMTAB has no size. Its length is what the hash tables imply: `nchain` of
//! DT_HASH, or the end of the last chain of DT_GNU_HASH (symbols below
//! `symoffset` are not hashed, but counted). An object with neither is bounded
//! by the string table, which linkers put after it.

use object::elf::{self, SymbolBind, SymbolSection, SymbolType, SymbolVisibility};

use super::{Dynamic, ElfError, ElfFile};

const SYMBOL_LEN: usize = 24;

/// One dynamic symbol, in native integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// Its name, without version.
    pub name: &'a [u8],
    /// `st_info`.
    pub info: u8,
    /// `st_other`.
    pub other: u8,
    /// `st_shndx`.
    pub shndx: SymbolSection,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
}

impl Symbol<'_> {
    /// `ELF64_ST_TYPE`.
    pub fn kind(&self) -> SymbolType {
        SymbolType(self.info & 15)
    }

    /// `ELF64_ST_BIND`.
    pub fn binding(&self) -> SymbolBind {
        SymbolBind(self.info >> 4)
    }

    /// `ELF64_ST_VISIBILITY`.
    pub fn visibility(&self) -> SymbolVisibility {
        SymbolVisibility(self.other & 3)
    }

    /// Whether the object only refers to it.
    pub fn is_undefined(&self) -> bool {
        self.shndx == elf::SHN_UNDEF
    }
}

/// The dynamic symbol table of one object.
#[derive(Clone, Copy, Debug, Default)]
pub struct Symbols<'a> {
    table: &'a [u8],
    strings: &'a [u8],
}

impl<'a> ElfFile<'a> {
    /// The dynamic symbols, numbered as relocations number them.
    ///
    /// # Errors
    /// When the tables contradict each other or lie outside of the file.
    pub fn symbols(&self, dynamic: &Dynamic<'a>) -> Result<Symbols<'a>, ElfError> {
        Symbols::read(self, dynamic)
    }
}

impl<'a> Symbols<'a> {
    fn read(file: &ElfFile<'a>, dynamic: &Dynamic<'a>) -> Result<Self, ElfError> {
        let Some(at) = dynamic.value(elf::DT_SYMTAB) else {
            return Ok(Self::default());
        };
        let all = file
            .bytes_at(at)
            .ok_or(ElfError::Malformed("DT_SYMTAB lies outside of the file"))?;
        if dynamic
            .value(elf::DT_SYMENT)
            .is_some_and(|n| n != SYMBOL_LEN as u64)
        {
            return Err(ElfError::Malformed("DT_SYMENT is not 24"));
        }
        let count = if let Some(hash) = dynamic.value(elf::DT_HASH) {
            let words = file
                .bytes_at(hash)
                .ok_or(ElfError::Malformed("DT_HASH lies outside of the file"))?;
            word(words, 4).ok_or(ElfError::Malformed("DT_HASH is truncated"))? as usize
        } else if let Some(hash) = dynamic.value(elf::DT_GNU_HASH) {
            let words = file
                .bytes_at(hash)
                .ok_or(ElfError::Malformed("DT_GNU_HASH lies outside of the file"))?;
            gnu_hash_count(words).ok_or(ElfError::Malformed("DT_GNU_HASH is inconsistent"))?
        } else {
            let strtab = dynamic.value(elf::DT_STRTAB).unwrap_or(0);
            usize::try_from(strtab.saturating_sub(at)).unwrap_or(0) / SYMBOL_LEN
        };
        let table = count
            .checked_mul(SYMBOL_LEN)
            .and_then(|len| all.get(..len))
            .ok_or(ElfError::Malformed("the symbol table goes beyond the file"))?;
        Ok(Self {
            table,
            strings: dynamic.strings,
        })
    }

    /// Number of symbols, the null symbol included.
    pub fn len(&self) -> usize {
        self.table.len() / SYMBOL_LEN
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Symbol `index`; `None` beyond the table or with a name outside of
    /// DT_STRTAB.
    pub fn get(&self, index: usize) -> Option<Symbol<'a>> {
        let at = index.checked_mul(SYMBOL_LEN)?;
        let raw: &[u8; SYMBOL_LEN] = self.table.get(at..)?.first_chunk()?;
        let tail = self.strings.get(word(raw, 0)? as usize..)?;
        let len = tail.iter().position(|&b| b == 0)?;
        Some(Symbol {
            name: &tail[..len],
            info: raw[4],
            other: raw[5],
            shndx: SymbolSection(u16::from_le_bytes([raw[6], raw[7]])),
            value: u64::from_le_bytes(*raw[8..].first_chunk()?),
            size: u64::from_le_bytes(*raw[16..].first_chunk()?),
        })
    }

    /// All symbols with their index, from 1 on (0 is the null symbol).
    pub fn iter(&self) -> impl Iterator<Item = (usize, Symbol<'a>)> + use<'a> {
        let all = *self;
        (1..all.len()).filter_map(move |index| Some((index, all.get(index)?)))
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Walks the chain of the highest bucket to its end marker.
fn gnu_hash_count(hash: &[u8]) -> Option<usize> {
    let buckets = word(hash, 0)? as usize;
    let offset = word(hash, 4)? as usize;
    let bloom = word(hash, 8)? as usize;
    let buckets_at = bloom.checked_mul(8)?.checked_add(16)?;
    let chains_at = buckets.checked_mul(4)?.checked_add(buckets_at)?;
    let last = hash
        .get(buckets_at..chains_at)?
        .chunks_exact(4)
        .filter_map(|b| word(b, 0))
        .max()
        .unwrap_or(0) as usize;
    if last < offset {
        return Some(offset);
    }
    let mut index = last;
    loop {
        let at = (index - offset).checked_mul(4)?.checked_add(chains_at)?;
        if word(hash, at)? & 1 == 1 {
            return index.checked_add(1);
        }
        index += 1;
    }
}
