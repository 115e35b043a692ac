//! `.eh_frame`: which bytes are a function, and how exceptions pass through it.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::cursor::{Cursor, OMIT};
use super::flaw::Flaw;
use super::image::Image;

/// Most frames of one library.
const MAX_FRAMES: usize = 4 << 20;

/// One FDE.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// First address of the code.
    pub(super) start: u64,
    /// The address behind it.
    pub(super) end: u64,
    /// Where its exception table is.
    pub(super) lsda: Option<u64>,
    /// Where its personality function, or the pointer to it, is.
    pub(super) personality: Option<u64>,
    /// A sum of the instructions that unwind it.
    pub(super) unwinding: u64,
}

/// What a CIE says of its FDEs.
struct Common {
    pointers: u8,
    lsda: u8,
    augmented: bool,
    personality: Option<u64>,
    sum: [u8; 32],
}

/// The frames of a library, in the order of the file.
///
/// # Errors
/// When the section contradicts itself.
pub(super) fn read(image: &Image<'_>) -> Result<Vec<Frame>, Flaw> {
    let Some(section) = image.section(b".eh_frame") else {
        return Ok(Vec::new());
    };
    let bytes = image.bytes(section.start, section.end - section.start);
    let bytes = bytes.ok_or(Flaw::Malformed("`.eh_frame` lies outside of the file"))?;
    read_all(bytes, section.start).ok_or(Flaw::Malformed("`.eh_frame` cannot be read"))
}

fn read_all(bytes: &[u8], address: u64) -> Option<Vec<Frame>> {
    let mut commons: HashMap<usize, Common> = HashMap::new();
    let mut frames = Vec::new();
    let mut at = 0_usize;
    while at + 4 <= bytes.len() {
        let mut cursor = Cursor::new(bytes, address).go(at);
        let len = cursor.word()? as usize;
        if len == 0 {
            at += 4;
            continue;
        }
        let id_at = cursor.at();
        let end = id_at.checked_add(len)?;
        // 64-bit lengths are longer than any section that is read here.
        let entry = bytes.get(..end)?;
        let mut cursor = Cursor::new(entry, address).go(id_at);
        let id = cursor.word()? as usize;
        if id == 0 {
            commons.insert(at, common(cursor, entry)?);
        } else {
            let common = commons.get(&id_at.checked_sub(id)?)?;
            if let Some(frame) = frame(cursor, entry, common)? {
                frames.push(frame);
            }
        }
        if frames.len() > MAX_FRAMES {
            return None;
        }
        at = end;
    }
    Some(frames)
}

fn common(mut cursor: Cursor<'_>, entry: &[u8]) -> Option<Common> {
    cursor.byte()?;
    let augmentation = cursor.text()?;
    cursor.unsigned()?;
    cursor.signed()?;
    cursor.unsigned()?;
    let mut common = Common {
        pointers: 0,
        lsda: OMIT,
        augmented: augmentation.first() == Some(&b'z'),
        personality: None,
        sum: [0; 32],
    };
    if common.augmented {
        cursor.unsigned()?;
        for letter in augmentation.iter().skip(1) {
            match letter {
                b'R' => common.pointers = cursor.byte()?,
                b'L' => common.lsda = cursor.byte()?,
                b'P' => {
                    let encoding = cursor.byte()?;
                    common.personality = cursor.pointer(encoding)?;
                }
                b'S' | b'B' => {}
                _ => return None,
            }
        }
    }
    let mut sum = Sha256::new();
    sum.update(augmentation);
    sum.update(trimmed(entry.get(cursor.at()..)?));
    common.sum = sum.finalize().into();
    Some(common)
}

/// `Some(None)` for a function that the linker threw away.
fn frame(mut cursor: Cursor<'_>, entry: &[u8], common: &Common) -> Option<Option<Frame>> {
    let start = cursor.pointer(common.pointers)?;
    let len = cursor.length(common.pointers)?;
    let mut lsda = None;
    if common.augmented {
        let size = usize::try_from(cursor.unsigned()?).ok()?;
        let mut data = cursor;
        if size > 0 {
            lsda = data.pointer(common.lsda)?;
        }
        cursor.take(size)?;
    }
    let mut sum = Sha256::new();
    sum.update(common.sum);
    sum.update(trimmed(entry.get(cursor.at()..)?));
    let sum: [u8; 32] = sum.finalize().into();
    let Some(start) = start else {
        return Some(None);
    };
    Some(Some(Frame {
        start,
        end: start.checked_add(len)?,
        lsda,
        personality: common.personality,
        unwinding: u64::from_le_bytes(*sum.first_chunk()?),
    }))
}

/// Without the DW_CFA_nop at the end, which align what follows.
fn trimmed(bytes: &[u8]) -> &[u8] {
    let len = bytes.iter().rposition(|&b| b != 0).map_or(0, |at| at + 1);
    bytes.get(..len).unwrap_or(bytes)
}
