//! What may change in the `indir` note of a file: the strings behind its reference.
//!
//! The note keeps its length, so that nothing else of the file changes: the recorded
//! interpreter, then further places of tables, then zero bytes.

use std::ops::Range;

use indir_shim::format::layout::ID_LEN;
use indir_shim::format::note::is_reference;

use super::table::PlaceError;
use crate::elf::{ElfError, ElfFile};

/// The owner with its padding, in bytes.
const OWNER_LEN: usize = 8;
/// Type of a note that says nothing any more.
const RETIRED: u32 = 0;

/// Why a note cannot say what it should.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// It is not usable as ELF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// There is no note that could be changed.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// A place that is none.
    #[error(
        "`{0}` is no place for a table that is found from everywhere: give an absolute path, with `$ID` for the id"
    )]
    Reference(String),
    /// They do not fit.
    #[error(
        "its `indir` note has {0} bytes for places of tables, and {1} are needed (link it again with `indir-ld`, or take a shorter path)"
    )]
    NoRoom(usize, usize),
}

/// Checks that `place` can be a further place of a table.
///
/// # Errors
/// When it is not an absolute path.
pub fn check_reference(place: &[u8]) -> Result<(), NoteError> {
    if place.starts_with(b"/") && is_reference(place) && !place.contains(&0) {
        Ok(())
    } else {
        Err(NoteError::Reference(
            String::from_utf8_lossy(place).into_owned(),
        ))
    }
}

/// Adds `places`, unless they are there, to the note of the file in `data`.
///
/// # Errors
/// When there is no note, or no room in it.
pub fn add_places(data: &mut [u8], places: &[Vec<u8>]) -> Result<(), NoteError> {
    let file = ElfFile::parse(data)?;
    let notes = file.notes();
    let interpreter = notes.interpreter.map(|text| text.to_bytes().to_vec());
    let all = all_places(&file, places);
    write(data, &interpreter.unwrap_or_default(), &all)
}

/// Takes the recorded interpreter out of the note of the file in `data`, and adds
/// `places` as [`add_places`] does.
///
/// # Errors
/// When there is no note, or no room in it.
pub fn blank_interpreter(data: &mut [u8], places: &[Vec<u8>]) -> Result<(), NoteError> {
    let all = all_places(&ElfFile::parse(data)?, places);
    write(data, b"", &all)
}

/// Takes the type from the `indir` note of the file in `data`, so that nobody takes the
/// file for an indirect executable; all else of the note stays.
///
/// # Errors
/// When there is no note.
pub fn retire(data: &mut [u8]) -> Result<(), NoteError> {
    // The type is the last word of the header, before the owner and the id.
    let start = desc(data)?.start;
    let kind = start.saturating_sub(OWNER_LEN + 4);
    let kind = data.get_mut(kind..kind + 4);
    kind.unwrap_or_default()
        .copy_from_slice(&RETIRED.to_le_bytes());
    Ok(())
}

/// Those of the note, then those that are new.
fn all_places(file: &ElfFile<'_>, places: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = file.notes().places().map(<[u8]>::to_vec).collect();
    for place in places {
        if !all.contains(place) {
            all.push(place.clone());
        }
    }
    all
}

fn write(data: &mut [u8], interpreter: &[u8], places: &[Vec<u8>]) -> Result<(), NoteError> {
    let range = range(data)?;
    let mut text = Vec::new();
    for part in std::iter::once(interpreter).chain(places.iter().map(Vec::as_slice)) {
        text.extend_from_slice(part);
        text.push(0);
    }
    // Notes of older versions have no room, not even for the end of nothing.
    if text.iter().all(|&byte| byte == 0) {
        text.clear();
    }
    let slot = data.get_mut(range).unwrap_or_default();
    let (len, needed) = (slot.len(), text.len());
    let Some((front, rest)) = slot.split_at_mut_checked(needed) else {
        return Err(NoteError::NoRoom(len, needed));
    };
    front.copy_from_slice(&text);
    rest.fill(0);
    Ok(())
}

/// Where in the file the strings behind the reference are.
fn range(data: &[u8]) -> Result<Range<usize>, NoteError> {
    let file = ElfFile::parse(data)?;
    let desc = desc(data)?;
    let reference = file.notes().reference.map_or(0, <[u8]>::len);
    let start = desc.start + ID_LEN + reference + 1;
    if start > desc.end {
        return Err(NoteError::Place(PlaceError::MalformedNote));
    }
    Ok(start..desc.end)
}

/// Where in the file the content of the note is, which begins with the id.
fn desc(data: &[u8]) -> Result<Range<usize>, NoteError> {
    let file = ElfFile::parse(data)?;
    let notes = file.notes();
    let Some(reference) = notes.reference else {
        let malformed = notes.malformed;
        return Err(NoteError::Place(if malformed {
            PlaceError::MalformedNote
        } else {
            PlaceError::NoNote
        }));
    };
    let start = reference.as_ptr().addr() - data.as_ptr().addr() - ID_LEN;
    // Before the owner is the header of three words, whose second is the length.
    let len = start.checked_sub(OWNER_LEN + 8).and_then(|at| {
        let word = data.get(at..)?.first_chunk::<4>()?;
        usize::try_from(u32::from_le_bytes(*word)).ok()
    });
    let end = len.and_then(|len| start.checked_add(len));
    let end = end.filter(|&end| end <= data.len());
    let end = end.ok_or(NoteError::Place(PlaceError::MalformedNote))?;
    Ok(start..end)
}
