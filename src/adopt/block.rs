//! What moves to another place of the file, and what is new, in one piece.

use std::ops::Range;

use object::elf;

use super::error::{AdoptError, OUTSIDE};
use super::image::Image;
use super::layout::{ALIGN, Move, NewSection};
use super::sections::SectionTable;
use crate::elf::{ElfFile, Segment};

pub(super) fn pad(bytes: &mut Vec<u8>, align: u64) {
    bytes.resize(bytes.len().next_multiple_of(align as usize), 0);
}

/// The PT_NOTE that the new note joins. Not the one that is PT_GNU_PROPERTY's:
/// ld.so wants its one note alone.
pub(super) fn host<'a>(file: &'a ElfFile<'_>) -> Option<&'a Segment> {
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

/// The interpreter where it stays in front of all sections.
#[derive(Debug)]
struct Front {
    /// Absolute, once it has a place.
    moved: Move,
    path: Vec<u8>,
    /// File offset up to which the room was freed.
    room_end: u64,
}

/// What moves, and what is new, in one piece.
#[derive(Debug, Default)]
pub(super) struct Block {
    bytes: Vec<u8>,
    front: Option<Front>,
    /// Offset and address are relative to the block until it has a place.
    pub(super) moves: Vec<Move>,
    /// Position and length of a note without any to join.
    pub(super) lone_note: Option<(u64, u64)>,
}

impl Block {
    pub(super) fn len(&self) -> u64 {
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

    pub(super) fn interpreter(&mut self, old: &Segment, path: &[u8]) {
        self.add(old, &[path, b"\0"]);
    }

    /// The interpreter stays outside of the block; [`Block::settle`] says where.
    pub(super) fn interpreter_in_front(&mut self, old: &Segment, path: &[u8]) {
        let path = [path, b"\0"].concat();
        let moved = Move {
            old_offset: old.offset,
            old_len: old.filesz,
            offset: old.offset,
            vaddr: old.vaddr,
            len: path.len() as u64,
        };
        self.front = Some(Front {
            moved,
            path,
            room_end: old.offset,
        });
    }

    /// Puts the interpreter at the begin of `room`, a range of file offsets, whose
    /// first byte has the address `vaddr`; `false` if it does not fit.
    pub(super) fn settle(&mut self, room: Range<u64>, vaddr: u64) -> bool {
        let Some(front) = &mut self.front else {
            return false;
        };
        (front.moved.offset, front.moved.vaddr) = (room.start, vaddr);
        front.room_end = room.end;
        room.start
            .checked_add(front.moved.len)
            .is_some_and(|end| end <= room.end)
    }

    /// What is free once the block has another place: offset, length.
    pub(super) fn freed(&self) -> Vec<(u64, u64)> {
        let front = self.front.iter().map(|front| &front.moved);
        let all = self.moves.iter().chain(front);
        all.map(|m| (m.old_offset, m.old_len)).collect()
    }

    pub(super) fn note(
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
    pub(super) fn keep(&mut self, file: &ElfFile<'_>, segment: &Segment) -> Result<(), AdoptError> {
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
    pub(super) fn follow(&self, segments: &[Segment], offset: u64, vaddr: u64) -> Vec<Segment> {
        let follow = |segment: &Segment| {
            let mut new = *segment;
            if segment.kind == elf::PT_INTERP
                && let Some(Front { moved, .. }) = &self.front
            {
                (new.offset, new.vaddr) = (moved.offset, moved.vaddr);
                (new.filesz, new.memsz) = (moved.len, moved.len);
                return new;
            }
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

    /// Writes the block and what refers to sections in it; those of `new`
    /// get headers.
    pub(super) fn write(
        &self,
        out: &mut Image<'_>,
        sections: Option<&SectionTable>,
        offset: u64,
        vaddr: u64,
        new: &[NewSection],
    ) {
        if let Ok(at) = usize::try_from(offset) {
            out.write(at, &self.bytes);
        }
        let placed = |m: &Move| Move {
            offset: m.offset + offset,
            vaddr: m.vaddr + vaddr,
            ..*m
        };
        let mut moves: Vec<Move> = self.moves.iter().map(placed).collect();
        if let Some(front) = &self.front {
            let room = front.room_end.saturating_sub(front.moved.offset);
            if let Ok(at) = usize::try_from(front.moved.offset)
                && let Ok(room) = usize::try_from(room.min(out.len() as u64))
            {
                let mut path = front.path.clone();
                path.resize(room, 0);
                out.write(at, &path);
            }
            moves.push(front.moved);
        }
        if let Some(sections) = sections {
            sections.write(out, &moves, new);
        }
    }
}
