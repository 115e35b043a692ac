//! A graph from a library, step by step.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::PathBuf;

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic};
use object::elf;

use super::atoms::{Builder, Link};
use super::decode::Manner;
use super::flaw::Flaw;
use super::frames;
use super::graph::{Atom, Graph, Kind, Lookup, OPENS};
use super::image::{Image, Region};
use super::pieces;
use super::symbols::{Sources, Symbols};
use crate::resolve::addresses::object::LoadedObject;

/// What glibc opens libraries with for itself.
const OPENER: &str = "__libc_dlopen_mode";
/// What does so for parts of glibc and of its compiler alone: gconv modules of glibc's
/// own build, and libgcc_s.so.1, which unwinds.
const OWN_PARTS: [&str; 2] = ["__gconv_find_shlib", "__libc_unwind_link_get"];
/// The names of glibc.
const LIBC: &[u8] = b"libc.so.6";

impl Graph {
    /// The graph of a library, whose symbols are its own or in a debug file of `folders`.
    ///
    /// # Errors
    /// When nothing could be proved with it.
    pub fn build(object: &LoadedObject, folders: &[PathBuf]) -> Result<Self, Flaw> {
        Self::build_with(object, &Sources::of(object, folders))
    }

    /// The same where the files beside it are known.
    ///
    /// # Errors
    /// When nothing could be proved with it.
    pub(super) fn build_with(object: &LoadedObject, sources: &Sources) -> Result<Self, Flaw> {
        let image = Image::new(object)?;
        let symbols = Symbols::of(&image, sources)?;
        let frames = frames::read(&image)?;
        let (pieces, starts) = pieces::find(&image, &frames, &symbols)?;
        let mut builder = Builder::new(&image, &symbols, &frames, pieces, starts);
        builder.find_plt();
        builder.find_bounds();
        builder.find_choosers();
        builder.make_code();
        builder.check_size()?;
        builder.fill_code();
        let mut graph = Self {
            exports: builder.exports(),
            ..Self::default()
        };
        let (mut always, counts) = builder.constructors()?;
        builder.fill_pending();
        builder.check_size()?;
        graph.resolver_of = builder.resolvers(&mut always);
        graph.constructors = builder.make(Kind::Made, 0, 0);
        builder.call(graph.constructors, "its constructors and destructors");
        builder.seal(graph.constructors, &[&counts], None, &always);
        builder.flatten(&mut graph);
        Ok(graph)
    }

    /// The names that an executable gives to dlsym. Its code is told from what unwinds
    /// it, so that it may be stripped; `None` if one is not constant.
    pub(super) fn lookups_without_symbols(object: &LoadedObject) -> Lookup {
        let image = Image::new(object).ok()?;
        let symbols = Symbols::default();
        let frames = frames::read(&image).ok()?;
        let (pieces, starts) = pieces::find(&image, &frames, &symbols).ok()?;
        let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
        let taken = (1..count).filter_map(|symbol| object.symbol(symbol));
        // In an executable at a fixed address, that of a function can be a number.
        if taken
            .into_iter()
            .any(|raw| raw.shndx == elf::SHN_UNDEF && raw.value != 0)
        {
            return None;
        }
        let mut builder = Builder::new(&image, &symbols, &frames, pieces, starts);
        builder.find_plt();
        builder.find_bounds();
        builder.make_code();
        builder.fill_code();
        builder.fill_pending();
        let mut graph = Self::default();
        builder.flatten(&mut graph);
        let mut names = Vec::new();
        for lookup in graph.lookups.into_values() {
            names.extend(lookup?);
        }
        Some(names)
    }
}

impl Builder<'_> {
    /// Which slot of the GOT each entry of the PLT jumps by.
    fn find_plt(&mut self) {
        let image = self.image;
        for section in image.sections.iter().filter(|s| s.region == Region::Plt) {
            // Entries have 8 or 16 bytes, those of `.plt.sec` begin with ENDBR64.
            for at in (section.start..section.end).step_by(8) {
                let bytes = image.bytes(at, (section.end - at).min(16));
                let bytes = bytes.unwrap_or_default();
                let decoder = Decoder::with_ip(64, bytes, at, DecoderOptions::NONE);
                if let Some(slot) = plt_slot(decoder) {
                    self.plt.insert(at, slot);
                }
            }
        }
    }

    /// Where data without a name may end, and which constants are read in place.
    fn find_bounds(&mut self) {
        let image = self.image;
        let symbols = self.symbols;
        let mut bounds: BTreeSet<u64> = BTreeSet::new();
        let mut reads: HashMap<u64, u32> = HashMap::new();
        let free = |address: u64| symbols.object_at(address).is_none();
        for reference in self.pieces.iter().flat_map(|piece| &piece.code.references) {
            match reference.manner {
                Manner::Address if free(reference.to) => {
                    bounds.insert(reference.to);
                }
                Manner::Memory => {
                    let section = image.at(reference.to).map(|section| section.region);
                    if section == Some(Region::Constant) {
                        let size = reads.entry(reference.to).or_default();
                        *size = (*size).max(reference.size);
                    } else if free(reference.to) {
                        bounds.insert(reference.to);
                    }
                }
                _ => {}
            }
        }
        for entry in image.relocations.values() {
            let to = entry.addend as u64;
            if entry.kind == elf::R_X86_64_RELATIVE && free(to) {
                bounds.insert(to);
            }
        }
        bounds.extend(symbols.objects.iter().flat_map(|o| [o.0, o.1]));
        bounds.extend(symbols.labels.iter().copied());
        bounds.extend(image.sections.iter().flat_map(|s| [s.start, s.end]));
        self.bounds = bounds.into_iter().collect();
        self.reads = reads.into_iter().collect();
        self.reads.sort_unstable();
    }

    /// Functions that ld.so runs to choose an implementation.
    fn find_choosers(&mut self) {
        let image = self.image;
        let entries = image.relocations.values();
        let named = entries.filter(|entry| entry.kind == elf::R_X86_64_IRELATIVE);
        let mut all: HashSet<u64> = named.map(|entry| entry.addend as u64).collect();
        let count = u32::try_from(image.object.symbol_count()).unwrap_or(u32::MAX);
        for raw in (1..count).filter_map(|symbol| image.object.symbol(symbol)) {
            if raw.kind() == elf::STT_GNU_IFUNC && raw.shndx != elf::SHN_UNDEF {
                all.insert(raw.value);
            }
        }
        self.choosers = all;
    }

    fn exports(&mut self) -> HashMap<u32, (u32, i64)> {
        let object = self.image.object;
        let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
        let mut exports = HashMap::new();
        for symbol in 1..count {
            let Some(raw) = object.symbol(symbol) else {
                continue;
            };
            if raw.shndx == elf::SHN_UNDEF {
                continue;
            }
            let place = if raw.kind() == elf::STT_TLS {
                (self.tls(), raw.value as i64)
            } else if raw.shndx == elf::SHN_ABS {
                (self.made("an absolute value"), raw.value as i64)
            } else {
                self.address(raw.value)
            };
            exports.insert(symbol, place);
        }
        exports
    }

    /// What runs when the library is loaded and unloaded, and how much of it when.
    fn constructors(&mut self) -> Result<(Vec<Link>, Vec<u8>), Flaw> {
        let bad = Flaw::Malformed("its dynamic section cannot be read");
        let image = self.image;
        let elf = image.object.file().elf().map_err(|_| bad)?;
        let dynamic = elf.dynamic().map_err(|_| bad)?.unwrap_or_default();
        let mut links = Vec::new();
        let mut push = |(to, offset): (u32, i64)| {
            let manner = Manner::Pointer;
            links.push(Link { to, offset, manner });
        };
        let mut counts = Vec::new();
        for tag in [elf::DT_INIT, elf::DT_FINI] {
            let at = dynamic.value(tag).filter(|&at| at != 0);
            counts.push(u8::from(at.is_some()));
            if let Some(at) = at {
                push(self.address(at));
            }
        }
        for (array, size) in [
            (elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ] {
            let (Some(start), Some(size)) = (dynamic.value(array), dynamic.value(size)) else {
                counts.extend(0_u64.to_le_bytes());
                continue;
            };
            let end = start.checked_add(size).ok_or(bad)?;
            if image.bytes(start, size).is_none() && size > 0 {
                return Err(bad);
            }
            let mut count = 0_u64;
            for at in (start..end).step_by(8) {
                if let Some(&entry) = image.relocations.get(&at) {
                    push(self.relocated(entry));
                    count += 1;
                }
            }
            counts.extend(count.to_le_bytes());
        }
        Ok((links, counts))
    }

    /// What runs when implementations are chosen: by exported symbol, and those of its
    /// own relocations in `always`.
    fn resolvers(&mut self, always: &mut Vec<Link>) -> HashMap<u32, u32> {
        let mut made: HashMap<u64, u32> = HashMap::new();
        let mut choosers: Vec<u64> = self.choosers.iter().copied().collect();
        choosers.sort_unstable();
        for at in choosers {
            let Some(code) = self.code_at(at) else {
                continue;
            };
            let id = match self.chosen.remove(&at) {
                Some((links, sum)) => {
                    let of = |span: &&(u64, u64)| span.0 == at;
                    let end = self.spans.iter().find(of).map_or(at, |span| span.1);
                    let id = self.make(Kind::Made, at, end);
                    self.seal(id, &[&sum], None, &links);
                    let name = self.symbols.names.get(&at).map_or("", |name| name);
                    self.call(id, &format!("the choice of {name}"));
                    id
                }
                None => code,
            };
            made.insert(at, id);
        }
        let object = self.image.object;
        let entries = self.image.relocations.values();
        let own: BTreeSet<u64> = entries
            .filter(|entry| entry.kind == elf::R_X86_64_IRELATIVE)
            .map(|entry| entry.addend as u64)
            .collect();
        // In an order that does not depend on where they lie.
        let mut own: Vec<u32> = own.iter().filter_map(|at| made.get(at).copied()).collect();
        own.sort_by_key(|id| {
            let draft = self.atoms.get(*id as usize);
            let name = draft.and_then(|draft| self.names.get(draft.name as usize));
            (name.cloned(), draft.map(|draft| draft.hash))
        });
        let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
        let exported = (1..count).filter_map(|symbol| {
            let raw = object.symbol(symbol)?;
            let chooses = raw.kind() == elf::STT_GNU_IFUNC;
            chooses.then_some((symbol, *made.get(&raw.value)?))
        });
        let exported = exported.collect();
        always.extend(own.into_iter().map(|to| Link {
            to,
            offset: 0,
            manner: Manner::Pointer,
        }));
        exported
    }

    fn flatten(self, graph: &mut Graph) {
        let is_libc = self.image.object.soname() == Some(LIBC);
        let name_of = |id: u32| {
            let draft = self.atoms.get(id as usize)?;
            self.names.get(draft.name as usize)
        };
        graph.atoms.reserve_exact(self.atoms.len());
        let edges = self.atoms.iter().map(|draft| draft.edges.len()).sum();
        graph.edges.reserve_exact(edges);
        let mut lookups = self.lookups.clone();
        for (id, draft) in self.atoms.iter().enumerate() {
            let id = id as u32;
            let mut flags = draft.flags;
            let opens = |to: &u32| name_of(*to).is_some_and(|name| &**name == OPENER);
            let own = || name_of(id).is_some_and(|name| OWN_PARTS.contains(&&**name));
            if is_libc && draft.edges.iter().any(opens) && !own() {
                flags |= OPENS;
            }
            let is_lookup = |to: &u32| self.is_lookup(*to);
            if draft.kind != Kind::Code && draft.edges.iter().any(is_lookup) {
                lookups.insert(id, None);
            }
            graph.atoms.push(Atom {
                kind: draft.kind,
                flags,
                hash: draft.hash,
                loose: draft.loose,
                start: draft.start,
                end: draft.end,
                name: draft.name,
                first: u32::try_from(graph.edges.len()).unwrap_or(u32::MAX),
            });
            graph.edges.extend(&draft.edges);
        }
        graph.names = self.names;
        graph.imports = self.imports;
        graph.lookups = lookups;
    }
}

/// The slot that an entry of a PLT jumps by.
fn plt_slot(mut decoder: Decoder<'_>) -> Option<u64> {
    let mut next = Instruction::default();
    for _ in 0..2 {
        if !decoder.can_decode() {
            return None;
        }
        decoder.decode_out(&mut next);
        if next.mnemonic() == Mnemonic::Jmp && next.is_ip_rel_memory_operand() {
            return Some(next.ip_rel_memory_address());
        }
        if next.mnemonic() != Mnemonic::Endbr64 {
            return None;
        }
    }
    None
}
