//! Which files of ours count: the shim's rule, on the host.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use indir_shim::trust::{Doubt, counts};

use super::owner::user_name;
use crate::shell::quoted;

/// Whether a table, bindings, or what restores an original counts for an
/// executable of `owner`, if it is the file with this `stat`.
///
/// # Errors
/// Says why not, and whose it is.
pub fn check(metadata: &std::fs::Metadata, owner: u32) -> Result<(), String> {
    let euid = nix::unistd::geteuid().as_raw();
    let uid = metadata.uid();
    counts(metadata.mode(), uid, |uid| uid == euid || uid == owner).map_err(|doubt| match doubt {
        Doubt::Owner => format!(
            "it belongs to {}, neither to root, nor to you, nor to the owner of the program",
            user_name(uid)
        ),
        Doubt::Writable | Doubt::NotRegular => doubt.message().to_owned(),
    })
}

/// The command that makes the file at `path`, which does not count for an
/// executable of `owner`, harmless.
pub fn mend(path: &Path, owner: u32) -> String {
    let euid = nix::unistd::geteuid().as_raw();
    let ours = |metadata: std::fs::Metadata| {
        metadata.is_file() && [0, euid, owner].contains(&metadata.uid())
    };
    let command = match std::fs::symlink_metadata(path).is_ok_and(ours) {
        true => "chmod go-w",
        false => "rm",
    };
    format!("{command} {}", quoted(path))
}

/// The owner of the executable at `exe`; ours if it is not there yet.
pub fn owner_of(exe: &Path) -> u32 {
    let metadata = std::fs::metadata(exe);
    metadata.map_or_else(|_| nix::unistd::geteuid().as_raw(), |m| m.uid())
}

/// Reads the file of ours at `path`, which counts for an executable of `owner`
/// and has at most `max` bytes; `None` if there is none.
///
/// # Errors
/// When it cannot be read, is no regular file or too large, or does not count.
pub fn read(path: &Path, owner: u32, max: u64) -> io::Result<Option<Vec<u8>>> {
    let (file, metadata) = match crate::elf::open_regular(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    check(&metadata, owner).map_err(|why| io::Error::new(io::ErrorKind::PermissionDenied, why))?;
    crate::elf::read_open(file, &metadata, max).map(Some)
}
