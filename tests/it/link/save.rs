//! `INDIR_SAVE_LINK`: a saved link, run again, gives the same bytes.

use std::process::Command;

use crate::support::link::{facts, indirect, linkers};
use crate::support::{Scratch, need, run};

#[test]
fn a_saved_link_runs_again_without_its_inputs() {
    need("clang", "clang");
    for (linker, _) in linkers() {
        for style in ["-Wl,--build-id=sha1", "-Wl,--build-id=none"] {
            let scratch = Scratch::new();
            let inputs = scratch.dir("in puts");
            scratch.file(
                "in puts/a.c",
                "#include <stdio.h>\nint f(void);\nint main(void) { puts(\"hello\"); return f(); }\n",
            );
            scratch.file("in puts/f.c", "int f(void) { return 4; }\n");
            scratch.file("in puts/list", "{ main; f; };\n");
            let make = "gcc -c a.c f.c && ar rc libf.a f.o";
            run(Command::new("sh").args(["-c", make]).current_dir(&inputs)).success();
            let saved = scratch.join("saved");
            let exe = scratch.join("exe");
            run(indirect("gcc", linker)
                .current_dir(&inputs)
                .args([
                    style,
                    "a.o",
                    "-L.",
                    "-lf",
                    "-Wl,--dynamic-list=list",
                    "-lm",
                    "-o",
                ])
                .arg(&exe)
                .env("INDIR_SAVE_LINK", &saved))
            .success();
            let before = std::fs::read(&exe).unwrap();
            std::fs::remove_dir_all(&inputs).unwrap();

            // From another folder, and moved.
            let moved = scratch.join("moved away");
            std::fs::rename(&saved, &moved).unwrap();
            run(Command::new(moved.join("run-with")).current_dir("/")).success();
            assert!(
                std::fs::read(moved.join("out/exe")).unwrap() == before,
                "{linker} {style}"
            );

            // Any linker may be tried on it.
            run(Command::new(moved.join("run-with")).arg(format!("ld.{linker}"))).success();
            let plain = facts(&moved.join("out/exe"));
            assert_eq!(
                plain.interpreter.as_deref(),
                Some("/lib64/ld-linux-x86-64.so.2")
            );
            assert_eq!(plain.reference, None);
        }
    }
}

#[test]
fn every_link_of_a_build_is_kept_the_failing_too() {
    let scratch = Scratch::new();
    let saved = scratch.join("saved");
    let good = scratch.file("good.c", "int main(void) { return 0; }\n");
    let bad = scratch.file(
        "bad.c",
        "int gone(void); int main(void) { return gone(); }\n",
    );
    let link = |source| {
        let mut command = indirect("gcc", "bfd");
        command
            .arg(source)
            .arg("-o")
            .arg(scratch.join("exe"))
            .env("INDIR_SAVE_LINK", &saved);
        run(&mut command)
    };
    link(&good).success();
    link(&bad).exits(1).err_has("undefined reference");
    run(&mut Command::new(saved.join("run-with"))).success();
    run(&mut Command::new(scratch.join("saved.2/run-with")))
        .exits(1)
        .err_has("undefined reference");
}
