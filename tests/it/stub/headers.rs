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
