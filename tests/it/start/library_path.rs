//! What lies in folders of LD_LIBRARY_PATH and is not for this program: ld.so passes
//! over some of it, and refuses other; so must a start with a table.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, ordinary, shared, update};
use crate::support::users::{Ground, SOMEBODY, command_as, set_mode};
use crate::support::{Scratch, cc, run};

const OUTER: &str = "const char *shade(void); const char *outer(void) { return shade(); }";
const SHOW: &str = "#include <stdio.h>\nconst char *outer(void); int main(void) { puts(outer()); }";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn shade(folder: &Path, name: &str) -> PathBuf {
    let source = format!("const char *shade(void) {{ return \"{name}\"; }}");
    shared(
        &folder.join("libshade.so.c"),
        &source,
        &["-Wl,-soname,libshade.so"],
    )
}

/// The ordinary program, and an indirect one of each plan, that need `libshade.so` by
/// the run path of another library alone.
fn programs(dir: &Path) -> Vec<PathBuf> {
    let (own, outer) = (dir.join("own"), dir.join("outer"));
    shade(&own, "own");
    let own = text(&own);
    let run_path = format!("-Wl,--enable-new-dtags,-rpath,{own}");
    shared(
        &outer.join("libouter.so.c"),
        OUTER,
        &["-L", own, "-lshade", "-Wl,-soname,libouter.so", &run_path],
    );
    let outer = text(&outer);
    let (rpath, link) = (
        format!("-Wl,-rpath,{outer}"),
        format!("-Wl,-rpath-link,{own}"),
    );
    let args = ["-L", outer, "-louter", &rpath, &link];
    let mut all = vec![ordinary(&dir.join("ordinary.c"), SHOW, &args)];
    for plan in ["direct", "bound"] {
        let exe = indirect(&dir.join(format!("{plan}.c")), SHOW, &args);
        update(&exe, &["--plan", plan]);
        all.push(exe);
    }
    all
}

/// Every way that a file may not be the library that is looked for.
fn fill(dir: &Path) -> Vec<String> {
    let good = std::fs::read(shade(&dir.join("other"), "other")).unwrap();
    let folder = |name: &str| {
        let folder = dir.join(name);
        std::fs::create_dir_all(&folder).unwrap();
        folder
    };
    let put = |name: &str, bytes: &[u8]| {
        std::fs::write(folder(name).join("libshade.so"), bytes).unwrap();
    };
    let edited = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    // EI_CLASS, EI_DATA, e_machine.
    put("class", &edited(4, 1));
    put("data", &edited(5, 2));
    put("machine", &edited(18, 183));
    put("text", b"INPUT(libshade.so.1)\n and some more words");
    put("short", &good[..19]);
    put("empty", b"");
    std::fs::create_dir_all(folder("folder").join("libshade.so")).unwrap();
    put("unreadable", &good);
    set_mode(&dir.join("unreadable/libshade.so"), 0o000);
    put("lib/x86_64-linux-gnu", &good);
    put("lib", &edited(4, 1));
    put("hwcaps", &edited(4, 1));
    put("hwcaps/glibc-hwcaps/x86-64-v2", &good);
    let names = [
        "other",
        "class",
        "data",
        "machine",
        "text",
        "short",
        "empty",
        "folder",
        "unreadable",
        "lib",
        "hwcaps",
        "nowhere",
    ];
    let mut values: Vec<String> = Vec::new();
    for name in names {
        let folder = dir.join(name);
        values.push(text(&folder).into());
        values.push(format!("{}:{}/other", folder.display(), dir.display()));
        values.push(format!("$ORIGIN/{name}"));
        values.push(format!("${{ORIGIN}}/{name}/;$ORIGIN/other"));
    }
    values.push(format!("{}/$LIB", dir.display()));
    values.push("$ORIGIN/${LIB}".into());
    values.push("$ORIGIN/$PLATFORM:$ORIGIN/machine".into());
    values.push("$NOTHING/other:$ORIGIN/class".into());
    values
}

#[test]
fn what_is_no_library_of_this_program_is_treated_as_ld_so_does() {
    let dir = Ground::new();
    let programs = programs(dir.path());
    for value in fill(dir.path()) {
        for user in [0, SOMEBODY] {
            let start = |exe: &PathBuf| run(command_as(user, exe).env("LD_LIBRARY_PATH", &value));
            let expected = start(&programs[0]);
            for exe in &programs[1..] {
                let ran = start(exe);
                assert_eq!(
                    (ran.code(), ran.stdout()),
                    (expected.code(), expected.stdout()),
                    "{value}: {ran}\n{expected}"
                );
            }
        }
    }
}

/// As in the folders of a runtime for both classes.
#[test]
fn a_library_of_thirty_two_bits_is_passed_over() {
    let dir = Scratch::new();
    let programs = programs(dir.path());
    let source = dir.file("narrow/shade.c", "int shade(void) { return 0; }");
    let narrow = source.with_file_name("libshade.so");
    cc([
        "-m32",
        "-shared",
        "-fPIC",
        "-nostdlib",
        "-o",
        text(&narrow),
        text(&source),
    ]);
    for exe in programs {
        run(Command::new(exe).env("LD_LIBRARY_PATH", narrow.parent().unwrap()))
            .success()
            .prints("own\n");
    }
}
