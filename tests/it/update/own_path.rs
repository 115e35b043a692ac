//! The executable's own run path in tables: what it finds, and what it does not, is
//! what an ordinary start finds, whatever was updated or moved.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::plugins::text;
use crate::support::adopt::adopt;
use crate::support::program::{ordinary, shared};
use crate::support::{Ran, Scratch, glibc_lib, indir, run, system_lib};

/// Opens each argument and prints what its `say` says.
const OPENER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        void *handle = dlopen(argv[i], RTLD_NOW);
        if (!handle) { printf("%s\n", dlerror()); return 1; }
        const char *(*say)(void) = (const char *(*)(void))dlsym(handle, "say");
        puts(say());
    }
}
"#;

/// A library whose `say`, and a function of its file's name, return `word`.
fn says(file: &Path, word: &str, args: &[&str]) -> PathBuf {
    let name = file.file_name().unwrap().to_str().unwrap();
    let soname = format!("-Wl,-soname,{name}");
    let function: String = name.chars().filter(char::is_ascii_alphabetic).collect();
    let source = format!(
        "const char *say(void) {{ return \"{word}\"; }} const char *{function}(void) {{ return \"{word}\"; }}"
    );
    let source_file = file.with_file_name(format!("{name}.c"));
    shared(&source_file, &source, &[&[soname.as_str()], args].concat())
}

/// Direct and bound, beside the original, so that `$ORIGIN` means the same.
struct Pair {
    original: PathBuf,
    adopted: [PathBuf; 2],
}

impl Pair {
    #[track_caller]
    fn of(original: &Path, more: &[&str]) -> Self {
        let adopted = ["direct", "bound"].map(|plan| {
            let out = original.with_file_name(plan);
            let mut args = vec!["-o", text(&out), text(original)];
            args.extend(more);
            adopt(args).success();
            run(indir().arg("update").args(["--plan", plan]).arg(&out)).success();
            out
        });
        Self {
            original: original.to_owned(),
            adopted,
        }
    }

    /// All do the same; returns it.
    #[track_caller]
    fn agree(&self, args: &[&str], variables: &[(&str, &str)]) -> Ran {
        let start = |exe: &Path| run(Command::new(exe).args(args).envs(variables.iter().copied()));
        let ordinary = start(&self.original);
        for exe in &self.adopted {
            let ours = start(exe);
            assert!(
                ordinary.code() == ours.code() && ordinary.stdout() == ours.stdout(),
                "they differ\nordinary: {ordinary}\nadopted: {ours}"
            );
        }
        ordinary
    }
}

fn show(exe: &Path) -> serde_json::Value {
    let shown = run(indir().arg("show").arg(exe).arg("--json"));
    serde_json::from_str(&shown.success().stdout()).unwrap()
}

const TAGS: [&str; 2] = ["--enable-new-dtags", "--disable-new-dtags"];

#[test]
fn dlopen_asks_the_own_run_path_before_the_folders_of_the_closure() {
    for tag in TAGS {
        let dir = Scratch::new();
        // A name that the folder of libc.so.6 has as well.
        says(&dir.join("lib/libz.so.1"), "bundled", &[]);
        assert!(system_lib().join("libz.so.1").exists());
        let tag = format!("-Wl,{tag}");
        let args = [&*tag, "-Wl,-rpath,$ORIGIN/../lib"];
        let exe = ordinary(&dir.join("bin/p.c"), OPENER, &args);
        let pair = Pair::of(&exe, &[]);
        pair.agree(&["libz.so.1"], &[])
            .success()
            .prints("bundled\n");
        for exe in &pair.adopted {
            run(indir().arg("verify").arg(exe)).success().prints("");
        }
        // With folders that were given, those come first.
        says(&dir.join("given/libz.so.1"), "given", &[]);
        let given = dir.join("given");
        for exe in &pair.adopted {
            run(indir()
                .arg("update")
                .args(["--lib-dir", text(&given)])
                .arg(exe))
            .success();
            run(Command::new(exe).arg("libz.so.1"))
                .success()
                .prints("given\n");
        }
    }
}

#[test]
fn what_is_opened_does_not_inherit_a_runpath() {
    let dir = Scratch::new();
    // The program's own zlib lacks what a driver needs of the system's.
    says(&dir.join("lib/libz.so.1"), "own", &[]);
    let app = says(&dir.join("lib/libapp.so.1"), "app", &[]);
    let z = system_lib().join("libz.so.1");
    let driver = "const char *zlibVersion(void); const char *say(void) { return zlibVersion(); }";
    let driver = shared(&dir.join("drivers/driver.so.c"), driver, &[text(&z)]);
    let source = format!("const char *libappso(void); void *keep = libappso;\n{OPENER}");
    let exe = |name: &str, tag: &str| {
        let args = [
            text(&app),
            tag,
            "-Wl,--no-as-needed",
            "-Wl,-rpath,$ORIGIN/../lib",
        ];
        ordinary(&dir.join("bin").join(name), &source, &args)
    };
    let runpath = Pair::of(&exe("runpath.c", "-Wl,--enable-new-dtags"), &[]);
    let ran = runpath.agree(&[text(&driver)], &[]);
    ran.success();
    assert_eq!(show(&runpath.adopted[0])["search_tag"], "RUNPATH");
    // An update that is told of the driver knows as much.
    let drivers = dir.join("drivers");
    for exe in &runpath.adopted {
        let ran = run(indir()
            .arg("update")
            .args(["--plugin-dir", text(&drivers)])
            .arg(exe));
        ran.success();
        assert!(!ran.stderr().contains("warning"), "{ran}");
    }
    runpath.agree(&[text(&driver)], &[]).success();
    // DT_RPATH is inherited: there the driver cannot be opened, in either way.
    let rpath = Pair::of(&exe("rpath.c", "-Wl,--disable-new-dtags"), &[]);
    rpath.agree(&[text(&driver)], &[]).exits(1);
    assert_eq!(show(&rpath.adopted[0])["search_tag"], "RPATH");
}

#[test]
fn library_path_is_asked_after_an_rpath_and_before_a_runpath() {
    for (tag, expected) in TAGS.into_iter().zip(["foreign", "own"]) {
        let dir = Scratch::new();
        let own = says(&dir.join("lib/libw.so.1"), "own", &[]);
        says(&dir.join("other/libw.so.1"), "foreign", &[]);
        says(&dir.join("lib/libv.so.1"), "own", &[]);
        says(&dir.join("other/libv.so.1"), "foreign", &[]);
        let source = format!(
            "#include <stdio.h>\nconst char *libwso(void);\n{}",
            OPENER.replace(
                "int argc, char **argv) {",
                "int argc, char **argv) { puts(libwso());"
            )
        );
        let tag = format!("-Wl,{tag}");
        let args = [text(&own), &*tag, "-Wl,-rpath,$ORIGIN/../lib"];
        let exe = ordinary(&dir.join("bin/p.c"), &source, &args);
        let pair = Pair::of(&exe, &[]);
        let other = dir.join("other");
        let variables = [("LD_LIBRARY_PATH", text(&other))];
        // At start, and by dlopen.
        pair.agree(&["libv.so.1"], &variables)
            .success()
            .prints(&format!("{expected}\n{expected}\n"));
        pair.agree(&["libv.so.1"], &[])
            .success()
            .prints("own\nown\n");
    }
}

#[test]
fn updates_and_moves_keep_the_run_path() {
    let dir = Scratch::new();
    says(&dir.join("app/plg/libplg.so"), "plugin", &[]);
    let exe = ordinary(&dir.join("app/p.c"), OPENER, &["-Wl,-rpath,$ORIGIN/plg"]);
    let pair = Pair::of(&exe, &[]);
    pair.agree(&["libplg.so"], &[]).success();
    let trixie = glibc_lib("trixie");
    for exe in &pair.adopted {
        run(indir()
            .arg("update")
            .args(["--lib-dir", text(&trixie)])
            .arg(exe))
        .success();
    }
    pair.agree(&["libplg.so"], &[]).success();
    // Installed elsewhere, with another table.
    for exe in &pair.adopted {
        let folder = dir.join("inst");
        std::fs::create_dir_all(folder.join("plg")).unwrap();
        std::fs::copy(dir.join("app/plg/libplg.so"), folder.join("plg/libplg.so")).unwrap();
        let installed = folder.join(exe.file_name().unwrap());
        std::fs::copy(exe, &installed).unwrap();
        std::fs::rename(dir.join("app/plg"), dir.join("app/gone")).unwrap();
        run(indir().arg("update").arg(&installed)).success();
        run(Command::new(&installed).arg("libplg.so"))
            .success()
            .prints("plugin\n");
        std::fs::rename(dir.join("app/gone"), dir.join("app/plg")).unwrap();
    }
}

#[test]
fn a_bundle_may_be_moved_as_a_whole() {
    for tag in TAGS {
        let dir = Scratch::new();
        // A library that finds its own by `$ORIGIN`, too.
        let inner = says(&dir.join("b1/lib/private/libinner.so.1"), "inner", &[]);
        let outer = "const char *libinnerso(void); const char *say(void) { return libinnerso(); }";
        let outer = shared(
            &dir.join("b1/lib/libouter.so.1.c"),
            outer,
            &[
                text(&inner),
                "-Wl,-soname,libouter.so.1",
                "-Wl,-rpath,$ORIGIN/private",
            ],
        );
        says(&dir.join("b1/lib/libopened.so.1"), "opened", &[]);
        let source = "#include <stdio.h>\n#include <dlfcn.h>\nconst char *say(void);
            int main(void) { puts(say()); puts(dlopen(\"libopened.so.1\", RTLD_NOW) ? \"opened\" : dlerror()); }";
        let tag = format!("-Wl,{tag}");
        let args = [text(&outer), &*tag, "-Wl,-rpath,$ORIGIN/../lib", "-ldl"];
        let exe = ordinary(&dir.join("b1/bin/p.c"), source, &args);
        let pair = Pair::of(&exe, &[]);
        pair.agree(&[], &[]).success().prints("inner\nopened\n");
        std::fs::rename(dir.join("b1"), dir.join("b2")).unwrap();
        for plan in ["direct", "bound"] {
            let moved = dir.join("b2/bin").join(plan);
            run(&mut Command::new(&moved))
                .success()
                .prints("inner\nopened\n");
            run(indir().arg("verify").arg(&moved)).success().prints("");
            let why = run(indir().arg("why").arg(&moved).arg("libinnerso"));
            why.success()
                .out_has(&format!("{}/b2/bin/", dir.path().display()));
            let table = show(&moved);
            let paths = table["objects"].as_array().unwrap().iter();
            let stored: Vec<&str> = paths.map(|o| o["stored"].as_str().unwrap()).collect();
            assert!(
                stored.contains(&"$ORIGIN/../lib/libouter.so.1"),
                "{stored:?}"
            );
            let inner = "$ORIGIN/../lib/private/libinner.so.1";
            assert!(stored.contains(&inner), "{stored:?}");
            // The same table is right at the new place.
            run(indir().arg("update").arg(&moved))
                .success()
                .err_has("current 1");
        }
    }
}

#[test]
fn dlinfo_tells_the_folder_of_a_program_with_origin() {
    const ASKS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int main(void) { char o[4096]; dlinfo(dlopen(NULL, RTLD_NOW), RTLD_DI_ORIGIN, o); puts(o); }
"#;
    for path in ["$ORIGIN/missing", "${ORIGIN}", "/nowhere:$ORIGIN/../x"] {
        let dir = Scratch::new();
        let rpath = format!("-Wl,-rpath,{path}");
        let exe = ordinary(&dir.join("p.c"), ASKS, &[&rpath]);
        let pair = Pair::of(&exe, &[]);
        let ran = pair.agree(&[], &[]);
        ran.success().prints(&format!("{}\n", dir.path().display()));
        // Whatever else the table searches.
        let trixie = glibc_lib("trixie");
        for exe in &pair.adopted {
            run(indir()
                .arg("update")
                .args(["--lib-dir", text(&trixie)])
                .arg(exe))
            .success();
            run(&mut Command::new(exe)).success().prints(&ran.stdout());
        }
    }
}

#[test]
fn a_library_opens_its_own_plugin_through_its_own_run_path() {
    let dir = Scratch::new();
    says(&dir.join("sub/libplug.so"), "plug", &[]);
    let library = r#"
#include <dlfcn.h>
#include <stdio.h>
int f(void) { void *h = dlopen("libplug.so", RTLD_NOW); puts(h ? "opened" : dlerror()); return !h; }
"#;
    let args = ["-Wl,-soname,libl.so", "-Wl,-rpath,$ORIGIN/sub"];
    let library = shared(&dir.join("libl.so.c"), library, &args);
    let main = "int f(void); int main(void) { return f(); }";
    let exe = ordinary(
        &dir.join("p.c"),
        main,
        &[text(&library), "-Wl,-rpath,$ORIGIN"],
    );
    let pair = Pair::of(&exe, &[]);
    pair.agree(&[], &[]).success().prints("opened\n");
    let sub = dir.join("sub");
    for exe in &pair.adopted {
        run(indir()
            .arg("update")
            .args(["--plugin-dir", text(&sub)])
            .arg(exe))
        .success();
    }
    pair.agree(&[], &[]).success();
}
