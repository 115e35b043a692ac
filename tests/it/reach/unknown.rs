//! What cannot be decided is never called the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Many, ORDER, library, program, reach, reach_json, states, text};
use crate::support::{Scratch, cc, need, run};

fn strip(path: &Path, more: &[&str]) {
    need("strip", "binutils");
    run(Command::new("strip").args(more).arg(path)).success();
}

#[test]
fn a_library_without_symbols_is_unknown() {
    let many = Many::new();
    // An address inside of a constant table would look like the end of the table.
    let new = library(&many.dir.join("new"), &["TABLE=67"], &ORDER);
    for (which, args) in [(&new, &[][..]), (&new, &["-x"]), (&many.library, &[])] {
        let kept = std::fs::read(which).unwrap();
        strip(which, args);
        let states = many.states(&new);
        assert!(
            states.values().all(|state| state == "unknown"),
            "{states:?}"
        );
        std::fs::write(which, kept).unwrap();
    }
    assert_eq!(many.affected(&new), ["table_inside", "table_read"]);
}

#[test]
fn a_debug_file_has_symbols() {
    let many = Many::new();
    need("objcopy", "binutils");
    let new = library(&many.dir.join("new"), &["TABLE=67"], &ORDER);
    let folder = many.dir.dir("debug");
    for library in [&many.library, &new] {
        let notes = run(Command::new("readelf").args(["-n", text(library)])).stdout();
        let id = notes.split("Build ID: ").nth(1);
        let Some(id) = id.and_then(|rest| rest.split_whitespace().next()) else {
            panic!("no build-id: {notes}");
        };
        let file = folder.join(".build-id").join(&id[..2]);
        std::fs::create_dir_all(&file).unwrap();
        let file = file.join(format!("{}.debug", &id[2..]));
        let args = ["--only-keep-debug", text(library), text(&file)];
        run(Command::new("objcopy").args(args)).success();
        strip(library, &[]);
    }
    let states_of = |more: &[&str]| {
        let document = reach_json(&many.library, &new, &many.programs, more);
        states(&document)
    };
    assert!(states_of(&[]).values().all(|state| state == "unknown"));
    let found = states_of(&["--debug-dir", text(&folder)]);
    let affected: Vec<_> = found.iter().filter(|(_, s)| *s == "affected").collect();
    assert_eq!(affected.len(), 2, "{found:?}");
    assert_eq!(found["plain"], "same");
}

#[test]
fn text_relocations_are_unknown() {
    let dir = Scratch::new();
    let build = |name: &str, value: u32| {
        let source = format!(
            ".globl f\n.type f,@function\nf:\n movabs $value, %rax\n mov (%rax), %eax\n ret\n\
             .size f, .-f\n.type g,@function\ng: ret\n.size g, .-g\n.data\nvalue: .long {value}\n\
             .section .note.GNU-stack,\"\",@progbits\n"
        );
        let file = dir.file(format!("{name}/f.s"), source);
        let out = dir.join(format!("{name}/libtext.so.1"));
        let soname = "-Wl,-soname,libtext.so.1";
        cc([
            "-shared",
            soname,
            "-Wl,-z,notext",
            "-o",
            text(&out),
            text(&file),
        ]);
        out
    };
    let (old, new) = (build("old", 1), build("new", 2));
    let program = program(&dir, &old, "f");
    let ran = reach(&old, &new, &[program], &[]);
    assert!(ran.stdout().starts_with("unknown "), "{ran}");
    assert!(ran.stdout().contains("text relocations"), "{ran}");
}

/// A program that needs `libmany.so.1` and says `body`.
fn opening(many: &Many, name: &str, body: &str) -> PathBuf {
    let source = format!(
        "#define _GNU_SOURCE\n#include <dlfcn.h>\nint plain(int);\n\
         int main(int c, char **v) {{ {body} return plain(c); }}\n"
    );
    let file = many.dir.file(format!("bin/{name}.c"), source);
    let out = file.with_extension("");
    cc(["-O1", "-o", text(&out), text(&file), text(&many.library)]);
    out
}

#[test]
fn what_is_opened_or_looked_up_while_running_counts() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let state = |program: &PathBuf, more: &[&str]| {
        let document = reach_json(&many.library, &new, std::slice::from_ref(program), more);
        let one = &document["executables"][0];
        (
            one["state"].as_str().unwrap().to_owned(),
            one["message"].to_string(),
        )
    };
    let opens = opening(&many, "opens", "dlopen(v[1], RTLD_NOW);");
    let (unknown, why) = state(&opens, &[]);
    assert_eq!(unknown, "unknown");
    assert!(why.contains("--plugin-dir"), "{why}");

    // A plugin that does not reach it, and one that does.
    let plugins = many.dir.dir("plugins");
    let plugin = |name: &str, function: &str| {
        let source = format!("int {function}(int);\nint run(int i) {{ return {function}(i); }}\n");
        let file = many.dir.file(format!("plugins/{name}.c"), source);
        let out = file.with_extension("so");
        let args = ["-shared", "-fPIC", "-o", text(&out), text(&file)];
        cc(args.into_iter().chain([text(&many.library)]));
    };
    plugin("harmless", "told");
    let declared = ["--plugin-dir", text(&plugins)];
    assert_eq!(state(&opens, &declared).0, "same");
    plugin("reaching", "helped");
    let (affected, _) = state(&opens, &declared);
    assert_eq!(affected, "affected");

    // One that takes what the program has, and one that is another one in NEW.
    std::fs::remove_file(plugins.join("reaching.so")).unwrap();
    plugin("asking", "of_the_program");
    let (unknown, why) = state(&opens, &declared);
    assert_eq!(unknown, "unknown");
    assert!(why.contains("takes symbols from what else"), "{why}");
    // The program has it: nothing is left to know.
    let has =
        "return of_the_program(c); } int of_the_program(int i) { return i; } int more(int c) {";
    let file = many.dir.file(
        "bin/has.c",
        format!(
            "#include <dlfcn.h>\nint plain(int); int of_the_program(int);\n\
         int main(int c, char **v) {{ dlopen(v[1], RTLD_NOW); {has} return plain(c); }}\n"
        ),
    );
    let has = file.with_extension("");
    cc([
        "-O1",
        "-rdynamic",
        "-o",
        text(&has),
        text(&file),
        text(&many.library),
    ]);
    assert_eq!(state(&has, &declared).0, "same");
    std::fs::remove_file(plugins.join("asking.so")).unwrap();
    assert_eq!(state(&opens, &declared).0, "same");
    let (old, after) = (many.dir.dir("old-tree"), many.dir.dir("new-tree"));
    for folder in [&old, &after] {
        std::fs::copy(&many.library, folder.join("libmany.so.1")).unwrap();
    }
    std::fs::copy(plugins.join("harmless.so"), old.join("harmless.so")).unwrap();
    plugin("harmless", "plain");
    std::fs::rename(plugins.join("harmless.so"), after.join("harmless.so")).unwrap();
    std::fs::copy(old.join("harmless.so"), plugins.join("harmless.so")).unwrap();
    let ran = reach(&old, &after, std::slice::from_ref(&opens), &declared);
    ran.out_has("affected  ").out_has("harmless.so (changed)");
    // A folder that is gone declares nothing.
    let ran = reach(
        &many.library,
        &new,
        std::slice::from_ref(&opens),
        &["--plugin-dir", "/gone"],
    );
    ran.exits(1).err_has("/gone");

    let named = "c += ((int (*)(int))dlsym(RTLD_DEFAULT, \"told\"))(c);";
    assert_eq!(state(&opening(&many, "told-by-name", named), &[]).0, "same");
    let named = "c += ((int (*)(int))dlsym(RTLD_DEFAULT, \"helped\"))(c);";
    let (affected, why) = state(&opening(&many, "helped-by-name", named), &[]);
    assert_eq!(affected, "affected", "{why}");
    let made = "c += dlsym(RTLD_DEFAULT, v[1]) != 0;";
    let (unknown, why) = state(&opening(&many, "by-any-name", made), &[]);
    assert_eq!(unknown, "unknown");
    assert!(why.contains("not constant"), "{why}");
    let taken =
        "void *(*volatile find)(void *, const char *) = dlsym; c += find(0, \"told\") != 0;";
    assert_eq!(
        state(&opening(&many, "by-pointer", taken), &[]).0,
        "unknown"
    );
}
