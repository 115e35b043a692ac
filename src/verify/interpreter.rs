//! The shim and the binder: there, and of this version.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::ErrorKind::PermissionDenied;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use indir_shim::format::table::Table;

use super::table::path_of;
use super::{Context, Findings, Kind, quoted};
use crate::artefacts;

/// How the names of all shims begin.
const SHIM: &str = "ld-indir-";
/// Where shim and binder lie in a prefix.
const FOLDER: &str = "lib/indir";

/// What a file is, compared with ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Same,
    Missing,
    Unreadable,
    Other,
}

/// What is known of shims and binders, which thousands of executables share.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<PathBuf, State>>);

impl Known {
    fn state(&self, path: &Path, ours: &[u8]) -> State {
        let mut known = match self.0.lock() {
            Ok(known) => known,
            Err(poisoned) => poisoned.into_inner(),
        };
        let look = || match std::fs::read(path) {
            Ok(bytes) if bytes == ours => State::Same,
            Ok(_) => State::Other,
            Err(error) if error.kind() == PermissionDenied => State::Unreadable,
            Err(_) => State::Missing,
        };
        *known.entry(path.to_owned()).or_insert_with(look)
    }
}

impl Context<'_> {
    /// Whether a shim would use the table.
    pub(super) fn check_interpreter(&self, findings: &mut Findings<'_>) -> bool {
        let elf = self.library.map().elf();
        let path = elf.as_ref().ok().and_then(|elf| elf.interpreter());
        let Some(path) = path.map(|path| Path::new(OsStr::from_bytes(path))) else {
            let why = "it has no interpreter, so that its table is not used";
            findings.push(Kind::Unusable, self.exe, why, None);
            return false;
        };
        let name = path.file_name().unwrap_or_default();
        if !name.as_bytes().starts_with(SHIM.as_bytes()) {
            let why = format!(
                "its interpreter is `{}`, not a shim, so that its table is not used",
                path.display()
            );
            findings.push(Kind::Foreign, self.exe, why, None);
            return false;
        }
        self.check_ours(path, artefacts::SHIM, "shim", findings);
        true
    }

    pub(super) fn check_binder(&self, table: &Table<'_>, findings: &mut Findings<'_>) {
        if let Some(path) = table.binder() {
            self.check_ours(path_of(path), artefacts::BINDER, "binder", findings);
        }
    }

    fn check_ours(&self, path: &Path, ours: &[u8], what: &str, findings: &mut Findings<'_>) {
        let (kind, why) = match self.known.state(path, ours) {
            State::Same => return,
            State::Missing => (
                Kind::Missing,
                format!("there is no {what}, so that the program does not start"),
            ),
            State::Unreadable => (Kind::Unreadable, format!("the {what} cannot be read")),
            State::Other => (
                Kind::Version,
                format!("the {what} is of another version of indir than this one"),
            ),
        };
        let prefix = path.parent().filter(|folder| folder.ends_with(FOLDER));
        let prefix = prefix.and_then(Path::parent).and_then(Path::parent);
        let mend = prefix.map(|prefix| format!("indir setup --prefix {}", quoted(prefix)));
        findings.push(kind, path, why, mend);
    }
}
