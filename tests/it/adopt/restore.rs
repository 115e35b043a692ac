//! `indir restore` makes programs independent of indir: they start when it is gone.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::HELLO;
use crate::support::program::{linked_with, ordinary, table_of};
use crate::support::{Ran, Scratch, glibc_lib, need, run};

/// An installation that can be removed, and programs of each kind.
struct System {
    tree: Scratch,
    programs: PathBuf,
}

impl System {
    fn new() -> Self {
        let tree = Scratch::new();
        let system = Self {
            programs: tree.dir("programs"),
            tree,
        };
        let setup = Path::new(env!("CARGO_BIN_EXE_indir"));
        run(Command::new(setup)
            .args(["setup", "--prefix"])
            .arg(system.tree.join("prefix")))
        .success();
        system
    }

    fn indir(&self) -> Command {
        Command::new(self.tree.join("prefix/bin/indir"))
    }

    fn restore(&self, args: &[&str]) -> Ran {
        run(self.indir().arg("restore").args(args).arg(&self.programs))
    }

    /// With the bytes that it had.
    fn adopted(&self, name: &str) -> (PathBuf, Vec<u8>) {
        let exe = ordinary(&self.programs.join(name).with_extension("c"), HELLO, &[]);
        let bytes = std::fs::read(&exe).unwrap();
        run(self.indir().args(["adopt", "--in-place"]).arg(&exe)).success();
        (exe, bytes)
    }

    /// Linked by `indir-ld`, with a table.
    fn linked(&self, name: &str, args: &[&str]) -> PathBuf {
        let b_flag = format!("-B{}", self.tree.join("prefix/libexec/indir").display());
        let file = self.programs.join(name).with_extension("c");
        let exe = linked_with(&b_flag, &file, HELLO, args);
        run(self
            .indir()
            .arg("update")
            .arg(&exe)
            .args(["--lib-dir"])
            .arg(glibc_lib("trixie")))
        .success();
        exe
    }

    fn remove_indir(&self) {
        std::fs::remove_dir_all(self.tree.join("prefix")).unwrap();
    }
}

fn says_hello(exe: &Path) {
    run(&mut Command::new(exe)).success().out_has("hello");
}

#[test]
fn programs_start_when_indir_is_gone() {
    let system = System::new();
    let (adopted, bytes) = system.adopted("adopted");
    let linked: Vec<PathBuf> = ["bfd", "gold", "lld", "mold"]
        .into_iter()
        .flat_map(|linker| {
            let fuse = format!("-fuse-ld={linker}");
            need(&format!("ld.{linker}"), linker);
            ["-pie", "-no-pie"].map(|pie| system.linked(&format!("{linker}{pie}"), &[&fuse, pie]))
        })
        .collect();
    let (changed, _) = system.adopted("changed");
    run(Command::new("strip").arg(&changed)).success();
    let size = |exe: &PathBuf| std::fs::metadata(exe).unwrap().len();
    let before: Vec<u64> = linked.iter().map(size).collect();

    let all = linked.len() + 2;
    system.restore(&["--dry-run"]).success().err_has(&format!(
        "would restore {all}: bytes 1, interpreter {}; failed 0",
        all - 1
    ));
    assert!(table_of(&adopted).exists());
    system
        .restore(&[])
        .success()
        .out_has(&format!("bytes       {}\n", adopted.display()))
        .out_has(&format!("interpreter {}\n", changed.display()))
        .err_has(&format!(
            "restored {all}: bytes 1, interpreter {}; failed 0",
            all - 1
        ));

    assert_eq!(std::fs::read(&adopted).unwrap(), bytes);
    assert_eq!(linked.iter().map(size).collect::<Vec<_>>(), before);
    assert!(!system.programs.join(".indir").exists());
    // Nothing takes them for indirect any more.
    system
        .restore(&[])
        .exits(1)
        .err_has("no indirect executable in this folder");
    run(system.indir().arg("update").arg(&linked[0])).exits(1);

    system.remove_indir();
    for exe in linked.iter().chain([&adopted, &changed]) {
        says_hello(exe);
    }
}

#[test]
fn restored_programs_may_be_adopted_and_stripped() {
    let system = System::new();
    let exe = system.linked("linked", &[]);
    system.restore(&[]).success();
    run(Command::new("strip").arg(&exe)).success();
    says_hello(&exe);
    run(system.indir().args(["adopt", "--in-place"]).arg(&exe)).success();
    assert!(table_of(&exe).exists());
    says_hello(&exe);
    system.restore(&[]).success().out_has("bytes ");
    says_hello(&exe);
}

#[test]
fn what_cannot_be_restored_is_named_and_stays() {
    let system = System::new();
    let sealed = system.linked("sealed", &[]);
    run(system.indir().arg("seal").arg(&sealed)).success();
    let linked = system.linked("linked", &[]);
    // Its interpreter is of a glibc that goes.
    let loader = system.tree.join("ld-linux-x86-64.so.2");
    std::fs::copy(glibc_lib("bookworm").join("ld-linux-x86-64.so.2"), &loader).unwrap();
    let flag = format!("-Wl,--dynamic-linker={}", loader.display());
    let homeless = system.linked("homeless", &[&flag]);
    std::fs::remove_file(&loader).unwrap();
    // Another name would keep the shim.
    let twice = system.linked("twice", &[]);
    std::fs::hard_link(&twice, system.tree.join("other")).unwrap();

    let stay = [&sealed, &homeless, &twice];
    let before = stay.map(|exe| std::fs::read(exe).unwrap());
    for args in [&["--dry-run"][..], &[]] {
        let ran = system.restore(args);
        ran.exits(1)
            .err_has("restore")
            .err_has(&format!(
                "`{}`: it is sealed, so that it does not say",
                sealed.display()
            ))
            .err_has("original bytes are not known either: there is no")
            .err_has(&format!(
                "its interpreter `{}` is not there",
                loader.display()
            ))
            .err_has("it has 2 hard links")
            .err_has("twice.new && mv ")
            .err_has(": bytes 0, interpreter 1; failed 3");
    }
    assert!(before == stay.map(|exe| std::fs::read(exe).unwrap()));
    assert!(table_of(&sealed).exists());
    says_hello(&sealed);
    system.remove_indir();
    says_hello(&linked);
}

/// What may be mended is neither passed over nor removed.
#[test]
fn bytes_that_cannot_be_had_now_are_not_given_up() {
    use std::os::unix::fs::PermissionsExt as _;
    let system = System::new();
    let (exe, original) = system.adopted("adopted");
    let adopted = std::fs::read(&exe).unwrap();
    let tables = exe.with_file_name(".indir");
    let patch = std::fs::read_dir(&tables)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|e| e == "undo"))
        .unwrap();
    let set = |mode| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&patch, mode).unwrap();
    };
    set(0o666);
    for args in [&["--dry-run"][..], &[]] {
        system.restore(args).exits(1).err_has("does not count");
        assert!(std::fs::read(&exe).unwrap() == adopted && patch.exists());
    }
    set(0o644);
    let bytes = std::fs::read(&patch).unwrap();
    std::fs::write(&patch, &bytes[..bytes.len() - 1]).unwrap();
    system.restore(&[]).exits(1).err_has("is damaged");
    assert!(std::fs::read(&exe).unwrap() == adopted);
    std::fs::write(&patch, bytes).unwrap();
    // Nothing is written, not even for a moment.
    let listing = |path: &Path| {
        let modified = std::fs::metadata(path).unwrap().modified().unwrap();
        (modified, std::fs::read_dir(path).unwrap().count())
    };
    let before = [&tables, &system.programs].map(|path| listing(path));
    system.restore(&["--dry-run"]).success();
    assert_eq!(
        [&tables, &system.programs].map(|path| listing(path)),
        before
    );
    system.restore(&[]).success();
    assert!(std::fs::read(&exe).unwrap() == original);
}
