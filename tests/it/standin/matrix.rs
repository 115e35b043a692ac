//! Changes planted by kind, and the ways in which a consumer comes to what changed: every
//! kind is seen by every way, and by nobody who names a neighbour.
//!
//! Each kind is a library of its own with names of its own, so that one choice for all of
//! them is one choice for each. gcc is the oracle: a use of what changed does not make the
//! same of both headers, and a use of its neighbour does.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;

use super::support::{report, tree, words};
use crate::support::{Scratch, need, run};

/// A change in a header: what it has before and after, and code that sees it. `@` is the
/// library's prefix, and the entity that changes is `@_` and the word.
struct Kind {
    word: &'static str,
    old: &'static str,
    new: &'static str,
    sees: &'static str,
}

const fn kind(
    word: &'static str,
    old: &'static str,
    new: &'static str,
    sees: &'static str,
) -> Kind {
    Kind {
        word,
        old,
        new,
        sees,
    }
}

const KINDS: &[Kind] = &[
    kind(
        "limit",
        "#define @_limit 10\n",
        "#define @_limit 11\n",
        "int a[@_limit];",
    ),
    kind(
        "twice",
        "#define @_twice(x) ((x) * 2)\n",
        "#define @_twice(x) ((x) * 3)\n",
        "int f(int v) { return @_twice(v); }",
    ),
    kind(
        "former",
        "#define @_former\n",
        "",
        "#ifdef @_former\nint a;\n#endif",
    ),
    kind(
        "feature",
        "",
        "#define @_feature\n",
        "#ifdef @_feature\nint a;\n#endif",
    ),
    kind(
        "renamed",
        "int @_a(int);\nint @_b(int);\n#define @_renamed @_a\n",
        "int @_a(int);\nint @_b(int);\n#define @_renamed @_b\n",
        "int f(void) { return @_renamed(1); }",
    ),
    kind(
        "grown",
        "struct @_grown { int x; };\n",
        "struct @_grown { int x; int y; };\n",
        "int a = sizeof(struct @_grown);",
    ),
    kind(
        "ordered",
        "struct @_ordered { int x; int y; };\n",
        "struct @_ordered { int y; int x; };\n",
        "int a = __builtin_offsetof(struct @_ordered, y);",
    ),
    kind(
        "packed",
        "struct @_packed { char c; int x; };\n",
        "struct __attribute__((packed)) @_packed { char c; int x; };\n",
        "int a = sizeof(struct @_packed);",
    ),
    kind(
        "either",
        "union @_either { int x; };\n",
        "union @_either { int x; long y; };\n",
        "int a = sizeof(union @_either);",
    ),
    kind(
        "bits",
        "struct @_bits { unsigned a : 3; };\n",
        "struct @_bits { unsigned a : 4; };\n",
        "struct @_bits a = { 7 }; int f(void) { return a.a; }",
    ),
    kind(
        "alias",
        "typedef int @_alias;\n",
        "typedef long @_alias;\n",
        "@_alias a[2];",
    ),
    kind(
        "inner",
        "struct @_part { int x; };\ntypedef struct { struct @_part p; } @_inner;\n",
        "struct @_part { long x; };\ntypedef struct { struct @_part p; } @_inner;\n",
        "int a = sizeof(@_inner);",
    ),
    kind(
        "chosen",
        "enum { @_chosen = 3 };\n",
        "enum { @_chosen = 4 };\n",
        "int a = @_chosen;",
    ),
    kind(
        "shifted",
        "enum @_e { @_first, @_shifted };\n",
        "enum @_e { @_first, @_second, @_shifted };\n",
        "int a = @_shifted;",
    ),
    kind(
        "added",
        "enum @_e { @_first };\n",
        "enum @_e { @_first, @_added };\n",
        "int a = @_added;",
    ),
    kind(
        "based",
        "#define @_base 100\nenum @_e { @_based = @_base + 1 };\n",
        "#define @_base 200\nenum @_e { @_based = @_base + 1 };\n",
        "int a = @_based;",
    ),
    kind(
        "inlined",
        "static inline int @_inlined(int a) { return a + 1; }\n",
        "static inline int @_inlined(int a) { return a + 2; }\n",
        "int f(int a) { return @_inlined(a); }",
    ),
    kind(
        "helped",
        "#define @_help 4\nstatic inline int @_helped(int a) { return a + @_help; }\n",
        "#define @_help 5\nstatic inline int @_helped(int a) { return a + @_help; }\n",
        "int f(int a) { return @_helped(a); }",
    ),
    kind(
        "calling",
        "static inline int @_low(int a) { return a + 4; }\nstatic inline int @_calling(int a) { return @_low(a); }\n",
        "static inline int @_low(int a) { return a + 5; }\nstatic inline int @_calling(int a) { return @_low(a); }\n",
        "int f(int a) { return @_calling(a); }",
    ),
    kind(
        "asserting",
        "#define @_line __LINE__\nstatic inline int @_asserting(void) { return @_line; }\n",
        "#define @_line __LINE__\n\nstatic inline int @_asserting(void) { return @_line; }\n",
        "int f(void) { return @_asserting(); }",
    ),
    kind(
        "wide",
        "int @_wide(int a);\n",
        "int @_wide(long a);\n",
        "int f(int a) { return @_wide(a); }",
    ),
    kind(
        "ending",
        "void @_ending(void);\n",
        "void @_ending(void) __attribute__((noreturn));\n",
        "int f(void) { @_ending(); return 2; }",
    ),
    kind(
        "fresh",
        "",
        "int @_fresh(void);\n",
        "int f(void) { return @_fresh(); }",
    ),
    kind(
        "gone",
        "int @_gone(void);\n",
        "",
        "int f(void) { return @_gone(); }",
    ),
    kind(
        "large",
        "#define @_level 6\n#if @_level > 5\nint @_large(void);\n#endif\n",
        "#define @_level 4\n#if @_level > 5\nint @_large(void);\n#endif\n",
        "int f(void) { return @_large(); }",
    ),
    kind(
        "hidden",
        "int @_hidden(void);\n",
        "#ifdef @_EXTENSIONS\nint @_hidden(void);\n#endif\n",
        "int f(void) { return @_hidden(); }",
    ),
    kind(
        "data",
        "extern int @_data[4];\n",
        "extern int @_data[8];\n",
        "int a = sizeof(@_data);",
    ),
    kind(
        "moving",
        "extern int @_moving;\n",
        "extern volatile int @_moving;\n",
        "int f(void) { return @_moving + @_moving; }",
    ),
    kind(
        "constant",
        "static const int @_constant = 3;\n",
        "static const int @_constant = 4;\n",
        "int f(void) { return @_constant; }",
    ),
    kind(
        "handler",
        "typedef int (*@_handler)(int);\n",
        "typedef int (*@_handler)(long);\n",
        "int f(@_handler h, int a) { return h(a); }",
    ),
    kind(
        "made",
        "#define @_make(n, t) int @_ ## n(t a);\n@_make(made, int)\n@_make(other, int)\n",
        "#define @_make(n, t) int @_ ## n(t a);\n@_make(made, long)\n@_make(other, int)\n",
        "int f(int a) { return @_made(a); }",
    ),
    kind(
        "split",
        "static inline\n#ifdef @_LONG\nlong\n#else\nint\n#endif\n@_split(int a) { return a * 3; }\n",
        "static inline\n#ifdef @_LONG\nlong\n#else\nshort\n#endif\n@_split(int a) { return a * 3; }\n",
        "long f(int a) { return @_split(a); }",
    ),
    kind(
        "brought",
        "",
        "#include \"@_more.h\"\n",
        "int f(void) { return @_brought(); }",
    ),
];

/// A way in which a consumer comes to a name: files of it, in which `@` is the library's
/// prefix and `%` the word behind it.
const WAYS: &[(&str, &[(&str, &str)])] = &[
    (
        "a script of autoconf",
        &[("@.ac", "AC_CHECK_DECLS([@_%])\n")],
    ),
    (
        "CMake",
        &[("@/CMakeLists.txt", "check_symbol_exists(@_% @.h HAVE)\n")],
    ),
    ("Meson", &[("@/meson.build", "cc.has_function('@_%')\n")]),
    ("a macro of its own", &[("@_own.h", "#define @_OWN @_%\n")]),
    (
        "a variable of a shell behind it",
        &[("@.sh", "for f in % stale; do try \"@_$f\"; done\n")],
    ),
    (
        "a variable of a shell before it",
        &[("@.sh", "for p in @ xx; do try \"${p}_%_\" ${p}_%; done\n")],
    ),
    ("a variable of make", &[("@.mk", "PROBES = @_$(WHAT)\n")]),
    ("a template", &[("@.in", "int a = @_@WHAT@;\n")]),
    (
        "a string of python that is joined",
        &[("@.py", "for f in names():\n    probe('@_' + f)\n")],
    ),
    (
        "a format",
        &[(
            "@_format.c",
            "void g(char *o) { sprintf(o, \"@_%s\", \"x\"); }\n",
        )],
    ),
    (
        "words that a macro pastes",
        &[(
            "@_paste.c",
            "#define @_CAT(a, b) a ## b\n#define @_OF(x) @_CAT(@_, x)\nint v(void) { return @_OF(%); }\n",
        )],
    ),
    ("a list", &[("@.txt", "@_%\n")]),
    ("assembler", &[("@.S", "\tcall @_%@PLT\n")]),
    (
        "another language",
        &[("@.rs", "extern \"C\" { fn @_%(); }\n")],
    ),
    ("a program's strings", &[("@.bin", "\0\u{1}@_%\0\n")]),
    (
        "another library",
        &[(
            "@_user.c",
            "#include <high.h>\nint u(void) { return high_@(1); }\n",
        )],
    ),
];

/// The prefix of a kind's library.
fn prefix(at: usize) -> String {
    let letter = |at: usize| char::from(b'a' + u8::try_from(at % 26).unwrap());
    ["q".to_owned(), letter(at / 26).into(), letter(at).into()].concat()
}

/// The code that is the same for all kinds: a neighbour of what changes.
const NEAR: &str = "static inline int @_near(int a) { return a + 7; }\n";

struct Library {
    prefix: String,
    old: PathBuf,
    new: PathBuf,
}

fn libraries(scratch: &Scratch) -> Vec<Library> {
    let make = |name: &str, prefix: &str, text: &str| {
        let header = format!("{text}{NEAR}").replace('@', prefix);
        let more = "int @_brought(void);\n".replace('@', prefix);
        let files = [
            (format!("include/{prefix}.h"), header),
            (format!("include/{prefix}_more.h"), more),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).collect();
        tree(scratch, &format!("{prefix}-{name}"), &files)
    };
    let kinds = KINDS.iter().enumerate();
    let library = |(at, kind): (usize, &Kind)| {
        let prefix = prefix(at);
        Library {
            old: make("old", &prefix, kind.old),
            new: make("new", &prefix, kind.new),
            prefix,
        }
    };
    kinds.map(library).collect()
}

/// A library whose functions stand for the entities of all kinds.
fn high(scratch: &Scratch) -> PathBuf {
    let mut text = String::new();
    for (at, kind) in KINDS.iter().enumerate() {
        let (prefix, word) = (prefix(at), kind.word);
        writeln!(text, "#define high_{prefix}(a) {prefix}_{word}(a)").unwrap();
    }
    tree(scratch, "high", &[("include/high.h", &text)])
}

#[test]
fn every_kind_is_seen_in_every_way_and_by_nobody_else() {
    let scratch = Scratch::new();
    let libraries = libraries(&scratch);
    let high = high(&scratch);
    let cases = WAYS.len() * 2;
    let faults: Vec<String> = (0..cases)
        .into_par_iter()
        .flat_map(|case| {
            let ((way, templates), half) = (WAYS[case / 2], case % 2);
            let mut files: Vec<(String, String)> = Vec::new();
            for (at, (library, kind)) in libraries.iter().zip(KINDS).enumerate() {
                let of = |text: &str| text.replace('@', &library.prefix);
                let near = "#include <@.h>\nint n(int a) { return @_near(a); }\n";
                files.push((of("@.c"), of(near)));
                if at % 2 == half {
                    // `@WHAT@`, `@PLT` and `%s` are theirs.
                    let text = |text: &str| {
                        let kept = text
                            .replace("@WHAT@", "\u{e001}")
                            .replace("@PLT", "\u{e002}");
                        let kept = of(&kept.replace("_%s", "_\u{e003}")).replace('%', kind.word);
                        kept.replace('\u{e001}', "@WHAT@")
                            .replace('\u{e002}', "@PLT")
                            .replace('\u{e003}', "%s")
                    };
                    let made = templates.iter().map(|(path, body)| (of(path), text(body)));
                    files.extend(made);
                }
            }
            let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (&**a, &**b)).collect();
            let words = words(&scratch, &format!("case-{case}"), &files);
            let mut args: Vec<&Path> = vec!["--with".as_ref(), &high];
            for library in &libraries {
                args.extend([
                    Path::new("--history"),
                    &library.old,
                    Path::new("--new"),
                    &library.new,
                ]);
            }
            let told = report(&args, &words);
            assert_eq!(told.len(), KINDS.len());
            let mut faults = Vec::new();
            for (at, (told, kind)) in told.iter().zip(KINDS).enumerate() {
                let sees = at % 2 == half;
                if told["stands_in"].as_bool() != Some(!sees) {
                    let word = kind.word;
                    faults.push(format!("{word} by {way}, sees {sees}: {told:#}"));
                }
            }
            faults
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn what_is_planted_is_a_change_and_its_neighbour_is_none() {
    need("gcc", "gcc");
    let scratch = Scratch::new();
    let libraries = libraries(&scratch);
    let compile = |name: &str, tree: &Path, text: &str| {
        let source = scratch.file(format!("{name}/x.c"), text);
        let out = scratch.join(format!("{name}/x.o"));
        let mut gcc = Command::new("gcc");
        // A file name is part of the object.
        let ran = run(gcc
            .current_dir(source.parent().unwrap())
            .args(["-O1", "-std=gnu17", "-w", "-c", "x.c"])
            .arg("-Werror=implicit-function-declaration")
            .arg("-I")
            .arg(tree.join("include"))
            .arg("-o")
            .arg(&out));
        (ran.code() == Some(0)).then(|| std::fs::read(out).unwrap())
    };
    libraries.par_iter().zip(KINDS).for_each(|(library, kind)| {
        let of = |text: &str| format!("#include <@.h>\n{text}\n").replace('@', &library.prefix);
        let near = of("int f(int a) { return @_near(a); }");
        let both = |what: &str, text: &str| {
            let name = |tag: &str| format!("{}-{what}-{tag}", library.prefix);
            (
                compile(&name("old"), &library.old, text),
                compile(&name("new"), &library.new, text),
            )
        };
        let (old, new) = both("sees", &of(kind.sees));
        assert_ne!(old, new, "{}", kind.word);
        let (old, new) = both("near", &near);
        assert!(old.is_some() && old == new, "{}", kind.word);
    });
}
