//! Changes planted in a header, and consumers of which each sees some: every one that a
//! consumer can see chooses the new tree, and no other does. gcc is the oracle: where the
//! earlier tree stands in, it makes the same object of both.

use std::path::Path;
use std::process::Command;

use rayon::prelude::*;

use super::support::{stands_in, tree, words};
use crate::support::{Scratch, need, run};

const HEADER: &str = r#"#ifndef PLANTED_H
#define PLANTED_H
#include <stddef.h>
#define PL_VERSION 3
#define PL_LIMIT 10
#define PL_TWICE(x) ((x) * 2)
#define PL_WRAP(x) PL_TWICE(x)
#define PL_OFFSET 4
#ifdef __cplusplus
extern "C" {
#endif
struct pl_point { int x; int y; };
typedef struct pl_point pl_point_t;
typedef int pl_number;
enum pl_colour { PL_RED, PL_GREEN, PL_BLUE = 7, PL_LAST };
static inline int pl_inline(int a) { return a + PL_OFFSET; }
int pl_call(pl_point_t *point);
#if PL_LIMIT > 5
int pl_large(void);
#endif
int pl_other(size_t count);
extern int pl_data[4];
typedef int (*pl_handler)(int code, void *data);
int pl_handle(pl_handler handler);
#define PL_DECLARE(name, type) type pl_made_ ## name(type value)
PL_DECLARE(one, int);
PL_DECLARE(two, int);
#ifdef __cplusplus
}
#endif
#endif
"#;

/// A change: what of the header becomes what, and who sees it.
struct Change {
    name: &'static str,
    from: &'static str,
    to: &'static str,
    seen_by: &'static [&'static str],
}

const fn change(
    name: &'static str,
    from: &'static str,
    to: &'static str,
    seen_by: &'static [&'static str],
) -> Change {
    Change {
        name,
        from,
        to,
        seen_by,
    }
}

const ALL: &[&str] = &[];

const CHANGES: &[Change] = &[
    change(
        "a comment",
        "#define PL_LIMIT 10",
        "/* new */ #define PL_LIMIT 10\n",
        &[],
    ),
    change(
        "white space",
        "int pl_other(size_t count);",
        "int  pl_other( size_t count ) ;",
        &[],
    ),
    change(
        "a macro's value",
        "LIMIT 10",
        "LIMIT 11",
        &["limit", "string"],
    ),
    change(
        "a condition's value",
        "LIMIT 10",
        "LIMIT 2",
        &["limit", "large", "string"],
    ),
    change("a macro's body", "((x) * 2)", "((x) << 1)", &["twice"]),
    change(
        "a macro of an inline function",
        "OFFSET 4",
        "OFFSET 5",
        &["inline"],
    ),
    change(
        "an inline function",
        "a + PL_OFFSET",
        "a - PL_OFFSET",
        &["inline"],
    ),
    change(
        "a member",
        "int x; int y;",
        "int x; int z; int y;",
        &["point", "call"],
    ),
    change(
        "an order of members",
        "int x; int y;",
        "int y; int x;",
        &["point", "call"],
    ),
    change(
        "an attribute",
        "int y; };",
        "int y; } __attribute__((packed));",
        &["point", "call"],
    ),
    change(
        "a type",
        "typedef int pl_number",
        "typedef long pl_number",
        &["number"],
    ),
    change(
        "an enumerator's value",
        "PL_BLUE = 7",
        "PL_BLUE = 8",
        &["blue", "last"],
    ),
    change(
        "an enum that grew before its end",
        "PL_LAST }",
        "PL_NEW, PL_LAST }",
        &["last"],
    ),
    change(
        "an enum that grew at its end",
        "PL_LAST }",
        "PL_LAST, PL_NEW }",
        &[],
    ),
    change(
        "an enum that grew large",
        "PL_LAST }",
        "PL_LAST, PL_NEW = 0x100000000 }",
        &["green", "blue", "last", "colour"],
    ),
    change(
        "an enumerator's value by its first",
        "{ PL_RED,",
        "{ PL_RED = 1,",
        &["green"],
    ),
    change(
        "a function's type",
        "int pl_call(pl",
        "long pl_call(pl",
        &["call"],
    ),
    change("a parameter's name", "count);", "number_of);", &["other"]),
    change(
        "a new function",
        "int pl_call",
        "int pl_fresh(void);\nint pl_call",
        &["autoconf", "cmake", "meson", "shell", "python", "perl"],
    ),
    change(
        "a new function by a macro",
        "PL_DECLARE(two",
        "PL_DECLARE(fresh, long);\nPL_DECLARE(two",
        &["made", "perl"],
    ),
    change(
        "a function of a macro",
        "(two, int)",
        "(two, long)",
        &["two"],
    ),
    change(
        "the macro that declares",
        "type value)",
        "type value, int more)",
        &["two"],
    ),
    change(
        "a new macro",
        "#define PL_LIMIT",
        "#define PL_FEATURE\n#define PL_LIMIT",
        &["ifdef"],
    ),
    change(
        "a macro that is gone",
        "#define PL_VERSION 3\n",
        "",
        &["at3", "at4", "told"],
    ),
    change("a version", "VERSION 3", "VERSION 4", &["at4", "told"]),
    change("two versions", "VERSION 3", "VERSION 5", &["at4", "told"]),
    change(
        "an include",
        "#include <stddef.h>",
        "#include <stddef.h>\n#include <stdbool.h>",
        &["bool"],
    ),
    change(
        "an include that was there",
        "#define PL_OFFSET 4",
        "#define PL_OFFSET 4\n#include <stddef.h>",
        &[],
    ),
    change(
        "a declaration elsewhere",
        "int pl_call(pl_point_t *point);\n#if PL_LIMIT > 5",
        "#if PL_LIMIT > 5\nint pl_call(pl_point_t *point);",
        &["call"],
    ),
    change(
        "a packing",
        "struct pl_point {",
        "#pragma pack(1)\nstruct pl_point {",
        ALL,
    ),
    change(
        "an error",
        "#define PL_OFFSET 4",
        "#define PL_OFFSET 4\n#ifdef PL_NEVER\n#error no\n#endif",
        ALL,
    ),
    change("data", "pl_data[4]", "pl_data[8]", &["data"]),
    change(
        "a handler",
        "int code, void",
        "long code, void",
        &["handle"],
    ),
    change(
        "an undefined macro",
        "int pl_other",
        "#undef PL_OFFSET\nint pl_other",
        &["inline"],
    ),
];

/// Files of a consumer; one that is called `x.c` is compiled.
const CONSUMERS: &[(&str, &[(&str, &str)])] = &[
    (
        "limit",
        &[("x.c", "#include <planted.h>\nint a[PL_LIMIT];\n")],
    ),
    (
        "string",
        &[(
            "x.c",
            "#include <planted.h>\n#define S(x) #x\n#define T(x) S(x)\nconst char *a = T(PL_LIMIT);\n",
        )],
    ),
    (
        "twice",
        &[(
            "x.c",
            "#include <planted.h>\nint f(int v) { return PL_WRAP(v); }\n",
        )],
    ),
    (
        "inline",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return pl_inline(1); }\n",
        )],
    ),
    (
        "point",
        &[(
            "x.c",
            "#include <planted.h>\nint f(struct pl_point *p) { return p->y; }\n",
        )],
    ),
    (
        "call",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return pl_call(0); }\n",
        )],
    ),
    (
        "large",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return pl_large(); }\n",
        )],
    ),
    (
        "number",
        &[("x.c", "#include <planted.h>\npl_number n = 3;\n")],
    ),
    (
        "green",
        &[("x.c", "#include <planted.h>\nint c = PL_GREEN;\n")],
    ),
    (
        "blue",
        &[("x.c", "#include <planted.h>\nint c = PL_BLUE;\n")],
    ),
    (
        "last",
        &[("x.c", "#include <planted.h>\nint c = PL_LAST;\n")],
    ),
    (
        "colour",
        &[(
            "x.c",
            "#include <planted.h>\nint c = sizeof(enum pl_colour);\n",
        )],
    ),
    (
        "other",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return pl_other(2); }\n",
        )],
    ),
    (
        "autoconf",
        &[
            ("configure.ac", "AC_CHECK_FUNCS([pl_fresh])\n"),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "cmake",
        &[
            (
                "CMakeLists.txt",
                "check_symbol_exists(pl_fresh planted.h HAVE)\n",
            ),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "meson",
        &[
            ("meson.build", "cc.has_function('pl_fresh')\n"),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "shell",
        &[
            (
                "probe",
                "#!/bin/sh\nfor f in fresh stale; do try \"pl_$f\"; done\n",
            ),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "python",
        &[
            (
                "probe.py",
                "for f in ['ish', 'esh']:\n    probe('pl_fr' + f)\n",
            ),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "perl",
        &[
            ("probe.pl", "probe(\"${p}_fresh\") for my $p (qw(pl xx));\n"),
            ("x.c", "#include <planted.h>\n"),
        ],
    ),
    (
        "made",
        &[
            (
                "x.c",
                "#include <planted.h>\n#define CALL(x) pl_made_ ## x(1)\n#define fresh_or(a) CALL(a)\nint f(void) { return 0; }\n",
            ),
            ("list", "fresh\n"),
        ],
    ),
    (
        "two",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return (int) pl_made_two(1); }\n",
        )],
    ),
    (
        "ifdef",
        &[(
            "x.c",
            "#include <planted.h>\n#ifdef PL_FEATURE\nint a;\n#endif\n",
        )],
    ),
    (
        "at3",
        &[(
            "x.c",
            "#include <planted.h>\n#if PL_VERSION >= 3 && \\\n    PL_VERSION < 100\nint a;\n#endif\n",
        )],
    ),
    (
        "at4",
        &[(
            "x.c",
            "#include <planted.h>\n#if PL_VERSION > 3\nint a;\n#endif\n",
        )],
    ),
    (
        "told",
        &[("x.c", "#include <planted.h>\nint v = PL_VERSION;\n")],
    ),
    (
        "bool",
        &[(
            "x.c",
            "#include <planted.h>\ntypedef int bool_or_not;\nint f(int bool) { return 1; }\n",
        )],
    ),
    (
        "data",
        &[(
            "x.c",
            "#include <planted.h>\nint f(void) { return sizeof pl_data; }\n",
        )],
    ),
    (
        "handle",
        &[(
            "x.c",
            "#include <planted.h>\nstatic int h(int c, void *d) { return c; }\nint f(void) { return pl_handle(h); }\n",
        )],
    ),
];

fn object(include: &Path, source: &Path, out: &Path) -> Option<Vec<u8>> {
    let include = include.join("include");
    let args = ["-O1", "-std=gnu17", "-w", "-c", "x.c", "-I"];
    let mut gcc = Command::new("gcc");
    // A file name is part of the object.
    let ran = run(gcc
        .current_dir(source)
        .args(args)
        .arg(include)
        .arg("-o")
        .arg(out));
    (ran.code() == Some(0)).then(|| std::fs::read(out).unwrap())
}

#[test]
fn every_change_is_seen_by_those_who_can() {
    need("gcc", "gcc");
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[("include/planted.h", HEADER)]);
    let consumers: Vec<_> = CONSUMERS
        .iter()
        .map(|(name, files)| (*name, words(&scratch, name, files), scratch.join(name)))
        .collect();
    let faults: Vec<String> = CHANGES
        .par_iter()
        .enumerate()
        .flat_map(|(at, change)| {
            assert!(HEADER.contains(change.from), "{}", change.name);
            let header = HEADER.replacen(change.from, change.to, 1);
            let new = tree(
                &scratch,
                &format!("new-{at}"),
                &[("include/planted.h", &header)],
            );
            let mut faults = Vec::new();
            for (name, words, source) in &consumers {
                let (stands, report) = stands_in(&old, &new, words);
                let sees_all = std::ptr::eq(change.seen_by, ALL)
                    && change.name.starts_with("a packing")
                    || change.name == "an error";
                let sees = sees_all || change.seen_by.contains(name);
                if stands == sees {
                    faults.push(format!("{}: {name}: {report:#}", change.name));
                }
                if stands {
                    let out = |tag: &str| scratch.join(format!("{name}-{at}-{tag}.o"));
                    let before = object(&old, source, &out("old"));
                    let after = object(&new, source, &out("new"));
                    assert!(before.is_some(), "{name}: gcc compiles it");
                    if before != after {
                        faults.push(format!("{}: {name}: objects differ", change.name));
                    }
                }
            }
            faults
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_new_header_is_seen_by_who_asks_for_it() {
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[("include/planted.h", HEADER)]);
    let files = [
        ("include/planted.h", HEADER),
        ("include/planted-extra.h", "int pl_extra;\n"),
    ];
    let new = tree(&scratch, "new", &files);
    for (name, text, sees) in [
        ("plain", "#include <planted.h>\nint a = PL_LIMIT;\n", false),
        (
            "asks",
            "#if __has_include(<planted-extra.h>)\nint a;\n#endif\n",
            true,
        ),
        ("includes", "#include \"planted-extra.h\"\n", true),
    ] {
        let words = words(&scratch, name, &[("x.c", text)]);
        let (stands, report) = stands_in(&old, &new, &words);
        assert_eq!(stands, !sees, "{name}: {report:#}");
    }
    let shell = "for h in planted-extra other; do echo \"#include <$h.h>\"; done\n";
    let spelled = words(&scratch, "shell", &[("configure", shell)]);
    assert!(!stands_in(&old, &new, &spelled).0);
    // A name of one word, which only a hole beside one of its parts puts together.
    let files = [
        ("include/planted.h", HEADER),
        ("include/pl_extra.h", "int pl_extra;\n"),
    ];
    let new = tree(&scratch, "newer", &files);
    for (name, script, sees) in [
        (
            "hole",
            "for h in extra other; do try \"<pl_$h.h>\"; done\n",
            true,
        ),
        (
            "before",
            "for p in pl xx; do try \"<${p}_extra.h>\"; done\n",
            true,
        ),
        (
            "words",
            "for h in pl_ extra; do try \"<$h.h>\"; done\n",
            false,
        ),
    ] {
        let words = words(&scratch, name, &[("configure", script)]);
        let (stands, report) = stands_in(&old, &new, &words);
        assert_eq!(stands, !sees, "{name}: {report:#}");
    }
}
