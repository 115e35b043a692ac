//! Across libraries: what is between counts, and so does which libraries there are.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{Many, ORDER, library, reach, reach_json, states, text};
use crate::support::program::indirect;
use crate::support::{Scratch, cc, run};

/// A library between: `near` does not reach `helper`, `far` does.
fn between(many: &Many) -> PathBuf {
    let source = "int helped(int);\nint told(int);\n\
        static __attribute__((noinline)) int step(int i) { return helped(i) + 1; }\n\
        int near(int i) { return told(i) != 0; }\nint far(int i) { return step(i) * 2; }\n";
    let file = many.dir.file("old/between.c", source);
    let out = many.dir.join("old/libbetween.so.1");
    let soname = "-Wl,-soname,libbetween.so.1";
    cc([
        "-O2",
        "-shared",
        "-fPIC",
        soname,
        "-o",
        text(&out),
        text(&file),
        text(&many.library),
    ]);
    out
}

fn user(many: &Many, between: &Path, function: &str) -> PathBuf {
    let source =
        format!("int {function}(int);\nint main(int c, char **v) {{ return {function}(c); }}\n");
    let file = many.dir.file(format!("bin/{function}.c"), source);
    let out = file.with_extension("");
    let rpath = format!(
        "-Wl,-rpath,{0},-rpath-link,{0}",
        many.dir.join("old").display()
    );
    cc(["-o", text(&out), text(&file), text(between), &rpath]);
    out
}

#[test]
fn a_library_between_is_followed() {
    let many = Many::new();
    let between = between(&many);
    let programs = ["near", "far"].map(|name| user(&many, &between, name));
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let ran = reach(&many.library, &new, &programs, &[]);
    let out = ran.stdout();
    assert!(
        out.contains(
            "/far  libbetween.so.1: far > step > libmany.so.1: helped > helper (changed)\n"
        ),
        "{ran}"
    );
    assert!(out.contains("affected 1, same 1, unknown 0\n"), "{ran}");

    // Without its symbols it counts as a whole, if it could lead to a change at all.
    run(Command::new("strip").arg(&between)).success();
    let found = states(&reach_json(&many.library, &new, &programs, &[]));
    assert!(found.values().all(|state| state == "unknown"), "{found:?}");
    let other = library(&many.dir.join("other"), &["CASE=3"], &ORDER);
    let found = states(&reach_json(&many.library, &other, &programs, &[]));
    assert!(found.values().all(|state| state == "same"), "{found:?}");
}

#[test]
fn other_libraries_are_a_change() {
    let many = Many::new();
    let new = many.dir.join("new");
    let built = library(&new, &[], &ORDER);
    let more = many
        .dir
        .file("new/more.c", "int more(void) { return 1; }\n");
    let libmore = new.join("libmore.so.1");
    let soname = "-Wl,-soname,libmore.so.1";
    cc([
        "-shared",
        "-fPIC",
        soname,
        "-o",
        text(&libmore),
        text(&more),
    ]);
    // The same code, but it loads one more.
    let objects = ["c.o", "x.o", "d.o"].map(|name| new.join(name));
    let mut command = Command::new("c++");
    command.args(["-shared", "-Wl,-soname,libmany.so.1", "-o", text(&built)]);
    command
        .args(&objects)
        .arg("-Wl,--no-as-needed")
        .arg(&libmore);
    run(&mut command).success();
    let plain = vec![many.dir.join("bin/plain")];
    let ran = reach(&many.dir.join("old"), &new, &plain, &[]);
    assert!(
        ran.stdout().contains("libmore.so.1: the whole library"),
        "{ran}"
    );
    assert!(ran.stdout().contains("affected 1, same 0"), "{ran}");
}

#[test]
fn tables_are_asked_what_a_replacement_would_mean() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let program = |function: &str| {
        let source = format!(
            "int {function}(int);\nint main(int c, char **v) {{ return {function}(c); }}\n"
        );
        let file = many.dir.join(format!("own/{function}.c"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let args = [text(&many.library)];
        let out = indirect(&file, &source, &args);
        let old = many.dir.join("old");
        crate::support::program::update(&out, &["--lib-dir", text(&old)]);
        out
    };
    program("helped");
    program("plain");
    let replace = format!(
        "{}={}",
        many.dir.join("old").display(),
        new.parent().unwrap().display()
    );
    let ran = run(crate::support::indir()
        .arg("reach")
        .arg(many.dir.join("own"))
        .args(["--replace", &replace]));
    assert!(
        ran.stdout().contains("affected 1, same 1, unknown 0\n"),
        "{ran}"
    );
    ran.exits(3);
}

#[test]
fn another_file_of_the_package_affects_whoever_loads_its_library() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["EXTRA"], &ORDER);
    let plain = vec![many.dir.join("bin/plain"), PathBuf::from("/usr/bin/true")];
    let package = |name: &str, library: &Path, data: &str| {
        let root = many.dir.dir(name);
        many.dir.file(format!("{name}/share/many/data"), data);
        many.dir
            .file(format!("{name}/share/doc/many/changelog"), name);
        std::fs::create_dir_all(root.join("lib")).unwrap();
        std::fs::copy(library, root.join("lib/libmany.so.1")).unwrap();
        root
    };
    let old = package("p-1", &many.library, "a");
    let documentation = package("p-2", &new, "a");
    let data = package("p-3", &new, "b");
    let ran = reach(&old, &documentation, &plain, &["--package"]);
    assert!(ran.stdout().contains("affected 0, same 2"), "{ran}");
    let ran = reach(&old, &data, &plain, &["--package"]);
    assert!(ran.stdout().contains("share/many/data"), "{ran}");
    assert!(ran.stdout().contains("affected 1, same 1"), "{ran}");
    let ran = reach(&old, &data, &plain, &[]);
    assert!(ran.stdout().contains("affected 0, same 2"), "{ran}");
}

#[test]
fn another_ldso_affects_everybody() {
    let dir = Scratch::new();
    let (old, new) = (dir.dir("old"), dir.dir("new"));
    let system = crate::support::system_lib();
    for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        for folder in [&old, &new] {
            std::fs::copy(system.join(name), folder.join(name)).unwrap();
        }
    }
    let ldso = new.join("ld-linux-x86-64.so.2");
    let mut bytes = std::fs::read(&ldso).unwrap();
    let at = bytes.windows(14).position(|w| w == b"file too short");
    bytes[at.unwrap()] = b'F';
    std::fs::write(&ldso, bytes).unwrap();
    let file = dir.file("p.c", "int main(void) { return 0; }\n");
    let out = file.with_extension("");
    cc(["-o", text(&out), text(&file)]);
    let ran = reach(&old, &new, &[out], &[]);
    assert!(ran.stdout().contains("which starts every program"), "{ran}");
}
