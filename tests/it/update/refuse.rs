//! `indir update` refuses libraries that lack what a program needs.

use std::path::Path;

use super::tree::{Tree, table, text, update};
use crate::support::{b_flag, cc, indir, run};

const BOTH: &str = "int foo(void) { return 1; } int bar(void) { return 2; }";
const USES_BOTH: &str = "int foo(void); int bar(void); int main(void) { return foo() + bar(); }";

#[test]
fn a_lost_symbol_is_named_with_who_needs_it_and_the_table_stays() {
    let tree = Tree::new();
    let old = tree.library("old", BOTH, "");
    let new = tree.library("new", "int foo(void) { return 10; }", "");
    let program = tree.program(&old, USES_BOTH, &[]);
    update(&program, &old).exits(0);
    let before = table(&program);
    run(&mut std::process::Command::new(&program)).exits(3);
    let ran = update(&program, &new);
    ran.exits(3);
    ran.err_has(&format!(
        "bar needed by {}, not provided by any library",
        text(&program)
    ));
    ran.err_has("updated 0, current 0, refused 1, failed 0");
    assert!(!ran.stderr().contains("foo needed by"), "{ran}");
    assert_eq!(table(&program), before);
    run(&mut std::process::Command::new(&program)).exits(3);
}

#[test]
fn a_lost_versioned_symbol_names_the_library_that_should_have_it() {
    let tree = Tree::new();
    let versions = "V1 { global: foo; local: *; }; V2 { global: bar; } V1;";
    let old = tree.library("old", BOTH, versions);
    let program = tree.program(&old, USES_BOTH, &[]);
    // The version is there, the symbol is not.
    let without = "int foo(void) { return 1; } int other(void) { return 2; }";
    let symbol = tree.library(
        "symbol",
        without,
        "V1 { global: foo; local: *; }; V2 { global: other; } V1;",
    );
    let line = |folder: &Path| {
        let library = text(&folder.join("libfoo.so"));
        format!(
            "bar@V2 needed by {}, not provided by {library}",
            text(&program)
        )
    };
    update(&program, &symbol).exits(3).err_has(&line(&symbol));
    // The version is gone too.
    let version = tree.library("version", without, "V1 { global: foo; local: *; };");
    update(&program, &version).exits(3).err_has(&line(&version));
    // The symbol is there under another version.
    let moved = tree.library("moved", BOTH, "V1 { global: foo; bar; local: *; };");
    update(&program, &moved).exits(3).err_has(&line(&moved));
    update(&program, &old).exits(0);
}

#[test]
fn a_library_that_gains_symbols_or_loses_versions_altogether_is_accepted() {
    let tree = Tree::new();
    let versions = "V1 { global: foo; local: *; }; V2 { global: bar; } V1;";
    let old = tree.library("old", BOTH, versions);
    let program = tree.program(&old, USES_BOTH, &[]);
    let more = "V1 { global: foo; local: *; }; V2 { global: bar; } V1; V3 { global: baz; } V2;";
    let new = tree.library(
        "new",
        &format!("{BOTH} int baz(void) {{ return 3; }}"),
        more,
    );
    update(&program, &new).exits(0);
    // ld.so warns at every start, but starts the program.
    let uses_libc =
        format!("int puts(const char *); int baz(void) {{ return puts(\"\"); }} {BOTH}");
    let plain = tree.library("plain", &uses_libc, "");
    update(&program, &plain).exits(0);
    run(&mut std::process::Command::new(&program)).exits(3);
    // One without any version, needs included, trips an assertion in ld.so.
    let bare = tree.library("bare", BOTH, "");
    update(&program, &bare)
        .exits(3)
        .err_has("bar@V2 needed by")
        .err_has("foo@V1 needed by");
}

#[test]
fn a_weak_reference_may_stay_open() {
    let tree = Tree::new();
    let old = tree.library("old", BOTH, "");
    let new = tree.library("new", "int foo(void) { return 1; }", "");
    let source = "int foo(void); int bar(void) __attribute__((weak));
        int main(void) { return foo() + (bar ? bar() : 0); }";
    let program = tree.program(&old, source, &["-fPIC"]);
    update(&program, &new).exits(0);
    run(&mut std::process::Command::new(&program)).exits(1);
}

#[test]
fn a_symbol_that_a_library_needs_of_another_is_checked_too() {
    let tree = Tree::new();
    let old = tree.library("old", BOTH, "");
    let user = tree.0.join("old/libuser.so");
    let source = tree
        .0
        .file("user.c", "int bar(void); int user(void) { return bar(); }");
    let args = ["-shared", "-fPIC", "-o", &text(&user), &text(&source)].map(str::to_owned);
    cc(args
        .into_iter()
        .chain([format!("-L{}", text(&old)), "-lfoo".into()]));
    let main = "int foo(void); int user(void); int main(void) { return foo() + user(); }";
    let program = tree.program(&old, main, &["-luser"]);
    update(&program, &old).exits(0);
    let new = tree.library("new", "int foo(void) { return 1; }", "");
    std::fs::copy(&user, new.join("libuser.so")).unwrap();
    update(&program, &new)
        .exits(3)
        .err_has(&format!("bar needed by {}", text(&new.join("libuser.so"))));
}

/// ld.so starts such a program; so a table must be possible. But an
/// upgrade must not add a function that is missing.
#[test]
fn a_function_that_was_never_there_is_tolerated_if_it_is_only_called_late() {
    let tree = Tree::new();
    let source = tree.0.file(
        "prog.c",
        "int never(void); int main(int n, char **v) { return n > 1 ? never() : 0; }",
    );
    let program = tree.0.join("prog");
    // The program asks libm.so.6 for a function that the real one lacks.
    let never = tree.0.file("never.c", "int never(void) { return 0; }");
    let claimed = tree.0.join("libnever.so");
    cc([
        "-shared",
        "-Wl,-soname,libm.so.6",
        "-o",
        &text(&claimed),
        &text(&never),
    ]);
    let link = |flag: &str| {
        let _ = std::fs::remove_dir_all(tree.0.join(".indir"));
        cc([
            &b_flag(),
            "-o",
            &text(&program),
            &text(&source),
            &text(&claimed),
            flag,
        ]);
        run(indir().arg("update").arg(&program))
    };
    let ran = link("-Wl,-z,lazy");
    ran.exits(0)
        .err_has("warning: the first call stops the program: never needed by");
    run(&mut std::process::Command::new(&program)).exits(0);
    assert_eq!(
        run(std::process::Command::new(&program).arg("x")).code(),
        Some(127)
    );
    // With other folders, which ordinary resolution does not know, likewise.
    let copy = tree.0.dir("copy");
    let libc = crate::support::system_lib().join("libc.so.6");
    std::fs::copy(libc, copy.join("libc.so.6")).unwrap();
    update(&program, &copy).exits(0);
    link("-Wl,-z,now").exits(3).err_has("never needed by");
}

#[test]
fn an_upgrade_in_place_that_loses_a_function_is_refused() {
    let tree = Tree::new();
    let folder = tree.library("lib", BOTH, "");
    let program = tree.program(&folder, USES_BOTH, &["-Wl,-z,lazy"]);
    update(&program, &folder).exits(0);
    let before = table(&program);
    tree.library("lib", "int foo(void) { return 1; }", "");
    let ran = run(indir().arg("update").arg(&program));
    ran.exits(3).err_has("bar needed by");
    assert_eq!(table(&program), before);
}
