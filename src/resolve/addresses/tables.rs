//! Where the dynamic tables of an object lie in its file, as checked ranges.
//!
//! Kept as ranges, not slices, so that `object` can own the mapping. Follows
//! glibc elf/dl-version.c for versions; interprets nothing else.

use std::ops::Range;

use object::elf::{self, DynamicTag};

use super::hash;
use crate::elf::{Dynamic, ElfError, ElfFile, Versions};

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
