//! Reading the table of an executable.

use std::path::{Path, PathBuf};

use indir_shim::format::layout::MAX_TABLE;
use indir_shim::format::table::{Table, TableError};

use object::elf::Machine;

use crate::arch::Arch;
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
    /// Checks `bytes`, which may be for any machine that is served.
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
        read_as(path, MAX_TABLE, None, Self::new)
    }

    /// The same, of an executable that belongs to `owner`.
    ///
    /// # Errors
    /// Also when it does not count for that executable.
    pub fn load_for(path: &Path, owner: u32) -> Result<Option<Self>, LoadError> {
        read_as(path, MAX_TABLE, Some(owner), Self::new)
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

/// The machine of a table out of a [`TableFile`].
pub fn arch_of(table: &Table<'_>) -> &'static Arch {
    Arch::of(Machine(table.header().machine.get())).unwrap_or_else(Arch::own)
}

/// What `parse` makes of the at most `max` bytes of the file at `path`; `None` if there
/// is none. With an `owner` it has to count for an executable of that user.
pub(super) fn read_as<T>(
    path: &Path,
    max: usize,
    owner: Option<u32>,
    parse: impl FnOnce(Vec<u8>) -> Result<T, TableError>,
) -> Result<Option<T>, LoadError> {
    let (file, metadata) = match elf::open_regular(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if let Some(owner) = owner {
        place::check(&metadata, owner).map_err(|why| LoadError::Foreign(path.to_owned(), why))?;
    }
    let parsed = match elf::read_open(file, &metadata, max as u64) {
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Err(TableError::TooLarge),
        other => parse(other?),
    };
    let parsed = parsed.map_err(|error| LoadError::Table(path.to_owned(), error));
    parsed.map(Some)
}
