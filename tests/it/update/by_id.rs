//! `indir update --tables`: tables by id in one folder.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::names;
use crate::support::program::{indirect, shared};
use crate::support::{Ran, Scratch, indir, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn update(tables: &Path, args: &[&str]) -> Ran {
    run(indir()
        .args(["update", "--tables", text(tables)])
        .args(args))
}

fn program(dir: &Scratch, name: &str, code: u8) -> PathBuf {
    let source = format!("int main(void) {{ return {code}; }}");
    indirect(&dir.join(format!("bin/{name}.c")), &source, &[])
}

#[test]
fn nothing_is_written_beside_programs_and_every_user_may_read_the_tables() {
    let dir = Scratch::new();
    let (a, b) = (program(&dir, "a", 3), program(&dir, "b", 4));
    std::fs::set_permissions(&a, PermissionsExt::from_mode(0o700)).unwrap();
    let before = names(&dir.join("bin"));
    let tables = dir.path().join("new/tables");
    update(&tables, &["--plan", "bound", text(&dir.join("bin"))])
        .exits(0)
        .err_has("updated 2");
    assert_eq!(names(&dir.join("bin")), before);
    assert_eq!(names(&tables).len(), 4, "two tables and their bindings");
    for name in names(&tables) {
        let mode = std::fs::metadata(tables.join(name)).unwrap().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
    for (exe, code) in [(&a, 3), (&b, 4)] {
        run(&mut Command::new(exe)).exits(127);
        run(Command::new(exe).env("INDIR_TABLES", &tables)).exits(code);
        let verified = run(indir().arg("verify").arg(exe).env("INDIR_TABLES", &tables));
        verified.exits(0).prints("");
    }
    update(&tables, &[text(&a), text(&b)])
        .exits(0)
        .err_has("current 2");
}

#[test]
fn prune_removes_tables_of_others_and_nothing_else() {
    let dir = Scratch::new();
    let (a, b) = (program(&dir, "a", 3), program(&dir, "b", 4));
    let tables = dir.path().join("tables");
    update(&tables, &[text(&a), text(&b)]).exits(0);
    std::fs::write(tables.join("readme"), "somebody's").unwrap();
    let odd = tables.join("00ff");
    std::fs::write(&odd, "a name like an id").unwrap();
    update(&tables, &["--prune", text(&a), "/nonexistent"]).exits(1);
    assert_eq!(names(&tables).len(), 4, "not all programs are known");
    update(&tables, &["--prune", "--dry-run", text(&a)]).exits(0);
    assert_eq!(names(&tables).len(), 4);
    update(&tables, &["--prune", text(&a)])
        .exits(0)
        .err_has("pruned 1");
    assert_eq!(names(&tables).len(), 3);
    assert_eq!(std::fs::read(&odd).unwrap(), b"a name like an id");
    run(Command::new(&a).env("INDIR_TABLES", &tables)).exits(3);
}

#[test]
fn what_is_no_table_of_ours_is_not_replaced() {
    let dir = Scratch::new();
    let exe = program(&dir, "a", 3);
    let tables = dir.path().join("tables");
    update(&tables, &[text(&exe)]).exits(0);
    let table = tables.join(&names(&tables)[0]);
    let victim = dir.file("victim", "precious");
    std::fs::remove_file(&table).unwrap();
    std::os::unix::fs::symlink(&victim, &table).unwrap();
    assert_ne!(update(&tables, &[text(&exe)]).code(), Some(0));
    assert_eq!(std::fs::read(&victim).unwrap(), b"precious");
    std::fs::remove_file(&table).unwrap();
    std::fs::write(&table, "somebody's").unwrap();
    assert_ne!(update(&tables, &[text(&exe)]).code(), Some(0));
    assert_eq!(std::fs::read(&table).unwrap(), b"somebody's");
    // The folder itself may be a link, as /etc/indir/tables is.
    std::fs::remove_file(&table).unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&tables, &link).unwrap();
    update(&link, &[text(&exe)]).exits(0);
    run(Command::new(&exe).env("INDIR_TABLES", &tables)).exits(3);
}

/// Copies have one id. They share a table if they need the same, else there is none.
#[test]
fn copies_that_need_different_tables_are_told() {
    let dir = Scratch::new();
    let library = |folder: &str, value: u8| {
        let source = format!("int v(void) {{ return {value}; }}");
        let soname = ["-Wl,-soname,libv.so"];
        shared(
            &dir.join(format!("{folder}/lib/libv.so.c")),
            &source,
            &soname,
        );
    };
    library("one", 1);
    let link = format!("-L{}", text(&dir.join("one/lib")));
    let source = "int v(void); int main(void) { return v(); }";
    let file = dir.join("one/p.c");
    std::fs::write(&file, source).unwrap();
    let one = dir.join("one/p");
    let rpath = "-Wl,-rpath,$ORIGIN/lib";
    let flag = crate::support::b_flag();
    crate::support::cc([&flag, "-o", text(&one), text(&file), &link, "-lv", rpath]);
    let copy = |folder: &str| {
        let to = dir.join(format!("{folder}/p"));
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(&one, &to).unwrap();
        to
    };
    let same = copy("same");
    std::fs::create_dir(dir.join("same/lib")).unwrap();
    std::fs::copy(dir.join("one/lib/libv.so"), dir.join("same/lib/libv.so")).unwrap();
    library("other", 2);
    let other = copy("other");
    let tables = dir.path().join("tables");
    update(&tables, &[text(&one), text(&same)])
        .exits(0)
        .err_has("updated 2");
    assert_eq!(names(&tables).len(), 1);
    for exe in [&one, &same] {
        run(Command::new(exe).env("INDIR_TABLES", &tables)).exits(1);
    }
    let table = std::fs::read(tables.join(&names(&tables)[0])).unwrap();
    update(&tables, &[text(&one), text(&other)])
        .exits(1)
        .err_has("it has the same id as")
        .err_has("failed 2");
    assert_eq!(
        std::fs::read(tables.join(&names(&tables)[0])).unwrap(),
        table
    );
}

/// The id of a program is no secret. Who copies it into a program of their own must not
/// get what others start by that id.
#[test]
fn programs_of_others_get_no_table_by_their_id() {
    let dir = Scratch::new();
    let exe = program(&dir, "a", 3);
    let tables = dir.path().join("tables");
    update(&tables, &[text(&exe)]).exits(0);
    let table = std::fs::read(tables.join(&names(&tables)[0])).unwrap();
    let theirs = dir.dir("theirs").join("p");
    std::fs::copy(&exe, &theirs).unwrap();
    let lib = dir.dir("lib");
    let folder = crate::support::glibc_lib("trixie");
    for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        std::fs::copy(folder.join(name), lib.join(name)).unwrap();
    }
    let refused = || {
        let ran = update(&tables, &["--lib-dir", text(&lib), text(&theirs)]);
        ran.exits(3).err_has("another one's id");
        let now = std::fs::read(tables.join(&names(&tables)[0])).unwrap();
        assert_eq!(now, table);
    };
    let owner = |path: &Path, uid| std::os::unix::fs::chown(path, Some(uid), None).unwrap();
    owner(&theirs, 1234);
    refused();
    owner(&theirs, 0);
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o777)).unwrap();
    refused();
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o755)).unwrap();
    owner(dir.join("theirs").as_path(), 1234);
    refused();
    owner(dir.join("theirs").as_path(), 0);
    update(&tables, &["--lib-dir", text(&lib), text(&theirs)]).exits(0);
}
