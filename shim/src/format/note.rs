//! The notes of an executable: where its table is, and what identifies it.
//!
//! The `indir` note (type 1) holds an id of [`ID_LEN`] bytes, and then strings
//! that end in NUL: a table reference, the interpreter that the link asked for,
//! further references. A zero id means "use the GNU build-id". A reference is an
//! absolute path or begins with `$ORIGIN`, and may contain `$ID`, which stands
//! for the id in lower-case hexadecimal. The interpreter is an absolute path, or
//! empty where there is none. Empty strings after it
//! are room for more.
//! Layout of a note: gABI, "Note Section".

use core::ffi::CStr;

use crate::format::layout::ID_LEN;

/// Owner of the note, with its NUL.
pub const OWNER: &[u8] = b"indir\0";
/// Type of the note.
pub const TYPE: u32 = 1;
/// Type of the note that marks a stub: a library to link against, never to
/// load. Its content is the ABI digest.
pub const TYPE_STUB: u32 = 2;
/// Type of the note that marks a shim, which cannot serve as ld.so.
pub const TYPE_SHIM: u32 = 3;
/// Name of the section in linker inputs.
pub const SECTION: &str = ".note.indir";
/// Reference that `indir-ld` writes unless told otherwise.
pub const DEFAULT_REFERENCE: &str = "$ORIGIN/.indir/$ID";
/// Beside an executable in a folder where everybody may make files, the tables
/// of one owner's programs are in this, followed by the owner's number.
pub const OWNERS_FOLDER: &str = "/.indir.";
/// Longest reference, in bytes.
pub const MAX_REFERENCE: usize = 3072;

const GNU_OWNER: &[u8] = b"GNU\0";
const NT_GNU_BUILD_ID: u32 = 3;

/// What the notes of an executable say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notes<'a> {
    /// The table reference, without NUL; `None` if there is no `indir` note.
    pub reference: Option<&'a [u8]>,
    /// The interpreter for a start without any table; its NUL is there.
    pub interpreter: Option<&'a CStr>,
    /// What follows the interpreter, see [`Notes::places`].
    more: &'a [u8],
    /// The id of the `indir` note, unless it is zero.
    pub own_id: Option<&'a [u8]>,
    /// The GNU build-id, cut to [`ID_LEN`] bytes.
    pub build_id: Option<&'a [u8]>,
    /// The ABI digest, if the file is a stub.
    pub stub: Option<&'a [u8]>,
    /// The file is a shim.
    pub shim: bool,
    /// An `indir` note was found that is not well-formed.
    pub malformed: bool,
}

impl<'a> Notes<'a> {
    /// What identifies the executable, if anything does.
    pub fn id(&self) -> Option<&'a [u8]> {
        self.own_id.or(self.build_id)
    }

    /// Further references to tables, in the order in which they are tried.
    pub fn places(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.more
            .split(|&b| b == 0)
            .filter(|place| !place.is_empty())
    }

    /// Adds what the notes in `bytes` say: the content of one PT_NOTE segment
    /// with alignment `align` (4 or 8; gABI allows both).
    pub fn scan(&mut self, mut bytes: &'a [u8], align: usize) {
        while let Some((note, rest)) = next(bytes, align) {
            if note.owner == OWNER && note.kind == TYPE {
                match parse_own(note.desc) {
                    Some(own) => {
                        self.reference = Some(own.reference);
                        self.own_id = own.id;
                        self.interpreter = own.interpreter;
                        self.more = own.more;
                    }
                    None => self.malformed = true,
                }
            } else if note.owner == OWNER && note.kind == TYPE_SHIM {
                self.shim = true;
            } else if note.owner == OWNER && note.kind == TYPE_STUB {
                self.stub = Some(note.desc);
            } else if note.owner == GNU_OWNER && note.kind == NT_GNU_BUILD_ID {
                let id = note.desc.get(..ID_LEN).unwrap_or(note.desc);
                if !id.is_empty() {
                    self.build_id = Some(id);
                }
            }
            bytes = rest;
        }
    }
}

/// One note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note<'a> {
    /// `n_name`, with its NUL.
    pub owner: &'a [u8],
    /// `n_type`.
    pub kind: u32,
    /// `n_desc`.
    pub desc: &'a [u8],
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..)?.first_chunk::<4>()?;
    Some(u32::from_le_bytes(*word))
}

/// The first note in `bytes`, the content of one PT_NOTE segment with alignment
/// `align` (4 or 8), and what follows it.
///
/// mold puts notes of either alignment into one segment of alignment 8, so
/// each note there is taken as 4-aligned, which the only 8-aligned kind,
/// `.note.gnu.property`, is too, and zero words between notes are skipped.
pub fn next(mut bytes: &[u8], align: usize) -> Option<(Note<'_>, &[u8])> {
    while align == 8 && word(bytes, 0) == Some(0) {
        bytes = bytes.get(4..)?;
    }
    split(bytes)
}

fn split(bytes: &[u8]) -> Option<(Note<'_>, &[u8])> {
    let name_len = word(bytes, 0)? as usize;
    let desc_len = word(bytes, 4)? as usize;
    let kind = word(bytes, 8)?;
    let name_end = 12usize.checked_add(name_len)?;
    let desc_at = name_end.checked_next_multiple_of(4)?;
    let desc_end = desc_at.checked_add(desc_len)?;
    let note = Note {
        owner: bytes.get(12..name_end)?,
        kind,
        desc: bytes.get(desc_at..desc_end)?,
    };
    // The last note's padding may be missing.
    let next = desc_end.checked_next_multiple_of(4)?;
    Some((note, bytes.get(next..).unwrap_or(&[])))
}

/// The content of an `indir` note.
struct Own<'a> {
    id: Option<&'a [u8]>,
    reference: &'a [u8],
    interpreter: Option<&'a CStr>,
    more: &'a [u8],
}

/// The string at the start of `bytes`, with its NUL, and what follows it.
fn string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = bytes.iter().position(|&b| b == 0)?;
    bytes.split_at_checked(len + 1)
}

fn parse_own(desc: &[u8]) -> Option<Own<'_>> {
    let (id, rest) = desc.split_at_checked(ID_LEN)?;
    let (reference, rest) = string(rest)?;
    let reference = reference.strip_suffix(b"\0")?;
    if !is_reference(reference) {
        return None;
    }
    // Notes of older versions end here.
    let (interpreter, more) = string(rest).unwrap_or((b"\0", rest));
    let interpreter = match interpreter {
        [0] => None,
        [b'/', ..] if interpreter.len() <= MAX_REFERENCE => crate::bytes::text(interpreter),
        _ => return None,
    };
    let mut places = more.split(|&b| b == 0);
    if !places.all(|place| place.is_empty() || is_reference(place)) {
        return None;
    }
    Some(Own {
        id: (!id.iter().all(|&b| b == 0)).then_some(id),
        reference,
        interpreter,
        more,
    })
}

/// Whether `text` may be a reference to a table.
pub fn is_reference(text: &[u8]) -> bool {
    (text.starts_with(b"/") || text.starts_with(b"$ORIGIN/")) && text.len() <= MAX_REFERENCE
}

/// Expands `reference` into `out`: `$ORIGIN` at its start becomes `origin`,
/// `$ID` becomes `id` in hexadecimal. Returns the length written, without the
/// NUL that follows it; `None` if `out` is too short.
pub fn expand(reference: &[u8], origin: &[u8], id: &[u8], out: &mut [u8]) -> Option<usize> {
    let mut len = 0;
    let mut put = |bytes: &[u8]| -> Option<()> {
        crate::bytes::put(out, len, bytes)?;
        len += bytes.len();
        Some(())
    };
    let mut rest = reference;
    if let Some(tail) = rest.strip_prefix(b"$ORIGIN") {
        put(origin)?;
        rest = tail;
    }
    while let Some((&byte, tail)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(b"$ID") {
            for &byte in id {
                put(&hex(byte))?;
            }
            rest = after;
        } else {
            put(&[byte])?;
            rest = tail;
        }
    }
    put(&[0])?;
    Some(len - 1)
}

/// `byte` in two lower-case hexadecimal digits.
pub const fn hex(byte: u8) -> [u8; 2] {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' + nibble - 10
        }
    }
    [digit(byte >> 4), digit(byte & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `.note.gnu.property` (8-aligned), a build-id, our note with an odd
    /// length, in one segment as mold lays it out.
    const MERGED: &[u8] =
        b"\x04\0\0\0\x10\0\0\0\x05\0\0\0GNU\0\x02\x80\0\xc0\x04\0\0\0\x01\0\0\0\0\0\0\0\
        \x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0bbbbbbbbbbbbbbbbbbbb\
        \x06\0\0\0\x17\0\0\0\x01\0\0\0indir\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0/a\0\0\
        \0\0\0\0";

    #[test]
    fn notes_of_both_alignments_in_one_segment() {
        for align in [4, 8] {
            let mut notes = Notes::default();
            notes.scan(MERGED, align);
            assert_eq!(notes.build_id, Some(&[b'b'; 20][..]));
            assert_eq!(notes.reference, Some(&b"/a"[..]));
            assert_eq!(notes.own_id, None);
            assert!(!notes.malformed);
        }
    }

    #[test]
    fn padding_before_an_aligned_note_is_skipped() {
        let mut bytes = MERGED[32..].to_vec();
        bytes.extend_from_slice(&MERGED[..32]);
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&MERGED[32..68]);
        let mut notes = Notes::default();
        notes.scan(&bytes, 8);
        assert!(notes.build_id.is_some() && notes.reference.is_some());
    }

    #[test]
    fn no_bytes_hang_or_panic() {
        for align in [4, 8] {
            for cut in 0..MERGED.len() {
                Notes::default().scan(&MERGED[..cut], align);
            }
            Notes::default().scan(&[0; 64], align);
            Notes::default().scan(&[0xff; 64], align);
        }
    }
}
