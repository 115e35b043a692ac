//! Which compiler and which linker make the artefacts of a machine.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Machine, own_arch, own_rustc};

/// A rustc that has the core library of `machine`, and the name of its target: the one
/// that is told; cargo's own; the one that tests/scripts/fetch-cross.sh unpacks.
pub(crate) fn compiler(machine: &Machine, root: &Path) -> (PathBuf, String) {
    let (own, own_target) = own_rustc();
    if machine.arch == own_arch() {
        return (own, own_target);
    }
    for name in ["INDIR_CROSS_RUSTC", "INDIR_CACHE", "CARGO_TARGET_DIR"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let target = format!("{}-unknown-linux-gnu", machine.arch);
    if let Some(told) = env::var_os("INDIR_CROSS_RUSTC") {
        return (told.into(), target);
    }
    let folder = |name| env::var_os(name).map(PathBuf::from);
    let cache = folder("INDIR_CACHE").unwrap_or_else(|| {
        let target = folder("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        root.join(target).join("cache")
    });
    let fetched = cache.join("cross/rustc");
    println!("cargo::rerun-if-changed={}", fetched.display());
    if has_core(&own, &target) {
        return (own, target);
    }
    assert!(
        has_core(&fetched, &target),
        "INDIR_TARGETS asks for {arch}, and {own} has no core library of {target}: run \
         `tests/scripts/fetch-cross.sh` or `rustup target add {target}`, or set \
         INDIR_CROSS_RUSTC to a rustc that has one",
        arch = machine.arch,
        own = own.display()
    );
    (fetched, target)
}

fn has_core(rustc: &Path, target: &str) -> bool {
    let mut command = Command::new(rustc);
    command.args(["--print", "target-libdir", "--target", target]);
    let Ok(output) = command.stderr(Stdio::null()).output() else {
        return false;
    };
    let folder = String::from_utf8_lossy(&output.stdout);
    let Ok(entries) = fs::read_dir(folder.trim()) else {
        return false;
    };
    let mut names = entries.flatten().map(|entry| entry.file_name());
    names.any(|name| name.as_encoded_bytes().starts_with(b"libcore-"))
}

/// The GNU ld of `machine`.
pub(crate) fn linker(machine: &Machine) -> String {
    let triple = format!("{}-linux-gnu", machine.arch);
    let host = env::var("HOST").expect("cargo sets HOST");
    let mut names = vec![
        format!("{triple}-ld.bfd"),
        format!("{}-unknown-linux-gnu-ld.bfd", machine.arch),
    ];
    if host.starts_with(machine.arch) {
        names.insert(0, "ld.bfd".into());
    }
    let runs = |name: &&String| {
        let mut command = Command::new(name);
        command.arg("--version").stdout(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    names.iter().find(runs).cloned().unwrap_or_else(|| {
        panic!(
            "there is no GNU ld for {} (none of {}): run `apt-get install {}`",
            machine.arch,
            names.join(", "),
            if host.starts_with(machine.arch) {
                "binutils"
            } else {
                machine.package
            }
        )
    })
}
