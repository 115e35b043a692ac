//! Programs of another root: adopted, given tables, asked about, verified, sealed and
//! given back. Nothing here runs one.

use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;
use goblin::elf::program_header::{PT_LOAD, PT_NOTE};

use super::root;
use crate::support::adopt::HELLO;
use crate::support::{Ran, Scratch, indir, need, prefix, run};

/// PT_GNU_PROPERTY.
const PROPERTY: u32 = 0x6474_e553;
/// Where a prefix would be in the other root.
const SHIM: &str = "/opt/indir/lib/indir/ld-indir-aarch64.so.1";
/// Programs with and without a note of theirs, of many and few libraries.
const PROGRAMS: [&str; 6] = ["bash", "sort", "git", "curl", "env", "dpkg"];
/// Their libraries are found there.
const LIBRARIES: &str = "lib/aarch64-linux-gnu";

/// The folder of the prefix that has the shim and the binder of aarch64.
fn shims() -> PathBuf {
    let folder = prefix().join("lib/indir");
    let shim = folder.join("ld-indir-aarch64.so.1");
    assert!(
        shim.is_file(),
        "no `{}`: build with INDIR_TARGETS=x86_64,aarch64 (`make test` does)",
        shim.display()
    );
    folder
}

/// A root of its own: links to the libraries of the shared one, and copies of programs.
struct System {
    folder: Scratch,
}

impl System {
    fn new() -> Self {
        let folder = Scratch::new();
        let from = root("root");
        folder.dir("usr/bin");
        folder.dir("usr/lib");
        for name in ["lib", "bin"] {
            std::os::unix::fs::symlink(format!("usr/{name}"), folder.join(name)).unwrap();
        }
        let copy = |from: &Path, to: &str| {
            run(Command::new("cp").arg("-a").arg(from).arg(folder.join(to))).success();
        };
        copy(&from.join("usr/lib/aarch64-linux-gnu"), "usr/lib/");
        copy(&from.join("usr/lib/ld-linux-aarch64.so.1"), "usr/lib/");
        for name in PROGRAMS {
            copy(&from.join("usr/bin").join(name), "usr/bin/");
        }
        folder.dir("opt/indir/lib/indir");
        for name in ["ld-indir-aarch64.so.1", "libindir-bind-aarch64.so"] {
            copy(&shims().join(name), "opt/indir/lib/indir/");
        }
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.folder.join("usr/bin").join(name)
    }

    fn indir(&self, command: &str, args: &[&str]) -> Ran {
        run(Command::new(prefix().join("bin/indir"))
            .arg(command)
            .args(args)
            .arg("--sysroot")
            .arg(self.path()))
    }

    fn adopt(&self, name: &str) -> Ran {
        let program = self.program(name);
        let program = program.to_str().unwrap();
        self.indir("adopt", &["--in-place", "--indir-shim", SHIM, program])
    }
}

/// Everything that a kernel with pages of 64 KiB asks of segments, and that the notes of
/// protection are where their header says.
fn check_layout(bytes: &[u8], original: &[u8]) {
    let (elf, old) = (Elf::parse(bytes).unwrap(), Elf::parse(original).unwrap());
    assert_eq!(elf.interpreter, Some(SHIM));
    let loads: Vec<_> = elf
        .program_headers
        .iter()
        .filter(|p| p.p_type == PT_LOAD)
        .collect();
    let mut end = 0;
    for load in &loads {
        assert_eq!(load.p_align, 0x10000, "{load:?}");
        assert_eq!((load.p_vaddr - load.p_offset) % load.p_align, 0, "{load:?}");
        assert!(load.p_vaddr & !0xffff >= end, "{loads:#?}");
        end = (load.p_vaddr + load.p_memsz).next_multiple_of(0x10000);
    }
    let property = |elf: &Elf<'_>, bytes: &[u8]| {
        let of = |kind| elf.program_headers.iter().find(|p| p.p_type == kind);
        let header = of(PROPERTY)?;
        let notes = elf.program_headers.iter().filter(|p| p.p_type == PT_NOTE);
        assert!(notes.into_iter().any(|p| p.p_offset == header.p_offset));
        Some(bytes[header.file_range()].to_vec())
    };
    assert_eq!(property(&elf, bytes), property(&old, original));
}

#[test]
fn programs_of_another_root_are_adopted_updated_verified_and_given_back() {
    let system = System::new();
    for name in PROGRAMS {
        let program = system.program(name);
        let original = std::fs::read(&program).unwrap();
        system.adopt(name).success();
        check_layout(&std::fs::read(&program).unwrap(), &original);
        let shown = run(indir().arg("show").arg(&program)).success().stdout();
        assert!(shown.contains("ld-linux-aarch64.so.1"), "{shown}");
        // Paths are those of the other root.
        assert!(
            !shown
                .lines()
                .skip(1)
                .any(|line| line.contains(system.path().to_str().unwrap()))
        );
        assert!(shown.contains("/lib/aarch64-linux-gnu/"), "{shown}");
    }
    let folder = system.program("");
    let folder = folder.to_str().unwrap();
    for plan in ["bound", "direct", "bound"] {
        system.indir("update", &["--plan", plan, folder]).success();
        let shown = run(indir().arg("show").arg(system.program("git")))
            .success()
            .stdout();
        assert!(shown.contains(&format!("plan        {plan}")), "{shown}");
        system
            .indir("verify", &["--deep", folder])
            .success()
            .prints("");
    }
    // Without the root there is nothing of it.
    run(indir().arg("verify").arg(folder)).exits(1);
    let bash = system.program("bash");
    let bash = bash.to_str().unwrap();
    system
        .indir("why", &[bash, "malloc"])
        .success()
        .out_has("=> /lib/aarch64-linux-gnu/libc.so.6");
    for name in PROGRAMS {
        let program = system.program(name);
        run(indir().args(["adopt", "--undo"]).arg(&program)).success();
        let original = root("root").join("usr/bin").join(name);
        assert_eq!(
            std::fs::read(&program).unwrap(),
            std::fs::read(original).unwrap()
        );
    }
}

#[test]
fn a_library_that_is_gone_or_of_another_machine_is_told() {
    let system = System::new();
    system.adopt("curl").success();
    let curl = system.program("curl");
    let curl = curl.to_str().unwrap();
    let zlib = system.folder.join("usr").join(LIBRARIES).join("libz.so.1");
    let kept = zlib.with_extension("kept");
    std::fs::rename(&zlib, &kept).unwrap();
    system
        .indir("update", &[curl])
        .exits(1)
        .err_has("`libz.so.1`, needed by `/usr/bin/curl`, is not found");
    std::fs::copy("/lib/x86_64-linux-gnu/libc.so.6", &zlib).unwrap();
    system
        .indir("update", &[curl])
        .exits(1)
        .err_has("libz.so.1`: for another processor architecture");
    std::fs::remove_file(&zlib).unwrap();
    let ran = system.indir("verify", &[curl]);
    ran.exits(1)
        .out_has("missing `")
        .out_has("indir update --sysroot");
    std::fs::rename(&kept, &zlib).unwrap();
    system.indir("verify", &[curl]).success().prints("");
}

#[test]
fn what_sysroot_cannot_mean_is_one_line() {
    let system = System::new();
    system.adopt("env").success();
    let env = system.program("env");
    run(indir()
        .args(["update", "--sysroot", "/nonexistent"])
        .arg(&env))
    .exits(1)
    .err_is_one_line()
    .err_has("`--sysroot /nonexistent`");
    run(indir()
        .args(["update", "--sysroot"])
        .arg(system.path().join("opt"))
        .arg(&env))
    .exits(1)
    .err_has("it does not lie in the folder of `--sysroot`");
    let path = env.to_str().unwrap();
    system
        .indir("update", &["--lib-dir", "lib", path])
        .exits(1)
        .err_is_one_line()
        .err_has("with `--sysroot` give a path of that system, from its root");
    let bare = Scratch::new();
    run(indir()
        .args([
            "adopt",
            "--in-place",
            path,
            "--indir-shim",
            SHIM,
            "--sysroot",
        ])
        .arg(bare.path()))
    .exits(1)
    .err_is_one_line()
    .err_has(SHIM);
}

#[test]
fn sealing_knows_the_interpreter_of_the_machine() {
    let system = System::new();
    let program = system.program("sort");
    run(indir().args(["seal", "--check"]).arg(&program)).out_has("/lib/ld-linux-aarch64.so.1");
    system.adopt("sort").success();
    run(indir().arg("seal").arg(&program)).success();
    run(indir().args(["seal", "--check"]).arg(&program))
        .success()
        .prints("");
    let path = program.to_str().unwrap();
    system.indir("verify", &[path]).success();
}

/// Ways 2 and 3 of `adopt`: what linkers leave no room in gets a segment, on pages that
/// no kernel maps together with another's; and the program starts, by its table and
/// without one.
#[test]
fn new_segments_are_on_pages_of_their_own() {
    need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu");
    need("clang", "clang");
    need("qemu-aarch64", "qemu-user");
    let system = System::new();
    let source = system.folder.file("hello.c", HELLO);
    let mut moved = 0;
    for linker in ["bfd", "lld", "mold"] {
        for (mode, bare) in [
            ("-pie", false),
            ("-no-pie", false),
            ("-pie", true),
            ("-no-pie", true),
        ] {
            let program = system.program(&format!("hello-{linker}{mode}{bare}"));
            // GCC knows its own linkers only.
            let mut command = match linker {
                "bfd" => Command::new("aarch64-linux-gnu-gcc"),
                _ => Command::new("clang"),
            };
            if linker != "bfd" {
                command.arg("--target=aarch64-linux-gnu");
            }
            command
                .args([mode, &format!("-fuse-ld={linker}"), "-o"])
                .arg(&program)
                .arg(&source);
            if bare {
                command.arg("-Wl,--build-id=none");
            }
            run(&mut command).success();
            if bare {
                run(Command::new("aarch64-linux-gnu-objcopy")
                    .args(["-R", ".note.ABI-tag"])
                    .arg(&program))
                .success();
            }
            let original = std::fs::read(&program).unwrap();
            let path = program.to_str().unwrap();
            let ran = system.indir("adopt", &["--in-place", "--indir-shim", SHIM, path]);
            ran.success();
            moved += usize::from(ran.stderr().contains("its program headers moved"));
            let adopted = std::fs::read(&program).unwrap();
            check_layout(&adopted, &original);
            let start = || {
                let mut qemu = Command::new("qemu-aarch64");
                run(qemu.arg("-L").arg(system.path()).arg(&program).arg("a"))
                    .success()
                    .prints("hello 7 2 a\n");
            };
            start();
            let folder = program.with_file_name(".indir");
            let away = program.with_file_name("away");
            std::fs::rename(&folder, &away).unwrap();
            start();
            std::fs::rename(&away, &folder).unwrap();
            run(indir().args(["adopt", "--undo"]).arg(&program)).success();
            assert_eq!(std::fs::read(&program).unwrap(), original);
        }
    }
    assert!(moved > 0);
}
