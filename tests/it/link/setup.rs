//! `indir setup`: what it lays out, and that twice is once.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Scratch, indir, run};

/// Every path under `root` with what is there.
fn listing(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut out = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root) {
        let entry = entry.unwrap();
        let path = entry.path().strip_prefix(root).unwrap().to_path_buf();
        let mode = entry
            .path()
            .symlink_metadata()
            .unwrap()
            .permissions()
            .mode();
        let content = if entry.file_type().is_symlink() {
            std::fs::read_link(entry.path())
                .unwrap()
                .into_os_string()
                .into_encoded_bytes()
        } else if entry.file_type().is_file() {
            std::fs::read(entry.path()).unwrap()
        } else {
            Vec::new()
        };
        out.insert(path, (mode, content));
    }
    out
}

fn setup(prefix: &Path) {
    run(indir().args(["setup", "--prefix"]).arg(prefix)).success();
}

#[test]
fn lays_out_the_documented_files() {
    let scratch = Scratch::new();
    let prefix = scratch.join("deep/er");
    setup(&prefix);
    for name in ["bin/indir-ld", "libexec/indir/ld", "libexec/indir/ld.mold"] {
        assert!(
            std::fs::read_link(prefix.join(name)).unwrap().is_relative(),
            "{name}"
        );
    }
    for name in [
        "bin/indir",
        "bin/indir-ld",
        "lib/indir/ld-indir-x86-64.so.1",
        "lib/indir/libindir-ld-plugin.so",
        "libexec/indir/ld",
        "libexec/indir/ld.bfd",
        "libexec/indir/ld.gold",
        "libexec/indir/ld.lld",
        "libexec/indir/ld.mold",
    ] {
        let mode = std::fs::metadata(prefix.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755, "{name}");
    }
    assert!(prefix.join("share").is_dir());
}

#[test]
fn twice_or_from_the_copy_gives_the_same_bytes() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.join("first"), scratch.join("second"));
    setup(&first);
    let once = listing(&first);
    setup(&first);
    assert!(listing(&first) == once, "a second run changed something");
    run(Command::new(first.join("bin/indir"))
        .args(["setup", "--prefix"])
        .arg(&second))
    .success();
    assert!(listing(&second) == once, "the copy lays out something else");
}

#[test]
fn runs_under_a_strict_umask() {
    let scratch = Scratch::new();
    let prefix = scratch.join("p");
    let script = "umask 077; exec \"$0\" setup --prefix \"$1\"";
    run(Command::new("sh")
        .args(["-c", script])
        .arg(env!("CARGO_BIN_EXE_indir"))
        .arg(&prefix))
    .success();
    let shim = prefix.join("lib/indir/ld-indir-x86-64.so.1");
    assert_eq!(
        std::fs::metadata(shim).unwrap().permissions().mode() & 0o777,
        0o755
    );
}

#[test]
fn a_prefix_that_cannot_be_written_is_one_line() {
    let scratch = Scratch::new();
    let file = scratch.file("file", "");
    let ran = run(indir().args(["setup", "--prefix"]).arg(file.join("p")));
    ran.exits(1)
        .err_is_one_line()
        .err_has(file.to_str().unwrap());
    assert_eq!(ran.stderr().matches("failed to").count(), 1, "{ran}");
}

#[test]
fn the_umask_of_root_takes_nothing_away() {
    let dir = Scratch::new();
    let listed = ["022", "077", "000"].map(|umask| {
        let prefix = dir.join(format!("parent-{umask}/prefix"));
        let mut command = Command::new("bash");
        let script = format!("umask {umask}; exec \"$@\"");
        command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_indir")]);
        run(command.args(["setup", "--prefix"]).arg(&prefix)).success();
        listing(prefix.parent().unwrap())
    });
    assert!(listed[0] == listed[1] && listed[0] == listed[2]);
    assert!(
        listed[0]
            .values()
            .all(|(mode, _)| mode & 0o022 == 0 || mode & 0o170_000 == 0o120_000)
    );
}

#[test]
fn a_setup_that_was_killed_leaves_nothing_after_the_next() {
    let dir = Scratch::new();
    let prefix = dir.join("prefix");
    setup(&prefix);
    let before = listing(&prefix);
    let left = prefix.join("lib/indir/.ld-indir-x86-64.so.1.indir-0123456789abcdef.tmp");
    let foreign = prefix.join("lib/indir/.other.indir-0123456789abcdef.tmp");
    for file in [&left, &foreign] {
        std::fs::write(file, "half").unwrap();
    }
    setup(&prefix);
    assert!(!left.exists() && foreign.exists());
    std::fs::remove_file(&foreign).unwrap();
    assert_eq!(listing(&prefix), before);
}
