//! Headers as they are and as they shall be.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn gives(from: &str, to: &str) {
    let got = normalise(from.as_bytes(), &[]).expect("a header that is understood");
    assert_eq!(String::from_utf8_lossy(&got), to);
    assert_eq!(
        normalise(&got, &[]).as_deref(),
        Some(&*got),
        "twice is once"
    );
}

#[test]
fn comments_and_blank_lines_go() {
    gives(
        "/* a */\n\n  int  x ; // b\n\tint/**/y;\n",
        "int x ;\nint y;\n",
    );
    gives("int a; /* one\ntwo */ int b;", "int a;\nint b;\n");
    gives("int a; // on \\\n and on\nint b;\r\n", "int a;\nint b;\n");
    gives("#if 1 /* one\ntwo */ && 2\n", "#if 1 && 2\n");
}

#[test]
fn what_white_space_tells_stays() {
    gives("#  define  F(x)  #x\n", "#define F(x) #x\n");
    gives(
        "#define G (x)\n#define H/**/(x)\n",
        "#define G (x)\n#define H (x)\n",
    );
    gives(
        "#define L a \\\n  b\nA(1)\nA(2)\n",
        "#define L a b\nA(1)\nA(2)\n",
    );
    gives("a+b; a + b;\n", "a+b; a + b;\n");
}

#[test]
fn literals_stay() {
    gives(
        "char *s = \"/*  no  */ // \\\" \";",
        "char *s = \"/*  no  */ // \\\" \";\n",
    );
    gives("int c = '\"'; // x\n", "int c = '\"';\n");
    gives(
        "auto r = R\"x( /* \\\n  )y\" )x\";  // c\n",
        "auto r = R\"x( /* \\\n  )y\" )x\";\n",
    );
    gives("long n = 1'000'000; // '\n", "long n = 1'000'000;\n");
    gives("double d = 1.e+5;  /* . */", "double d = 1.e+5;\n");
    gives(
        "#error  don't /* go\nint x;\n",
        "#error don't /* go\nint x;\n",
    );
}

#[test]
fn names_of_headers_stay() {
    gives("#include <a//b.h> // c\n", "#include <a//b.h>\n");
    gives("# include \"a\\\"  /* c */\n", "#include \"a\\\"\n");
    gives(
        "#if __has_include ( <x/*y> ) // z\n",
        "#if __has_include ( <x/*y> )\n",
    );
    gives("x < y // z\n", "x < y\n");
}

#[test]
fn what_is_not_understood_is_left_alone() {
    for text in [
        "int x; /* no end",
        "??/\n",
        "a\rb",
        "R\"x(",
        "\u{feff}int x;",
        "\0",
        "\\",
        "#define A b \\ /* c */\nint x;\n",
        "#define A b \\ // c\nint x;\n",
    ] {
        assert_eq!(normalise(text.as_bytes(), &[]), None, "{text:?}");
    }
}

#[test]
fn comments_that_tools_read_stay_where_they_are() {
    gives(
        "case 1: a();  // FALLTHRU\ncase 2:/* gone */b();/* fall through */case 3:;\n",
        "case 1: a(); // FALLTHRU\ncase 2: b(); /* fall through */ case 3:;\n",
    );
    gives(
        "  /* lint */\n\t/*lint -fallthrough*/\n default: ;\n",
        "/*lint -fallthrough*/\ndefault: ;\n",
    );
    // Spliced, in a macro, and loose before a label with more between them.
    gives(
        "#define X case 1: a(); /* FALL\\\nTHRU */ case 2: // gone\n",
        "#define X case 1: a(); /* FALLTHRU */ case 2:\n",
    );
    gives(
        "a(); /* one;\n * it falls through */ // x\n /* y */\ncase 2:\n",
        "a();\n/* it falls through */\ncase 2:\n",
    );
    gives(
        "a(); /* (fall through) */ L: b();\n",
        "a(); /* (fall through) */ L: b();\n",
    );
    gives("a(); /* (fall through) */ L::b();\n", "a(); L::b();\n");
    // A directive behind a comment is one still.
    gives(
        "/* NOLINT */ # define A 1 // b\n# include <x> // IWYU pragma: export\n",
        "/* NOLINT */ #define A 1\n#include <x> // IWYU pragma: export\n",
    );
    gives(
        "#define /* NOLINT */ A/* NOLINT */(b)\n",
        "#define A /* NOLINT */ (b)\n",
    );
}

#[test]
fn releases_stay_in_heads_and_behind_their_macros() {
    gives(
        "/*---\n  x.h: version 1.2.3 of X\n  version 2 of the GPL\n---*/\n#ifndef X_H\n// v1.2\nint a; // v1.2\n",
        "/* x.h: version 1.2.3 of X */\n#ifndef X_H\n// v1.2\nint a;\n",
    );
    gives(
        "#ifndef X\n#define X\n// v1.2\n#define Y\n// v1.2\n",
        "#ifndef X\n#define X\n// v1.2\n#define Y\n",
    );
    gives(
        "int a;\n#define X_VERSION 10203 // 1.2.3\n#define Y 10203 // 1.2.3\n",
        "int a;\n#define X_VERSION 10203 // 1.2.3\n#define Y 10203\n",
    );
    gives(
        "int a;\n#define X_VERSION 10203 /* one\n two 1.2.3\n */ + 1\nint b;\n",
        "int a;\n#define X_VERSION 10203 /* two 1.2.3 */ + 1\nint b;\n",
    );
}

#[test]
fn a_user_keeps_more() {
    let kept = normalise(
        b"int a; // my-tool: a\nint b; /* b */\n",
        &["my-tool:".to_owned()],
    );
    assert_eq!(kept.unwrap(), b"int a; // my-tool: a\nint b;\n");
}

proptest! {
    #[test]
    fn what_is_kept_is_kept_again(
        parts in prop::collection::vec(prop::sample::select(&[
            "/*", "*/", "//", "\n", "\\\n", " ", "#", "define ", "X_VERSION ", "case", "L:", "::",
            "fall through", " (falls through) ", "NOLINT", "v1.2", "*", "version 1.2", "\"", "a", "R\"(",
        ][..]), 0..24),
    ) {
        let text = parts.concat();
        if let Some(once) = normalise(text.as_bytes(), &[]) {
            let again = normalise(&once, &[]);
            prop_assert_eq!(again.as_deref(), Some(&*once), "{:?}", text);
        }
    }

    #[test]
    fn twice_is_once(text in "[a-bR0'\"/*\\\\ \n#<>().%:]{0,40}") {
        if let Some(once) = normalise(text.as_bytes(), &[]) {
            let again = normalise(&once, &[]);
            prop_assert_eq!(again.as_deref(), Some(&*once), "{:?}", text);
        }
    }

    #[test]
    fn any_bytes_do(bytes: Vec<u8>) {
        let _ = normalise(&bytes, &[]);
    }
}
