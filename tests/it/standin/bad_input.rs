//! Headers and words that are made to hurt: bounded time and memory, and then the new
//! tree with the reason.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, indir, run};

use super::support::{decides, tree, words};

/// The choice within 2 GB and two minutes of processor time.
fn bounded(old: &Path, new: &Path, words: &Path) -> serde_json::Value {
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -v 2000000 -t 120; exec \"$@\"", "sh"]);
    shell
        .arg(indir().get_program())
        .args(["stand-in", "--json"]);
    let ran = run(shell.arg(old).arg(new).arg("--words").arg(words));
    let document: serde_json::Value = serde_json::from_str(&ran.success().stdout()).unwrap();
    document["libraries"][0].clone()
}

/// The reason for which the new tree is taken.
fn new_because(header: &str, changed: &str) -> String {
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[("include/lib.h", header)]);
    let new = tree(&scratch, "new", &[("include/lib.h", changed)]);
    let words = words(
        &scratch,
        "s",
        &[("a.c", "#include <lib.h>\nint a(void) { return lib_a(); }\n")],
    );
    let report = bounded(&old, &new, &words);
    assert_eq!(report["stands_in"], false, "{report:#}");
    report["passed"][0]["reasons"][0]["what"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn headers_that_cannot_be_cut() {
    let deep: String = "#if X\n".repeat(5000) + &"#endif\n".repeat(5000);
    let binary = "int lib_a(void);\0\u{1}";
    for (header, why) in [
        ("#if X\nint lib_a(void);\n", "unbalanced"),
        ("int lib_a(void);\n#endif\n", "unbalanced"),
        ("#if X\n#else\n#endif\n#else\n", "unbalanced"),
        ("int lib_a(void); /* no end\n", "comment without an end"),
        ("auto a = R\"x(no end\n", "raw string"),
        ("char *a = \"??/\n\";\n", "trigraphs"),
        (&deep, "nested too deep"),
        (binary, "binary"),
    ] {
        let told = new_because(header, &format!("int fresh;\n{header}"));
        assert!(told.contains(why), "{told}, not {why}");
    }
}

#[test]
fn equal_headers_that_cannot_be_cut_are_equal() {
    for header in ["#if X\n", "/* no end", "\0\0"] {
        decides(header, header, "#include <lib.h>\n", &[]);
    }
}

#[test]
fn large_headers() {
    let mut header = String::new();
    for at in 0..30_000 {
        writeln!(
            header,
            "int lib_call_{at}(int first, struct lib_type_{at} *second);"
        )
        .unwrap();
    }
    assert!(header.len() > 1_500_000);
    decides(
        &header,
        &format!("{header}int lib_fresh(void);\n"),
        "#include <lib.h>\nint a(void) { return lib_call_7(1, 0); }\n",
        &[],
    );
    while header.len() < 10_000_000 {
        header.push_str("/* a header of ten megabytes has a long comment somewhere */\n");
    }
    assert!(new_because(&header, &format!("{header}\nint b;\n")).contains("larger than 8 MiB"));
}

#[test]
fn macros_that_multiply() {
    let mut header = "#define B0(x) x x x x x x x x\n".to_owned();
    for at in 1..40 {
        let before = at - 1;
        writeln!(
            header,
            "#define B{at}(x) B{before}(B{before}(x)) B{before}(x)"
        )
        .unwrap();
    }
    header.push_str("#define SELF(x) SELF(SELF(x)) OTHER(x)\n#define OTHER(x) SELF(OTHER(x))\n");
    header.push_str("B39(int) lib_a(void);\nSELF(SELF(int)) lib_b(void);\n");
    let changed = header.replace("B39(int) lib_a", "B39(long) lib_a");
    assert!(!new_because(&header, &changed).is_empty());
}

#[test]
fn endless_brackets() {
    for open in ["(", "[", "{", "struct {", "enum {", "f(*(", "template <"] {
        let header = format!("int lib_a(void);\n{}", open.repeat(100_000));
        new_because(&header, &format!("{header} lib_a"));
    }
    let condition = format!(
        "#if {}1\n#define LIB_V 1\n#endif\nint lib_a(void);\n",
        "(".repeat(100_000)
    );
    new_because(&condition, &condition.replace("int lib_a", "long lib_a"));
}

#[test]
fn what_takes_time_by_the_square() {
    const MANY: usize = 20_000;
    let list = |text: &dyn Fn(usize) -> String| (0..MANY).map(text).collect::<String>();
    let parameters = list(&|at| format!(", p{at}"));
    for header in [
        // A value of an enumerator that grows with each.
        format!("enum {{ {} }};\n", list(&|at| format!("E{at} = X + {at},"))),
        format!("enum {{ A = X{} }};\n", " + X".repeat(MANY)),
        // A condition of many words.
        format!("#if X{}\nint lib_c;\n#endif\n", " + X".repeat(MANY)),
        list(&|at| format!("#if X > {at}\n#define X {at}\n#endif\n")),
        // Enums that all have the same enumerator.
        list(&|at| format!("#ifdef N{at}\nenum {{ SAME, E{at} }};\n#endif\n")),
        // Parameters.
        format!(
            "#define M(x{parameters}) x{}\nM(1)\n",
            parameters.replace(',', " +")
        ),
        format!(
            "struct s {{ int (*f)(int x{}); }};\n",
            parameters.replace("p", "int p")
        ),
        // Names that are put together of one another.
        format!(
            "int lib{};\n",
            list(&|at| format!(", *lib_{}", "a".repeat(at % 200)))
        ),
    ] {
        let header = format!("{header}int lib_a(void);\n");
        new_because(&header, &header.replace("int lib_a", "long lib_a"));
    }
    // In a file of CMake: calls that do not end.
    let scratch = Scratch::new();
    let package = list(&|at| format!("find_package(a{at} \n"));
    let files = [("lib/cmake/A/AConfig.cmake", package.as_str())];
    let packages = tree(&scratch, "packages", &files);
    let asks = words(&scratch, "asks", &[("CMakeLists.txt", "find_package(A)\n")]);
    assert_eq!(bounded(&packages, &packages, &asks)["stands_in"], true);
    // In a source.
    let tree = tree(&scratch, "tree", &[("include/lib.h", "int lib_a(void);\n")]);
    let source = format!(
        "#if A{}\n{}\n{}\n",
        "\\\n + A".repeat(MANY),
        "#if A /* ".repeat(MANY),
        list(&|at| format!("#if B{at} > 1\n"))
    );
    let words = words(&scratch, "s", &[("a.c", &source)]);
    assert_eq!(bounded(&tree, &tree, &words)["stands_in"], true);
}

#[test]
fn includes_in_circles() {
    let scratch = Scratch::new();
    let files = |body: &str| {
        vec![
            ("include/lib.h", format!("#include \"b.h\"\n{body}")),
            (
                "include/b.h",
                "#include <lib.h>\n#include \"b.h\"\nint lib_b(void);\n".to_owned(),
            ),
        ]
    };
    let make = |name: &str, body: &str| {
        let files = files(body);
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (*a, b.as_str())).collect();
        tree(&scratch, name, &files)
    };
    let (old, new) = (
        make("old", "int lib_a(void);\n"),
        make("new", "int lib_a(void);\nint c;\n"),
    );
    let words = words(
        &scratch,
        "s",
        &[("a.c", "#include <lib.h>\nint f(void) { return lib_b(); }\n")],
    );
    assert_eq!(bounded(&old, &new, &words)["stands_in"], true);
}

#[test]
fn trees_that_are_none() {
    let scratch = Scratch::new();
    let new = tree(&scratch, "new", &[("include/lib.h", "int lib_a(void);\n")]);
    let words = words(&scratch, "s", &[("a.c", "#include <lib.h>\n")]);
    let file = scratch.file("file", "text");
    for old in [file, scratch.join("nowhere")] {
        let report = bounded(&old, &new, &words);
        assert_eq!(report["stands_in"], false, "{report:#}");
        assert_eq!(report["passed"][0]["reasons"][0]["kind"], "unreadable");
    }
    // A circle of folders.
    let circle = scratch.dir("circle/include");
    std::os::unix::fs::symlink(&circle, circle.join("again")).unwrap();
    let report = bounded(&scratch.join("circle"), &new, &words);
    assert_eq!(report["stands_in"], false, "{report:#}");
    // A FIFO is no header; it is not waited for.
    run(Command::new("mkfifo").arg(scratch.join("new/include/pipe.h"))).success();
    assert_eq!(bounded(&new, &new, &words)["stands_in"], true);
}

#[test]
fn arbitrary_bytes() {
    // A generator of our own, so that every run is the same.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    const PARTS: &[&str] = &[
        "#if X",
        "#else",
        "#endif",
        "#define M(a) a##b",
        "#define N {",
        "M(x)",
        "N",
        "}",
        "{",
        "(",
        ")",
        ";",
        "int",
        "struct s",
        "enum",
        ",",
        "=",
        "1",
        "\"s\"",
        "'c'",
        "\\",
        "/*",
        "*/",
        "//",
        "\n",
        "extern \"C\"",
        "template<",
        "R\"(",
        ")\"",
        "#include <a.h>",
        "x",
        "y",
        "$z",
        "@w@",
        "%s",
        "\0",
        "\u{e9}",
    ];
    for _ in 0..3000 {
        let mut data = Vec::new();
        for _ in 0..next() % 60 {
            let part = PARTS[usize::try_from(next() % PARTS.len() as u64).unwrap()];
            data.extend(part.as_bytes());
            if next() % 3 == 0 {
                data.push(b"\n \t"[usize::try_from(next() % 3).unwrap()]);
            }
        }
        ::indir::standin::exercise(&data);
    }
}
