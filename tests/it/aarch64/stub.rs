//! Stubs of libraries of aarch64: a link against them is the link against the libraries,
//! with cross bfd, lld and mold; and the flags of their symbols are kept.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;

use super::root;
use crate::stub::facts::facts;
use crate::support::{Scratch, indir, need, run};

/// Libraries of each kind: glibc's, C++, many versions, none, TLS, variant PCS.
const LIBRARIES: [&str; 14] = [
    "libc.so.6",
    "libm.so.6",
    "ld-linux-aarch64.so.1",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libz.so.1",
    "libssl.so.3",
    "libcrypto.so.3",
    "libcurl.so.4",
    "libxml2.so.2",
    "libsqlite3.so.0",
    "libpng16.so.16",
    "libexpat.so.1",
    "libgmp.so.10",
];

/// Linkers that link for aarch64, and the packages that bring them.
const LINKERS: [(&str, &str); 3] = [
    ("aarch64-linux-gnu-ld.bfd", "binutils-aarch64-linux-gnu"),
    ("ld.lld", "lld"),
    ("mold", "mold"),
];

fn library(name: &str) -> PathBuf {
    std::fs::canonicalize(root("root").join("lib/aarch64-linux-gnu").join(name)).unwrap()
}

/// Assembly that refers to what the library exports by default and is its ABI: functions
/// are called, data is loaded by GOT, and by address, so that it is copied into a program
/// at a fixed address.
fn program(library: &Path, copies: bool) -> String {
    let dumped = run(indir().args(["abi", "dump"]).arg(library))
        .success()
        .stdout();
    let names: BTreeSet<&str> = dumped
        .lines()
        .filter_map(|line| line.strip_prefix("symbol ")?.split(' ').next())
        .filter_map(|name| match name.split_once('@') {
            None => Some(name),
            Some((name, version)) => version.starts_with('@').then_some(name),
        })
        .collect();
    let data = std::fs::read(library).unwrap();
    let elf = Elf::parse(&data).unwrap();
    let mut text = String::from(".text\n.globl _start\n_start:\n");
    for symbol in &elf.dynsyms {
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap();
        if symbol.st_shndx == 0 || symbol.st_shndx > 0xff00 || !names.contains(name) {
            continue;
        }
        match symbol.st_type() {
            2 | 10 => text.push_str(&format!("bl {name}\n")),
            1 if copies && symbol.st_size > 0 => {
                text.push_str(&format!("adrp x0, {name}\nadd x0, x0, :lo12:{name}\n"));
            }
            1 => text.push_str(&format!(
                "adrp x0, :got:{name}\nldr x0, [x0, :got_lo12:{name}]\n"
            )),
            6 => text.push_str(&format!(
                "adrp x0, :gottprel:{name}\nldr x0, [x0, :gottprel_lo12:{name}]\n"
            )),
            _ => {}
        }
    }
    text.push_str("ret\n");
    text
}

/// What of a link the other facts leave out: flags of dynamic symbols, relocations by
/// type, and DT_AARCH64_VARIANT_PCS.
fn more_facts(file: &Path) -> (BTreeSet<(String, u8)>, BTreeMap<u32, usize>, bool) {
    let data = std::fs::read(file).unwrap();
    let elf = Elf::parse(&data).unwrap();
    let symbols = elf.dynsyms.iter().map(|symbol| {
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap();
        (name.to_owned(), symbol.st_other)
    });
    let mut types = BTreeMap::new();
    for relocation in elf.dynrelas.iter().chain(elf.pltrelocs.iter()) {
        *types.entry(relocation.r_type).or_default() += 1;
    }
    let mut tags = elf.dynamic.iter().flat_map(|d| &d.dyns).map(|d| d.d_tag);
    (symbols.collect(), types, tags.any(|tag| tag == 0x7000_0005))
}

#[test]
fn a_link_against_a_stub_is_the_link_against_the_library() {
    need("aarch64-linux-gnu-as", "binutils-aarch64-linux-gnu");
    let dir = Scratch::new();
    let system = root("root");
    let mut references = 0;
    for name in LIBRARIES {
        let real = library(name);
        let stub = dir.join(format!("{name}.stub"));
        run(indir()
            .arg("stub")
            .arg(&real)
            .arg("-o")
            .arg(&stub)
            .arg("--sysroot")
            .arg(&system))
        .success();
        for copies in [false, true] {
            let source = dir.file(format!("{name}.s"), program(&real, copies));
            references += std::fs::read_to_string(&source).unwrap().lines().count();
            let object = dir.join(format!("{name}.o"));
            run(Command::new("aarch64-linux-gnu-as")
                .arg("-o")
                .arg(&object)
                .arg(&source))
            .success();
            for (linker, package) in LINKERS {
                need(linker, package);
                let link = |library: &Path| {
                    let out = dir.join(format!("{linker}.out"));
                    let mode = if copies { "-no-pie" } else { "-pie" };
                    run(Command::new(linker)
                        .args([
                            "-m",
                            "aarch64linux",
                            mode,
                            "-z",
                            "now",
                            "--allow-shlib-undefined",
                        ])
                        .args(["-dynamic-linker", "/lib/ld-linux-aarch64.so.1", "-o"])
                        .arg(&out)
                        .arg(&object)
                        .arg(library))
                    .success();
                    (facts(&out), more_facts(&out))
                };
                let (of_real, of_stub) = (link(&real), link(&stub));
                let what = format!("{name}, {linker}, copies {copies}");
                if let Some(text) = of_real.0.against(&of_stub.0) {
                    panic!("{what}: {text}");
                }
                assert_eq!(of_real.1, of_stub.1, "{what}");
            }
        }
    }
    assert!(references > 10_000, "only {references}");
}

/// The vector functions of libmvec have another calling convention: they are never bound
/// late, and every linker must know.
#[test]
fn variant_pcs_is_kept() {
    const VARIANT_PCS: u8 = 0x80;
    let dir = Scratch::new();
    let source = dir.file("v.s", ".globl f\n.type f, %function\n.variant_pcs f\nf: ret\n.globl g\n.type g, %function\ng: ret\n");
    let object = dir.join("v.o");
    run(Command::new("aarch64-linux-gnu-as")
        .arg("-o")
        .arg(&object)
        .arg(source))
    .success();
    let real = dir.join("libv.so");
    run(Command::new("aarch64-linux-gnu-ld")
        .args(["-shared", "-soname", "libv.so", "-o"])
        .arg(&real)
        .arg(object))
    .success();
    let text = run(indir().args(["abi", "dump"]).arg(&real))
        .success()
        .stdout();
    assert!(text.contains("machine aarch64"), "{text}");
    let stub = dir.join("stub.so");
    run(indir().arg("stub").arg(&real).arg("-o").arg(&stub)).success();
    let data = std::fs::read(&stub).unwrap();
    let elf = Elf::parse(&data).unwrap();
    let flags = |name: &str| {
        let symbols = elf.dynsyms.iter();
        let named = symbols.filter(|s| elf.dynstrtab.get_at(s.st_name) == Some(name));
        named.map(|s| s.st_other & VARIANT_PCS).collect::<Vec<_>>()
    };
    assert_eq!((flags("f"), flags("g")), (vec![VARIANT_PCS], vec![0]));
    let dumped = run(indir().args(["abi", "dump"]).arg(&stub))
        .success()
        .stdout();
    assert_eq!(dumped, text);
}
