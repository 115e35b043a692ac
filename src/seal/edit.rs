//! The change of bytes: what names a library build is blanked where it stands.
//!
//! No byte moves but entries of the dynamic section, which close up when a run path
//! goes (as `chrpath -d`, CMake and patchelf do), so that strip, objcopy and patchelf
//! find a file as they expect one. Strings that some tool left in the string table
//! although nobody refers to them any more are blanked if they look like paths.

use std::path::PathBuf;

use object::elf::{self, DynamicTag};

use super::folders::Package;
use super::strings::{NAMING_TAGS, Used};
use crate::elf::{Dynamic, ElfError, ElfFile};
use crate::place::{self, NoteError};
use crate::table::SEPARATOR;

const ENTRY: usize = 16;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Shared libraries too.
    pub libraries: bool,
    /// Further places of tables for the notes of executables.
    pub places: Vec<Vec<u8>>,
    /// Further folders of the same package; what is no folder counts for nothing.
    pub own: Vec<PathBuf>,
}

/// Why a file cannot be sealed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// It is not usable as ELF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Its note cannot be changed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// There is no room for what has to stay.
    #[error(
        "its run path `{0}` is shared with other strings, and there is no room for what of it has to stay; link it with `$ORIGIN` in its run path"
    )]
    NoRoom(String),
}

/// The bytes of `data` sealed; the same if there was nothing to do.
///
/// # Errors
/// See [`SealError`].
pub(super) fn seal(
    data: &[u8],
    package: &Package,
    options: &Options,
) -> Result<Vec<u8>, SealError> {
    let mut out = data.to_vec();
    let file = ElfFile::parse(data)?;
    if file.interpreter().is_some() && file.notes().reference.is_some() {
        place::blank_interpreter(&mut out, &options.places)?;
    }
    // One at a time: each may move the entries behind it.
    while let Some(bytes) = settle(&out, package)? {
        out = bytes;
    }
    blank_leftovers(&mut out)?;
    Ok(out)
}

fn is_run_path(tag: DynamicTag) -> bool {
    matches!(tag, elf::DT_RPATH | elf::DT_RUNPATH)
}

/// `data` with one run path as it should be; `None` if all are.
fn settle(data: &[u8], package: &Package) -> Result<Option<Vec<u8>>, SealError> {
    let file = ElfFile::parse(data)?;
    let Some(dynamic) = file.dynamic()? else {
        return Ok(None);
    };
    for (index, &(tag, offset)) in dynamic.entries.iter().enumerate() {
        if !is_run_path(tag) {
            continue;
        }
        let old = dynamic.string(offset)?;
        let lists = package.lists(old);
        if lists.iter().any(|list| list == old && !list.is_empty()) && fits_no_better(&lists, old) {
            continue;
        }
        let mut out = data.to_vec();
        if lists.iter().all(Vec::is_empty) {
            remove(&mut out, &file, index);
            return Ok(Some(out));
        }
        let free = free(&file, &dynamic, index)?;
        for list in &lists {
            if list == old {
                break;
            }
            if let Some(at) = room(free.as_ref(), offset, list.len() + 1) {
                write(&mut out, &file, &dynamic, (index, at), list);
                return Ok(Some(out));
            }
        }
        if lists.iter().any(|list| list == old) {
            continue;
        }
        let old = String::from_utf8_lossy(old).into_owned();
        return Err(SealError::NoRoom(old));
    }
    Ok(None)
}

/// Whether `old` is the best of `lists`.
fn fits_no_better(lists: &[Vec<u8>; 2], old: &[u8]) -> bool {
    lists.first().is_some_and(|best| best == old)
}

/// The bytes that nobody but the run path `index` uses.
fn free(file: &ElfFile<'_>, dynamic: &Dynamic<'_>, index: usize) -> Result<Option<Used>, ElfError> {
    let Some(mut used) = Used::by_others(file, dynamic)? else {
        return Ok(None);
    };
    for (other, &(tag, offset)) in dynamic.entries.iter().enumerate() {
        if is_run_path(tag) && other != index {
            used.mark(dynamic.strings, offset);
        }
    }
    Ok(Some(used))
}

/// Where `len` bytes can be written: where the run path is, else anywhere.
fn room(free: Option<&Used>, offset: u64, len: usize) -> Option<u64> {
    let free = free?;
    if free.free_from(offset) >= len {
        return Some(offset);
    }
    let mut runs = free.free().into_iter();
    let fit = runs.find(|&(_, room)| room >= len);
    fit.map(|(at, _)| at as u64)
}

/// Writes `list` at `at` of the string table, and makes the entry `index` name it. What
/// is left of the old string is left over.
fn write(
    out: &mut [u8],
    file: &ElfFile<'_>,
    dynamic: &Dynamic<'_>,
    (index, at): (usize, u64),
    list: &[u8],
) {
    let strings = position(file, dynamic.strings) + at as usize;
    let text = [list, b"\0"].concat();
    if let Some(slot) = out.get_mut(strings..strings + text.len()) {
        slot.copy_from_slice(&text);
    }
    let Some(entries) = entries(file) else { return };
    let value = entries + index * ENTRY + 8;
    if let Some(slot) = out.get_mut(value..value + 8) {
        slot.copy_from_slice(&at.to_le_bytes());
    }
}

/// Removes the entry `index`; those behind it move up.
fn remove(out: &mut [u8], file: &ElfFile<'_>, index: usize) {
    let Some(start) = entries(file) else { return };
    let first = start + index * ENTRY;
    let count = file
        .dynamic()
        .ok()
        .flatten()
        .map_or(0, |dynamic| dynamic.entries.len());
    let end = start + count * ENTRY;
    if let Some(slots) = out.get_mut(first..end) {
        slots.copy_within(ENTRY.., 0);
        let last = slots.len() - ENTRY;
        slots.get_mut(last..).unwrap_or_default().fill(0);
    }
}

/// Blanks strings with a slash that nobody refers to.
fn blank_leftovers(data: &mut [u8]) -> Result<(), ElfError> {
    for (at, len) in leftovers(&ElfFile::parse(data)?)? {
        data.get_mut(at..at + len).unwrap_or_default().fill(0);
    }
    Ok(())
}

/// Where in the file such strings are.
fn leftovers(file: &ElfFile<'_>) -> Result<Vec<(usize, usize)>, ElfError> {
    let Some(dynamic) = file.dynamic()? else {
        return Ok(Vec::new());
    };
    let Some(used) = free(file, &dynamic, usize::MAX)? else {
        return Ok(Vec::new());
    };
    let start = position(file, dynamic.strings);
    let mut found = Vec::new();
    for (at, len) in used.free() {
        let bytes = dynamic.strings.get(at..at + len).unwrap_or_default();
        let mut offset = at;
        for text in bytes.split_inclusive(|&byte| byte == 0) {
            if text.contains(&b'/') {
                found.push((start + offset, text.len()));
            }
            offset += text.len();
        }
    }
    Ok(found)
}

/// File offset of `bytes`, which are a part of `file`.
fn position(file: &ElfFile<'_>, bytes: &[u8]) -> usize {
    bytes
        .as_ptr()
        .addr()
        .saturating_sub(file.data().as_ptr().addr())
}

/// File offset of the dynamic section.
fn entries(file: &ElfFile<'_>) -> Option<usize> {
    let segment = file.segment(elf::PT_DYNAMIC)?;
    Some(position(file, file.bytes_at(segment.vaddr)?))
}

/// What in `data` still names a library, an interpreter or a folder of another package;
/// each in a few words.
///
/// # Errors
/// When it is malformed.
pub(super) fn names(
    data: &[u8],
    package: &Package,
    is_program: bool,
) -> Result<Vec<String>, SealError> {
    let file = ElfFile::parse(data)?;
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if is_program {
        let notes = file.notes();
        if let Some(interpreter) = notes.interpreter {
            let path = text(interpreter.to_bytes());
            found.push(format!("its note records the interpreter `{path}`"));
        }
        if notes.reference.is_none() {
            let path = text(file.interpreter().unwrap_or_default());
            found.push(format!("its interpreter is `{path}`: it is not indirect"));
        }
    }
    let Some(dynamic) = file.dynamic()? else {
        return Ok(found);
    };
    for &(tag, value) in &dynamic.entries {
        if is_run_path(tag) {
            for folder in dynamic.string(value)?.split(|&byte| byte == SEPARATOR) {
                if !package.is_own(folder) {
                    found.push(format!("its run path names `{}`", text(folder)));
                }
            }
        } else if NAMING_TAGS.contains(&tag) {
            let name = dynamic.string(value)?;
            if name.contains(&b'/') {
                found.push(format!("it needs `{}` by its path", text(name)));
            }
        }
    }
    for (at, len) in leftovers(&file)? {
        let bytes = data.get(at..at + len).unwrap_or_default();
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        found.push(format!("its string table holds `{}`", text(bytes)));
    }
    Ok(found)
}
