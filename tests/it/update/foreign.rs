//! Updates of what belongs to somebody else: nothing is written but beside the
//! executables, as their owner could, and over nothing but tables.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::table_of;
use crate::support::users::{
    Ground, NOBODY, SOMEBODY, TRIVIAL, command_as, give, indir_as, link_as, mode_of, owner_of,
    set_mode, start_as,
};
use crate::support::{Ran, indir, run};

fn update(path: &Path) -> Ran {
    run(indir().arg("update").arg(path))
}

/// Links nobody's program `home/NAME` whose note has this reference.
fn with_reference(ground: &Ground, name: &str, reference: &str) -> PathBuf {
    let home = ground.join("home");
    if !home.exists() {
        ground.dir("home", NOBODY, 0o755);
    }
    let source = ground.file("t.c", TRIVIAL);
    let exe = home.join(name);
    let option = format!("-Wl,--indir-table={reference}");
    link_as(NOBODY, &source, &exe, &[&option]);
    exe
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
}

#[test]
fn a_note_does_not_say_where_root_writes() {
    let ground = Ground::new();
    let victim = ground.dir("victim", 0, 0o700);
    let passwd = ground.file("victim/passwd", "root:x:0:0\n");
    let home = ground.join("home");
    let new = victim.join("nologin");
    for (name, reference) in [
        ("absolute", new.to_str().unwrap().to_owned()),
        ("over", passwd.to_str().unwrap().to_owned()),
        ("parent", "$ORIGIN/../victim/new".to_owned()),
        ("round", "$ORIGIN/sub/../../victim/new".to_owned()),
    ] {
        with_reference(&ground, name, &reference);
    }
    let lib = crate::support::system_lib();
    for args in [&[][..], &["--lib-dir", lib.to_str().unwrap()]] {
        let ran = run(indir().arg("update").arg(&home).args(args));
        ran.exits(3).err_has("refused 4, failed 0");
        assert!(!ran.stderr().contains("is not a table"), "{ran}");
        for name in ["absolute", "over", "parent", "round"] {
            ran.err_has(&format!("`{}`", home.join(name).display()));
        }
    }
    assert_eq!(read(&passwd), "root:x:0:0\n");
    let left: Vec<_> = std::fs::read_dir(&victim).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
    // Named one by one they are nobody's all the same.
    update(&home.join("absolute")).exits(3);
    assert!(!new.exists());
}

#[test]
fn links_that_others_put_in_the_way_are_not_followed() {
    let ground = Ground::new();
    let victim = ground.dir("victim", 0, 0o755);
    let home = ground.dir("home", NOBODY, 0o755);
    let exe = with_reference(&ground, "prog", "$ORIGIN/.indir/$ID");
    let tables = home.join(".indir");
    let name = table_of(&exe).file_name().unwrap().to_owned();
    let _ = std::fs::remove_dir_all(&tables);
    // The folder.
    std::os::unix::fs::symlink(&victim, &tables).unwrap();
    update(&home)
        .exits(1)
        .err_has(&format!("`{}` is a symbolic link", tables.display()));
    assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 0);
    // A dangling one.
    std::fs::remove_file(&tables).unwrap();
    std::os::unix::fs::symlink("nowhere", &tables).unwrap();
    update(&home).exits(1);
    assert!(!home.join("nowhere").exists());
    // A file.
    std::fs::remove_file(&tables).unwrap();
    std::fs::write(&tables, "precious").unwrap();
    update(&home).exits(1);
    assert_eq!(read(&tables), "precious");
    // The table itself, and something that is none.
    std::fs::remove_file(&tables).unwrap();
    std::fs::create_dir(&tables).unwrap();
    give(&tables, NOBODY);
    let secret = ground.file("secret", "not a table");
    std::os::unix::fs::symlink(&secret, tables.join(&name)).unwrap();
    let ran = update(&home);
    assert!(matches!(ran.code(), Some(1 | 3)), "{ran}");
    assert_eq!(read(&secret), "not a table");
    std::fs::remove_file(tables.join(&name)).unwrap();
    std::fs::write(tables.join(&name), "not a table").unwrap();
    let lib = crate::support::system_lib();
    run(indir().arg("update").arg(&home).arg("--lib-dir").arg(lib))
        .exits(3)
        .err_has("is no table");
    assert_eq!(read(&tables.join(&name)), "not a table");
    std::fs::remove_file(tables.join(&name)).unwrap();
    update(&home).success();
}

/// A note may name any file beside the program: what has the names that a kept table
/// and bindings would have there is somebody's.
#[test]
fn names_beside_a_table_outside_of_our_folders_are_nobody_s_proof() {
    let ground = Ground::new();
    let exe = with_reference(&ground, "prog", "$ORIGIN/data");
    let home = exe.parent().unwrap();
    // Root acts as itself there.
    give(home, 0);
    let names = ["data.last", "data.last.bind", "data.bind"];
    for name in names {
        std::fs::write(home.join(name), "precious").unwrap();
    }
    for plan in ["direct", "bound", "direct"] {
        let ran = run(indir().args(["update", "--plan", plan]).arg(&exe));
        assert!(matches!(ran.code(), Some(0 | 3)), "{ran}");
        for name in names {
            assert_eq!(read(&home.join(name)), "precious", "{ran}");
        }
    }
    start_as(0, &exe).success();
}

#[test]
fn root_writes_for_the_owner_as_the_owner_could() {
    let ground = Ground::new();
    let home = ground.dir("home", NOBODY, 0o755);
    let exe = with_reference(&ground, "prog", "$ORIGIN/.indir/$ID");
    let tables = home.join(".indir");
    let table = table_of(&exe);
    let _ = std::fs::remove_dir_all(&tables);
    update(&home).success();
    assert_eq!((owner_of(&tables), owner_of(&table)), (NOBODY, NOBODY));
    start_as(NOBODY, &exe).success();
    start_as(SOMEBODY, &exe).success();
    // Nobody, being the owner, can update it again.
    let lib = crate::support::system_lib();
    run(indir_as(NOBODY)
        .arg("update")
        .arg(&exe)
        .arg("--lib-dir")
        .arg(&lib))
    .success();
    // What the owner may not write, root does not write for it.
    let _ = std::fs::remove_dir_all(&tables);
    give(&home, SOMEBODY);
    update(&home).exits(3).err_has("may not write there");
    assert!(!tables.exists());
    // In a folder of root's it is root's table, which counts for everybody.
    give(&home, 0);
    update(&home).success();
    assert_eq!(owner_of(&table), 0);
    start_as(NOBODY, &exe).success();
}

#[test]
fn a_table_of_somebody_elses_is_told_with_its_owner_and_stays() {
    let ground = Ground::new();
    ground.dir("home", NOBODY, 0o755);
    let exe = with_reference(&ground, "prog", "$ORIGIN/.indir/$ID");
    update(&exe).success();
    let table = table_of(&exe);
    give(&table, SOMEBODY);
    let before = std::fs::read(&table).unwrap();
    let lib = crate::support::system_lib();
    for args in [&[][..], &["--lib-dir", lib.to_str().unwrap()]] {
        run(indir().arg("update").arg(&exe).args(args))
            .exits(3)
            .err_has("does not count: it belongs to user 54321");
    }
    assert_eq!(std::fs::read(&table).unwrap(), before);
    run(indir().arg("verify").arg(&exe))
        .exits(1)
        .out_has("unsafe")
        .out_has("it belongs to user 54321")
        .out_has(&format!("run `rm {}`", table.display()));
    give(&table, NOBODY);
    set_mode(&table, 0o664);
    run(indir().arg("verify").arg(&exe))
        .exits(1)
        .out_has("others than its owner may write it");
}

#[test]
fn two_users_share_one_folder_like_tmp() {
    let ground = Ground::new();
    let tmp = ground.dir("tmp", 0, 0o1777);
    let source = ground.file("t.c", TRIVIAL);
    let mut programs = Vec::new();
    for (uid, name) in [(NOBODY, "a"), (SOMEBODY, "b"), (0, "c")] {
        let exe = tmp.join(name);
        link_as(uid, &source, &exe, &[&format!("-DX{name}")]);
        run(indir_as(uid).arg("update").arg(&exe)).success();
        run(indir_as(uid).arg("verify").arg(&exe)).success();
        programs.push((uid, exe));
    }
    for (owner, exe) in &programs {
        assert_eq!(owner_of(&table_of(exe)), *owner);
        for user in [0, NOBODY, SOMEBODY] {
            start_as(user, exe).success();
        }
    }
    // Only the owner, or root for it, writes a table there.
    let (_, exe) = &programs[0];
    let lib = crate::support::system_lib();
    run(indir_as(SOMEBODY)
        .arg("update")
        .arg(exe)
        .arg("--lib-dir")
        .arg(&lib))
    .exits(3)
    .err_has("it belongs to nobody (65534)");
    std::fs::remove_file(table_of(exe)).unwrap();
    update(&tmp).success();
    assert_eq!(owner_of(&table_of(exe)), NOBODY);
    // A folder of that name that is somebody else's is told, in one line.
    let own = table_of(exe).parent().unwrap().to_owned();
    std::fs::remove_dir_all(&own).unwrap();
    std::fs::create_dir(&own).unwrap();
    give(&own, SOMEBODY);
    let ran = run(indir_as(NOBODY).arg("update").arg(exe));
    ran.exits(3)
        .err_has(&format!("`{}` belongs to user 54321", own.display()));
    assert_eq!(std::fs::read_dir(&own).unwrap().count(), 0);
}

#[test]
fn what_somebody_planted_beside_a_program_does_not_steer_it() {
    let ground = Ground::new();
    let tmp = ground.dir("tmp", 0, 0o1777);
    run(command_as(NOBODY, "mkdir").arg(tmp.join(".indir"))).success();
    let source = ground.file("t.c", TRIVIAL);
    let exe = tmp.join("prog");
    link_as(0, &source, &exe, &[]);
    update(&exe).success();
    let table = table_of(&exe);
    assert_eq!(table.parent().unwrap(), tmp.join(".indir.0"));
    let planted = tmp.join(".indir").join(table.file_name().unwrap());
    std::fs::write(&planted, "forged").unwrap();
    give(&planted, NOBODY);
    run(&mut Command::new(&exe)).success();
    run(indir().arg("verify").arg(&exe)).success();
    update(&exe).success().err_has("current 1");
}

#[test]
fn modes_come_from_the_program_and_not_from_the_umask() {
    let ground = Ground::new();
    let source = ground.file("t.c", TRIVIAL);
    for (name, folder, exe_mode, tables_mode, table_mode) in [
        ("open", 0o755, 0o755, 0o755, 0o644),
        ("group", 0o750, 0o750, 0o750, 0o640),
        ("private", 0o700, 0o700, 0o700, 0o600),
        ("team", 0o775, 0o775, 0o755, 0o644),
    ] {
        for umask in ["077", "000"] {
            let folder = ground.dir(&format!("{name}-{umask}"), 0, folder);
            let exe = folder.join("prog");
            link_as(0, &source, &exe, &[]);
            set_mode(&exe, exe_mode);
            let tables = folder.join(".indir");
            let _ = std::fs::remove_dir_all(&tables);
            let script = format!("umask {umask}; exec \"$@\"");
            let mut command = Command::new("bash");
            command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_indir"), "update"]);
            run(command.arg(&exe)).success();
            let table = table_of(&exe);
            assert_eq!(
                (mode_of(&tables), mode_of(&table)),
                (tables_mode, table_mode),
                "{name} {umask}"
            );
        }
    }
}
