//! An ELF file under construction: sections one after another, then the headers.
//!
//! Knows the layout of ELF64 headers and nothing of what a stub has to hold.

use object::elf;

use super::tables::Strings;

pub(super) const ALLOC: u64 = 2;
pub(super) const WRITE: u64 = 1;
pub(super) const EXEC: u64 = 4;
pub(super) const TLS: u64 = 0x400;
pub(super) const R: u32 = 4;
pub(super) const W: u32 = 2;
pub(super) const X: u32 = 1;

/// One section header to be.
pub(super) struct Section {
    pub(super) name: Vec<u8>,
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) addr: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) link: u32,
    pub(super) info: u32,
    pub(super) align: u64,
    pub(super) entsize: u64,
}

/// One program header to be.
pub(super) struct Segment {
    pub(super) kind: u32,
    pub(super) flags: u32,
    pub(super) offset: u64,
    pub(super) vaddr: u64,
    pub(super) filesz: u64,
    pub(super) memsz: u64,
    pub(super) align: u64,
}

/// What the file's header says of the machine and of the symbols.
pub(super) struct Target {
    pub(super) machine: u16,
    pub(super) flags: u32,
    /// Whether a symbol is STB_GNU_UNIQUE.
    pub(super) unique: bool,
}

/// The file under construction.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    pub(super) sections: Vec<Section>,
}

impl Image {
    pub(super) fn pad(&mut self, align: usize) {
        let len = self.bytes.len().next_multiple_of(align);
        self.bytes.resize(len, 0);
    }

    pub(super) fn here(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Appends `content` as a section at address `bias` + its file offset.
    pub(super) fn push(
        &mut self,
        name: &str,
        kind: u32,
        flags: u64,
        align: usize,
        bias: u64,
        content: &[u8],
    ) -> usize {
        self.pad(align);
        let offset = self.here();
        self.bytes.extend_from_slice(content);
        self.sections.push(Section {
            name: name.as_bytes().to_vec(),
            kind,
            flags,
            addr: if flags & ALLOC == 0 { 0 } else { bias + offset },
            offset,
            size: content.len() as u64,
            link: 0,
            info: 0,
            align: align as u64,
            entsize: 0,
        });
        self.sections.len() - 1
    }

    /// A section without content at `addr`.
    pub(super) fn push_empty(
        &mut self,
        name: &str,
        flags: u64,
        addr: u64,
        size: u64,
        align: u64,
    ) -> usize {
        let offset = self.here();
        self.sections.push(Section {
            name: name.as_bytes().to_vec(),
            kind: elf::SHT_NOBITS.0,
            flags,
            addr,
            offset,
            size,
            link: 0,
            info: 0,
            align,
            entsize: 0,
        });
        self.sections.len() - 1
    }
}

/// Section headers begin with an empty one.
pub(super) fn index(at: usize) -> u16 {
    u16::try_from(at + 1).unwrap_or(u16::MAX)
}

pub(super) fn load(
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
) -> Segment {
    segment(elf::PT_LOAD.0, flags, offset, vaddr, filesz, memsz, align)
}

pub(super) fn segment(
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
) -> Segment {
    Segment {
        kind,
        flags,
        offset,
        vaddr,
        filesz,
        memsz,
        align,
    }
}

/// Adds section names and headers, and fills in the file's header. `None` if the
/// names are too long.
pub(super) fn finish(mut image: Image, target: &Target, program: &[Segment]) -> Option<Vec<u8>> {
    let mut names = Strings::new();
    let shstrtab = names.add(b".shstrtab");
    let offsets: Vec<u32> = image.sections.iter().map(|s| names.add(&s.name)).collect();
    let names = names.finish()?;
    image.push(".shstrtab", elf::SHT_STRTAB.0, 0, 1, 0, &names);
    image.pad(8);
    let section_headers = image.here();
    image.bytes.extend_from_slice(&[0; 64]);
    for (section, name) in image
        .sections
        .iter()
        .zip(offsets.into_iter().chain([shstrtab]))
    {
        let out = &mut image.bytes;
        out.extend_from_slice(&name.to_le_bytes());
        out.extend_from_slice(&section.kind.to_le_bytes());
        for value in [section.flags, section.addr, section.offset, section.size] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        out.extend_from_slice(&section.link.to_le_bytes());
        out.extend_from_slice(&section.info.to_le_bytes());
        out.extend_from_slice(&section.align.to_le_bytes());
        out.extend_from_slice(&section.entsize.to_le_bytes());
    }

    // ELFOSABI_GNU announces STB_GNU_UNIQUE, as GNU ld writes it.
    let osabi = if target.unique {
        elf::ELFOSABI_GNU
    } else {
        elf::ELFOSABI_NONE
    };
    let mut header = Vec::with_capacity(64);
    header.extend_from_slice(&elf::ELFMAG);
    header.extend_from_slice(&[
        elf::ELFCLASS64.0,
        elf::ELFDATA2LSB.0,
        1,
        osabi.0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    header.extend_from_slice(&elf::ET_DYN.0.to_le_bytes());
    header.extend_from_slice(&target.machine.to_le_bytes());
    header.extend_from_slice(&1u32.to_le_bytes());
    for value in [0, 64, section_headers] {
        header.extend_from_slice(&value.to_le_bytes());
    }
    header.extend_from_slice(&target.flags.to_le_bytes());
    let count = image.sections.len() as u16 + 1;
    for value in [64, 56, program.len() as u16, 64, count, count - 1] {
        header.extend_from_slice(&value.to_le_bytes());
    }
    for segment in program {
        header.extend_from_slice(&segment.kind.to_le_bytes());
        header.extend_from_slice(&segment.flags.to_le_bytes());
        for value in [
            segment.offset,
            segment.vaddr,
            segment.vaddr,
            segment.filesz,
            segment.memsz,
            segment.align,
        ] {
            header.extend_from_slice(&value.to_le_bytes());
        }
    }
    debug_assert_eq!(header.len(), 64 + 56 * program.len());
    if let Some(room) = image.bytes.get_mut(..header.len()) {
        room.copy_from_slice(&header);
    }
    Some(image.bytes)
}
