//! Section headers: nobody needs them to start a program, but strip and objcopy
//! rebuild the file from them, so they must follow what moves.
//!
//! Headers are changed where they are; none is added (a new note joins the
//! section of the notes that it stands behind), so the file need not grow.

use super::edit::Move;

const HEADER: usize = 64;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u64 = 2;
/// Most sections that a file without the extended count can have.
const MAX: usize = 0xff00;

/// Where the headers are.
#[derive(Clone, Debug)]
pub(super) struct SectionTable {
    at: usize,
    headers: Vec<Header>,
}

#[derive(Clone, Copy, Debug)]
struct Header {
    kind: u32,
    flags: u64,
    offset: u64,
    size: u64,
}

impl SectionTable {
    /// Reads the headers of `data`, a 64-bit little-endian ELF file; `None` if
    /// there are none, or none that make sense.
    pub(super) fn read(data: &[u8]) -> Option<Self> {
        let at = usize::try_from(word(data, 40)?).ok()?;
        let size = half(data, 58)?;
        let count = half(data, 60)?;
        if at == 0 || usize::from(size) != HEADER || count == 0 || usize::from(count) > MAX {
            return None;
        }
        let bytes = data.get(at..at.checked_add(usize::from(count) * HEADER)?)?;
        let headers = bytes
            .chunks_exact(HEADER)
            .map(|header| {
                Some(Header {
                    kind: u32::from_le_bytes(*header.get(4..)?.first_chunk()?),
                    flags: word(header, 8)?,
                    offset: word(header, 24)?,
                    size: word(header, 32)?,
                })
            })
            .collect::<Option<_>>()?;
        Some(Self { at, headers })
    }

    /// What the sections and their headers occupy in the file: offset, length.
    pub(super) fn file_ranges(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        let own = (self.at as u64, (self.headers.len() * HEADER) as u64);
        let contents = self.headers.iter().filter(|h| h.kind != SHT_NOBITS);
        contents.map(|h| (h.offset, h.size)).chain([own])
    }

    /// Changes the headers in `data` of all sections that lie in what moved.
    pub(super) fn follow(&self, data: &mut [u8], moves: &[Move]) {
        for (index, header) in self.headers.iter().enumerate() {
            let end = header.offset.saturating_add(header.size);
            let within =
                |m: &&Move| header.offset >= m.old_offset && end <= m.old_offset + m.old_len;
            if header.kind == SHT_NOBITS || header.flags & SHF_ALLOC == 0 || header.size == 0 {
                continue;
            }
            let Some(moved) = moves.iter().find(within) else {
                continue;
            };
            let at = self.at + index * HEADER;
            let shift = header.offset - moved.old_offset;
            put(data, at + 16, moved.vaddr + shift);
            put(data, at + 24, moved.offset + shift);
            if end == moved.old_offset + moved.old_len {
                put(data, at + 32, moved.len - shift);
            }
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
