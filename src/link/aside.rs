//! Symbols of a library that is linked, set aside in `NAME.reach` (`--indir-reach`).

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, bail};

use crate::elf::{AsideError, MappedElf, set_aside};
use crate::place::{Folder, Temporary};

/// Writes the file beside the library at `output`. What is no shared object has none.
///
/// # Errors
/// When it has no symbols, or the file cannot be written; the output stays.
pub(super) fn write(output: &Path) -> anyhow::Result<()> {
    if !std::fs::metadata(output).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(());
    }
    let map = MappedElf::open(output).with_context(|| format!("`{}`", output.display()))?;
    let is_library = map
        .elf()
        .ok()
        .is_some_and(|elf| elf.dynamic().ok().flatten().is_some() && elf.interpreter().is_none());
    if !is_library {
        return Ok(());
    }
    let mut name = output.file_name().unwrap_or_default().to_owned();
    name.push(".reach");
    let bytes = match set_aside(map.bytes()) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => bail!(
            "`{}` has no symbols to set aside: link it without -s and -x, and strip it later",
            output.display()
        ),
        Err(AsideError::NoId) => bail!(
            "`{}` has no build-id to set its symbols aside for: link it with --build-id",
            output.display()
        ),
        Err(_) => bail!("`{}`: its symbols cannot be read", output.display()),
    };
    let folder = match output.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || {
        let folder = Arc::new(Folder::open(&std::fs::canonicalize(folder)?)?);
        let file = Temporary::write(&folder, &name, &bytes, true)?;
        file.publish(nix::unistd::getegid().as_raw(), 0o644)
    };
    write().with_context(|| format!("failed to write `{}.reach`", output.display()))
}
