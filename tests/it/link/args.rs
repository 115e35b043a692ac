//! The wrapper's command line: response files, option forms, its own options,
//! and everything that must look as if the real linker had been called.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::link::{
    assert_indirect, assert_says_hello, facts, indirect, link_line, linkers, object, wrapper,
};
use crate::support::{Ran, Scratch, b_flag, cc, indir, prefix, run};

fn assert_same(real: &Ran, wrapped: &Ran) {
    assert_eq!(wrapped.code(), real.code(), "{wrapped}");
    assert_eq!(wrapped.stdout(), real.stdout());
    assert_eq!(wrapped.stderr(), real.stderr());
}

#[test]
fn response_files_nested_and_quoted() {
    let scratch = Scratch::new();
    let name = "it's an \"odd\" \\ name.o";
    object(&scratch, name, "-fPIE");
    scratch.file(
        "inner",
        "'it'\\''s an \"odd\" \\\\ name.o'\n\t\n-rpath '/no where'",
    );
    scratch.file("middle", "\"@inner\"\r\n");
    scratch.file("outer", "@middle --build-id=\"sha1\" -R\\\n/nowhere");
    for (linker, _) in linkers() {
        let exe = scratch.join(format!("a-{linker}"));
        let mut command = Command::new(wrapper(linker));
        link_line(command.current_dir(scratch.path()), &exe, ["@outer"]);
        run(&mut command).success();
        assert_says_hello(&exe);
    }
}

#[test]
fn more_arguments_than_the_system_takes_at_once() {
    let scratch = Scratch::new();
    let name = "it's an \"odd\" \\ name.o";
    object(&scratch, name, "-fPIE");
    let mut text = String::from("'it'\\''s an \"odd\" \\\\ name.o'\n");
    for number in 0..3000 {
        text.push_str(&format!(
            "-L/no/such/folder/of a/quite 'long name'/{number:060}\n"
        ));
        text = text.replace("of a/quite 'long name'", "of\\ a/quite\\ \\'long\\ name\\'");
    }
    assert!(text.len() > 200 << 10);
    scratch.file("many", text);
    for (linker, _) in linkers() {
        let exe = scratch.join(format!("a-{linker}"));
        let mut command = Command::new(wrapper(linker));
        link_line(command.current_dir(scratch.path()), &exe, ["@many"]);
        run(&mut command).success();
        assert_indirect(&exe);
    }
}

#[test]
fn a_response_file_that_names_itself_is_an_error() {
    let scratch = Scratch::new();
    scratch.file("loop", "a b @loop");
    run(Command::new(wrapper("bfd"))
        .arg("@loop")
        .current_dir(scratch.path()))
    .exits(1)
    .err_is_one_line()
    .err_has("too many @-files");
}

#[test]
fn option_groups_of_the_compiler() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIE");
    for (linker, _) in linkers() {
        let exe = scratch.join("a");
        run(indirect("gcc", linker)
            .arg("-Wl,--start-group,-lm,-lc,--end-group,-rpath,/x,-rpath=/y,--rpath=/z")
            .args([
                "-Wl,-R,/tmp",
                "-Xlinker",
                "-rpath",
                "-Xlinker",
                "/w",
                "-Wl,--as-needed,-z,now",
            ])
            .arg("-Wl,--dynamic-linker=/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2")
            .arg(&object)
            .arg("-o")
            .arg(&exe))
        .success();
        assert_says_hello(&exe);
    }
}

#[test]
fn every_way_to_name_the_output() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIE");
    for (linker, _) in linkers() {
        for form in [
            &["-o", "b"][..],
            &["-ob"],
            &["--output=b"],
            &["--output", "b"],
            &[],
        ] {
            let dir = Scratch::new();
            let mut command = Command::new(wrapper(linker));
            link_line(
                command.current_dir(dir.path()),
                Path::new("first"),
                [&object],
            );
            // The last one counts; with none, the default does.
            let name = if form.is_empty() {
                command = Command::new(wrapper(linker));
                let mut line = Command::new("x");
                link_line(&mut line, Path::new("first"), [&object]);
                let args: Vec<_> = line
                    .get_args()
                    .filter(|arg| *arg != "-o" && *arg != "first")
                    .collect();
                command.current_dir(dir.path()).args(args);
                "a.out"
            } else {
                command.args(form);
                "b"
            };
            // The id is written into the output only if the wrapper knows its name.
            run(command.arg("--build-id=none")).success();
            let facts = assert_indirect(&dir.join(name));
            assert_eq!(facts.id.len(), 20, "{linker} {form:?}");
        }
    }
}

#[test]
fn failures_are_the_real_linkers() {
    let scratch = Scratch::new();
    let bad = scratch.file(
        "bad.c",
        "int gone(void); int main(void) { return gone(); }\n",
    );
    let bad_object = scratch.join("bad.o");
    cc(["-c".as_ref(), bad.as_path(), "-o".as_ref(), &bad_object]);
    let good = object(&scratch, "a.o", "-fPIE");
    let out = scratch.join("out");
    for (linker, real) in linkers() {
        let cases: [(&str, Vec<&Path>); 6] = [
            ("undefined symbol", vec![&bad_object]),
            ("missing file", vec![Path::new("/nowhere/x.o")]),
            (
                "missing library",
                vec![&good, Path::new("-lno-such-library")],
            ),
            (
                "unknown option",
                vec![&good, Path::new("--no-such-option-at-all")],
            ),
            (
                "unreadable response file",
                vec![&good, Path::new("@/nowhere/response")],
            ),
            ("no main", vec![]),
        ];
        for (name, inputs) in cases {
            let link = |program: &Path| {
                let mut command = Command::new(program);
                link_line(&mut command, &out, &inputs);
                run(&mut command)
            };
            let plain = link(&real);
            assert_ne!(plain.code(), Some(0), "{linker}: {name}");
            assert_same(&plain, &link(&wrapper(linker)));
            assert!(!out.exists(), "{linker}: {name}");
        }
        // An option without its value, at the end of the line.
        let link = |program: &Path| {
            let mut command = Command::new(program);
            link_line(&mut command, &out, [&good]);
            run(command.arg("-rpath"))
        };
        assert_same(&link(&real), &link(&wrapper(linker)));
    }
}

#[test]
fn what_prints_and_does_not_link_passes_through() {
    for (linker, real) in linkers() {
        for option in ["--version", "-v", "-V", "--help"] {
            let line = |program: &Path| {
                let mut command = Command::new(program);
                command.args(["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2", option]);
                run(&mut command)
            };
            let (plain, wrapped) = (line(&real), line(&wrapper(linker)));
            if option == "-V" || option == "-v" {
                // These may go on and link, and miss inputs.
                assert_same(&plain, &wrapped);
            } else {
                plain.success();
                assert_same(&plain, &wrapped);
            }
        }
    }
    // As configure scripts ask.
    run(Command::new("gcc").arg(b_flag()).arg("-Wl,--version"))
        .success()
        .out_has("GNU ld");
    run(Command::new("gcc")
        .arg(b_flag())
        .args(["-Wl,-v", "-x", "c", "/dev/null"]))
    .exits(1);
}

#[test]
fn death_by_a_signal_is_passed_on() {
    let scratch = Scratch::new();
    let linker = scratch.file("ld", "#!/bin/sh\nkill -SEGV $$\n");
    run(Command::new("chmod").arg("+x").arg(&linker)).success();
    let mut command = Command::new(wrapper("bfd"));
    link_line(&mut command, &scratch.join("a"), ["x.o"]);
    let ran = run(command.env("INDIR_LD", &linker));
    assert_eq!(ran.output.status.signal(), Some(11), "{ran}");
    assert_eq!(ran.stderr(), "");
}

#[test]
fn the_real_linker_is_found_and_never_a_wrapper() {
    let scratch = Scratch::new();
    let other = scratch.join("other");
    run(indir().args(["setup", "--prefix"]).arg(&other)).success();
    let folder = |prefix: &Path| prefix.join("libexec/indir");
    let path = |folders: &[&Path]| std::env::join_paths(folders).unwrap();
    let usr = Path::new("/usr/bin");
    let (a, b) = (folder(prefix()), folder(&other));
    for folders in [
        &[&a, &b, usr][..],
        &[&b, &a, usr],
        &[&a, usr],
        &[&b, usr],
        &[usr],
    ] {
        for start in [&a, &b] {
            run(Command::new(start.join("ld.gold"))
                .arg("--version")
                .env("PATH", path(folders)))
            .success()
            .out_has("GNU gold");
        }
    }
    // `indir-ld` stands for `ld`.
    run(Command::new(prefix().join("bin/indir-ld")).arg("--version"))
        .success()
        .out_has("GNU ld");
    run(Command::new(wrapper("bfd"))
        .arg("--version")
        .env("INDIR_LD", "ld.gold"))
    .success()
    .out_has("GNU gold");
    run(Command::new(wrapper("lld"))
        .arg("x.o")
        .env("PATH", path(&[&a])))
    .exits(1)
    .err_is_one_line()
    .err_has("no real linker `ld.lld` on PATH")
    .err_has("INDIR_LD");
    run(Command::new(wrapper("bfd"))
        .arg("x.o")
        .env("INDIR_LD", a.join("ld")))
    .exits(1)
    .err_is_one_line()
    .err_has("which is this wrapper");
    run(Command::new(wrapper("bfd"))
        .arg("x.o")
        .env("INDIR_LD", "/nowhere/ld"))
    .exits(1)
    .err_is_one_line()
    .err_has("`/nowhere/ld`");
}

#[test]
fn own_options() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIE");
    let exe = scratch.join("a");
    for (linker, _) in linkers() {
        run(indirect("gcc", linker)
            .arg("-Wl,--indir-off,-rpath,/x")
            .arg(&object)
            .arg("-o")
            .arg(&exe))
        .success();
        let off = facts(&exe);
        assert_eq!(
            off.interpreter.as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        assert_eq!(
            (off.reference, off.search),
            (None, vec!["/x".to_owned()]),
            "{linker}"
        );

        let table = format!("{}/tables/$ID", scratch.path().display());
        for form in [&["--indir-table=", ""][..], &["--indir-table", ","]] {
            run(indirect("gcc", linker)
                .arg(format!("-Wl,{}{}{table}", form[0], form[1]))
                .args(["-Wl,--indir-shim=/opt/shim"])
                .arg(&object)
                .arg("-o")
                .arg(&exe))
            .success();
            let facts = facts(&exe);
            assert_eq!(facts.reference.as_deref(), Some(table.as_str()), "{linker}");
            assert_eq!(facts.interpreter.as_deref(), Some("/opt/shim"));
        }
    }
    for (option, message) in [
        (
            "--indir-shim=shim",
            "--indir-shim: `shim` is not an absolute path",
        ),
        (
            "--indir-table=x/y",
            "--indir-table: `x/y` neither is an absolute path nor begins",
        ),
    ] {
        let mut command = Command::new(wrapper("bfd"));
        link_line(&mut command, &exe, [&object]);
        run(command.arg(option))
            .exits(1)
            .err_is_one_line()
            .err_has(message);
    }
    // Own options never reach the linker, whatever is linked.
    let shared = scratch.join("lib.so");
    run(indirect("gcc", "bfd")
        .args(["-shared", "-Wl,--indir-shim=/opt/shim"])
        .arg(&object)
        .arg("-o")
        .arg(&shared))
    .success();
}

#[test]
fn the_shim_must_be_installed() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIE");
    let prefix = scratch.join("p");
    run(indir().args(["setup", "--prefix"]).arg(&prefix)).success();
    std::fs::remove_file(prefix.join("lib/indir/ld-indir-x86-64.so.1")).unwrap();
    let mut command = Command::new(prefix.join("bin/indir-ld"));
    link_line(&mut command, &scratch.join("a"), [&object]);
    run(&mut command)
        .exits(1)
        .err_is_one_line()
        .err_has("run `indir setup --prefix DIR`");
}

#[test]
fn a_linker_script_that_throws_the_note_away_fails_the_link() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIE");
    let exe = scratch.join("a");
    let default = run(Command::new("ld.bfd").arg("--verbose"))
        .success()
        .stdout();
    let script = default
        .split("==================================================")
        .nth(1)
        .unwrap();
    let script = scratch.file(
        "script",
        script.replace("/DISCARD/ : {", "/DISCARD/ : { *(.note.indir)"),
    );
    run(indirect("gcc", "bfd")
        .arg("-no-pie")
        .arg(&object)
        .arg("-T")
        .arg(&script)
        .arg("-o")
        .arg(&exe))
    .exits(1)
    .err_has("indir-ld: `")
    .err_has("is not indirect: it has no `.note.indir`");
    assert!(!exe.exists());
}

#[test]
fn a_program_that_comes_out_static_is_no_error() {
    let scratch = Scratch::new();
    let source = scratch.file(
        "a.s",
        ".globl _start\n_start: mov $60, %eax\n mov $3, %edi\n syscall\n",
    );
    let exe = scratch.join("a");
    for (linker, _) in linkers() {
        run(indirect("gcc", linker)
            .args(["-nostdlib", "-no-pie"])
            .arg(&source)
            .arg("-o")
            .arg(&exe))
        .success();
        if facts(&exe).interpreter.is_none() {
            run(&mut Command::new(&exe)).exits(3);
        }
    }
}
