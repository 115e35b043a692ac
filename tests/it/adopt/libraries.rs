//! The libraries of adopted executables: what is searched, what is refused.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::program::{ordinary, shared};
use crate::support::{Scratch, glibc_lib, indir, prefix, run};

#[test]
fn runpath_is_searched_and_a_lib_dir_goes_first() {
    let dir = Scratch::new();
    let soname = "-Wl,-soname,libvalue.so";
    for (folder, value) in [("one", 1), ("two", 2)] {
        let source = format!("int value(void) {{ return {value}; }}");
        shared(&dir.join(folder).join("libvalue.c"), &source, &[soname]);
    }
    for folder in ["one", "two"] {
        let folder = dir.join(folder);
        std::fs::rename(folder.join("libvalue"), folder.join("libvalue.so")).unwrap();
    }
    let source = r#"
#include <stdio.h>
int value(void);
int main(void) { return printf("%d\n", value()) != 2; }
"#;
    let link = format!("-L{}", dir.join("one").display());
    let rpath = "-Wl,-rpath,$ORIGIN/one";
    let exe = ordinary(&dir.join("user.c"), source, &[&link, "-lvalue", rpath]);
    let before = std::fs::read(&exe).unwrap();

    // $ORIGIN is another folder for a copy elsewhere, whose table names this one.
    let elsewhere = dir.dir("elsewhere").join("user");
    let all = [OsStr::new("-o"), elsewhere.as_os_str(), exe.as_os_str()];
    adopt(all).success();
    run(&mut Command::new(&elsewhere)).success().prints("1\n");

    let two = dir.join("two");
    let lib_dir = [OsStr::new("--lib-dir"), two.as_os_str()];
    adopt(all.into_iter().chain(lib_dir)).success();
    run(&mut Command::new(&elsewhere)).success().prints("2\n");

    // One that provides nothing is told, and where its libraries are.
    let empty = dir.dir("empty");
    let nothing = |folder: &Path| adopt(all.into_iter().chain([lib_dir[0], folder.as_os_str()]));
    let ran = nothing(&empty);
    ran.success().err_has("no library comes from there");
    std::fs::create_dir(empty.join("lib")).unwrap();
    std::fs::copy(two.join("libvalue.so"), empty.join("lib/libvalue.so")).unwrap();
    let meant = format!("(do you mean `{}`?)", empty.join("lib").display());
    nothing(&empty).success().err_has(&meant);

    // An update that gives other folders, twice, still finds it, after these.
    adopt(all).success();
    for build in ["old", "bookworm"] {
        let libraries = glibc_lib(build);
        let update = |lib_dir: &Path| {
            let mut command = indir();
            command.arg("update").arg(&elsewhere);
            command.arg("--lib-dir").arg(&libraries);
            run(command.arg("--lib-dir").arg(lib_dir)).success();
        };
        update(&libraries);
        run(&mut Command::new(&elsewhere)).success().prints("1\n");
        let shown = run(indir().arg("show").arg(&elsewhere)).success().stdout();
        assert!(shown.contains(libraries.to_str().unwrap()), "{shown}");
        update(&two);
        run(&mut Command::new(&elsewhere)).success().prints("2\n");
        update(&libraries);
    }
    let moved = dir.join("moved");
    std::fs::rename(dir.join("one"), &moved).unwrap();
    let replace = format!("{}={}", dir.join("one").display(), moved.display());
    let mut command = indir();
    command.arg("update").arg(&elsewhere);
    run(command.args(["--replace", &replace])).success();
    run(&mut Command::new(&elsewhere)).success().prints("1\n");
    std::fs::rename(&moved, dir.join("one")).unwrap();

    assert_eq!(std::fs::read(&exe).unwrap(), before);
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    run(&mut Command::new(&exe)).success().prints("1\n");
}

#[test]
fn libraries_that_lack_a_symbol_are_refused_and_nothing_changes() {
    let dir = Scratch::new();
    let soname = "-Wl,-soname,libtwo.so";
    for (folder, source) in [
        ("good", "void a(void) {} void b(void) {}"),
        ("bad", "void a(void) {}"),
    ] {
        let made = shared(&dir.join(folder).join("libtwo.c"), source, &[soname]);
        std::fs::rename(&made, made.with_extension("so")).unwrap();
    }
    let link = format!("-L{}", dir.join("good").display());
    let source = "void a(void), b(void); int main(void) { a(); b(); return 0; }";
    let exe = ordinary(&dir.join("user.c"), source, &[&link, "-ltwo"]);
    let before = std::fs::read(&exe).unwrap();
    let bad = dir.join("bad");
    let ran = adopt([
        OsStr::new("--in-place"),
        exe.as_os_str(),
        OsStr::new("--lib-dir"),
        bad.as_os_str(),
    ]);
    ran.exits(3)
        .err_has("b needed by")
        .err_has(exe.to_str().unwrap());
    assert_eq!(std::fs::read(&exe).unwrap(), before);
    let temporaries = std::fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = temporaries
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with(".indir-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A copy elsewhere keeps finding what the original finds by `$ORIGIN`, also
/// after a later update; what lies beside the copy comes first.
#[test]
fn a_copy_elsewhere_finds_what_the_original_finds_beside_itself() {
    let dir = Scratch::new();
    let answer = |folder: &str, value: i32| {
        let source = format!("int answer(void) {{ return {value}; }}");
        let plain = shared(&dir.join(folder).join("libanswer.c"), &source, &[]);
        std::fs::rename(&plain, plain.with_extension("so")).unwrap();
    };
    answer("tree/lib", 7);
    let source = "int answer(void); int main(void) { return answer(); }";
    let link = format!("-L{}", dir.join("tree/lib").display());
    for (tags, name) in [("--enable", "runpath"), ("--disable", "rpath")] {
        let args = [
            &link,
            "-lanswer",
            "-Wl,-rpath,/nonexistent:${ORIGIN}/../lib",
            &format!("-Wl,{tags}-new-dtags"),
        ];
        let source_path = dir.join("tree/bin").join(format!("{name}.c"));
        let exe = ordinary(&source_path, source, &args);
        run(&mut Command::new(&exe)).exits(7);
        let out = dir.dir("elsewhere").join(name);
        adopt([OsStr::new("-o"), out.as_os_str(), exe.as_os_str()]).success();
        run(&mut Command::new(&out)).exits(7);
        run(Command::new(prefix().join("bin/indir"))
            .arg("update")
            .arg(&out))
        .success();
        run(&mut Command::new(&out)).exits(7);

        answer("other/lib", 9);
        let beside = dir.dir("other/bin").join(name);
        adopt([OsStr::new("-o"), beside.as_os_str(), exe.as_os_str()]).success();
        run(&mut Command::new(&beside)).exits(9);
    }
}
