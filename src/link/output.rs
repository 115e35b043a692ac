//! What is done to an executable after the real linker wrote it.

use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use indir_shim::format::layout::ID_LEN;
use object::elf;
use sha2::{Digest as _, Sha256};

use super::first;
use super::plan::Job;
use crate::elf::{ElfFile, MappedElf};

/// Shortest build-id that is taken for unique, in bytes (MD5's length).
const SHORTEST_ID: usize = 16;

/// Checks that the output is indirect, gives it an id of its own if the
/// build-id cannot serve, and a first table.
///
/// Nothing is done to an output that is no file (/dev/null), that is not ELF
/// (`--oformat`) or that came out static because nothing in it is dynamic.
///
/// # Errors
/// When a linker script threw the note or the interpreter away; the output is
/// removed then, as linkers do when they fail.
pub(super) fn finish(job: &Job) -> anyhow::Result<()> {
    let path = job.output.as_path();
    let Ok(metadata) = std::fs::metadata(path) else {
        return Ok(());
    };
    if !metadata.is_file() {
        return Ok(());
    }
    let Ok(mapped) = MappedElf::open(path) else {
        return Ok(());
    };
    let Ok(file) = mapped.elf() else {
        return Ok(());
    };
    match check(&file, job) {
        Ok(Some(at)) => own_id(&file, path, at)
            .with_context(|| format!("failed to write the id into `{}`", path.display()))?,
        Ok(None) => {}
        Err(error) => {
            let _ = std::fs::remove_file(path);
            return Err(error.context(format!("`{}` is not indirect", path.display())));
        }
    }
    first::write(&job.folders, path, &file);
    Ok(())
}

/// Where in the file an own id must be written, if one must.
fn check(file: &ElfFile<'_>, job: &Job) -> anyhow::Result<Option<usize>> {
    let interpreter = file.interpreter();
    if interpreter.is_none() {
        if file.segment(elf::PT_DYNAMIC).is_none() {
            return Ok(None);
        }
        bail!("it has no interpreter; the linker script must keep `.interp`, or pass --indir-off");
    }
    if interpreter != Some(job.shim.as_os_str().as_encoded_bytes()) {
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
