//! Programs with copies of what C and C++ programs copy from their libraries, and
//! of a table of a library's own, linked against stubs and run with the real ones.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::facts::facts;
use super::tree::linkers;
use crate::support::{Scratch, indir, run, system_lib};

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
pub(crate) fn full_tree(scratch: &Scratch) -> (PathBuf, PathBuf) {
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
    for folder in private_folders() {
        command.arg("--tree").arg(folder);
    }
    run(command.arg("-o").arg(&tree)).success();
    (tree, own)
}

/// Folders outside the search path that libraries of the system take their own
/// libraries from: GNU ld reads those too.
fn private_folders() -> std::collections::BTreeSet<PathBuf> {
    let mut folders = std::collections::BTreeSet::new();
    for entry in std::fs::read_dir(system_lib()).unwrap().map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.contains(".so.") || !entry.file_type().unwrap().is_file() {
            continue;
        }
        let data = std::fs::read(entry.path()).unwrap();
        let Ok(elf) = goblin::elf::Elf::parse(&data) else {
            continue;
        };
        let listed = elf.runpaths.iter().flat_map(|path| path.split(':'));
        // Its own folder again, in other words, is none.
        let real = listed.filter_map(|folder| std::fs::canonicalize(folder).ok());
        folders.extend(real.filter(|folder| folder.is_dir() && *folder != system_lib()));
    }
    folders
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
