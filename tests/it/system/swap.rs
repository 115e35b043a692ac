//! The reason for everything: one program, unchanged, on one real glibc after
//! the other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Scratch, b_flag, cc, cxx, glibc, glibc_lib, indir, run};

const BUILDS: [&str; 4] = ["old", "bookworm", "trixie", "sid"];

/// Path and content of every file in a folder and below, but for what is kept for
/// `update --undo`.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        } else if !path.to_str().unwrap().contains(".last") {
            let content = fs::read(&path).unwrap();
            all.push((path, content));
        }
    }
    all.sort();
    all
}

/// The demo's C and C++ programs, linked through indir.
fn programs(scratch: &Scratch) -> PathBuf {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/demo");
    let apps = scratch.dir("apps");
    let args = |name: &str, source: &str, more: &str| {
        let mut args = vec![b_flag(), "-O1".to_owned()];
        args.extend(more.split_whitespace().map(str::to_owned));
        args.push("-o".to_owned());
        args.push(apps.join(name).display().to_string());
        args.push(sources.join(source).display().to_string());
        args
    };
    cc(args("probe", "probe.c", ""));
    cc(args("probe-no-pie", "probe.c", "-no-pie"));
    cc(args("probe-now", "probe.c", "-Wl,-z,now"));
    cxx(args("words", "words.cc", "-std=c++17"));
    apps
}

/// Asks the programs which glibc serves them, and has C++ throw an exception.
fn check(apps: &Path, build: &str) {
    let version = glibc(build);
    let version = version.file_name().unwrap().to_str().unwrap();
    let mapped = glibc_lib(build).join("libc.so.6");
    for probe in ["probe", "probe-no-pie", "probe-now"] {
        run(&mut Command::new(apps.join(probe)))
            .success()
            .out_has(&format!(
                "gnu_get_libc_version()  {}\n",
                version.split('-').next().unwrap()
            ))
            .out_has(&format!("GLIBC {version})\n"))
            .out_has(&format!("/proc/self/maps         {}\n", mapped.display()));
    }
    run(Command::new(apps.join("words")).arg("--throw"))
        .success()
        .prints("caught\n");
}

#[test]
fn programs_move_from_glibc_to_glibc_and_back_unchanged() {
    let scratch = Scratch::new();
    let apps = programs(&scratch);
    run(indir()
        .arg("update")
        .arg(&apps)
        .arg("--lib-dir")
        .arg(glibc_lib(BUILDS[0])))
    .success();
    check(&apps, BUILDS[0]);
    let first = files(&apps);

    for step in BUILDS.windows(2) {
        let before = files(&apps);
        let replace = format!(
            "{}={}",
            glibc_lib(step[0]).display(),
            glibc_lib(step[1]).display()
        );
        run(indir()
            .arg("update")
            .arg(&apps)
            .args(["--replace", &replace]))
        .success();
        check(&apps, step[1]);

        let after = files(&apps);
        let (mut tables, mut programs) = (0, 0);
        for (old, new) in before.iter().zip(&after) {
            assert_eq!(old.0, new.0);
            if new.0.parent().unwrap().ends_with(".indir") {
                assert_ne!(old.1, new.1, "{} did not change", old.0.display());
                tables += 1;
            } else {
                assert_eq!(old.1, new.1, "{} changed", old.0.display());
                programs += 1;
            }
        }
        assert_eq!(before.len(), after.len());
        assert_eq!(programs, 4);
        // Four tables, and bindings beside those that are bound.
        assert!(tables >= 4, "only {tables} tables changed");
    }

    // The way back gives the tables of the beginning, byte for byte.
    let replace = format!(
        "{}={}",
        glibc_lib(BUILDS[3]).display(),
        glibc_lib(BUILDS[0]).display()
    );
    run(indir()
        .arg("update")
        .arg(&apps)
        .args(["--replace", &replace]))
    .success();
    check(&apps, BUILDS[0]);
    assert!(
        first == files(&apps),
        "the tables are not those of the beginning"
    );
}
