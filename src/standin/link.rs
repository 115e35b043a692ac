//! The choice on disk: a symlink, replaced in one step.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use crate::place::{self, Folder};

/// Where a symlink is put that is to be at `link`, by a path without symlinks. Another
/// symlink is replaced, nothing else is.
///
/// # Errors
/// When something else is there, or there is no folder for it.
pub fn check(link: &Path) -> io::Result<PathBuf> {
    let (folder, name) = parts(link)?;
    let found = link.symlink_metadata();
    match found.is_ok_and(|found| !found.is_symlink()) {
        true => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it is there and no symlink",
        )),
        false => Ok(folder.join(name)),
    }
}

/// Makes `link` a symlink to `target`.
///
/// # Errors
/// As `check` has them, and when the folder cannot be written.
pub fn replace(link: &Path, target: &Path) -> io::Result<()> {
    check(link)?;
    let (folder, name) = parts(link)?;
    let folder = Folder::open(&folder)?;
    place::replace_link(&folder, name, target)?;
    folder.sync()
}

fn parts(link: &Path) -> io::Result<(PathBuf, &OsStr)> {
    let none = || io::Error::new(io::ErrorKind::InvalidInput, "it names no file");
    let name = link.file_name().ok_or_else(none)?;
    let folder = match link.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok((folder.canonicalize()?, name))
}
