//! The demo: its own programs, and the whole of it without a network.

use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, cc, cxx, need, run};

#[test]
fn offline_demo_ends_with_its_table() {
    need("patchelf", "patchelf");
    need("make", "make");
    let scratch = Scratch::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts/demo.sh");
    run(Command::new(script)
        .arg("--offline")
        .env("INDIR", env!("CARGO_BIN_EXE_indir"))
        .env("CARGO_TARGET_DIR", scratch.path()))
    .success()
    .out_has("NOT the real upgrade: --offline was asked for")
    .out_has("/glibc-b/lib/libc.so.6")
    .out_has("programs changed                 0 of 2         2 of 2         2 of 2");
}

#[test]
fn demo_programs_are_right_without_indir() {
    let scratch = Scratch::new();
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo");
    cc([
        "-Wall".as_ref(),
        "-Werror".as_ref(),
        sources.join("probe.c").as_os_str(),
        "-o".as_ref(),
        scratch.join("probe").as_os_str(),
    ]);
    cxx([
        "-Wall".as_ref(),
        "-Werror".as_ref(),
        "-std=c++17".as_ref(),
        sources.join("words.cc").as_os_str(),
        "-o".as_ref(),
        scratch.join("words").as_os_str(),
    ]);
    run(&mut Command::new(scratch.join("probe")))
        .success()
        .out_has("GNU C Library (")
        .out_has("/libc.so.6\n");
    run(Command::new(scratch.join("words")).arg("--throw"))
        .success()
        .prints("caught\n");
}
