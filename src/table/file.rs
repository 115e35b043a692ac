//! Reading the table of an executable.

use std::path::{Path, PathBuf};

use fs_err as fs;
use indir_shim::format::layout::MAX_TABLE;
use indir_shim::format::table::{Table, TableError};

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
