//! The change of bytes: another interpreter, and the `indir` note.
//!
//! Notes move together into one block, and the interpreter's path stays in front of
//! all sections, in the room that they leave; where that is too small it moves with
//! them. (patchelf up to 0.14 moves every section that lies in front of the path that
//! it replaces in an executable at a fixed address.) Three ways, the first that is
//! possible is taken:
//! 1. into spare room at the end of a read-only segment: no header is added,
//!    the file keeps its length, and payloads behind it stay where they are;
//! 2. into a new segment at the end, the program headers growing in place over
//!    what moved away;
//! 3. the same with the program headers in the new segment. Its file offset
//!    differs from its address as that of the first segment does, because
//!    kernels before 5.18 compute AT_PHDR from that (a hole in the file may
//!    come of it).
//!
//! Sources: gABI chapter 5; Linux fs/binfmt_elf.c.

use indir_shim::format::layout::ID_LEN;
use indir_shim::format::note;
use object::elf;

use super::append::{Appended, append, in_front};
use super::block::{Block, host, pad};
use super::error::AdoptError;
use super::image::Image;
use super::layout::{ALIGN, EHDR, PHDR, half, word, write_headers};
use super::sections::SectionTable;
use super::spare::{self, Spare};
use crate::arch::Arch;
use crate::artefacts::ROOM;
use crate::elf::{ElfFile, MappedElf};

/// Shortest build-id that is taken for unique, in bytes (MD5's length).
const SHORTEST_ID: usize = 16;
/// Linux refuses an interpreter of this length or more (PATH_MAX).
const MAX_INTERPRETER: usize = 4096;
/// Program headers that the shim accepts (`indir_shim::interp::exe::MAX_PHDRS`).
const MAX_PHDRS: usize = 256;

/// What came of an executable.
#[derive(Clone, Debug)]
pub enum Edited<'a> {
    /// The bytes of the indirect one.
    Changed {
        /// The whole file.
        image: Image<'a>,
        /// What identifies it.
        id: Vec<u8>,
        /// The program headers had to move, which strip and objcopy do not
        /// expect.
        headers_moved: bool,
    },
    /// It was indirect already.
    Already,
}

/// The executable `source` with `shim` as its interpreter and an `indir` note, which
/// names the interpreter that it had and `places`, further references to tables.
///
/// # Errors
/// See [`AdoptError`].
pub fn adopt<'a>(
    source: &'a MappedElf,
    shim: &[u8],
    places: &[Vec<u8>],
) -> Result<Edited<'a>, AdoptError> {
    let file = source.elf()?;
    let notes = file.notes();
    if notes.reference.is_some() && file.interpreter().is_some() {
        return Ok(Edited::Already);
    }
    let mut id = [0; ID_LEN];
    if notes.build_id.is_none_or(|own| own.len() < SHORTEST_ID) {
        let digest = Image::of_file(source).digest();
        id.copy_from_slice(digest.get(..ID_LEN).unwrap_or(&[0; ID_LEN]));
    }
    // Files without one are refused below.
    let interpreter = file.interpreter().unwrap_or(b"/");
    if !interpreter.starts_with(b"/") || interpreter.len() >= note::MAX_REFERENCE {
        return Err(AdoptError::Layout("its interpreter has no absolute path"));
    }
    let strings = strings(interpreter, places);
    let bare = own_note(&id, &strings);
    let roomy = own_note(&id, &[&*strings, &[0; ROOM]].concat());
    let Appended {
        image,
        headers_moved,
    } = edit(source, &file, shim, &[&roomy, &bare])?;
    let own = Some(&id[..]).filter(|id| id.iter().any(|&byte| byte != 0));
    Ok(Edited::Changed {
        image,
        id: own.or(notes.build_id).unwrap_or_default().to_vec(),
        headers_moved,
    })
}

/// The executable `source` with another interpreter and nothing else.
///
/// # Errors
/// See [`AdoptError`].
pub fn with_interpreter<'a>(
    source: &'a MappedElf,
    interpreter: &[u8],
) -> Result<Image<'a>, AdoptError> {
    Ok(edit(source, &source.elf()?, interpreter, &[])?.image)
}

/// The strings of the note.
fn strings(interpreter: &[u8], places: &[Vec<u8>]) -> Vec<u8> {
    let all = [note::DEFAULT_REFERENCE.as_bytes(), interpreter].into_iter();
    let all = all.chain(places.iter().map(Vec::as_slice));
    all.flat_map(|text| text.iter().copied().chain([0]))
        .collect()
}

/// The note, as `linker-plugin/src/object.rs` encodes it for linkers.
fn own_note(id: &[u8; ID_LEN], strings: &[u8]) -> Vec<u8> {
    let desc_len = ID_LEN + strings.len();
    let mut out = Vec::new();
    for word in [note::OWNER.len() as u32, desc_len as u32, note::TYPE] {
        out.extend_from_slice(&word.to_le_bytes());
    }
    out.extend_from_slice(note::OWNER);
    pad(&mut out, 4);
    out.extend_from_slice(id);
    out.extend_from_slice(strings);
    pad(&mut out, 4);
    out
}

/// With `interp` as the interpreter and the first of `notes` that needs no room of its
/// own, or the first.
fn edit<'a>(
    source: &'a MappedElf,
    file: &ElfFile<'_>,
    interp: &[u8],
    notes: &[&[u8]],
) -> Result<Appended<'a>, AdoptError> {
    if Arch::of(file.machine()).is_none() {
        return Err(AdoptError::Machine);
    }
    let Some(old_interp) = file.segment(elf::PT_INTERP).copied() else {
        return Err(no_interpreter(file));
    };
    if interp.is_empty() || interp.len() + 1 >= MAX_INTERPRETER || interp.contains(&0) {
        return Err(AdoptError::Layout(
            "the path of the interpreter is too long",
        ));
    }
    let data = file.data();
    let phoff = word(data, 32).unwrap_or(0);
    if half(data, 54).map(usize::from) != Some(PHDR) {
        return Err(AdoptError::Layout(
            "its program headers are of another size",
        ));
    }
    if file.segments().len() + 4 > MAX_PHDRS {
        return Err(AdoptError::Layout("it has too many program headers"));
    }
    let sections = SectionTable::read(data);
    let headers = (phoff, (file.segments().len() * PHDR) as u64);
    let taken = [(0, EHDR), headers];

    let sections = sections.as_ref();
    let spare = |block: &Block| spare::find(file, sections, &taken, block.len(), ALIGN);
    let in_spare = |block: &Block, spare| Appended {
        image: into_spare(source, file, sections, block, spare),
        headers_moved: false,
    };
    let old_notes = || file.segments().iter().filter(|s| s.kind == elf::PT_NOTE);
    let host = notes.first().and_then(|_| host(file));
    let own_header = !notes.is_empty() && host.is_none();
    // The interpreter stays in front.
    let build_lean = |note: &[u8]| -> Result<Block, AdoptError> {
        let mut block = Block::default();
        block.interpreter_in_front(&old_interp, interp);
        block.note(file, host, note)?;
        old_notes().try_for_each(|segment| block.keep(file, segment))?;
        Ok(block)
    };
    let build = |note: Option<&[u8]>| -> Result<Block, AdoptError> {
        let mut block = Block::default();
        block.interpreter(&old_interp, interp);
        if let Some(note) = note {
            block.note(file, host, note)?;
        }
        Ok(block)
    };
    if !own_header {
        let from = headers.0 + headers.1;
        for note in notes {
            if let Some(block) = in_front(file, sections, build_lean(note)?, phoff, from)
                && let Some(spare) = spare(&block)
            {
                return Ok(in_spare(&block, spare));
            }
        }
        let each = notes.iter().map(|&note| Some(note));
        for note in each.chain(notes.is_empty().then_some(None)) {
            let block = build(note)?;
            if let Some(spare) = spare(&block) {
                return Ok(in_spare(&block, spare));
            }
        }
    }
    let note = notes.first().copied();
    let lean = note.map(build_lean).transpose()?;
    let mut block = build(note)?;
    // All notes make room for the headers.
    old_notes().try_for_each(|segment| block.keep(file, segment))?;
    append(source, file, sections, &block, lean, phoff)
}

/// What a file without an interpreter is.
pub(super) fn no_interpreter(file: &ElfFile<'_>) -> AdoptError {
    const DF_1_PIE: u64 = 0x0800_0000;
    let Ok(Some(dynamic)) = file.dynamic() else {
        return AdoptError::Static;
    };
    // Linkers give DT_DEBUG to executables only; the flag is younger.
    let pie = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0) & DF_1_PIE != 0;
    if file.kind() == elf::ET_EXEC || pie || dynamic.value(elf::DT_DEBUG).is_some() {
        AdoptError::Static
    } else {
        AdoptError::Library
    }
}

/// Way 1.
fn into_spare<'a>(
    source: &'a MappedElf,
    file: &ElfFile<'_>,
    sections: Option<&SectionTable>,
    block: &Block,
    spare: Spare,
) -> Image<'a> {
    let mut out = Image::of_file(source);
    let mut segments = block.follow(file.segments(), spare.offset, spare.vaddr);
    if let Some(load) = segments.get_mut(spare.load) {
        load.filesz = spare.offset + block.len() - load.offset;
        load.memsz = load.filesz;
    }
    block.write(&mut out, sections, spare.offset, spare.vaddr, &[]);
    let phoff = word(file.data(), 32).unwrap_or(0);
    write_headers(&mut out, &segments, phoff);
    out
}
