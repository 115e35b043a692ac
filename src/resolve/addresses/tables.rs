//! Where the dynamic tables of an object lie in its file, as checked ranges.
//!
//! Kept as ranges, not slices, so that `object` can own the mapping. Follows
//! glibc elf/dl-version.c for versions; interprets nothing else.

use std::ops::Range;

use object::elf::{self, DynamicTag};

use super::hash;
use crate::elf::{Dynamic, ElfError, ElfFile, Versions};

/// Most entries of a version table that are followed.
pub(super) const MAX_VERSIONS: usize = 0x1_0000;

/// A version by its index, as ld.so's `l_versions` holds it.
#[derive(Clone, Debug)]
pub(super) struct VersionEntry {
    pub(super) name: Range<usize>,
    pub(super) hash: u32,
    pub(super) hidden: bool,
    pub(super) file: Option<Range<usize>>,
}

/// Where `inner`, a part of `outer`, lies in it.
pub(super) fn range_of(outer: &[u8], inner: &[u8]) -> Range<usize> {
    let start = (inner.as_ptr() as usize).wrapping_sub(outer.as_ptr() as usize);
    if inner.is_empty() || start >= outer.len() {
        return 0..0;
    }
    start..start + inner.len()
}

/// From the address that `tag` holds to the end of the file-backed segment.
pub(super) fn table_at(
    elf: &ElfFile<'_>,
    dynamic: &Dynamic<'_>,
    tag: DynamicTag,
) -> Result<Option<Range<usize>>, ElfError> {
    let Some(address) = dynamic.value(tag) else {
        return Ok(None);
    };
    let bytes = elf.bytes_at(address).ok_or(ElfError::Malformed(
        "a dynamic table lies outside of the file",
    ))?;
    Ok(Some(range_of(elf.data(), bytes)))
}

/// The table at `tag` with the length in `size`; a zero address or length is
/// an empty table (DT_RELA may be zero beside DT_RELR).
pub(super) fn sized_table(
    elf: &ElfFile<'_>,
    dynamic: &Dynamic<'_>,
    tag: DynamicTag,
    size: DynamicTag,
) -> Result<Range<usize>, ElfError> {
    let len = dynamic.value(size).unwrap_or(0);
    if len == 0 || dynamic.value(tag).unwrap_or(0) == 0 {
        return Ok(0..0);
    }
    let all = table_at(elf, dynamic, tag)?.unwrap_or(0..0);
    match usize::try_from(len).ok().filter(|len| *len <= all.len()) {
        Some(len) => Ok(all.start..all.start + len),
        None => Err(ElfError::Malformed(
            "a relocation table goes beyond the file",
        )),
    }
}

/// ld.so's `l_versions`: needs first, then definitions over them, without the
/// base version (glibc elf/dl-version.c).
pub(super) fn versions_by_index(
    bytes: &[u8],
    versions: &Versions<'_>,
) -> Vec<Option<VersionEntry>> {
    let needs = versions.needs.iter().map(|n| n.index);
    let Some(highest) = needs.chain(versions.defs.iter().map(|d| d.index)).max() else {
        return Vec::new();
    };
    if highest == 0 {
        return Vec::new();
    }
    let mut entries = vec![None; usize::from(highest) + 1];
    for need in &versions.needs {
        if let Some(entry) = entries.get_mut(usize::from(need.index)) {
            *entry = Some(VersionEntry {
                name: range_of(bytes, need.name),
                hash: hash::sysv(need.name),
                hidden: need.hidden,
                file: Some(range_of(bytes, need.file)),
            });
        }
    }
    for def in &versions.defs {
        if def.flags & elf::VER_FLG_BASE.0 != 0 {
            continue;
        }
        if let Some(entry) = entries.get_mut(usize::from(def.index)) {
            let hidden = entry.as_ref().is_some_and(|e: &VersionEntry| e.hidden);
            *entry = Some(VersionEntry {
                name: range_of(bytes, def.name),
                hash: hash::sysv(def.name),
                hidden,
                file: None,
            });
        }
    }
    entries
}

/// Where a version table (DT_VERNEED, DT_VERDEF) that begins at `start` ends.
/// Both kinds of entries name the first of their parts and the next entry; the
/// parts of a need have 16 bytes, those of a definition 8.
pub(super) fn end_of_versions(bytes: &[u8], start: usize, needs: bool) -> usize {
    let half = |at: usize| {
        let raw = bytes.get(at..).and_then(|b| b.first_chunk());
        raw.map_or(0, |raw| usize::from(u16::from_le_bytes(*raw)))
    };
    let word = |at: usize| {
        let raw = bytes.get(at..).and_then(|b| b.first_chunk());
        raw.map_or(0, |raw| u32::from_le_bytes(*raw) as usize)
    };
    let (entry, part) = if needs { (16, 16) } else { (20, 8) };
    let mut at = start;
    let mut end = start;
    let mut parts_left = MAX_VERSIONS;
    for _ in 0..MAX_VERSIONS {
        end = end.max(at + entry);
        let (count, first, next) = if needs {
            (half(at + 2), word(at + 8), word(at + 12))
        } else {
            (half(at + 6), word(at + 12), word(at + 16))
        };
        let mut inner = at + first;
        for _ in 0..count.min(parts_left) {
            parts_left -= 1;
            end = end.max(inner + part);
            let step = word(inner + if needs { 12 } else { 4 });
            if step == 0 {
                break;
            }
            inner += step;
        }
        if next == 0 {
            break;
        }
        at += next;
    }
    end.min(bytes.len())
}
