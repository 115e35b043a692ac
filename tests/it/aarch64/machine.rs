//! The machine of these tests: a system of Debian's arm64 packages, a cross compiler, and
//! qemu's user mode. What qemu is not the kernel in is in docs/compatibility.md.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{ARTEFACTS, root};
use crate::support::{Scratch, cache, indir, need, prefix, run};

/// Builds of glibc, by what `fetch-arm64.sh` calls them.
pub(super) const RELEASES: [(&str, &str); 3] =
    [("bookworm", "2.36"), ("trixie", "2.41"), ("sid", "2.4")];

/// The folder with libc.so.6 and ld.so of a release.
pub(super) fn glibc(release: &str) -> PathBuf {
    let path = cache().join("arm64/glibc").join(release);
    let path = path.join("lib/aarch64-linux-gnu");
    std::fs::canonicalize(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run tests/scripts/fetch-arm64.sh (`make test` does)",
            path.display()
        )
    })
}

/// The shim that was laid out for the machine.
pub(super) fn shim() -> PathBuf {
    let shim = prefix().join("lib/indir").join(ARTEFACTS[0]);
    assert!(
        shim.is_file(),
        "this build has no shim for aarch64: set INDIR_TARGETS=x86_64,aarch64 (`make test` does)"
    );
    shim
}

/// `program` as qemu runs it, paths that it opens being those of `root("root")` where they are
/// there.
pub(super) fn qemu(options: &[&str], program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(need("qemu-aarch64", "qemu-user"));
    command
        .arg("-L")
        .arg(root("root"))
        .args(options)
        .arg(program);
    command.env("LC_ALL", "C");
    command
}

/// Compiles C for the machine.
pub(super) fn compiled(dir: &Scratch, name: &str, source: &str, args: &[&str]) -> PathBuf {
    let file = dir.file(format!("{name}.c"), source);
    let output = file.with_extension("");
    let compiler = need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu");
    let mut command = Command::new(compiler);
    command.arg("-o").args([&output, &file]).args(args);
    run(&mut command).success();
    output
}

/// Makes a copy of `exe` indirect at `output`, with the libraries of `folders` before
/// those of the system.
#[track_caller]
pub(super) fn adopt(exe: &Path, output: &Path, folders: &[&Path], plan: &str) {
    shim();
    let lib = root("root").join("usr/lib/aarch64-linux-gnu");
    let mut command = Command::new(prefix().join("bin/indir"));
    command.arg("adopt");
    for folder in folders.iter().copied().chain([lib.as_path()]) {
        command.arg("--lib-dir").arg(folder);
    }
    run(command.arg("-o").arg(output).arg(exe)).success();
    run(indir().args(["update", "--plan", plan]).arg(output)).success();
}

/// Moves what is indirect at `exe` from one folder of libraries to another.
#[track_caller]
pub(super) fn replace(exe: &Path, from: &Path, to: &Path) {
    let pair = format!("{}={}", from.display(), to.display());
    run(indir().arg("update").arg(exe).args(["--replace", &pair])).success();
}
