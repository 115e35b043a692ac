//! Replacing files in one step.

use std::fs::Permissions;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Replaces the file at `path` by one with `bytes` and `mode`: a temporary
/// file beside it is written, synced and renamed. A symbolic link stays, and the file
/// that it names is replaced; what is no file (/dev/null, /dev/stdout, a FIFO) is
/// written to.
///
/// # Errors
/// When the folder does not exist or cannot be written.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let real;
    let path = match std::fs::metadata(path) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            let mut file = std::fs::OpenOptions::new().write(true).open(path)?;
            return match file.write_all(bytes) {
                // Who closes a pipe has read enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other,
            };
        }
        Ok(_) => {
            real = std::fs::canonicalize(path)?;
            &real
        }
        Err(_) => path,
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Told without the name of the temporary.
    std::fs::metadata(folder)?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(bytes)?;
    file.as_file()
        .set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}
