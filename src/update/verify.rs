//! Tables against the files that they name. Reads only.
//!
//! What is reported is what would keep a program from starting, make it start
//! with other libraries than the table was made for, or make the shim refuse
//! under AT_SECURE.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use indir_shim::secure::Trust;
use indir_shim::table::Table;
use rayon::prelude::*;

use super::collect::collect;
use crate::resolve::library::{Library, LibraryError};
use crate::resolve::store::{Probe, Store};
use crate::table::{Identity, Place, TableFile};

/// Something wrong with a table, or with a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing, in one word, for programs that read JSON.
    pub kind: &'static str,
    /// The file that it is about.
    pub file: PathBuf,
    /// What is wrong, for people.
    pub why: String,
}

/// What was found out about one executable.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The executable, or a path that is none.
    pub path: PathBuf,
    /// Its table, if it has a place for one.
    pub table: Option<PathBuf>,
    /// What is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// Verifies the tables of everything that `paths` mean, in parallel.
pub fn verify(paths: &[PathBuf]) -> Vec<Verified> {
    let collected = collect(paths);
    let store = Store::default();
    let failed = collected.failures.into_iter().map(|(path, why)| Verified {
        findings: vec![Finding {
            kind: "unusable",
            file: path.clone(),
            why,
        }],
        path,
        table: None,
    });
    let mut all: Vec<Verified> = failed.collect();
    let executables = collected.executables.into_par_iter();
    all.par_extend(executables.map(|exe| verify_one(&store, exe)));
    all
}

fn verify_one(store: &Store, exe: PathBuf) -> Verified {
    let mut verified = Verified {
        path: exe.clone(),
        table: None,
        findings: Vec::new(),
    };
    let mut found = |kind, file: &Path, why: String| {
        verified.findings.push(Finding {
            kind,
            file: file.to_owned(),
            why,
        });
    };
    let place = match place(&exe) {
        Ok(place) => place,
        Err(why) => {
            found("unusable", &exe, why);
            return verified;
        }
    };
    match TableFile::load(&place.path) {
        Ok(Some(file)) => {
            if let Ok(table) = file.table() {
                check_table(store, &exe, &place, &table, &mut found);
            }
        }
        Ok(None) => found("missing", &place.path, "there is no table".to_owned()),
        Err(crate::table::LoadError::Table(path, error)) => {
            found("broken", &path, error.message().to_owned());
        }
        Err(error) => found("unreadable", &place.path, error.to_string()),
    }
    verified.table = Some(place.path);
    verified
}

fn place(exe: &Path) -> Result<Place, String> {
    let library = Library::open(exe).map_err(|error: LibraryError| error.to_string())?;
    let elf = library.map().elf().map_err(|error| error.to_string())?;
    Place::of(exe, &elf.notes()).map_err(|error| error.to_string())
}

fn check_table(
    store: &Store,
    exe: &Path,
    place: &Place,
    table: &Table<'_>,
    found: &mut impl FnMut(&'static str, &Path, String),
) {
    if table.exe_id() != place.id {
        let why = "the table is another executable's";
        found("foreign", &place.path, why.to_owned());
        return;
    }
    let ldso = Identity::from_raw(&table.header().ldso_identity);
    check_file(store, table.ldso(), &ldso, found);
    for object in table.objects() {
        let identity = Identity::from_raw(&object.raw.identity);
        // ld.so itself is an object of most closures: once is enough.
        if object.path != table.ldso() {
            check_file(store, object.path, &identity, found);
        }
    }
    if is_privileged(exe) {
        let named = table
            .objects()
            .map(|object| object.path)
            .chain([table.ldso()]);
        let files = named.chain(table.binder()).map(path_of);
        let mut files: Vec<&Path> = files.chain([&*place.path]).collect();
        files.sort();
        files.dedup();
        for file in files {
            if let Some(why) = unsafe_for_privileged(file) {
                found("unsafe", file, why);
            }
        }
    }
}

fn path_of(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

fn check_file(
    store: &Store,
    path: &CStr,
    then: &Identity,
    found: &mut impl FnMut(&'static str, &Path, String),
) {
    let path = path_of(path);
    let now = match store.probe(path) {
        Probe::Found(library) => library,
        Probe::Missing => return found("missing", path, "there is no such file".to_owned()),
        Probe::Skip(why) | Probe::Bad(why) => return found("unusable", path, why.to_string()),
    };
    if *then != Identity::None && *then != now.identity {
        let why = "it is not the file that the table was made for".to_owned();
        found("replaced", path, why);
    }
}

/// Whether the kernel would start it with AT_SECURE for another user: setuid,
/// setgid (which without group execution means nothing), or capabilities.
fn is_privileged(exe: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(exe) else {
        return false;
    };
    let mode = metadata.permissions().mode();
    mode & 0o4000 != 0 || mode & 0o2010 == 0o2010 || has_capabilities(exe)
}

#[expect(unsafe_code, reason = "no dependency reads extended attributes")]
fn has_capabilities(exe: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(exe.as_os_str().as_bytes()) else {
        return false;
    };
    let name = c"security.capability".as_ptr();
    // SAFETY: both strings end in NUL and live until the call returns; a size
    // of 0 asks for the length only, so that nothing is written.
    let length = unsafe { libc::getxattr(path.as_ptr(), name, std::ptr::null_mut(), 0) };
    length > 0
}

/// What the shim refuses under AT_SECURE, by the shim's own code.
fn unsafe_for_privileged(file: &Path) -> Option<String> {
    let path = std::ffi::CString::new(file.as_os_str().as_bytes()).ok()?;
    // What is missing was reported.
    std::fs::metadata(file).ok()?;
    let reason = Trust::nothing().check(&path).err()?;
    Some(format!("the program is privileged, and {reason}"))
}
