//! Replacing files whole.
//!
//! A reader (above all a program that is starting) sees the old file or the
//! new one, never anything between: the new bytes go to a temporary in the same
//! folder, which then takes the file's name. Syncing is the caller's, who may
//! have a thousand tables to sync at once.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fs_err as fs;

use super::names::TEMPORARY_SUFFIX;

/// New bytes beside the table that they will replace. Dropped before
/// [`Temporary::publish`], it removes itself.
#[derive(Debug)]
pub struct Temporary {
    path: Option<PathBuf>,
    target: PathBuf,
}

impl Temporary {
    /// Writes `bytes` to a temporary in the folder of `target`, which is made
    /// if it is missing. With `sync`, the content is on disk on return.
    ///
    /// # Errors
    /// When the folder or the file cannot be written.
    pub fn write(target: &Path, bytes: &[u8], sync: bool) -> std::io::Result<Self> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let mut name = OsString::from(".");
        name.push(target.file_name().unwrap_or(OsStr::new("table")));
        let count = COUNTER.fetch_add(1, Ordering::Relaxed);
        name.push(format!(".{}.{count}{TEMPORARY_SUFFIX}", std::process::id()));
        let path = target.with_file_name(name);
        let create = || {
            fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .open(&path)
        };
        let mut file = match create() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::create_dir_all(target.parent().unwrap_or(Path::new("/")))?;
                create()?
            }
            // A killed process with our number left it.
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                fs::remove_file(&path)?;
                create()?
            }
            other => other?,
        };
        let temporary = Self {
            path: Some(path),
            target: target.to_owned(),
        };
        file.write_all(bytes)?;
        if sync {
            file.sync_all()?;
        }
        Ok(temporary)
    }

    /// Gives the bytes the table's name.
    ///
    /// # Errors
    /// When the rename fails; `NotFound` if somebody removed the temporary.
    pub fn publish(mut self) -> std::io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, &self.target)?;
        }
        self.path = None;
        Ok(())
    }

    /// The process that wrote the temporary called `name`, if it is one.
    pub fn writer(name: &OsStr) -> Option<u32> {
        let name = name
            .to_str()?
            .strip_prefix('.')?
            .strip_suffix(TEMPORARY_SUFFIX)?;
        let mut parts = name.rsplit('.');
        parts.next()?.parse::<u32>().ok()?;
        parts.next()?.parse().ok()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // Nothing better can be done: the next run removes it.
            let _ = fs::remove_file(path);
        }
    }
}

/// Makes renames in `folder` durable.
///
/// # Errors
/// When it cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// Whether `name` is that of a temporary whose writer is gone. In another PID
/// namespace a living writer may look dead: it then writes its table anew.
pub fn is_abandoned(name: &OsStr) -> bool {
    let Some(writer) = Temporary::writer(name) else {
        return false;
    };
    writer != std::process::id() && !Path::new(&format!("/proc/{writer}")).exists()
}
