//! Programs without indir again: with the bytes that they had, or else with the
//! interpreter that they record.
//!
//! The second is for what was linked by `indir-ld`, which never had other bytes, and for
//! what was changed since it was adopted: the path of the interpreter takes the place of
//! the shim's, and the `indir` note loses its type, so that nothing takes the file for
//! indirect. Run paths are in the file already. A sealed program records no interpreter
//! and stays.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use object::elf;

use super::edit::with_interpreter;
use super::image::Image;
use super::{save, undo};
use crate::elf::MappedElf;
use crate::place::{self, Place, PlaceError};

/// What an executable has again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restored {
    /// All of its bytes.
    Bytes,
    /// The interpreter that it records.
    Interpreter,
    /// Nothing: it is not indirect.
    Nothing,
}

/// Makes the executable at `exe` independent of indir, in place, unless `dry_run`;
/// the path of its table, which is of no use then if nobody else has that id.
///
/// # Errors
/// When its bytes are not known and no interpreter is recorded that is there, or a file
/// cannot be written.
pub fn restore_file(exe: &Path, dry_run: bool) -> anyhow::Result<(Restored, Option<PathBuf>)> {
    let exe = exe.canonicalize()?;
    let exe = exe.as_path();
    // The error alone: its source would say the same again.
    let source = MappedElf::open(exe).map_err(|error| anyhow!("{error}"))?;
    let place = match Place::of(exe, &source.elf()?.notes()) {
        Err(PlaceError::NoNote) => return Ok((Restored::Nothing, None)),
        other => other?,
    };
    let original = || {
        if crate::elf::is_privileged(exe) {
            undo::check_trust(&place, &source)?;
        }
        undo::load(exe, &source)
    };
    let (image, restored) = match original() {
        Ok(image) => (image, Restored::Bytes),
        // A patch that is there and cannot be used may be mended.
        Err(error) if !error.is::<undo::Unknown>() => return Err(error),
        Err(unknown) => {
            let bytes = independent(&source).map_err(|error| {
                anyhow!("{error:#}; its original bytes are not known either: {unknown:#}")
            })?;
            (Image::over(&source, &bytes), Restored::Interpreter)
        }
    };
    if dry_run {
        save::check_in_place(exe, &source)?;
    } else {
        let replacement = save::Replacement::of_file(exe, &source, &image, &place)?;
        save::check_unchanged(&source)?;
        replacement.publish()?;
    }
    Ok((restored, Some(place.path)))
}

/// The executable with the interpreter that it records, and a note that says nothing.
fn independent(source: &MappedElf) -> anyhow::Result<Vec<u8>> {
    let file = source.elf()?;
    let Some(recorded) = file.notes().interpreter else {
        bail!("it is sealed, so that it does not say which interpreter it had: link it again");
    };
    let recorded = recorded.to_bytes();
    let path = Path::new(OsStr::from_bytes(recorded));
    if !path.exists() {
        bail!(
            "its interpreter `{}` is not there: install that, or link it again",
            path.display()
        );
    }
    let segment = file.segment(elf::PT_INTERP);
    let segment = segment.context("it has no interpreter")?;
    let start = usize::try_from(segment.offset)?;
    let end = start.saturating_add(usize::try_from(segment.filesz)?);
    let mut bytes = source.bytes().to_vec();
    match bytes.get_mut(start..end) {
        // The kernel wants a NUL at the end, and reads up to the first.
        Some(room) if recorded.len() < room.len() => {
            room.fill(0);
            for (to, from) in room.iter_mut().zip(recorded) {
                *to = *from;
            }
        }
        _ => bytes = with_interpreter(source, recorded)?.to_vec(),
    }
    place::retire(&mut bytes)?;
    Ok(bytes)
}
