//! Damaged bindings cost speed and nothing else: real starts with mutated files,
//! with what is no regular file, and with one that is far too large.

use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, table_of, update};
use crate::support::{Ran, Scratch, indir, run};

const PROGRAM: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }";

struct Bound {
    _dir: Scratch,
    exe: PathBuf,
    bindings: PathBuf,
}

impl Bound {
    fn new() -> Self {
        let dir = Scratch::new();
        let exe = indirect(&dir.join("program.c"), PROGRAM, &[]);
        update(&exe, &["--plan", "bound"]);
        let mut bindings = table_of(&exe).into_os_string();
        bindings.push(".bind");
        let bindings = bindings.into();
        Self {
            _dir: dir,
            exe,
            bindings,
        }
    }

    fn start(&self) -> Ran {
        run(Command::new(&self.exe).env("INDIR_DEBUG", "1"))
    }

    /// It starts as ever, without bindings.
    #[track_caller]
    fn starts_direct(&self) {
        let ran = self.start();
        ran.success().prints("hello\n").err_has("no bindings: ");
    }

    #[track_caller]
    fn starts_bound(&self) {
        let ran = self.start();
        assert!(super::binder::applied(ran.success()), "{ran}");
    }

    /// `verify` names the file, and an update says so and mends it.
    #[track_caller]
    fn is_reported_and_mended(&self, kind: &str) {
        let file = self.bindings.display();
        run(indir().arg("verify").arg(&self.exe))
            .exits(1)
            .out_has(&format!("{kind} `{file}`: "))
            .out_has("; run `indir update ");
        run(indir().arg("update").arg(&self.exe))
            .success()
            .err_has(&format!(": `{file}`: "))
            .err_has("; written again\nupdated 1, ");
        run(indir().arg("verify").arg(&self.exe)).success();
        self.starts_bound();
    }
}

#[test]
fn what_is_no_regular_file_is_left_alone_reported_and_replaced() {
    let bound = Bound::new();
    bound.starts_bound();
    for make in [
        |path: &Path| run(Command::new("mkfifo").arg(path)),
        |path: &Path| run(Command::new("mknod").arg(path).args(["c", "1", "5"])),
        |path: &Path| run(Command::new("ln").args(["-s", "/dev/zero"]).arg(path)),
    ] {
        std::fs::remove_file(&bound.bindings).unwrap();
        make(&bound.bindings).success();
        let kind = std::fs::symlink_metadata(&bound.bindings).unwrap();
        assert!(!kind.file_type().is_file() && !kind.file_type().is_socket());
        bound.starts_direct();
        let file = bound.bindings.display();
        run(indir().arg("verify").arg(&bound.exe))
            .exits(1)
            .out_has(&format!("unreadable `{file}`: "));
        // It is not ours: an update leaves it where it is, and says so.
        run(indir().arg("update").arg(&bound.exe))
            .exits(3)
            .err_has(&format!("`{file}` is not a regular file"));
        std::fs::remove_file(&bound.bindings).unwrap();
        run(indir().arg("update").arg(&bound.exe)).success();
        bound.starts_bound();
    }
}

#[test]
fn a_sparse_file_of_six_gib_is_refused_by_its_size() {
    let bound = Bound::new();
    let file = std::fs::File::options()
        .write(true)
        .open(&bound.bindings)
        .unwrap();
    file.set_len(6 << 30).unwrap();
    drop(file);
    let ran = bound.start();
    ran.success()
        .prints("hello\n")
        .err_has("no bindings: the bindings file is too large");
    bound.is_reported_and_mended("broken");
}

#[test]
fn damage_anywhere_is_reported_and_mended() {
    let bound = Bound::new();
    let good = std::fs::read(&bound.bindings).unwrap();
    for at in [70, good.len() / 2, good.len() - 9, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 8;
        std::fs::write(&bound.bindings, &bad).unwrap();
        bound.starts_direct();
        bound.is_reported_and_mended("broken");
        assert_eq!(std::fs::read(&bound.bindings).unwrap(), good);
    }
    // Those of another program.
    let other = Bound::new();
    let mut foreign = std::fs::read(&other.bindings).unwrap();
    let at = std::mem::offset_of!(indir_shim::format::bindings_layout::Header, digest);
    foreign[at] ^= 1;
    indir::table::bindings_file::seal(&mut foreign);
    std::fs::write(&bound.bindings, &foreign).unwrap();
    bound.starts_direct();
    bound.is_reported_and_mended("foreign");
}
