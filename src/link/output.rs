//! What is done to an executable after the real linker wrote it.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use indir_shim::format::layout::ID_LEN;
use object::elf;
use sha2::{Digest as _, Sha256};

use super::plan::Job;
use crate::elf::{ElfFile, MappedElf};

/// Shortest build-id that is taken for unique, in bytes (MD5's length).
const SHORTEST_ID: usize = 16;

/// Looks at what a link without the note made: `None` unless it is an executable with
/// the interpreter that the link asked for; else whether it has a PT_GNU_STACK. Linkers
/// leave that out where no input says anything of the stack.
pub(super) fn look(job: &Job) -> Option<bool> {
    let mapped = open(&job.output)?;
    let file = mapped.elf().ok()?;
    let asked = job.asked.as_os_str().as_encoded_bytes();
    let is_executable = file.interpreter() == Some(asked) && is_dynamic(&file);
    is_executable.then(|| file.segment(elf::PT_GNU_STACK).is_some())
}

/// Checks that the output is indirect, and gives it an id of its own if the
/// build-id cannot serve. `false` if it is no executable with an interpreter: then
/// the note has no place in it. Nothing is done to an output that is no file
/// (/dev/null).
///
/// # Errors
/// When a linker script threw the note away; the output is removed then, as linkers
/// do when they fail.
pub(super) fn finish(job: &Job) -> anyhow::Result<bool> {
    let path = job.output.as_path();
    if !std::fs::metadata(path).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(true);
    }
    let Some(mapped) = open(path) else {
        return Ok(false);
    };
    let Ok(file) = mapped.elf() else {
        return Ok(false);
    };
    if file.interpreter().is_none() || !is_dynamic(&file) {
        return Ok(false);
    }
    match check(&file, job) {
        Ok(Some(at)) => own_id(&file, path, at)
            .with_context(|| format!("failed to write the id into `{}`", path.display()))?,
        Ok(None) => {}
        Err(error) => {
            let _ = std::fs::remove_file(path);
            return Err(error.context(format!("`{}` is not indirect", path.display())));
        }
    }
    Ok(true)
}

/// lld names an interpreter for static programs too, which have nothing to load.
fn is_dynamic(file: &ElfFile<'_>) -> bool {
    file.segment(elf::PT_DYNAMIC).is_some()
}

/// A regular file that begins as ELF files do.
fn open(path: &Path) -> Option<MappedElf> {
    std::fs::metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file)?;
    MappedElf::open(path).ok()
}

/// Where in the file an own id must be written, if one must.
fn check(file: &ElfFile<'_>, job: &Job) -> anyhow::Result<Option<usize>> {
    if file.interpreter() != Some(job.shim.as_os_str().as_encoded_bytes()) {
        bail!("its interpreter is not the one that the linker was told to use");
    }
    let notes = file.notes();
    let Some(reference) = notes.reference else {
        bail!("it has no `.note.indir`; the linker script must keep it, or pass --indir-off");
    };
    let short = notes.build_id.is_none_or(|id| id.len() < SHORTEST_ID);
    if !job.own_id && !short {
        return Ok(None);
    }
    // The id lies directly before the reference (see `indir_shim::format::note`).
    let start = file.data().as_ptr().addr();
    let at = reference.as_ptr().addr() - start;
    Ok(at.checked_sub(ID_LEN))
}

/// Writes the SHA-256 of the file, its id being zero, into the note.
fn own_id(file: &ElfFile<'_>, path: &Path, at: usize) -> anyhow::Result<()> {
    let digest = Sha256::digest(file.data());
    let id = digest.get(..ID_LEN).unwrap_or_default();
    let out = std::fs::OpenOptions::new().write(true).open(path)?;
    out.write_all_at(id, at as u64)?;
    Ok(())
}
