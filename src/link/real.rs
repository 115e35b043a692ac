//! Which program the wrapper stands for: the real linker.
//!
//! It must never find the wrapper itself, under whichever name and through
//! whichever symlink that is on PATH, nor two installed wrappers each other.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::arch::Arch;

/// The environment variable that names the real linker.
pub(super) const VARIABLE: &str = "INDIR_LD";

/// Where GCC tells the programs that it starts of the folders of its programs.
const COMPILER_PATH: &str = "COMPILER_PATH";

/// The name to look for on PATH when called as `called`.
fn real_name(called: &OsStr) -> &OsStr {
    if called == "indir-ld" {
        OsStr::new("ld")
    } else {
        called
    }
}

/// The real linker: what `$INDIR_LD` names, else the next program on PATH with
/// the name that we were called by.
///
/// "Next": a wrapper that is on PATH itself looks only behind its own place, so
/// that two wrappers of different prefixes cannot run each other for ever.
///
/// # Errors
/// When there is none, or `$INDIR_LD` names this wrapper.
pub(super) fn find(called: &OsStr, arch: Option<&Arch>) -> anyhow::Result<PathBuf> {
    let own = std::fs::metadata("/proc/self/exe").context("failed to read /proc/self/exe")?;
    if let Some(named) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        let path = PathBuf::from(named);
        let path = if path.components().count() == 1 && !path.is_absolute() {
            search(path.as_os_str(), &own, false).unwrap_or(path)
        } else {
            path
        };
        match std::fs::metadata(&path) {
            Ok(found) if same(&found, &own) => bail!(
                "${VARIABLE} is `{}`, which is this wrapper; set it to the real linker",
                path.display()
            ),
            Ok(_) => return Ok(path),
            Err(error) => bail!("${VARIABLE} is `{}`: {error}", path.display()),
        }
    }
    let name = real_name(called);
    let foreign = arch.filter(|&arch| arch != Arch::own());
    if let Some(linker) = foreign.and_then(|arch| of_machine(name, arch, &own)) {
        return Ok(linker);
    }
    search(name, &own, true).with_context(|| {
        format!(
            "no real linker `{}` on PATH; install it, or name it in ${VARIABLE}",
            Path::new(name).display()
        )
    })
}

/// The linker of cross tools for `arch`: `name` where the compiler has its own programs,
/// or on PATH with the machine in front of its name.
fn of_machine(name: &OsStr, arch: &Arch, own: &Metadata) -> Option<PathBuf> {
    let folders = std::env::var_os(COMPILER_PATH).unwrap_or_default();
    let tuple = Path::new(arch.lib).file_name().unwrap_or_default();
    let is_for_it = |folder: &PathBuf| {
        // Its own programs are in a folder that is named by the machine.
        let mut parts = folder.components();
        parts.any(|part| part.as_os_str() == tuple)
    };
    let mut folders = std::env::split_paths(&folders).filter(is_for_it);
    let is_linker = |file: &PathBuf| {
        std::fs::metadata(file).is_ok_and(|found| is_executable(&found) && !same(&found, own))
    };
    let beside = folders.find_map(|folder| Some(folder.join(name)).filter(is_linker));
    beside.or_else(|| {
        let mut full = tuple.to_owned();
        full.push("-");
        full.push(name);
        search(&full, own, true)
    })
}

fn is_executable(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.permissions().mode() & 0o111 != 0
}

/// The first executable file `name` on PATH that is not `own`; with `behind`,
/// only those after `own` if it is on PATH.
fn search(name: &OsStr, own: &Metadata, behind: bool) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/bin:/bin"));
    let mut found = None;
    for folder in std::env::split_paths(&path) {
        let file = if folder.as_os_str().is_empty() {
            Path::new(".").join(name)
        } else {
            folder.join(name)
        };
        let Ok(metadata) = std::fs::metadata(&file) else {
            continue;
        };
        if same(&metadata, own) {
            if behind {
                found = None;
            }
        } else if found.is_none() && is_executable(&metadata) {
            found = Some(file);
        }
    }
    found
}

fn same(a: &Metadata, b: &Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}
