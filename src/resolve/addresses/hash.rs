//! Symbol hash tables: DT_GNU_HASH and DT_HASH, as ld.so walks them.
//!
//! Only finds candidates by hash; whether a candidate matches is `lookup`'s
//! decision. Follows glibc elf/dl-setup_hash.c and elf/dl-lookup.c
//! (do_lookup_x). Every read is bounds-checked and every walk is bounded.

use std::ops::Range;

use crate::elf::ElfError;

/// `_dl_new_hash` of glibc sysdeps/generic/dl-new-hash.h.
pub fn gnu(name: &[u8]) -> u32 {
    name.iter().fold(5381, |hash: u32, &byte| {
        hash.wrapping_mul(33).wrapping_add(u32::from(byte))
    })
}

/// The gABI's hash function, also used for version names.
pub fn sysv(name: &[u8]) -> u32 {
    name.iter().fold(0, |hash: u32, &byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        let high = hash & 0xf000_0000;
        (hash ^ (high >> 24)) & !high
    })
}

/// Where an object's hash table is, as ranges of the file.
#[derive(Clone, Debug, Default)]
pub(super) enum HashTable {
    /// Neither tag, or no bucket: nothing can be found in the object.
    #[default]
    Empty,
    /// DT_GNU_HASH, which ld.so prefers.
    Gnu(GnuTable),
    /// DT_HASH.
    Sysv(SysvTable),
}

/// DT_GNU_HASH.
#[derive(Clone, Debug)]
pub(super) struct GnuTable {
    bloom: Range<usize>,
    bloom_mask: u32,
    shift: u32,
    buckets: Range<usize>,
    chains: Range<usize>,
    first: u32,
}

/// DT_HASH.
#[derive(Clone, Debug)]
pub(super) struct SysvTable {
    buckets: Range<usize>,
    chains: Range<usize>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn index(range: &Range<usize>, index: u32, size: usize) -> Option<usize> {
    let at = range
        .start
        .checked_add((index as usize).checked_mul(size)?)?;
    (at < range.end).then_some(at)
}

impl HashTable {
    /// Reads the header of the DT_GNU_HASH table that fills `range` of `bytes`
    /// (the end is that of the segment; the table does not say its own).
    ///
    /// # Errors
    /// When it does not fit, or ld.so would stop at it.
    pub(super) fn gnu(bytes: &[u8], range: Range<usize>) -> Result<Self, ElfError> {
        let bad = ElfError::Malformed("DT_GNU_HASH is inconsistent");
        let table = || {
            let at = range.start;
            let nbuckets = word(bytes, at)? as usize;
            let bloom_words = word(bytes, at.checked_add(8)?)?;
            let bloom_at = at.checked_add(16)?;
            let buckets_at = bloom_at.checked_add((bloom_words as usize).checked_mul(8)?)?;
            let chains_at = buckets_at.checked_add(nbuckets.checked_mul(4)?)?;
            if chains_at > range.end {
                return None;
            }
            if nbuckets == 0 {
                return Some(Self::Empty);
            }
            // glibc asserts a power of two; zero would make the mask absurd.
            bloom_words.is_power_of_two().then_some(())?;
            Some(Self::Gnu(GnuTable {
                bloom: bloom_at..buckets_at,
                bloom_mask: bloom_words - 1,
                shift: word(bytes, at.checked_add(12)?)?,
                buckets: buckets_at..chains_at,
                chains: chains_at..range.end,
                first: word(bytes, at.checked_add(4)?)?,
            }))
        };
        table().ok_or(bad)
    }

    /// Reads the header of the DT_HASH table that begins `range` of `bytes`.
    ///
    /// # Errors
    /// When it does not fit.
    pub(super) fn sysv(bytes: &[u8], range: Range<usize>) -> Result<Self, ElfError> {
        let bad = ElfError::Malformed("DT_HASH is inconsistent");
        let table = || {
            let at = range.start;
            let nbuckets = word(bytes, at)? as usize;
            let nchain = word(bytes, at.checked_add(4)?)? as usize;
            let buckets_at = at.checked_add(8)?;
            let chains_at = buckets_at.checked_add(nbuckets.checked_mul(4)?)?;
            let end = chains_at.checked_add(nchain.checked_mul(4)?)?;
            if end > range.end {
                return None;
            }
            if nbuckets == 0 {
                return Some(Self::Empty);
            }
            Some(Self::Sysv(SysvTable {
                buckets: buckets_at..chains_at,
                chains: chains_at..end,
            }))
        };
        table().ok_or(bad)
    }
}

impl HashTable {
    /// Where the table of an object with `symbols` symbols lies in the file.
    pub(super) fn range(&self, symbols: usize) -> Range<usize> {
        match self {
            Self::Empty => 0..0,
            Self::Sysv(table) => table.buckets.start.saturating_sub(8)..table.chains.end,
            Self::Gnu(table) => {
                let chained = symbols.saturating_sub(table.first as usize);
                let end = table.chains.start.saturating_add(chained.saturating_mul(4));
                table.bloom.start.saturating_sub(16)..end.min(table.chains.end)
            }
        }
    }
}

/// The two hashes of a name; the second is only computed when it is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct NameHash<'a> {
    pub(super) name: &'a [u8],
    pub(super) gnu: u32,
}

impl HashTable {
    /// Calls `candidate` with the index of each symbol whose hash fits, in
    /// ld.so's order, until it returns true.
    pub(super) fn walk(
        &self,
        bytes: &[u8],
        hash: &NameHash<'_>,
        candidate: &mut dyn FnMut(u32) -> bool,
    ) {
        // A walk that leaves the file ends there.
        let _: Option<()> = match self {
            Self::Empty => None,
            Self::Gnu(table) => table.walk(bytes, hash.gnu, candidate),
            Self::Sysv(table) => table.walk(bytes, sysv(hash.name), candidate),
        };
    }
}

impl GnuTable {
    fn walk(&self, bytes: &[u8], hash: u32, candidate: &mut dyn FnMut(u32) -> bool) -> Option<()> {
        let filter = long(bytes, index(&self.bloom, (hash / 64) & self.bloom_mask, 8)?)?;
        let second = hash.checked_shr(self.shift).unwrap_or(0);
        if (filter >> (hash & 63)) & (filter >> (second & 63)) & 1 == 0 {
            return None;
        }
        let buckets = (self.buckets.len() / 4) as u32;
        let mut symbol = word(bytes, index(&self.buckets, hash % buckets, 4)?)?;
        if symbol == 0 {
            return None;
        }
        loop {
            let chain = symbol.checked_sub(self.first)?;
            let value = word(bytes, index(&self.chains, chain, 4)?)?;
            if (value ^ hash) >> 1 == 0 && candidate(symbol) {
                return None;
            }
            if value & 1 != 0 {
                return None;
            }
            symbol = symbol.checked_add(1)?;
        }
    }
}

impl SysvTable {
    fn walk(&self, bytes: &[u8], hash: u32, candidate: &mut dyn FnMut(u32) -> bool) -> Option<()> {
        let buckets = (self.buckets.len() / 4) as u32;
        let mut symbol = word(bytes, index(&self.buckets, hash % buckets, 4)?)?;
        // A chain visits each symbol once at most, unless it is a circle.
        for _ in 0..self.chains.len() / 4 {
            if symbol == 0 || candidate(symbol) {
                return None;
            }
            symbol = word(bytes, index(&self.chains, symbol, 4)?)?;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from the GNU hash section's description and the gABI's code.
    #[test]
    fn hashes_of_known_names() {
        assert_eq!(gnu(b""), 5381);
        assert_eq!(gnu(b"printf"), 0x156b_2bb8);
        assert_eq!(sysv(b"printf"), 0x077_905a6);
        assert_eq!(sysv(b"GLIBC_2.2.5"), 0x0969_1a75);
    }
}
