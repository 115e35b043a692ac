//! LD_LIBRARY_PATH and another glibc: the parts of one build stay together.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::program::ordinary;
use crate::support::{Scratch, glibc_lib, indir, run, system_lib};

/// Uses several parts, one of them opened late.
const PARTS: &str = r#"
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>
static void *thread(void *x) { return x; }
int main(int argc, char **argv) {
    char text[99];
    time_t zero = 0;
    pthread_t other;
    strftime(text, sizeof text, "%c", gmtime(&zero));
    if (pthread_create(&other, NULL, thread, NULL) || pthread_join(other, NULL)) return 2;
    if (cos(argc - 1.0) != 1) return 3;
    void *resolv = dlopen("libresolv.so.2", RTLD_NOW);
    if (!resolv) { puts(dlerror()); return 4; }
    puts(gnu_get_libc_version());
}
"#;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn both(dir: &Scratch, exe: &Path, glibc: &Path) -> [PathBuf; 2] {
    ["direct", "bound"].map(|plan| {
        let out = dir.join(plan);
        adopt(["-o", text(&out), "--lib-dir", text(glibc), text(exe)]).success();
        run(indir().arg("update").args(["--plan", plan]).arg(&out)).success();
        out
    })
}

#[test]
fn library_path_never_tears_a_glibc_apart() {
    let dir = Scratch::new();
    let exe = ordinary(
        &dir.join("p.c"),
        PARTS,
        &["-lm", "-Wl,--no-as-needed", "-lpthread"],
    );
    let system = system_lib();
    for (glibc, version) in [("trixie", "2.41\n"), ("old", "2.36\n")] {
        let folder = glibc_lib(glibc);
        for exe in both(&dir, &exe, &folder) {
            let start = |value: &str| run(Command::new(&exe).env("LD_LIBRARY_PATH", value));
            let other = glibc_lib("sid");
            start("").success().prints(version);
            for value in [text(&system), "/usr/lib/x86_64-linux-gnu", text(&other)] {
                start(value).success().prints(version);
            }
            start(&format!("/nowhere:{}", system.display()))
                .success()
                .prints(version);
            // The folder of that very glibc.
            start(text(&folder)).success().prints(version);
        }
    }
}

#[test]
fn the_parts_are_told_in_the_table() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("p.c"), PARTS, &["-lm"]);
    for exe in both(&dir, &exe, &glibc_lib("trixie")) {
        let shown = run(indir().arg("show").arg(&exe).arg("--json"));
        let shown: serde_json::Value = serde_json::from_str(&shown.success().stdout()).unwrap();
        for object in shown["objects"].as_array().unwrap() {
            let flags = object["flags"].to_string();
            let is_ldso = object["soname"] == "ld-linux-x86-64.so.2";
            assert!(is_ldso || flags.contains("glibc"), "{object}");
        }
    }
}
