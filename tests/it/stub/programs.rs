//! Programs in C, C++ and Rust that refer to what a library exports.
//!
//! Each tells, for every symbol that it refers to, whether its own address and
//! dlsym()'s are the same, which of the earlier symbols has the same address, and
//! what the bytes of the object are, but for addresses in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::{Elf, sym, symver};

use crate::support::{Scratch, run};

/// Largest object that programs refer to, in bytes: a copy has that size.
const LARGEST: u64 = 64 * 1024;

pub(crate) struct Export {
    name: String,
    kind: u8,
    size: u64,
}

/// What a program can refer to, by an independent reader of ELF.
pub(crate) fn exports(path: &Path) -> Option<Vec<Export>> {
    let data = std::fs::read(path).ok()?;
    let elf = Elf::parse(&data).ok()?;
    if elf.header.e_machine != goblin::elf::header::EM_X86_64 || elf.soname.is_none() {
        return None;
    }
    let private = private_versions(&elf);
    let mut found = BTreeMap::new();
    for (at, symbol) in elf.dynsyms.iter().enumerate() {
        let version = elf
            .versym
            .as_ref()
            .and_then(|v| v.get_at(at))
            .map_or(1, |v| v.vs_val);
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or("");
        let skip = symbol.st_shndx == 0
            || symbol.st_shndx == 0xfff1
            || version & symver::VERSYM_HIDDEN != 0
            || version == 0
            || private.contains(&version)
            || name.starts_with("krb5int_")
            || symbol.st_visibility() != sym::STV_DEFAULT
            || !name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'.' || b == b'$')
            || [
                "main",
                "_init",
                "_fini",
                "_end",
                "_edata",
                "__bss_start",
                "_start",
            ]
            .contains(&name);
        let code = matches!(symbol.st_type(), sym::STT_FUNC | sym::STT_GNU_IFUNC);
        let data = matches!(symbol.st_type(), sym::STT_OBJECT | sym::STT_TLS)
            && (1..=LARGEST).contains(&symbol.st_size);
        if !skip && !name.is_empty() && (code || data) {
            let kind = if code {
                sym::STT_FUNC
            } else {
                symbol.st_type()
            };
            let export = Export {
                name: name.to_owned(),
                kind,
                size: symbol.st_size,
            };
            found.insert(name.to_owned(), export);
        }
    }
    // Evenly over the names; data is rarer and matters more.
    let (code, data): (Vec<_>, Vec<_>) = found.into_values().partition(|e| e.kind == sym::STT_FUNC);
    let pick = |list: Vec<Export>, most: usize| {
        let step = list.len().div_ceil(most).max(1);
        list.into_iter().step_by(step).collect::<Vec<_>>()
    };
    let mut picked = pick(code, 100);
    picked.extend(pick(data, 60));
    (!picked.is_empty()).then_some(picked)
}

fn private_versions(elf: &Elf<'_>) -> BTreeSet<u16> {
    let mut private = BTreeSet::new();
    for def in elf.verdef.iter().flat_map(|v| v.iter()) {
        let name = def
            .iter()
            .next()
            .and_then(|aux| elf.dynstrtab.get_at(aux.vda_name));
        if name.is_some_and(is_private) {
            private.insert(def.vd_ndx);
        }
    }
    private
}

/// Whether the name of a version says that it is nobody's ABI. Qt's is by custom.
pub(crate) fn is_private(version: &str) -> bool {
    let says = |word| ["PRIVATE", "INTERNAL"].contains(&word);
    version.split('_').any(says) && !version.starts_with("Qt_")
}

/// The languages that programs are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Language {
    C,
    Cxx,
    Rust,
}

impl Language {
    pub(crate) const ALL: [Self; 3] = [Self::C, Self::Cxx, Self::Rust];

    /// The compiler driver that links.
    pub(crate) fn driver(self) -> &'static str {
        match self {
            Self::Cxx => "g++",
            Self::C | Self::Rust => "gcc",
        }
    }

    fn source(self, exports: &[Export]) -> String {
        match self {
            Self::C => format!(
                "extern void say(const char *, const void *, unsigned long);\n{}\
                 int main(void) {{\n{}return 0; }}\n",
                declarations(exports, ""),
                calls(exports)
            ),
            Self::Cxx => format!(
                "#include <iostream>\n#include <stdexcept>\n\
                 extern \"C\" void say(const char *, const void *, unsigned long);\n{}\
                 int main() {{\n{}\
                 try {{ throw std::runtime_error(\"caught\"); }}\n\
                 catch (const std::exception &e) {{ std::cout << e.what() << std::endl; }} }}\n",
                declarations(exports, "\"C\" "),
                calls(exports)
            ),
            Self::Rust => rust(exports),
        }
    }
}

fn declarations(exports: &[Export], linkage: &str) -> String {
    let mut text = String::new();
    for (at, Export { name, kind, size }) in exports.iter().enumerate() {
        let what = match *kind {
            sym::STT_FUNC => format!("void s{at}(void)"),
            sym::STT_TLS => format!("__thread char s{at}[{size}]"),
            _ => format!("char s{at}[{size}]"),
        };
        let _ = writeln!(text, "extern {linkage}{what} __asm__(\"{name}\");");
    }
    text
}

fn calls(exports: &[Export]) -> String {
    let mut text = String::new();
    for (at, export) in exports.iter().enumerate() {
        let _ = writeln!(
            text,
            "say(\"{}\", (void *)s{at}, {});",
            export.name,
            export.content()
        );
    }
    text
}

/// Without thread-local symbols: stable Rust cannot refer to those.
fn rust(exports: &[Export]) -> String {
    let mut text = String::from(
        "#![allow(non_upper_case_globals)]\nuse std::ffi::{c_char, c_ulong, c_void};\n\
         unsafe extern \"C\" {\nfn say(n: *const c_char, p: *const c_void, s: c_ulong);\n",
    );
    let mut body = String::new();
    for (at, export) in exports.iter().enumerate() {
        let Export { name, kind, size } = export;
        let (what, address) = match *kind {
            sym::STT_TLS => continue,
            sym::STT_FUNC => (format!("fn s{at}()"), format!("s{at} as *const c_void")),
            _ => (
                format!("static s{at}: [u8; {size}]"),
                format!("(&raw const s{at}).cast()"),
            ),
        };
        let _ = writeln!(text, "#[link_name = \"{name}\"] {what};");
        let _ = writeln!(
            body,
            "say(c\"{name}\".as_ptr(), {address}, {});",
            export.content()
        );
    }
    let _ = write!(
        text,
        "}}\nfn main() {{\nunsafe {{\n{body}}}\n\
         println!(\"{{}}\", std::thread::spawn(|| \"joined\").join().unwrap());\n}}\n"
    );
    text
}

impl Export {
    /// How many bytes of it a program may read.
    fn content(&self) -> u64 {
        if self.kind == sym::STT_FUNC {
            0
        } else {
            self.size
        }
    }
}

/// What every program calls; tests/scripts/bench-stubs.sh uses it too.
const SAY: &str = include_str!("../fixtures/say.c");

/// Compiles what every program is linked with, position-independent or not.
pub(crate) fn helper(scratch: &Scratch, pie: bool) -> PathBuf {
    let source = scratch.file("say.c", SAY);
    let object = scratch.join(if pie { "say-pie.o" } else { "say.o" });
    run(Command::new("gcc")
        .args(["-c", "-O2", "-w", if pie { "-fPIE" } else { "-fno-pie" }])
        .arg(source)
        .arg("-o")
        .arg(&object))
    .success();
    object
}

/// Compiles a program that refers to `exports` in the folder `dir`; returns the
/// arguments, for the compiler driver, that link it.
pub(crate) fn compile(
    language: Language,
    pie: bool,
    exports: &[Export],
    helper: &Path,
    dir: &Path,
) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let name = format!("{language:?}-{pie}");
    let extension = match language {
        Language::C => "c",
        Language::Cxx => "cc",
        Language::Rust => "rs",
    };
    let source = dir.join(format!("{name}.{extension}"));
    std::fs::write(&source, language.source(exports)).unwrap();
    if language == Language::Rust {
        return rust_link(&source, pie, helper, &dir.join(name));
    }
    let object = dir.join(format!("{name}.o"));
    run(Command::new(language.driver())
        .args(["-c", "-O1", "-w", if pie { "-fPIE" } else { "-fno-pie" }])
        .arg(&source)
        .arg("-o")
        .arg(&object))
    .success();
    vec![text(&object), text(helper)]
}

/// What rustc would have linked: its linker is a script that writes down the
/// arguments.
fn rust_link(source: &Path, pie: bool, helper: &Path, dir: &Path) -> Vec<String> {
    std::fs::create_dir_all(dir).unwrap();
    let record = dir.join("arguments");
    let linker = dir.join("linker");
    std::fs::write(&linker, "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$RECORD\"\n").unwrap();
    std::fs::set_permissions(&linker, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let model = if pie { "pie" } else { "static" };
    let output = dir.join("output");
    run(Command::new("rustc")
        .args([
            "--edition=2024",
            "--crate-name=program",
            "-O",
            "-Csave-temps",
        ])
        .arg("-Clinker-features=-lld")
        .arg(format!("-Clinker={}", linker.display()))
        .arg(format!("-Crelocation-model={model}"))
        .arg(format!("-Clink-arg={}", helper.display()))
        .arg(source)
        .arg("-o")
        .arg(&output)
        .env("RECORD", &record)
        .env("TMPDIR", dir))
    .success();
    let arguments = std::fs::read_to_string(&record).unwrap();
    let own = ["-o", output.to_str().unwrap()];
    let kept = arguments.lines().filter(|a| !own.contains(a));
    kept.map(str::to_owned).collect()
}

/// Functions that the archives among a linker's arguments define weakly.
pub(crate) fn weak_in_archives(arguments: &[String]) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in arguments.iter().filter(|a| a.ends_with(".rlib")) {
        let data = std::fs::read(path).unwrap();
        let archive = goblin::archive::Archive::parse(&data).unwrap();
        for member in 0..archive.len() {
            let member = archive.get_at(member).unwrap();
            let from = usize::try_from(member.offset).unwrap();
            let Ok(elf) = Elf::parse(&data[from..from + member.size()]) else {
                continue;
            };
            for symbol in elf.syms.iter() {
                if symbol.st_bind() == sym::STB_WEAK && symbol.st_shndx != 0 {
                    names.insert(elf.strtab.get_at(symbol.st_name).unwrap_or("").to_owned());
                }
            }
        }
    }
    names
}

/// Functions that one of the shared libraries of a link defines weakly and another
/// one strongly: `library`, and what the drivers of all languages add.
pub(crate) fn weak_in_one_of(library: &Path) -> BTreeSet<String> {
    let folder = library.parent().unwrap();
    let implied = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6"];
    let (mut weak, mut strong) = (BTreeSet::new(), BTreeSet::new());
    for path in implied
        .iter()
        .map(|name| folder.join(name))
        .chain([library.to_owned()])
    {
        let data = std::fs::read(&path).unwrap();
        let elf = Elf::parse(&data).unwrap();
        for symbol in elf.dynsyms.iter().filter(|s| s.st_shndx != 0) {
            let names = if symbol.st_bind() == sym::STB_WEAK {
                &mut weak
            } else {
                &mut strong
            };
            names.insert(
                elf.dynstrtab
                    .get_at(symbol.st_name)
                    .unwrap_or("")
                    .to_owned(),
            );
        }
    }
    weak.intersection(&strong).cloned().collect()
}
