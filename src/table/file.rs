//! Where an executable's table lies, reading it, and replacing it whole.
//!
//! A reader (above all a program that is starting) sees the old table or the
//! new one, never anything between: the new bytes go to a temporary in the same
//! folder, which then takes the table's name. Syncing is the caller's, who may
//! have a thousand tables to sync at once.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use fs_err as fs;
use indir_shim::format::bindings_layout::SUFFIX;
use indir_shim::format::layout::MAX_TABLE;
use indir_shim::format::note::{self, Notes};
use indir_shim::format::table::{Table, TableError};

use super::hex;

/// End of the name of every temporary.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// Why an executable has no place for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It has no `indir` note.
    #[error(
        "it is not indirect: it has no `indir` note (link it with `indir-ld`, or run `indir adopt` on it)"
    )]
    NoNote,
    /// The note is there but unusable.
    #[error("its `indir` note is malformed (link it again with `indir-ld`)")]
    MalformedNote,
    /// Neither the note nor a build-id identifies it.
    #[error(
        "nothing identifies it: its `indir` note has no id, and it has no build-id (link it again with `-Wl,--build-id`)"
    )]
    NoId,
    /// The reference expands to a path that is too long.
    #[error("the path of its table is too long")]
    TooLong,
}

/// Where the table of one executable lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path of the table.
    pub path: PathBuf,
    /// Id of the executable that the table must repeat.
    pub id: Vec<u8>,
}

impl Place {
    /// The place that `notes` name for the executable at `exe`, whose path
    /// must be absolute and free of symlinks (the shim reads /proc/self/exe).
    ///
    /// # Errors
    /// When the notes do not name one.
    pub fn of(exe: &Path, notes: &Notes<'_>) -> Result<Self, PlaceError> {
        let reference = match notes.reference {
            Some(reference) => reference,
            None if notes.malformed => return Err(PlaceError::MalformedNote),
            None => return Err(PlaceError::NoNote),
        };
        let id = notes.id().ok_or(PlaceError::NoId)?;
        let origin = exe
            .parent()
            .map_or(&b"/"[..], |folder| folder.as_os_str().as_bytes());
        // In "/" the reference's own slash suffices.
        let origin = if origin == b"/" { b"" } else { origin };
        let mut buffer = [0; libc::PATH_MAX as usize];
        let path = note::expand(reference, origin, id, &mut buffer)
            .and_then(|len| buffer.get(..len))
            .ok_or(PlaceError::TooLong)?;
        Ok(Self {
            path: PathBuf::from(OsStr::from_bytes(path)),
            id: id.to_vec(),
        })
    }

    /// Where the bindings that belong to the table lie.
    pub fn bindings(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(SUFFIX);
        name.into()
    }

    /// The folder that holds the table.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// Its bytes are not a table.
    #[error("`{}`: {}", .0.display(), .1.message())]
    Table(PathBuf, TableError),
}

/// The checked bytes of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFile {
    bytes: Vec<u8>,
}

impl TableFile {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// See [`Table::parse`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, TableError> {
        Table::parse(&bytes)?;
        Ok(Self { bytes })
    }

    /// Reads the table at `path`; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read or is not a table.
    pub fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        use std::io::Read as _;
        let file = match fs::File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut bytes = Vec::new();
        // One byte more than any reader accepts: `parse` then refuses it.
        file.take(MAX_TABLE as u64 + 1).read_to_end(&mut bytes)?;
        match Self::new(bytes) {
            Ok(table) => Ok(Some(table)),
            Err(error) => Err(LoadError::Table(path.to_owned(), error)),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The table.
    ///
    /// # Errors
    /// Never in practice: the bytes were checked when this was made.
    pub fn table(&self) -> Result<Table<'_>, TableError> {
        Table::parse(&self.bytes)
    }
}

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

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (id {})", self.path.display(), hex(&self.id))
    }
}
