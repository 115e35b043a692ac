//! What the shim does with bad executables, libraries and surroundings: one line that
//! names the file, the reason and the command that mends it, exit code 127, never a
//! crash. Tables are `badtable`'s.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;

use super::badtable::{HELLO, Program, no_signal};
use crate::support::program::{
    indirect, refused, refused_then_updated, shared, table_line, update,
};
use crate::support::{Scratch, cc, indir, need, run, run_with_input, shim, system_lib};

/// A program of `count` libraries in lib/.
fn with_libraries(dir: &Scratch, count: usize) -> (PathBuf, Vec<PathBuf>) {
    let lib = dir.dir("lib");
    let mut args = vec![
        "-Wl,--no-as-needed".to_owned(),
        format!("-L{}", lib.display()),
    ];
    let libraries = (0..count)
        .map(|index| {
            let soname = format!("-Wl,-soname,libpart{index}.so");
            args.push(format!("-lpart{index}"));
            let source = format!("int part{index}(void) {{ return {index}; }}");
            shared(
                &lib.join(format!("libpart{index}.so.c")),
                &source,
                &[&soname],
            )
        })
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let source = format!("int part0(void); int (*keep)(void) = part0;\n{HELLO}");
    let exe = indirect(&dir.join("parts.c"), &source, &args);
    refused_then_updated(&exe, &["--lib-dir", lib.to_str().unwrap()]);
    run(&mut Command::new(&exe)).success().prints("hello\n");
    (exe, libraries)
}

#[test]
fn a_missing_library_is_named_with_the_command_that_mends_it() {
    for count in [1, 2] {
        let dir = Scratch::new();
        let (exe, libraries) = with_libraries(&dir, count);
        for library in &libraries {
            let away = library.with_extension("away");
            std::fs::rename(library, &away).unwrap();
            let what = format!("library {}: no such file", library.display());
            refused(&run(&mut Command::new(&exe)), &table_line(&exe, &what));
            std::fs::rename(&away, library).unwrap();
        }
        // What mends it: the library elsewhere, and the command.
        let new = dir.dir("new");
        std::fs::rename(dir.join("lib"), new.join("moved")).unwrap();
        run(&mut Command::new(&exe))
            .exits(127)
            .err_has("indir update");
        update(&exe, &["--lib-dir", new.join("moved").to_str().unwrap()]);
        run(&mut Command::new(&exe)).success().prints("hello\n");
    }
}

#[test]
fn of_many_libraries_ld_so_names_the_missing_one() {
    let dir = Scratch::new();
    let (exe, libraries) = with_libraries(&dir, 3);
    for library in &libraries {
        let away = library.with_extension("away");
        std::fs::rename(library, &away).unwrap();
        run(&mut Command::new(&exe))
            .exits(127)
            .err_is_one_line()
            .err_has(&format!(
                "{}: error while loading shared libraries",
                exe.display()
            ))
            .err_has(&format!(
                "{}: cannot open shared object file",
                library.display()
            ));
        std::fs::rename(&away, library).unwrap();
    }
}

#[test]
fn a_library_replaced_by_another_build_still_serves() {
    let dir = Scratch::new();
    let (exe, libraries) = with_libraries(&dir, 2);
    run(indir().arg("verify").arg(&exe)).success();
    shared(
        &libraries[0].with_extension("so.c"),
        "int part0(void) { return 1000; } int more(void) { return 1; }",
        &["-Wl,-soname,libpart0.so"],
    );
    run(&mut Command::new(&exe)).success().prints("hello\n");
    run(indir().arg("verify").arg(&exe))
        .exits(1)
        .out_has(libraries[0].to_str().unwrap());
    update(&exe, &[]);
    run(indir().arg("verify").arg(&exe)).success();
}

#[test]
fn a_library_that_is_none_is_named() {
    let dir = Scratch::new();
    let (exe, libraries) = with_libraries(&dir, 2);
    let good = std::fs::read(&libraries[0]).unwrap();
    let mut class32 = good.clone();
    class32[4] = 1;
    let mut arm = good.clone();
    arm[18] = 183;
    for (bytes, reason) in [
        (&b""[..], "file too short"),
        (b"text, not a library", "file too short"),
        (&[b'x'; 4096], "invalid ELF header"),
        (&good[..32], "file too short"),
        (&class32, "wrong ELF class: ELFCLASS32"),
        (&arm, "cannot open shared object file"),
    ] {
        std::fs::write(&libraries[0], bytes).unwrap();
        let ran = run(&mut Command::new(&exe));
        ran.exits(127)
            .prints("")
            .err_is_one_line()
            .err_has(libraries[0].to_str().unwrap());
        if bytes != arm {
            ran.err_has(reason);
        }
    }
}

#[test]
fn an_ld_so_that_is_missing_or_none() {
    let program = Program::new();
    let real = std::fs::read(system_lib().join("ld-linux-x86-64.so.2")).unwrap();
    let ldso = program.dir.join("ld.so");
    let changed = |at: usize, bytes: &[u8]| {
        let mut file = real.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    // The file header and the program headers.
    let headers = 64 + 56 * usize::from(real[56]);
    let line =
        |reason: &str| table_line(&program.exe, &format!("ld.so {}: {reason}", ldso.display()));
    refused(&program.with_ldso(&ldso), &line("no such file"));
    for (bytes, reason) in [
        (vec![], "it is not an ELF file"),
        (b"#!/bin/sh\n".to_vec(), "it is not an ELF file"),
        (real[..63].to_vec(), "it is not an ELF file"),
        (real[..64].to_vec(), "its segments make no sense"),
        (real[..headers - 1].to_vec(), "its segments make no sense"),
        (changed(4, &[1]), "it is for another architecture"),
        (changed(5, &[2]), "it is for another architecture"),
        (changed(18, &[183, 0]), "it is for another architecture"),
        (changed(16, &[2, 0]), "it is not a shared object"),
        (changed(54, &[32, 0]), "it is not a shared object"),
        (changed(32, &[0xff; 8]), "its segments make no sense"),
        (changed(56, &[0, 0]), "its segments make no sense"),
        (changed(56, &[0xff, 0xff]), "its segments make no sense"),
    ] {
        std::fs::write(&ldso, bytes).unwrap();
        refused(&program.with_ldso(&ldso), &line(reason));
    }
    let mapped = MappedElf::open(system_lib().join("ld-linux-x86-64.so.2")).unwrap();
    let elf = mapped.elf().unwrap();
    let used = elf
        .segments()
        .iter()
        .map(|s| (s.offset + s.filesz) as usize)
        .max()
        .unwrap();
    for len in [headers, 1024, 4096, 100_000, used / 2, used - 1] {
        std::fs::write(&ldso, &real[..len]).unwrap();
        refused(&program.with_ldso(&ldso), &line("it is truncated"));
    }
    for len in [used, real.len()] {
        std::fs::write(&ldso, &real[..len]).unwrap();
        program.with_ldso(&ldso).success().prints("hello\n");
    }
    std::fs::remove_file(&ldso).unwrap();
    std::fs::create_dir(&ldso).unwrap();
    refused(&program.with_ldso(&ldso), &line("it is a folder"));
    program.mended();
}

#[test]
fn segments_of_ld_so_that_make_no_sense() {
    let program = Program::new();
    let real = std::fs::read(system_lib().join("ld-linux-x86-64.so.2")).unwrap();
    let ldso = program.dir.join("ld.so");
    let count = usize::from(real[56]);
    let loads: Vec<usize> = (0..count)
        .map(|index| 64 + index * 56)
        .filter(|&at| real[at..at + 4] == [1, 0, 0, 0])
        .collect();
    assert!(loads.len() >= 2);
    // Offset, address, size in the file, size in memory.
    for (field, value) in [
        (8, 0x123_u64),
        (16, u64::MAX),
        (16, 1 << 40),
        (32, u64::MAX),
        (32, 1 << 50),
        (40, u64::MAX),
        (40, 1 << 50),
        (40, 0),
    ] {
        let mut file = real.clone();
        let at = loads[1] + field;
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        std::fs::write(&ldso, file).unwrap();
        let what = format!("ld.so {}: its segments make no sense", ldso.display());
        refused(&program.with_ldso(&ldso), &table_line(&program.exe, &what));
    }
}

/// Replaces the only occurrence of `from` in the executable.
fn patch(exe: &Path, from: &[u8], to: &[u8]) {
    let mut bytes = std::fs::read(exe).unwrap();
    let found: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(at, _)| at)
        .collect();
    assert_eq!(found.len(), 1, "{:?}", String::from_utf8_lossy(from));
    bytes[found[0]..found[0] + to.len()].copy_from_slice(to);
    std::fs::write(exe, bytes).unwrap();
}

#[test]
fn a_missing_or_malformed_note() {
    for (from, to, reason, update_says) in [
        (
            &b"$ORIGIN/.indir/"[..],
            &b"?"[..],
            "its indir note is malformed",
            "malformed",
        ),
        (
            b"$ORIGIN/.indir/$ID\0\0",
            b"$ORIGIN/.indir/$ID\0x",
            "its indir note is malformed",
            "malformed",
        ),
        (
            b"indir\0\0\0",
            b"other",
            "it has no indir note",
            "no `indir` note",
        ),
    ] {
        let program = Program::new();
        patch(&program.exe, from, to);
        let line = format!(
            "indir: {0}: the executable: {reason}; run `indir update {0}`",
            program.exe.display()
        );
        refused(&program.run(), &line);
        for command in ["update", "verify", "show"] {
            let ran = run(indir().arg(command).arg(&program.exe));
            assert_eq!(ran.code(), Some(1), "{ran}");
            let said = ran.stdout() + &ran.stderr();
            assert!(said.contains(update_says), "{command}: {ran}");
        }
    }
}

#[test]
fn without_proc() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test has to be root to unmount /proc in a mount namespace of its own"
    );
    let unshare = need("unshare", "util-linux");
    let program = Program::new();
    let name = program.exe.file_name().unwrap().to_str().unwrap();
    std::os::unix::fs::symlink(name, program.dir.join("link")).unwrap();
    std::os::unix::fs::symlink("../link", program.dir.dir("sub").join("up")).unwrap();
    std::os::unix::fs::symlink("loop", program.dir.join("loop")).unwrap();
    let without = |script: &str| {
        run(Command::new(&unshare)
            .current_dir(program.dir.path())
            .args(["--mount", "sh", "-c"])
            .arg(format!(
                "umount -l /proc || exit 99; test ! -e /proc/self || exit 98; {script}"
            ))
            .arg(&program.exe))
    };
    for script in [
        "exec $0",
        "exec ./hello",
        "exec ./link",
        "exec sub/up",
        "PATH=. exec hello",
        "cd sub; exec ../hello",
    ] {
        let ran = without(script);
        ran.success().prints("hello\n");
    }
    // What cannot be told is said.
    std::fs::remove_file(&program.table).unwrap();
    without("exec ./hello")
        .exits(127)
        .err_is_one_line()
        .err_has("./hello: the table cannot be read: no such file");
}

#[test]
fn the_shim_is_not_a_command() {
    for args in [&[][..], &["--version"], &["/bin/true"]] {
        run(Command::new(shim()).args(args))
            .exits(127)
            .prints("")
            .err_is_one_line()
            .err_has("not a command");
    }
}

#[test]
fn ld_library_path_that_is_too_long_is_refused_not_followed() {
    let program = Program::new();
    // Longer than a table's search path and the shim's memory together.
    let long = "/nonexistent:".repeat(9000);
    let ran = run(Command::new(&program.exe).env("LD_LIBRARY_PATH", &long));
    no_signal(&ran);
    assert!(
        ran.code() == Some(0) || ran.code() == Some(127),
        "{}",
        ran.stderr()
    );
}

#[test]
fn standard_error_that_is_closed_or_full_changes_nothing() {
    let program = Program::new();
    std::fs::remove_file(&program.table).unwrap();
    for redirection in ["2>&-", "2>/dev/full", "2<&0"] {
        let script = format!("exec \"$0\" {redirection}");
        run_with_input(
            Command::new("sh").arg("-c").arg(script).arg(&program.exe),
            b"",
        )
        .exits(127)
        .prints("");
    }
}

/// An executable with program headers that no link editor writes.
#[test]
fn executables_that_make_no_sense() {
    let program = Program::new();
    let good = std::fs::read(&program.exe).unwrap();
    let phdr = |kind: u8| {
        (0..usize::from(good[56]))
            .map(|index| 64 + index * 56)
            .find(|&at| good[at..at + 4] == [kind, 0, 0, 0])
            .unwrap()
    };
    const DYNAMIC: u8 = 2;
    const PHDR: u8 = 6;
    for (at, bytes, reason) in [
        (phdr(DYNAMIC), vec![0; 4], "it has no dynamic section"),
        (
            phdr(DYNAMIC) + 16,
            vec![0xff; 8],
            "its dynamic section is malformed",
        ),
        (
            phdr(DYNAMIC) + 40,
            vec![0xff; 8],
            "its dynamic section is malformed",
        ),
        (
            phdr(DYNAMIC) + 40,
            vec![0; 8],
            "it has no dynamic string table",
        ),
    ] {
        let mut broken = good.clone();
        broken[at..at + bytes.len()].copy_from_slice(&bytes);
        let exe = program.dir.join("broken");
        std::fs::write(&exe, &broken).unwrap();
        std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o755)).unwrap();
        let line = format!(
            "indir: {0}: the executable: {reason}; run `indir update {0}`",
            exe.display()
        );
        refused(&run(&mut Command::new(&exe)), &line);
        let ran = run(indir().arg("update").arg(&exe));
        no_signal(&ran);
        std::fs::remove_file(&exe).unwrap();
    }
    assert!(phdr(PHDR) > 0);
}

#[test]
fn a_32_bit_library_is_not_taken() {
    // Freestanding, so that no 32-bit libc is needed.
    let dir = Scratch::new();
    let lib = dir.dir("lib32");
    let source = dir.file("part0.c", "int part0(void) { return 0; }");
    let output = lib.join("libpart0.so");
    let args = [
        "-m32",
        "-nostdlib",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libpart0.so",
        "-o",
    ];
    cc(args
        .map(std::ffi::OsStr::new)
        .into_iter()
        .chain([output.as_os_str(), source.as_os_str()]));
    let (exe, libraries) = with_libraries(&dir, 1);
    // ld.so passes over it when it searches, and so does an update.
    let folders = [
        lib.to_str().unwrap(),
        libraries[0].parent().unwrap().to_str().unwrap(),
    ];
    update(&exe, &["--lib-dir", folders[0], "--lib-dir", folders[1]]);
    run(&mut Command::new(&exe)).success().prints("hello\n");
    run(Command::new(&exe).env("LD_LIBRARY_PATH", folders[0]))
        .success()
        .prints("hello\n");
    std::fs::copy(&output, &libraries[0]).unwrap();
    run(&mut Command::new(&exe))
        .exits(127)
        .err_is_one_line()
        .err_has("wrong ELF class: ELFCLASS32");
}
