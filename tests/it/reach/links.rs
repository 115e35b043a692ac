//! Ways in which a program and its libraries hang together.

use std::path::{Path, PathBuf};

use super::support::{Many, ORDER, library, program, reach, reach_json, states, text};
use crate::support::{Scratch, cc, indir, run, system_lib};

/// A library `lib{name}.so.1` in `folder`.
fn shared(dir: &Scratch, folder: &str, name: &str, source: &str, more: &[&str]) -> PathBuf {
    let file = dir.file(format!("{folder}/{name}.c"), source);
    let out = dir.join(format!("{folder}/lib{name}.so.1"));
    let soname = format!("-Wl,-soname,lib{name}.so.1");
    let args = ["-O1", "-shared", "-fPIC", &soname, "-o", text(&out)];
    cc(args
        .into_iter()
        .chain([text(&file)])
        .chain(more.iter().copied()));
    out
}

/// A program of this source.
fn linked(dir: &Scratch, name: &str, source: &str, more: &[&str]) -> PathBuf {
    let file = dir.file(format!("bin/{name}.c"), source);
    let out = file.with_extension("");
    cc(["-O1", "-o", text(&out), text(&file)]
        .into_iter()
        .chain(more.iter().copied()));
    out
}

fn state(old: &Path, new: &Path, program: &Path) -> String {
    let document = reach_json(old, new, &[program.to_owned()], &[]);
    states(&document).into_values().next().unwrap()
}

#[test]
fn a_variable_that_is_copied_into_the_program() {
    let dir = Scratch::new();
    let source = |value: u32, other: u32| {
        format!(
            "int counter[4] = {{ {value} }};\nint other[4] = {{ {other} }};\n\
             static int own; int f(void) {{ return own++; }}\n"
        )
    };
    let old = shared(&dir, "old", "f", &source(1, 1), &[]);
    let new = shared(&dir, "new", "f", &source(2, 1), &[]);
    let unrelated = shared(&dir, "more", "f", &source(1, 2), &[]);
    let source =
        "extern int counter[4]; int f(void);\nint main(void) { return f() + counter[0]; }\n";
    let program = linked(&dir, "copies", source, &["-no-pie", "-fno-pic", text(&old)]);
    let relocations = run(std::process::Command::new("readelf").args(["-rW", text(&program)]));
    relocations.out_has("R_X86_64_COPY");
    assert_eq!(state(&old, &new, &program), "affected");
    assert_eq!(state(&old, &unrelated, &program), "same");
}

#[test]
fn compact_relocations_lead_somewhere() {
    let dir = Scratch::new();
    let source = |entry: &str| {
        format!(
            "static int one(int i) {{ return i + 1; }}\nstatic int two(int i) {{ return i * 2; }}\n\
             int (*volatile keep)(int) = two; int (*volatile keep_too)(int) = one;\n\
             static int (*const table[])(int) = {{ {entry}, two, one, two }};\n\
             int f(int i) {{ return table[i & 3](i); }}\nint g(int i) {{ return i + 7; }}\n"
        )
    };
    let relr = ["-Wl,-z,pack-relative-relocs"];
    let old = shared(&dir, "old", "f", &source("one"), &relr);
    let new = shared(&dir, "new", "f", &source("two"), &relr);
    run(std::process::Command::new("readelf").args(["-dW", text(&new)])).out_has("(RELR)");
    let (f, g) = (program(&dir, &old, "f"), program(&dir, &old, "g"));
    assert_eq!(state(&old, &new, &f), "affected");
    assert_eq!(state(&old, &new, &g), "same");
}

#[test]
fn a_weak_symbol_that_somebody_comes_to_provide() {
    let dir = Scratch::new();
    let without = "int p(void) { return 1; }\n";
    let with = "int p(void) { return 1; }\nint maybe(void) { return 2; }\n";
    let old = shared(&dir, "old", "p", without, &[]);
    let new = shared(&dir, "new", "p", with, &[]);
    let source = "__attribute__((weak)) int maybe(void); int p(void);\n\
        int f(void) { return p() + (maybe ? maybe() : 0); }\nint g(void) { return p(); }\n";
    let between = shared(&dir, "own", "w", source, &[text(&old)]);
    let (own, build) = (dir.join("own"), dir.join("old"));
    let rpath = format!(
        "-Wl,-rpath,{},-rpath-link,{}",
        own.display(),
        build.display()
    );
    let user = |name: &str| {
        let source = format!("int {name}(void);\nint main(void) {{ return {name}(); }}\n");
        linked(&dir, name, &source, &[text(&between), &rpath])
    };
    let (f, g) = (user("f"), user("g"));
    assert_eq!(state(&old, &new, &f), "affected");
    assert_eq!(state(&old, &new, &g), "same");
}

#[test]
fn origin_is_the_folder_of_the_build() {
    let dir = Scratch::new();
    let origin = "-Wl,-rpath,$ORIGIN";
    let build = |folder: &str, value: u32| {
        let source = format!("int own(void) {{ return {value}; }}\n");
        let own = shared(&dir, folder, "own", &source, &[]);
        let source = "int own(void); int f(void) { return own(); } int g(void) { return 3; }\n";
        shared(&dir, folder, "f", source, &[text(&own), origin])
    };
    let (old, new, same) = (build("old", 1), build("new", 2), build("same", 1));
    let user = |name: &str| {
        let source = format!("int {name}(void);\nint main(void) {{ return {name}(); }}\n");
        let link = format!("-Wl,-rpath-link,{}", dir.join("old").display());
        linked(&dir, name, &source, &[text(&old), &link])
    };
    let (f, g) = (user("f"), user("g"));
    assert_eq!(state(&old, &new, &f), "affected");
    assert_eq!(state(&old, &new, &g), "same");
    assert_eq!(state(&old, &same, &f), "same");
}

#[test]
fn what_glibc_opens_for_threads_counts_for_everybody() {
    let dir = Scratch::new();
    let name = "libgcc_s.so.1";
    let bytes = std::fs::read(system_lib().join(name)).unwrap();
    let old = dir.file(format!("old/{name}"), &bytes);
    let mut changed = bytes;
    let at = changed.windows(4).position(|w| w == b"GNU\0").unwrap();
    changed[at + 8] ^= 1;
    let elsewhere = changed.len() / 2;
    changed[elsewhere] ^= 1;
    let new = dir.file(format!("new/{name}"), changed);
    let user = linked(&dir, "user", "int main(void) { return 0; }\n", &[]);
    assert_eq!(state(&old, &new, &user), "unknown");
    reach(&old, &new, std::slice::from_ref(&user), &[]).out_has("for threads that end");
    assert_eq!(state(&old, &old, &user), "same");
}

#[test]
fn any_number_of_threads_says_the_same() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let with = |jobs: &str| reach(&many.library, &new, &many.programs, &["--jobs", jobs]).stdout();
    assert_eq!(with("1"), with("3"));
    assert!(with("1").contains("affected 2, "));
    // Each program is explained, in the order in which they were given.
    let two = [many.dir.join("bin/helped"), many.dir.join("bin/plain")];
    let explained = reach(
        &many.library,
        &new,
        &two,
        &["--explain", "plain", "--jobs", "2"],
    );
    explained.exits(0);
    let line = "libmany.so.1 plain\nreached 1, of which differ 0\n";
    let (helped, plain) = (two[0].display(), two[1].display());
    assert_eq!(
        explained.stdout(),
        format!("{helped}:\n{line}{plain}:\n{line}")
    );
    run(indir().args(["reach", "--jobs", "0"]).args(two)).exits(2);
}
