//! Outputs: where they go, that they are the executables' own, and that their
//! ids tell different programs apart and survive what is done to files.

use std::collections::HashMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::link::{assert_indirect, facts, indirect, link_line, linkers, wrapper};
use crate::support::{Scratch, b_flag, cc, need, run};

fn object(scratch: &Scratch, name: &str, text: &str) -> PathBuf {
    let source = scratch.file(
        format!("{name}.c"),
        format!("#include <stdio.h>\nint main(void) {{ puts(\"{text}\"); return 0; }}\n"),
    );
    let object = scratch.join(format!("{name}.o"));
    cc([
        "-fPIE".as_ref(),
        "-g".as_ref(),
        "-c".as_ref(),
        source.as_path(),
        "-o".as_ref(),
        &object,
    ]);
    object
}

fn link(linker: &str, args: &[&str], object: &Path, exe: &Path) {
    run(indirect("gcc", linker)
        .args(args)
        .arg(object)
        .arg("-o")
        .arg(exe))
    .success();
}

#[test]
fn a_symlink_is_treated_as_the_real_linker_treats_it() {
    for (linker, real) in linkers() {
        let scratch = Scratch::new();
        let object = object(&scratch, "a", "hello");
        let outcome = |program: &Path, name: &str| {
            let dir = scratch.dir(name);
            let target = scratch.file(format!("{name}/target"), "old");
            std::os::unix::fs::symlink("target", dir.join("link")).unwrap();
            let mut command = Command::new(program);
            link_line(&mut command, &dir.join("link"), [&object]);
            // The wrapper has to write into the output itself.
            run(command.arg("--build-id=none")).success();
            let kept = dir.join("link").is_symlink();
            (kept, std::fs::read(target).unwrap() == b"old")
        };
        let plain = outcome(&real, "plain");
        assert_eq!(outcome(&wrapper(linker), "wrapped"), plain, "{linker}");
        let facts = assert_indirect(&scratch.join("wrapped/link"));
        assert_eq!(facts.id.len(), 20);
        run(&mut Command::new(scratch.join("wrapped/link")))
            .success()
            .prints("hello\n");
    }
}

#[test]
fn the_null_device_stays_what_it_is() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a", "hello");
    for (linker, real) in linkers() {
        let code = |program: &Path| {
            let mut command = Command::new(program);
            link_line(&mut command, Path::new("/dev/null"), [&object]);
            run(command.arg("--build-id=none")).code()
        };
        assert_eq!(code(&wrapper(linker)), code(&real), "{linker}");
        let null = std::fs::metadata("/dev/null").unwrap();
        assert!(null.file_type().is_char_device(), "{linker}");
    }
    run(indirect("gcc", "bfd")
        .arg(&object)
        .args(["-o", "/dev/null"]))
    .success();
}

#[test]
fn parallel_make() {
    need("make", "make");
    let scratch = Scratch::new();
    let mut makefile = String::from("all:");
    for number in 0..24 {
        makefile.push_str(&format!(" p{number}"));
    }
    makefile.push_str(
        "\np%:\n\t@printf '#include <stdio.h>\\nint main(void){puts(\"%s\");}' $@ > $@.c\n",
    );
    makefile.push_str(&format!(
        "\t@gcc {} -fuse-ld=$(LD) $@.c -o $@ -Wl,--build-id=none\n",
        b_flag()
    ));
    scratch.file("Makefile", makefile);
    for (linker, _) in linkers() {
        run(Command::new("make")
            .args(["-s", "-B", "-j8", &format!("LD={linker}")])
            .env_remove("MAKEFLAGS")
            .current_dir(scratch.path()))
        .success();
        let mut ids = HashMap::new();
        for number in 0..24 {
            let name = format!("p{number}");
            let exe = scratch.join(&name);
            let old = ids.insert(assert_indirect(&exe).id, name.clone());
            assert_eq!(old, None, "{linker}: the id of {name}");
            run(&mut Command::new(&exe))
                .success()
                .prints(&format!("{name}\n"));
        }
    }
}

#[test]
fn different_programs_have_different_ids_whatever_the_build_id() {
    let scratch = Scratch::new();
    let (a, b) = (object(&scratch, "a", "aaa"), object(&scratch, "b", "bbb"));
    for (linker, _) in linkers() {
        let styles: &[&str] = match linker {
            "lld" => &[
                "",
                "--build-id",
                "--build-id=none",
                "--build-id=0x1234",
                "--build-id=uuid",
                "--build-id=md5",
                "--build-id=fast",
            ],
            _ => &[
                "",
                "--build-id",
                "--build-id=none",
                "--build-id=0x1234",
                "--build-id=uuid",
                "--build-id=md5",
            ],
        };
        for style in styles {
            let flag = format!("-Wl,{style}");
            let args = if style.is_empty() {
                vec![]
            } else {
                vec![flag.as_str()]
            };
            let (exe_a, exe_b) = (scratch.join("exe-a"), scratch.join("exe-b"));
            link(linker, &args, &a, &exe_a);
            link(linker, &args, &b, &exe_b);
            let (id_a, id_b) = (assert_indirect(&exe_a).id, assert_indirect(&exe_b).id);
            assert_ne!(id_a, id_b, "{linker} {style}");
            run(&mut Command::new(&exe_a)).success().prints("aaa\n");
            run(&mut Command::new(&exe_b)).success().prints("bbb\n");
            // The user's choice of a build-id is kept.
            let build_id = facts(&exe_a).build_id;
            match *style {
                "--build-id=none" => assert_eq!(build_id, None, "{linker}"),
                "--build-id=0x1234" => assert_eq!(build_id, Some(vec![0x12, 0x34]), "{linker}"),
                _ => assert!(build_id.is_some_and(|id| id.len() >= 8), "{linker} {style}"),
            }
            if *style != "--build-id=uuid" {
                let again = scratch.join("exe-again");
                link(linker, &args, &a, &again);
                assert!(
                    std::fs::read(&again).unwrap() == std::fs::read(&exe_a).unwrap(),
                    "{linker} {style}: the same link twice"
                );
            }
        }
    }
}

#[test]
fn the_id_survives_what_is_done_to_files() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a", "hello");
    for (linker, _) in linkers() {
        for style in ["-Wl,--build-id=sha1", "-Wl,--build-id=none"] {
            let dir = scratch.dir(format!("{linker}{style}"));
            let exe = dir.join("a");
            link(linker, &[style], &object, &exe);
            let before = facts(&exe);
            let (copy, stripped, installed, debug) = (
                dir.join("copy"),
                dir.join("stripped"),
                dir.join("installed"),
                dir.join("a.debug"),
            );
            run(Command::new("cp").args([&exe, &copy])).success();
            run(Command::new("strip").arg("-o").args([&stripped, &exe])).success();
            run(Command::new("install")
                .args(["-s", "-m", "755"])
                .args([&exe, &installed]))
            .success();
            run(Command::new("objcopy")
                .arg("--only-keep-debug")
                .args([&exe, &debug]))
            .success();
            std::fs::rename(&exe, dir.join("renamed")).unwrap();
            for file in [copy, stripped, installed, dir.join("renamed")] {
                assert_eq!(facts(&file), before, "{}", file.display());
                run(&mut Command::new(&file)).success().prints("hello\n");
            }
            // objcopy keeps the content of notes, and no other, in a debug file.
            assert_eq!(facts(&debug).id, before.id, "{}", debug.display());
            run(Command::new("strip")
                .args(["--strip-all", "--remove-section=.comment"])
                .arg(dir.join("copy")))
            .success();
            assert_eq!(facts(&dir.join("copy")).id, before.id);
        }
    }
}

#[test]
fn a_link_leaves_nothing_else_behind() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a", "hello");
    let temporary = scratch.dir("tmp");
    for (linker, _) in linkers() {
        let dir = scratch.dir(linker);
        run(indirect("gcc", linker)
            .args(["-Wl,--indir-table=/nowhere/$ID", "-o"])
            .arg(dir.join("a"))
            .arg(&object)
            .env("TMPDIR", &temporary))
        .success();
        run(indirect("gcc", linker)
            .arg("-o")
            .arg(dir.join("b"))
            .arg(&object)
            .env("TMPDIR", &temporary))
        .success();
        let names = |dir: &Path| {
            let mut names: Vec<_> = std::fs::read_dir(dir)
                .unwrap()
                .map(|entry| entry.unwrap().file_name())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&dir), ["a", "b"], "{linker}");
        assert_eq!(names(&temporary), [""; 0], "{linker}");
    }
}

#[test]
fn the_inputs_that_a_link_reports_are_files_that_stay() {
    // What is in --dependency-file and is gone makes every later build link again.
    let scratch = Scratch::new();
    let object = object(&scratch, "a", "hello");
    let list = scratch.join("a.d");
    for (linker, _) in linkers() {
        let flag = format!("-Wl,--dependency-file={}", list.display());
        link(linker, &[&flag], &object, &scratch.join("a"));
        let text = std::fs::read_to_string(&list).unwrap();
        let rule = text.split("\n\n").next().unwrap().replace("\\\n", " ");
        let mut inputs = rule.split_whitespace().skip(1).peekable();
        assert!(inputs.peek().is_some(), "{text}");
        for input in inputs {
            assert!(Path::new(input).is_file(), "{linker}: {input}");
        }
    }
}
