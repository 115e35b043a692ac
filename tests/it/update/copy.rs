//! `indir update` and data of a library that a program has a copy of.

use std::path::Path;
use std::process::Command;

use super::tree::{Tree, table, text, update};
use crate::support::{b_flag, cc, indir, run};

/// Only programs at a fixed address have copies.
const FIXED: [&str; 2] = ["-fno-pie", "-no-pie"];
/// The library as the program was linked: 16 bytes of `table`.
const OLD: &str = "int table[4] = {1, 2, 3, 4};
    int first(void) { return table[0]; } int unused(void) { return 0; }";
/// As much again, and the library writes to it.
const GROWN: &str = "int table[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    int first(void) { table[7] = 0; return table[0]; } int unused(void) { return 0; }";
const MAIN: &str = "extern int table[4]; int first(void);
    int main(void) { return 10 * first() + table[1]; }";

/// What the refusal says of `symbol`.
fn grown(symbol: &str, folder: &Path, program: &Path) -> String {
    format!(
        "{symbol} is 32 bytes in {}, the copy in {} has room for 16: link the program again",
        text(&folder.join("libfoo.so")),
        text(program)
    )
}

#[test]
fn an_object_that_outgrew_the_copy_is_refused_and_the_table_stays() {
    let tree = Tree::new();
    let old = tree.library("old", OLD, "");
    let new = tree.library("new", GROWN, "");
    let program = tree.program(&old, MAIN, &FIXED);
    update(&program, &old).exits(0);
    let before = table(&program);
    run(&mut Command::new(&program)).exits(12);
    let ran = update(&program, &new);
    ran.exits(3).err_has(&grown("table", &new, &program));
    ran.err_has("updated 0, current 0, refused 1, failed 0");
    assert_eq!(table(&program), before);
    run(&mut Command::new(&program)).exits(12);
}

#[test]
fn the_refusal_names_the_version() {
    let tree = Tree::new();
    let versions = "V1 { global: table; first; unused; local: *; };";
    let old = tree.library("old", OLD, versions);
    let new = tree.library("new", GROWN, versions);
    let program = tree.program(&old, MAIN, &FIXED);
    update(&program, &old).exits(0);
    let line = grown("table@V1", &new, &program);
    update(&program, &new).exits(3).err_has(&line);
    // Under another version there may be anything.
    let both = "int old_table[4] = {1, 2, 3, 4}; int table_2[8];
        __asm__(\".symver old_table, table@V1\\n.symver table_2, table@@V2\");
        int first(void) { return old_table[0]; } int unused(void) { return 0; }";
    let versions = "V1 { global: table; first; unused; local: *; }; V2 { global: table; } V1;";
    let both = tree.library("both", both, versions);
    update(&program, &both).exits(0);
    run(&mut Command::new(&program)).exits(12);
}

#[test]
fn an_upgrade_in_place_that_outgrew_the_copy_is_refused() {
    let tree = Tree::new();
    let folder = tree.library("lib", OLD, "");
    let program = tree.program(&folder, MAIN, &FIXED);
    update(&program, &folder).exits(0);
    let before = table(&program);
    tree.library("lib", GROWN, "");
    let ran = run(indir().arg("update").arg(&program));
    ran.exits(3).err_has(&grown("table", &folder, &program));
    assert_eq!(table(&program), before);
}

/// ld.so copies what there is, and says nothing.
#[test]
fn an_object_that_shrank_is_accepted() {
    let tree = Tree::new();
    let old = tree.library("old", OLD, "");
    let program = tree.program(&old, MAIN, &FIXED);
    let new = "int table[2] = {3, 4}; int first(void) { return table[0]; }";
    let new = tree.library("new", new, "");
    update(&program, &new).exits(0);
    let ran = run(&mut Command::new(&program));
    ran.exits(34);
    assert_eq!(ran.stderr(), "");
}

#[test]
fn a_library_may_lose_what_nobody_uses_and_nothing_else() {
    let tree = Tree::new();
    let old = tree.library("old", OLD, "");
    let program = tree.program(&old, MAIN, &FIXED);
    update(&program, &old).exits(0);
    let unused = "int table[4] = {5, 6, 7, 8}; int first(void) { return table[0]; }";
    let unused = tree.library("unused", unused, "");
    update(&program, &unused).exits(0);
    run(&mut Command::new(&program)).exits(56);
    let before = table(&program);
    // The function, and the object that there is a copy of.
    let function = tree.library("function", "int table[4];", "");
    update(&program, &function)
        .exits(3)
        .err_has("first needed by");
    let object = tree.library("object", "int first(void) { return 1; }", "");
    update(&program, &object)
        .exits(3)
        .err_has("table needed by");
    assert_eq!(table(&program), before);
}

/// ld.so starts such a program, with a warning, and so it may keep running; but
/// not with an object that grew further.
#[test]
fn a_copy_that_is_too_small_without_indir_too_is_tolerated() {
    let tree = Tree::new();
    let libm = |name: &str, source: &str| {
        let library = tree.0.dir(name).join("libm.so.6");
        let versions = "GLIBC_2.2.5 { global: signgam; local: *; };";
        let script = tree.0.file(format!("{name}.map"), versions);
        let source = tree.0.file(format!("{name}.c"), source);
        cc([
            "-shared",
            "-fPIC",
            "-Wl,-soname,libm.so.6",
            "-o",
            &text(&library),
            &text(&source),
            &format!("-Wl,--version-script,{}", text(&script)),
        ]);
        library
    };
    // The library of the link claims less of an object than the real one has.
    let claimed = libm("claimed", "char signgam[1];");
    let main = "extern char signgam[1]; int main(void) { return signgam[0]; }";
    let main = tree.0.file("main.c", main);
    let program = tree.0.join("prog");
    cc([
        &b_flag(),
        "-fno-pie",
        "-no-pie",
        "-o",
        &text(&program),
        &text(&main),
        &text(&claimed),
    ]);
    let _ = std::fs::remove_dir_all(tree.0.join(".indir"));
    let line = "has room for 1: link the program again";
    let ran = run(indir().arg("update").arg(&program));
    ran.exits(0).err_has("warning: signgam").err_has(line);
    run(&mut Command::new(&program))
        .exits(0)
        .err_has("consider re-linking");
    let copy = tree.0.dir("copy");
    let real = crate::support::system_lib().join("libm.so.6");
    std::fs::copy(real, copy.join("libm.so.6")).unwrap();
    update(&program, &copy).exits(0).err_has(line);
    let further = libm("further", "char signgam[8];");
    update(&program, further.parent().unwrap())
        .exits(3)
        .err_has("signgam@GLIBC_2.2.5 is 8 bytes in");
}

/// A library that comes to use aligned loads on its object would fault on a copy
/// that is aligned as the object was when the program was linked.
#[test]
fn an_object_that_needs_a_stricter_alignment_is_refused() {
    let tree = Tree::new();
    let source = |attribute: &str, size: u32| {
        format!(
            "int table[{size}] {attribute} = {{1, 2, 3, 4}};
            int first(void) {{ return table[0]; }} int unused(void) {{ return 0; }}"
        )
    };
    let main = MAIN.replace("table[4]", "table[64]");
    let aligned = |n: u32| format!("__attribute__((aligned({n})))");
    let old = tree.library("old", &source("", 64), "");
    let program = tree.program(&old, &main, &FIXED);
    update(&program, &old).exits(0);
    let before = table(&program);
    let new = tree.library("new", &source(&aligned(256), 64), "");
    let line = format!(
        "table is aligned to 256 bytes in {}, the copy in {} to ",
        text(&new.join("libfoo.so")),
        text(&program)
    );
    let ran = update(&program, &new);
    ran.exits(3).err_has(&line);
    ran.err_has(": link the program again");
    assert_eq!(table(&program), before);
    // A program that is linked with the new one takes both.
    let again = tree.program(&new, &main, &FIXED);
    update(&again, &new).exits(0);
    update(&again, &old).exits(0);
    run(&mut Command::new(&again)).exits(12);
    // Where the size is no multiple of it, the address is an accident.
    let chance = tree.library("chance", &source(&aligned(256), 62), "");
    update(&program, &chance).exits(0);
}
