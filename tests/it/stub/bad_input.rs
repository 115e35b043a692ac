//! Whatever is given as a library: a stub, or one line on stderr. Never a
//! panic, a hang, or memory without bound.

use std::path::{Path, PathBuf};
use std::process::Command;

use indir::abi::{self, Finder};
use indir::elf::ElfFile;
use indir::stub::{exercise, stub};

use crate::support::{Scratch, cc, indir, run, system_lib};

pub(super) fn build(scratch: &Scratch, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let file = scratch.file(format!("{name}.c"), source);
    let out = scratch.join(format!("{name}.so"));
    let fixed = ["-shared", "-fPIC", "-nostdlib", "-o"];
    let paths = [out.as_os_str(), file.as_os_str()];
    let flags = flags.iter().map(std::ffi::OsStr::new);
    cc(fixed
        .iter()
        .map(std::ffi::OsStr::new)
        .chain(paths)
        .chain(flags));
    out
}

pub(super) const SMALL: &str = "int f(void) { return 1; } int a[3] = {1}; extern int b __attribute__((alias(\"a\")));\n\
    __thread int t; const char s[] = \"s\"; int need(void); int g(void) { return need(); }\n";

fn small(scratch: &Scratch) -> Vec<Vec<u8>> {
    let script = scratch.file("v.map", "V1 { f; };\nV2 { *; } V1;\n");
    let versions = format!("-Wl,--version-script={}", script.display());
    let builds = [
        build(scratch, "plain", SMALL, &["-Wl,-soname,libs.so.1"]),
        build(
            scratch,
            "versions",
            SMALL,
            &[&versions, "-Wl,--hash-style=both"],
        ),
        build(
            scratch,
            "sysv",
            SMALL,
            &["-Wl,--hash-style=sysv", "-Wl,-z,norelro"],
        ),
    ];
    let mut all: Vec<Vec<u8>> = builds.iter().map(|p| std::fs::read(p).unwrap()).collect();
    let stub = scratch.join("stub.so");
    run(indir().arg("stub").arg(&builds[1]).arg("-o").arg(&stub)).success();
    all.push(std::fs::read(stub).unwrap());
    all
}

#[test]
fn truncated_at_every_length() {
    let scratch = Scratch::new();
    for bytes in small(&scratch) {
        for len in 0..bytes.len() {
            exercise(&bytes[..len]);
        }
    }
}

#[test]
fn damaged_at_random() {
    let scratch = Scratch::new();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for bytes in small(&scratch) {
        for _ in 0..4000 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 6 {
                let at = (random() % damaged.len() as u64) as usize;
                let value = match random() % 4 {
                    0 => 0,
                    1 => 0xff,
                    2 => damaged[at] ^ 1 << (random() % 8),
                    _ => random() as u8,
                };
                // Whole fields too: absurd sizes and offsets.
                let len = if random() % 4 == 0 { 8 } else { 1 };
                let end = (at + len).min(damaged.len());
                damaged[at..end].fill(value);
            }
            exercise(&damaged);
        }
    }
}

#[test]
fn every_library_of_the_system_is_read() {
    let finder = Finder::new(Vec::new());
    let mut count = 0;
    for entry in std::fs::read_dir(system_lib()).unwrap().map(Result::unwrap) {
        let path = entry.path();
        let plain = entry.file_type().unwrap().is_file();
        if !plain || !path.to_string_lossy().contains(".so") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        if !bytes.starts_with(b"\x7fELF\x02\x01") {
            continue;
        }
        let loaded = abi::load(&path, &finder).unwrap_or_else(|e| panic!("{e}"));
        let written = stub(&loaded.abi).unwrap();
        let elf = ElfFile::parse(&written).unwrap();
        assert_eq!(abi::read::read(&elf).unwrap().abi, loaded.abi, "{path:?}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

#[test]
fn hash_styles_and_sections_make_no_difference() {
    let scratch = Scratch::new();
    let dump = |path: &Path| {
        run(indir().args(["abi", "dump"]).arg(path))
            .success()
            .stdout()
    };
    let styles = ["sysv", "gnu", "both"].map(|style| {
        let flag = format!("-Wl,--hash-style={style}");
        dump(&build(&scratch, style, SMALL, &[&flag]))
    });
    assert_eq!(styles[0], styles[1]);
    assert_eq!(styles[0], styles[2]);
    assert!(!styles[0].contains("soname"));
    assert!(styles[0].contains("undefined need\n"), "{}", styles[0]);
    assert!(
        styles[0].contains("symbol b object in=data size=12 align=16 alias=a\n"),
        "{}",
        styles[0]
    );
    // From dynamic tags alone, whichever hash table counts the symbols.
    let strip = crate::support::need("llvm-strip-14", "llvm-14");
    for style in ["sysv", "gnu", "both"] {
        let stripped = scratch.join(format!("{style}.so"));
        run(Command::new(&strip).arg("--strip-sections").arg(&stripped)).success();
        let bytes = std::fs::read(&stripped).unwrap();
        let elf = goblin::elf::Elf::parse(&bytes).unwrap();
        assert_eq!(elf.header.e_shoff, 0);
        let dynamic = elf.dynamic.as_ref().unwrap();
        let has = |tag| dynamic.dyns.iter().any(|entry| entry.d_tag == tag);
        assert_eq!(has(goblin::elf::dynamic::DT_HASH), style != "gnu");
        assert_eq!(has(goblin::elf::dynamic::DT_GNU_HASH), style != "sysv");
        assert_eq!(dump(&stripped), styles[0], "{style}");
    }
}

#[test]
fn four_hundred_thousand_symbols() {
    let scratch = Scratch::new();
    let mut text = String::from("asm(\".text\\n\"\n");
    for at in 0..400_000 {
        use std::fmt::Write as _;
        let _ = writeln!(
            text,
            "\".globl s{at}; .type s{at},@function; s{at}: nop\\n\""
        );
    }
    text.push_str(");\n");
    let library = build(&scratch, "many", &text, &[]);
    let size = std::fs::metadata(&library).unwrap().len();
    let out = scratch.join("stub.so");
    // Everything that is mapped counts: the tool, its libraries, stacks, files.
    let limit = 12 * size / 1024 + 200 * 1024;
    let script = format!("ulimit -v {limit}; exec \"$@\"");
    let exe = indir().get_program().to_owned();
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, "sh"])
        .arg(exe)
        .arg("stub")
        .arg(&library)
        .arg("-o")
        .arg(&out);
    run(&mut command).success();
    let data = std::fs::read(&out).unwrap();
    let count = goblin::elf::Elf::parse(&data)
        .unwrap()
        .dynsyms
        .iter()
        .filter(|s| s.st_shndx != 0)
        .count();
    assert_eq!(count, 400_000);
}

#[test]
fn overlapping_names_do_not_multiply() {
    // 20,000 symbols whose names all begin in one string of 200,000 bytes.
    let scratch = Scratch::new();
    let mut long = "x".repeat(200_000);
    long.push('y');
    let names: Vec<String> = (0..20_000)
        .map(|at| format!("\".globl n{at}\\nn{at}: nop\\n\""))
        .collect();
    let source = format!(
        "asm(\".text\\n.globl {long}\\n{long}: nop\\n\"\n{});\n",
        names.join("\n")
    );
    let library = build(&scratch, "long", &source, &["-Wl,--hash-style=sysv"]);
    let mut bytes = std::fs::read(&library).unwrap();
    let (table, count, strings) = {
        let elf = goblin::elf::Elf::parse(&bytes).unwrap();
        let table = elf
            .section_headers
            .iter()
            .find(|s| s.sh_type == goblin::elf::section_header::SHT_DYNSYM)
            .unwrap();
        let strings = elf
            .section_headers
            .iter()
            .find(|s| s.sh_addr == elf.dynamic.as_ref().unwrap().info.strtab as u64)
            .unwrap();
        (
            table.sh_offset as usize,
            table.sh_size as usize / 24,
            strings.sh_offset as usize,
        )
    };
    let at = bytes[strings..]
        .windows(8)
        .position(|w| w == b"xxxxxxxx")
        .unwrap() as u32;
    for index in 1..count {
        let entry = table + 24 * index;
        bytes[entry..entry + 4].copy_from_slice(&(at + index as u32).to_le_bytes());
    }
    let file = scratch.file("overlap.so", bytes);
    run(indir().args(["abi", "dump"]).arg(&file))
        .exits(1)
        .err_is_one_line()
        .err_has("names overlap");
}
