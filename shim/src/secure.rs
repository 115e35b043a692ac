//! AT_SECURE: what a privileged start trusts.
//!
//! The environment is ignored, and anybody may hard-link a setuid file into a
//! folder of their own. So every file that is opened must belong to root, not
//! be writable by others, and lie in folders of which that is true all the way
//! up; only folders above the last may be sticky (as /tmp), since in those
//! nobody can rename what root owns. This runs for privileged starts only, so
//! it may cost system calls.

use core::ffi::CStr;

use crate::arch::Stat;
use crate::bytes::Buffer;
use crate::sys::{self, Errno, PATH};

/// Why a file is not trusted.
pub type Reason = &'static str;

const S_IFMT: u32 = 0o170_000;
const S_IFREG: u32 = 0o100_000;
const S_ISVTX: u32 = 0o1000;
const WRITABLE: u32 = 0o022;

/// Remembers the folder that was found good last; libraries share folders.
pub struct Trust {
    folder: Buffer<PATH>,
}

impl Trust {
    /// Nothing was examined yet.
    pub const fn nothing() -> Self {
        Self {
            folder: Buffer::empty(),
        }
    }

    /// Whether `path`, and every folder on the way, is root's alone.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn check(&mut self, path: &CStr) -> Result<(), Reason> {
        let bytes = path.to_bytes();
        let end = bytes
            .iter()
            .rposition(|&b| b == b'/')
            .unwrap_or(bytes.len());
        self.check_folders(bytes.get(..end).unwrap_or(bytes))?;
        check_file(&sys::stat(path).map_err(Errno::message)?)
    }

    /// Whether `folder`, and every one above, is root's alone. The start ends
    /// at the first that is not, so that nothing of it is remembered then.
    ///
    /// # Errors
    /// Says what is wrong with it.
    #[inline(never)]
    pub fn check_folders(&mut self, folder: &[u8]) -> Result<(), Reason> {
        if folder.first().is_some_and(|&b| b != b'/') {
            return Err("its path is not absolute");
        }
        // What is remembered ends in NUL.
        if self.folder.bytes().strip_suffix(b"\0") == Some(folder) {
            return Ok(());
        }
        check_folder(c"/", folder.is_empty())?;
        let mut at = 0;
        while at < folder.len() {
            let rest = folder.get(at + 1..).unwrap_or(&[]);
            at += 1 + rest.iter().position(|&b| b == b'/').unwrap_or(rest.len());
            self.folder.clear();
            let prefix = folder.get(..at).unwrap_or(folder);
            let pushed = self
                .folder
                .push(prefix)
                .and_then(|()| self.folder.push(b"\0"));
            let text = pushed.and_then(|()| self.folder.text());
            check_folder(text.ok_or("its path is too long")?, at == folder.len())?;
        }
        Ok(())
    }

    /// The folder that was examined last.
    pub fn last(&self) -> &CStr {
        self.folder.text().unwrap_or(c"/")
    }
}

fn check_folder(path: &CStr, last: bool) -> Result<(), Reason> {
    let stat = sys::stat(path).map_err(Errno::message)?;
    let sticky = stat.mode & S_ISVTX != 0;
    if stat.uid != 0 || (stat.mode & WRITABLE != 0 && (last || !sticky)) {
        return Err("others than root can write to a folder of its path");
    }
    Ok(())
}

/// The same for an open file.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_file(stat: &Stat) -> Result<(), Reason> {
    if stat.mode & S_IFMT != S_IFREG {
        Err("it is not a regular file")
    } else if stat.uid != 0 {
        Err("it does not belong to root")
    } else if stat.mode & WRITABLE != 0 {
        Err("others than root can write to it")
    } else {
        Ok(())
    }
}
