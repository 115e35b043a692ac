//! Who could make the program run something else.
//!
//! For a privileged program it is the shim's own code that judges, since it
//! refuses to start what it does not trust. For others, a folder that libraries
//! are searched in must not be writable by everybody.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::table::Table;
use indir_shim::secure::Trust;

use super::context::Context;
use super::finding::{Findings, Kind};
use super::table::path_of;
use crate::elf::is_privileged;
use crate::shell::quoted;
use crate::table::{SEPARATOR, absolute};

const STICKY: u32 = 0o1000;
const WRITABLE_BY_ALL: u32 = 0o002;

impl Context<'_> {
    pub(super) fn check_trust(&self, table: &Table<'_>, findings: &mut Findings<'_>) {
        let folders = table.search().to_bytes().split(|&b| b == SEPARATOR);
        let folders = folders.filter(|folder| !folder.is_empty());
        let folders = folders.map(|folder| absolute(folder, self.name));
        let real = |path: PathBuf| self.store.root().real(&path).map(Cow::into_owned);
        let folders: Vec<PathBuf> = folders.filter_map(|path| real(path).ok()).collect();
        let folders: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
        if is_privileged(self.exe) {
            let named = table.objects().map(|object| object.path);
            let files = named.chain([table.ldso()]).chain(table.binder());
            let files: Vec<PathBuf> = files.map(|path| self.real(path)).collect();
            let mut files: BTreeSet<&Path> = files.iter().map(PathBuf::as_path).collect();
            files.insert(&self.place.path);
            check_privileged(&files, &folders, findings);
        } else {
            check_folders(&folders, findings);
        }
    }
}

/// Each file or folder that is not to be trusted, once.
fn check_privileged(files: &BTreeSet<&Path>, folders: &[&Path], findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    let mut found = |path: PathBuf, reason: &str| {
        if !seen.insert(path.clone()) {
            return;
        }
        let owner = std::fs::metadata(&path).map(|m| std::os::unix::fs::MetadataExt::uid(&m));
        let of_root = owner.is_ok_and(|uid| uid == 0);
        let command = if of_root { "chmod go-w" } else { "chown root" };
        let mend = format!("{command} {}", quoted(&path));
        let why = format!("the program is privileged, and {reason}");
        findings.push(Kind::Unsafe, &path, why, Some(mend));
    };
    for &file in files {
        let Ok(text) = CString::new(file.as_os_str().as_bytes()) else {
            continue;
        };
        // What is missing was reported.
        if std::fs::metadata(file).is_err() {
            continue;
        }
        let mut trust = Trust::nothing();
        if let Err(reason) = trust.check(&text) {
            let folders = file.parent().unwrap_or(Path::new("/"));
            let in_folder = Trust::nothing()
                .check_folder(folder_bytes(folders))
                .is_err();
            if in_folder {
                found(path_of(trust.last()).to_owned(), OTHERS_CAN_WRITE);
            } else {
                found(file.to_owned(), reason.message());
            }
        }
    }
    for &folder in folders.iter().filter(|folder| folder.is_dir()) {
        let mut trust = Trust::nothing();
        if trust.check_folder(folder_bytes(folder)).is_err() {
            found(path_of(trust.last()).to_owned(), OTHERS_CAN_WRITE);
        }
    }
}

const OTHERS_CAN_WRITE: &str = "others than root can write to this folder";

/// As the shim hands folders on: without a slash at the end.
fn folder_bytes(folder: &Path) -> &[u8] {
    let bytes = folder.as_os_str().as_bytes();
    bytes.strip_suffix(b"/").unwrap_or(bytes)
}

fn check_folders(folders: &[&Path], findings: &mut Findings<'_>) {
    let mut seen = BTreeSet::new();
    for folder in folders {
        for (depth, above) in folder.ancestors().enumerate() {
            let Ok(metadata) = std::fs::metadata(above) else {
                continue;
            };
            let mode = metadata.permissions().mode();
            // In a sticky folder nobody else can replace what is there, but
            // anybody can add a library.
            let safe = mode & WRITABLE_BY_ALL == 0 || depth > 0 && mode & STICKY != 0;
            if !safe && seen.insert(above.to_owned()) {
                let why = "everybody can write to this folder, and libraries are searched in it";
                let mend = format!("chmod o-w {}", quoted(above));
                findings.push(Kind::Unsafe, above, why, Some(mend));
            }
        }
    }
}
