//! Section headers: nobody needs them to start a program, but strip, objcopy
//! and patchelf rebuild the file from them, so they must follow what moves.
//!
//! They are kept in the order of file offsets: patchelf up to 0.14 takes the
//! first headers for those of the first bytes when it looks for what lies in
//! the way of longer program headers. Numbers of sections in other headers and
//! in symbols follow. A note that joins none gets a header of its own, so that
//! strip keeps it, and so does room in front of all sections that patchelf must not
//! look behind; the headers and their names then move to the end of the file.
//!
//! Source: gABI chapter 4, "Sections" and "Symbol Table".

use super::image::Image;
use super::layout::{Move, NewSection, half, put, word};

const HEADER: usize = 64;
const SYMBOL: usize = 24;
pub(super) const SHT_PROGBITS: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_STRTAB: u32 = 3;
const SHT_RELA: u32 = 4;
pub(super) const SHT_NOTE: u32 = 7;
const SHT_NOBITS: u32 = 8;
const SHT_REL: u32 = 9;
const SHT_DYNSYM: u32 = 11;
/// Their content are numbers of sections.
const SHT_GROUP: u32 = 17;
const SHT_SYMTAB_SHNDX: u32 = 18;
const SHF_ALLOC: u64 = 2;
const SHF_INFO_LINK: u64 = 0x40;
/// Most sections that a file without the extended count can have.
const MAX: usize = 0xff00;
/// Where the ELF header has the offset, the count and the index of the names.
const E_SHOFF: usize = 40;
const E_SHNUM: usize = 60;
const E_SHSTRNDX: usize = 62;

/// Where the headers are.
#[derive(Clone, Debug)]
pub(super) struct SectionTable {
    at: usize,
    headers: Vec<Header>,
}

/// A section header, as it is in the file.
#[derive(Clone, Copy, Debug)]
struct Header([u8; HEADER]);

impl Header {
    fn half(&self, at: usize) -> u32 {
        let bytes = self.0.get(at..).and_then(|rest| rest.first_chunk());
        u32::from_le_bytes(bytes.copied().unwrap_or_default())
    }

    fn word(&self, at: usize) -> u64 {
        word(&self.0, at).unwrap_or(0)
    }

    fn set_half(&mut self, at: usize, value: u32) {
        if let Some(slot) = self.0.get_mut(at..).and_then(|rest| rest.first_chunk_mut()) {
            *slot = value.to_le_bytes();
        }
    }

    fn kind(&self) -> u32 {
        self.half(4)
    }

    fn flags(&self) -> u64 {
        self.word(8)
    }

    fn address(&self) -> u64 {
        self.word(16)
    }

    fn offset(&self) -> u64 {
        self.word(24)
    }

    fn size(&self) -> u64 {
        self.word(32)
    }

    fn is_loaded(&self) -> bool {
        self.flags() & SHF_ALLOC != 0
    }
}

impl SectionTable {
    /// Reads the headers of `data`, a 64-bit little-endian ELF file; `None` if
    /// there are none, or none that make sense.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let at = usize::try_from(word(data, E_SHOFF)?).ok()?;
        let size = half(data, 58)?;
        let count = half(data, E_SHNUM)?;
        if at == 0 || usize::from(size) != HEADER || count == 0 || usize::from(count) > MAX {
            return None;
        }
        let bytes = data.get(at..at.checked_add(usize::from(count) * HEADER)?)?;
        let headers = bytes
            .chunks_exact(HEADER)
            .map(|header| header.first_chunk().copied().map(Header))
            .collect::<Option<_>>()?;
        Some(Self { at, headers })
    }

    /// File offset of the first section that patchelf does not move: code or data.
    pub(super) fn fixed_from(&self) -> u64 {
        // .interp is the first of all where patchelf may move it.
        let fixed = |h: &&Header| h.kind() == SHT_PROGBITS && h.is_loaded() && h.size() > 0;
        let offsets = self.headers.iter().filter(fixed).map(Header::offset);
        let mut offsets: Vec<u64> = offsets.collect();
        offsets.sort_unstable();
        offsets.get(1).copied().unwrap_or(0)
    }

    /// What the sections and their headers occupy in the file: offset, length.
    pub(super) fn file_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let own = (self.at as u64, (self.headers.len() * HEADER) as u64);
        let contents = self.headers.iter().filter(|h| h.kind() != SHT_NOBITS);
        contents.map(|h| (h.offset(), h.size())).chain([own])
    }

    /// Writes to `data` the headers as they are after `moves`, with those of `new`.
    pub(super) fn write(&self, data: &mut Image<'_>, moves: &[Move], new: &[NewSection]) {
        let mut headers = self.headers.clone();
        let mut moved = Vec::new();
        for (index, header) in headers.iter_mut().enumerate() {
            if follow(header, moves) {
                moved.push(index);
            }
        }
        let mut order = self.in_order(&headers, &moved);
        let mut names = data.half(E_SHSTRNDX).map_or(0, usize::from);
        for &section in new {
            let header = new_header(data, headers.get_mut(names), section);
            let at = position(&headers, &order, &header);
            // Numbers that cannot be changed must not change.
            let at = if self.is_fixed() { order.len() } else { at };
            order.insert(at, headers.len());
            headers.push(header);
        }
        let mut new_index: Vec<usize> = (0..order.len()).collect();
        for (new, &old) in order.iter().enumerate() {
            if let Some(slot) = new_index.get_mut(old) {
                *slot = new;
            }
        }
        for header in &mut headers {
            renumber(header, &new_index);
        }
        if new_index.iter().enumerate().any(|(old, &new)| old != new) {
            renumber_symbols(data, &headers, &new_index);
        }
        names = new_index.get(names).copied().unwrap_or(names);
        let bytes: Vec<u8> = order
            .iter()
            .filter_map(|&old| headers.get(old))
            .flat_map(|header| header.0)
            .collect();
        put_half(data, E_SHSTRNDX, names);
        if new.is_empty() {
            data.write(self.at, &bytes);
        } else {
            data.resize(data.len().next_multiple_of(8));
            let at = data.len() as u64;
            data.extend(&bytes);
            data.put(E_SHOFF, at);
            put_half(data, E_SHNUM, headers.len());
        }
    }

    /// Whether there are numbers of sections that are not followed here.
    fn is_fixed(&self) -> bool {
        self.headers
            .iter()
            .any(|h| matches!(h.kind(), SHT_GROUP | SHT_SYMTAB_SHNDX))
    }

    /// The order of `headers`, by their numbers, after those in `moved` moved.
    fn in_order(&self, headers: &[Header], moved: &[usize]) -> Vec<usize> {
        if self.is_fixed() {
            return (0..headers.len()).collect();
        }
        let mut order: Vec<usize> = (0..headers.len()).filter(|i| !moved.contains(i)).collect();
        for &index in moved {
            if let Some(header) = headers.get(index) {
                order.insert(position(headers, &order, header), index);
            }
        }
        order
    }
}

/// Where in `order` a header belongs: behind what is loaded from before it, and
/// behind memory without content before it (whose offset mold says to be 0).
fn position(headers: &[Header], order: &[usize], header: &Header) -> usize {
    let is_before = |h: &Header| match h.kind() {
        SHT_NOBITS => h.address() <= header.address(),
        _ => h.offset() <= header.offset(),
    };
    let before = |&index: &usize| {
        headers
            .get(index)
            .is_some_and(|h| h.is_loaded() && is_before(h))
    };
    order.iter().rposition(before).map_or(1, |at| at + 1)
}

/// Changes the header of a section that lies in what moved.
fn follow(header: &mut Header, moves: &[Move]) -> bool {
    if header.kind() == SHT_NOBITS || !header.is_loaded() || header.size() == 0 {
        return false;
    }
    let end = header.offset().saturating_add(header.size());
    let within = |m: &&Move| header.offset() >= m.old_offset && end <= m.old_offset + m.old_len;
    let Some(moved) = moves.iter().find(within) else {
        return false;
    };
    let shift = header.offset() - moved.old_offset;
    put(&mut header.0, 16, moved.vaddr + shift);
    put(&mut header.0, 24, moved.offset + shift);
    if end == moved.old_offset + moved.old_len {
        put(&mut header.0, 32, moved.len - shift);
    }
    true
}

/// A header for `section`, whose name is added to a copy of `names` at the end of
/// `data`.
fn new_header(data: &mut Image<'_>, names: Option<&mut Header>, section: NewSection) -> Header {
    let mut header = Header([0; HEADER]);
    if let Some(names) = names.filter(|names| names.kind() == SHT_STRTAB)
        && let Ok(at) = usize::try_from(names.offset())
        && let Ok(len) = usize::try_from(names.size())
        && let Some(end) = at.checked_add(len)
        && let Some(text) = data.bytes(at..end)
    {
        if end != data.len() {
            put(&mut names.0, 24, data.len() as u64);
            data.extend(&text);
        }
        data.extend(section.name.as_bytes());
        data.extend(&[0]);
        put(&mut names.0, 32, (len + section.name.len() + 1) as u64);
        header.set_half(0, len as u32);
    }
    header.set_half(4, section.kind);
    for (at, value) in [
        (8, SHF_ALLOC),
        (16, section.vaddr),
        (24, section.offset),
        (32, section.len),
        (48, 4),
    ] {
        put(&mut header.0, at, value);
    }
    header
}

fn renumber(header: &mut Header, new_index: &[usize]) {
    let new = |old: u32| new_index.get(old as usize).map_or(old, |&new| new as u32);
    header.set_half(40, new(header.half(40)));
    let is_section =
        matches!(header.kind(), SHT_REL | SHT_RELA) || header.flags() & SHF_INFO_LINK != 0;
    if is_section {
        header.set_half(44, new(header.half(44)));
    }
}

/// The sections that symbols are in.
fn renumber_symbols(data: &mut Image<'_>, headers: &[Header], new_index: &[usize]) {
    for header in headers {
        if !matches!(header.kind(), SHT_SYMTAB | SHT_DYNSYM) {
            continue;
        }
        let (Ok(at), Ok(len)) = (
            usize::try_from(header.offset()),
            usize::try_from(header.size()),
        ) else {
            continue;
        };
        if at.checked_add(len).is_none_or(|end| end > data.len()) {
            continue;
        }
        for symbol in (at..at + len / SYMBOL * SYMBOL).step_by(SYMBOL) {
            let old = data.half(symbol + 6).map_or(0, usize::from);
            if let Some(&new) = new_index.get(old).filter(|&&new| new != old) {
                put_half(data, symbol + 6, new);
            }
        }
    }
}

/// Writes 16 bits, which numbers of sections fit into.
fn put_half(data: &mut Image<'_>, at: usize, value: usize) {
    data.write(at, &(value as u16).to_le_bytes());
}
