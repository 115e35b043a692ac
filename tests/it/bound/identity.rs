//! The binder binds libraries that it recognises, with and without build-id,
//! and leaves everything to ld.so when one of them was replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use indir_shim::elf::pt;

use crate::support::adopt::adopted;
use crate::support::program::{indirect, ordinary, shared, table_of};
use crate::support::{Scratch, b_flag, cc, indir, run};

/// How many functions each library has; more make the difference clearer.
const FUNCTIONS: usize = 200;

/// Two libraries that call each other's functions, and a program.
fn program(scratch: &Scratch, build_id: &str, sum: usize) -> PathBuf {
    let build_id = format!("-Wl,--build-id={build_id}");
    let callee: String = (0..FUNCTIONS)
        .map(|n| format!("int f{n}(void) {{ return {sum}; }}\n"))
        .collect();
    let caller: String = (0..FUNCTIONS)
        .map(|n| format!("int f{n}(void);\n"))
        .chain(["int all(void) { return 0".to_owned()])
        .chain((0..FUNCTIONS).map(|n| format!(" + f{n}()")))
        .chain(["; }\n".to_owned()])
        .collect();
    let shared = |name: &str, text: &str, needs: &[&Path]| {
        let out = scratch.join(format!("lib{name}.so"));
        let source = scratch.file(format!("{name}.c"), text);
        let soname = format!("-Wl,-soname,lib{name}.so");
        let mut args = vec!["-shared", "-fPIC", "-Wl,-z,now", &build_id, &soname];
        args.extend([source.to_str().unwrap(), "-o", out.to_str().unwrap()]);
        args.extend(needs.iter().map(|n| n.to_str().unwrap()));
        cc(args);
        out
    };
    let callee = shared("callee", &callee, &[]);
    let caller = shared("caller", &caller, &[&callee]);
    let main = scratch.file(
        "main.c",
        "#include <stdio.h>\nint all(void);\nint main(void) { printf(\"%d\\n\", all()); }\n",
    );
    let exe = scratch.join("main");
    cc([
        b_flag().as_ref(),
        main.as_os_str(),
        caller.as_os_str(),
        "-Wl,--allow-shlib-undefined".as_ref(),
        "-o".as_ref(),
        exe.as_os_str(),
    ]);
    exe
}

fn update(exe: &Path, scratch: &Scratch) {
    run(indir()
        .args(["update", "--plan", "bound", "--lib-dir"])
        .arg(scratch.path())
        .arg(exe))
    .success();
}

/// What the program prints, and how many symbols ld.so looked up.
fn start(exe: &Path) -> (String, usize) {
    let ran = run(Command::new(exe)
        .env("LD_DEBUG", "statistics")
        .env("INDIR_DEBUG", "0"));
    ran.success();
    let text = ran.stderr();
    let line = text
        .lines()
        .find(|line| line.contains("number of relocations:"))
        .expect("ld.so's statistics");
    let count = line.rsplit(':').next().unwrap().trim().parse().unwrap();
    (ran.stdout(), count)
}

#[test]
fn libraries_with_and_without_build_id_are_bound() {
    for build_id in ["sha1", "none"] {
        let scratch = Scratch::new();
        let exe = program(&scratch, build_id, 1);
        update(&exe, &scratch);
        let expected = format!("{FUNCTIONS}\n");
        let (printed, lookups) = start(&exe);
        assert_eq!(printed, expected, "{build_id}");
        assert!(lookups < FUNCTIONS, "{build_id}: {lookups} lookups");

        // Another library with the same name.
        program(&scratch, build_id, 2);
        let (printed, _) = start(&exe);
        assert_eq!(printed, format!("{}\n", 2 * FUNCTIONS), "{build_id}");

        // Relinking made a new executable too, whose table is refreshed.
        update(&exe, &scratch);
        assert!(start(&exe).1 < FUNCTIONS, "{build_id}");
    }
}

/// Another inode and another time, as after a restored backup or in a copied
/// image: the content tells that all is as it was.
#[test]
fn copied_and_touched_libraries_are_known_by_their_content() {
    for build_id in ["sha1", "none"] {
        let scratch = Scratch::new();
        let exe = program(&scratch, build_id, 1);
        update(&exe, &scratch);
        let bound = start(&exe);
        assert!(bound.1 < FUNCTIONS, "{build_id}");
        let library = scratch.join("libcallee.so");
        let copy = scratch.join("copy");
        std::fs::copy(&library, &copy).unwrap();
        std::fs::rename(&copy, &library).unwrap();
        assert_eq!(start(&exe), bound, "{build_id}");
        // Nothing is wrong; an update makes the next start a little faster.
        let verify = || run(indir().args(["verify", "--deep"]).arg(&exe));
        if build_id == "sha1" {
            verify().success();
        }
        run(indir().arg("update").arg(&exe))
            .success()
            .err_has("updated 1,");
        run(indir().arg("update").arg(&exe))
            .success()
            .err_has("updated 0,");
        verify().success();
        assert_eq!(start(&exe), bound, "{build_id}");
    }
}

/// Files that look the same, with functions elsewhere: by size and time, by a
/// build-id that a project sets by hand.
#[test]
fn the_right_function_is_called_whatever_identifies_its_library() {
    const FIRST: &str = "int one(void) { return 1; } int two(void) { return 2; }";
    const OTHER: &str = "int two(void) { return 2; } int one(void) { return 1; }";
    const MAIN: &str = "#include <stdio.h>\nint one(void), two(void);\n\
                        int main(void) { printf(\"%d %d\\n\", one(), two()); return 0; }";
    let by_hand = "0x1122334455667788990011223344556677889900";
    for build_id in ["none", by_hand] {
        let scratch = Scratch::new();
        let id = format!("-Wl,--build-id={build_id}");
        let build = |source: &str| {
            let args = ["-O0", &id, "-Wl,-soname,libpair.so"];
            let new = shared(&scratch.join("new.so.c"), source, &args);
            let epoch = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1);
            let file = std::fs::File::options().append(true).open(&new).unwrap();
            file.set_modified(epoch).unwrap();
            std::fs::rename(new, scratch.join("libpair.so")).unwrap();
            std::fs::metadata(scratch.join("libpair.so")).unwrap().len()
        };
        let len = build(FIRST);
        let search = format!("-L{}", scratch.path().display());
        let exe = indirect(&scratch.join("main.c"), MAIN, &[&search, "-l:libpair.so"]);
        update(&exe, &scratch);
        let starts = |bound: bool| {
            let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
            ran.success().prints("1 2\n");
            let direct = run(Command::new(&exe).env("INDIR_DISABLE_BINDINGS", "1"));
            direct.success().prints("1 2\n");
            let without = super::binder::relocations(
                Command::new(&exe)
                    .env("LD_BIND_NOW", "1")
                    .env("INDIR_DISABLE_BINDINGS", "1"),
            );
            let with = super::binder::relocations(Command::new(&exe).env("LD_BIND_NOW", "1"));
            assert_eq!(with < without, bound, "{with} of {without}: {ran}");
        };
        starts(true);
        assert_eq!(build(OTHER), len);
        starts(false);
        run(indir().arg("verify").arg(&exe))
            .exits(1)
            .out_has("replaced `")
            .out_has("libpair.so`: it is not the file that the bindings were made for");
        run(indir().arg("update").arg(&exe))
            .success()
            .err_has("the bindings were made for another content of a library; written again\n");
        starts(true);
        run(indir().arg("verify").arg(&exe)).success();
    }
}

/// A library whose dynamic section was edited in place: the same symbols at the same
/// places, and its own functions come first from now on. Editors of ELF files keep the
/// build-id, and some keep the time.
#[test]
fn a_library_that_became_symbolic_is_bound_as_ld_so_would() {
    let scratch = Scratch::new();
    let source = "int who(void) { return 1; } int ask(void) { return who(); }";
    let library = shared(
        &scratch.join("libask.so.c"),
        source,
        &["-Wl,-soname,libask.so"],
    );
    let main = "#include <stdio.h>\nint who(void) { return 2; } int ask(void);\n\
                int main(void) { printf(\"%d\\n\", ask()); return 0; }";
    let search = format!("-L{}", scratch.path().display());
    let args = ["-rdynamic", &search, "-lask"];
    let exe = indirect(&scratch.join("main.c"), main, &args);
    update(&exe, &scratch);
    let start = |says: &str| {
        let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
        ran.success().prints(says);
        ran
    };
    let ran = start("2\n");
    assert!(super::binder::applied(&ran), "{ran}");

    // Linkers leave room behind the section's end.
    let time = std::fs::metadata(&library).unwrap().modified().unwrap();
    let mut bytes = std::fs::read(&library).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let headers = elf.program_headers.iter();
    let dynamic = headers.clone().find(|p| p.p_type == pt::DYNAMIC).unwrap();
    let mut entries = dynamic.file_range().step_by(16);
    let end = entries.find(|&at| bytes[at..at + 8] == [0; 8]).unwrap();
    assert!(end + 32 <= dynamic.file_range().end);
    bytes[end] = 16; // DT_SYMBOLIC
    std::fs::write(&library, &bytes).unwrap();
    let file = std::fs::File::options().write(true).open(&library).unwrap();
    file.set_modified(time).unwrap();
    start("1\n");
    run(indir().arg("verify").arg(&exe))
        .exits(1)
        .out_has("libask.so`: it is not the file that the bindings were made for");
    run(indir().arg("update").arg(&exe)).success();
    let ran = start("1\n");
    assert!(super::binder::applied(&ran), "{ran}");
    run(indir().arg("verify").arg(&exe)).success();
}

/// The executable itself, relinked under the same build-id, with its old table.
#[test]
fn a_relinked_executable_with_its_old_bindings_is_not_bound_by_them() {
    let scratch = Scratch::new();
    let id = "-Wl,--build-id=0x1122334455667788990011223344556677889900";
    let build = |source: &str| {
        let exe = ordinary(&scratch.join("main.c"), source, &["-O0", id]);
        let old = std::fs::remove_dir_all(scratch.join("adopted"));
        assert!(old.is_ok() || !scratch.join("adopted").exists());
        adopted(&scratch, &exe, &[])
    };
    let exe = build(
        "#include <stdio.h>\n#include <stdlib.h>\n\
         int main(void) { printf(\"%d\\n\", abs(-1)); return 0; }",
    );
    run(indir().args(["update", "--plan", "bound"]).arg(&exe)).success();
    let table = table_of(&exe);
    let kept = ["", ".bind"].map(|suffix| {
        let mut name = table.clone().into_os_string();
        name.push(suffix);
        let bytes = std::fs::read(&name).unwrap();
        (name, bytes)
    });
    build(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
         int main(void) { write(1, \"x\", 1); printf(\"%d\\n\", abs(-2)); return getppid() == 0; }",
    );
    assert_eq!(table_of(&exe), table);
    for (path, bytes) in &kept {
        std::fs::write(path, bytes).unwrap();
    }
    let start = || run(Command::new(&exe).env("INDIR_DEBUG", "1"));
    start()
        .success()
        .prints("x2\n")
        .err_has("no bindings: they are for another build of the program");
    run(indir().arg("update").arg(&exe)).success();
    let ran = start();
    assert!(
        super::binder::applied(ran.success().prints("x2\n")),
        "{ran}"
    );
}
