//! The choice on disk: a symlink, replaced in one step.

use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Makes `link` a symlink to `target`. Another symlink is replaced, nothing else is.
///
/// # Errors
/// When something else is there or the folder cannot be written.
pub fn replace(link: &Path, target: &Path) -> io::Result<()> {
    if link
        .symlink_metadata()
        .is_ok_and(|found| !found.is_symlink())
    {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "it is there and no symlink",
        ));
    }
    let folder = match link.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".indir-")
        .make_in(folder, |path| symlink(target, path))?;
    // A symlink has no data to sync; its folder has.
    temporary.persist(link).map_err(|error| error.error)?;
    std::fs::File::open(folder)?.sync_all()
}
