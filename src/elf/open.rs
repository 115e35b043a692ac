//! Opening files that somebody else may have made.
//!
//! Only regular files have content that ends; opening a FIFO waits for a writer,
//! and reading a device may never end. So everything is opened without waiting,
//! judged by its descriptor, and read up to a cap.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens the regular file at `path` for reading; links are followed.
///
/// # Errors
/// When it cannot be opened, or is something else, which the message says.
pub fn open_regular(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path);
    let file = match file {
        // Sockets, and devices without a driver.
        Err(error) if error.raw_os_error() == Some(libc::ENXIO) => return Err(irregular(path)),
        other => other?,
    };
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        return Err(irregular(path));
    }
    Ok((file, metadata))
}

fn irregular(path: &Path) -> io::Error {
    let kind = std::fs::metadata(path).map(|metadata| metadata.file_type());
    let what = match kind {
        Ok(kind) if kind.is_fifo() => "a FIFO",
        Ok(kind) if kind.is_socket() => "a socket",
        Ok(kind) if kind.is_char_device() || kind.is_block_device() => "a device",
        _ => "something else",
    };
    io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, not a regular file"),
    )
}

/// The content of an open regular file of at most `max` bytes.
///
/// # Errors
/// When it is larger, or cannot be read.
pub fn read_open(file: File, metadata: &Metadata, max: u64) -> io::Result<Vec<u8>> {
    let too_large = || io::Error::new(io::ErrorKind::FileTooLarge, "it is too large");
    if metadata.len() > max {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // It may grow meanwhile.
    file.take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(too_large());
    }
    Ok(bytes)
}

/// The content of the regular file at `path`, which has at most `max` bytes.
///
/// # Errors
/// See [`open_regular`] and [`read_open`].
pub fn read_regular(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let (file, metadata) = open_regular(path)?;
    read_open(file, &metadata, max)
}
