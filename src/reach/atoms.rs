//! From addresses to atoms: what an address in a library means.
//!
//! Atoms are made when something first refers to them, and filled later (`code`,
//! `data`, `unwind`), so that nothing recurses.

use std::collections::{HashMap, HashSet};

use object::elf;
use sha2::{Digest as _, Sha256};

use super::decode::Manner;
use super::flaw::Flaw;
use super::frames::Frame;
use super::graph::{Import, Kind, Lookup, NO_NAME, UNSURE};
use super::image::{Image, Region};
use super::pieces::{Piece, Starts};
use super::symbols::Symbols;
use crate::arch::Class;
use crate::arch::x86_64;
use crate::resolve::addresses::entries::Rela;

/// Most atoms of one library.
const MAX_ATOMS: usize = 32 << 20;

/// An atom that is being made.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) hash: [u8; 16],
    pub(super) loose: u64,
    pub(super) edges: Vec<u32>,
    pub(super) name: u32,
}

/// A reference to an atom.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) to: u32,
    pub(super) offset: i64,
    pub(super) manner: Manner,
}

/// What so many bytes at an address are.
pub(super) enum Access {
    /// A part of something that has an identity, or a word that ld.so writes.
    To(u32, i64),
    /// Bytes that are always the same.
    Bytes(Vec<u8>),
}

/// The atoms of one library while they are made.
pub(super) struct Builder<'a> {
    pub(super) image: &'a Image<'a>,
    pub(super) symbols: &'a Symbols,
    pub(super) frames: &'a [Frame],
    pub(super) pieces: Vec<Piece>,
    /// Start and end of the pieces.
    pub(super) spans: Vec<(u64, u64)>,
    pub(super) starts: Starts,
    /// From entries of the PLT to their slots of the GOT.
    pub(super) plt: HashMap<u64, u64>,
    /// Where data may end, by address.
    pub(super) bounds: Vec<u64>,
    /// Reads of constant bytes: address and length.
    pub(super) reads: Vec<(u64, u32)>,
    /// Functions that choose an implementation.
    pub(super) choosers: HashSet<u64>,
    /// What those refer to, and the sum of their bytes, if they only choose.
    pub(super) chosen: HashMap<u64, (Vec<Link>, [u8; 32])>,
    pub(super) atoms: Vec<Draft>,
    pub(super) names: Vec<Box<str>>,
    pub(super) imports: HashMap<u32, Import>,
    pub(super) lookups: HashMap<u32, Lookup>,
    /// Atoms that are made but not filled.
    pub(super) pending: Vec<u32>,
    /// Atoms by what they stand for: code, constants, data, exception tables.
    by_address: HashMap<(Kind, u64), u32>,
    by_symbol: HashMap<(u32, Class), u32>,
    by_name: HashMap<String, u32>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        image: &'a Image<'a>,
        symbols: &'a Symbols,
        frames: &'a [Frame],
        pieces: Vec<Piece>,
        starts: Starts,
    ) -> Self {
        let spans = pieces.iter().map(|p| (p.start, p.end)).collect();
        Self {
            image,
            symbols,
            frames,
            pieces,
            spans,
            starts,
            plt: HashMap::new(),
            bounds: Vec::new(),
            reads: Vec::new(),
            choosers: HashSet::new(),
            chosen: HashMap::new(),
            atoms: Vec::new(),
            names: Vec::new(),
            imports: HashMap::new(),
            lookups: HashMap::new(),
            pending: Vec::new(),
            by_address: HashMap::new(),
            by_symbol: HashMap::new(),
            by_name: HashMap::new(),
        }
    }

    /// # Errors
    /// When there are more atoms than are read.
    pub(super) fn check_size(&self) -> Result<(), Flaw> {
        if self.atoms.len() > MAX_ATOMS {
            return Err(Flaw::TooLarge);
        }
        Ok(())
    }

    /// A new atom without content.
    pub(super) fn make(&mut self, kind: Kind, start: u64, end: u64) -> u32 {
        let id = u32::try_from(self.atoms.len()).unwrap_or(u32::MAX);
        self.atoms.push(Draft {
            kind,
            flags: 0,
            start,
            end,
            hash: [0; 16],
            loose: 0,
            edges: Vec::new(),
            name: NO_NAME,
        });
        id
    }

    pub(super) fn draft(&mut self, id: u32) -> Option<&mut Draft> {
        self.atoms.get_mut(id as usize)
    }

    pub(super) fn call(&mut self, id: u32, name: &str) {
        let index = u32::try_from(self.names.len()).unwrap_or(NO_NAME);
        self.names.push(name.into());
        if let Some(draft) = self.draft(id) {
            draft.name = index;
        }
    }

    /// The name that the symbol table has for what is at `address`.
    pub(super) fn name_from_table(&mut self, id: u32, address: u64) {
        let symbols = self.symbols;
        if let Some(name) = symbols.names.get(&address) {
            self.call(id, name);
        }
    }

    /// The atom of this kind at `start`, to be filled later if it is new.
    fn at(&mut self, kind: Kind, start: u64, end: u64) -> u32 {
        if let Some(&id) = self.by_address.get(&(kind, start)) {
            return id;
        }
        let id = self.make(kind, start, end);
        self.by_address.insert((kind, start), id);
        self.name_from_table(id, start);
        self.pending.push(id);
        id
    }

    /// Makes the atoms of all pieces of code.
    pub(super) fn make_code(&mut self) {
        for index in 0..self.pieces.len() {
            let Some(piece) = self.pieces.get(index) else {
                continue;
            };
            let kind = if piece.is_data {
                Kind::CodeData
            } else {
                Kind::Code
            };
            let (start, end) = (piece.start, piece.end);
            let id = self.make(kind, start, end);
            self.by_address.insert((Kind::Code, start), id);
            self.name_from_table(id, start);
        }
    }

    /// The atom of the piece that begins at `start`.
    pub(super) fn code_at(&self, start: u64) -> Option<u32> {
        self.by_address.get(&(Kind::Code, start)).copied()
    }

    /// Something that is no bytes of the file, the same wherever it is named.
    pub(super) fn made(&mut self, what: &str) -> u32 {
        if let Some(&id) = self.by_name.get(what) {
            return id;
        }
        let id = self.make(Kind::Made, 0, 0);
        self.by_name.insert(what.to_owned(), id);
        self.call(id, what);
        self.seal(id, &[what.as_bytes()], None, &[]);
        id
    }

    /// What cannot be told.
    pub(super) fn unsure(&mut self, why: &str) -> u32 {
        let id = self.made(why);
        if let Some(draft) = self.draft(id) {
            draft.flags |= UNSURE;
        }
        id
    }

    pub(super) fn tls(&mut self) -> u32 {
        self.at(Kind::Tls, 0, 0)
    }

    fn import(&mut self, symbol: u32, class: Class) -> u32 {
        if let Some(&id) = self.by_symbol.get(&(symbol, class)) {
            return id;
        }
        let id = self.make(Kind::Import, 0, 0);
        self.by_symbol.insert((symbol, class), id);
        self.imports.insert(id, Import { symbol, class });
        let image = self.image;
        let name = image.object.symbol_name(symbol).unwrap_or_default();
        self.call(id, &String::from_utf8_lossy(name));
        self.seal(id, &[], None, &[]);
        id
    }

    /// What a word that ld.so writes refers to.
    pub(super) fn relocated(&mut self, entry: Rela) -> (u32, i64) {
        let local_tls = matches!(
            entry.kind,
            elf::R_X86_64_DTPMOD64
                | elf::R_X86_64_DTPOFF64
                | elf::R_X86_64_TPOFF64
                | elf::R_X86_64_TLSDESC
        );
        match entry.kind {
            elf::R_X86_64_RELATIVE | elf::R_X86_64_RELATIVE64 | elf::R_X86_64_IRELATIVE => {
                return self.address(entry.addend as u64);
            }
            // The linker knew where a variable of its own is, and wrote that behind.
            elf::R_X86_64_DTPMOD64 if entry.symbol == 0 => {
                let behind = entry.offset.saturating_add(8);
                let bytes = self.image.bytes(behind, 8).unwrap_or_default();
                let offset = bytes.first_chunk().map_or(0, |b| i64::from_le_bytes(*b));
                return (self.tls(), offset);
            }
            _ if local_tls && entry.symbol == 0 => return (self.tls(), entry.addend),
            elf::R_X86_64_64 | elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => {}
            _ if local_tls => {}
            _ => return (self.unsure("a relocation of an unusual type"), 0),
        }
        let Some(raw) = self.image.object.symbol(entry.symbol) else {
            return (self.unsure("a relocation without a symbol"), 0);
        };
        let addend = match entry.kind {
            elf::R_X86_64_GLOB_DAT | elf::R_X86_64_JUMP_SLOT => 0,
            _ => entry.addend,
        };
        let own = raw.binding() == elf::STB_LOCAL && raw.shndx != elf::SHN_UNDEF;
        if own && raw.kind() == elf::STT_TLS {
            (self.tls(), addend.wrapping_add(raw.value as i64))
        } else if own {
            self.address(raw.value.wrapping_add(addend as u64))
        } else {
            let class = x86_64::class(entry.kind);
            (self.import(entry.symbol, class), addend)
        }
    }

    /// What an address that is taken refers to: an atom, and an offset in it.
    pub(super) fn address(&mut self, to: u64) -> (u32, i64) {
        let image = self.image;
        let Some(section) = image.at(to) else {
            let ends = |s: &&super::image::Section| s.end == to;
            return match image.sections.iter().find(ends) {
                Some(section) => {
                    let name = String::from_utf8_lossy(&section.name).into_owned();
                    (self.made(&format!("the end of {name}")), 0)
                }
                None => (self.unsure("an address outside of its sections"), 0),
            };
        };
        match section.region {
            Region::Plt => match self
                .plt
                .get(&to)
                .and_then(|slot| image.relocations.get(slot))
            {
                Some(&entry) => self.relocated(entry),
                None => (self.unsure("an unknown entry of its PLT"), 0),
            },
            Region::Code => self.code(to),
            Region::Got => match image.relocations.get(&to) {
                Some(&entry) => self.relocated(entry),
                None => (self.unsure("the address of its GOT (large code model)"), 0),
            },
            Region::Tls => (self.tls(), (to - section.start) as i64),
            Region::Relro | Region::Data => self.data(Kind::Data, to, section.end),
            Region::Constant => self.data(Kind::Constant, to, section.end),
            Region::Lsda => (self.at(Kind::Lsda, to, to), 0),
            Region::Meta => {
                let name = String::from_utf8_lossy(&section.name).into_owned();
                (self.made(&name), 0)
            }
        }
    }

    fn code(&mut self, to: u64) -> (u32, i64) {
        let index = self.spans.partition_point(|span| span.0 <= to);
        let span = index
            .checked_sub(1)
            .and_then(|i| self.spans.get(i))
            .copied();
        let found = span.filter(|span| to < span.1);
        match found.and_then(|span| Some((span.0, self.code_at(span.0)?))) {
            Some((start, id)) => (id, (to - start) as i64),
            None => (self.unsure("an address between its functions"), 0),
        }
    }

    /// An object that has a name and a size as a whole; else what goes to where the
    /// next thing begins.
    fn data(&mut self, kind: Kind, to: u64, limit: u64) -> (u32, i64) {
        let (start, end) = match self.symbols.object_at(to) {
            Some(object) => object,
            None => (to, self.next_bound(to).min(limit)),
        };
        (self.at(kind, start, end), (to - start) as i64)
    }

    /// Where the next thing behind `address` begins.
    pub(super) fn next_bound(&self, address: u64) -> u64 {
        let index = self.bounds.partition_point(|&bound| bound <= address);
        self.bounds.get(index).copied().unwrap_or(u64::MAX)
    }

    /// What an instruction reads or writes that names `size` bytes at `to`.
    pub(super) fn access(&mut self, to: u64, size: u32) -> Access {
        let image = self.image;
        let len = u64::from(size);
        if let Some(section) = image.at(to) {
            let fixed = matches!(
                section.region,
                Region::Constant | Region::Got | Region::Relro
            );
            // A wider read takes along what is behind the word that ld.so writes.
            if fixed
                && len <= 8
                && let Some(&entry) = image.relocations.get(&to)
            {
                let (atom, offset) = self.relocated(entry);
                return Access::To(atom, offset);
            }
            if fixed
                && !image.is_relocated(to, len)
                && let Some(bytes) = image.bytes(to, len)
            {
                return Access::Bytes(bytes.to_vec());
            }
        }
        let (atom, offset) = self.address(to);
        Access::To(atom, offset)
    }

    /// Fills an atom: the sum of its content, loosely too if that is something else,
    /// and what it refers to.
    pub(super) fn seal(
        &mut self,
        id: u32,
        content: &[&[u8]],
        loose: Option<&[&[u8]]>,
        links: &[Link],
    ) {
        let Some(kind) = self.atoms.get(id as usize).map(|draft| draft.kind) else {
            return;
        };
        let sum = |content: &[&[u8]]| {
            let mut sum = Sha256::new();
            sum.update([kind as u8]);
            for part in content {
                sum.update((part.len() as u64).to_le_bytes());
                sum.update(part);
            }
            for link in links {
                sum.update([link.manner as u8]);
                sum.update(link.offset.to_le_bytes());
            }
            let sum: [u8; 32] = sum.finalize().into();
            sum
        };
        let exact = sum(content);
        let loosely = loose.map_or(exact, sum);
        if let Some(draft) = self.draft(id) {
            draft.hash = *exact.first_chunk().unwrap_or(&[0; 16]);
            draft.loose = u64::from_le_bytes(*loosely.first_chunk().unwrap_or(&[0; 8]));
            draft.edges = links.iter().map(|link| link.to).collect();
        }
    }
}
