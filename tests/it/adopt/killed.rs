//! Adoptions that are killed, privileges, and files of somebody else.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{ordinary, table_of};
use crate::support::users::{
    Ground, NOBODY, SOMEBODY, TRIVIAL, give, mode_of, owner_of, set_mode, start_as,
};
use crate::support::{Ran, indir, need, run, shim};

fn adopt(exe: &Path, args: &[&str]) -> Command {
    let mut command = indir();
    command.arg("adopt").arg("--indir-shim").arg(shim());
    command.args(args).arg(exe);
    command
}

fn program(ground: &Ground, folder: &str, uid: u32, mode: u32) -> PathBuf {
    let folder = ground.dir(folder, uid, 0o755);
    let exe = ordinary(&folder.join("prog.c"), TRIVIAL, &[]);
    std::fs::remove_file(folder.join("prog.c")).unwrap();
    give(&exe, uid);
    set_mode(&exe, mode);
    exe
}

/// Every file below `folder`, but for `keep`.
fn others(folder: &Path, keep: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = walk.filter(|entry| !entry.file_type().is_dir());
    let paths = files.map(walkdir::DirEntry::into_path);
    paths.filter(|path| path != keep).collect()
}

/// Runs `command` and kills it at its `n`th call of `call`; whether it came to that.
fn killed_at(call: &str, n: usize, command: &Command) -> bool {
    let mut strace = Command::new(need("strace", "strace"));
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e"]);
    strace.arg(format!("trace={call}")).arg("-e");
    strace.arg(format!("inject={call}:error=EINTR:signal=KILL:when={n}"));
    strace.arg(command.get_program()).args(command.get_args());
    run(&mut strace).code() != Some(0)
}

#[test]
fn a_kill_at_any_moment_leaves_no_privileged_copy_and_nothing_for_long() {
    let ground = Ground::new();
    let mut kills = 0;
    for (number, call) in [
        "openat", "renameat", "fsync", "fchmod", "fchown", "write", "mkdirat",
    ]
    .into_iter()
    .enumerate()
    {
        for when in 1..40 {
            let name = format!("{number}-{when}");
            let exe = program(&ground, &name, 0, 0o4755);
            let folder = exe.parent().unwrap();
            let before = std::fs::read(&exe).unwrap();
            let killed = killed_at(call, when, &adopt(&exe, &["--in-place"]));
            kills += usize::from(killed);
            for other in others(folder, &exe) {
                assert_eq!(
                    mode_of(&other) & 0o7000,
                    0,
                    "{call} {when}: {}",
                    other.display()
                );
            }
            // The program is the old one or the new one, and starts.
            run(&mut Command::new(&exe)).success();
            let done = std::fs::read(&exe).unwrap() != before;
            assert!(mode_of(&exe) == 0o4755 || done && mode_of(&exe) == 0o755);
            run(&mut adopt(&exe, &["--in-place"])).success();
            let update = run(indir().arg("update").arg(folder));
            update.success();
            let left = others(folder, &exe);
            let is_temporary = |path: &PathBuf| path.extension().is_some_and(|e| e == "tmp");
            assert!(!left.iter().any(is_temporary), "{call} {when}: {left:?}");
            std::fs::remove_dir_all(folder).unwrap();
            if !killed {
                break;
            }
        }
    }
    println!("{kills} adoptions killed");
    assert!(kills > 20, "only {kills}");
}

#[test]
fn a_killed_copy_is_named_by_a_later_run_and_gone_after_the_same_one() {
    let ground = Ground::new();
    let exe = program(&ground, "from", 0, 0o4755);
    let out = ground.dir("to", 0, 0o755);
    let copy = out.join("copy");
    let undone = ground.join("undone");
    std::fs::create_dir(&undone).unwrap();
    run(&mut adopt(&exe, &["--in-place"])).success();
    let undo = |out: &Path| {
        let mut command = indir();
        command.args(["adopt", "--undo", "-o"]).arg(out).arg(&exe);
        command
    };
    assert!(killed_at("renameat", 1, &undo(&undone.join("prog"))));
    let left = others(&undone, &undone.join("prog"));
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(mode_of(&left[0]) & 0o7000, 0);
    run(indir().arg("verify").arg(&undone)).out_has(&format!("orphan `{}`", left[0].display()));
    run(&mut undo(&undone.join("prog"))).success();
    run(&mut adopt(&exe, &["-o", copy.to_str().unwrap()])).success();
    assert_eq!(mode_of(&copy), 0o755);
}

#[test]
fn a_program_that_everybody_uses_stays_one_under_any_umask() {
    let ground = Ground::new();
    for (number, mode) in [0o755, 0o4755, 0o711, 0o750].into_iter().enumerate() {
        let exe = program(&ground, &number.to_string(), 0, mode);
        let may = |ran: &Ran| ran.code() == Some(0);
        let before = may(&start_as(NOBODY, &exe));
        let ordinary = adopt(&exe, &["--in-place"]);
        let mut command = Command::new("bash");
        command.args(["-c", "umask 077; exec \"$@\"", "bash"]);
        command
            .arg(ordinary.get_program())
            .args(ordinary.get_args());
        run(&mut command).success();
        assert_eq!(mode_of(&exe), mode);
        assert_eq!(may(&start_as(NOBODY, &exe)), before, "{mode:o}");
        assert_eq!(mode_of(&table_of(&exe)) & 0o044 != 0, mode & 0o055 != 0);
    }
}

#[test]
fn root_adopts_for_others_what_they_could_adopt() {
    let ground = Ground::new();
    let exe = program(&ground, "home", NOBODY, 0o755);
    let original = std::fs::read(&exe).unwrap();
    run(&mut adopt(&exe, &["--in-place"])).success();
    assert_eq!((owner_of(&exe), mode_of(&exe)), (NOBODY, 0o755));
    let tables = exe.with_file_name(".indir");
    for path in others(&tables, &exe) {
        assert_eq!(owner_of(&path), NOBODY);
    }
    // A patch of somebody else's undoes nothing.
    let is_patch = |path: &PathBuf| path.extension().is_some_and(|e| e == "undo");
    let patch = others(&tables, &exe).into_iter().find(is_patch).unwrap();
    give(&patch, SOMEBODY);
    run(indir().args(["adopt", "--undo"]).arg(&exe))
        .exits(3)
        .err_has("does not count: it belongs to user 54321");
    give(&patch, NOBODY);
    run(indir().args(["adopt", "--undo"]).arg(&exe)).success();
    assert_eq!(std::fs::read(&exe).unwrap(), original);
    assert!(!tables.exists());
    // What its owner could not give it is not given again.
    set_mode(&exe, 0o2755);
    run(&mut adopt(&exe, &["--in-place"]))
        .exits(3)
        .err_has("privilege");
    assert_eq!(std::fs::read(&exe).unwrap(), original);
    assert_eq!(
        std::fs::metadata(&exe).unwrap().permissions().mode() & 0o7777,
        0o2755
    );
    assert!(others(exe.parent().unwrap(), &exe).is_empty());
}
