//! An ELF file: header, program headers, and addresses to bytes.

use indir_shim::format::note::Notes;
use object::elf::{self, FileType, Machine, ProgramFlags, ProgramType};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, ProgramHeader as _};

type Header = elf::FileHeader64<LittleEndian>;
const LE: LittleEndian = LittleEndian;

/// Most program headers accepted; Linux itself stops at 64 KiB of them.
const MAX_SEGMENTS: usize = 1024;

/// Why a file is not usable as ELF.
#[derive(Debug, thiserror::Error)]
pub enum ElfError {
    /// It could not be opened or mapped.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The magic number is missing.
    #[error("not an ELF file")]
    NotElf,
    /// A script or a linker script was given.
    #[error("a {0}, not an ELF file")]
    Text(&'static str),
    /// 32-bit or big-endian.
    #[error("not a 64-bit little-endian ELF file")]
    Class,
    /// For a machine that is not served, or not the one that is asked for.
    #[error("for another processor architecture")]
    Machine,
    /// Neither an executable nor a shared object.
    #[error("not an executable or a shared object")]
    Type,
    /// Something in it contradicts itself or lies outside of the file.
    #[error("malformed ELF file: {0}")]
    Malformed(&'static str),
}

/// A program header, in native integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `p_type`.
    pub kind: ProgramType,
    /// `p_flags`.
    pub flags: ProgramFlags,
    /// `p_offset`.
    pub offset: u64,
    /// `p_vaddr`.
    pub vaddr: u64,
    /// `p_filesz`.
    pub filesz: u64,
    /// `p_memsz`.
    pub memsz: u64,
    /// `p_align`.
    pub align: u64,
}

/// A parsed ELF file over borrowed bytes.
#[derive(Clone, Debug)]
pub struct ElfFile<'a> {
    data: &'a [u8],
    machine: Machine,
    kind: FileType,
    entry: u64,
    flags: u32,
    segments: Vec<Segment>,
}

impl<'a> ElfFile<'a> {
    /// Reads header and program headers.
    ///
    /// # Errors
    /// When `data` is not a 64-bit little-endian executable or shared object.
    pub fn parse(data: &'a [u8]) -> Result<Self, ElfError> {
        if !data.starts_with(&elf::ELFMAG) {
            return Err(match data {
                [b'#', b'!', ..] => ElfError::Text("script"),
                _ if looks_like_linker_script(data) => ElfError::Text("linker script"),
                _ => ElfError::NotElf,
            });
        }
        if data.get(4) != Some(&elf::ELFCLASS64.0) || data.get(5) != Some(&elf::ELFDATA2LSB.0) {
            return Err(ElfError::Class);
        }
        let header =
            Header::parse(data).map_err(|_| ElfError::Malformed("the header is truncated"))?;
        let kind = header.e_type(LE);
        if kind != elf::ET_EXEC && kind != elf::ET_DYN {
            return Err(ElfError::Type);
        }
        let headers = header
            .program_headers(LE, data)
            .map_err(|_| ElfError::Malformed("program headers lie outside of the file"))?;
        if headers.len() > MAX_SEGMENTS {
            return Err(ElfError::Malformed("too many program headers"));
        }
        let segments = headers
            .iter()
            .map(|p| Segment {
                kind: p.p_type(LE),
                flags: p.p_flags(LE),
                offset: p.p_offset(LE),
                vaddr: p.p_vaddr(LE),
                filesz: p.p_filesz(LE),
                memsz: p.p_memsz(LE),
                align: p.p_align(LE),
            })
            .collect();
        Ok(Self {
            data,
            machine: header.e_machine(LE),
            kind,
            entry: header.e_entry(LE),
            flags: header.e_flags(LE).0,
            segments,
        })
    }

    /// The whole file.
    pub fn data(&self) -> &'a [u8] {
        self.data
    }

    /// `e_machine`.
    pub fn machine(&self) -> Machine {
        self.machine
    }

    /// `e_type`: ET_EXEC or ET_DYN.
    pub fn kind(&self) -> FileType {
        self.kind
    }

    /// `e_entry`.
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// `e_flags`: processor-specific.
    pub fn flags(&self) -> u32 {
        self.flags
    }

    /// All program headers.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// The first program header of type `kind`.
    pub fn segment(&self, kind: ProgramType) -> Option<&Segment> {
        self.segments.iter().find(|s| s.kind == kind)
    }

    /// File content of a segment, as far as it lies inside the file.
    pub fn segment_bytes(&self, segment: &Segment) -> Option<&'a [u8]> {
        let at = usize::try_from(segment.offset).ok()?;
        let len = usize::try_from(segment.filesz).ok()?;
        self.data.get(at..at.checked_add(len)?)
    }

    /// File bytes from virtual address `vaddr` to the end of the file-backed
    /// part of the PT_LOAD that holds it, and of those that continue it in
    /// memory and in the file: patchelf lets tables begin in one and end in the
    /// next, or in the rest of its last page, which is mapped as well.
    pub fn bytes_at(&self, vaddr: u64) -> Option<&'a [u8]> {
        let loads = || self.segments.iter().filter(|s| s.kind == elf::PT_LOAD);
        // After strip a segment may end before what patchelf puts into its page.
        let page_end = |s: &Segment| match s.filesz == s.memsz {
            true => s
                .vaddr
                .checked_add(s.filesz)?
                .checked_next_multiple_of(4096),
            false => None,
        };
        let load = loads()
            .find(|s| vaddr >= s.vaddr && vaddr - s.vaddr < s.filesz)
            .or_else(|| {
                loads().find(|s| vaddr >= s.vaddr && page_end(s).is_some_and(|end| vaddr < end))
            })?;
        let start = usize::try_from(load.offset.checked_add(vaddr - load.vaddr)?).ok()?;
        let mut end = load.offset.checked_add(load.filesz)?;
        let mut next = load.vaddr.checked_add(load.filesz)?;
        let mut last = load;
        // PT_LOADs are in ascending order, so that each is looked at once.
        for more in loads().filter(|s| s.vaddr > load.vaddr && s.filesz > 0) {
            if (more.offset, more.vaddr) == (end, next) {
                end = end.checked_add(more.filesz)?;
                next = next.checked_add(more.filesz)?;
                last = more;
            }
        }
        if last.filesz == last.memsz {
            end = end.checked_add(next.checked_next_multiple_of(4096)? - next)?;
        }
        let end = usize::try_from(end).ok()?;
        self.data.get(start..end.min(self.data.len()))
    }

    /// Lowest address and length of the span of PT_LOAD segments, page-aligned
    /// (4 KiB), as the loader maps it.
    pub fn load_span(&self) -> Option<(u64, u64)> {
        let loads = || self.segments.iter().filter(|s| s.kind == elf::PT_LOAD);
        let start = loads().map(|s| s.vaddr).min()? & !0xfff;
        let end = loads()
            .filter_map(|s| s.vaddr.checked_add(s.memsz)?.checked_next_multiple_of(4096))
            .max()?;
        Some((start, end.checked_sub(start)?))
    }

    /// The interpreter (PT_INTERP), without NUL.
    pub fn interpreter(&self) -> Option<&'a [u8]> {
        let bytes = self.segment_bytes(self.segment(elf::PT_INTERP)?)?;
        Some(bytes.split(|&b| b == 0).next().unwrap_or(bytes))
    }

    /// The notes that indir cares about.
    pub fn notes(&self) -> Notes<'a> {
        let mut notes = Notes::default();
        for segment in self.segments.iter().filter(|s| s.kind == elf::PT_NOTE) {
            if let Some(bytes) = self.segment_bytes(segment) {
                notes.scan(bytes, segment.align as usize);
            }
        }
        notes
    }

    /// The GNU build-id, whole.
    pub fn build_id(&self) -> Option<&'a [u8]> {
        self.notes().build_id
    }
}

/// GNU ld takes any text as a linker script; `/* GNU ld script` is how glibc's
/// begin, and a first statement names the others.
fn looks_like_linker_script(data: &[u8]) -> bool {
    let head = data.get(..data.len().min(4096)).unwrap_or(data);
    [&b"GROUP"[..], b"INPUT", b"OUTPUT_FORMAT", b"GNU ld script"]
        .iter()
        .any(|word| head.windows(word.len()).any(|w| w == *word))
}
