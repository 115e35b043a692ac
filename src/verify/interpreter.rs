//! The shim and the binder: there, and of this version.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::table::Table;

use super::context::{Context, State};
use super::finding::{Findings, Kind};
use crate::artefacts::{self, Built};
use crate::shell::quoted;

/// How the names of all shims begin.
const SHIM: &str = "ld-indir-";
/// Where shim and binder lie in a prefix.
const FOLDER: &str = "lib/indir";

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
        let shim = self.built().map(|built| built.shim);
        self.check_ours(&self.real_path(path), shim, "shim", findings);
        true
    }

    /// What this executable was built with for the machine, if it was.
    fn built(&self) -> Option<&'static Built> {
        artefacts::built(self.library.arch.machine.0)
    }

    fn real_path(&self, path: &Path) -> PathBuf {
        let real = self.store.root().real(path);
        real.map_or_else(|_| path.to_owned(), Cow::into_owned)
    }

    pub(super) fn check_binder(&self, table: &Table<'_>, findings: &mut Findings<'_>) {
        if let Some(path) = table.binder() {
            let binder = self.built().map(|built| built.binder);
            self.check_ours(&self.real(path), binder, "binder", findings);
        }
    }

    fn check_ours(
        &self,
        path: &Path,
        ours: Option<&[u8]>,
        what: &str,
        findings: &mut Findings<'_>,
    ) {
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
