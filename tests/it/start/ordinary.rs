//! A program whose note records an interpreter, and that has no table anywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, shared, table_of, update};
use crate::support::{Scratch, run};

/// Room for what the note is to say.
const ROOM: &str =
    "/proc/none/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// A program that needs libshade.so, with a note of the default place and of this
/// interpreter.
fn recorded(dir: &Scratch, interpreter: &str) -> PathBuf {
    let lib = dir.dir("lib");
    let library = shared(
        &lib.join("libshade.so.c"),
        "const char *shade(void) { return \"library\"; }",
        &["-Wl,-soname,libshade.so"],
    );
    let exe = indirect(
        &dir.join("show.c"),
        "#include <stdio.h>\nconst char *shade(void);\n\
         int main(void) { puts(shade()); return 0; }\n",
        &[
            library.to_str().unwrap(),
            &format!("-Wl,--indir-table={ROOM}"),
        ],
    );
    let mut bytes = std::fs::read(&exe).unwrap();
    let find = |bytes: &[u8]| {
        bytes
            .windows(ROOM.len())
            .position(|part| part == ROOM.as_bytes())
    };
    let at = find(&bytes).unwrap();
    let text = format!("$ORIGIN/.indir/$ID\0{interpreter}\0");
    bytes[at..at + ROOM.len()].fill(0);
    bytes[at..at + text.len()].copy_from_slice(text.as_bytes());
    assert!(find(&bytes).is_none(), "one note");
    std::fs::write(&exe, bytes).unwrap();
    exe
}

fn with(exe: &Path, variable: &str, value: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(exe);
    command.env(variable, value);
    command
}

#[test]
fn it_is_an_ordinary_program_until_it_has_a_table() {
    let dir = Scratch::new();
    let exe = recorded(&dir, "/lib64/ld-linux-x86-64.so.2");
    let lib = dir.join("lib");
    // As the ordinary program: not found, then by the variable.
    run(&mut Command::new(&exe))
        .exits(127)
        .err_has("error while loading shared libraries: libshade.so");
    let mut command = with(&exe, "LD_LIBRARY_PATH", &lib);
    run(&mut command).success().prints("library\n");
    run(command.env("INDIR_DEBUG", "1"))
        .success()
        .err_has("indir: no table, ld.so /lib64/ld-linux-x86-64.so.2");
    run(with(&exe, "LD_LIBRARY_PATH", &lib).env("LD_BIND_NOW", "1"))
        .success()
        .prints("library\n");
    // A copy elsewhere is one too.
    let copy = dir.dir("elsewhere").join("copy");
    std::fs::copy(&exe, &copy).unwrap();
    run(&mut with(&copy, "LD_LIBRARY_PATH", &lib))
        .success()
        .prints("library\n");
    // With a table it needs no variable, and a damaged one is not passed over.
    update(&exe, &["--lib-dir", lib.to_str().unwrap()]);
    run(&mut Command::new(&exe)).success().prints("library\n");
    std::fs::write(table_of(&exe), "damaged").unwrap();
    run(&mut with(&exe, "LD_LIBRARY_PATH", &lib))
        .exits(127)
        .err_has("the table is unusable: ");
}

#[test]
fn an_interpreter_that_cannot_serve_is_named() {
    let dir = Scratch::new();
    let exe = recorded(&dir, "/nonexistent/ld.so");
    run(&mut Command::new(&exe))
        .exits(127)
        .err_is_one_line()
        .err_has("no table, and ld.so /nonexistent/ld.so: no such file");
    // A shim would look for the table for ever.
    let dir = Scratch::new();
    let shim = dir.join("s");
    std::fs::copy(crate::support::shim(), &shim).unwrap();
    let exe = recorded(&dir, shim.to_str().unwrap());
    run(&mut Command::new(&exe))
        .exits(127)
        .err_is_one_line()
        .err_has("it is a shim of indir");
}
