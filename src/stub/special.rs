//! What in a folder is no file that anyone can use, in words.

use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// What an entry is that is neither file, folder nor symlink.
pub(super) fn name(kind: FileType) -> Option<&'static str> {
    if kind.is_fifo() {
        Some("a FIFO")
    } else if kind.is_socket() {
        Some("a socket")
    } else if kind.is_block_device() || kind.is_char_device() {
        Some("a device")
    } else {
        None
    }
}

/// Why a symlink to `target` leads nowhere.
pub(super) fn dangling(target: &Path, error: &io::Error) -> String {
    let target = target.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("a symlink to `{target}`, which is not there"),
        _ => format!("a symlink to `{target}`, which leads nowhere: {error}"),
    }
}

/// Why a file does not help.
pub(super) fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}
