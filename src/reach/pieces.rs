//! The pieces that code consists of.
//!
//! A frame of `.eh_frame` is one. What lies between frames is split where a symbol
//! begins and where something jumps to or takes the address of, and told apart into
//! code and data, which hand-written assembly mixes. Data that lies together stays
//! together, since nothing tells where a table in code ends.

use std::collections::{BTreeSet, HashMap, HashSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use object::elf;

use super::decode::{Decoded, Manner, Reference, decode, is_near_branch};
use super::flaw::Flaw;
use super::frames::Frame;
use super::image::{Image, Region};
use super::symbols::Symbols;

/// How often what was found between frames may lead to more of it.
const MAX_ROUNDS: usize = 12;

/// A piece of an executable section.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Bytes that are no instructions.
    pub(super) is_data: bool,
    /// Its frames, by index; several if they overlap.
    pub(super) frames: Vec<usize>,
    pub(super) code: Decoded,
}

/// Where instructions begin: a bit for each byte of a section.
#[derive(Debug, Default)]
pub(super) struct Starts(HashMap<usize, Vec<u64>>);

impl Starts {
    fn set(&mut self, image: &Image<'_>, address: u64) {
        let Some(index) = image.index_at(address) else {
            return;
        };
        let Some(section) = image.sections.get(index) else {
            return;
        };
        let size = section.end - section.start;
        let bits = self.0.entry(index);
        let bits = bits.or_insert_with(|| vec![0; (size / 64 + 1) as usize]);
        let at = (address - section.start) as usize;
        if let Some(word) = bits.get_mut(at / 64) {
            *word |= 1 << (at % 64);
        }
    }

    /// Whether an instruction begins at `address`.
    pub(super) fn has(&self, image: &Image<'_>, address: u64) -> bool {
        let find = || {
            let index = image.index_at(address)?;
            let at = (address - image.sections.get(index)?.start) as usize;
            let word = self.0.get(&index)?.get(at / 64)?;
            Some(word >> (at % 64) & 1 == 1)
        };
        find().unwrap_or(false)
    }
}

/// All pieces of a library, by address.
///
/// # Errors
/// When code between frames does not come to an end.
pub(super) fn find(
    image: &Image<'_>,
    frames: &[Frame],
    symbols: &Symbols,
) -> Result<(Vec<Piece>, Starts), Flaw> {
    let mut finder = Finder {
        image,
        symbols,
        starts: Starts::default(),
        entries: HashSet::new(),
        cuts: BTreeSet::new(),
    };
    let mut pieces = finder.framed(frames);
    let gaps = finder.gaps(&pieces);
    finder.seed(&gaps);
    let between = finder.between(&gaps, &pieces)?;
    pieces.extend(between);
    pieces.sort_by_key(|piece| piece.start);
    Ok((pieces, finder.starts))
}

struct Finder<'a, 'b> {
    image: &'a Image<'b>,
    symbols: &'a Symbols,
    starts: Starts,
    /// Places that are jumped to or are functions.
    entries: HashSet<u64>,
    cuts: BTreeSet<u64>,
}

type Gap = (u64, u64);

fn gap_at(gaps: &[Gap], address: u64) -> bool {
    let index = gaps.partition_point(|g| g.0 <= address);
    let gap = index.checked_sub(1).and_then(|index| gaps.get(index));
    gap.is_some_and(|gap| address < gap.1)
}

impl Finder<'_, '_> {
    fn piece(&mut self, start: u64, end: u64, frames: Vec<usize>) -> Option<Piece> {
        let image = self.image;
        let bytes = image.bytes(start, end.checked_sub(start)?)?;
        let starts = &mut self.starts;
        let code = decode(bytes, start, |at| starts.set(image, at));
        Some(Piece {
            start,
            end,
            is_data: false,
            frames,
            code,
        })
    }

    /// One piece a frame.
    fn framed(&mut self, frames: &[Frame]) -> Vec<Piece> {
        let mut sorted: Vec<(u64, u64, usize)> = Vec::with_capacity(frames.len());
        for (index, frame) in frames.iter().enumerate() {
            let fits = self
                .image
                .at(frame.start)
                .is_some_and(|section| section.region == Region::Code && frame.end <= section.end);
            if fits && frame.end > frame.start {
                sorted.push((frame.start, frame.end, index));
            }
        }
        sorted.sort_unstable();
        let mut joined: Vec<(u64, u64, Vec<usize>)> = Vec::with_capacity(sorted.len());
        for (start, end, index) in sorted {
            match joined.last_mut() {
                Some(last) if start < last.1 => {
                    last.1 = last.1.max(end);
                    last.2.push(index);
                }
                _ => joined.push((start, end, vec![index])),
            }
        }
        let pieces = joined.into_iter();
        pieces
            .filter_map(|(start, end, frames)| self.piece(start, end, frames))
            .collect()
    }

    /// What is between the pieces.
    fn gaps(&self, pieces: &[Piece]) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut pieces = pieces.iter().peekable();
        let code = self.image.sections.iter();
        for section in code.filter(|s| s.region == Region::Code) {
            let mut at = section.start;
            while let Some(piece) = pieces.peek() {
                if piece.start >= section.end {
                    break;
                }
                if piece.start > at {
                    gaps.push((at, piece.start));
                }
                at = at.max(piece.end);
                pieces.next();
            }
            if section.end > at {
                gaps.push((at, section.end));
            }
        }
        gaps
    }

    /// What is known to begin between the frames.
    fn seed(&mut self, gaps: &[Gap]) {
        let symbols = self.symbols;
        for &(start, size) in &symbols.functions {
            if gap_at(gaps, start) {
                self.cuts.insert(start);
                self.entries.insert(start);
            }
            let end = start.saturating_add(size);
            if size > 0 && gap_at(gaps, end) {
                self.cuts.insert(end);
            }
        }
        let objects = symbols.objects.iter().flat_map(|o| [o.0, o.1]);
        for place in symbols.labels.iter().copied().chain(objects) {
            if gap_at(gaps, place) {
                self.cuts.insert(place);
            }
        }
        for name in [&b".init"[..], b".fini"] {
            if let Some(section) = self.image.section(name) {
                self.cuts.insert(section.start);
                self.entries.insert(section.start);
            }
        }
        for entry in self.image.relocations.values() {
            let to = entry.addend as u64;
            let resolver = entry.kind == elf::R_X86_64_IRELATIVE;
            if (resolver || entry.kind == elf::R_X86_64_RELATIVE) && gap_at(gaps, to) {
                self.cuts.insert(to);
                if resolver {
                    self.entries.insert(to);
                }
            }
        }
    }

    /// Pieces of the gaps, until no new place between frames is referred to.
    fn between(&mut self, gaps: &[Gap], framed: &[Piece]) -> Result<Vec<Piece>, Flaw> {
        self.learn(gaps, framed);
        for _ in 0..MAX_ROUNDS {
            let mut pieces = Vec::new();
            for &gap in gaps {
                self.cut(gap, &mut pieces);
            }
            if !self.learn(gaps, &pieces) {
                return Ok(pieces);
            }
        }
        Err(Flaw::Malformed("its code cannot be told from its data"))
    }

    /// Whether `pieces` refer to a place between frames that was not known.
    fn learn(&mut self, gaps: &[Gap], pieces: &[Piece]) -> bool {
        let mut new = false;
        let references = pieces.iter().flat_map(|piece| &piece.code.references);
        let between: Vec<Reference> = references.filter(|r| gap_at(gaps, r.to)).copied().collect();
        for reference in between {
            new |= self.cuts.insert(reference.to);
            if reference.manner == Manner::Branch {
                new |= self.entries.insert(reference.to);
            }
        }
        new
    }

    fn cut(&mut self, (start, end): Gap, pieces: &mut Vec<Piece>) {
        let inner = self.cuts.range(start.saturating_add(1)..end).copied();
        let mut places: Vec<u64> = std::iter::once(start).chain(inner).collect();
        places.push(end);
        let mut data: Option<Piece> = None;
        let mut at = 0;
        while let Some(&[mut from, mut to]) = places.get(at..at + 2) {
            at += 1;
            if !self.cuts.contains(&from) {
                from += padding(self.image, from, to);
                if from >= to {
                    continue;
                }
            }
            let named = |address| self.symbols.object_at(address).is_some();
            let mut form = match named(from) {
                true => Form::Data,
                false => form(self.image, from, to),
            };
            let (first, mut last) = (to, at);
            // What falls into the next is one with it.
            while form == Form::Falls
                && let Some(&next) = places.get(last + 1)
            {
                form = match named(to) {
                    true => Form::Data,
                    false => self::form(self.image, to, next),
                };
                to = next;
                last += 1;
            }
            if form == Form::Ends {
                at = last;
            } else {
                to = first;
            }
            if form == Form::Ends || self.entries.contains(&from) {
                pieces.extend(data.take());
                let until = code_end(self.image, from, to);
                pieces.extend(self.piece(from, until, Vec::new()));
                continue;
            }
            match &mut data {
                Some(before) => before.end = to,
                None => {
                    data = Some(Piece {
                        start: from,
                        end: to,
                        is_data: true,
                        frames: Vec::new(),
                        code: Decoded::default(),
                    });
                }
            }
        }
        pieces.extend(data);
    }
}

/// Bytes of padding at `from`: zeros, NOP and INT3.
fn padding(image: &Image<'_>, from: u64, to: u64) -> u64 {
    let Some(bytes) = image.bytes(from, to - from) else {
        return 0;
    };
    let mut decoder = Decoder::with_ip(64, bytes, from, DecoderOptions::NONE);
    let mut next = Instruction::default();
    let mut at = 0_usize;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        if matches!(rest, [0] | [0, 0, ..]) {
            at += 1;
            continue;
        }
        if decoder.set_position(at).is_err() {
            break;
        }
        decoder.set_ip(from + at as u64);
        decoder.decode_out(&mut next);
        if next.is_invalid() || !matches!(next.mnemonic(), Mnemonic::Nop | Mnemonic::Int3) {
            break;
        }
        at += next.len();
    }
    at as u64
}

/// What bytes between frames look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Not all of it is instructions that refer to what is there.
    Data,
    /// It is, and the last goes on to what is behind.
    Falls,
    /// It is, and the last does not.
    Ends,
}

fn form(image: &Image<'_>, from: u64, to: u64) -> Form {
    let Some(bytes) = image.bytes(from, to - from) else {
        return Form::Data;
    };
    let mut decoder = Decoder::with_ip(64, bytes, from, DecoderOptions::NONE);
    let mut next = Instruction::default();
    let mut ends = false;
    while decoder.can_decode() {
        decoder.decode_out(&mut next);
        if next.is_invalid() {
            return Form::Data;
        }
        let strays = next.is_ip_rel_memory_operand()
            && image.index_at(next.ip_rel_memory_address()).is_none();
        let jumps_out = is_near_branch(&next)
            && !image
                .at(next.near_branch_target())
                .is_some_and(|s| matches!(s.region, Region::Code | Region::Plt));
        if strays || jumps_out {
            return Form::Data;
        }
        if !matches!(next.mnemonic(), Mnemonic::Nop | Mnemonic::Int3) {
            ends = matches!(
                next.flow_control(),
                FlowControl::Return
                    | FlowControl::UnconditionalBranch
                    | FlowControl::IndirectBranch
                    | FlowControl::Exception
            );
        }
    }
    match ends {
        true => Form::Ends,
        false => Form::Falls,
    }
}

/// Where the code ends and padding begins.
fn code_end(image: &Image<'_>, from: u64, to: u64) -> u64 {
    let Some(bytes) = image.bytes(from, to - from) else {
        return to;
    };
    let mut decoder = Decoder::with_ip(64, bytes, from, DecoderOptions::NONE);
    let mut next = Instruction::default();
    let mut end = from;
    let used = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
    while decoder.can_decode() && decoder.position() < used {
        decoder.decode_out(&mut next);
        if !matches!(next.mnemonic(), Mnemonic::Nop | Mnemonic::Int3) {
            end = next.next_ip();
        }
    }
    if end > from { end.min(to) } else { to }
}
