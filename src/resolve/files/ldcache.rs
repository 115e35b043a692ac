//! /etc/ld.so.cache, in the format "glibc-ld.so.cache1.1" (glibc
//! sysdeps/generic/dl-cache.h; searched as in elf/dl-cache.c).
//!
//! Of the entries of a name, the one for every processor is kept; that there
//! are entries for better processors is remembered as a fact.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where glibc keeps it.
pub const PATH: &str = "/etc/ld.so.cache";

const OLD_MAGIC: &[u8] = b"ld.so-1.7.0\0";
const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_HEADER_LEN: usize = 16;
const OLD_ENTRY_LEN: usize = 12;
const HEADER_LEN: usize = 48;
const ENTRY_LEN: usize = 24;
/// Largest cache that is read, in bytes.
const MAX_LEN: u64 = 64 << 20;

/// What the cache says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cached {
    /// The file that serves on every processor, if there is one.
    pub path: Option<PathBuf>,
    /// Folders whose files are for some processors only.
    pub variants: Vec<PathBuf>,
    exact: bool,
}

/// A parsed cache.
#[derive(Clone, Debug, Default)]
pub struct LdCache {
    names: HashMap<Box<[u8]>, Cached>,
}

impl LdCache {
    /// Reads from the cache at `path` what is for a machine with these flags, the best
    /// first. ld.so does without a cache that it cannot
    /// read or understand, and so does this.
    pub fn load(path: &Path, flags: &[u32]) -> Self {
        use std::io::Read as _;
        let mut bytes = Vec::new();
        let read =
            std::fs::File::open(path).and_then(|file| file.take(MAX_LEN).read_to_end(&mut bytes));
        if read.is_err() {
            return Self::default();
        }
        Self::parse(&bytes, flags).unwrap_or_default()
    }

    /// Parses a cache, of which entries with `wanted` flags count; `None` if it
    /// contradicts itself.
    pub fn parse(bytes: &[u8], wanted: &[u32]) -> Option<Self> {
        let bytes = bytes.get(start_of_new_format(bytes)?..)?;
        let count = word(bytes, MAGIC.len())? as usize;
        let entries = bytes
            .get(HEADER_LEN..)?
            .get(..count.checked_mul(ENTRY_LEN)?)?;
        let mut cache = Self::default();
        for entry in entries.chunks_exact(ENTRY_LEN) {
            let flags = word(entry, 0)?;
            if !wanted.contains(&flags) {
                continue;
            }
            let name = string(bytes, word(entry, 4)?)?;
            let path = Path::new(OsStr::from_bytes(string(bytes, word(entry, 8)?)?));
            let for_all = word(entry, 16)? == 0 && word(entry, 20)? == 0;
            cache.add(name, path, wanted.first() == Some(&flags), for_all);
        }
        Some(cache)
    }

    fn add(&mut self, name: &[u8], path: &Path, exact: bool, for_all: bool) {
        let known = self.names.entry(name.into()).or_insert(Cached {
            path: None,
            variants: Vec::new(),
            exact: false,
        });
        if !for_all {
            let folder = path.parent().unwrap_or(path).to_owned();
            known.variants.push(folder);
        } else if known.path.is_none() || (exact && !known.exact) {
            known.path = Some(path.to_owned());
            known.exact = exact;
        }
    }

    /// What the cache says about `name`.
    pub fn get(&self, name: &[u8]) -> Option<&Cached> {
        self.names.get(name)
    }
}

/// The new format stands alone or follows the old one, aligned to 8 bytes.
fn start_of_new_format(bytes: &[u8]) -> Option<usize> {
    if bytes.starts_with(MAGIC) {
        return Some(0);
    }
    if !bytes.starts_with(OLD_MAGIC) {
        return None;
    }
    let count = word(bytes, OLD_MAGIC.len())? as usize;
    let at = count
        .checked_mul(OLD_ENTRY_LEN)?
        .checked_add(OLD_HEADER_LEN)?
        .checked_next_multiple_of(8)?;
    bytes.get(at..)?.starts_with(MAGIC).then_some(at)
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn string(bytes: &[u8], at: u32) -> Option<&[u8]> {
    let tail = bytes.get(at as usize..)?;
    tail.get(..tail.iter().position(|&b| b == 0)?)
}
