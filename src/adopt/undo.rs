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
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::image::{Image, PAGE};
use super::save::refusal;
use crate::elf::MappedElf;
use crate::exit::Refused;
use crate::place::{Place, Tables, UNDO_SUFFIX, hex};
use crate::update::Plan;
use anyhow::{Context as _, bail};

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

/// The patch that makes `original` of `adopted`, which is over the same file and has
/// the digest `of_adopted`.
fn patch(original: &Image<'_>, adopted: &Image<'_>, of_adopted: &[u8; DIGEST]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&(original.len() as u64).to_le_bytes());
    out.extend_from_slice(of_adopted);
    out.extend_from_slice(&original.digest());
    let common = original.len().min(adopted.len());
    // Where the last hunk ended, and the one that may grow.
    let mut done = 0;
    let mut open: Option<Range<usize>> = None;
    let mut close = |open: Range<usize>, out: &mut Vec<u8>| {
        let bytes = original.bytes(open.clone()).unwrap_or_default();
        hunk(out, open.start - done, &bytes);
        done = open.end;
    };
    let (mut old, mut new) = ([0; PAGE], [0; PAGE]);
    for page in original.may_differ(adopted) {
        let at = page * PAGE;
        let len = common.saturating_sub(at).min(PAGE);
        let (Some(old), Some(new)) = (old.get_mut(..len), new.get_mut(..len)) else {
            continue;
        };
        // Both are there up to `common`.
        let _ = original.read(at, old).and_then(|()| adopted.read(at, new));
        for (index, _) in old
            .iter()
            .zip(&*new)
            .enumerate()
            .filter(|(_, (a, b))| a != b)
        {
            let index = at + index;
            match &mut open {
                Some(hunk) if index - hunk.end <= GAP => hunk.end = index + 1,
                _ => {
                    let before = open.replace(index..index + 1);
                    before.into_iter().for_each(|hunk| close(hunk, &mut out));
                }
            }
        }
    }
    open.into_iter().for_each(|hunk| close(hunk, &mut out));
    if original.len() > common {
        close(common..original.len(), &mut out);
    }
    out
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

/// Where the patch lies for the executable whose bytes have this digest.
fn path(place: &Place, digest: &[u8; DIGEST]) -> PathBuf {
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
pub(super) fn check_trust(place: &Place, adopted: &MappedElf) -> anyhow::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = path(place, &Image::of_file(adopted).digest());
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
pub(super) fn save(plan: &Plan, original: &Image<'_>, adopted: &Image<'_>) -> anyhow::Result<()> {
    let digest = adopted.digest();
    let path = path(&plan.place, &digest);
    let patch = patch(original, adopted, &digest);
    let write = || {
        let tables = Tables::open(&plan.exe, &plan.subject, &plan.place)?;
        tables.act(|| {
            tables.publish(tables.write(&path, &patch, true)?)?;
            Ok(tables.sync()?)
        })
    };
    write()
        .map_err(refusal)
        .with_context(|| format!("failed to write `{}`", path.display()))
}

/// Nobody knows the original of an executable: there is no patch for its bytes.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unknown(String);

/// The original of the executable at `exe`, which is open as `source`.
///
/// # Errors
/// [`Unknown`] if there is no patch for it; anything else if there is one that does not
/// count or cannot be used.
pub(super) fn load<'a>(exe: &Path, source: &'a MappedElf) -> anyhow::Result<Image<'a>> {
    use std::os::unix::fs::MetadataExt as _;
    let place = Place::of(&exe.canonicalize()?, &source.elf()?.notes())?;
    let adopted = Image::of_file(source);
    let digest = adopted.digest();
    let path = path(&place, &digest);
    let owner = source.metadata().uid();
    // A patch holds no more than the bytes of the original.
    let max = 2 * adopted.len() as u64 + MAX_MORE;
    let not_found = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let patch = crate::place::read(&path, owner, max).and_then(|patch| patch.ok_or_else(not_found));
    match patch {
        Ok(patch) => apply(&patch, adopted, &digest).with_context(|| {
            format!(
                "`{}` is damaged, so the original cannot be restored",
                path.display()
            )
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Unknown(if has_other(&path) {
                "it was changed since it was adopted (by `strip` or `patchelf`, say): only what `indir adopt` wrote can be turned back; take the original from where it came from".to_owned()
            } else {
                format!(
                    "there is no `{}`: it was linked indirect, or what restores it was removed; take the original from where it came from",
                    path.display()
                )
            })
            .into())
        }
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

/// `None` if the patch is not one for `adopted`, which has the digest `digest`, or not
/// whole.
fn apply<'a>(patch: &[u8], mut adopted: Image<'a>, digest: &[u8; DIGEST]) -> Option<Image<'a>> {
    let (header, mut rest) = patch.split_at_checked(HEADER)?;
    let header = header.strip_prefix(MAGIC)?;
    let (len, digests) = header.split_first_chunk::<8>()?;
    let (of_adopted, of_original) = digests.split_at_checked(DIGEST)?;
    if digest != of_adopted {
        return None;
    }
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    // No patch makes more than what is there and what it holds.
    if len > adopted.len().saturating_add(patch.len()) {
        return None;
    }
    adopted.resize(len);
    let mut at = 0usize;
    while !rest.is_empty() {
        at = at.checked_add(number(&mut rest)?)?;
        let count = number(&mut rest)?;
        let (bytes, after) = rest.split_at_checked(count)?;
        let end = at.checked_add(count).filter(|&end| end <= len)?;
        adopted.write(at, bytes);
        at = end;
        rest = after;
    }
    (adopted.digest() == of_original).then_some(adopted)
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
    use sha2::{Digest as _, Sha256};

    /// `bytes` as an image over `base`.
    fn over<'a>(base: &'a [u8], bytes: &[u8]) -> Image<'a> {
        let mut image = Image::of(base);
        image.resize(bytes.len());
        image.write(0, bytes);
        image
    }

    /// What the patch makes of `adopted`.
    fn turned_back(patch: &[u8], adopted: &[u8]) -> Option<Vec<u8>> {
        let digest = Sha256::digest(adopted).into();
        Some(apply(patch, Image::of(adopted), &digest)?.to_vec())
    }

    fn patch_for(original: &[u8], adopted: &[u8]) -> Vec<u8> {
        let adopted = over(original, adopted);
        patch(&Image::of(original), &adopted, &adopted.digest())
    }

    proptest! {
        #[test]
        fn every_change_is_turned_back(
            original in proptest::collection::vec(0u8..4, 0..9000),
            adopted in proptest::collection::vec(0u8..4, 0..9000),
        ) {
            let patch = patch_for(&original, &adopted);
            prop_assert_eq!(turned_back(&patch, &adopted), Some(original));
        }

        #[test]
        fn few_changes_make_short_patches(
            original in proptest::collection::vec(any::<u8>(), 9000),
            at in any::<prop::sample::Index>(),
        ) {
            let mut adopted = original.clone();
            let at = at.index(adopted.len() - 3);
            adopted[at] ^= 1;
            adopted[at + 2] ^= 1;
            let patch = patch_for(&original, &adopted);
            prop_assert!(patch.len() < HEADER + 8, "{}", patch.len());
            prop_assert_eq!(turned_back(&patch, &adopted), Some(original));
        }

        #[test]
        fn damaged_patches_are_refused(
            original in proptest::collection::vec(any::<u8>(), 1..300),
            adopted in proptest::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0u8..8,
        ) {
            let mut patch = patch_for(&original, &adopted);
            for cut in 0..patch.len() {
                let left = turned_back(&patch[..cut], &adopted);
                prop_assert!(left.is_none_or(|left| left == original));
            }
            let at = at.index(patch.len());
            patch[at] ^= 1 << bit;
            prop_assert!(turned_back(&patch, &adopted).is_none_or(|left| left == original));
        }
    }
}
