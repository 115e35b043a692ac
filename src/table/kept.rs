//! The table that an update replaced, kept beside the new one for `update --undo`, until
//! the next update replaces that.
//!
//! [`MAGIC`]; when the update began, in nanoseconds since 1970, 8 bytes; a random number
//! that tells updates of one moment apart, 8; how many tables that update replaced, 4;
//! all little-endian; then the table, byte for byte.

use std::hash::{BuildHasher as _, Hasher as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use indir_shim::format::layout::MAX_TABLE;
use indir_shim::format::table::TableError;

use super::file::{LoadError, TableFile, read_as};

/// With the version of the format.
const MAGIC: &[u8; 8] = b"INDIRLT1";
const HEADER: usize = MAGIC.len() + 8 + 8 + 4;

/// One run of `indir update`; the later is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// When it began, in nanoseconds since 1970.
    pub began: u64,
    random: u64,
    /// How many tables it was to replace; fewer, where some could not be written.
    pub replaced: u32,
}

impl Run {
    /// One that begins now and is to replace that many tables.
    pub fn now(replaced: usize) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let nanoseconds = since.unwrap_or_default().as_nanos();
        Self {
            began: u64::try_from(nanoseconds).unwrap_or(u64::MAX),
            random: std::hash::RandomState::new().build_hasher().finish(),
            replaced: u32::try_from(replaced).unwrap_or(u32::MAX),
        }
    }
}

/// A table that was replaced, and by which run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The run that replaced it.
    pub run: Run,
    /// The table.
    pub table: TableFile,
}

impl Kept {
    /// The bytes of a file that keeps `table`.
    pub fn to_bytes(run: &Run, table: &TableFile) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER + table.bytes().len());
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&run.began.to_le_bytes());
        out.extend_from_slice(&run.random.to_le_bytes());
        out.extend_from_slice(&run.replaced.to_le_bytes());
        out.extend_from_slice(table.bytes());
        out
    }

    /// Whether `bytes` begin as such a file does.
    pub fn is_kept(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When it is none, or what it keeps is no table.
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(TableError::NotATable)?;
        let (began, rest) = rest.split_first_chunk().ok_or(TableError::Truncated)?;
        let (random, rest) = rest.split_first_chunk().ok_or(TableError::Truncated)?;
        let (replaced, table) = rest.split_first_chunk().ok_or(TableError::Truncated)?;
        Ok(Self {
            run: Run {
                began: u64::from_le_bytes(*began),
                random: u64::from_le_bytes(*random),
                replaced: u32::from_le_bytes(*replaced),
            },
            table: TableFile::new(table.to_vec())?,
        })
    }

    /// The one at `path`, whoever may have written it; `None` if there is none.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn load(path: &Path) -> Result<Option<Self>, LoadError> {
        read_as(path, HEADER + MAX_TABLE, None, |bytes| Self::parse(&bytes))
    }

    /// The one at `path` of an executable that belongs to `owner`; `None` if there is
    /// none.
    ///
    /// # Errors
    /// When it cannot be read, is none, or does not count for that executable.
    pub fn load_for(path: &Path, owner: u32) -> Result<Option<Self>, LoadError> {
        read_as(path, HEADER + MAX_TABLE, Some(owner), |bytes| {
            Self::parse(&bytes)
        })
    }
}
