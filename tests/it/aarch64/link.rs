//! `indir-ld` under cross tools: GCC's and clang, with bfd, gold, lld and mold.

use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;
use indir_shim::format::note::Notes;

use crate::support::{Ran, Scratch, need, prefix, run};

const PROGRAM: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";
const SHIM: &str = "/opt/indir/lib/indir/ld-indir-aarch64.so.1";

/// Compiles with the wrapper, whose shim is one of another root.
fn link(dir: &Scratch, compiler: &[&str], args: &[&str]) -> (PathBuf, Ran) {
    let source = dir.file("main.c", PROGRAM);
    let out = dir.join("main");
    let ran = run(Command::new(compiler[0])
        .args(&compiler[1..])
        .arg(format!("-B{}/libexec/indir", prefix().display()))
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .args(args));
    (out, ran)
}

fn is_indirect(file: &Path) -> bool {
    let data = std::fs::read(file).unwrap();
    let elf = Elf::parse(&data).unwrap();
    assert_eq!(elf.header.e_machine, 183);
    let mut notes = Notes::default();
    for header in elf.program_headers.iter().filter(|p| p.p_type == 4) {
        notes.scan(&data[header.file_range()], header.p_align as usize);
    }
    let Some(interpreter) = notes.interpreter else {
        return false;
    };
    assert_eq!(interpreter, c"/lib/ld-linux-aarch64.so.1");
    assert_eq!(elf.interpreter, Some(SHIM));
    true
}

/// Bits of GNU_PROPERTY_AARCH64_FEATURE_1_AND.
fn features(file: &Path) -> String {
    let ran = run(Command::new("aarch64-linux-gnu-readelf")
        .arg("-n")
        .arg(file));
    let text = ran.success().stdout();
    let line = text.lines().find(|line| line.contains("AArch64 feature"));
    line.unwrap_or_default().trim().to_owned()
}

#[test]
fn cross_compilers_link_indirect_programs() {
    need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu");
    need("clang", "clang");
    let dir = Scratch::new();
    let gcc = ["aarch64-linux-gnu-gcc"];
    let clang = ["clang", "--target=aarch64-linux-gnu"];
    let shim = format!("-Wl,--indir-shim={SHIM}");
    for (compiler, linkers) in [
        (&gcc[..], &["", "bfd", "gold", "lld", "mold"][..]),
        (&clang[..], &["bfd", "lld", "mold"][..]),
    ] {
        for linker in linkers {
            let select = match *linker {
                "" => "-O1".to_owned(),
                // GCC 12 has an option for it only in later releases.
                linker => format!("-fuse-ld={linker}"),
            };
            for mode in ["-pie", "-no-pie"] {
                let args = [&select, &shim, mode, "-fPIE"];
                let (out, ran) = link(&dir, compiler, &args);
                ran.success();
                assert!(is_indirect(&out), "{compiler:?} {linker} {mode}");
            }
        }
    }
}

/// Protection by branch targets and pointer signatures stays, where all else has it.
#[test]
fn properties_stay() {
    let dir = Scratch::new();
    let shim = format!("-Wl,--indir-shim={SHIM}");
    let code = "-mbranch-protection=standard";
    let source = dir.file("s.c", "int f(void) { return 0; }\n");
    let object = dir.join("s.o");
    run(Command::new("aarch64-linux-gnu-gcc")
        .args([code, "-c", "-o"])
        .arg(&object)
        .arg(&source))
    .success();
    for linker in ["bfd", "lld"] {
        let start = dir.file("start.s", ".globl _start\n_start: bl f\nret\n.section .note.gnu.property,\"a\"\n.balign 8\n.long 4,16,5\n.asciz \"GNU\"\n.long 0xc0000000,4,3,0\n");
        let first = dir.join("start.o");
        run(Command::new("aarch64-linux-gnu-as")
            .arg("-o")
            .arg(&first)
            .arg(&start))
        .success();
        let out = dir.join("out");
        let wrapper = prefix().join("libexec/indir").join(format!("ld.{linker}"));
        let library = super::root("root").join("lib/aarch64-linux-gnu/libc.so.6");
        run(Command::new(&wrapper)
            .args([
                "-m",
                "aarch64linux",
                "-pie",
                "-dynamic-linker",
                "/lib/ld-linux-aarch64.so.1",
            ])
            .arg(shim.trim_start_matches("-Wl,"))
            .arg("-o")
            .arg(&out)
            .args([&first, &object])
            .arg(library))
        .success();
        assert!(is_indirect(&out));
        let text = features(&out);
        assert!(text.contains("BTI, PAC"), "{linker}: {text}");
    }
}

#[test]
fn libraries_and_other_emulations_are_left_alone() {
    let dir = Scratch::new();
    let (out, ran) = link(&dir, &["aarch64-linux-gnu-gcc"], &["-shared", "-fPIC"]);
    ran.success();
    assert!(!is_indirect(&out));
    // An interpreter of one machine does not make a link for another one ours.
    let source = dir.file("x.s", ".globl _start\n_start: ret\n");
    let object = dir.join("x.o");
    run(Command::new("aarch64-linux-gnu-as")
        .arg("-o")
        .arg(&object)
        .arg(&source))
    .success();
    let out = dir.join("odd");
    run(Command::new(prefix().join("libexec/indir/ld"))
        .args([
            "-m",
            "aarch64linux",
            "-dynamic-linker",
            "/lib64/ld-linux-x86-64.so.2",
            "-pie",
            "-o",
        ])
        .arg(&out)
        .arg(&object))
    .success();
    assert!(!is_indirect(&out));
}

/// The plugin goes by the name of the interpreter.
#[test]
fn the_plugin_makes_the_note_for_the_machine() {
    let dir = Scratch::new();
    let plugin = prefix().join("lib/indir/libindir-ld-plugin.so");
    let args = [
        format!("-Wl,-plugin,{}", plugin.display()),
        "-Wl,-plugin-opt,interpreter=/lib/ld-linux-aarch64.so.1".to_owned(),
        format!("-Wl,-dynamic-linker,{SHIM}"),
        "-Wl,--indir-off".to_owned(),
        "-Wl,--build-id=sha1".to_owned(),
    ];
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (out, ran) = link(&dir, &["aarch64-linux-gnu-gcc"], &args);
    ran.success();
    assert!(is_indirect(&out));
}
