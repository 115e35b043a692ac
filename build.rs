//! Builds the files that the executable embeds and `indir setup` writes.

use std::env;
use std::path::PathBuf;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    plugin();
}

/// The folder of the root package.
fn root() -> PathBuf {
    PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"))
}

/// Where build products go.
fn out(name: &str) -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join(name)
}

/// The compiler that cargo uses, told to forget in which folder it runs.
fn rustc() -> Command {
    let mut command = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    let mut remap = root().into_os_string();
    remap.push("=.");
    command.arg("--remap-path-prefix").arg(remap);
    command.args(["--edition", "2024", "--cap-lints", "allow"]);
    command
}

/// linker-plugin/, as one compiler call: it has no dependencies, and cargo
/// cannot embed another package's cdylib. The workspace member is the same
/// source, there to be checked.
fn plugin() {
    let source = root().join("linker-plugin/src");
    println!("cargo::rerun-if-changed={}", source.display());
    let mut command = rustc();
    command
        .args(["--crate-name", "indir_ld_plugin", "--crate-type", "cdylib"])
        .args([
            "-C",
            "opt-level=s",
            "-C",
            "codegen-units=1",
            "-C",
            "lto=fat",
        ])
        .args(["-C", "panic=abort", "-C", "strip=symbols"])
        .arg("-o")
        .arg(out("libindir-ld-plugin.so"))
        .arg(source.join("lib.rs"));
    let status = command.status().expect("rustc starts");
    assert!(status.success(), "{command:?}: {status}");
}
