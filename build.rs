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

/// Largest shim and largest binder, in bytes.
const MAX_ARTEFACT: u64 = 32 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=linker-plugin");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    plugin(&root, &out);
    let library = freestanding_library(&root, &out);
    shim(&root, &out, &library);
    binder(&root, &out, &library);
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
const FREESTANDING: [&str; 5] = [
    "-Copt-level=z",
    // Small functions cost less where they are called than a call does, in bytes too.
    "-Cllvm-args=-inline-threshold=20",
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
        // As for the binder.
        .arg("-Clinker-features=-lld")
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
    check(&file, "shim", &[]);
    // A linker that did not know where it begins would have left the rest out.
    let bytes = fs::read(&file).expect("rustc wrote the shim");
    let constant = b"/proc/self/exe";
    assert!(
        bytes.windows(constant.len()).any(|part| part == constant),
        "the shim has lost its code"
    );
}

/// The binder: a library whose only relocations are the address of `_r_debug`
/// and the IFUNC that starts it.
fn binder(root: &Path, out: &Path, library: &Path) {
    let file = out.join("libindir-bind.so");
    let link = [
        "-nostartfiles",
        "-nodefaultlibs",
        "-Wl,-soname,libindir-bind.so",
        "-Wl,--build-id=sha1",
        // Constants and code in one segment.
        "-Wl,-z,noseparate-code",
        "-Wl,-z,norelro",
        "-Wl,-z,noexecstack",
        "-Wl,--hash-style=gnu",
        "-Wl,--no-eh-frame-hdr",
        "-Wl,--gc-sections",
        "-Wl,--undefined=indir_trigger",
        "-Wl,-z,undefs",
    ];
    let mut command = rustc(root);
    command
        .args(FREESTANDING)
        .args(["--crate-name=indir_bind", "--crate-type=cdylib"])
        .args(["-Clto=fat", "-Crelocation-model=pic"])
        // GNU ld everywhere: not every rustc brings an lld of its own.
        .arg("-Clinker-features=-lld")
        .arg("shim/start/bind.rs")
        .arg("--extern")
        .arg(format!("indir_shim={}", library.display()))
        .arg("-o")
        .arg(&file);
    for argument in link {
        command.args(["-C", &format!("link-arg={argument}")]);
    }
    run(&mut command, "binder");
    check(&file, "binder", &[b"_r_debug\0"]);
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
    // The first two headers are the PT_LOAD with bytes and the one of .bss.
    let end = field(&bytes, phoff + 32).next_multiple_of(8);
    let bss = field(&bytes, phoff + 56 + 8);
    // Nothing to do where the linker put something else there.
    if bss <= end || bytes.len() < bss || bytes[end..bss].iter().any(|&b| b != 0) {
        return;
    }
    let tail = bytes.split_off(bss);
    let gap = bss - end;
    bytes.truncate(end);
    bytes.extend_from_slice(&tail);
    bytes[40..48].copy_from_slice(&((shoff - gap) as u64).to_le_bytes());
    // PRoot maps the file even for a segment of no bytes: inside of it, then.
    bytes[phoff + 64..phoff + 72].copy_from_slice(&0_u64.to_le_bytes());
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

/// What a freestanding artefact must be (docs/loader-contract.md): small,
/// without memory that is writable and executable, and with no symbols from
/// others but `imports`. Without imports it may have no relocation at all.
fn check(file: &Path, what: &str, imports: &[&[u8]]) {
    let bytes = fs::read(file).expect("rustc wrote it");
    assert!(
        bytes.len() as u64 <= MAX_ARTEFACT,
        "the {what} has {} bytes, more than {MAX_ARTEFACT}",
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
            "the {what} has a writable and executable segment"
        );
        assert!(kind != 3, "the {what} has an interpreter");
    }
    let (shoff, shnum) = (u64_at(40) as usize, usize::from(u16_at(60)));
    let section = |n: usize| shoff + n * 64;
    for header in (0..shnum).map(section) {
        let (kind, at) = (u32_at(header + 4), u64_at(header + 24) as usize);
        let size = u64_at(header + 32) as usize;
        let relocations = matches!(kind, 4 | 9 | 19) && size != 0;
        assert!(
            !relocations || !imports.is_empty(),
            "the {what} has relocations"
        );
        if kind != 2 && kind != 11 {
            continue;
        }
        let strings = u64_at(section(u32_at(header + 40) as usize) + 24) as usize;
        for symbol in (at + 24..at + size).step_by(24) {
            let name = &bytes[strings + u32_at(symbol) as usize..];
            let imported = imports.iter().any(|import| name.starts_with(import));
            assert!(
                imported || u16_at(symbol + 6) != 0,
                "the {what} has an undefined symbol"
            );
            let exported = kind == 11 && u16_at(symbol + 6) != 0;
            assert!(
                !exported || name.starts_with(b"_dl_debug_state\0"),
                "the {what} exports a symbol"
            );
        }
    }
}
