//! FIFOs, devices, sockets and huge sparse files in every place where a file is
//! expected: one named failure, and nothing hangs.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, mknod};

use crate::support::program::{indirect, table_of};
use crate::support::{Ran, Scratch, cc, indir, run, shim};

/// `indir ARGS…`, which is killed, and fails the test, if it waits for something.
fn within(args: &[&str]) -> Ran {
    let mut command = Command::new("timeout");
    command
        .args(["-s", "KILL", "60", env!("CARGO_BIN_EXE_indir")])
        .args(args);
    let ran = run(&mut command);
    assert!(matches!(ran.code(), Some(0..=12)), "{ran}");
    assert!(!ran.stderr().contains("panicked"), "{ran}");
    ran
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
}

fn sparse(path: &Path, head: &[u8]) {
    std::fs::write(path, head).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_len(6 << 30).unwrap();
}

fn device(path: &Path, minor: u64) {
    let number = nix::sys::stat::makedev(1, minor);
    mknod(path, SFlag::S_IFCHR, Mode::S_IRWXU, number).unwrap();
}

/// A program that needs `lib/libl.so`, in `d`, and much that is none.
struct Zoo {
    tree: Scratch,
    exe: PathBuf,
    lib: PathBuf,
}

impl Zoo {
    fn new() -> Self {
        let tree = Scratch::new();
        let lib = tree.dir("lib");
        let source = tree.file("l.c", "int f(void) { return 0; }");
        let library = lib.join("libl.so");
        cc(["-shared", "-fPIC", "-o", text(&library), text(&source)]);
        let search = format!("-L{}", text(&lib));
        let exe = indirect(
            &tree.join("d/prog.c"),
            "int f(void); int main(void) { return f(); }",
            &[&search, "-ll"],
        );
        Self { tree, exe, lib }
    }

    fn update(&self) -> Ran {
        within(&[
            "update",
            text(&self.tree.join("d")),
            "--lib-dir",
            text(&self.lib),
        ])
    }
}

#[test]
fn arguments_of_every_command() {
    let zoo = Zoo::new();
    let d = zoo.tree.join("d");
    fifo(&d.join("fifo"));
    device(&d.join("null"), 3);
    device(&d.join("zero"), 5);
    let _socket = UnixListener::bind(d.join("sock")).unwrap();
    std::os::unix::fs::symlink(".", d.join("loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", d.join("dangling")).unwrap();
    sparse(&d.join("sparse"), b"");
    std::fs::write(d.join("tiny"), b"\x7fELF").unwrap();
    sparse(&d.join("sparse2"), &std::fs::read("/bin/true").unwrap());
    for file in std::fs::read_dir(&d).unwrap() {
        let path = file.unwrap().path();
        if !path.is_dir() && path.exists() && !path.ends_with("sock") {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
    }
    let (shim, out) = (shim(), zoo.tree.join("out"));
    zoo.update()
        .exits(0)
        .err_has("updated 1, current 0, refused 0, failed 0");
    for name in [
        "fifo", "null", "zero", "sock", "dangling", "sparse", "tiny", "sparse2",
    ] {
        let file = d.join(name);
        let file = text(&file);
        for args in [
            &["update", file][..],
            &["verify", file],
            &["show", file],
            &["adopt", file, "-o", text(&out), "--indir-shim", text(&shim)],
            &["adopt", "--undo", file],
            &["abi", "dump", file],
            &["abi", "diff", file, file],
            &["stub", file, "-o", text(&out)],
            &["why", file, "puts"],
        ] {
            let ran = within(args);
            assert!(matches!(ran.code(), Some(1 | 3)), "{ran}");
            let said = ran.stdout() + &ran.stderr();
            assert!(said.contains(name), "not named: {ran}");
            assert!(!out.exists(), "{ran}");
            assert_eq!(
                said.matches("not a regular file").count().min(2),
                usize::from(said.contains("not a regular file")),
                "told twice: {ran}"
            );
        }
    }
    let tree = zoo.tree.join("tree");
    within(&["stub", "--tree", text(&d), "-o", text(&tree)]);
}

/// A device is written to, a link stays, and neither is replaced.
#[test]
fn outputs_that_are_no_files() {
    let tree = Scratch::new();
    let libc = crate::support::system_lib().join("libc.so.6");
    let null = tree.join("null");
    device(&null, 3);
    let (real, link) = (tree.file("real", "old"), tree.join("link"));
    std::os::unix::fs::symlink("real", &link).unwrap();
    for command in [&["stub"][..], &["abi", "floor"]] {
        let to = |out: &Path| within(&[command, &[text(&libc), "-o", text(out)]].concat());
        to(&null).exits(0);
        let kind = std::fs::symlink_metadata(&null).unwrap().file_type();
        assert!(
            std::os::unix::fs::FileTypeExt::is_char_device(&kind),
            "{command:?}"
        );
        to(&link).exits(0);
        assert!(link.symlink_metadata().unwrap().is_symlink(), "{command:?}");
        assert!(
            std::fs::metadata(&real).unwrap().len() > 1000,
            "{command:?}"
        );
    }
}

#[test]
fn libraries_tables_and_bindings() {
    let zoo = Zoo::new();
    let library = zoo.lib.join("libl.so");
    let good = std::fs::read(&library).unwrap();
    let other = indirect(
        &zoo.tree.join("d/other.c"),
        "int main(void) { return 0; }",
        &[],
    );
    zoo.update().exits(0);
    type Make<'a> = &'a dyn Fn(&Path);
    let make: [(&str, Make<'_>); 4] = [
        ("FIFO", &|path| fifo(path)),
        ("device", &|path| device(path, 5)),
        ("socket", &|path| drop(UnixListener::bind(path).unwrap())),
        ("large", &|path| sparse(path, b"")),
    ];
    for (what, make) in make {
        std::fs::remove_file(&library).unwrap();
        make(&library);
        let ran = zoo.update();
        assert!(matches!(ran.code(), Some(1 | 3)), "{what}: {ran}");
        ran.err_has(text(&zoo.exe)).err_has("current 1");
        let ran = within(&["verify", text(&zoo.tree.join("d"))]);
        assert!(ran.code() != Some(0), "{what}: {ran}");
        ran.out_has(text(&library)).err_has("verified 2, wrong 1");
        std::fs::remove_file(&library).unwrap();
        std::fs::write(&library, &good).unwrap();
        zoo.update().exits(0);

        let table = table_of(&zoo.exe);
        std::fs::remove_file(&table).unwrap();
        make(&table);
        let ran = zoo.update();
        assert!(matches!(ran.code(), Some(1 | 3)), "{what}: {ran}");
        ran.err_has(text(&zoo.exe)).err_has("current 1");
        let ran = within(&["verify", text(&zoo.exe)]);
        ran.exits(1).out_has(text(&table));
        within(&["show", text(&zoo.exe)])
            .exits(1)
            .err_has(text(&zoo.exe));
        std::fs::remove_file(&table).unwrap();
        zoo.update().exits(0);
    }
    run(indir().arg("verify").arg(&other)).success();
}
