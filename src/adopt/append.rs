//! Ways 2 and 3: a new segment at the end of the file.
//!
//! What follows the ELF file itself (the payload of a self-extracting program)
//! is found by its offset from the start or from the end. So it stays where it
//! is, and is repeated behind the new segment.

use std::ops::Range;

use object::elf;

use super::block::Block;
use super::error::AdoptError;
use super::image::Image;
use super::layout::{ALIGN, EHDR, NewSection, PAGE, PHDR, write_headers};
use super::sections::{SHT_NOTE, SHT_PROGBITS, SectionTable};
use crate::arch::Arch;
use crate::elf::{ElfFile, MAX_FILE, MappedElf, Segment};

/// Name of the section that stands for room in front of all others.
const FRONT: &str = ".indir.front";
const TOO_LARGE: AdoptError = AdoptError::Layout("its addresses leave no room");

/// A file with a new segment.
pub(super) struct Appended<'a> {
    pub(super) image: Image<'a>,
    /// Way 3: the program headers are in the new segment.
    pub(super) headers_moved: bool,
}

pub(super) fn append<'a>(
    source: &'a MappedElf,
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    block: &Block,
    lean: Option<Block>,
    phoff: u64,
) -> Result<Appended<'a>, AdoptError> {
    let data = file.data();
    let loads = || file.segments().iter().filter(|s| s.kind == elf::PT_LOAD);
    let first = loads()
        .next()
        .ok_or(AdoptError::Layout("it has no segment"))?;
    let arch = Arch::of(file.machine()).ok_or(AdoptError::Machine)?;
    // Kernels with the largest pages map nothing of two segments into one page.
    let align = arch.page;
    let ends = loads().map(|s| {
        s.vaddr
            .checked_add(s.memsz)?
            .checked_next_multiple_of(align)
    });
    let end = ends.collect::<Option<Vec<_>>>().ok_or(TOO_LARGE)?;
    let end = end.into_iter().max().ok_or(TOO_LARGE)?;
    let file_end = (data.len() as u64)
        .checked_next_multiple_of(PAGE)
        .ok_or(TOO_LARGE)?;

    let added = 1 + usize::from(block.lone_note.is_some());
    let grown = phoff + ((file.segments().len() + added) * PHDR) as u64;
    let room = room(file, sections, block, phoff, grown);
    let in_place = room.is_some();
    let lean = lean.filter(|_| in_place);
    let lean = lean.and_then(|lean| in_front(file, sections, lean, phoff, grown));
    let mut new = Vec::new();
    // Where the interpreter's path does not fit in front, something else that cannot
    // move keeps patchelf from moving everything between there and the path, which it
    // does not tear apart if it fits into the page that it adds.
    let torn =
        file.kind() == elf::ET_EXEC && sections.is_some_and(|table| table.fixed_from() > PAGE / 2);
    if let Some((room, vaddr)) = room.filter(|_| lean.is_none() && torn)
        && !room.is_empty()
    {
        new.push(NewSection {
            name: FRONT,
            kind: SHT_PROGBITS,
            offset: room.start,
            vaddr,
            len: room.end - room.start,
        });
    }
    let block = lean.as_ref().unwrap_or(block);
    let (offset, vaddr) = if in_place {
        // In the file nothing has to be aligned: the address follows the offset.
        (
            file_end,
            end.checked_add(file_end % align).ok_or(TOO_LARGE)?,
        )
    } else {
        // Both sides of the difference are multiples of the alignment.
        let difference = first.vaddr.wrapping_sub(first.offset);
        let vaddr = end.max(file_end.wrapping_add(difference));
        (vaddr.wrapping_sub(difference), vaddr)
    };
    let is_even = offset % PAGE == 0 && vaddr.wrapping_sub(offset) % align == 0;
    if !is_even || offset < file_end || vaddr < end {
        return Err(TOO_LARGE);
    }

    let with_phdr = file.segment(elf::PT_PHDR).is_some();
    let block_at = if in_place {
        // llvm-objcopy takes what begins where a segment does, and stands in
        // front of it, for the one that the segment is a part of.
        ALIGN
    } else {
        let count = file.segments().len() + added + usize::from(!with_phdr);
        ((count * PHDR) as u64).next_multiple_of(ALIGN)
    };
    // The block's own positions come after the headers, if those are in front.
    let (block_offset, block_vaddr) = (offset + block_at, vaddr + block_at);
    let mut segments = block.follow(file.segments(), block_offset, block_vaddr);
    let len = block_at + block.len();
    let own = |kind, offset, vaddr, len, align| Segment {
        kind,
        flags: elf::PF_R,
        offset,
        vaddr,
        filesz: len,
        memsz: len,
        align,
    };
    let behind = segments.iter().rposition(|s| s.kind == elf::PT_LOAD);
    let behind = behind.map_or(0, |at| at + 1);
    segments.insert(behind, own(elf::PT_LOAD, offset, vaddr, len, align));
    if let Some((at, len)) = block.lone_note {
        let (offset, vaddr) = (block_offset + at, block_vaddr + at);
        segments.push(own(elf::PT_NOTE, offset, vaddr, len, 4));
        new.push(NewSection {
            name: indir_shim::format::note::SECTION,
            kind: SHT_NOTE,
            offset,
            vaddr,
            len,
        });
    }
    if !with_phdr && !in_place {
        segments.insert(0, own(elf::PT_PHDR, offset, vaddr, 0, 8));
    }
    let phoff = if in_place { phoff } else { offset };
    let size = (segments.len() * PHDR) as u64;
    for phdr in segments.iter_mut().filter(|s| s.kind == elf::PT_PHDR) {
        if !in_place {
            (phdr.offset, phdr.vaddr) = (offset, vaddr);
        }
        (phdr.filesz, phdr.memsz) = (size, size);
    }

    let payload = payload(file, sections);
    let total = offset
        .checked_add(len)
        .and_then(|len| usize::try_from(len).ok());
    let total = total.ok_or(TOO_LARGE)?;
    // What an address makes of a length is not trusted.
    if (total as u64).saturating_add(payload.len() as u64) > MAX_FILE {
        return Err(TOO_LARGE);
    }
    let mut out = Image::of_file(source);
    out.resize(total);
    // Some find their payload behind the section headers: those stay, then.
    let new = if payload.is_empty() { &*new } else { &[] };
    for front in new.iter().filter(|section| section.name == FRONT) {
        // Nobody needs what was there.
        let range = usize::try_from(front.offset)
            .ok()
            .zip(usize::try_from(front.offset + front.len).ok());
        if let Some((from, to)) = range {
            out.write(from, &vec![0; to.saturating_sub(from).min(data.len())]);
        }
    }
    block.write(&mut out, sections, block_offset, block_vaddr, new);
    out.repeat(payload);
    out.put(32, phoff);
    out.write(56, &(segments.len() as u16).to_le_bytes());
    write_headers(&mut out, &segments, phoff);
    Ok(Appended {
        image: out,
        headers_moved: !in_place,
    })
}

/// What lies behind everything that the ELF headers speak of, if it is more
/// than padding.
fn payload(file: &ElfFile<'_>, sections: Option<&SectionTable>) -> Range<usize> {
    let segments = file.segments().iter().map(|s| (s.offset, s.filesz));
    let in_sections = sections.iter().flat_map(|table| table.file_ranges());
    let end = segments
        .chain(in_sections)
        .map(|(at, len)| at.saturating_add(len))
        .fold(EHDR, u64::max);
    let data = file.data();
    let at = usize::try_from(end).unwrap_or(data.len());
    match data.get(at..) {
        Some(rest) if rest.iter().any(|&byte| byte != 0) => at..data.len(),
        _ => 0..0,
    }
}

/// `block` with its interpreter at `from`, behind the program headers, if what moves
/// leaves room enough there.
pub(super) fn in_front(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    mut block: Block,
    phoff: u64,
    from: u64,
) -> Option<Block> {
    let (room, vaddr) = room(file, sections, &block, phoff, from)?;
    block.settle(room, vaddr).then_some(block)
}

/// What of the file from offset `from` on is free, if everything between the program
/// headers and it moves away or is used by nobody, and is mapped with them; and its
/// address.
fn room(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    block: &Block,
    phoff: u64,
    from: u64,
) -> Option<(Range<u64>, u64)> {
    let data = file.data();
    let mut freed = block.freed();
    freed.sort_unstable();
    let mut free = phoff + (file.segments().len() * PHDR) as u64;
    for (at, len) in freed {
        let gap = free..at;
        // Only section headers can tell that a longer gap is one.
        let longest = if sections.is_some() { PAGE } else { ALIGN };
        let Some(gap) = usize::try_from(gap.start)
            .ok()
            .zip(usize::try_from(gap.end).ok())
            .filter(|(from, to)| from <= to && to - from < longest as usize)
            .and_then(|(from, to)| data.get(from..to))
        else {
            continue;
        };
        let start = free;
        let in_gap =
            |(used, size): (u64, u64)| size > 0 && used < at && used.saturating_add(size) > start;
        let mut used = sections.iter().flat_map(|table| table.file_ranges());
        if gap.iter().any(|&byte| byte != 0) || used.any(in_gap) {
            break;
        }
        free = free.max(at.saturating_add(len));
    }
    let mapped = |s: &&Segment| {
        s.kind == elf::PT_LOAD && s.offset <= phoff && from <= s.offset.saturating_add(s.filesz)
    };
    let load = file.segments().iter().find(mapped)?;
    let end = free.min(load.offset.saturating_add(load.filesz));
    let vaddr = load.vaddr.checked_add(from.checked_sub(load.offset)?)?;
    (from <= end).then_some((from..end, vaddr))
}
