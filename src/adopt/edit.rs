//! The change of bytes: another interpreter, and the `indir` note.
//!
//! Interpreter string and notes move together into one block. Three ways, the
//! first that is possible is taken:
//! 1. into spare room at the end of a read-only segment: no header is added,
//!    the file keeps its length, and payloads behind it stay where they are;
//! 2. into a new segment at the end, the program headers growing in place over
//!    what moved away;
//! 3. the same with the program headers in the new segment. Its file offset
//!    differs from its address as that of the first segment does, because
//!    kernels before 5.18 compute AT_PHDR from that (a hole in the file may
//!    come of it).
//!
//! Sources: gABI chapter 5; Linux fs/binfmt_elf.c.

use indir_shim::layout::ID_LEN;
use indir_shim::note;
use object::elf;
use sha2::{Digest as _, Sha256};

use super::place::{self, PAGE, Spare};
use super::sections::{SectionTable, half, put, word};
use crate::elf::{ElfError, ElfFile, Segment};

const PHDR: usize = 56;
const EHDR: u64 = 64;
/// Alignment of the block and of everything in it.
const ALIGN: u64 = 8;
/// Shortest build-id that is taken for unique, in bytes (MD5's length).
const SHORTEST_ID: usize = 16;
/// Linux refuses an interpreter of this length or more (PATH_MAX).
const MAX_INTERPRETER: usize = 4096;
/// Program headers that the shim accepts (`indir_shim::exe::MAX_PHDRS`).
const MAX_PHDRS: usize = 256;

/// Why a file cannot be made indirect.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is not usable as ELF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Another architecture.
    #[error("it is not for x86-64")]
    Machine,
    /// Statically linked, so that there is nothing to indirect.
    #[error("it is statically linked: it loads no library, so there is nothing to make indirect")]
    Static,
    /// A shared library.
    #[error("it is a shared library, not an executable: adopt the executables that load it")]
    Library,
    /// An interpreter or a layout that cannot be handled.
    #[error("it cannot be made indirect: {0}")]
    Layout(&'static str),
}

/// What came of an executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The bytes of the indirect one.
    Changed(Vec<u8>),
    /// It was indirect already.
    Already,
}

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

/// The executable `data` with `shim` as its interpreter and an `indir` note.
///
/// # Errors
/// See [`AdoptError`].
pub fn adopt(data: &[u8], shim: &[u8]) -> Result<Edited, AdoptError> {
    let file = ElfFile::parse(data)?;
    let notes = file.notes();
    if notes.reference.is_some() && file.interpreter().is_some() {
        return Ok(Edited::Already);
    }
    let mut id = [0; ID_LEN];
    if notes.build_id.is_none_or(|own| own.len() < SHORTEST_ID) {
        let digest = Sha256::digest(data);
        id.copy_from_slice(digest.get(..ID_LEN).unwrap_or(&[0; ID_LEN]));
    }
    edit(&file, shim, Some(own_note(&id))).map(Edited::Changed)
}

/// The executable `data` with another interpreter and nothing else.
///
/// # Errors
/// See [`AdoptError`].
pub fn with_interpreter(data: &[u8], interpreter: &[u8]) -> Result<Vec<u8>, AdoptError> {
    edit(&ElfFile::parse(data)?, interpreter, None)
}

/// The note, as `linker-plugin/src/object.rs` encodes it for linkers.
fn own_note(id: &[u8; ID_LEN]) -> Vec<u8> {
    let reference = note::DEFAULT_REFERENCE.as_bytes();
    let desc_len = ID_LEN + reference.len() + 1;
    let mut out = Vec::new();
    for word in [note::OWNER.len() as u32, desc_len as u32, note::TYPE] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(note::OWNER);
    pad(&mut out, 4);
    out.extend_from_slice(id);
    out.extend_from_slice(reference);
    out.push(0);
    pad(&mut out, 4);
    out
}

fn pad(bytes: &mut Vec<u8>, align: u64) {
    bytes.resize(bytes.len().next_multiple_of(align as usize), 0);
}

fn edit(file: &ElfFile<'_>, interp: &[u8], note: Option<Vec<u8>>) -> Result<Vec<u8>, AdoptError> {
    if file.machine() != elf::EM_X86_64 {
        return Err(AdoptError::Machine);
    }
    let Some(old_interp) = file.segment(elf::PT_INTERP).copied() else {
        return Err(no_interpreter(file));
    };
    if interp.is_empty() || interp.len() + 1 >= MAX_INTERPRETER || interp.contains(&0) {
        return Err(AdoptError::Layout(
            "the path of the interpreter is too long",
        ));
    }
    let data = file.data();
    let phoff = word(data, 32).unwrap_or(0);
    if half(data, 54).map(usize::from) != Some(PHDR) {
        return Err(AdoptError::Layout(
            "its program headers are of another size",
        ));
    }
    if file.segments().len() + 4 > MAX_PHDRS {
        return Err(AdoptError::Layout("it has too many program headers"));
    }
    let sections = SectionTable::read(data);
    let headers = (phoff, (file.segments().len() * PHDR) as u64);
    let taken = [(0, EHDR), headers];

    let mut block = Block::default();
    block.interpreter(&old_interp, interp);
    let host = note.as_ref().and_then(|_| host(file));
    if let Some(note) = &note {
        block.note(file, host, note)?;
    }
    let sections = sections.as_ref();
    let own_header = note.is_some() && host.is_none();
    if !own_header && let Some(spare) = place::find(file, sections, &taken, block.len(), ALIGN) {
        return Ok(into_spare(file, sections, &block, spare));
    }
    // All notes make room for the headers.
    for segment in file.segments().iter().filter(|s| s.kind == elf::PT_NOTE) {
        block.keep(file, segment)?;
    }
    append(file, sections, &block, phoff)
}

fn no_interpreter(file: &ElfFile<'_>) -> AdoptError {
    const DF_1_PIE: u64 = 0x0800_0000;
    let Ok(Some(dynamic)) = file.dynamic() else {
        return AdoptError::Static;
    };
    // Linkers give DT_DEBUG to executables only; the flag is younger.
    let pie = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0) & DF_1_PIE != 0;
    if file.kind() == elf::ET_EXEC || pie || dynamic.value(elf::DT_DEBUG).is_some() {
        AdoptError::Static
    } else {
        AdoptError::Library
    }
}

/// The PT_NOTE that the new note joins. Not the one that is PT_GNU_PROPERTY's:
/// ld.so wants its one note alone.
fn host<'a>(file: &'a ElfFile<'_>) -> Option<&'a Segment> {
    let property = file.segment(elf::PT_GNU_PROPERTY).map(|s| s.offset);
    let fit = |s: &&Segment| {
        s.kind == elf::PT_NOTE
            && Some(s.offset) != property
            && file.segment_bytes(s).is_some_and(|b| !b.is_empty())
    };
    let notes = || file.segments().iter().filter(fit);
    notes()
        .find(|s| s.align <= 4)
        .or_else(|| notes().next_back())
}

/// What moves, and what is new, in one piece.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// Offset and address are relative to the block until it has a place.
    moves: Vec<Move>,
    /// Position and length of a note without any to join.
    lone_note: Option<(u64, u64)>,
}

impl Block {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn add(&mut self, old: &Segment, content: &[&[u8]]) {
        pad(&mut self.bytes, ALIGN);
        let at = self.len();
        for piece in content {
            self.bytes.extend_from_slice(piece);
        }
        self.moves.push(Move {
            old_offset: old.offset,
            old_len: old.filesz,
            offset: at,
            vaddr: at,
            len: self.len() - at,
        });
    }

    fn interpreter(&mut self, old: &Segment, path: &[u8]) {
        self.add(old, &[path, b"\0"]);
    }

    fn note(
        &mut self,
        file: &ElfFile<'_>,
        host: Option<&Segment>,
        note: &[u8],
    ) -> Result<(), AdoptError> {
        let Some(host) = host else {
            pad(&mut self.bytes, ALIGN);
            self.lone_note = Some((self.len(), note.len() as u64));
            self.bytes.extend_from_slice(note);
            return Ok(());
        };
        let old = file.segment_bytes(host).ok_or(OUTSIDE)?;
        // The padding of the last note may be missing.
        let gap = old.len().next_multiple_of(4) - old.len();
        self.add(host, &[old, &[0; 4][..gap], note]);
        Ok(())
    }

    /// Takes `segment` along unless it lies in what moves already.
    fn keep(&mut self, file: &ElfFile<'_>, segment: &Segment) -> Result<(), AdoptError> {
        if segment.filesz > 0 && self.moved(segment).is_none() {
            let bytes = file.segment_bytes(segment).ok_or(OUTSIDE)?;
            self.add(segment, &[bytes]);
        }
        Ok(())
    }

    /// The move that `segment` lies in.
    fn moved(&self, segment: &Segment) -> Option<&Move> {
        let end = segment.offset.saturating_add(segment.filesz);
        self.moves
            .iter()
            .find(|m| segment.offset >= m.old_offset && end <= m.old_offset + m.old_len)
    }

    /// `segments` after the move of the block to `offset` and `vaddr`.
    fn follow(&self, segments: &[Segment], offset: u64, vaddr: u64) -> Vec<Segment> {
        let follow = |segment: &Segment| {
            let mut new = *segment;
            let kinds = [elf::PT_INTERP, elf::PT_NOTE, elf::PT_GNU_PROPERTY];
            if kinds.contains(&segment.kind)
                && let Some(moved) = self.moved(segment)
            {
                let shift = segment.offset - moved.old_offset;
                new.offset = offset + moved.offset + shift;
                new.vaddr = vaddr + moved.vaddr + shift;
                if segment.filesz + shift == moved.old_len && segment.kind != elf::PT_GNU_PROPERTY {
                    new.filesz = moved.len - shift;
                    new.memsz = new.filesz;
                }
            }
            new
        };
        segments.iter().map(follow).collect()
    }

    /// Writes the block and what refers to sections in it.
    fn write(&self, out: &mut [u8], sections: Option<&SectionTable>, offset: u64, vaddr: u64) {
        let slot = usize::try_from(offset)
            .ok()
            .and_then(|at| out.get_mut(at..at.checked_add(self.bytes.len())?));
        if let Some(slot) = slot {
            slot.copy_from_slice(&self.bytes);
        }
        let placed = |m: &Move| Move {
            offset: m.offset + offset,
            vaddr: m.vaddr + vaddr,
            ..*m
        };
        let moves: Vec<Move> = self.moves.iter().map(placed).collect();
        if let Some(sections) = sections {
            sections.follow(out, &moves);
        }
    }
}

const OUTSIDE: AdoptError = AdoptError::Layout("a note lies outside of the file");
const TOO_LARGE: AdoptError = AdoptError::Layout("its addresses leave no room");

/// Way 1.
fn into_spare(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    block: &Block,
    spare: Spare,
) -> Vec<u8> {
    let mut out = file.data().to_vec();
    let mut segments = block.follow(file.segments(), spare.offset, spare.vaddr);
    if let Some(load) = segments.get_mut(spare.load) {
        load.filesz = spare.offset + block.len() - load.offset;
        load.memsz = load.filesz;
    }
    block.write(&mut out, sections, spare.offset, spare.vaddr);
    let phoff = word(&out, 32).unwrap_or(0);
    write_headers(&mut out, &segments, phoff);
    out
}

/// Ways 2 and 3.
fn append(
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    block: &Block,
    phoff: u64,
) -> Result<Vec<u8>, AdoptError> {
    let data = file.data();
    let loads = || file.segments().iter().filter(|s| s.kind == elf::PT_LOAD);
    let first = loads()
        .next()
        .ok_or(AdoptError::Layout("it has no segment"))?;
    let ends = loads().map(|s| s.vaddr.checked_add(s.memsz)?.checked_next_multiple_of(PAGE));
    let end = ends.collect::<Option<Vec<_>>>().ok_or(TOO_LARGE)?;
    let end = end.into_iter().max().ok_or(TOO_LARGE)?;
    let file_end = (data.len() as u64)
        .checked_next_multiple_of(PAGE)
        .ok_or(TOO_LARGE)?;

    let added = 1 + usize::from(block.lone_note.is_some());
    let grown = phoff + ((file.segments().len() + added) * PHDR) as u64;
    let in_place = headers_can_grow(file, block, phoff, grown);
    let (offset, vaddr) = if in_place {
        (file_end, end)
    } else {
        // Both sides of the difference are multiples of a page.
        let difference = first.vaddr.wrapping_sub(first.offset);
        let vaddr = end.max(file_end.wrapping_add(difference));
        (vaddr.wrapping_sub(difference), vaddr)
    };
    if offset % PAGE != 0 || vaddr % PAGE != 0 || offset < file_end || vaddr < end {
        return Err(TOO_LARGE);
    }

    let mut segments = block.follow(file.segments(), offset, vaddr);
    let with_phdr = segments.iter().any(|s| s.kind == elf::PT_PHDR);
    let block_at = if in_place {
        0
    } else {
        let count = segments.len() + added + usize::from(!with_phdr);
        ((count * PHDR) as u64).next_multiple_of(ALIGN)
    };
    // The block's own positions come after the headers, if those are in front.
    let (block_offset, block_vaddr) = (offset + block_at, vaddr + block_at);
    if block_at > 0 {
        segments = block.follow(file.segments(), block_offset, block_vaddr);
    }
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
    segments.insert(behind, own(elf::PT_LOAD, offset, vaddr, len, PAGE));
    if let Some((at, len)) = block.lone_note {
        segments.push(own(
            elf::PT_NOTE,
            block_offset + at,
            block_vaddr + at,
            len,
            4,
        ));
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

    let mut out = data.to_vec();
    let total = offset
        .checked_add(len)
        .and_then(|len| usize::try_from(len).ok());
    out.resize(total.ok_or(TOO_LARGE)?, 0);
    block.write(&mut out, sections, block_offset, block_vaddr);
    put(&mut out, 32, phoff);
    if let Some(count) = out.get_mut(56..58) {
        count.copy_from_slice(&(segments.len() as u16).to_le_bytes());
    }
    write_headers(&mut out, &segments, phoff);
    Ok(out)
}

/// Whether everything up to `grown` behind the program headers moves away, and
/// is mapped with them.
fn headers_can_grow(file: &ElfFile<'_>, block: &Block, phoff: u64, grown: u64) -> bool {
    let data = file.data();
    let mut moves: Vec<&Move> = block.moves.iter().collect();
    moves.sort_by_key(|m| m.old_offset);
    let mut free = phoff + (file.segments().len() * PHDR) as u64;
    for moved in moves {
        let gap = free..moved.old_offset;
        let Some(gap) = usize::try_from(gap.start)
            .ok()
            .zip(usize::try_from(gap.end).ok())
            .filter(|(from, to)| from <= to && to - from < ALIGN as usize)
            .and_then(|(from, to)| data.get(from..to))
        else {
            continue;
        };
        if gap.iter().any(|&byte| byte != 0) {
            break;
        }
        free = free.max(moved.old_offset + moved.old_len);
    }
    let mapped = |s: &Segment| {
        s.kind == elf::PT_LOAD && s.offset <= phoff && grown <= s.offset.saturating_add(s.filesz)
    };
    grown <= free && file.segments().iter().any(mapped)
}

fn write_headers(out: &mut [u8], segments: &[Segment], phoff: u64) {
    let Some(table) = usize::try_from(phoff).ok().and_then(|at| out.get_mut(at..)) else {
        return;
    };
    for (segment, slot) in segments.iter().zip(table.chunks_exact_mut(PHDR)) {
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
            put(slot, index * 8, word);
        }
    }
}
