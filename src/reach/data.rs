//! Atoms of data, filled: constants, texts, tables of jumps, variables.

use super::atoms::{Builder, Link};
use super::decode::Manner;
use super::graph::Kind;
use super::image::{Image, Region};
use super::pieces::Piece;

/// Longest text, in bytes; what is longer is data.
const MAX_TEXT: usize = 64 << 10;

impl Builder<'_> {
    /// Fills what was referred to, until nothing new is.
    pub(super) fn fill_pending(&mut self) {
        while let Some(id) = self.pending.pop() {
            let Some(draft) = self.atoms.get(id as usize) else {
                continue;
            };
            let (kind, start, end) = (draft.kind, draft.start, draft.end);
            match kind {
                Kind::Constant => self.fill_constant(id, start, end),
                Kind::Data => self.fill_data(id, start, end),
                Kind::Tls => self.fill_tls(id),
                Kind::Lsda => self.fill_lsda(id, start),
                _ => {}
            }
        }
    }

    fn fill_constant(&mut self, id: u32, start: u64, end: u64) {
        let image = self.image;
        let Some(section) = image.at(start) else {
            return;
        };
        let named = self.symbols.object_at(start).is_some();
        let rest = image.bytes(start, section.end - start).unwrap_or_default();
        let len = usize::try_from(end.saturating_sub(start)).unwrap_or(usize::MAX);
        let own = rest.get(..len.min(rest.len())).unwrap_or(rest);
        if !named && let Some(text) = self.text(start, rest, own.len()) {
            if let Some(draft) = self.draft(id) {
                draft.kind = Kind::Text;
                draft.end = start + text.len() as u64;
            }
            self.seal(id, &[text], Some(&[]), &[]);
            return;
        }
        let mut bytes = own.to_vec();
        let mut links = self.jumps(start, &mut bytes);
        if links.is_empty() {
            links = self.distances(start, &mut bytes);
        }
        // Zeros behind an object without a name are padding as often as not.
        let kept = match named {
            true => bytes.len(),
            false => bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1),
        };
        let kept = kept.max(links.len() * 4).min(bytes.len());
        let is_text = is_text(own.strip_suffix(&[0]).unwrap_or(own));
        let kept = bytes.get(..kept).unwrap_or(&bytes);
        self.seal(id, &[kept], is_text.then_some(&[][..]), &links);
    }

    /// A string of characters and its NUL, if that is all that the address can mean.
    ///
    /// What follows up to where the next thing begins belongs to it, unless it is zeros
    /// or read by itself: a string may have a NUL inside.
    fn text<'b>(&self, start: u64, rest: &'b [u8], own: usize) -> Option<&'b [u8]> {
        let nul = rest.iter().take(MAX_TEXT).position(|&b| b == 0)?;
        let text = rest.get(..=nul)?;
        if !is_text(rest.get(..nul)?) {
            return None;
        }
        let behind = rest.get(text.len()..own).unwrap_or_default();
        let orphan = behind
            .iter()
            .enumerate()
            .any(|(at, &byte)| byte != 0 && !self.is_read(start + (text.len() + at) as u64));
        (!orphan).then_some(text)
    }

    /// Whether an instruction reads this byte by its address.
    fn is_read(&self, address: u64) -> bool {
        let upto = self.reads.partition_point(|read| read.0 <= address);
        let near = self.reads.get(upto.saturating_sub(8)..upto);
        let near = near.unwrap_or_default().iter();
        near.copied().any(|(at, len)| address < at + u64::from(len))
    }

    /// The entries of a table of jumps, if one begins there: 32-bit distances from its
    /// beginning to instructions. They are zeroed in `bytes`.
    fn jumps(&mut self, start: u64, bytes: &mut [u8]) -> Vec<Link> {
        let mut links = Vec::new();
        if !start.is_multiple_of(4) {
            return links;
        }
        for entry in bytes.chunks_exact_mut(4) {
            let Some(word) = entry.first_chunk::<4>() else {
                break;
            };
            let distance = i64::from(i32::from_le_bytes(*word));
            let to = start.wrapping_add(distance as u64);
            let image = self.image;
            let in_code = image.at(to).is_some_and(|s| s.region == Region::Code);
            if !in_code || !self.starts.has(image, to) {
                break;
            }
            let (atom, offset) = self.address(to);
            links.push(Link {
                to: atom,
                offset,
                manner: Manner::Jump,
            });
            entry.fill(0);
        }
        links
    }

    /// The entries of a table of texts, if one begins there: 32-bit distances from its
    /// beginning (LLVM's relative lookup tables). They are zeroed in `bytes`.
    fn distances(&mut self, start: u64, bytes: &mut [u8]) -> Vec<Link> {
        let image = self.image;
        let own = start..start.saturating_add(bytes.len() as u64);
        let target = |word: [u8; 4]| {
            let to = start.wrapping_add(i64::from(i32::from_le_bytes(word)) as u64);
            let section = image.at(to).filter(|s| s.region == Region::Constant)?;
            let begins = to == section.start || image.bytes(to.checked_sub(1)?, 1) == Some(&[0]);
            let len = (section.end - to).min(MAX_TEXT as u64);
            let rest = image.bytes(to, len)?;
            let nul = rest.iter().position(|&b| b == 0)?;
            (begins && !own.contains(&to) && is_text(rest.get(..nul)?)).then_some(to)
        };
        let words = bytes
            .chunks_exact(4)
            .map_while(|w| target(*w.first_chunk()?));
        let targets: Vec<u64> = words.collect();
        if targets.len() < 2 || !start.is_multiple_of(4) {
            return Vec::new();
        }
        bytes
            .get_mut(..targets.len() * 4)
            .unwrap_or_default()
            .fill(0);
        let link = |to: u64| {
            let (to, offset) = self.address(to);
            let manner = Manner::Address;
            Link { to, offset, manner }
        };
        targets.into_iter().map(link).collect()
    }

    /// Bytes of data between functions.
    pub(super) fn fill_data_in_code(&mut self, piece: &Piece) {
        let Some(id) = self.code_at(piece.start) else {
            return;
        };
        let bytes = self.image.bytes(piece.start, piece.end - piece.start);
        let mut bytes = bytes.unwrap_or_default().to_vec();
        let links = self.jumps(piece.start, &mut bytes);
        self.seal(id, &[&bytes], None, &links);
    }

    fn fill_data(&mut self, id: u32, start: u64, end: u64) {
        let named = self.symbols.object_at(start).is_some();
        let (mut bytes, links) = self.words(start, end);
        if !named {
            // Where it ends is not known, so its zeros are not either.
            let used = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
            bytes.truncate(used);
        }
        let size = if named { end - start } else { 0 };
        let places = places(&links);
        let links: Vec<Link> = links.into_iter().map(|(_, link)| link).collect();
        self.seal(id, &[&bytes, &places, &size.to_le_bytes()], None, &links);
    }

    /// The bytes from `start` to `end`, zeros where ld.so writes, and what it writes
    /// there; nothing of what the file does not have.
    fn words(&mut self, start: u64, end: u64) -> (Vec<u8>, Vec<(u64, Link)>) {
        let image = self.image;
        let len = end.saturating_sub(start);
        let Some(bytes) = image.bytes(start, len) else {
            return (Vec::new(), Vec::new());
        };
        let mut bytes = bytes.to_vec();
        let mut links = Vec::new();
        for at in slots(image, start, end) {
            let Some(&entry) = image.relocations.get(&at) else {
                continue;
            };
            let first = (at - start) as usize;
            let last = first.saturating_add(8).min(bytes.len());
            bytes.get_mut(first..last).unwrap_or_default().fill(0);
            let (to, offset) = self.relocated(entry);
            let manner = Manner::Pointer;
            links.push((at - start, Link { to, offset, manner }));
        }
        (bytes, links)
    }

    fn fill_tls(&mut self, id: u32) {
        let image = self.image;
        let mut content = image.zero_tls.to_le_bytes().to_vec();
        let mut links = Vec::new();
        for section in image.sections.iter().filter(|s| s.region == Region::Tls) {
            let (bytes, more) = self.words(section.start, section.end);
            content.extend((section.end - section.start).to_le_bytes());
            content.extend(bytes);
            content.extend(places(&more));
            links.extend(more.into_iter().map(|(_, link)| link));
        }
        self.call(id, "its thread-local variables");
        self.seal(id, &[&content], None, &links);
    }
}

fn places(links: &[(u64, Link)]) -> Vec<u8> {
    let places = links.iter().flat_map(|(at, _)| at.to_le_bytes());
    places.collect()
}

/// Where ld.so writes from `start` to `end`.
fn slots(image: &Image<'_>, start: u64, end: u64) -> Vec<u64> {
    let many = end.saturating_sub(start) > image.relocations.len() as u64;
    let mut slots: Vec<u64> = if many {
        let all = image.relocations.keys().copied();
        all.filter(|at| start <= *at && *at < end).collect()
    } else {
        (start..end)
            .filter(|at| image.relocations.contains_key(at))
            .collect()
    };
    slots.sort_unstable();
    slots
}

fn is_text(bytes: &[u8]) -> bool {
    let printable =
        |&b: &u8| (0x20..0x7f).contains(&b) || (7..=13).contains(&b) || b == 27 || b >= 0x80;
    !bytes.is_empty() && std::str::from_utf8(bytes).is_ok() && bytes.iter().all(printable)
}
