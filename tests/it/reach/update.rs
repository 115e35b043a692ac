//! Tables: `indir update --reach`, and `--replace` of what they name.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::support::{Many, ORDER, library, states, text};
use crate::support::program::{indirect, update};
use crate::support::{Ran, cc, indir, run};

/// An indirect program that calls `function` of the library.
fn own(many: &Many, function: &str, more: &str) -> PathBuf {
    let source = format!(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\nint {function}(int);\n\
         int main(int c, char **v) {{ {more} return {function}(c); }}\n"
    );
    let file = many.dir.join(format!("own/{function}.c"));
    indirect(&file, &source, &["-rdynamic", text(&many.library)])
}

fn asked(many: &Many, old: &Path, new: &Path, more: &[&str]) -> Ran {
    let folder = |path: &Path| path.parent().unwrap().display().to_string();
    let replace = format!("{}={}", folder(old), folder(new));
    let programs = many.dir.join("own");
    run(indir()
        .args(["update", "--reach", "--replace", &replace])
        .arg(programs)
        .args(more))
}

#[test]
fn an_update_says_what_it_means_to_its_programs() {
    let many = Many::new();
    let old = text(many.library.parent().unwrap()).to_owned();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let helped = own(&many, "helped", "");
    let plain = own(&many, "plain", "");
    let first = run(indir()
        .args(["update", "--reach", "--lib-dir", &old])
        .args([&helped, &plain]));
    first.success().out_has("has no earlier table");
    // A dry run says what the update then does.
    let told = |more: &[&str]| {
        let ran = asked(&many, &many.library, &new, more);
        ran.exits(0);
        let affected = format!(
            "affected  {}  libmany.so.1: helped > helper (changed)\n",
            helped.display()
        );
        ran.out_has(&affected);
        ran.out_has(&format!("same      {}\n", plain.display()));
        ran.out_has("affected 1, same 1, unknown 0\n");
    };
    told(&["--dry-run"]);
    told(&[]);
    // Nothing changes any more, so nothing is judged.
    let again = asked(&many, &many.library, &new, &["--json"]);
    let document: Value = serde_json::from_str(&again.stdout()).unwrap();
    assert_eq!(document["reach"]["executables"], Value::Array(Vec::new()));
    // Without the question there is no answer.
    let ran = run(indir()
        .args(["update", "--json", "--lib-dir", &old])
        .args([&helped, &plain]));
    let document: Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(document["reach"], Value::Null);
    let ran = asked(&many, &many.library, &new, &["--json"]);
    let document: Value = serde_json::from_str(&ran.stdout()).unwrap();
    let found = states(&document["reach"]);
    assert_eq!(found["helped"], "affected", "{ran}");
    assert_eq!(found["plain"], "same", "{ran}");
}

#[test]
fn a_library_that_was_written_over_is_not_guessed() {
    let many = Many::new();
    let old = text(many.library.parent().unwrap()).to_owned();
    let plain = own(&many, "plain", "");
    update(&plain, &["--lib-dir", &old]);
    let new = library(&many.dir.join("new"), &["EXTRA"], &ORDER);
    std::fs::remove_file(&many.library).unwrap();
    std::fs::copy(
        library(&many.dir.join("other"), &["CASE=3"], &ORDER),
        &many.library,
    )
    .unwrap();
    let ran = asked(&many, &many.library, &new, &[]);
    ran.exits(0).out_has("unknown ");
    ran.out_has("is not any more what the table was made for");
}

#[test]
fn plugins_of_a_table_move_with_its_folders() {
    let many = Many::new();
    let old = text(many.library.parent().unwrap()).to_owned();
    let plain = own(&many, "plain", "dlopen(v[1], RTLD_NOW);");
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let plugin = |folder: &str, function: &str| {
        let source = format!("int {function}(int);\nint run(int i) {{ return {function}(i); }}\n");
        let file = many.dir.file(format!("{folder}/plugins/one.c"), source);
        let out = file.with_extension("so");
        let args = ["-shared", "-fPIC", "-o", text(&out), text(&file)];
        cc(args.into_iter().chain([text(&many.library)]));
    };
    let plugins = many.dir.join("old/plugins");
    plugin("old", "told");
    plugin("new", "told");
    update(&plain, &["--lib-dir", &old, "--plugin-dir", text(&plugins)]);
    let state = || {
        let replace = format!("{old}={}", text(new.parent().unwrap()));
        let more = ["reach", "--json", "--replace", &replace];
        let ran = run(indir().args(more).arg(&plain));
        let document: Value = serde_json::from_str(&ran.stdout()).unwrap();
        let updated = asked(&many, &many.library, &new, &["--dry-run", "--json"]);
        let updated: Value = serde_json::from_str(&updated.stdout()).unwrap();
        let state = document["executables"][0]["state"].clone();
        assert_eq!(
            updated["reach"]["executables"][0]["state"], state,
            "{document:#}"
        );
        state
    };
    assert_eq!(state(), "same");
    // It comes to the change.
    plugin("old", "helped");
    plugin("new", "helped");
    assert_eq!(state(), "affected");
    // Another plugin is a change by itself, and so is one more.
    plugin("old", "told");
    plugin("new", "plain");
    assert_eq!(state(), "affected");
    plugin("new", "told");
    assert_eq!(state(), "same");
    let one = many.dir.join("new/plugins");
    std::fs::copy(one.join("one.so"), one.join("two.so")).unwrap();
    assert_eq!(state(), "affected");
}
