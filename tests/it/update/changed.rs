//! Files that are written while an update reads them, and updates at the same
//! time, also of containers that share a folder.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::program::{indirect, table_of};
use crate::support::{Ran, Scratch, b_flag, cc, indir, need, run, shim, system_lib};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Cuts `path` short and writes it again, in place, for as long as `work` runs.
fn while_written<T>(path: &Path, work: impl FnOnce() -> T) -> T {
    let whole = std::fs::read(path).unwrap();
    let over = AtomicBool::new(false);
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(path).unwrap();
            while !over.load(Ordering::Relaxed) {
                file.set_len(4096).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(200));
                file.write_all_at(&whole, 0).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(500));
            }
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        result
    });
    assert_eq!(std::fs::read(path).unwrap(), whole);
    result
}

/// Runs `command` with the file at `path` written all the time; how often it
/// ended with which code.
fn often(path: &Path, times: usize, command: impl Fn() -> Command) -> BTreeMap<i32, usize> {
    while_written(path, || {
        let mut codes = BTreeMap::new();
        for _ in 0..times {
            let ran: Ran = run(&mut command());
            let code = ran.code();
            assert!(matches!(code, Some(0 | 1 | 3)), "{ran}");
            assert!(!ran.stderr().contains("panicked"), "{ran}");
            if code == Some(1) && ran.stderr().contains("failed ") {
                // It fails alone.
                assert!(!ran.stderr().contains("failed 2"), "{ran}");
            }
            *codes.entry(code.unwrap()).or_default() += 1;
        }
        codes
    })
}

/// A library and a program that are large enough to be mapped, their symbols at the end.
fn large(tree: &Scratch) -> (PathBuf, PathBuf, PathBuf) {
    let folder = tree.dir("d");
    let numbers: Vec<String> = (0..200_000).map(|n| n.to_string()).collect();
    let array = format!("int x[] = {{{}}};\n", numbers.join(","));
    let library = tree.file("l.c", format!("{array}int f(void) {{ return x[5]; }}\n"));
    let lib = tree.dir("lib");
    let out = lib.join("libbig.so");
    cc(["-shared", "-fPIC", "-o", text(&out), text(&library)]);
    for index in 0..3 {
        indirect(
            &folder.join(format!("p{index}.c")),
            "int main(void) { return 0; }",
            &[],
        );
    }
    let source = tree.file(
        "b.c",
        format!("{array}int f(void); int main(void) {{ return f() + x[5] - 10; }}\n"),
    );
    let big = folder.join("big");
    let search = format!("-L{}", text(&lib));
    let flag = b_flag();
    cc([&*flag, "-o", text(&big), text(&source), &search, "-lbig"]);
    (folder, big, out)
}

#[test]
fn a_file_that_is_written_meanwhile_fails_alone() {
    let tree = Scratch::new();
    let (folder, big, library) = large(&tree);
    let lib = tree.join("lib");
    let update = |plan: &'static str| {
        let (folder, lib) = (folder.clone(), lib.clone());
        move || {
            let mut command = indir();
            command
                .arg("update")
                .arg(&folder)
                .arg("--lib-dir")
                .arg(&lib);
            command.args(["--plan", plan]);
            command
        }
    };
    let verify = || {
        let mut command = indir();
        command.arg("verify").arg("--deep").arg(&folder);
        command
    };
    for file in [&big, &library] {
        for codes in [
            often(file, 40, update("bound")),
            often(file, 20, update("direct")),
            often(file, 20, verify),
        ] {
            println!("{}: {codes:?}", file.display());
        }
    }
    let copies = tree.dir("copies");
    let adopt = || {
        let mut command = indir();
        command.arg("adopt").arg("-o").arg(copies.join("big"));
        command.arg("--indir-shim").arg(shim()).arg("/bin/bash");
        command.arg("--lib-dir").arg(&lib);
        command
    };
    println!("adopt: {:?}", often(&library, 10, adopt));
    let dump = || {
        let mut command = indir();
        command.args(["abi", "dump"]).arg(&library);
        command
    };
    println!("dump: {:?}", often(&library, 30, dump));
    // When nobody writes any more all is well.
    run(&mut update("bound")()).success();
    run(&mut verify()).success();
    run(&mut Command::new(&big)).success();
}

#[test]
fn containers_that_share_a_folder_update_it_at_once() {
    const PROGRAMS: usize = 12;
    const UPDATERS: usize = 6;
    const ROUNDS: usize = 6;
    let tree = Scratch::new();
    let folder = tree.dir("s");
    let exes: Vec<PathBuf> = (0..PROGRAMS)
        .map(|n| {
            let source =
                format!("#include <stdio.h>\nint main(void) {{ puts(\"hello{n}\"); return 0; }}");
            let exe = indirect(&folder.join(format!("p{n}.c")), &source, &[]);
            run(indir().arg("update").arg(&exe)).success();
            exe
        })
        .collect();
    let libs: Vec<PathBuf> = ["A", "B"]
        .iter()
        .map(|name| {
            let lib = tree.dir(name);
            for file in ["libc.so.6", "ld-linux-x86-64.so.2"] {
                std::fs::copy(system_lib().join(file), lib.join(file)).unwrap();
            }
            lib
        })
        .collect();
    let over = AtomicBool::new(false);
    let unshare = need("unshare", "util-linux");
    let starts = std::thread::scope(|scope| {
        let starter = scope.spawn(|| {
            let mut starts = 0;
            while !over.load(Ordering::Relaxed) {
                for (n, exe) in exes.iter().enumerate() {
                    run(&mut Command::new(exe))
                        .success()
                        .prints(&format!("hello{n}\n"));
                    starts += 1;
                }
            }
            starts
        });
        let updaters: Vec<_> = (0..UPDATERS)
            .map(|updater| {
                let (folder, libs, unshare) = (&folder, &libs, &unshare);
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        // Each is process 1 or 2 of its own namespace.
                        let mut command = Command::new(unshare);
                        command.args([
                            "-pf",
                            "--mount-proc",
                            env!("CARGO_BIN_EXE_indir"),
                            "update",
                        ]);
                        command
                            .arg(folder)
                            .arg("--lib-dir")
                            .arg(&libs[(round + updater) % 2]);
                        command.args([
                            "--plan",
                            if (round + updater) % 3 == 0 {
                                "bound"
                            } else {
                                "direct"
                            },
                        ]);
                        run(&mut command).success().err_has("refused 0, failed 0");
                    }
                })
            })
            .collect();
        for updater in updaters {
            updater.join().unwrap();
        }
        over.store(true, Ordering::Relaxed);
        starter.join().unwrap()
    });
    println!(
        "{starts} starts, {} updates of {PROGRAMS} programs",
        UPDATERS * ROUNDS
    );
    let tables = table_of(&exes[0]).parent().unwrap().to_owned();
    let left = std::fs::read_dir(tables)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let left: Vec<_> = left
        .filter(|path| path.extension().is_some_and(|e| e == "tmp"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    run(indir().arg("update").arg(&folder)).success();
    run(indir().arg("verify").arg(&folder)).success();
}
