//! What every check of an executable goes by.

use std::collections::HashMap;
use std::ffi::CStr;
use std::io::ErrorKind::PermissionDenied;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::elf::read_regular;
use crate::place::Place;
use crate::resolve::{Library, Store};
use crate::table::absolute;

/// What a file is, compared with ours, if there is one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Same,
    Missing,
    Unreadable,
    Other,
}

/// What is known of shims and binders, which thousands of executables share.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<PathBuf, State>>);

impl Known {
    pub(super) fn state(&self, path: &Path, ours: Option<&[u8]>) -> State {
        let mut known = match self.0.lock() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        let look = || match read_regular(path, 1 << 20) {
            Ok(bytes) if ours.is_none_or(|ours| bytes == ours) => State::Same,
            Ok(_) => State::Other,
            Err(error) if error.kind() == PermissionDenied => State::Unreadable,
            Err(_) => State::Missing,
        };
        *known.entry(path.to_owned()).or_insert_with(look)
    }
}

/// One executable and what all of a run share.
pub(super) struct Context<'a> {
    pub(super) store: &'a Store,
    pub(super) known: &'a Known,
    pub(super) exe: &'a Path,
    /// Its path in its system.
    pub(super) name: &'a Path,
    pub(super) library: &'a Library,
    pub(super) place: &'a Place,
    pub(super) deep: bool,
}

impl Context<'_> {
    /// Where the file is that a table of the executable calls `path`.
    pub(super) fn real(&self, path: &CStr) -> PathBuf {
        let path = absolute(path.to_bytes(), self.name);
        match self.store.root().real(&path) {
            Ok(real) => real.into_owned(),
            Err(_) => path,
        }
    }
}
