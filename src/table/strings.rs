//! The string area of a table: every string once, tails shared.
//!
//! A soname is the tail of nearly every path, so that it costs nothing. The
//! result depends on the set and order of the strings alone.

use std::collections::HashMap;

use indir_shim::format::layout::Str;
use indir_shim::format::record::{Le16, Le32};

use super::error::BuildError;

/// Collects NUL-terminated strings and says where each one lies.
#[derive(Debug)]
pub(super) struct Strings {
    base: usize,
    bytes: Vec<u8>,
    /// Every stored string, and what follows the last `/` in it.
    known: HashMap<Vec<u8>, usize>,
}

impl Strings {
    /// An area that begins `base` bytes after the start of the table.
    pub(super) fn new(base: usize) -> Self {
        Self {
            base,
            bytes: Vec::new(),
            known: HashMap::new(),
        }
    }

    /// Where `text` lies; it is added unless it is there.
    ///
    /// # Errors
    /// When it holds a NUL or is longer than a length field can say.
    pub(super) fn add(&mut self, text: &[u8]) -> Result<Str, BuildError> {
        if text.contains(&0) {
            return Err(BuildError::Nul(String::from_utf8_lossy(text).into_owned()));
        }
        let len = u16::try_from(text.len()).map_err(|_| BuildError::TooLong(text.len()))?;
        let at = match self.known.get(text) {
            Some(&at) => at,
            None => {
                let at = self.bytes.len();
                self.bytes.extend_from_slice(text);
                self.bytes.push(0);
                self.known.insert(text.to_vec(), at);
                let name = text.rsplit(|&b| b == b'/').next().unwrap_or(text);
                if !name.is_empty() {
                    let start = at + text.len() - name.len();
                    self.known.entry(name.to_vec()).or_insert(start);
                }
                at
            }
        };
        let offset = u32::try_from(self.base + at).map_err(|_| BuildError::TooLarge)?;
        Ok(Str {
            offset: Le32::new(offset),
            len: Le16::new(len),
        })
    }

    /// The area's bytes.
    pub(super) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
