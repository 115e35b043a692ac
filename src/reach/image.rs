//! A library as it lies in memory: sections, bytes at addresses, relocations.
//!
//! Only section headers tell code from tables, so that a library without them is not
//! read at all. What is decided here is what kind of thing an address means; what
//! refers to what is decided above.

use std::collections::HashMap;

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::flaw::Flaw;
use crate::arch::x86_64;
use crate::resolve::addresses::entries::Rela;
use crate::resolve::addresses::object::LoadedObject;

const LE: LittleEndian = LittleEndian;
/// Most sections of one library.
const MAX_SECTIONS: usize = 1 << 16;
/// Most bytes of code of one library.
const MAX_CODE: u64 = 1 << 30;
/// Most relocations of one library.
const MAX_RELOCATIONS: usize = 64 << 20;

/// What a section holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Region {
    /// Instructions.
    Code,
    /// Jumps through the GOT.
    Plt,
    /// The GOT: addresses of symbols.
    Got,
    /// Bytes that never change.
    Constant,
    /// What ld.so relocates and then protects.
    Relro,
    /// Variables.
    Data,
    /// The initial values of thread-local variables.
    Tls,
    /// Exception tables.
    Lsda,
    /// What only ld.so and unwinders read.
    Meta,
}

/// A section that is there at run time.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) region: Region,
    /// Zeros, of which the file has nothing.
    pub(super) zero: bool,
    offset: u64,
}

impl Section {
    pub(super) fn has(&self, address: u64) -> bool {
        self.start <= address && address < self.end
    }
}

/// A library, its sections by address.
pub(super) struct Image<'a> {
    pub(super) object: &'a LoadedObject,
    file: &'a [u8],
    /// By address, without `.tbss`, which takes no room.
    pub(super) sections: Vec<Section>,
    /// Bytes of `.tbss`.
    pub(super) zero_tls: u64,
    /// What ld.so writes, by address.
    pub(super) relocations: HashMap<u64, Rela>,
}

impl<'a> Image<'a> {
    /// # Errors
    /// When its sections do not tell enough, or contradict the segments.
    pub(super) fn new(object: &'a LoadedObject) -> Result<Self, Flaw> {
        if *object.arch() != x86_64::ARCH {
            return Err(Flaw::Machine);
        }
        if object.has_text_relocations() {
            return Err(Flaw::TextRelocations);
        }
        let mut image = Self {
            object,
            file: object.file().bytes(),
            sections: Vec::new(),
            zero_tls: 0,
            relocations: HashMap::new(),
        };
        image.read_sections()?;
        image.read_relocations()?;
        Ok(image)
    }

    fn read_sections(&mut self) -> Result<(), Flaw> {
        let data = self.file;
        let header = elf::FileHeader64::<LittleEndian>::parse(data);
        let header = header.map_err(|_| Flaw::NoSections)?;
        let table = header.sections(LE, data).map_err(|_| Flaw::NoSections)?;
        if table.len() > MAX_SECTIONS {
            return Err(Flaw::TooLarge);
        }
        let relro = self.object.segments().iter();
        let relro: Vec<_> = relro.filter(|s| s.kind == elf::PT_GNU_RELRO).collect();
        let mut code = 0_u64;
        for section in table.iter() {
            let flags = section.sh_flags(LE).0;
            let (start, size) = (section.sh_addr(LE), section.sh_size(LE));
            if flags & elf::SHF_ALLOC.0 == 0 || start == 0 || size == 0 {
                continue;
            }
            let zero = section.sh_type(LE) == elf::SHT_NOBITS;
            let tls = flags & elf::SHF_TLS.0 != 0;
            if zero && tls {
                self.zero_tls = self.zero_tls.saturating_add(size);
                continue;
            }
            let bad = Flaw::Malformed("a section lies outside of the segments");
            let name = table.section_name(LE, section).map_err(|_| bad)?.to_vec();
            let end = start.checked_add(size).ok_or(bad)?;
            let offset = section.sh_offset(LE);
            let inside = |s: &crate::elf::Segment| {
                let held = if zero { s.memsz } else { s.filesz };
                s.kind == elf::PT_LOAD
                    && s.vaddr <= start
                    && end - s.vaddr <= held
                    && (zero || offset.checked_sub(s.offset) == Some(start - s.vaddr))
            };
            if !self.object.segments().iter().any(inside) {
                return Err(bad);
            }
            let protected = relro
                .iter()
                .any(|s| s.vaddr <= start && end - s.vaddr <= s.memsz);
            let progbits = section.sh_type(LE) == elf::SHT_PROGBITS;
            let region = region(&name, flags, tls, protected, progbits);
            if region == Region::Code {
                code = code.saturating_add(size);
            }
            self.sections.push(Section {
                name,
                start,
                end,
                region,
                zero,
                offset,
            });
        }
        if code > MAX_CODE {
            return Err(Flaw::TooLarge);
        }
        if self.sections.is_empty() {
            return Err(Flaw::NoSections);
        }
        self.sections.sort_by_key(|s| s.start);
        let mut pairs = self.sections.windows(2);
        if pairs.any(|w| matches!(w, [a, b] if a.end > b.start)) {
            return Err(Flaw::Malformed("sections overlap"));
        }
        Ok(())
    }

    fn read_relocations(&mut self) -> Result<(), Flaw> {
        let object = self.object;
        let all = object.relocations().chain(object.jump_relocations());
        for entry in all.filter(|entry| entry.kind != elf::R_X86_64_NONE) {
            self.relocations.insert(entry.offset, entry);
            if self.relocations.len() > MAX_RELOCATIONS {
                return Err(Flaw::TooLarge);
            }
        }
        for place in object.relr_places() {
            self.relative(place)?;
        }
        Ok(())
    }

    /// A word of DT_RELR: what is there, moved by the load address.
    fn relative(&mut self, offset: u64) -> Result<(), Flaw> {
        let word = self.bytes(offset, 8).and_then(|b| b.first_chunk());
        let word = word.ok_or(Flaw::Malformed("DT_RELR names what is not there"))?;
        let addend = i64::from_le_bytes(*word);
        self.relocations.insert(
            offset,
            Rela {
                offset,
                kind: elf::R_X86_64_RELATIVE,
                symbol: 0,
                addend,
            },
        );
        if self.relocations.len() > MAX_RELOCATIONS {
            return Err(Flaw::TooLarge);
        }
        Ok(())
    }

    /// Index of the section that holds `address`.
    pub(super) fn index_at(&self, address: u64) -> Option<usize> {
        let index = self.sections.partition_point(|s| s.start <= address);
        let index = index.checked_sub(1)?;
        self.sections.get(index)?.has(address).then_some(index)
    }

    /// The section that holds `address`.
    pub(super) fn at(&self, address: u64) -> Option<&Section> {
        self.sections.get(self.index_at(address)?)
    }

    /// The first section called `name`.
    pub(super) fn section(&self, name: &[u8]) -> Option<&Section> {
        self.sections.iter().find(|s| s.name == name)
    }

    /// `len` bytes at `address`, if one section of the file has them all.
    pub(super) fn bytes(&self, address: u64, len: u64) -> Option<&'a [u8]> {
        let section = self.at(address)?;
        let end = address.checked_add(len)?;
        if section.zero || end > section.end {
            return None;
        }
        let at = usize::try_from(section.offset.checked_add(address - section.start)?).ok()?;
        let len = usize::try_from(len).ok()?;
        self.file.get(at..at.checked_add(len)?)
    }

    /// Whether ld.so writes to one of the `len` bytes at `address`.
    pub(super) fn is_relocated(&self, address: u64, len: u64) -> bool {
        let first = address.saturating_sub(7);
        (first..address.saturating_add(len)).any(|at| self.relocations.contains_key(&at))
    }
}

fn region(name: &[u8], flags: u64, tls: bool, protected: bool, progbits: bool) -> Region {
    let writable = flags & elf::SHF_WRITE.0 != 0;
    if flags & elf::SHF_EXECINSTR.0 != 0 {
        if name.starts_with(b".plt") {
            Region::Plt
        } else {
            Region::Code
        }
    } else if tls {
        Region::Tls
    } else if writable && name.starts_with(b".got") {
        Region::Got
    } else if writable && name == b".dynamic" {
        Region::Meta
    } else if writable && protected {
        Region::Relro
    } else if writable {
        Region::Data
    } else if name.starts_with(b".gcc_except_table") {
        Region::Lsda
    } else if !progbits || name.starts_with(b".eh_frame") || name == b".interp" {
        Region::Meta
    } else {
        Region::Constant
    }
}
