//! A link against a stub is the link against the real library.
//!
//! For many libraries of the machine a program is generated that refers to
//! their functions and data, linked against the real library and against its
//! stub, by every linker, as PIE and not. The dynamic symbols, version needs and
//! needed libraries must be equal, and both programs, run with the real
//! libraries, must find every symbol at the same kind of place.
//!
//! `INDIR_FULL=1 cargo test --test it stub_link -- --nocapture` takes every
//! library of /usr/lib/x86_64-linux-gnu and every combination (half an hour).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;
use goblin::elf::{sym, symver};
use rayon::prelude::*;

use crate::stub_tree::linkers;
use crate::support::{Scratch, indir, run, system_lib};

/// Libraries that take part in every combination, wherever they are installed.
const NAMED: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libz.so.1",
    "libcrypto.so.3",
    "libssl.so.3",
    "ld-linux-x86-64.so.2",
];
/// How many more take part in some combinations in an ordinary run.
const SAMPLE: usize = 60;
/// Largest object that programs refer to, in bytes: a copy has that size.
const LARGEST: u64 = 64 * 1024;

struct Export {
    name: String,
    kind: u8,
    size: u64,
}

/// What a program can refer to, by an independent reader of ELF.
fn exports(path: &Path) -> Option<Vec<Export>> {
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
        if name == Some("GLIBC_PRIVATE") {
            private.insert(def.vd_ndx);
        }
    }
    private
}

/// A program that prints, for each symbol, whether its own reference and
/// dlsym() agree, and copies' contents where they hold no addresses.
fn program(exports: &[Export]) -> String {
    let mut text = String::from(
        "#define _GNU_SOURCE 1\n#include <dlfcn.h>\n#include <stdio.h>\n\
         static void say(const char *n, void *p) {\n\
         void *d = dlsym(RTLD_DEFAULT, n);\n\
         printf(\"%s %s\\n\", n, d == p ? \"same\" : d ? \"other\" : \"none\"); }\n",
    );
    let mut body = String::new();
    for (at, export) in exports.iter().enumerate() {
        let Export { name, kind, size } = export;
        let _ = match *kind {
            sym::STT_FUNC => writeln!(text, "extern void s{at}(void) __asm__(\"{name}\");"),
            sym::STT_TLS => writeln!(
                text,
                "extern __thread char s{at}[{size}] __asm__(\"{name}\");"
            ),
            _ => writeln!(text, "extern char s{at}[{size}] __asm__(\"{name}\");"),
        };
        let _ = writeln!(body, "say(\"{name}\", (void *)s{at});");
    }
    let _ = write!(text, "int main(void) {{\n{body}return fflush(stdout); }}\n");
    text
}

/// One dynamic symbol as the loader sees it: name@version, type, binding,
/// defined or not, size of what is defined.
type Fact = (String, u8, u8, bool, u64);

#[derive(Debug, PartialEq, Eq)]
struct Facts {
    symbols: BTreeSet<Fact>,
    needs: BTreeSet<(String, String)>,
    needed: Vec<String>,
}

impl Facts {
    /// What is different in the link against the stub.
    fn against(&self, stub: &Self) -> Option<String> {
        let few = |one: &Self, other: &Self| {
            let symbols: Vec<_> = one.symbols.difference(&other.symbols).take(5).collect();
            let needs: Vec<_> = one.needs.difference(&other.needs).take(5).collect();
            format!("{symbols:?} {needs:?} {:?}", one.needed)
        };
        (self != stub).then(|| format!("real {}; stub {}", few(self, stub), few(stub, self)))
    }
}

fn facts(path: &Path) -> Facts {
    let data = std::fs::read(path).unwrap();
    let elf = Elf::parse(&data).unwrap();
    let mut names: BTreeMap<u16, String> = BTreeMap::new();
    let mut needs = BTreeSet::new();
    for need in elf.verneed.iter().flat_map(|v| v.iter()) {
        let file = elf.dynstrtab.get_at(need.vn_file).unwrap_or("").to_owned();
        for aux in need.iter() {
            let name = elf.dynstrtab.get_at(aux.vna_name).unwrap_or("").to_owned();
            names.insert(aux.vna_other, name.clone());
            needs.insert((file.clone(), name));
        }
    }
    // goblin counts by the hash table, which in a program without exports says
    // nothing; the section header knows.
    let header = elf
        .section_headers
        .iter()
        .find(|s| s.sh_type == goblin::elf::section_header::SHT_DYNSYM)
        .unwrap();
    let (at, count) = (header.sh_offset as usize, header.sh_size as usize / 24);
    let context = goblin::container::Ctx::new(
        goblin::container::Container::Big,
        goblin::container::Endian::Little,
    );
    let dynsyms = goblin::elf::Symtab::parse(&data, at, count, context).unwrap();
    let symbols = dynsyms.iter().enumerate().skip(1).map(|(at, symbol)| {
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or("");
        let version = elf
            .versym
            .as_ref()
            .and_then(|v| v.get_at(at))
            .map_or(0, |v| v.vs_val & 0x7fff);
        let version = names
            .get(&version)
            .map_or(String::new(), |v| format!("@{v}"));
        let defined = symbol.st_shndx != 0;
        // mold copies type and size of a function from the library, where the
        // other linkers write STT_FUNC and 0; ld.so looks at neither.
        let kind = match symbol.st_type() {
            sym::STT_GNU_IFUNC => sym::STT_FUNC,
            other => other,
        };
        let size = if defined { symbol.st_size } else { 0 };
        (
            format!("{name}{version}"),
            kind,
            symbol.st_bind(),
            defined,
            size,
        )
    });
    Facts {
        symbols: symbols.collect(),
        needs,
        needed: elf.libraries.iter().map(|l| (*l).to_owned()).collect(),
    }
}

/// The libraries to test, real files, by path; those that must take part first.
fn libraries() -> Vec<PathBuf> {
    let folder = system_lib();
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap_or_default();
        // Sanitizers insist on being first, and on more than a link.
        let odd = ["asan", "lsan", "tsan", "ubsan", "hwasan"]
            .iter()
            .any(|s| name.contains(s));
        let plain = entry.file_type().unwrap().is_file();
        if name.starts_with("lib")
            && name.contains(".so.")
            && plain
            && !odd
            && !NAMED.contains(&name.as_str())
        {
            all.insert(entry.path());
        }
    }
    let named = NAMED.iter().map(|n| folder.join(n));
    let named = named.map(|p| {
        std::fs::canonicalize(&p)
            .unwrap_or_else(|e| panic!("{p:?}: {e}; apt-get install libssl3 zlib1g g++"))
    });
    let named: Vec<PathBuf> = named.collect();
    let full = std::env::var_os("INDIR_FULL").is_some();
    let step = if full { 1 } else { (all.len() / SAMPLE).max(1) };
    let others = all.into_iter().filter(|p| !named.contains(p)).step_by(step);
    let others: Vec<PathBuf> = others.collect();
    assert!(
        !full || others.len() >= 200,
        "only {} libraries are installed",
        others.len()
    );
    named.into_iter().chain(others).collect()
}

/// What is different between the two links of one combination, if anything.
struct Job<'a> {
    library: &'a Path,
    stub: &'a Path,
    tree: &'a Path,
    object: PathBuf,
    flags: Vec<String>,
    dir: PathBuf,
}

impl Job<'_> {
    fn link(&self, name: &str, library: &Path, extra: &[String]) -> Option<PathBuf> {
        let output = self.dir.join(name);
        let mut command = Command::new("gcc");
        command
            .args(&self.flags)
            .args(extra)
            .arg(&self.object)
            .arg(library)
            .arg("-o")
            .arg(&output);
        // One more library that nothing uses, to see --as-needed at work.
        command.arg("-lm");
        let ran = run(&mut command);
        (ran.code() == Some(0)).then_some(output)
    }

    /// An explanation of a difference; `Ok(false)` if neither link works.
    fn compare(&self) -> Result<bool, String> {
        let tree = [
            format!("-B{}", self.tree.display()),
            format!("-L{}", self.tree.display()),
        ];
        let real = self.link("real", self.library, &[]);
        let stub = self.link("stub", self.stub, &tree);
        let (real, stub) = match (real, stub) {
            (Some(real), Some(stub)) => (real, stub),
            (None, None) => return Ok(false),
            (real, _) => return Err(format!("only one links: real {}", real.is_some())),
        };
        if let Some(text) = facts(&real).against(&facts(&stub)) {
            return Err(text);
        }
        let start = |program: &Path| {
            let ran = run(Command::new("timeout").arg("20").arg(program));
            (ran.code(), ran.stdout())
        };
        let (a, b) = (start(&real), start(&stub));
        // mold 1.x marks an undefined symbol with a canonical PLT address as
        // STT_GNU_IFUNC where the real library has that type, and ld.so then
        // calls the PLT entry as a resolver. Against a stub it does not.
        let has = |what: &str| self.flags.iter().any(|f| f.ends_with(what));
        let right = b.0 == Some(0) && b.1.lines().all(|l| l.ends_with(" same"));
        if a == b || (has("mold") && has("-no-pie") && right) {
            Ok(true)
        } else {
            let odd = |text: &str| {
                text.lines()
                    .filter(|l| !l.ends_with(" same"))
                    .take(9)
                    .collect::<Vec<_>>()
                    .join(", ")
            };
            Err(format!(
                "runs differ: {:?} {} / {:?} {}",
                a.0,
                odd(&a.1),
                b.0,
                odd(&b.1)
            ))
        }
    }
}

#[test]
fn the_same_link_as_against_the_real_library() {
    let scratch = Scratch::new();
    let full = std::env::var_os("INDIR_FULL").is_some();
    let libraries = libraries();
    let tree = scratch.join("tree");
    run(indir()
        .args(["stub", "--tree"])
        .arg(system_lib())
        .arg("-o")
        .arg(&tree))
    .success();
    let linkers = linkers(&scratch);
    let mut combinations: Vec<Vec<String>> = Vec::new();
    for linker in &linkers {
        for (pie, needed) in [
            ("-pie", "-Wl,--as-needed"),
            ("-no-pie", "-Wl,--no-as-needed"),
            ("-pie", "-Wl,--no-as-needed"),
            ("-no-pie", "-Wl,--as-needed"),
        ] {
            let mut flags = linker.clone();
            flags.extend([pie.to_owned(), needed.to_owned()]);
            combinations.push(flags);
        }
    }
    let results: Vec<(String, Result<bool, String>)> = libraries
        .par_iter()
        .enumerate()
        .flat_map_iter(|(index, library)| {
            let dir = scratch.dir(format!("{index}"));
            let mut results = Vec::new();
            let Some(exports) = exports(library) else {
                return results;
            };
            let source = dir.join("p.c");
            std::fs::write(&source, program(&exports)).unwrap();
            for pie in ["-fPIE", "-fno-pie"] {
                let object = dir.join(format!("p{pie}.o"));
                run(Command::new("gcc")
                    .args(["-c", "-O1", "-w", pie])
                    .arg(&source)
                    .arg("-o")
                    .arg(&object))
                .success();
            }
            let stub = tree.join(library.file_name().unwrap());
            for (at, flags) in combinations.iter().enumerate() {
                // In an ordinary run most libraries see one combination.
                let chosen =
                    index < NAMED.len() && at % 4 < 2 || at == (index * 7) % combinations.len();
                if !full && !chosen {
                    continue;
                }
                let kind = if flags.iter().any(|f| f == "-pie") {
                    "-fPIE"
                } else {
                    "-fno-pie"
                };
                let job = Job {
                    library,
                    stub: &stub,
                    tree: &tree,
                    object: dir.join(format!("p{kind}.o")),
                    flags: flags.clone(),
                    dir: dir.clone(),
                };
                results.push((format!("{} {flags:?}", library.display()), job.compare()));
            }
            std::fs::remove_dir_all(&dir).unwrap();
            results
        })
        .collect();
    let linked = results.iter().filter(|r| matches!(r.1, Ok(true))).count();
    let different: Vec<_> = results
        .iter()
        .filter_map(|(what, r)| Some(format!("{what}: {}", r.as_ref().err()?)))
        .collect();
    eprintln!(
        "{} links, {linked} that work, {} different",
        results.len(),
        different.len()
    );
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        results.len(),
        different.join("\n")
    );
    assert!(
        linked * 10 >= results.len() * 8,
        "only {linked} of {} links work",
        results.len()
    );
}

/// Copies of everything that C and C++ programs copy, and a table of their own.
const CXX: &str = r#"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
extern "C" char **environ;
extern "C" unsigned char table[4096];
extern "C" int table_sum();
extern "C" unsigned char *table_address();
int main() {
    setenv("FROM_MAIN", "1", 1);
    bool seen = false;
    for (char **e = environ; *e; ++e) seen |= !std::strcmp(*e, "FROM_MAIN=1");
    table[7] = 200;
    std::fprintf(stdout, "%d %d %d\n", seen, table_sum(), table == table_address());
    try { std::vector<int>().at(3); } catch (const std::out_of_range &) { std::cout << "caught" << std::endl; }
    std::string text;
    std::thread([&] { text = "thread"; }).join();
    std::cout << text << ' ' << typeid(std::runtime_error("x")).name() << '\n';
}
"#;

const TABLE: &str = r#"
unsigned char table[4096] = { [4095] = 5 };
int table_sum(void) { int s = 0; for (int i = 0; i < 4096; i++) s += table[i]; return s; }
unsigned char *table_address(void) { return table; }
"#;

/// The tree of the system's folder, the compiler's, and a library of our own.
fn full_tree(scratch: &Scratch) -> (PathBuf, PathBuf) {
    let own = scratch.dir("own");
    let source = scratch.file("table.c", TABLE);
    let library = own.join("libtable.so");
    crate::support::cc([
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-O1".as_ref(),
        "-Wl,-soname,libtable.so".as_ref(),
        source.as_os_str(),
        "-o".as_ref(),
        library.as_os_str(),
    ]);
    // The compiler's own folder has this link; its other files are not libraries
    // that programs are linked with.
    let links = scratch.dir("links");
    std::os::unix::fs::symlink("libstdc++.so.6", links.join("libstdc++.so")).unwrap();
    let tree = scratch.join("tree");
    let mut command = indir();
    command.arg("stub");
    for folder in [&own, &links, &system_lib()] {
        command.arg("--tree").arg(folder);
    }
    run(command.arg("-o").arg(&tree)).success();
    (tree, own)
}

#[test]
fn cxx_and_rust_programs_link_the_same_and_run() {
    let scratch = Scratch::new();
    let (tree, own) = full_tree(&scratch);
    let source = scratch.file("main.cc", CXX);
    let rust = scratch.file(
        "main.rs",
        "fn main() { println!(\"{:?}\", std::thread::spawn(|| 1 + 1).join().unwrap()); }\n",
    );
    for linker in linkers(&scratch) {
        for pie in [true, false] {
            let link = |name: &str, extra: &[String]| {
                let output = scratch.join(name);
                let mut command = Command::new("g++");
                // The wrapper finds ld.lld on PATH, which has one version of it.
                if let Some(folder) = linker.iter().find_map(|f| f.strip_prefix("-B")) {
                    command.env("INDIR_LD", format!("{folder}/ld.lld"));
                }
                command.args(extra).args(&linker).args(if pie {
                    ["-pie", "-fPIE"]
                } else {
                    ["-no-pie", "-fno-pie"]
                });
                command
                    .arg("-O1")
                    .arg(&source)
                    .arg("-o")
                    .arg(&output)
                    .args(["-ltable", "-pthread"]);
                run(&mut command).success();
                output
            };
            let real = link("real", &[format!("-L{}", own.display())]);
            let stub = link(
                "stub",
                &[
                    format!("-B{}", tree.display()),
                    format!("-L{}", tree.display()),
                ],
            );
            assert_eq!(facts(&real).against(&facts(&stub)), None, "{linker:?}");
            let start = |program: &Path| {
                run(Command::new(program).env("LD_LIBRARY_PATH", &own))
                    .success()
                    .stdout()
            };
            let expected = start(&real);
            assert!(
                expected.starts_with("1 205 1\ncaught\nthread "),
                "{linker:?} {expected}"
            );
            assert_eq!(start(&stub), expected);

            // The same, indirect: the stubs at link time, a table at run time.
            let indirect = link(
                "indirect",
                &[
                    crate::support::b_flag(),
                    format!("-B{}", tree.display()),
                    format!("-L{}", tree.display()),
                ],
            );
            run(indir()
                .arg("update")
                .arg(&indirect)
                .arg("--lib-dir")
                .arg(&own))
            .success();
            assert_eq!(
                run(&mut Command::new(&indirect)).success().stdout(),
                expected,
                "{linker:?} indirect"
            );

            let compile = |name: &str, extra: &[String]| {
                let output = scratch.join(name);
                let mut command = Command::new("rustc");
                command.args(["-C", "linker=gcc", "-C"]).arg(format!(
                    "relocation-model={}",
                    if pie { "pie" } else { "static" }
                ));
                for arg in linker.iter().chain(extra) {
                    command.arg("-C").arg(format!("link-arg={arg}"));
                }
                run(command.arg(&rust).arg("-o").arg(&output)).success();
                output
            };
            let stubs = [
                format!("-B{}", tree.display()),
                format!("-L{}", tree.display()),
            ];
            let stub = compile("stub-rust", &stubs);
            let real = compile("real-rust", &[]);
            assert_eq!(facts(&real).against(&facts(&stub)), None, "{linker:?} Rust");
            run(&mut Command::new(&stub)).success().prints("2\n");
        }
    }
}
