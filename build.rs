//! Builds the files that the executable embeds and `indir setup` writes.
//!
//! Cargo cannot build them as part of the workspace: it cannot embed another
//! package's cdylib, and a `no_std` binary needs its own panic handler and link arguments, and `panic=abort`. So rustc is
//! called directly, always with the same recipe, whatever the profile is:
//! other optimisation levels change what code the compiler emits (calls
//! through the GOT, for example) and would ship something that was not tested.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Largest shim, in bytes.
const MAX_SHIM: u64 = 16 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=linker-plugin");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    plugin(&root, &out);
    let library = freestanding_library(&root, &out);
    shim(&root, &out, &library);
}

/// `rustc` with what makes the output independent of the folder that it is
/// built in.
fn rustc(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("RUSTC").expect("cargo sets RUSTC"));
    command
        .current_dir(root)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["--edition=2024", "--cap-lints=allow"])
        .args(["-Cpanic=abort", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .arg("--remap-path-prefix")
        .arg(format!("{}=.", root.display()));
    if let Some(target) = env::var_os("TARGET") {
        command.arg("--target").arg(target);
    }
    command
}

fn run(command: &mut Command, what: &str) {
    let status = command
        .status()
        .unwrap_or_else(|e| panic!("{what}: cannot run rustc: {e}"));
    assert!(status.success(), "{what}: rustc failed");
}

/// linker-plugin/, which has no dependencies. The workspace member is the same
/// source, there to be checked.
fn plugin(root: &Path, out: &Path) {
    run(
        rustc(root)
            .args(["--crate-name=indir_ld_plugin", "--crate-type=cdylib"])
            .args(["-Copt-level=s", "-Clto=fat"])
            .arg("linker-plugin/src/lib.rs")
            .arg("-o")
            .arg(out.join("libindir-ld-plugin.so")),
        "linker plugin",
    );
}

/// What both freestanding artefacts are compiled with.
const FREESTANDING: [&str; 4] = [
    "-Copt-level=z",
    "-Crelocation-model=pie",
    "-Cforce-unwind-tables=no",
    "-Cdebuginfo=0",
];

/// The shim crate as a freestanding rlib.
fn freestanding_library(root: &Path, out: &Path) -> PathBuf {
    let library = out.join("libindir_shim.rlib");
    run(
        rustc(root)
            .args(FREESTANDING)
            .args(["--crate-name=indir_shim", "--crate-type=rlib"])
            .arg("shim/src/lib.rs")
            .arg("-o")
            .arg(&library),
        "shim library",
    );
    library
}

/// The shim: a static PIE without relocations.
fn shim(root: &Path, out: &Path, library: &Path) {
    let file = out.join("ld-indir-x86-64.so.1");
    let link = [
        "-nostartfiles",
        "-nodefaultlibs",
        "-static-pie",
        "-Wl,--no-dynamic-linker",
        "-Wl,--build-id=sha1",
        "-Wl,-T,shim/start/shim.ld",
        "-Wl,-z,norelro",
        "-Wl,-z,rodynamic",
        "-Wl,-z,noexecstack",
        "-Wl,--hash-style=gnu",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,--export-dynamic-symbol=_dl_debug_state",
        "-Wl,--gc-sections",
        "-Wl,--no-undefined",
    ];
    let mut command = rustc(root);
    command
        .args(FREESTANDING)
        .args(["--crate-name=ld_indir", "--crate-type=bin", "-Clto=fat"])
        .arg("shim/start/interp.rs")
        .arg("--extern")
        .arg(format!("indir_shim={}", library.display()))
        .arg("-o")
        .arg(&file);
    for argument in link {
        command.args(["-C", &format!("link-arg={argument}")]);
    }
    run(&mut command, "shim");
    close_gap(&file);
    check_shim(&file);
}

/// Linkers pad the file up to the page that .bss would begin on, and put the
/// section headers after the padding. .bss has no bytes, so they may as well
/// follow the code.
fn close_gap(file: &Path) {
    let mut bytes = fs::read(file).expect("rustc wrote the shim");
    let field = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize
    };
    let (phoff, shoff) = (field(&bytes, 32), field(&bytes, 40));
    // The first two headers are PT_PHDR and the only PT_LOAD with bytes.
    let end = field(&bytes, phoff + 56 + 32).next_multiple_of(8);
    let tail = bytes.split_off(field(&bytes, phoff + 2 * 56 + 8));
    let gap = bytes.len() - end;
    assert!(
        bytes[end..].iter().all(|&b| b == 0),
        "the padding is in use"
    );
    bytes.truncate(end);
    bytes.extend_from_slice(&tail);
    bytes[40..48].copy_from_slice(&((shoff - gap) as u64).to_le_bytes());
    // The names of the sections moved too; .bss is where the code ends.
    let count = usize::from(u16::from_le_bytes([bytes[60], bytes[61]]));
    for header in (0..count).map(|n| shoff - gap + n * 64) {
        let offset = field(&bytes, header + 24);
        if offset >= end + gap {
            let moved = (offset - gap) as u64;
            bytes[header + 24..header + 32].copy_from_slice(&moved.to_le_bytes());
        }
    }
    fs::write(file, bytes).expect("the shim can be written");
}

/// What the shim must be: see docs/loader-contract.md.
fn check_shim(file: &Path) {
    let bytes = fs::read(file).expect("rustc wrote the shim");
    assert!(
        bytes.len() as u64 <= MAX_SHIM,
        "the shim has {} bytes, more than {MAX_SHIM}",
        bytes.len()
    );
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().expect("2 bytes"));
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    let (phoff, phnum) = (u64_at(32) as usize, usize::from(u16_at(56)));
    for phdr in (0..phnum).map(|n| phoff + n * 56) {
        let (kind, flags) = (u32_at(phdr), u32_at(phdr + 4));
        assert!(
            kind != 1 || flags & 3 != 3,
            "the shim has a writable and executable segment"
        );
        assert!(kind != 3, "the shim has an interpreter");
    }
    let (shoff, shnum) = (u64_at(40) as usize, usize::from(u16_at(60)));
    for section in (0..shnum).map(|n| shoff + n * 64) {
        let (kind, size) = (u32_at(section + 4), u64_at(section + 32));
        let relocations = matches!(kind, 4 | 9 | 19) && size != 0;
        assert!(!relocations, "the shim has relocations");
        if kind == 2 || kind == 11 {
            let (at, size) = (u64_at(section + 24) as usize, size as usize);
            for symbol in (at + 24..at + size).step_by(24) {
                assert!(u16_at(symbol + 6) != 0, "the shim has an undefined symbol");
            }
        }
    }
}
