//! What is not made indirect although its bytes would allow it: what is no program
//! of glibc's, and what could not start afterwards.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::{anyhow, bail};
use indir_shim::format::table::Table;
use indir_shim::secure::{Denied, Trust};

use super::error::AdoptError;
use crate::arch::Arch;
use crate::elf::{MappedElf, Root};
use crate::resolve::Library;
use crate::resolve::files::library::LibraryError;
use crate::table::absolute;
use crate::update::Plan;

/// How the file name of glibc's ld.so begins on every machine.
const LDSO: &[u8] = b"ld-linux";

/// How the file name of musl's begins.
const MUSL: &[u8] = b"ld-musl-";

/// Refuses what no ld.so of glibc starts as a program.
///
/// # Errors
/// Says why.
pub(super) fn unsuitable(root: &Root, source: &MappedElf) -> anyhow::Result<()> {
    let elf = source.elf()?;
    let arch = Arch::of(elf.machine()).ok_or(AdoptError::Machine)?;
    let Some(interpreter) = elf.interpreter() else {
        return Ok(());
    };
    let dynamic = elf.dynamic()?.unwrap_or_default();
    if dynamic.soname.is_some() && elf.entry() == 0 {
        bail!(
            "it is a shared library (it has a DT_SONAME and no entry point), not an executable: adopt the executables that load it"
        );
    }
    let path = Path::new(OsStr::from_bytes(interpreter));
    let real = root.real(path).map_err(LibraryError::from);
    let is_glibc = match real.and_then(Library::open) {
        Ok(library) => library.is_ldso() && library.arch == arch || elf.notes().reference.is_some(),
        // What is not here can only be judged by its name.
        Err(_) => {
            let name = path.file_name().unwrap_or_default().as_bytes();
            name.starts_with(LDSO) || elf.notes().reference.is_some()
        }
    };
    if !is_glibc
        && path
            .file_name()
            .is_some_and(|name| name.as_bytes().starts_with(MUSL))
    {
        bail!(
            "it is a program of musl (its interpreter is `{}`), and only programs of glibc can be made indirect",
            path.display()
        );
    }
    if !is_glibc {
        bail!(
            "its interpreter `{}` is not glibc's ld.so for {}: programs of other C libraries cannot be made indirect",
            path.display(),
            arch.name
        );
    }
    Ok(())
}

/// Refuses a privileged executable whose table, or what that names, the shim would not
/// trust: it would not start.
///
/// # Errors
/// Says which file or folder, and why.
pub(super) fn unstartable(root: &Root, plan: &Plan) -> anyhow::Result<()> {
    let name = &plan.exe;
    let home = name.parent().unwrap_or(Path::new("/"));
    let distrusted = |path: &Path, reason: &str| {
        anyhow!(
            "it is privileged (setuid, setgid or capabilities), and would not start: `{}`: {reason}",
            path.display()
        )
    };
    if let Err(denied) = Trust::nothing().check_folder(home.as_os_str().as_bytes()) {
        return Err(distrusted(home, denied.message()));
    }
    let table = Table::parse(&plan.bytes).map_err(|error| anyhow!("{}", error.message()))?;
    let objects = table.objects().map(|object| object.path);
    let files = objects.chain([table.ldso()]).chain(table.binder());
    let mut trust = Trust::nothing();
    for file in files {
        let path = absolute(file.to_bytes(), &plan.name);
        let path = root.real(&path)?;
        let text = CString::new(path.as_os_str().as_bytes())?;
        if let Err(denied) = trust.check(&text) {
            return Err(distrusted(&path, denied.message()));
        }
    }
    let folders = table
        .search()
        .to_bytes()
        .split(|&b| b == crate::table::SEPARATOR);
    for folder in folders.filter(|folder| folder.starts_with(b"/")) {
        let folder = root.real(Path::new(OsStr::from_bytes(folder)))?;
        let folder = folder.as_os_str().as_bytes();
        if let Err(denied @ Denied::Because(_)) = Trust::nothing().check_folder(folder) {
            return Err(distrusted(
                Path::new(OsStr::from_bytes(folder)),
                denied.message(),
            ));
        }
    }
    Ok(())
}
