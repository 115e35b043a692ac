//! `indir adopt`: prebuilt executables become indirect and do what they did.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::{COMMON, HELLO, adopt, adopted, assert_is_indirect, same};
use crate::support::program::{ordinary, shared, table_of};
use crate::support::{Scratch, need, run};

#[test]
fn cpp_with_exceptions_and_threads() {
    let dir = Scratch::new();
    let source = r#"
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
thread_local int local = 41;
int main() {
    std::string said;
    std::thread([&] {
        try { throw std::runtime_error("thrown " + std::to_string(++local)); }
        catch (const std::exception &e) { said = e.what(); }
    }).join();
    std::cout << said << ' ' << local << std::endl;
}
"#;
    for pie in ["-pie", "-no-pie"] {
        let exe = ordinary(
            &dir.join(format!("cpp{pie}.cc")),
            source,
            &[pie, "-pthread"],
        );
        let ours = adopted(&dir, &exe, &[]);
        same(&exe, &ours, &[]).success().prints("thrown 42 41\n");
    }
}

#[test]
fn in_place_keeps_what_belongs_to_the_file_and_twice_is_a_no_op() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("kept.c"), HELLO, &[]);
    run(Command::new("touch")
        .args(["-d", "2001-02-03 04:05:06"])
        .arg(&exe))
    .success();
    std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o4750)).unwrap();
    let facts = |path: &Path| {
        let m = std::fs::metadata(path).unwrap();
        (m.mode(), m.uid(), m.gid(), m.mtime(), m.mtime_nsec())
    };
    let before = facts(&exe);
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    assert_is_indirect(&exe);
    assert_eq!(facts(&exe), before);
    std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o755)).unwrap();
    run(&mut Command::new(&exe)).success();

    let once = std::fs::read(&exe).unwrap();
    let inode = std::fs::metadata(&exe).unwrap().ino();
    let again = adopt([OsStr::new("--in-place"), exe.as_os_str()]);
    again
        .success()
        .err_is_one_line()
        .err_has("indirect already");
    assert_eq!(std::fs::read(&exe).unwrap(), once);
    assert_eq!(std::fs::metadata(&exe).unwrap().ino(), inode);

    // Without its table it starts as it did before.
    std::fs::remove_file(table_of(&exe)).unwrap();
    run(&mut Command::new(&exe)).success();
    let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
    ran.success().err_has("/lib64/ld-linux-x86-64.so.2");
}

#[test]
fn capabilities_are_kept() {
    need("setcap", "libcap2-bin");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("able.c"), HELLO, &[]);
    run(Command::new("setcap").arg("cap_net_raw=ep").arg(&exe)).success();
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    run(Command::new("getcap").arg(&exe))
        .success()
        .out_has("cap_net_raw=ep");
}

#[test]
fn what_cannot_be_adopted_is_refused_in_one_line() {
    let dir = Scratch::new();
    let plain = "int main(void) { return 0; }";
    let fixed = ordinary(&dir.join("fixed.c"), plain, &["-static"]);
    let fixed_pie = ordinary(&dir.join("fixed_pie.c"), plain, &["-static-pie"]);
    let library = shared(&dir.join("library.c"), "void f(void) {}", &[]);
    let script = dir.file("script", "#!/bin/sh\n");
    let linked = ordinary(&dir.join("linked.c"), plain, &[]);
    std::fs::hard_link(&linked, dir.join("other")).unwrap();
    let cases = [
        (&fixed, "statically linked"),
        (&fixed_pie, "statically linked"),
        (&library, "shared library"),
        (&script, "script"),
        (&linked, "hard links"),
        (&dir.join("missing"), "No such file"),
    ];
    for (path, why) in cases {
        let before = std::fs::read(path).ok();
        let ran = adopt([OsStr::new("--in-place"), path.as_os_str()]);
        ran.exits(1).err_is_one_line().err_has(why);
        ran.err_has(path.to_str().unwrap());
        assert_eq!(std::fs::read(path).ok(), before);
    }
}

/// Programs of packages that every Debian system, or this project's tests,
/// have: the output of the copy is that of the original.
#[test]
fn programs_of_the_system_print_what_they_printed() {
    const MORE: [&str; 24] = [
        "cat", "cp", "mv", "rm", "ln", "date", "head", "tail", "cut", "tr", "wc", "env", "stat",
        "du", "df", "base64", "od", "expr", "xargs", "cmp", "g++", "nm", "strip", "login",
    ];
    let dir = Scratch::new();
    let out = dir.dir("bin");
    let originals: Vec<PathBuf> = COMMON
        .iter()
        .chain(&MORE)
        .map(|name| Path::new("/usr/bin").join(name))
        .map(|path| {
            if path.exists() {
                path
            } else {
                Path::new("/bin").join(path.file_name().unwrap())
            }
        })
        .collect();
    for path in &originals {
        assert!(
            path.exists(),
            "{} is missing: apt-get install coreutils bash dash sed grep tar gzip findutils diffutils perl-base dpkg make gcc g++ binutils mount login",
            path.display()
        );
    }
    let args = [OsStr::new("-o"), out.as_os_str()];
    adopt(
        args.into_iter()
            .chain(originals.iter().map(|path| path.as_os_str())),
    )
    .success();
    for original in &originals {
        let ours = out.join(original.file_name().unwrap());
        assert_is_indirect(&ours);
        same(original, &ours, &["--version"]);
    }
}

#[test]
fn every_place_for_the_result_is_named_when_none_is_given() {
    let dir = Scratch::new();
    let exe = dir.file("program", "untouched");
    let ran = adopt([exe.as_os_str()]);
    ran.exits(2).err_has("<--output <OUT>|--in-place|--undo>");
    adopt(["--help"]).success().out_has("--in-place");
    assert_eq!(std::fs::read(&exe).unwrap(), b"untouched");
    let both = ["-o".as_ref(), exe.as_os_str(), "--in-place".as_ref()];
    adopt(both.into_iter().chain([exe.as_os_str()])).exits(2);
    // As of old: undone there, not here.
    let undone = dir.join("undone");
    let there = ["--undo".as_ref(), "-o".as_ref(), undone.as_os_str()];
    let ran = adopt(there.into_iter().chain([exe.as_os_str()]));
    ran.exits(1).err_has("program").err_is_one_line();
}

/// What `-o` cannot mean is refused before anything is written.
#[test]
fn outputs_that_would_be_mistakes_are_refused() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("one.c"), HELLO, &[]);
    let out = |out: &Path, exes: &[&Path]| {
        let mut args = vec![OsStr::new("-o"), out.as_os_str()];
        args.extend(exes.iter().map(|exe| exe.as_os_str()));
        adopt(args)
    };
    let before = std::fs::read(&exe).unwrap();
    out(&exe, &[&exe])
        .exits(1)
        .err_has("itself")
        .err_has("--in-place");
    out(&dir.path().join("./one"), &[&exe])
        .exits(1)
        .err_has("itself");
    out(dir.path(), &[&exe]).exits(1).err_has("itself");
    assert_eq!(std::fs::read(&exe).unwrap(), before);

    let new = dir.path().join("new/");
    out(&new, &[&exe]).exits(1).err_has("mkdir -p");
    assert!(!new.exists());

    let other = dir.dir("other").join("one");
    std::fs::copy(&exe, &other).unwrap();
    let to = dir.dir("to");
    out(&to, &[&exe, &other])
        .exits(1)
        .err_has("are called `one`");
    assert_eq!(std::fs::read_dir(&to).unwrap().count(), 0);

    let device = dir.join("null");
    run(Command::new("mknod").arg(&device).args(["c", "1", "3"])).success();
    out(&device, &[&exe])
        .exits(1)
        .err_has("no file that could be replaced");
    let kept = std::fs::metadata(&device).unwrap();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(
        &kept.file_type()
    ));
}
