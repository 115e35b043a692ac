//! A file as it will be: the bytes of another one, pages that differ, and zeros behind.
//!
//! Programs of hundreds of megabytes are made indirect by changing a few pages, so
//! nothing here holds a file whole: it is written, compared and summed in pieces, and
//! what was read of a mapped file is given back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Seek, SeekFrom, Write};
use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::elf::MappedElf;

/// The unit in which changes are kept.
pub(super) const PAGE: usize = 4096;
/// Bytes that are looked at or written at once. The page cache keeps what one call
/// wrote in large units, which are mapped by fewer faults.
const PIECE: usize = 1 << 20;
/// A page of nothing.
const ZEROS: [u8; PAGE] = [0; PAGE];

/// Bytes over those of another file, which do not change.
#[derive(Clone, Debug)]
pub struct Image<'a> {
    base: &'a [u8],
    /// Whose bytes these are, to give memory back.
    file: Option<&'a MappedElf>,
    pages: BTreeMap<usize, Box<[u8; PAGE]>>,
    /// Without what is repeated.
    len: usize,
    /// What of `base` stands once more at the end.
    repeated: Range<usize>,
}

impl<'a> Image<'a> {
    /// The bytes of a file as they are.
    pub fn of_file(file: &'a MappedElf) -> Self {
        let mut image = Self::of(file.bytes());
        image.file = Some(file);
        image
    }

    /// These bytes.
    pub fn of(base: &'a [u8]) -> Self {
        Self {
            base,
            file: None,
            pages: BTreeMap::new(),
            len: base.len(),
            repeated: 0..0,
        }
    }

    /// Those of `file` where they are the same as `bytes`, which may be longer.
    pub(super) fn over(file: &'a MappedElf, bytes: &[u8]) -> Self {
        let mut image = Self::of_file(file);
        image.resize(bytes.len());
        for (index, page) in bytes.chunks(PAGE).enumerate() {
            if file
                .bytes()
                .get(index * PAGE..)
                .and_then(|b| b.get(..page.len()))
                != Some(page)
            {
                image.write(index * PAGE, page);
            }
        }
        image
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.len + self.repeated.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes it that long, with zeros at the end.
    pub(super) fn resize(&mut self, len: usize) {
        if len < self.len {
            self.base = self.base.get(..len).unwrap_or(self.base);
            let _ = self.pages.split_off(&len.div_ceil(PAGE));
            if let Some(page) = self.pages.get_mut(&(len / PAGE)) {
                page.iter_mut().skip(len % PAGE).for_each(|byte| *byte = 0);
            }
        }
        self.len = len;
    }

    /// Adds `bytes` at the end.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        let at = self.len;
        self.len += bytes.len();
        self.write(at, bytes);
    }

    /// Has what is at `range` of the other file once more at the end, behind everything
    /// that is ever added.
    pub(super) fn repeat(&mut self, range: Range<usize>) {
        self.repeated = range;
    }

    /// Writes `bytes` at `at`; what lies outside is dropped, which the bounds that were
    /// checked before exclude.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) {
        let bytes = match self.len.checked_sub(at) {
            Some(room) => bytes.get(..room).unwrap_or(bytes),
            None => return,
        };
        let (mut at, mut rest) = (at, bytes);
        while !rest.is_empty() {
            let (index, within) = (at / PAGE, at % PAGE);
            let (piece, after) = rest.split_at(rest.len().min(PAGE - within));
            let page = match self.pages.entry(index) {
                std::collections::btree_map::Entry::Occupied(page) => page.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    let mut page = Box::new(ZEROS);
                    let old = self.base.get(index * PAGE..).unwrap_or_default();
                    page.iter_mut().zip(old).for_each(|(to, from)| *to = *from);
                    free.insert(page)
                }
            };
            let slot = page.iter_mut().skip(within);
            slot.zip(piece).for_each(|(to, from)| *to = *from);
            at += piece.len();
            rest = after;
        }
    }

    /// Writes the 64 bits `value` at `at`.
    pub(super) fn put(&mut self, at: usize, value: u64) {
        self.write(at, &value.to_le_bytes());
    }

    /// Fills `out` with what is at `at`; `None` if that lies outside.
    pub(super) fn read(&self, at: usize, out: &mut [u8]) -> Option<()> {
        if at.checked_add(out.len())? > self.len() {
            return None;
        }
        let (own, again) = out.split_at_mut(out.len().min(self.len.saturating_sub(at)));
        let mut at = at;
        let mut rest = &mut *own;
        while !rest.is_empty() {
            let (index, within) = (at / PAGE, at % PAGE);
            let (from, len) = match self.pages.get(&index) {
                Some(page) => (page.get(within..), PAGE - within),
                None => {
                    let next = self.pages.range(index..).next();
                    let end = next.map_or(usize::MAX, |(next, _)| next * PAGE);
                    (self.base.get(at..), end - at)
                }
            };
            let (piece, after) = rest.split_at_mut(rest.len().min(len));
            // Behind the other file are zeros.
            let from = from.unwrap_or_default();
            let (copied, zeros) = piece.split_at_mut(piece.len().min(from.len()));
            copied.copy_from_slice(from.get(..copied.len())?);
            zeros.fill(0);
            at += piece.len();
            rest = after;
        }
        if !again.is_empty() {
            let from = self.repeated.start + (at - self.len);
            let from = self.base.get(from..from.checked_add(again.len())?)?;
            again.copy_from_slice(from);
        }
        Some(())
    }

    /// The bytes at `range`; `None` if that lies outside.
    pub(super) fn bytes(&self, range: Range<usize>) -> Option<Vec<u8>> {
        let len = range.end.checked_sub(range.start)?;
        if range.end > self.len() {
            return None;
        }
        let mut out = vec![0; len];
        self.read(range.start, &mut out)?;
        Some(out)
    }

    /// All bytes, in memory.
    pub fn to_vec(&self) -> Vec<u8> {
        self.bytes(0..self.len()).unwrap_or_default()
    }

    /// The 16 bits at `at`.
    pub(super) fn half(&self, at: usize) -> Option<u16> {
        let mut bytes = [0; 2];
        self.read(at, &mut bytes)?;
        Some(u16::from_le_bytes(bytes))
    }

    /// Hands all bytes over, in pieces.
    fn pieces(&self, mut to: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        let mut buffer = vec![0; PIECE.min(self.len())];
        let mut at = 0;
        while at < self.len() {
            let len = buffer.len().min(self.len() - at);
            let piece = buffer.get_mut(..len).unwrap_or_default();
            let read = self.read(at, piece);
            read.ok_or(io::ErrorKind::UnexpectedEof)?;
            self.release(at..at + len);
            to(piece)?;
            at += len;
        }
        Ok(())
    }

    fn release(&self, range: Range<usize>) {
        if let Some(file) = self.file {
            file.release(range);
        }
    }

    /// The SHA-256 of all bytes.
    pub(super) fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        // Nothing fails here.
        let _ = self.pieces(|piece| {
            hash.update(piece);
            Ok(())
        });
        hash.finalize().into()
    }

    /// Writes all bytes to an empty `file`. Pages of zeros, of which there may be many
    /// in front of a segment that had to be far away, are left out.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write_to(&self, file: &mut (impl Write + Seek)) -> io::Result<()> {
        let mut left = self.len();
        self.pieces(|piece| {
            left -= piece.len();
            // The last byte is always written: it gives the file its length.
            sparse(file, piece, left == 0)
        })
    }

    /// The pages that may differ from those of `other`, which is over the same file.
    pub(super) fn may_differ(&self, other: &Self) -> BTreeSet<usize> {
        let own = self.pages.keys().chain(other.pages.keys()).copied();
        let base = self.base.len().min(other.base.len()) / PAGE;
        let end = self.len().max(other.len()).div_ceil(PAGE);
        own.chain(base..end).collect()
    }
}

/// Writes `bytes`, a multiple of pages unless they are the last, from where `file` is,
/// and leaves out those that are zero.
fn sparse(file: &mut (impl Write + Seek), bytes: &[u8], is_last: bool) -> io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        let zeros = leading(rest, true);
        let skipped = if is_last {
            zeros.min(rest.len() - 1)
        } else {
            zeros
        };
        file.seek(SeekFrom::Current(skipped as i64))?;
        rest = rest.get(skipped..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let (run, after) = rest.split_at(leading(rest, false).max(1));
        file.write_all(run)?;
        rest = after;
    }
    Ok(())
}

/// Bytes of the pages at the front that are all zero, or that are not.
fn leading(bytes: &[u8], zero: bool) -> usize {
    let is_zero = |page: &[u8]| Some(page) == ZEROS.get(..page.len());
    let pages = bytes.chunks(PAGE);
    pages
        .take_while(|page| is_zero(page) == zero)
        .map(<[u8]>::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_image_is_what_was_written(
            base in proptest::collection::vec(any::<u8>(), 1..20_000),
            writes in proptest::collection::vec(
                (any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..9_000)), 0..6),
            more in 0usize..9_000,
            less in 0usize..3,
        ) {
            let mut image = Image::of(&base);
            let mut bytes = base.clone();
            if less == 0 {
                bytes.truncate(base.len() / 2);
                image.resize(base.len() / 2);
            }
            bytes.resize(bytes.len() + more, 0);
            image.resize(bytes.len());
            for (at, new) in &writes {
                if bytes.is_empty() { break; }
                let at = at.index(bytes.len());
                image.write(at, new);
                for (to, from) in bytes[at..].iter_mut().zip(new) { *to = *from; }
            }
            image.extend(b"end");
            bytes.extend(b"end");
            let again = bytes.len().min(base.len()) / 3;
            let from = if less == 0 { base.len() / 2 } else { base.len() };
            let again = from / 3..(from / 3 + again).min(from);
            image.repeat(again.clone());
            bytes.extend_from_slice(&base[again]);
            prop_assert_eq!(&image.to_vec(), &bytes);
            let digest: [u8; 32] = Sha256::digest(&bytes).into();
            prop_assert_eq!(image.digest(), digest);
            let mut file = io::Cursor::new(Vec::new());
            image.write_to(&mut file).unwrap();
            prop_assert_eq!(file.into_inner(), bytes);
        }
    }
}
