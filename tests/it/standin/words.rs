//! The file of words.

use std::os::unix::fs::symlink;

use crate::support::{Scratch, indir, run};

use super::support::{decides, stands_in, tree, words};

fn text(files: &[(&str, &str)]) -> String {
    let scratch = Scratch::new();
    std::fs::read_to_string(words(&scratch, "s", files)).unwrap()
}

/// What `indir words` writes for the folder `s` as it is.
fn text_of(scratch: &Scratch) -> String {
    std::fs::read_to_string(words(scratch, "s", &[])).unwrap()
}

/// The lines of one kind, without it.
fn lines<'t>(text: &'t str, kind: &str) -> Vec<&'t str> {
    text.lines()
        .filter_map(|line| line.strip_prefix(kind))
        .collect()
}

#[test]
fn where_a_word_stands() {
    let source = "#include <x.h> // and mention\n#if ONE > 2 && \\\n  defined TWO /* three */\nint four = '\"'; char *five = \"six // seven\";\n/* eight\n nine */ int ten;\n#endif\n";
    let text = text(&[("a.c", source), ("README", "four eleven\n")]);
    let found = lines(&text, "w ");
    // README comes first.
    for word in [
        "4 1:1 mention",
        "2 1:2 ONE",
        "2 1:2 TWO",
        "4 1:2 three",
        "5 1:4 four",
        "1 1:4 six",
        "1 1:4 seven",
        "4 1:5 eight",
        "4 1:6 nine",
        "1 1:6 ten",
        "4 0:1 eleven",
    ] {
        assert!(found.contains(&word), "{word}:\n{text}");
    }
    assert_eq!(lines(&text, "c "), ["ONE > 2 && defined TWO"]);
    let mut sorted = found.clone();
    sorted.sort_by_key(|line| line.rsplit(' ').next().unwrap().to_owned());
    assert_eq!(found, sorted);
}

#[test]
fn names_that_are_put_together() {
    let shell = "a=pre_fix_$x; b=${y}_suffix; c=\"quoted_\"$z; d=at_@w@_ta; e=plain\n";
    let python = "f('joined_' + x)\ng(f'braced_{x}')\nh('format_%s' % x)\n";
    let c = "#define P(x) pasted_##x\nvoid f(void) { printf(\"printed_%d\", 1); }\n";
    let text = text(&[("s.sh", shell), ("p.py", python), ("c.c", c)]);
    let found = lines(&text, "p ");
    for pattern in [
        "pre_fix_*",
        "*_suffix",
        "quoted_*",
        "at_*",
        "*_ta",
        "joined_*",
        "braced_*",
        "format_*",
        "printed_*",
    ] {
        assert!(found.contains(&pattern), "{pattern}:\n{text}");
    }
    assert!(
        !found.iter().any(|pattern| pattern.contains("plain")),
        "{text}"
    );
    assert_eq!(lines(&text, "a "), ["##"]);
}

#[test]
fn strings_of_programs_count() {
    let scratch = Scratch::new();
    scratch.file(
        "s/tool",
        b"\x7fELF\0\0\x01\x02made_by_%s\0\x03\x04xy\0\0generated_name\0",
    );
    let text = text_of(&scratch);
    assert!(
        text.contains(" generated_name\n") && text.contains("p made_by_*\n"),
        "{text}"
    );
    assert!(!text.contains(" xy\n"), "{text}");
}

#[test]
fn the_same_source_has_the_same_words_wherever_it_is() {
    let files = [
        ("b/z.c", "int z;\n"),
        ("a/y.c", "int y = z;\n"),
        ("c", "z y\n"),
    ];
    assert_eq!(text(&files), text(&files));
}

#[test]
fn what_is_no_file_of_the_source_is_not_read() {
    let scratch = Scratch::new();
    scratch.file("outside.c", "int outside;\n");
    scratch.file("s/a.c", "int inside;\n");
    scratch.file("s/.git/HEAD", "committed\n");
    symlink("../outside.c", scratch.join("s/link.c")).unwrap();
    symlink(".", scratch.join("s/circle")).unwrap();
    run(std::process::Command::new("mkfifo").arg(scratch.join("s/pipe"))).success();
    let text = text_of(&scratch);
    assert!(text.contains(" inside\n"), "{text}");
    assert!(
        !text.contains("outside") && !text.contains("committed"),
        "{text}"
    );
    run(indir()
        .arg("words")
        .arg(scratch.join("none"))
        .arg("-o")
        .arg(scratch.join("w")))
    .exits(1)
    .err_is_one_line()
    .err_has("none");
}

#[test]
fn what_looks_like_a_comment_of_c() {
    // `src/*.c` begins none in a file of make, whatever it is called.
    let make = "SOURCES = src/*.c\nPROBE = probed_$(WHAT)\n";
    let text_of = |name: &str| text(&[(name, make)]);
    for name in ["Makefile.inc", "rules.def", "script.m"] {
        let text = text_of(name);
        assert!(text.contains("\np probed_*\n"), "{name}: {text}");
        assert!(text.contains(" 0:2 PROBE\n"), "{name}: {text}");
    }
    // A comment to the end of the line, in which one that goes on seems to begin.
    let source = "#if ONE //*\nint two;\n#endif\n#if THREE /* four\n five */\nint six;\n#endif\n";
    let text = text(&[("a.c", source)]);
    for line in ["w 1 0:2 two", "w 4 0:5 five", "w 1 0:6 six"] {
        assert!(text.contains(&format!("\n{line}\n")), "{line}: {text}");
    }
    assert_eq!(lines(&text, "c "), ["ONE", "THREE"]);
}

#[test]
fn strings_that_go_on_behind_their_line() {
    for string in [
        "\"usage:\\n\\\n src/*.c\"",
        "\"usage:\\n\\\r\n src/*.c\"",
        "R\"(\n src/*.c \\\")\"",
        "R\"end(\n src/*.c )\" )end\"",
    ] {
        let source = format!("const char *a = {string};\n#if LIB_V >= 6\nint b;\n#endif\n");
        let text = text(&[("a.cc", &source)]);
        assert_eq!(lines(&text, "c "), ["LIB_V >= 6"], "{source}: {text}");
        assert!(
            text.contains("\nw 1 0:4 b\n") || text.contains("\nw 1 0:5 b\n"),
            "{text}"
        );
    }
    // `\1` is a hole of sed, and no number that goes on.
    let text = text(&[("names.sed", "s/\\(.*\\)/\\1_fresh/\n")]);
    assert!(text.contains("\np *_fresh\n"), "{text}");
}

#[test]
fn names_with_dollars_and_long_ones() {
    let long = "l".repeat(257);
    let source = format!("int one$two; int $three; int {long};\n");
    let text = text(&[("a.c", &source)]);
    let found = lines(&text, "w ");
    for word in ["one$two", "one", "two", "$three", "three"] {
        let line = format!("1 0:1 {word}");
        assert!(found.contains(&line.as_str()), "{word}: {text}");
    }
    assert!(!text.contains(&long));
    // What is too long to be written down counts as named.
    let header = format!("int {long}(void);\nint lib_b(void);\n");
    let consumer = format!("#include <lib.h>\nint a(void) {{ return {long}(); }}\n");
    decides(
        &header,
        &header.replacen("int l", "long l", 1),
        &consumer,
        &["declaration"],
    );
}

#[test]
fn words_of_one_name_stand_in_one_file_or_beside_a_hole() {
    let old = "#define J(a, b) a##b\n#define J2(a, b) J(a, b)\nint lib_get(void);\n";
    let new = format!("{old}int lib_add(void);\n");
    let called = format!("{old}#define CALL(x) J2(lib_, x)\n");
    let called = (called.as_str(), format!("{called}int lib_add(void);\n"));
    let main = "#include <lib.h>\nint a(void) { return lib_get(); }\n";
    let sees = |(old, new): (&str, &str), files: &[(&str, &str)]| {
        let scratch = Scratch::new();
        let make = |name, text| tree(&scratch, name, &[("include/lib.h", text)]);
        let (old, new) = (make("old", old), make("new", new));
        let files = [&[("main.c", main)], files].concat();
        !stands_in(&old, &new, &words(&scratch, "s", &files)).0
    };
    let plain = (old, new.as_str());
    let other: &[(&str, &str)] = &[("other.c", "int add, J(x_, add);\n")];
    for seen in [
        &[("a.c", "int b(void) { return J(lib_, add)(); }\n")][..],
        &[
            ("n.h", "#define PFX lib_\n"),
            ("a.c", "int b = J(PFX, add)();\n"),
        ],
        &[
            ("n.h", "#define PFX \\\n  lib_\n"),
            ("a.c", "int b = J(PFX, add)();\n"),
        ],
        &[
            ("gen.sh", "p=lib_\nwhile read x; do echo $p$x; done\n"),
            ("names", "add\n"),
        ],
        &[("gen.sh", "sed 's/^/lib_/' names\n"), ("names", "add\n")],
        &[
            ("gen.sh", "awk '{ print \"lib_\" $1 }' names\n"),
            ("names", "add\n"),
        ],
        &[
            ("gen.py", "for x in open('names'): call('lib_', x)\n"),
            ("names", "add\n"),
        ],
        &[("gen.yml", "prefix: lib_\n"), ("names", "add\n")],
        &[("gen.c", "printf(\"lib_%s\", x);\n"), ("names", "add\n")],
    ] {
        assert!(sees(plain, seen), "{seen:?}");
    }
    assert!(!sees(plain, other));
    for unseen in [
        &[("a.c", "int lib_, b;\n"), other[0]][..],
        // What is for people is put together by nobody.
        &[("README", "lib_ add\n")],
        &[("a.c", "/* lib_ */\n"), other[0]],
    ] {
        assert!(!sees(plain, unseen), "{unseen:?}");
    }
    // An inline function of the library calls what a macro pastes; without one nothing is.
    let inlined = |call: &str| {
        let body = format!("static inline int lib_get2(int lib_) {{ return {call}; }}\n");
        let old = format!("{old}{body}");
        let new = format!("{old}int lib_add(void);\n");
        let calls = [("b.c", "int c = lib_get2(1), add;\n")];
        sees((&old, &new), &calls)
    };
    assert!(inlined("J(lib_, add)()"));
    assert!(!inlined("lib_ + 1"));
    // A macro of the library has the other word.
    let calls = [("a.c", "int lib_;\n"), ("b.c", "int b = CALL(add)();\n")];
    assert!(sees((called.0, called.1.as_str()), &calls));
}

#[test]
fn what_pastes() {
    for (name, text) in [
        ("a.c", "#define P(a) a ## 1\n"),
        ("gen.py", "print('#define P(a, b) a##b')\n"),
        ("gen.pl", "print \"#define P(a) f(a) ## b\";\n"),
    ] {
        let text = self::text(&[(name, text)]);
        assert_eq!(lines(&text, "a "), ["##"], "{name}");
    }
    for (name, text) in [
        ("configure", "## a comment\n  ## ---- ##\n"),
        ("gen.sh", "echo ${x##*/} ${y%%.*}\n"),
        ("notes.md", "## b\n"),
    ] {
        let text = self::text(&[(name, text)]);
        assert!(lines(&text, "a ").is_empty(), "{name}: {text}");
    }
}

#[test]
fn files_of_a_word() {
    let many: Vec<(String, &str)> = (0..70).map(|at| (format!("{at:02}.c"), "many\n")).collect();
    let mut files: Vec<(&str, &str)> = many.iter().map(|(name, t)| (name.as_str(), *t)).collect();
    files.extend([
        ("a.c", "two\n"),
        ("b.c", "\ntwo // three\n"),
        ("c.sh", "x=loose\n"),
    ]);
    let text = text(&files);
    let found = lines(&text, "w ");
    for word in [
        "1 0:1,* many",
        "1 70:1,71 two",
        "4 71:2 three",
        "1 72:1,* loose",
    ] {
        assert!(found.contains(&word), "{word}:\n{text}");
    }
}
