//! Libraries of two trees: floors, symbols, what the linker takes.

use std::path::{Path, PathBuf};

use crate::support::{Scratch, cc, indir, run};

use super::support::{stands_in, words};

/// A tree of stubs of a library that is compiled from `source`.
fn stubs(scratch: &Scratch, name: &str, source: &str) -> PathBuf {
    let lib = scratch.dir(format!("{name}-build"));
    let file = scratch.file(format!("{name}.c"), source);
    let script = scratch.file("map", "V1 { global: x_*; _Z*; local: *; };\n");
    let map = format!("-Wl,--version-script={}", script.display());
    let out = lib.join("libx.so.1");
    cc([
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-O1".as_ref(),
        "-Wl,-soname,libx.so.1".as_ref(),
        map.as_ref(),
        "-o".as_ref(),
        out.as_os_str(),
        file.as_os_str(),
    ]);
    std::os::unix::fs::symlink("libx.so.1", lib.join("libx.so")).unwrap();
    let tree = scratch.dir(name);
    run(indir()
        .args(["stub", "--tree"])
        .arg(&lib)
        .arg("-o")
        .arg(tree.join("lib")))
    .success();
    tree
}

fn kinds(old: &Path, new: &Path, words: &Path) -> Vec<String> {
    let (_, report) = stands_in(old, new, words);
    let Some(passed) = report["passed"].as_array().and_then(|all| all.first()) else {
        return Vec::new();
    };
    let reasons = passed["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["kind"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_new_symbol_counts_for_who_names_it() {
    let scratch = Scratch::new();
    let old = stubs(&scratch, "old", "int x_a(void) { return 1; }\n");
    let new = stubs(
        &scratch,
        "new",
        "int x_a(void) { return 2; }\nint x_b(void) { return 1; }\n",
    );
    let plain = words(
        &scratch,
        "plain",
        &[("a.c", "int x_a(void);\nint f(void) { return x_a(); }\n")],
    );
    let probes = words(
        &scratch,
        "probes",
        &[("configure.ac", "AC_CHECK_LIB([x], [x_b])\n")],
    );
    assert_eq!(kinds(&old, &new, &plain), [""; 0]);
    assert_eq!(kinds(&old, &new, &probes), ["symbol"]);
    // The other way round the new library does not satisfy the earlier one.
    assert_eq!(kinds(&new, &old, &plain), ["floor"]);
}

#[test]
fn data_of_another_size_is_another_symbol() {
    let scratch = Scratch::new();
    let old = stubs(
        &scratch,
        "old",
        "int x_a[2] = {1}; int x_f(void) { return 1; }\n",
    );
    let new = stubs(
        &scratch,
        "new",
        "int x_a[4] = {1}; int x_f(void) { return 1; }\n",
    );
    let blind = words(
        &scratch,
        "blind",
        &[("a.c", "int f(void) { return x_f(); }\n")],
    );
    // Whoever has a copy of it would overrun.
    assert_eq!(kinds(&old, &new, &blind), ["floor"]);
}

#[test]
fn what_is_linked_as_it_is_counts_for_everybody() {
    let scratch = Scratch::new();
    let text = "int x_a(void) { return 1; }\n";
    let (old, new) = (stubs(&scratch, "old", text), stubs(&scratch, "new", text));
    let words = words(&scratch, "s", &[("a.c", "int a;\n")]);
    assert_eq!(kinds(&old, &new, &words), [""; 0]);
    scratch.file("old/lib/start.o", "one");
    scratch.file("new/lib/start.o", "two");
    assert_eq!(kinds(&old, &new, &words), ["library"]);
}

/// A function of a mangled name.
fn mangled(symbol: &str) -> String {
    format!(
        "int x_a(void) {{ return 1; }}\nint x_b(void) __asm__(\"{symbol}\");\nint x_b(void) {{ return 1; }}\n"
    )
}

#[test]
fn symbols_of_cxx_count_for_who_names_what_they_begin_with() {
    let scratch = Scratch::new();
    let old = stubs(&scratch, "old", "int x_a(void) { return 1; }\n");
    let uses = words(
        &scratch,
        "uses",
        &[(
            "a.cc",
            "int f() { return x_a() + x_use(0) + space::x_use(); }\n",
        )],
    );
    let plain = words(
        &scratch,
        "plain",
        &[("a.cc", "int f() { return x_a(); }\n")],
    );
    for (at, (symbol, all)) in [
        // x_use(box<10u>), x_use(int, S_), space::x_use(): what comes behind names nothing
        // that the consumer has to spell.
        ("_Z5x_use3boxILj10EE", false),
        ("_Z5x_useP3boxS0_1_aaaaaa", false),
        ("_ZN5space5x_useEv", false),
        ("_ZNK5space5x_useEv", false),
        // A thunk, a conversion, a template's instance: for everybody.
        ("_ZThn16_N5other3runEv", true),
        ("_ZTch0_h16_N5other3runEv", true),
        ("_ZIT_E3runv", true),
    ]
    .into_iter()
    .enumerate()
    {
        let new = stubs(&scratch, &format!("new-{at}"), &mangled(symbol));
        assert_eq!(kinds(&old, &new, &uses), ["symbol"], "{symbol}");
        let expected: &[&str] = if all { &["symbol"] } else { &[] };
        assert_eq!(kinds(&old, &new, &plain), expected, "{symbol}");
    }
}

#[test]
fn two_libraries_of_one_soname() {
    let scratch = Scratch::new();
    let text = "int x_a(void) { return 1; }\n";
    let more = format!("{text}int x_b(void) {{ return 1; }}\n");
    let (small, large) = (
        stubs(&scratch, "small", text),
        stubs(&scratch, "large", &more),
    );
    let pair = |name: &str, first: &Path, second: &Path| {
        let tree = scratch.dir(name);
        for (folder, from) in [("lib", first), ("lib/variant", second)] {
            let to = scratch.dir(tree.join(folder));
            std::fs::copy(from.join("lib/libx.so.1"), to.join("libx.so.1")).unwrap();
        }
        tree
    };
    let old = pair("old", &small, &small);
    let uses = words(&scratch, "s", &[("a.c", "int f(void) { return x_b(); }\n")]);
    for (name, first, second) in [("first", &large, &small), ("second", &small, &large)] {
        let new = pair(name, first, second);
        assert_eq!(kinds(&old, &new, &uses), ["symbol"], "{name}");
    }
}
