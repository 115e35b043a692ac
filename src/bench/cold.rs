//! Starts from a cold cache: nothing of the program is in memory.
//!
//! drop_caches empties the page cache and the caches of names, of everything on
//! the machine; pages that a running process has mapped stay, so the files that
//! this very process uses (libc.so.6, ld.so) are warm for every way alike.
//! Telling the kernel that single files are not needed (POSIX_FADV_DONTNEED)
//! takes no right, but leaves names, folders and whatever another process maps:
//! it would measure something in between.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;

use anyhow::Context as _;

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// The right to drop caches.
#[derive(Debug)]
pub struct Caches(File);

impl Caches {
    /// Takes it, and writes out what was not written yet: only clean pages can
    /// be dropped.
    ///
    /// # Errors
    /// When it is not permitted.
    pub fn open() -> anyhow::Result<Self> {
        let file = OpenOptions::new().write(true).open(DROP_CACHES);
        let file = file.with_context(|| {
            format!("a cold cache needs the right to write `{DROP_CACHES}` (run it as root)")
        })?;
        nix::unistd::sync();
        Ok(Self(file))
    }

    /// Drops the page cache, names and inodes.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn drop_all(&self) -> io::Result<()> {
        self.0.write_all_at(b"3", 0)
    }
}
