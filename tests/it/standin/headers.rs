//! Headers of a tree as a whole: which are read, and what comes with one.

use serde_json::Value;

use crate::support::Scratch;

use super::support::{stands_in, tree, words};

/// What is told of a consumer of `lib.h` that has lib_a, for two trees.
fn told(old: &[(&str, &str)], new: &[(&str, &str)], consumer: &str) -> (bool, Value) {
    let scratch = Scratch::new();
    let (old, new) = (tree(&scratch, "old", old), tree(&scratch, "new", new));
    let words = words(&scratch, "s", &[("a.c", consumer)]);
    stands_in(&old, &new, &words)
}

const USES: &str = "#include <lib.h>\nint a(void) { return lib_a(); }\n";
const LIB: &str = "#include \"inner.h\"\nint lib_a(void);\n";

#[test]
fn what_a_header_says_that_said_nothing() {
    let with = |inner| [("include/lib.h", LIB), ("include/inner.h", inner)];
    for said in ["#pragma pack(1)\n", "#error no\n", "#line 7\n"] {
        let (stands, report) = told(&with("/* nothing */\n"), &with(said), USES);
        assert!(!stands, "{said}: {report:#}");
        let (stands, report) = told(&with(said), &with("/* nothing */\n"), USES);
        assert!(!stands, "{said} that is gone: {report:#}");
    }
    let (stands, report) = told(&with("/* nothing */\n"), &with("int lib_b;\n"), USES);
    assert!(stands, "{report:#}");
}

#[test]
fn what_comes_with_an_include() {
    let old = [("include/lib.h", "int lib_a(void);\n")];
    let with = |inner| [("include/lib.h", LIB), ("include/inner.h", inner)];
    for (inner, sees) in [
        ("int lib_b(void);\n", false),
        ("#pragma once\nint lib_b(void);\n", false),
        (
            "#ifdef __cplusplus\nextern \"C\" {\n#endif\n#ifdef __cplusplus\n}\n#endif\n",
            false,
        ),
        ("int lib_a(void);\n", true),
        ("#pragma pack(1)\n", true),
        ("#error no\n", true),
        ("_Pragma(\"pack(1)\")\n", true),
    ] {
        let (stands, report) = told(&old, &with(inner), USES);
        assert_eq!(stands, !sees, "{inner}: {report:#}");
    }
    // An error that the consumer does not meet today.
    let guarded = "#ifndef LIB_INSIDE\n#error \"include lib.h\"\n#endif\n";
    let lib = "#define LIB_INSIDE\n#include \"one.h\"\nint lib_a(void);\n";
    let more = lib.replace("\"one.h\"", "\"one.h\"\n#include \"two.h\"");
    let one = [("include/lib.h", lib), ("include/one.h", guarded)];
    let two = [
        ("include/lib.h", more.as_str()),
        ("include/one.h", guarded),
        ("include/two.h", guarded),
    ];
    let (stands, report) = told(&one, &two, USES);
    assert!(stands, "{report:#}");
    // What is there leads to it, if only under a condition.
    let base = "#ifdef LIB_BITS\n#include \"bits.h\"\n#endif\n";
    let with = |lib| {
        [
            ("include/lib.h", lib),
            ("include/base.h", base),
            ("include/bits.h", "#ifdef LIB_NO\n#error no\n#endif\n"),
            ("include/more.h", "#include \"base.h\"\nint lib_b(void);\n"),
        ]
    };
    let lib = "#include \"base.h\"\nint lib_a(void);\n";
    let more = lib.replace("\"base.h\"", "\"base.h\"\n#include \"more.h\"");
    let (stands, report) = told(&with(lib), &with(&more), USES);
    assert!(stands, "{report:#}");
    // A guard that is defined only after an include, as in glibc's stdlib.h.
    let late = "#ifndef LATE_H\n#include \"base.h\"\n#define LATE_H 1\n#endif\n";
    let with = |lib| {
        [
            ("include/lib.h", lib),
            ("include/late.h", late),
            ("include/base.h", "#ifdef LIB_NO\n#error no\n#endif\n"),
            ("include/more.h", "#include \"base.h\"\nint lib_b(void);\n"),
        ]
    };
    let lib = "#include \"late.h\"\nint lib_a(void);\n";
    let more = lib.replace("\"late.h\"", "\"late.h\"\n#include \"more.h\"");
    let (stands, report) = told(&with(lib), &with(&more), USES);
    assert!(stands, "{report:#}");
}

#[test]
fn a_header_that_is_asked_for_in_quotes() {
    let lib = "#if __has_include(\"extra.h\")\nint lib_a(void);\n#endif\n";
    let old = [("include/lib.h", lib)];
    let new = [("include/lib.h", lib), ("include/extra.h", "int lib_b;\n")];
    let (stands, report) = told(&old, &new, USES);
    assert!(!stands, "{report:#}");
}

#[test]
fn folders_that_sound_like_documents() {
    for path in [
        "include/share/document.h",
        "include/share/doc/document.h",
        "include/libshare/doc-x/document.h",
    ] {
        let consumer = "#include <share/document.h>\nint a = DOCUMENT;\n";
        let (stands, report) = told(
            &[(path, "#define DOCUMENT 1\n")],
            &[(path, "#define DOCUMENT 2\n")],
            consumer,
        );
        assert!(!stands, "{path}: {report:#}");
    }
    let consumer = "#include <lib.h>\nint a = README;\n";
    let document = |text| {
        [
            ("share/doc/lib/README", text),
            ("include/lib.h", "int a;\n"),
        ]
    };
    let (stands, report) = told(&document("1"), &document("2"), consumer);
    assert!(stands, "{report:#}");
}

#[test]
fn folders_that_are_too_deep() {
    let path = format!("include/{}lib.h", "a/".repeat(70));
    let consumer = "#include <lib.h>\nint a = DEEP;\n";
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[(&path, "#define DEEP 1\n")]);
    let new = tree(&scratch, "new", &[("include/lib.h", "#define DEEP 1\n")]);
    let words = words(&scratch, "s", &[("a.c", consumer)]);
    let (stands, report) = stands_in(&old, &new, &words);
    assert!(!stands, "{report:#}");
    let why = &report["passed"][0]["reasons"][0];
    assert_eq!(why["kind"], "unreadable", "{report:#}");
    assert!(why["what"].as_str().unwrap().contains("64 folders"));
}

#[test]
fn names_before_and_behind_attributes() {
    for (declaration, change, name) in [
        (
            "typedef struct lib_s { int x; } lib_t __attribute__((aligned(8)));",
            "int x",
            "lib_t",
        ),
        (
            "typedef struct lib_s { int x; } lib_t LIB_P;",
            "int x",
            "lib_t",
        ),
        (
            "extern int lib_a, lib_b __attribute__((weak));",
            "extern int",
            "lib_b",
        ),
    ] {
        let lib = format!("int lib_f(void);\n{declaration}\n");
        let new = lib.replace(change, &change.replace("int", "long"));
        let new = new.replace("long lib_f", "int lib_f");
        let consumer = format!("#include <lib.h>\nint n = sizeof({name});\n");
        let (stands, report) = told(
            &[("include/lib.h", lib.as_str())],
            &[("include/lib.h", new.as_str())],
            &consumer,
        );
        assert!(!stands, "{declaration}: {report:#}");
        let neighbour = "#include <lib.h>\nint n(void) { return lib_f(); }\n";
        let (stands, report) = told(
            &[("include/lib.h", lib.as_str())],
            &[("include/lib.h", new.as_str())],
            neighbour,
        );
        assert!(stands, "{declaration}: {report:#}");
    }
}

#[test]
fn copies_of_a_header_are_one() {
    let text = |value| format!("#define LIB_VERSION {value}\nint lib_a(void);\n");
    let (old, new) = (text("103"), text("104"));
    let both = |text: &str| {
        let text: &'static str = text.to_owned().leak();
        [("include/lib.h", text), ("include/lib1/lib.h", text)]
    };
    let asks = |least: &str| format!("#include <lib.h>\n#if LIB_VERSION >= {least}\n#endif\n");
    let (stands, report) = told(&both(&old), &both(&new), &asks("100"));
    assert!(stands, "{report:#}");
    let (stands, report) = told(&both(&old), &both(&new), &asks("104"));
    assert!(!stands, "{report:#}");
    // Two that are not the same define it twice.
    let mut differ = both(&new);
    differ[1].1 = "#define LIB_VERSION 103\n";
    let (stands, report) = told(&both(&old), &differ, &asks("104"));
    assert!(!stands, "{report:#}");
}
