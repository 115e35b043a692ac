//! What is given as a library and is none: one line that says what it is, and what
//! to name instead.

use std::path::Path;
use std::process::Command;

use indir::elf::ElfFile;

use super::bad_input::{SMALL, build};
use crate::support::{Scratch, b_flag, cc, indir, need, run, shim, system_lib};

/// Every command that takes libraries refuses `path` in one line that has `what`.
#[track_caller]
fn refuse(scratch: &Scratch, path: &Path, what: &str) {
    for arguments in [["abi", "dump"], ["abi", "diff"]] {
        let mut command = indir();
        command.args(arguments).arg(path);
        if arguments[1] == "diff" {
            command.arg(path);
        }
        run(&mut command).exits(1).err_is_one_line().err_has(what);
    }
    let out = scratch.join("never.so");
    run(indir().args(["abi", "floor"]).arg(path).arg("-o").arg(&out))
        .exits(1)
        .err_is_one_line()
        .err_has(what);
    run(indir().arg("stub").arg(path).arg("-o").arg(&out))
        .exits(1)
        .err_is_one_line()
        .err_has(what);
    let library = build(scratch, "has", SMALL, &[]);
    run(indir()
        .arg("stub")
        .arg(&library)
        .arg("--floor")
        .arg(path)
        .arg("-o")
        .arg(&out))
    .exits(1)
    .err_is_one_line()
    .err_has(what);
    assert!(!out.exists());
}

#[test]
fn one_line_for_what_is_no_library() {
    let scratch = Scratch::new();
    let refuse = |path: &Path, what: &str| refuse(&scratch, path, what);
    refuse(&scratch.join("nothing.so"), "nothing.so: No such file");
    refuse(&scratch.file("empty.so", ""), "not an ELF file");
    refuse(&scratch.file("text.so", "hello\n"), "not an ELF file");
    refuse(&scratch.file("run.so", "#!/bin/sh\n"), "a script");
    refuse(
        &scratch.file("bad.abi", "indir-abi 1\nmachine x86_64\nnonsense\n"),
        "line 3",
    );
    let stub = scratch.join("damaged.so");
    let library = build(&scratch, "good", SMALL, &["-Wl,-soname,good.so"]);
    run(indir().arg("stub").arg(&library).arg("-o").arg(&stub)).success();
    let mut bytes = std::fs::read(&stub).unwrap();
    let at = bytes.windows(8).position(|w| w == b"good.so\0").unwrap();
    bytes[at] = b'f';
    refuse(&scratch.file("damaged.so", bytes), "a damaged stub");
}

#[test]
fn one_line_that_says_what_to_name_instead() {
    let scratch = Scratch::new();
    let refuse = |path: &Path, what: &str, instead: &str| {
        let path_and = format!(
            "{}: {what}, not a shared library; {instead}\n",
            path.display()
        );
        refuse(&scratch, path, &path_and);
    };
    let tree = "or use `indir stub --tree` for a whole folder";

    // Copies of a library's objects bear versions that the program does not define.
    let source = scratch.file(
        "m.c",
        "#include <stdio.h>\nint main(void) { return stdout == stderr; }\n",
    );
    let program = |name: &str, flags: &[&str]| {
        let out = scratch.join(name);
        let paths = [source.as_os_str(), "-o".as_ref(), out.as_os_str()];
        cc(flags.iter().map(std::ffi::OsStr::new).chain(paths));
        out
    };
    let needs = |lists: &str, path: &str| {
        format!("name one of the libraries that it needs (`{lists} {path}` lists them)")
    };
    let ldd = |path: &Path| needs("ldd", path.to_str().unwrap());
    for (name, flags) in [
        ("pie", &["-pie", "-fPIE"][..]),
        ("fixed", &["-no-pie", "-fno-pie"]),
        ("exports", &["-rdynamic"]),
        ("gold", &["-fuse-ld=gold"]),
        ("lld", &["-fuse-ld=lld"]),
        ("mold", &["-fuse-ld=mold"]),
        ("named", &["-pie", "-fPIE", "-Wl,-soname,libnamed.so"]),
    ] {
        let program = program(name, flags);
        refuse(&program, "a program", &ldd(&program));
    }
    let spaced = program("it's one", &[]);
    let quoted = format!("'{}'", spaced.display().to_string().replace('\'', r"'\''"));
    refuse(&spaced, "a program", &needs("ldd", &quoted));
    let indirect = program("indirect", &[&b_flag()]);
    let shows = needs("indir show", indirect.to_str().unwrap());
    refuse(&indirect, "a program", &shows);
    // Before 2016 linkers did not mark PIEs.
    let unmarked = program("unmarked", &["-pie", "-fPIE"]);
    let mut bytes = std::fs::read(&unmarked).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let at = elf
        .program_headers
        .iter()
        .find(|p| p.p_type == goblin::elf::program_header::PT_DYNAMIC);
    let at = at.unwrap().p_offset as usize;
    let flags = 0x6fff_fffb_u64.to_le_bytes();
    let flags = (at..)
        .step_by(16)
        .find(|&at| bytes[at..at + 8] == flags)
        .unwrap();
    bytes[flags + 8..flags + 16].fill(0);
    std::fs::write(&unmarked, bytes).unwrap();
    refuse(&unmarked, "a program", &ldd(&unmarked));
    for (name, flag) in [("static", "-static"), ("static-pie", "-static-pie")] {
        let program = program(name, &[flag]);
        refuse(&program, "a statically linked program", "name a library");
    }
    refuse(&shim(), "a statically linked program", "name a library");

    let object = program("object.o", &["-c"]);
    refuse(
        &object,
        "a relocatable object",
        "name the library that it is linked into",
    );
    let tool = |name: &str, package: &str, args: &[&std::ffi::OsStr]| {
        run(Command::new(need(name, package)).args(args)).success();
    };
    let library = build(&scratch, "libone", SMALL, &["-g", "-Wl,-soname,libone.so"]);
    for (archive, kind) in [
        ("libone.a", "rcs"),
        ("libtwo.a", "rcs"),
        ("libthin.a", "rcsT"),
    ] {
        let archive = scratch.join(archive);
        tool(
            "ar",
            "binutils",
            &[kind.as_ref(), archive.as_os_str(), object.as_os_str()],
        );
        let instead = match archive.ends_with("libone.a") {
            true => format!("name the library (`{}`)", library.display()),
            false => "name the shared library of that name".to_owned(),
        };
        refuse(&archive, "a static archive", &instead);
    }
    let deb = scratch.join("one.deb");
    let member = scratch.file("debian-binary", "2.0\n");
    tool(
        "ar",
        "binutils",
        &["rcs".as_ref(), deb.as_os_str(), member.as_os_str()],
    );
    let instead = format!(
        "unpack it (`dpkg-deb -x {} DIR`) and name a library in it",
        deb.display()
    );
    refuse(&deb, "a Debian package", &instead);

    for (script, named) in [
        (
            "/* GNU ld script */\nGROUP ( /lib/libc.so.6 AS_NEEDED ( /lib/ld.so ) )\n",
            "/lib/libc.so.6",
        ),
        ("INPUT(libncurses.so.6 -ltinfo)", "libncurses.so.6"),
        ("INPUT(-lncursesw)\n", "libncursesw.so"),
    ] {
        let file = scratch.file("libscript.so", script);
        let instead = format!("name the library that it names (`{named}`), {tree}");
        refuse(&file, "a linker script", &instead);
    }
    refuse(
        &scratch.dir("folder"),
        "a directory",
        "name a library in it, or use `indir stub --tree` for all of it",
    );

    let from = "name the library that it was split from";
    let (by_objcopy, by_strip) = (scratch.join("objcopy.debug"), scratch.join("strip.debug"));
    tool(
        "objcopy",
        "binutils",
        &[
            "--only-keep-debug".as_ref(),
            library.as_os_str(),
            by_objcopy.as_os_str(),
        ],
    );
    let rest = scratch.join("rest.so");
    tool(
        "eu-strip",
        "elfutils",
        &[
            "-o".as_ref(),
            rest.as_os_str(),
            "-f".as_ref(),
            by_strip.as_os_str(),
            library.as_os_str(),
        ],
    );
    for debug in [&by_objcopy, &by_strip] {
        refuse(debug, "a file of debug information", from);
    }
    run(indir().args(["abi", "dump"]).arg(&rest)).success();
}

#[test]
fn libraries_that_start_as_programs_do_are_libraries() {
    let scratch = Scratch::new();
    let interpreter =
        "const char i[] __attribute__((section(\".interp\"))) = \"/lib64/ld-linux-x86-64.so.2\";\n";
    let source = format!("{interpreter}{SMALL}");
    let library = build(&scratch, "libruns", &source, &["-Wl,-soname,libruns.so"]);
    let bytes = std::fs::read(&library).unwrap();
    assert!(ElfFile::parse(&bytes).unwrap().interpreter().is_some());
    for library in [&library, &system_lib().join("libc.so.6")] {
        run(indir().args(["abi", "dump"]).arg(library)).success();
    }
}

#[test]
fn every_source_is_named_when_none_is_given() {
    run(indir().args(["stub", "-o", "out"]))
        .exits(2)
        .err_has("<LIB|--tree <DIR>|--include <DIR>>");
}
