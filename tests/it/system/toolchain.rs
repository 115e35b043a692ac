//! The shared helpers themselves: compilers run, failures are told in full.

use std::process::Command;

use crate::support::{Scratch, cc, cxx, need, run};

#[test]
fn compilers_make_programs_that_run() {
    let scratch = Scratch::new();
    let c = scratch.file(
        "a.c",
        "#include <stdio.h>\nint main(void) { puts(\"c\"); }\n",
    );
    let cpp = scratch.file(
        "a.cc",
        "#include <iostream>\nint main() { std::cout << \"c++\\n\"; }\n",
    );
    cc([c.as_path(), "-o".as_ref(), &scratch.join("c")]);
    cxx([cpp.as_path(), "-o".as_ref(), &scratch.join("cpp")]);
    run(&mut Command::new(scratch.join("c")))
        .success()
        .prints("c\n");
    run(&mut Command::new(scratch.join("cpp")))
        .success()
        .prints("c++\n");
}

#[test]
fn scratch_folder_is_gone_when_dropped() {
    let scratch = Scratch::new();
    let file = scratch.file("deep/er/file", "x");
    assert!(file.is_file());
    drop(scratch);
    assert!(!file.exists());
}

#[test]
#[should_panic(expected = "apt-get install no-such-package")]
fn missing_tool_fails_and_names_its_package() {
    need("no-such-tool-of-indir", "no-such-package");
}

#[test]
#[should_panic(expected = "no-such-file.c")]
fn failing_compiler_is_quoted() {
    cc(["-c", "no-such-file.c", "-o", "/dev/null"]);
}
