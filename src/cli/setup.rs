//! `indir setup`: lays out a prefix from this one executable.
//!
//! Every file is a function of the executable, so that setting up twice gives
//! the same bytes. Files are replaced by rename: programs that run keep theirs.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use fs_err as fs;

use crate::artefacts;

/// Write the shim, the linker plugin and the `ld` for `cc -B` under a prefix.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    indir setup --prefix /opt/indir\n  \
    cc -B/opt/indir/libexec/indir -o hello hello.c")]
pub struct Args {
    /// The folder to lay out; executables that it links refer to it for good
    #[arg(long, value_name = "DIR")]
    prefix: PathBuf,
}

/// The names by which compilers ask for a linker in their `-B` folder.
const LINKERS: &[&str] = &["ld", "ld.bfd", "ld.gold", "ld.lld", "ld.mold"];

/// The files besides the executable: path under the prefix, content, mode.
fn files() -> Vec<(&'static str, Vec<u8>, u32)> {
    vec![
        (
            "lib/indir/ld-indir-x86-64.so.1",
            artefacts::SHIM.to_vec(),
            0o755,
        ),
        (
            "lib/indir/libindir-bind.so",
            artefacts::BINDER.to_vec(),
            0o755,
        ),
        (
            "lib/indir/libindir-ld-plugin.so",
            artefacts::LINKER_PLUGIN.to_vec(),
            0o755,
        ),
        (
            "lib/indir/note-x86-64.o",
            artefacts::default_note_object(),
            0o644,
        ),
        ("share/indir/gdb.py", artefacts::GDB_SCRIPT.to_vec(), 0o644),
    ]
}

/// Runs `indir setup`; `root` is the whole command line.
///
/// # Errors
/// When something under the prefix cannot be written.
pub fn run(args: Args, root: &clap::Command) -> anyhow::Result<ExitCode> {
    let prefix = args.prefix;
    let own = fs::read("/proc/self/exe").context("failed to read this executable")?;
    write(&prefix.join("bin/indir"), &own, 0o755)?;
    link(&prefix.join("bin/indir-ld"), "indir")?;
    for name in LINKERS {
        link(&prefix.join("libexec/indir").join(name), "../../bin/indir")?;
    }
    for (path, content, mode) in files() {
        write(&prefix.join(path), &content, mode)?;
    }
    for (path, content) in super::generate::share(root)? {
        write(&prefix.join("share").join(path), &content, 0o644)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Replaces the file at `path`, durably.
fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    let folder = folder_of(path)?;
    let failed = || format!("failed to write `{}`", path.display());
    let mut file = tempfile::Builder::new()
        .prefix(".indir-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .with_context(failed)?;
    file.write_all(content).with_context(failed)?;
    // The mode given above went through the umask.
    let permissions = std::fs::Permissions::from_mode(mode);
    file.as_file()
        .set_permissions(permissions)
        .with_context(failed)?;
    file.as_file().sync_all().with_context(failed)?;
    file.persist(path).with_context(failed)?;
    Ok(())
}

/// Replaces what is at `path` by a symlink to `target`.
fn link(path: &Path, target: &str) -> anyhow::Result<()> {
    let folder = folder_of(path)?;
    let make = |temporary: &Path| std::os::unix::fs::symlink(target, temporary);
    let made = tempfile::Builder::new()
        .prefix(".indir-")
        .make_in(folder, make)
        .with_context(|| format!("failed to make the symlink `{}`", path.display()))?;
    made.into_temp_path()
        .persist(path)
        .with_context(|| format!("failed to make the symlink `{}`", path.display()))
}

fn folder_of(path: &Path) -> anyhow::Result<&Path> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    Ok(folder)
}
