//! The demo: its own programs, and the whole of it without a network.

use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, cc, cxx, run};

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
