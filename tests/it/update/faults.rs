//! Updates whose system calls fail, that are killed at every one of them, and
//! disks that are full: tables are old or new, and the next run finds all well.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, table_of};
use crate::support::{Ran, Scratch, indir, need, run, system_lib};

/// What a run writes with.
const CALLS: [&str; 10] = [
    "openat",
    "mkdirat",
    "flock",
    "write",
    "fchmod",
    "fsync",
    "renameat",
    "unlinkat",
    "fstat",
    "newfstatat",
];
const FAULTS: [&str; 4] = [
    "error=ENOSPC",
    "error=EIO",
    "error=EACCES",
    "error=EINTR:signal=KILL",
];

fn another_glibc(tree: &Scratch, name: &str) -> PathBuf {
    let folder = tree.dir(name);
    for file in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        std::fs::copy(system_lib().join(file), folder.join(file)).unwrap();
    }
    folder
}

/// Runs `indir ARGS…` with the `n`th call of `call` that names a file of `folder`
/// failing; whether one did.
fn inject(call: &str, fault: &str, n: usize, folder: &Path, args: &[&str]) -> (Ran, bool) {
    let log = folder.with_extension("log");
    let mut strace = Command::new(need("strace", "strace"));
    strace.args(["-f", "-qq", "-y", "-o"]).arg(&log);
    strace.args([
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={call}:{fault}:when={n}"),
    ]);
    strace.arg(env!("CARGO_BIN_EXE_indir")).args(args);
    let ran = run(&mut strace);
    let log = std::fs::read_to_string(&log).unwrap();
    (ran, log.contains("(INJECTED)"))
}

fn others(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_call_that_fails_or_kills_leaves_the_table_old_or_new() {
    let tree = Scratch::new();
    let libs = [another_glibc(&tree, "A"), another_glibc(&tree, "B")];
    let exe = indirect(&tree.join("s/p.c"), "int main(void) { return 0; }", &[]);
    let folder = tree.join("s");
    let update = |lib: &Path| run(indir().arg("update").arg(&folder).arg("--lib-dir").arg(lib));
    let mut known = Vec::new();
    for lib in &libs {
        update(lib).success();
        known.push(std::fs::read(table_of(&exe)).unwrap());
    }
    let (mut faults, mut told) = (0, 0);
    for call in CALLS {
        for fault in FAULTS {
            // The first calls are those of the start of the process; the last are ours.
            let count = {
                update(&libs[0]).success();
                let (folder, lib) = (folder.to_str().unwrap(), libs[1].to_str().unwrap());
                let args = ["update", folder, "--lib-dir", lib, "-j", "1"];
                inject(call, "delay_enter=1", 1, &tree.join("s"), &args);
                let log = std::fs::read_to_string(tree.join("s.log")).unwrap();
                log.lines().count()
            };
            for n in (1..=count).rev().take(12) {
                update(&libs[0]).success();
                let (folder, lib) = (folder.to_str().unwrap(), libs[1].to_str().unwrap());
                let args = ["update", folder, "--lib-dir", lib, "-j", "1"];
                let (ran, injected) = inject(call, fault, n, &tree.join("s"), &args);
                faults += usize::from(injected);
                let table = std::fs::read(table_of(&exe)).unwrap();
                assert!(known.contains(&table), "{call} {fault} {n}: {ran}");
                run(&mut Command::new(&exe)).success();
                assert!(
                    !ran.stderr().contains("panicked"),
                    "{call} {fault} {n}: {ran}"
                );
                if ran.code().is_some_and(|code| code == 1 || code == 3) {
                    told += 1;
                    assert!(!ran.stderr().is_empty(), "{call} {fault} {n}: {ran}");
                } else if ran.code() == Some(0) {
                    // Where it says that all is done, it is.
                    assert_eq!(table, known[1], "{call} {fault} {n}: {ran}");
                }
                update(&libs[1]).success();
                assert_eq!(std::fs::read(table_of(&exe)).unwrap(), known[1]);
            }
        }
    }
    let mut left = others(table_of(&exe).parent().unwrap());
    left.sort();
    assert_eq!(
        left,
        [table_of(&exe), table_of(&exe).with_extension("last")]
    );
    println!("{faults} faults, {told} of them told; no table was neither old nor new");
    assert!(faults > 50, "only {faults}");
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let tree = Scratch::new();
    let libs = [another_glibc(&tree, "A"), another_glibc(&tree, "B")];
    let exe = indirect(&tree.join("p.c"), "int main(void) { return 0; }", &[]);
    let script = r#"
set -eu
mount -t tmpfs -o size=512k,mode=755 none "$DISK"
cp "$EXE" "$DISK/p"
"$INDIR" update "$DISK" --lib-dir "$A"
before=$(sha256sum "$DISK"/.indir/*)
cat /dev/zero > "$DISK/fill" 2>/dev/null || true
set +e
"$INDIR" update "$DISK" --lib-dir "$B" --plan bound; echo "update $?"
"$INDIR" adopt --in-place --indir-shim "$SHIM" "$DISK/p"; echo "adopt $?"
"$INDIR" setup --prefix "$DISK/prefix"; echo "setup $?"
set -e
[ "$before" = "$(sha256sum "$DISK"/.indir/*)" ] && echo "the same"
"$DISK/p" && echo "starts"
find "$DISK" -name '*.tmp'
rm "$DISK/fill"
"$INDIR" update "$DISK" --lib-dir "$B" && "$DISK/p" && echo "starts again"
"#;
    let disk = tree.dir("disk");
    let ran = run(Command::new(need("unshare", "util-linux"))
        .args(["-m", "bash", "-c", script])
        .env("DISK", &disk)
        .env("EXE", &exe)
        .env("A", &libs[0])
        .env("B", &libs[1])
        .env("SHIM", crate::support::shim())
        .env("INDIR", env!("CARGO_BIN_EXE_indir")));
    ran.success()
        .prints("update 1\nadopt 0\nsetup 1\nthe same\nstarts\nstarts again\n");
    ran.err_has("No space left on device");
    assert!(!ran.stderr().contains("panicked"), "{ran}");
}
