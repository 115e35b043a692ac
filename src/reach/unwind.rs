//! What exceptions do on their way through a function: its frame, its personality
//! function, its exception table (GCC's `.gcc_except_table`).

use std::collections::BTreeSet;

use super::atoms::{Builder, Link};
use super::cursor::{Cursor, INDIRECT, OMIT, pointer_len};
use super::decode::Manner;
use super::pieces::Piece;

/// Most actions, and types, of one table.
const MAX_CHAIN: usize = 10_000;
/// Longest table of one function, in bytes.
const MAX_TABLE: usize = 4 << 20;

/// What an exception table consists of.
struct Parsed {
    content: Vec<u8>,
    /// Addresses; those behind a pointer are marked.
    targets: Vec<(u64, bool)>,
    len: usize,
}

impl Builder<'_> {
    /// The unwinding of a piece as content, and what it refers to.
    pub(super) fn unwind(&mut self, piece: &Piece, links: &mut Vec<Link>) -> Vec<u8> {
        let mut content = Vec::new();
        for &index in &piece.frames {
            let Some(&frame) = self.frames.get(index) else {
                continue;
            };
            content.extend(frame.unwinding.to_le_bytes());
            content.extend((frame.start - piece.start).to_le_bytes());
            if let Some(lsda) = frame.lsda {
                self.unwind_link(lsda, false, links);
                if let Some(personality) = frame.personality {
                    self.unwind_link(personality, true, links);
                }
            }
        }
        content
    }

    /// A reference to an address, or to what the pointer there holds.
    fn unwind_link(&mut self, address: u64, indirect: bool, links: &mut Vec<Link>) {
        let entry = self.image.relocations.get(&address).copied();
        let (to, offset) = match entry.filter(|_| indirect) {
            Some(entry) => self.relocated(entry),
            None => self.address(address),
        };
        links.push(Link {
            to,
            offset,
            manner: Manner::Unwind,
        });
    }

    pub(super) fn fill_lsda(&mut self, id: u32, start: u64) {
        let image = self.image;
        let end = image.at(start).map_or(start, |section| section.end);
        let bytes = image.bytes(start, end - start).unwrap_or_default();
        self.call(id, "its exception table");
        let Some(parsed) = parse(bytes, start) else {
            let to = self.unsure("an exception table of an unknown form");
            let manner = Manner::Unwind;
            let link = Link {
                to,
                offset: 0,
                manner,
            };
            self.seal(id, &[], None, &[link]);
            return;
        };
        let mut links = Vec::new();
        for (address, indirect) in parsed.targets {
            self.unwind_link(address, indirect, &mut links);
        }
        if let Some(draft) = self.draft(id) {
            draft.end = start + parsed.len as u64;
        }
        self.seal(id, &[&parsed.content], None, &links);
    }
}

fn parse(bytes: &[u8], start: u64) -> Option<Parsed> {
    let mut parsed = Parsed {
        content: Vec::new(),
        targets: Vec::new(),
        len: 0,
    };
    let mut cursor = Cursor::new(bytes, start);
    let pads = cursor.byte()?;
    if pads != OMIT
        && let Some(base) = cursor.pointer(pads)?
    {
        parsed.targets.push((base, false));
    }
    let types = cursor.byte()?;
    let mut type_base = 0;
    if types != OMIT {
        let distance = usize::try_from(cursor.unsigned()?).ok()?;
        type_base = cursor.at().checked_add(distance)?;
    }
    let calls = cursor.byte()?;
    let len = usize::try_from(cursor.unsigned()?).ok()?;
    let first = cursor.at();
    let last = first.checked_add(len)?;
    let mut actions = Vec::new();
    while cursor.at() < last {
        for _ in 0..3 {
            cursor.length(calls)?;
        }
        actions.push(cursor.unsigned()?);
    }
    if last > MAX_TABLE {
        return None;
    }
    let (mut end, mut highest, mut steps) = (last, 0_i64, 0);
    // Where lists of the types begin that a function may throw.
    let mut lists = BTreeSet::new();
    for action in actions.into_iter().filter(|&action| action != 0) {
        let mut at = last.checked_add(usize::try_from(action - 1).ok()?)?;
        loop {
            steps += 1;
            if steps > MAX_CHAIN {
                return None;
            }
            let mut cursor = cursor.go(at);
            let filter = cursor.signed()?;
            let from = cursor.at();
            let next = cursor.signed()?;
            highest = highest.max(filter);
            if filter < 0 {
                let list = usize::try_from(filter.checked_add(1)?.checked_neg()?).ok()?;
                lists.insert(type_base.checked_add(list)?);
            }
            end = end.max(cursor.at());
            if next == 0 {
                break;
            }
            at = usize::try_from(i64::try_from(from).ok()?.checked_add(next)?).ok()?;
        }
    }
    parsed.content.extend([pads, types, calls]);
    parsed.content.extend(bytes.get(first..end)?);
    if types != OMIT {
        for list in lists {
            let mut cursor = cursor.go(list);
            loop {
                steps += 1;
                let index = cursor.unsigned()?;
                if index == 0 || steps > MAX_CHAIN {
                    break;
                }
                highest = highest.max(i64::try_from(index).ok()?);
            }
            parsed.content.extend(bytes.get(list..cursor.at())?);
            end = end.max(cursor.at());
        }
        let width = pointer_len(types)?;
        let highest = usize::try_from(highest).ok()?;
        if highest > MAX_CHAIN || steps > MAX_CHAIN {
            return None;
        }
        for index in 1..=highest {
            let at = type_base.checked_sub(index.checked_mul(width)?)?;
            match cursor.go(at).pointer(types & !INDIRECT)? {
                Some(to) => parsed.targets.push((to, types & INDIRECT != 0)),
                None => parsed.content.push(0xee),
            }
        }
        end = end.max(type_base);
    }
    parsed.len = end.min(bytes.len());
    Some(parsed)
}
