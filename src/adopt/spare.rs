//! Spare room in an executable: bytes that are mapped anyway and used by nobody.
//!
//! Linkers begin segments on pages of their own, so that the rest of a
//! segment's last page is zeros in the file and zeros in memory. Whoever uses it
//! needs neither a new segment nor a longer file. This module only looks.

use object::elf;

use super::layout::PAGE;
use super::sections::SectionTable;
use crate::elf::{ElfFile, Segment};

/// Room behind a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spare {
    /// Index of the PT_LOAD that is to be made longer.
    pub(super) load: usize,
    /// File offset of the room.
    pub(super) offset: u64,
    /// Address of the room.
    pub(super) vaddr: u64,
}

/// `len` spare bytes, aligned to `align` in file and memory. Read-only data is
/// preferred to code; writable segments are left alone, since what is at stake
/// must not change at run time.
pub(super) fn find(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    taken: &[(u64, u64)],
    len: u64,
    align: u64,
) -> Option<Spare> {
    let candidates = |executable: bool| {
        file.segments().iter().enumerate().filter(move |(_, s)| {
            s.kind == elf::PT_LOAD
                && s.filesz == s.memsz
                && s.filesz > 0
                && s.flags.0 & elf::PF_W.0 == 0
                && (s.flags.0 & elf::PF_X.0 != 0) == executable
        })
    };
    candidates(false)
        .chain(candidates(true))
        .find_map(|(load, segment)| {
            let (offset, vaddr) = behind(file, sections, taken, segment, len, align)?;
            Some(Spare {
                load,
                offset,
                vaddr,
            })
        })
}

fn behind(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    taken: &[(u64, u64)],
    segment: &Segment,
    len: u64,
    align: u64,
) -> Option<(u64, u64)> {
    let old_end = segment.offset.checked_add(segment.filesz)?;
    let start = old_end.checked_next_multiple_of(align)?;
    let end = start.checked_add(len)?;
    let vaddr = segment.vaddr.checked_add(start - segment.offset)?;
    if vaddr % align != 0 || end > old_end.checked_next_multiple_of(PAGE)? {
        return None;
    }
    // Bytes in front of `start` become part of the segment as well.
    let used = |(at, size): (u64, u64)| size > 0 && at < end && at.saturating_add(size) > old_end;
    let in_segments = file.segments().iter().map(|s| (s.offset, s.filesz));
    let in_sections = sections.iter().flat_map(|table| table.file_ranges());
    if in_segments
        .chain(in_sections)
        .chain(taken.iter().copied())
        .any(used)
    {
        return None;
    }
    let page_end = (vaddr + len).checked_next_multiple_of(PAGE)?;
    let memory_end = segment.vaddr.checked_add(segment.memsz)?;
    let overlaps = file.segments().iter().any(|s| {
        let s_end = s.vaddr.saturating_add(s.memsz);
        s.kind == elf::PT_LOAD && s_end > memory_end && s.vaddr < page_end
    });
    if overlaps {
        return None;
    }
    let from = usize::try_from(old_end).ok()?;
    let to = usize::try_from(end).ok()?;
    let bytes = file.data().get(from..to)?;
    bytes.iter().all(|&b| b == 0).then_some((start, vaddr))
}
