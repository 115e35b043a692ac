//! What the files of `adopt` share: sizes, what moves, and words at offsets.

use super::image::Image;
use crate::elf::Segment;

/// Length of the ELF header.
pub(super) const EHDR: u64 = 64;
/// Length of a program header.
pub(super) const PHDR: usize = 56;
/// Alignment of the block and of everything in it.
pub(super) const ALIGN: u64 = 8;
/// The smallest unit of mapping; larger pages only make the spare room larger.
pub(super) const PAGE: u64 = 4096;

/// Content that is somewhere else afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    /// File offset before.
    pub(super) old_offset: u64,
    /// Length in the file before.
    pub(super) old_len: u64,
    /// File offset now.
    pub(super) offset: u64,
    /// Address now.
    pub(super) vaddr: u64,
    /// Length now.
    pub(super) len: u64,
}

/// A section that there was not.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewSection {
    pub(super) name: &'static str,
    /// `SHT_NOTE` or `SHT_PROGBITS`.
    pub(super) kind: u32,
    /// File offset.
    pub(super) offset: u64,
    /// Address.
    pub(super) vaddr: u64,
    /// Length.
    pub(super) len: u64,
}

pub(super) fn write_headers(out: &mut Image<'_>, segments: &[Segment], phoff: u64) {
    let Ok(at) = usize::try_from(phoff) else {
        return;
    };
    for (nth, segment) in segments.iter().enumerate() {
        // p_paddr, which nobody reads, follows p_vaddr, as linkers have it.
        let kind = u64::from(segment.kind.0) | u64::from(segment.flags.0) << 32;
        let words = [
            kind,
            segment.offset,
            segment.vaddr,
            segment.vaddr,
            segment.filesz,
            segment.memsz,
            segment.align,
        ];
        for (index, word) in words.into_iter().enumerate() {
            out.put(at + nth * PHDR + index * 8, word);
        }
    }
}

pub(super) fn half(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

pub(super) fn word(data: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*data.get(at..)?.first_chunk()?))
}

/// Writes `value` at `at`; what lies outside is dropped, which the bounds that
/// were checked before exclude.
pub(super) fn put(data: &mut [u8], at: usize, value: u64) {
    if let Some(slot) = data.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
        *slot = value.to_le_bytes();
    }
}
