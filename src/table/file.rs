//! Reading the table of an executable.

use std::path::{Path, PathBuf};

use indir_shim::format::layout::MAX_TABLE;
use indir_shim::format::table::{Table, TableError};

use crate::{elf, place};

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// It does not count (docs/loader-contract.md, "Whose table counts").
    #[error("the table `{}` does not count: {}", .0.display(), .1)]
    Foreign(PathBuf, String),
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

    /// Reads the table at `path`, whoever may have written it; `None` if there is
    /// none.
    ///
    /// # Errors
    /// When it cannot be read or is not a table.
    pub fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        Self::load_if(path, |_| Ok(()))
    }

    /// The same, of an executable that belongs to `owner`.
    ///
    /// # Errors
    /// Also when it does not count for that executable.
    pub fn load_for(path: &Path, owner: u32) -> Result<Option<Self>, LoadError> {
        Self::load_if(path, |metadata| place::check(metadata, owner))
    }

    fn load_if(
        path: &Path,
        check: impl FnOnce(&std::fs::Metadata) -> Result<(), String>,
    ) -> Result<Option<Self>, LoadError> {
        let bytes = read_if(path, MAX_TABLE, check)?;
        let table = bytes.map(Self::new).transpose();
        table.map_err(|error| LoadError::Table(path.to_owned(), error))
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

/// The at most `max` bytes of the file at `path`, if `check` lets it count; `None` if
/// there is none.
pub(super) fn read_if(
    path: &Path,
    max: usize,
    check: impl FnOnce(&std::fs::Metadata) -> Result<(), String>,
) -> Result<Option<Vec<u8>>, LoadError> {
    let (file, metadata) = match elf::open_regular(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    check(&metadata).map_err(|why| LoadError::Foreign(path.to_owned(), why))?;
    match elf::read_open(file, &metadata, max as u64) {
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => {
            Err(LoadError::Table(path.to_owned(), TableError::TooLarge))
        }
        other => Ok(Some(other?)),
    }
}
