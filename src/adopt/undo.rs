//! What turns an adopted executable back into the original, byte for byte.
//!
//! A reverse patch in `.indir/<id>.<digest>.undo`, beside the table, since an
//! executable without its table folder does not start anyway, and since strip
//! and patchelf drop or move what an executable holds of its own. The digest in
//! the name is that of the adopted bytes, so that two builds with one id do not
//! meet, and a file that was changed since is told from one that was not.
//!
//! Format: [`MAGIC`]; length of the original, 8 bytes, little-endian; SHA-256
//! of the adopted bytes; SHA-256 of the original; then hunks to the end: how
//! many bytes are the same, how many differ (both LEB128), and the latter.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use sha2::{Digest as _, Sha256};

use super::save::refusal;
use crate::elf::MappedElf;
use crate::exit::Refused;
use crate::place::{Place, Tables, UNDO_SUFFIX, hex};
use crate::update::Plan;

/// With the version of the format.
const MAGIC: &[u8; 8] = b"INDIRUN1";
const DIGEST: usize = 32;
const HEADER: usize = MAGIC.len() + 8 + 2 * DIGEST;
/// Bytes by which a patch may be longer than what it is for; an original that was
/// longer by more than that was not adopted by us.
const MAX_MORE: u64 = 64 << 20;
/// Bytes of the digest that are in the name.
const IN_NAME: usize = 8;
/// Equal bytes between two hunks that are not worth a hunk of their own.
const GAP: usize = 2;

/// The patch that makes `original` of `adopted`.
pub(super) fn patch(original: &[u8], adopted: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(original.len() as u64).to_le_bytes());
    out.extend_from_slice(&Sha256::digest(adopted));
    out.extend_from_slice(&Sha256::digest(original));
    let common = original.len().min(adopted.len());
    let (head, tail) = original.split_at_checked(common).unwrap_or((original, &[]));
    let adopted = adopted.get(..common).unwrap_or(adopted);
    // Where the last hunk ended.
    let mut done = 0;
    let mut at = 0;
    while let Some(start) = difference(head, adopted, at) {
        let mut end = start + 1;
        let mut same = 0;
        for (a, b) in head.iter().zip(adopted).skip(end) {
            same = if a == b { same + 1 } else { 0 };
            end += 1;
            if same > GAP {
                break;
            }
        }
        at = end;
        end -= same;
        hunk(&mut out, start - done, head.get(start..end).unwrap_or(&[]));
        done = end;
    }
    if !tail.is_empty() {
        hunk(&mut out, common - done, tail);
    }
    out
}

/// The first position from `from` on at which the two differ.
fn difference(a: &[u8], b: &[u8], from: usize) -> Option<usize> {
    const CHUNK: usize = 4096;
    let mut at = from;
    for (a, b) in a
        .get(from..)?
        .chunks(CHUNK)
        .zip(b.get(from..)?.chunks(CHUNK))
    {
        if a != b {
            let within = a.iter().zip(b).position(|(a, b)| a != b)?;
            return Some(at + within);
        }
        at += a.len();
    }
    None
}

fn hunk(out: &mut Vec<u8>, same: usize, bytes: &[u8]) {
    for mut number in [same, bytes.len()] {
        while number >= 0x80 {
            out.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        out.push(number as u8);
    }
    out.extend_from_slice(bytes);
}

/// Where the patch lies for the executable with these bytes.
fn path(place: &Place, adopted: &[u8]) -> PathBuf {
    let digest = Sha256::digest(adopted);
    let mut name = place.path.clone().into_os_string();
    name.push(".");
    name.push(hex(digest.get(..IN_NAME).unwrap_or(&[])));
    name.push(UNDO_SUFFIX);
    name.into()
}

/// Whether the patch may decide what a privileged executable runs: nobody but
/// root can have written it.
///
/// # Errors
/// Says why not.
pub(super) fn check_trust(place: &Place, adopted: &[u8]) -> anyhow::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = path(place, adopted);
    let text = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    // What is missing is told by `load`.
    if path.exists()
        && let Err(reason) = indir_shim::secure::Trust::nothing().check(&text)
    {
        bail!(
            "it is privileged, and `{}` is not to be trusted: {}",
            path.display(),
            reason.message()
        );
    }
    Ok(())
}

/// Writes the patch for the executable of `plan`, durably.
pub(super) fn save(plan: &Plan, original: &[u8], adopted: &[u8]) -> anyhow::Result<()> {
    let path = path(&plan.place, adopted);
    let write = || {
        let tables = Tables::open(&plan.exe, &plan.subject, &plan.place)?;
        tables.act(|| {
            let patch = patch(original, adopted);
            tables.publish(tables.write(&path, &patch, true)?)?;
            Ok(tables.sync()?)
        })
    };
    write()
        .map_err(refusal)
        .with_context(|| format!("failed to write `{}`", path.display()))
}

/// The original of the executable at `exe`, which is open as `source`.
pub(super) fn load(exe: &Path, source: &MappedElf) -> anyhow::Result<Vec<u8>> {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::of(&exe.canonicalize()?, &source.elf()?.notes())?;
    let adopted = source.bytes();
    let path = path(&place, adopted);
    let owner = source.metadata().uid();
    // A patch holds no more than the bytes of the original.
    let max = 2 * adopted.len() as u64 + MAX_MORE;
    let not_found = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let patch = crate::place::read(&path, owner, max).and_then(|patch| patch.ok_or_else(not_found));
    match patch {
        Ok(patch) => apply(&patch, adopted).with_context(|| {
            format!(
                "`{}` is damaged, so the original cannot be restored",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && has_other(&path) => bail!(
            "it was changed since it was adopted (by `strip` or `patchelf`, say): only what `indir adopt` wrote can be turned back; take the original from where it came from"
        ),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "there is no `{}`: it was linked indirect, or what restores it was removed; take the original from where it came from",
            path.display()
        ),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(Refused(format!("`{}` does not count: {error}", path.display())).into())
        }
        Err(error) => Err(anyhow::Error::new(error).context(format!("`{}`", path.display()))),
    }
}

/// Whether there are patches for other bytes with the same id.
fn has_other(path: &Path) -> bool {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(OsStr::to_str))
    else {
        return false;
    };
    let id = name.split('.').next().unwrap_or(name);
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name());
    let is_other = |name: OsString| {
        let name = name.to_str()?;
        let rest = name.strip_prefix(id)?;
        Some(rest.starts_with('.') && rest.ends_with(UNDO_SUFFIX))
    };
    names.filter_map(is_other).any(|is| is)
}

/// `None` if the patch is not one for `adopted`, or not whole.
fn apply(patch: &[u8], adopted: &[u8]) -> Option<Vec<u8>> {
    let (header, mut rest) = patch.split_at_checked(HEADER)?;
    let header = header.strip_prefix(MAGIC)?;
    let (len, digests) = header.split_first_chunk::<8>()?;
    let (of_adopted, of_original) = digests.split_at_checked(DIGEST)?;
    if Sha256::digest(adopted).as_slice() != of_adopted {
        return None;
    }
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let mut out = Vec::new();
    // No patch makes more than what is there and what it holds.
    if len > adopted.len().saturating_add(patch.len()) {
        return None;
    }
    out.try_reserve_exact(len).ok()?;
    out.extend_from_slice(adopted.get(..len.min(adopted.len()))?);
    out.resize(len, 0);
    let mut at = 0usize;
    while !rest.is_empty() {
        at = at.checked_add(number(&mut rest)?)?;
        let count = number(&mut rest)?;
        let (bytes, after) = rest.split_at_checked(count)?;
        let end = at.checked_add(count)?;
        out.get_mut(at..end)?.copy_from_slice(bytes);
        at = end;
        rest = after;
    }
    (Sha256::digest(&out).as_slice() == of_original).then_some(out)
}

fn number(rest: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    for shift in (0..usize::BITS).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= usize::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_change_is_turned_back(
            original in proptest::collection::vec(0u8..4, 0..600),
            adopted in proptest::collection::vec(0u8..4, 0..600),
        ) {
            let patch = patch(&original, &adopted);
            prop_assert_eq!(apply(&patch, &adopted), Some(original));
        }

        #[test]
        fn damaged_patches_are_refused(
            original in proptest::collection::vec(any::<u8>(), 1..300),
            adopted in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut patch = patch(&original, &adopted);
            for cut in 0..patch.len() {
                let left = apply(&patch[..cut], &adopted);
                prop_assert!(left.is_none_or(|left| left == original));
            }
            let at = at.index(patch.len());
            patch[at] ^= 1 << bit;
            prop_assert!(apply(&patch, &adopted).is_none_or(|left| left == original));
        }
    }
}
