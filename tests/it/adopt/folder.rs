//! `indir adopt` of folders, and of programs too large to be read whole.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::adopt::{HELLO, adopt, assert_is_indirect};
use crate::support::program::{ordinary, shared};
use crate::support::{Scratch, cc, prefix, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Programs, and what is none: `a`, `sub/b`, a script, a static program, a library, a
/// program that says it is of musl, a text.
fn mixed(dir: &Scratch) -> PathBuf {
    let root = dir.dir("in");
    let source = dir.file("p.c", HELLO);
    dir.dir("in/sub");
    for name in ["a", "sub/b"] {
        cc(["-o", text(&root.join(name)), text(&source)]);
    }
    cc(["-static", "-o", text(&root.join("fixed")), text(&source)]);
    let musl = "-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1";
    cc([musl, "-o", text(&root.join("m")), text(&source)]);
    let library = dir.file("l.c", "int l;");
    cc(["-shared", "-o", text(&root.join("libl.so")), text(&library)]);
    let script = dir.file("in/script", "#!/bin/sh\n");
    std::fs::set_permissions(script, PermissionsExt::from_mode(0o755)).unwrap();
    dir.file("in/readme", "text");
    root
}

const KINDS: &str = "left as they are: script 1, static 1, library 1, foreign 1, other 1";

#[test]
fn a_folder_means_its_programs_and_the_rest_is_counted() {
    let dir = Scratch::new();
    let root = mixed(&dir);
    let before = std::fs::read(root.join("a")).unwrap();
    let ran = adopt(["--in-place", "--dry-run", text(&root)]);
    ran.exits(0)
        .out_has(&format!("adopted {}: new: direct, ", text(&root.join("a"))))
        .err_has("would adopt 2, already indirect 0, refused 0, failed 0; ")
        .err_has(KINDS);
    assert_eq!(std::fs::read(root.join("a")).unwrap(), before);
    assert!(!root.join(".indir").exists(), "a dry run writes nothing");

    let out = dir.dir("out");
    let ran = adopt(["-o", text(&out), "--json", "-j", "3", text(&root)]);
    let document: Value = serde_json::from_str(&ran.exits(0).stdout()).unwrap();
    assert_eq!(document["adopted"], 2, "{document:#}");
    assert_eq!(document["skipped"]["static"], 1);
    let of_b = &document["executables"][1];
    assert_eq!(of_b["path"], text(&root.join("sub/b")));
    assert_eq!(of_b["output"], text(&out.join("sub/b")));
    assert_eq!(of_b["state"], "adopted");
    assert!(Path::new(of_b["table"].as_str().unwrap()).is_file());
    for name in ["a", "sub/b"] {
        assert_is_indirect(&out.join(name));
        run(&mut Command::new(out.join(name)))
            .success()
            .prints("hello 7 1 \n");
    }

    adopt(["--in-place", "-v", text(&root)])
        .exits(0)
        .out_has(&format!("script {}", text(&root.join("script"))))
        .out_has(&format!("foreign {}", text(&root.join("m"))))
        .err_has("adopted 2, already indirect 0, refused 0, failed 0; ")
        .err_has(KINDS);
    adopt(["--in-place", "-q", text(&root)]).exits(0).prints("");
    adopt(["--undo", text(&root)]).exits(0);
    assert_eq!(std::fs::read(root.join("a")).unwrap(), before);
    assert!(!root.join(".indir").exists());
    // By name each of them is an error, and musl is called musl.
    adopt(["--in-place", text(&root.join("m"))])
        .exits(1)
        .err_is_one_line()
        .err_has("it is a program of musl");
    let target = dir.join("new");
    adopt(["-o", text(&target), text(&root)])
        .exits(1)
        .err_has(&format!("run `mkdir -p {}`", text(&target)));
}

/// Folders of tables that fail and work at the same time do not take each other's away.
#[test]
fn many_at_once_do_not_disturb_each_other() {
    let dir = Scratch::new();
    let root = dir.dir("in");
    let good = ordinary(&dir.join("good.c"), "int main(void) { return 0; }", &[]);
    let library = shared(
        &dir.join("lib/libgone.so.c"),
        "int gone(void) { return 0; }",
        &[],
    );
    let link = format!("-L{}", text(library.parent().unwrap()));
    let source = "int gone(void); int main(void) { return gone(); }";
    let bad = ordinary(&dir.join("bad.c"), source, &[&link, "-lgone"]);
    for n in 0..40 {
        let from = if n % 2 == 0 { &good } else { &bad };
        let to = root.join(format!("{n:02}"));
        std::fs::copy(from, &to).unwrap();
    }
    let ran = adopt(["--in-place", "-j", "8", text(&root)]);
    ran.exits(1)
        .err_has("adopted 20, already indirect 0, refused 0, failed 20");
    for n in (0..40).step_by(2) {
        run(&mut Command::new(root.join(format!("{n:02}")))).success();
    }
}

/// A program with 300 MB of data, half of them zeros, costs a part of that in memory.
#[test]
fn large_programs_are_not_read_whole() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("large.c"), HELLO, &[]);
    // What follows the ELF file is a payload, which is kept.
    let mut file = std::fs::File::options().append(true).open(&exe).unwrap();
    let block: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
    for _ in 0..150 {
        file.write_all(&block).unwrap();
        file.write_all(&vec![0; block.len()]).unwrap();
    }
    file.write_all(b"end").unwrap();
    drop(file);
    let original = std::fs::metadata(&exe).unwrap().len();
    assert!(original > 300 << 20);
    let sum = |path: &Path| {
        let ran = run(Command::new("sha256sum").arg(path));
        ran.success().stdout().split(' ').next().unwrap().to_owned()
    };
    let before = sum(&exe);
    let measured = |args: &[&str]| {
        let mut command = Command::new("/usr/bin/time");
        command
            .args(["-f", "peak %M"])
            .arg(prefix().join("bin/indir"));
        let ran = run(command.args(args).arg(&exe));
        ran.success();
        let said = ran.stderr();
        let peak = said.lines().find_map(|line| line.strip_prefix("peak "));
        peak.expect(&said).parse::<u64>().unwrap()
    };
    let peak = measured(&["adopt", "--in-place"]);
    assert!(peak < 100 << 10, "{peak} KiB to adopt");
    run(&mut Command::new(&exe))
        .success()
        .prints("hello 7 1 \n");
    let peak = measured(&["adopt", "--undo"]);
    assert!(peak < 100 << 10, "{peak} KiB to undo");
    assert_eq!(sum(&exe), before);
}

#[test]
fn paths_that_lead_to_one_program_and_what_another_run_writes() {
    let dir = Scratch::new();
    let root = dir.dir("in");
    let exe = ordinary(&dir.join("in/sub/p.c"), HELLO, &[]);
    std::fs::remove_file(dir.join("in/sub/p.c")).unwrap();
    let left = root.join(".q.indir-0123456789abcdef.tmp");
    std::fs::copy(&exe, &left).unwrap();
    let before = std::fs::read(&exe).unwrap();
    let link = root.join("link");
    std::os::unix::fs::symlink("sub/p", &link).unwrap();
    let paths = [text(&root), text(&exe), text(&link)];
    adopt([&["--in-place"][..], &paths].concat())
        .exits(0)
        .err_has("adopted 1, already indirect 0, refused 0, failed 0");
    assert_is_indirect(&exe);
    assert_eq!(std::fs::read(left).unwrap(), before);
    // Undoing elsewhere keeps the folders, however the folder is named.
    let out = dir.dir("out");
    let ran = run(Command::new(prefix().join("bin/indir"))
        .current_dir(dir.path())
        .args(["adopt", "--undo", "-o", text(&out), "in"]));
    ran.exits(0);
    assert_eq!(std::fs::read(out.join("sub/p")).unwrap(), before);
}
