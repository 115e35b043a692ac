//! `indir update --undo`: back to the tables that the last update replaced.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::names;
use crate::support::program::{indirect, table_of};
use crate::support::{Ran, Scratch, glibc_lib, indir, run};

const SOURCE: &str = "#include <gnu/libc-version.h>\n#include <stdio.h>\n\
    int main(void) { puts(gnu_get_libc_version()); }";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn program(dir: &Scratch, name: &str) -> PathBuf {
    indirect(&dir.join(format!("{name}.c")), SOURCE, &[])
}

fn update(args: &[&str]) -> Ran {
    run(indir().arg("update").args(args))
}

/// Updates `paths` to the glibc called `name`.
#[track_caller]
fn onto(name: &str, paths: &[&Path]) {
    let lib = glibc_lib(name);
    let args = [&["--lib-dir", text(&lib)][..], &["--plan", "direct"]].concat();
    let paths: Vec<&str> = paths.iter().map(|path| text(path)).collect();
    update(&[args, paths].concat()).exits(0);
}

fn undo(args: &[&str]) -> Ran {
    update(&[&["--undo"][..], args].concat())
}

#[track_caller]
fn runs_on(version: &str, exe: &Path) {
    run(&mut Command::new(exe))
        .success()
        .prints(&format!("{version}\n"));
}

fn kept_of(exe: &Path) -> PathBuf {
    table_of(exe).with_extension("last")
}

#[test]
fn the_table_of_before_is_back_byte_for_byte_once() {
    let dir = Scratch::new();
    let exe = program(&dir, "p");
    onto("old", &[&exe]);
    let before = std::fs::read(table_of(&exe)).unwrap();
    undo(&[text(&exe)])
        .exits(1)
        .err_has("nothing to go back to")
        .err_has("undone 0, unchanged 0, nothing to undo 1, refused 0, failed 0");
    onto("trixie", &[&exe]);
    runs_on("2.41", &exe);
    // Runs that change nothing lose nothing, and neither do those that refuse.
    onto("trixie", &[&exe]);
    update(&[text(&exe)]).exits(0).err_has("current 1");
    let nowhere = format!("{}=/nowhere", text(&glibc_lib("trixie")));
    update(&[text(&exe), "--replace", &nowhere]).exits(3);
    let changed = std::fs::read(table_of(&exe)).unwrap();

    undo(&["--dry-run", text(&exe)])
        .exits(0)
        .out_has(&format!("undone {}: ", text(&exe)))
        .err_has("would undo 1,");
    assert_eq!(std::fs::read(table_of(&exe)).unwrap(), changed);
    undo(&[text(&exe)])
        .exits(0)
        .prints("")
        .err_has("note: this is the update of 20")
        .err_has("undone 1, unchanged 0, nothing to undo 0, refused 0, failed 0");
    assert_eq!(std::fs::read(table_of(&exe)).unwrap(), before);
    runs_on("2.36", &exe);
    run(indir().arg("verify").arg(&exe)).exits(0).prints("");
    undo(&[text(&exe)]).exits(1).err_has("nothing to undo 1");
    runs_on("2.36", &exe);
    assert_eq!(names(table_of(&exe).parent().unwrap()).len(), 1, "no rest");
}

#[test]
fn one_run_is_turned_back_and_what_it_left_stays() {
    let dir = Scratch::new();
    let (a, b, c) = (program(&dir, "a"), program(&dir, "b"), program(&dir, "c"));
    std::fs::create_dir(dir.join("bin")).unwrap();
    let moved = |exe: &Path| {
        let new = dir.join("bin").join(exe.file_name().unwrap());
        std::fs::rename(exe, &new).unwrap();
        new
    };
    // One id, so that the names, not the contents, tell them apart: other sources.
    let a = moved(&a);
    let b_source = SOURCE.replace("puts", "(void)1; puts");
    let b = {
        std::fs::remove_file(b).unwrap();
        indirect(&dir.join("bin/b.c"), &b_source, &[])
    };
    let c = {
        std::fs::remove_file(c).unwrap();
        indirect(
            &dir.join("bin/c.c"),
            &SOURCE.replace("puts", "(void)2; puts"),
            &[],
        )
    };
    onto("old", &[&a, &b]);
    onto("bookworm", &[&a, &b]);
    onto("trixie", &[&b, &c]);
    let ran = undo(&["--json", text(&dir.join("bin"))]);
    let document: Value = serde_json::from_str(&ran.exits(0).stdout()).unwrap();
    let state = |exe: &Path| {
        let all = document["executables"].as_array().unwrap();
        let entry = all.iter().find(|entry| entry["path"] == text(exe));
        entry.unwrap_or_else(|| panic!("{document:#}"))["state"].clone()
    };
    assert_eq!(state(&a), "unchanged", "an earlier run changed it");
    assert_eq!(state(&b), "undone");
    assert_eq!(state(&c), "nothing", "its first table");
    assert_eq!(document["replaced"], 1);
    let bookworm = glibc_lib("bookworm");
    let show = |exe: &Path| run(indir().arg("show").arg(exe)).stdout();
    assert!(show(&a).contains(text(&bookworm)));
    assert!(show(&b).contains(text(&bookworm)));
    runs_on("2.41", &c);
    // The run before is the last one now.
    undo(&["-v", text(&dir.join("bin"))])
        .exits(0)
        .out_has(&format!("undone {}: ", text(&a)))
        .out_has(&format!("nothing {}\n", text(&b)))
        .err_has("it was to replace 1 more, of other programs");
    assert!(show(&a).contains(text(&glibc_lib("old"))));
}

#[test]
fn bindings_of_before_are_back_too() {
    let dir = Scratch::new();
    let exe = program(&dir, "p");
    let bind = table_of(&exe).with_extension("bind");
    let (old, new) = (glibc_lib("old"), glibc_lib("trixie"));
    update(&[text(&exe), "--lib-dir", text(&old), "--plan", "bound"]).exits(0);
    let before = std::fs::read(&bind).unwrap();
    for plan in ["bound", "direct"] {
        update(&[text(&exe), "--lib-dir", text(&new), "--plan", plan]).exits(0);
        assert_ne!(std::fs::read(&bind).ok().as_ref(), Some(&before));
        undo(&[text(&exe)]).exits(0);
        assert_eq!(std::fs::read(&bind).unwrap(), before, "{plan}");
        run(indir().args(["verify", "--deep"]).arg(&exe))
            .exits(0)
            .prints("");
        runs_on("2.36", &exe);
    }
    // From a table without any, the new ones go.
    update(&[text(&exe), "--plan", "direct"]).exits(0);
    update(&[text(&exe), "--plan", "bound"]).exits(0);
    undo(&[text(&exe)]).exits(0);
    assert!(!bind.exists());
    // Bindings may be deleted at any time.
    update(&[text(&exe), "--plan", "bound"]).exits(0);
    update(&[text(&exe), "--plan", "direct"]).exits(0);
    std::fs::remove_file(table_of(&exe).with_extension("last.bind")).unwrap();
    undo(&[text(&exe)]).exits(0).err_has("starts slower");
    runs_on("2.36", &exe);
}

#[test]
fn tables_that_do_not_count_or_whose_libraries_went_do_not_come_back() {
    let dir = Scratch::new();
    let exe = program(&dir, "p");
    let lib = dir.join("lib");
    let copied = run(Command::new("cp").args(["-a", text(&glibc_lib("old")), text(&lib)]));
    copied.success();
    update(&[text(&exe), "--lib-dir", text(&lib)]).exits(0);
    onto("trixie", &[&exe]);
    let now = std::fs::read(table_of(&exe)).unwrap();
    let kept = kept_of(&exe);
    let stays = |ran: &Ran, code: i32, why: &str| {
        ran.exits(code).err_has(why);
        assert_eq!(std::fs::read(table_of(&exe)).unwrap(), now);
    };
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o666)).unwrap();
    stays(
        &undo(&[text(&exe)]),
        3,
        "others than its owner may write it; run `chmod go-w ",
    );
    std::fs::set_permissions(&kept, PermissionsExt::from_mode(0o644)).unwrap();
    chown(&kept, Some(12345), None).unwrap();
    stays(&undo(&[text(&exe)]), 3, "it belongs to user 12345");
    chown(&kept, Some(0), None).unwrap();

    let libc = lib.join("libc.so.6");
    std::fs::rename(&libc, lib.join("aside")).unwrap();
    stays(&undo(&[text(&exe)]), 3, "libc.so.6` is gone");
    std::fs::copy(glibc_lib("bookworm").join("libc.so.6"), &libc).unwrap();
    stays(&undo(&[text(&exe)]), 3, "libc.so.6` is another build now");
    std::fs::rename(lib.join("aside"), &libc).unwrap();

    let good = std::fs::read(&kept).unwrap();
    for cut in [0, 5, 20, good.len() - 1] {
        std::fs::write(&kept, &good[..cut]).unwrap();
        stays(&undo(&[text(&exe)]), 1, text(&kept));
    }
    std::fs::write(&kept, &good).unwrap();
    undo(&[text(&exe)]).exits(0);
    runs_on("2.36", &exe);
}

#[test]
fn kept_tables_are_their_owners_and_nobody_elses_rubbish() {
    let dir = Scratch::new();
    let bin = dir.dir("bin");
    let exe = indirect(&bin.join("p.c"), SOURCE, &[]);
    for path in [&bin, &exe] {
        chown(path, Some(65534), Some(65534)).unwrap();
    }
    let folder = table_of(&exe).parent().unwrap().to_owned();
    let update = |lib: &str, plan: &str| {
        let lib = glibc_lib(lib);
        let args = [
            "update",
            text(&exe),
            "--lib-dir",
            text(&lib),
            "--plan",
            plan,
        ];
        run(indir().args(args)).exits(0);
    };
    update("old", "bound");
    update("trixie", "direct");
    assert_eq!(names(&folder).len(), 3, "{:?}", names(&folder));
    for name in names(&folder) {
        let stat = std::fs::metadata(folder.join(&name)).unwrap();
        assert_eq!((stat.uid(), stat.mode() & 0o777), (65534, 0o644), "{name}");
    }
    undo(&[text(&exe)]).exits(0);
    assert_eq!(names(&folder).len(), 2);
    update("trixie", "direct");
    // Nothing refers to it any more.
    run(indir().arg("verify").arg(&bin)).exits(0).prints("");
    let files = run(indir().arg("files").arg(&exe)).stdout();
    assert!(!files.contains(".last"), "{files}");
    std::fs::remove_file(&exe).unwrap();
    let other = indirect(&bin.join("q.c"), "int main(void) { return 0; }", &[]);
    chown(&other, Some(65534), Some(65534)).unwrap();
    let id = names(&folder)[0].split('.').next().unwrap().to_owned();
    let ran = run(indir().arg("verify").arg(&bin));
    for end in ["", ".last", ".last.bind"] {
        ran.out_has(&format!("{}{end}", text(&folder.join(&id))));
    }
    run(indir().args(["update", "--prune"]).arg(&bin))
        .exits(0)
        .err_has("pruned 3");
    assert_eq!(names(&folder).len(), 1, "{:?}", names(&folder));
}

#[test]
fn folders_of_tables_by_id_go_back_too() {
    let dir = Scratch::new();
    let exe = program(&dir, "p");
    let tables = dir.path().join("tables");
    let update = |args: &[&str]| {
        run(indir()
            .args(["update", text(&exe), "--tables", text(&tables)])
            .args(args))
    };
    let runs_on = |version: &str| {
        let ran = run(Command::new(&exe).env("INDIR_TABLES", &tables));
        ran.success().prints(&format!("{version}\n"));
    };
    update(&["--lib-dir", text(&glibc_lib("old"))]).exits(0);
    update(&["--lib-dir", text(&glibc_lib("trixie"))]).exits(0);
    runs_on("2.41");
    update(&["--undo"]).exits(0);
    runs_on("2.36");
    assert_eq!(names(&tables).len(), 1);
    update(&["--undo", "--replace", "/a=/b"]).exits(2);
}
