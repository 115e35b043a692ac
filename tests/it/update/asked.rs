//! `indir update` that was asked for what it cannot mean.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, table_of};
use crate::support::{Ran, Scratch, indir, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn update(args: &[&str]) -> Ran {
    run(indir().arg("update").args(args))
}

fn json(args: &[&str]) -> serde_json::Value {
    let ran = run(indir().arg("update").arg("--json").args(args));
    serde_json::from_str(&ran.stdout()).unwrap()
}

/// A program that prints which libv.so.1 it got, and folders with one each.
struct Libraries {
    dir: Scratch,
    exe: PathBuf,
    one: PathBuf,
}

impl Libraries {
    fn new() -> Self {
        let dir = Scratch::new();
        let one = library(&dir, "one", 1);
        let link = format!("-L{}", text(&one));
        let source = "int v(void); int main(void) { return v(); }";
        let exe = indirect(&dir.join("prog.c"), source, &[&link, "-l:libv.so.1"]);
        update(&[text(&exe), "--lib-dir", text(&one)]).exits(0);
        run(&mut Command::new(&exe)).exits(1);
        Self { dir, exe, one }
    }

    fn replace(&self, old: &Path, new: &Path) -> Ran {
        let replacement = format!("{}={}", text(old), text(new));
        update(&[text(&self.exe), "--replace", &replacement])
    }
}

fn library(dir: &Scratch, folder: &str, value: i32) -> PathBuf {
    let folder = dir.dir(folder);
    let source = dir.file("v.c", format!("int v(void) {{ return {value}; }}"));
    crate::support::cc([
        "-shared",
        "-fPIC",
        "-Wl,-soname,libv.so.1",
        "-o",
        text(&folder.join("libv.so.1")),
        text(&source),
    ]);
    folder
}

#[test]
fn a_replacement_has_to_hold_what_it_replaces() {
    let all = Libraries::new();
    let table = std::fs::read(table_of(&all.exe)).unwrap();
    let misspelt = all.dir.path().join("twoo");
    all.replace(&all.one, &misspelt)
        .exits(3)
        .err_has("there is no folder")
        .err_has(text(&misspelt));
    // The system has such a library, too: this is what must not be taken in silence.
    let system = library(&all.dir, "system", 9);
    let empty = all.dir.dir("empty");
    let ran = run(indir()
        .args(["update", text(&all.exe), "--lib-dir", text(&all.one)])
        .args(["--lib-dir", text(&system)]));
    ran.exits(0);
    all.replace(&all.one, &empty)
        .exits(3)
        .err_has("has no libv.so.1");
    run(&mut Command::new(&all.exe)).exits(1);
    update(&[text(&all.exe), "--lib-dir", text(&all.one)]).exits(0);
    assert_eq!(std::fs::read(table_of(&all.exe)).unwrap(), table);

    let two = library(&all.dir, "two", 2);
    all.replace(&all.one, &two).exits(0).err_has("updated 1");
    run(&mut Command::new(&all.exe)).exits(2);
    // Again: it is done already.
    let again = all.replace(&all.one, &two);
    again.exits(0).err_has("current 1");
    assert!(!again.stderr().contains("warning"), "{again}");
}

#[test]
fn a_replacement_that_no_table_knows_is_told() {
    let all = Libraries::new();
    let two = library(&all.dir, "two", 2);
    let misspelt = all.dir.join("onee");
    all.replace(&misspelt, &two)
        .exits(1)
        .err_has("no table takes anything");
    run(&mut Command::new(&all.exe)).exits(1);
    let one = format!("{}={}", text(&all.one), text(&two));
    let other = format!("{}={}", text(&misspelt), text(&two));
    let args = [text(&all.exe), "--replace", &other, "--replace", &one];
    let document = json(&[&["--dry-run"][..], &args].concat());
    assert_eq!(document["unknown_replacements"][0], text(&misspelt));
    update(&args).exits(0).err_has("no table takes anything");
    run(&mut Command::new(&all.exe)).exits(2);
}

#[test]
fn a_folder_that_is_gone_is_no_empty_folder() {
    let all = Libraries::new();
    let system = library(&all.dir, "system", 9);
    update(&[
        text(&all.exe),
        "--lib-dir",
        text(&all.one),
        "--lib-dir",
        text(&system),
    ])
    .exits(0);
    let table = std::fs::read(table_of(&all.exe)).unwrap();
    std::fs::rename(&all.one, all.dir.path().join("moved")).unwrap();
    update(&[text(&all.exe)])
        .exits(3)
        .err_has("is gone")
        .err_has(text(&all.one));
    assert_eq!(std::fs::read(table_of(&all.exe)).unwrap(), table);
    let verify = || run(indir().arg("verify").arg(&all.exe));
    verify().exits(1).out_has("libv.so.1");
    // Nor if it held nothing of the closure.
    update(&[
        text(&all.exe),
        "--lib-dir",
        text(&system),
        "--lib-dir",
        text(&all.dir.dir("idle")),
    ])
    .exits(0);
    verify().exits(0);
    std::fs::remove_dir(all.dir.path().join("idle")).unwrap();
    verify().exits(1).out_has("idle").out_has("which is gone");
    update(&[text(&all.exe)]).exits(3).err_has("is gone");
}

#[test]
fn a_folder_that_provides_nothing_is_told() {
    let all = Libraries::new();
    let root = all.dir.dir("root");
    std::fs::create_dir_all(root.join("usr/lib")).unwrap();
    std::fs::copy(all.one.join("libv.so.1"), root.join("usr/lib/libv.so.1")).unwrap();
    let args = [
        text(&all.exe),
        "--lib-dir",
        text(&all.one),
        "--lib-dir",
        text(&root),
    ];
    update(&args)
        .exits(0)
        .err_has("no library comes from there")
        .err_has(&format!("(do you mean `{}/usr/lib`?)", text(&root)));
    assert_eq!(
        json(&args)["idle_lib_dirs"],
        serde_json::json!([text(&root)])
    );
    // As `dpkg -x` of glibc's package makes it.
    let package = all.dir.dir("package");
    for folder in ["lib64", "lib/x86_64-linux-gnu"] {
        std::fs::create_dir_all(package.join(folder)).unwrap();
    }
    let ldso = package.join("lib64/ld-linux-x86-64.so.2");
    std::os::unix::fs::symlink("/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", ldso).unwrap();
    let libraries = package.join("lib/x86_64-linux-gnu");
    std::fs::copy(all.one.join("libv.so.1"), libraries.join("libv.so.1")).unwrap();
    let args = [text(&all.exe), "--lib-dir", text(&all.one), "--lib-dir"];
    update(&[&args[..], &[text(&package)]].concat())
        .err_has(&format!("(do you mean `{}`?)", text(&libraries)));
}

#[test]
fn a_damaged_table_is_mended_by_the_command_that_is_named() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("p.c"), "int main(void) { return 0; }", &[]);
    update(&[text(&exe)]).exits(0);
    let table = table_of(&exe);
    let good = std::fs::read(&table).unwrap();
    let mut corrupt = good.clone();
    let middle = corrupt.len() / 2;
    corrupt.truncate(corrupt.len() - 1);
    for bytes in [&b""[..], &good[..middle], &corrupt] {
        std::fs::write(&table, bytes).unwrap();
        let line = run(&mut Command::new(&exe)).exits(127).stderr();
        assert!(line.contains("indir update"), "{line}");
        update(&[text(&exe)]).exits(0).err_has("is written anew");
        run(&mut Command::new(&exe)).exits(0);
        assert_eq!(std::fs::read(&table).unwrap(), good);
    }
    // What never was a table is not ours.
    std::fs::write(&table, "a file of somebody's").unwrap();
    update(&[text(&exe)]).exits(1);
    assert_eq!(std::fs::read(&table).unwrap(), b"a file of somebody's");
}

#[test]
fn what_a_refused_program_lacks_is_data() {
    let all = Libraries::new();
    let bare = all.dir.dir("bare");
    let source = all.dir.file("w.c", "int w(void) { return 1; }");
    let library = bare.join("libv.so.1");
    crate::support::cc([
        "-shared",
        "-fPIC",
        "-Wl,-soname,libv.so.1",
        "-o",
        text(&library),
        text(&source),
    ]);
    // The function is called when it is needed: bind it at once.
    let now = indirect(
        &all.dir.join("now.c"),
        "int v(void); int main(void) { return v(); }",
        &[
            &format!("-L{}", text(&all.one)),
            "-l:libv.so.1",
            "-Wl,-z,now",
        ],
    );
    let document = json(&[text(&now), "--lib-dir", text(&bare)]);
    let refused = &document["executables"][0];
    assert_eq!(refused["state"], "refused", "{document:#}");
    assert_eq!(refused["unmet"][0]["symbol"], "v");
    assert_eq!(refused["unmet"][0]["needed_by"], text(&now));
}

#[test]
fn show_tells_that_a_table_is_another_programs() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("p.c"), "int main(void) { return 0; }", &[]);
    let other = indirect(&dir.join("q.c"), "int main(void) { return 1; }", &[]);
    update(&[text(&exe), text(&other)]).exits(0);
    std::fs::copy(table_of(&other), table_of(&exe)).unwrap();
    run(indir().arg("show").arg(&exe))
        .exits(0)
        .err_has("another executable's table");
}
