//! `indir diff` and `indir show`.

use std::path::Path;

use serde_json::Value;

use crate::support::program::{indirect, ordinary, shared, table_of};
use crate::support::{Scratch, glibc_lib, indir, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const SOURCE: &str = "int main(void) { return 0; }";

#[test]
fn two_tables_differ_in_libraries_builds_and_plan() {
    let dir = Scratch::new();
    let (old, new) = (glibc_lib("old"), glibc_lib("trixie"));
    let library = shared(
        &dir.join("lib/libv.so.c"),
        "int v(void) { return 0; }",
        &["-Wl,-soname,libv.so"],
    );
    let folder = library.parent().unwrap();
    let link = format!("-L{}", text(folder));
    let a = indirect(&dir.join("a.c"), SOURCE, &[]);
    let b = indirect(
        &dir.join("b.c"),
        "int v(void); int main(void) { return v(); }",
        &[&link, "-lv"],
    );
    let update = |args: &[&str]| run(indir().arg("update").args(args)).exits(0).stdout();
    update(&[text(&a), "--plan", "direct", "--lib-dir", text(&old)]);
    let dirs = ["--lib-dir", text(&new), "--lib-dir", text(folder)];
    update(&[&[text(&b), "--plan", "bound"], &dirs[..]].concat());
    let diff = |args: &[&str]| run(indir().arg("diff").args(args));
    diff(&[text(&a), text(&a)]).exits(0).prints("");
    diff(&[text(&a), text(&table_of(&a))]).exits(0).prints("");
    let ran = diff(&[text(&a), text(&b)]);
    ran.exits(1)
        .out_has("plan\n  - direct\n  + bound\n")
        .out_has(&format!(
            "lib-dir\n  - {}\n  + {}\n",
            text(&old),
            text(&new)
        ))
        .out_has(&format!("libc.so.6\n  - {}/libc.so.6 (", text(&old)))
        .out_has(&format!("libv.so\n  + {}/libv.so (", text(folder)))
        .err_has("libraries: added 1, removed 0, changed 2, the same 0");
    let document = diff(&["--json", text(&a), text(&b)]);
    let document: Value = serde_json::from_str(&document.exits(1).stdout()).unwrap();
    assert_eq!(document["same"], false);
    let of = |name: &str| {
        let all = document["objects"].as_array().unwrap();
        all.iter().find(|o| o["soname"] == name).unwrap().clone()
    };
    assert_eq!(of("libv.so")["state"], "added");
    assert_eq!(of("libc.so.6")["state"], "changed");
    assert_ne!(
        of("libc.so.6")["old"]["identity"]["build_id"],
        of("libc.so.6")["new"]["identity"]["build_id"]
    );
    // What the last update changed.
    update(&[text(&a), "--plan", "direct", "--lib-dir", text(&new)]);
    let last = table_of(&a).with_extension("last");
    diff(&[text(&last), text(&a)])
        .exits(1)
        .err_has("added 0, removed 0, changed 2, the same 0");
    diff(&[text(&a)]).exits(2);
    diff(&[text(&a), "/nowhere"]).exits(2).err_is_one_line();
}

#[test]
fn advice_is_given_to_what_can_follow_it() {
    let dir = Scratch::new();
    let plain = ordinary(&dir.join("plain.c"), SOURCE, &[]);
    let fixed = ordinary(&dir.join("static.c"), SOURCE, &["-static"]);
    let foreign = ordinary(
        &dir.join("musl.c"),
        SOURCE,
        &["-Wl,--dynamic-linker=/lib/ld-musl-x86_64.so.1"],
    );
    let library = shared(&dir.join("lib.c"), "int l;", &[]);
    let script = dir.file("script", "#!/bin/sh\n");
    for (path, advice) in [
        (&plain, true),
        (&fixed, false),
        (&foreign, false),
        (&library, false),
        (&script, false),
    ] {
        for command in ["show", "files"] {
            let ran = run(indir().arg(command).arg(path));
            ran.exits(1).err_is_one_line().err_has(text(path));
            assert_eq!(ran.stderr().contains("indir adopt"), advice, "{ran}");
        }
    }
}

/// 200 libraries: by folder, aligned, on short lines.
#[test]
fn many_libraries_are_shown_by_folder() {
    let dir = Scratch::new();
    let mut args = Vec::new();
    for n in 0..200 {
        let name = format!("lib{}n{n}.so", "x".repeat(n % 20));
        let source = format!("int v{n};");
        let soname = format!("-Wl,-soname,{name}");
        let folder = if n % 2 == 0 { "one" } else { "two" };
        shared(&dir.join(format!("{folder}/{name}.c")), &source, &[&soname]);
        args.push(format!("-l:{name}"));
    }
    let (one, two) = (dir.join("one"), dir.join("two"));
    args.insert(0, "-Wl,--no-as-needed".to_owned());
    args.insert(0, format!("-L{}", text(&one)));
    args.insert(0, format!("-L{}", text(&two)));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let exe = indirect(&dir.join("many.c"), SOURCE, &args);
    let lib_dirs = ["--lib-dir", text(&one), "--lib-dir", text(&two)];
    run(indir().arg("update").arg(&exe).args(lib_dirs)).exits(0);
    let shown = run(indir().arg("show").arg(&exe)).success().stdout();
    let (_, libraries) = shown.split_once("libraries   202\n").unwrap();
    let heads: Vec<&str> = libraries
        .lines()
        .filter(|line| line.ends_with('/'))
        .collect();
    assert_eq!(heads.len(), 3, "{heads:?}");
    assert_eq!(heads[0], format!("  {}/", text(&one)));
    let lines: Vec<&str> = libraries
        .lines()
        .filter(|line| !line.ends_with('/'))
        .collect();
    assert_eq!(lines.len(), 202);
    assert!(lines.iter().all(|line| line.chars().count() <= 80));
    let id_at = |line: &str| line.trim_end().rfind("  ").unwrap();
    let ours: Vec<usize> = lines[..199].iter().map(|line| id_at(line)).collect();
    assert!(ours.iter().all(|at| *at == ours[0]), "{shown}");
}
