//! `indir adopt --undo` gives the original back; in place, what belongs to a
//! file is kept both ways; a killed `indir adopt` leaves the old file or the new.

use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::support::adopt::{HELLO, adopt, adopted, assert_is_indirect};
use crate::support::program::{indirect, ordinary, refused_then_updated, table_of};
use crate::support::{Ran, Scratch, need, prefix, run};

fn undo(exe: &Path) -> Ran {
    adopt([OsStr::new("--undo"), exe.as_os_str()])
}

#[track_caller]
fn in_place(exe: &Path) {
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    assert_is_indirect(exe);
}

/// Everything that `stat` tells and that must stay.
fn facts(path: &Path) -> (u32, u32, u32, i64, i64, u64) {
    let m = std::fs::metadata(path).unwrap();
    (
        m.mode(),
        m.uid(),
        m.gid(),
        m.mtime(),
        m.mtime_nsec(),
        m.len(),
    )
}

/// Executables for which each way is taken, with and without a payload.
fn of_every_way(dir: &Scratch) -> Vec<PathBuf> {
    need("ld.lld", "lld");
    let mut all = Vec::new();
    for payload in ["", "a payload"] {
        for (name, args) in [
            ("spare", &["-fuse-ld=bfd"][..]),
            ("segment", &["-fuse-ld=lld"]),
            ("lone", &["-fuse-ld=lld", "-Wl,--build-id=none"]),
        ] {
            let exe = ordinary(&dir.join(format!("{name}{}.c", payload.len())), HELLO, args);
            if name == "lone" {
                run(Command::new("objcopy")
                    .args(["-R", ".note.ABI-tag"])
                    .arg(&exe))
                .success();
            }
            let mut bytes = std::fs::read(&exe).unwrap();
            bytes.extend_from_slice(payload.as_bytes());
            std::fs::write(&exe, bytes).unwrap();
            all.push(exe);
        }
    }
    all
}

#[test]
fn the_original_comes_back_byte_for_byte() {
    let dir = Scratch::new();
    for exe in of_every_way(&dir) {
        let bytes = std::fs::read(&exe).unwrap();
        std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o751)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(981_173_106, 123_456_789);
        let file = std::fs::File::options().append(true).open(&exe).unwrap();
        file.set_modified(time).unwrap();
        drop(file);
        let before = facts(&exe);

        let copy = adopted(&dir, &exe, &[]);
        assert!(std::fs::read(&exe).unwrap() == bytes && facts(&exe) == before);
        let to = dir.join("restored");
        adopt([
            OsStr::new("--undo"),
            OsStr::new("-o"),
            to.as_os_str(),
            copy.as_os_str(),
        ])
        .success();
        assert!(std::fs::read(&to).unwrap() == bytes, "{}", exe.display());
        assert_is_indirect(&copy);
        undo(&copy).success();
        assert!(std::fs::read(&copy).unwrap() == bytes, "{}", exe.display());

        in_place(&exe);
        let adopted_facts = facts(&exe);
        assert_eq!(
            (adopted_facts.0, adopted_facts.4),
            (before.0, 123_456_789),
            "mode and time"
        );
        // Another name, another folder: the table folder comes along.
        let moved = dir.dir("moved");
        let exe_there = moved.join("program");
        std::fs::rename(&exe, &exe_there).unwrap();
        std::fs::rename(dir.join(".indir"), moved.join(".indir")).unwrap();
        run(&mut Command::new(&exe_there)).success();
        undo(&exe_there).success();
        assert!(std::fs::read(&exe_there).unwrap() == bytes);
        assert_eq!(facts(&exe_there), before);
        assert!(!moved.join(".indir").exists(), "an empty folder of tables");
        undo(&exe_there).success().err_has("nothing to undo");
        run(&mut Command::new(&exe_there)).success();
        std::fs::remove_dir_all(moved).unwrap();
    }
}

#[test]
fn what_was_changed_since_or_cannot_be_known_is_refused() {
    need("patchelf", "patchelf");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("known.c"), HELLO, &[]);
    in_place(&exe);
    let adopted = std::fs::read(&exe).unwrap();
    for tool in [
        &["strip"][..],
        &["patchelf", "--set-rpath", "/nowhere"],
        &["objcopy", "--strip-debug"],
    ] {
        run(Command::new(tool[0]).args(&tool[1..]).arg(&exe)).success();
        let changed = std::fs::read(&exe).unwrap();
        assert!(changed != adopted, "{tool:?}");
        undo(&exe)
            .exits(1)
            .err_is_one_line()
            .err_has("it was changed since it was adopted");
        assert!(std::fs::read(&exe).unwrap() == changed);
        std::fs::write(&exe, &adopted).unwrap();
    }

    let patch = std::fs::read_dir(dir.join(".indir")).unwrap().flatten();
    let patch = patch
        .map(|entry| entry.path())
        .find(|path| path.extension() == Some(OsStr::new("undo")))
        .unwrap();
    let bytes = std::fs::read(&patch).unwrap();
    std::fs::write(&patch, &bytes[..bytes.len() - 1]).unwrap();
    undo(&exe).exits(1).err_is_one_line().err_has("is damaged");
    std::fs::remove_file(&patch).unwrap();
    undo(&exe)
        .exits(1)
        .err_is_one_line()
        .err_has(patch.to_str().unwrap());
    assert!(std::fs::read(&exe).unwrap() == adopted);
    std::fs::write(&patch, bytes).unwrap();

    let linked = indirect(&dir.join("linked.c"), HELLO, &[]);
    refused_then_updated(&linked, &[]);
    undo(&linked)
        .exits(1)
        .err_is_one_line()
        .err_has("it was linked indirect");
    run(&mut Command::new(&linked)).success();
    undo(&exe).success();
}

/// Whoever can write the patch could make anything of a setuid program.
#[test]
fn a_privileged_executable_needs_a_patch_of_root() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("great.c"), HELLO, &[]);
    let original = std::fs::read(&exe).unwrap();
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o4755)).unwrap();
    in_place(&exe);
    let tables = dir.join(".indir");
    std::fs::set_permissions(&tables, std::fs::Permissions::from_mode(0o777)).unwrap();
    undo(&exe)
        .exits(1)
        .err_is_one_line()
        .err_has("it is privileged, and `");
    std::fs::set_permissions(&tables, std::fs::Permissions::from_mode(0o755)).unwrap();
    undo(&exe).success();
    assert!(std::fs::read(&exe).unwrap() == original);
}

/// A copy that `-o` makes of what is indirect already can be undone as well.
#[test]
fn a_second_adoption_elsewhere_keeps_what_undoes_the_first() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("first.c"), HELLO, &[]);
    let original = std::fs::read(&exe).unwrap();
    in_place(&exe);
    let second = dir.dir("elsewhere").join("second");
    adopt([OsStr::new("-o"), second.as_os_str(), exe.as_os_str()])
        .success()
        .err_has("indirect already");
    undo(&second).success();
    assert!(std::fs::read(&second).unwrap() == original);
    assert_is_indirect(&exe);
}

/// A table that another executable uses stays.
#[test]
fn a_copy_keeps_its_table() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("one.c"), HELLO, &[]);
    let original = std::fs::read(&exe).unwrap();
    in_place(&exe);
    let two = dir.join("two");
    std::fs::copy(&exe, &two).unwrap();
    undo(&exe).success();
    assert!(table_of(&two).exists());
    run(&mut Command::new(&two)).success();
    undo(&two).success();
    assert!(std::fs::read(&two).unwrap() == original);
    assert!(!dir.join(".indir").exists());
}

#[test]
fn extended_attributes_lists_and_capabilities_are_kept_both_ways() {
    use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
    need("setcap", "libcap2-bin");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("able.c"), HELLO, &[]);
    // Version 2; owner rwx, user 7 r-x, group r--, mask r-x, others ---
    let list: Vec<u8> = [(1u16, 7u16, u32::MAX), (2, 5, 7), (4, 4, u32::MAX)]
        .into_iter()
        .chain([(0x10, 5, u32::MAX), (0x20, 0, u32::MAX)])
        .flat_map(|(tag, rights, id)| {
            let words = [tag.to_le_bytes(), rights.to_le_bytes()].concat();
            [words, id.to_le_bytes().to_vec()].concat()
        })
        .collect();
    let list = [&2u32.to_le_bytes()[..], &list].concat();
    let long = vec![b'x'; 2000];
    let attributes = [
        ("user.comment", &b"kept"[..]),
        ("user.empty", b""),
        ("user.long", &long),
        ("system.posix_acl_access", &list),
    ];
    for (name, value) in attributes {
        lsetxattr(&exe, name, value, XattrFlags::empty()).unwrap();
    }
    run(Command::new("setcap").arg("cap_net_raw=ep").arg(&exe)).success();
    let before = facts(&exe);
    let check = || {
        for (name, value) in attributes {
            let mut there = vec![0; 4096];
            let len = lgetxattr(&exe, name, &mut there).unwrap();
            assert_eq!(&there[..len], value, "{name}");
        }
        run(Command::new("getcap").arg(&exe))
            .success()
            .out_has("cap_net_raw=ep");
        let now = facts(&exe);
        assert_eq!((now.0, now.3, now.4), (before.0, before.3, before.4));
    };
    in_place(&exe);
    check();
    undo(&exe).success();
    check();
    assert_eq!(facts(&exe), before);
}

#[test]
fn an_owner_is_kept_and_hard_links_are_refused_both_ways() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("owned.c"), HELLO, &[]);
    assert!(nix::unistd::geteuid().is_root(), "this test needs root");
    std::os::unix::fs::chown(&exe, Some(1234), Some(2345)).unwrap();
    std::fs::set_permissions(&exe, std::fs::Permissions::from_mode(0o6755)).unwrap();
    let before = facts(&exe);
    in_place(&exe);
    let now = facts(&exe);
    assert_eq!((now.0, now.1, now.2), (0o106_755, 1234, 2345));
    let other = dir.join("other");
    std::fs::hard_link(&exe, &other).unwrap();
    undo(&exe).exits(1).err_is_one_line().err_has("hard links");
    std::fs::remove_file(other).unwrap();
    undo(&exe).success();
    assert_eq!(facts(&exe), before);
}

/// The process is killed at each system call that changes a file, one run each.
#[test]
fn killed_at_any_moment_it_leaves_the_old_file_or_the_new() {
    need("strace", "strace");
    // strace counts the calls of each name apart.
    const CHANGES: [&str; 12] = [
        "write",
        "fsync",
        "syncfs",
        "mkdir",
        "fchmod",
        "fchown",
        "utimensat",
        "rename",
        "renameat",
        "renameat2",
        "unlink",
        "unlinkat",
    ];
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("cut.c"), HELLO, &[]);
    let original = std::fs::read(&exe).unwrap();
    for undo in [false, true] {
        // How often the file was the old one, and the new one.
        let mut seen = [0; 2];
        for call in CHANGES {
            for count in 1.. {
                std::fs::write(&exe, &original).unwrap();
                let _ = std::fs::remove_dir_all(dir.join(".indir"));
                if undo {
                    in_place(&exe);
                }
                let before = std::fs::read(&exe).unwrap();
                let mut strace = Command::new("strace");
                strace.args(["-f", "-qq", "-o"]).arg(dir.join("trace"));
                strace.args(["-e", &format!("trace={call}")]);
                strace.args(["-e", &format!("inject={call}:signal=KILL:when={count}")]);
                let action = if undo { "--undo" } else { "--in-place" };
                let ran = run(strace
                    .arg(prefix().join("bin/indir"))
                    .args(["adopt", action])
                    .arg(&exe));
                let after = std::fs::read(&exe).unwrap();
                assert!(count < 99, "{call} never ends");
                run(&mut Command::new(&exe)).success();
                if ran.code() == Some(0) {
                    assert!(after != before, "{call} {count}");
                    break;
                }
                seen[usize::from(after != before)] += 1;
                if after != before {
                    assert!((after == original) == undo, "{call} {count}");
                }
            }
        }
        assert!(seen[0] > 3 && seen[1] > 0, "{seen:?}");
    }
    // What killed runs left behind does not disturb the next one.
    in_place(&exe);
}
