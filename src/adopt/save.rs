//! Putting the new bytes where they belong: temporary, sync, rename.
//!
//! In place, the file keeps its mode, owner, modification time and extended
//! attributes (file capabilities are one). A rename would leave other hard
//! links behind with the old bytes, so a file with several is refused.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use fs_err as fs;
use tempfile::NamedTempFile;

use crate::elf::MappedElf;

/// Longest list of names, or value, of extended attributes (Linux's own limit).
const MAX_XATTR: usize = 64 << 10;

/// A complete new file that has not taken its name yet. Dropped, it is gone.
#[derive(Debug)]
pub(super) struct Replacement {
    file: NamedTempFile,
    target: PathBuf,
}

impl Replacement {
    /// For the file at `path`, whose symlinks are resolved.
    pub(super) fn of_file(path: &Path, source: &MappedElf, bytes: &[u8]) -> anyhow::Result<Self> {
        let metadata = source.metadata();
        if metadata.nlink() > 1 {
            bail!(
                "it has {} hard links, of which only one would become indirect; use `-o`",
                metadata.nlink()
            );
        }
        let target = fs::canonicalize(path)?;
        let this = Self::write(target, bytes)?;
        let file = this.file.as_file();
        let keep = || -> anyhow::Result<()> {
            if (metadata.uid(), metadata.gid()) != own_ids(file)? {
                fchown(file, Some(metadata.uid()), Some(metadata.gid()))
                    .context("failed to keep its owner")?;
            }
            // After the owner, whose change clears set-user-ID.
            file.set_permissions(metadata.permissions())
                .context("failed to keep its mode")?;
            copy_xattrs(path, file).context("failed to keep its extended attributes")?;
            let times = std::fs::FileTimes::new().set_modified(metadata.modified()?);
            file.set_times(times).context("failed to keep its time")
        };
        keep()?;
        file.sync_all().context("failed to write the new file")?;
        Ok(this)
    }

    /// For a new file at `path`, with the mode of `source`, less privileges
    /// that do not pass to a copy.
    pub(super) fn new_file(path: &Path, source: &MappedElf, bytes: &[u8]) -> anyhow::Result<Self> {
        let name = path.file_name().context("the output has no file name")?;
        let folder = match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let this = Self::write(fs::canonicalize(folder)?.join(name), bytes)?;
        let mode = source.metadata().mode() & 0o777;
        let file = this.file.as_file();
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all().context("failed to write the new file")?;
        Ok(this)
    }

    fn write(target: PathBuf, bytes: &[u8]) -> anyhow::Result<Self> {
        let folder = target.parent().unwrap_or(Path::new("/"));
        let failed = || format!("failed to write in `{}`", folder.display());
        let mut file = tempfile::Builder::new()
            .prefix(".indir-")
            .tempfile_in(folder)
            .with_context(failed)?;
        sparse(&mut file, bytes).with_context(failed)?;
        Ok(Self { file, target })
    }

    /// The complete file, in the folder of the target.
    pub(super) fn temporary(&self) -> &Path {
        self.file.path()
    }

    /// The name that it will take.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Takes the name, durably.
    pub(super) fn publish(self) -> anyhow::Result<()> {
        let Self { file, target } = self;
        file.persist(&target)
            .with_context(|| format!("failed to replace `{}`", target.display()))?;
        crate::place::sync_folder(target.parent().unwrap_or(Path::new("/")))?;
        Ok(())
    }
}

/// Writes an executable file at `out`, not synced.
pub(super) fn plain(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = fs::File::create(out)?;
    sparse(&mut file, bytes)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// Most bytes of one write.
const RUN: usize = 1 << 20;

/// Leaves out pages of zeros, of which there may be many in front of a segment
/// that had to be far away. All else is written in long runs: the page cache
/// keeps what one call wrote in large units, which are mapped by fewer faults.
fn sparse(file: &mut (impl std::io::Write + std::io::Seek), bytes: &[u8]) -> std::io::Result<()> {
    let mut rest = bytes;
    while !rest.is_empty() {
        // The last byte is always written: it gives the file its length.
        let skipped = leading(rest, true).min(rest.len() - 1);
        file.seek(std::io::SeekFrom::Current(skipped as i64))?;
        rest = rest.get(skipped..).unwrap_or_default();
        let (run, after) = rest.split_at(leading(rest, false).max(1));
        for part in run.chunks(RUN) {
            file.write_all(part)?;
        }
        rest = after;
    }
    Ok(())
}

/// Bytes of the pages at the front that are all zero, or that are not.
fn leading(bytes: &[u8], zero: bool) -> usize {
    const PAGE: usize = 4096;
    let is_zero = |page: &[u8]| page.iter().all(|&byte| byte == 0);
    let pages = bytes.chunks(PAGE);
    pages
        .take_while(|page| is_zero(page) == zero)
        .map(<[u8]>::len)
        .sum()
}

fn own_ids(file: &std::fs::File) -> std::io::Result<(u32, u32)> {
    let metadata = file.metadata()?;
    Ok((metadata.uid(), metadata.gid()))
}

/// Copies all extended attributes that may be read and are not there already.
fn copy_xattrs(from: &Path, to: &std::fs::File) -> std::io::Result<()> {
    use rustix::fs::{XattrFlags, fgetxattr, flistxattr, fsetxattr};
    let from = std::fs::File::open(from)?;
    let mut names = vec![0; MAX_XATTR];
    let len = match flistxattr(&from, &mut names) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let names = names.get(..len).unwrap_or_default();
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty())
    {
        let mut value = vec![0; MAX_XATTR];
        let len = fgetxattr(&from, name, &mut value)?;
        let value = value.get(..len).unwrap_or_default();
        let mut there = vec![0; MAX_XATTR];
        // A security module labels new files itself.
        let same = fgetxattr(to, name, &mut there).is_ok_and(|len| there.get(..len) == Some(value));
        if !same {
            fsetxattr(to, name, value, XattrFlags::empty())?;
        }
    }
    Ok(())
}
