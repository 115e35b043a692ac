//! `indir setup`: lays out a prefix from this one executable.
//!
//! Every file is a function of the executable, so that setting up twice gives
//! the same bytes. Files are replaced by rename: programs that run keep theirs.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use object::elf::Machine;

use crate::arch::Arch;
use crate::artefacts;
use crate::place::{self, Folder, Temporary};

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
fn files() -> Vec<(String, Vec<u8>, u32)> {
    let mut files = Vec::new();
    for built in artefacts::BUILT {
        let Some(arch) = Arch::of(Machine(built.machine)) else {
            continue;
        };
        let note = artefacts::default_note_object(built.machine);
        for (name, bytes, mode) in [
            (arch.shim, built.shim, 0o755),
            (arch.binder, built.binder, 0o755),
            (arch.note_object, &note, 0o644),
        ] {
            files.push((format!("lib/indir/{name}"), bytes.to_vec(), mode));
        }
    }
    let others = [
        (
            "lib/indir/libindir-ld-plugin.so",
            artefacts::LINKER_PLUGIN.to_vec(),
            0o755,
        ),
        ("share/indir/gdb.py", artefacts::GDB_SCRIPT.to_vec(), 0o644),
        (
            "share/indir/initramfs-tools/indir",
            artefacts::INITRAMFS_HOOK.to_vec(),
            0o755,
        ),
        (
            "share/indir/dracut/99indir/module-setup.sh",
            artefacts::DRACUT_MODULE.to_vec(),
            0o755,
        ),
    ];
    files.extend(others.map(|(path, bytes, mode)| (path.to_owned(), bytes, mode)));
    files
}

/// Runs `indir setup`; `root` is the whole command line.
///
/// # Errors
/// When something under the prefix cannot be written.
pub fn run(args: Args, root: &clap::Command) -> anyhow::Result<ExitCode> {
    // Parts of two versions are worse than a moment more.
    crate::interrupt::watch();
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

/// A folder of the prefix, which is made if it is missing: for everybody to read,
/// whatever the umask, and durably.
fn folder(path: &Path) -> anyhow::Result<Arc<Folder>> {
    let failed = || format!("failed to make the folder `{}`", path.display());
    let mut missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    // The parent of a relative path is "".
    missing.retain(|path| !path.as_os_str().is_empty());
    for new in missing.into_iter().rev() {
        match fs::create_dir(new) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            other => other.with_context(failed)?,
        }
        let mode = std::fs::Permissions::from_mode(0o755);
        fs::set_permissions(new, mode).with_context(failed)?;
        let real = fs::canonicalize(new).with_context(failed)?;
        let parent = real.parent().unwrap_or(Path::new("/"));
        Folder::open(parent)?.sync().with_context(failed)?;
    }
    let real = fs::canonicalize(path).with_context(failed)?;
    Ok(Arc::new(Folder::open(&real).with_context(failed)?))
}

/// Writes one file or symbolic link into `folder` with `write`, and makes that
/// durable; what a killed setup left of it goes.
fn put(
    path: &Path,
    write: impl FnOnce(&Arc<Folder>, &OsStr) -> io::Result<()>,
) -> anyhow::Result<()> {
    let folder = folder(path.parent().unwrap_or(Path::new(".")))?;
    let name = path.file_name().unwrap_or_default();
    place::clean_for(&folder, name);
    write(&folder, name)
        .and_then(|()| folder.sync())
        .with_context(|| format!("failed to write `{}`", path.display()))
}

/// Replaces the file at `path`, durably.
fn write(path: &Path, content: &[u8], mode: u32) -> anyhow::Result<()> {
    put(path, |folder, name| {
        let mut temporary = Temporary::write(folder, name, content, false)?;
        let file = temporary.file();
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        temporary.rename(folder, name).map(drop)
    })
}

/// Replaces what is at `path` by a symlink to `target`.
fn link(path: &Path, target: &str) -> anyhow::Result<()> {
    put(path, |folder, name| {
        if std::fs::read_link(path).is_ok_and(|there| there == Path::new(target)) {
            return Ok(());
        }
        place::replace_link(folder, name, Path::new(target))
    })
}
