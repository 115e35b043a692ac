//! `indir stub --include`: compilers see the same in what is left of a header.

use std::path::Path;
use std::process::Command;

use rayon::prelude::*;

use crate::support::{Scratch, indir, need, run};

/// The tokens of a header, as gcc gives them to the compiler proper; `assert` and its
/// line numbers out of the way.
fn tokens(root: &Path, header: &str, language: &str) -> (Option<i32>, Vec<String>) {
    let folder = |path: &str| format!("-isystem{}", root.join(path).display());
    let gcc = run(Command::new("gcc").arg("-print-file-name=include"));
    let mut command = Command::new("gcc");
    command.args(["-E", "-P", "-DNDEBUG", "-nostdinc", "-x", language]);
    if language == "c++" {
        for path in ["c++/12", "x86_64-linux-gnu/c++/12", "c++/12/backward"] {
            command.arg(folder(path));
        }
    }
    command.arg("-isystem").arg(gcc.success().stdout().trim());
    command.arg(folder("x86_64-linux-gnu")).arg(folder(""));
    let ran = run(command.arg(root.join(header)));
    let text = ran.stdout().replace(root.to_str().unwrap(), "ROOT");
    (
        ran.code(),
        text.split_whitespace().map(str::to_owned).collect(),
    )
}

fn same_tokens(headers: &[String]) {
    need("gcc", "gcc");
    let scratch = Scratch::new();
    let (system, root) = (Path::new("/usr/include"), scratch.join("include"));
    run(indir()
        .arg("stub")
        .arg("--include")
        .arg(system)
        .arg("-o")
        .arg(&root))
    .success();
    let differ: Vec<_> = headers
        .par_iter()
        .filter(|header| {
            let language = if header.starts_with("c++") {
                "c++"
            } else {
                "c"
            };
            let (before, after) = (
                tokens(system, header, language),
                tokens(&root, header, language),
            );
            before != after
        })
        .collect();
    assert!(differ.is_empty(), "{differ:?}");
    let changed = std::fs::read_to_string(root.join("stdio.h")).unwrap();
    assert!(
        !changed.contains("/*") && changed.contains("printf"),
        "{changed}"
    );
}

/// The headers below /usr/include/`folder`, not deeper.
fn headers(folder: &str) -> Vec<String> {
    let read = std::fs::read_dir(Path::new("/usr/include").join(folder)).unwrap();
    let mut names: Vec<String> = read
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_file())
        .map(|entry| format!("{folder}{}", entry.file_name().to_str().unwrap()))
        .collect();
    names.sort();
    names
}

#[test]
fn compilers_see_the_same_tokens() {
    let mut some: Vec<String> = headers("x86_64-linux-gnu/bits/");
    some.extend(headers("x86_64-linux-gnu/sys/"));
    some.extend(
        [
            "stdio.h",
            "stdlib.h",
            "math.h",
            "tgmath.h",
            "pthread.h",
            "obstack.h",
        ]
        .map(str::to_owned),
    );
    some.extend(
        [
            "c++/12/regex",
            "c++/12/chrono",
            "c++/12/thread",
            "c++/12/bits/stl_vector.h",
        ]
        .map(str::to_owned),
    );
    some.retain(|header| header.ends_with(".h") || header.starts_with("c++"));
    assert!(some.len() > 100, "{}", some.len());
    if std::env::var_os("INDIR_FULL").is_some() {
        for folder in [
            "",
            "linux/",
            "asm-generic/",
            "c++/12/",
            "c++/12/bits/",
            "x86_64-linux-gnu/asm/",
        ] {
            some.extend(headers(folder));
        }
    }
    eprintln!("{} headers", some.len());
    same_tokens(&some);
}

#[test]
fn a_comment_makes_no_difference() {
    let scratch = Scratch::new();
    let made = |text: &str, name: &str| {
        scratch.file(format!("{name}/deep/x.h"), text);
        scratch.file(format!("{name}/data.txt"), "a  b /* c */");
        let out = scratch.join(format!("{name}-out"));
        run(indir()
            .arg("stub")
            .arg("--include")
            .arg(scratch.join(name))
            .arg("-o")
            .arg(&out))
        .success();
        assert_eq!(
            std::fs::read_to_string(out.join("data.txt")).unwrap(),
            "a  b /* c */"
        );
        std::fs::read_to_string(out.join("deep/x.h")).unwrap()
    };
    let one = made("#define A  1 /* one */\nint a;\n", "one");
    assert_eq!(
        one,
        made(
            "/* new\n licence */\n\n#  define A 1\n  int   a; // a\n",
            "two"
        )
    );
    assert_ne!(one, made("#define A 1\nint a ;\n", "three"));
}

/// Comments, marks of fall-through and others, blocks and to the end of a line.
const COMMENTS: &[&str] = &[
    "/* fall through */",
    "/*fallthrough*/",
    "/*-fallthrough*/",
    "/*-fallthrough */",
    "/*@fallthrough@*/",
    "/* @fallthrough@ */",
    "/*lint -fallthrough*/",
    "/*lint -fallthrough  */",
    "/*lint -e825*/",
    "/*FALLTHRU*/",
    "/* FALLTHROUGH */",
    "/* FALL THROUGH */",
    "/* FALLS THROUGH. */",
    "/*.!FALL-THRU!.*/",
    "/* Fall through to the next case. */",
    "/* Falls Through - on purpose */",
    "/* Fall-Thru */",
    "/* FallThrough */",
    "/* Else, fall through */",
    "/* ELSE FALLTHRU */",
    "/* else fall thru. */",
    "/* Intentional fall through */",
    "/* INTENTIONALLY FALLS THROUGH */",
    "/* intentionally fallthrough!! */",
    "/* (fall through) */",
    "/* we fall through here */",
    "/** fall through */",
    "/* Done.\n   fall through */",
    "/* Done.\n * Falls through.\n */",
    "/* fall\n   through */",
    "/* fall \\\n   through */",
    "/* something else */",
    "// fall through",
    "// Fall through.  ",
    "//fallthrough",
    "//-fallthrough",
    "// FALLTHRU - see below",
    "/// fall through",
    "// we fall thru",
    "// nothing",
    "/* fall through */ /* and more */",
    "/* more */ // fall through",
    "/* fall through */\n#if 1\n#endif",
    "",
];

/// The functions of `header` that GCC warns of at `level`, by name.
fn warned(folder: &Path, header: &str, language: &str, level: u32) -> Vec<String> {
    let ran = run(Command::new("gcc")
        .env("LC_ALL", "C")
        // -fsyntax-only warns of nothing: it ends before.
        .args(["-x", language, "-S", "-o", "/dev/null"])
        .arg(format!("-Wimplicit-fallthrough={level}"))
        .arg(folder.join(header)));
    let functions = ran.success().stderr();
    let functions = functions.lines().filter_map(|line| {
        let (_, rest) = line.split_once("In function '")?;
        Some(
            rest.split(['(', '\''])
                .next()?
                .rsplit(' ')
                .next()?
                .to_owned(),
        )
    });
    functions.collect()
}

#[test]
fn gcc_warns_of_the_same_fall_through() {
    need("gcc", "gcc");
    let scratch = Scratch::new();
    let mut text = "int a(void);\n".to_owned();
    for (at, comment) in COMMENTS.iter().enumerate() {
        for (form, before, label) in [
            ("line", "a();\n  ", "case 2:"),
            ("tail", "a(); ", "default:"),
            ("user", "a();\n", "case 3: L:"),
        ] {
            text.push_str(&format!(
                "int {form}{at}(int x) {{\n switch (x) {{ case 1: {before}{comment}\n {label} \
                 return 1; }}\n if (x == 5) goto M;\n M: return x; }}\n"
            ));
        }
    }
    // A label of a `switch` on the line of the comment, and in a macro.
    text.push_str(
        "int one(int x) { switch (x) { case 1: a(); /* Fall through */ case 2:; } return x; }\n",
    );
    text.push_str("#define TWO(x) switch (x) { case 1: a(); /* FALLTHRU */ case 2:; }\n");
    text.push_str("int two(int x) { TWO(x) return x; }\n");
    let text = text.replace("L: return", "L: if (x) goto L; return");
    scratch.file("in/x.h", &text);
    let out = scratch.join("out");
    run(indir()
        .args(["stub", "--include"])
        .arg(scratch.join("in"))
        .arg("-o")
        .arg(&out))
    .success();
    for language in ["c", "c++"] {
        for level in [2, 3, 4, 5] {
            let before = warned(&scratch.join("in"), "x.h", language, level);
            assert_eq!(
                before,
                warned(&out, "x.h", language, level),
                "{language} {level}"
            );
            // Some are warned of, and some are not.
            assert!(before.len() > 3 && (level == 5 || before.len() < COMMENTS.len() * 3));
        }
    }
    let kept = std::fs::read_to_string(out.join("x.h")).unwrap();
    assert!(
        !kept.contains("something else") && !kept.contains("nothing"),
        "{kept}"
    );
}

#[test]
fn cmake_finds_the_same_versions() {
    need("cmake", "cmake");
    let scratch = Scratch::new();
    let out = scratch.join("include");
    // What CMake's modules look at; Debian has them in one folder, but for OpenSSL's
    // and curl's, whose headers differ from one machine to the next.
    let headers = [
        ("bzlib.h", "BZip2", "BZIP2", "libbz2-dev"),
        ("zlib.h", "ZLIB", "ZLIB", "zlib1g-dev"),
        ("expat.h", "EXPAT", "EXPAT", "libexpat1-dev"),
        ("sqlite3.h", "SQLite3", "SQLite3", "libsqlite3-dev"),
        ("png.h", "PNG", "PNG", "libpng-dev"),
        ("lzma.h", "LibLZMA", "LIBLZMA", "liblzma-dev"),
    ];
    let system = scratch.dir("system");
    for (header, _, _, package) in headers {
        let path = Path::new("/usr/include").join(header);
        assert!(
            path.is_file(),
            "{path:?} is not there: apt-get install {package}"
        );
        std::fs::copy(&path, system.join(header)).unwrap();
    }
    for header in [
        "zconf.h",
        "pngconf.h",
        "pnglibconf.h",
        "x86_64-linux-gnu/zconf.h",
    ] {
        let from = Path::new("/usr/include").join(header);
        let name = Path::new(header).file_name().unwrap();
        if from.is_file() {
            std::fs::copy(&from, system.join(name)).unwrap();
        }
    }
    scratch.dir("system/lzma");
    for entry in std::fs::read_dir("/usr/include/lzma")
        .unwrap()
        .map(Result::unwrap)
    {
        std::fs::copy(entry.path(), system.join("lzma").join(entry.file_name())).unwrap();
    }
    run(indir()
        .args(["stub", "--include"])
        .arg(&system)
        .arg("-o")
        .arg(&out))
    .success();
    let mut project = "cmake_minimum_required(VERSION 3.18)\nproject(p C)\n".to_owned();
    for (_, module, prefix, _) in headers {
        project.push_str(&format!(
            "find_package({module} REQUIRED)\nmessage(\"{module} ${{{prefix}_VERSION_STRING}} ${{{prefix}_VERSION}} ${{{prefix}_INCLUDE_DIR}} ${{{prefix}_INCLUDE_DIRS}}\")\n"
        ));
    }
    scratch.file("project/CMakeLists.txt", project);
    let found = |include: &Path, build: &str| {
        let ran = run(Command::new("cmake")
            .arg(format!("-DCMAKE_INCLUDE_PATH={}", include.display()))
            .arg("-S")
            .arg(scratch.join("project"))
            .arg("-B")
            .arg(scratch.join(build)));
        let text = ran.success().stderr();
        assert!(text.contains(include.to_str().unwrap()), "{text}");
        text.replace(include.to_str().unwrap(), "INCLUDE")
    };
    let before = found(&system, "before");
    assert_eq!(before, found(&out, "after"));
    for (_, module, _, _) in headers {
        let line = before
            .lines()
            .find(|line| line.starts_with(&format!("{module} ")));
        let line = line.unwrap_or_else(|| panic!("{module}: {before}"));
        assert!(line.contains('.') && line.contains("INCLUDE"), "{line}");
    }
}

#[test]
fn what_else_reads_comments_finds_them() {
    let scratch = Scratch::new();
    let text = "// Catch v2.13.9\n/*\n *  X version 1.0.2 of today\n *  Copyright\n */\n\
        #ifndef X_H\n#define X_H\n#define X_VERSION 10002 // 1.0.2\n\
        #include \"y.h\"  // IWYU pragma: export\nint a; // NOLINT(x)\nint b; // mine: b\nint c; // no\n#endif\n";
    scratch.file("in/x.h", text);
    let made = |name: &str, options: &[&str]| {
        let out = scratch.join(name);
        run(indir()
            .args(["stub", "--include"])
            .arg(scratch.join("in"))
            .arg("-o")
            .arg(&out)
            .args(options))
        .success();
        std::fs::read_to_string(out.join("x.h")).unwrap()
    };
    let plain = "// Catch v2.13.9\n/* X version 1.0.2 of today */\n#ifndef X_H\n#define X_H\n\
        #define X_VERSION 10002 // 1.0.2\n#include \"y.h\" // IWYU pragma: export\n\
        int a; // NOLINT(x)\nint b;\nint c;\n#endif\n";
    assert_eq!(made("plain", &[]), plain);
    let more = made(
        "more",
        &["--keep-comments", "mine:", "--keep-comments", "Copyright"],
    );
    let expected = plain.replace("int b;", "int b; // mine: b");
    let expected = expected.replace("of today */\n", "of today */\n/* Copyright */\n");
    assert_eq!(more, expected);
    run(indir()
        .args([
            "stub",
            "--keep-comments",
            "x",
            "/lib64/ld-linux-x86-64.so.2",
            "-o",
        ])
        .arg(scratch.join("s")))
    .exits(2)
    .err_has("--include");
    run(indir()
        .args(["stub", "--keep-comments", "", "--include"])
        .arg(scratch.join("in"))
        .arg("-o")
        .arg(scratch.join("e")))
    .exits(2)
    .err_has("--keep-comments");
}

#[test]
fn what_nobody_can_include_is_named_and_left_out() {
    let scratch = Scratch::new();
    scratch.file("in/x.h", "int a; /* b */\n");
    let folder = scratch.join("in");
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    link("nowhere.h", "dangling.h");
    link("round.h", "round.h");
    link("/dev/null", "null.h");
    link("x.h", "fine.h");
    run(Command::new("mkfifo").arg(folder.join("fifo.h"))).success();
    let out = scratch.join("out");
    let ran = run(indir()
        .args(["stub", "--include"])
        .arg(&folder)
        .arg("-o")
        .arg(&out));
    ran.success()
        .err_has("dangling.h: left out: a symlink to `nowhere.h`, which is not there")
        .err_has("round.h: left out: a symlink to `round.h`, which leads nowhere: ")
        .err_has("null.h: left out: leads to a device")
        .err_has("fifo.h: left out: is a FIFO");
    assert_eq!(ran.stderr().lines().count(), 4);
    let mut names: Vec<_> = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["fine.h", "x.h"]);
    for bad in ["/dev/null", "in/x.h", "in/fifo.h", "none"] {
        run(indir()
            .args(["stub", "--include"])
            .arg(scratch.join(bad))
            .arg("-o")
            .arg(scratch.join("no")))
        .exits(1)
        .err_is_one_line()
        .err_has(bad);
        assert!(!scratch.join("no").exists());
    }
}
