//! What ld.so refuses, or runs wrongly, although every symbol is there: refused by an
//! update, with the rule and the object.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::plugins::{text, update};
use crate::support::adopt::adopt;
use crate::support::program::{ordinary, shared};
use crate::support::{Ran, Scratch, cc, glibc_lib, indir, need, run};

/// A program of `liba.so.1` in v1/, adopted with that folder.
struct Program {
    dir: Scratch,
    original: PathBuf,
    exe: PathBuf,
}

impl Program {
    fn new(library: &str, main: &str, args: &[&str]) -> Self {
        let dir = Scratch::new();
        let liba = shared(
            &dir.join("v1/liba.so.1.c"),
            library,
            &["-Wl,-soname,liba.so.1"],
        );
        let original = ordinary(&dir.join("p.c"), main, &[&[text(&liba)], args].concat());
        let exe = dir.join("a");
        let v1 = dir.join("v1");
        adopt(["-o", text(&exe), "--lib-dir", text(&v1), text(&original)]).success();
        run(&mut Command::new(&exe)).success();
        Self { dir, original, exe }
    }

    /// How the original runs with the library in `folder`.
    fn ordinary(&self, folder: &str) -> Ran {
        run(Command::new(&self.original).env("LD_LIBRARY_PATH", self.dir.join(folder)))
    }

    fn replace(&self, folder: &str) -> Ran {
        let replace = format!(
            "{}={}",
            self.dir.join("v1").display(),
            self.dir.join(folder).display()
        );
        update(&self.exe, &["--replace", &replace])
    }

    /// Refused with this, and what ran runs on.
    #[track_caller]
    fn refused(&self, folder: &str, rule: &str) {
        self.replace(folder)
            .exits(3)
            .err_has(rule)
            .err_has(text(&self.dir.join(folder).join("liba.so.1")));
        run(&mut Command::new(&self.exe)).success();
        run(indir().arg("verify").arg(&self.exe))
            .success()
            .prints("");
    }
}

const DATA: &str = "VISIBILITY int data = 1; int get(void) { return data; }";
const COPIES: &str =
    "extern int data; int get(void); int main(void) { data = 2; return get() - 2; }";

#[test]
fn a_copy_of_what_is_protected_now_is_refused() {
    let open = DATA.replace("VISIBILITY", "");
    let protected = DATA.replace("VISIBILITY", "__attribute__((visibility(\"protected\")))");
    let program = Program::new(&open, COPIES, &["-no-pie"]);
    let library = |folder: &str, args: &[&str]| {
        let file = program.dir.join(folder).join("liba.so.1.c");
        shared(
            &file,
            &protected,
            &[&["-Wl,-soname,liba.so.1"], args].concat(),
        );
    };
    // The library uses its own, the program the copy.
    library("v2", &[]);
    assert_ne!(program.ordinary("v2").code(), Some(0));
    program.refused("v2", "data is protected in");
    // ld.so stops.
    library("v3", &["-mno-direct-extern-access"]);
    assert_ne!(program.ordinary("v3").code(), Some(0));
    program.refused("v3", "INDIRECT_EXTERN_ACCESS");
}

#[test]
fn a_function_taken_for_the_program_s_own_that_is_protected_now_is_refused() {
    let library = "ATTRIBUTE int f(void) { return 7; } int is(int (*g)(void)) { return g == f; }";
    let main = "int f(void); int is(int (*)(void)); int main(void) { return !is(f) || f() != 7; }";
    let program = Program::new(
        &library.replace("ATTRIBUTE", ""),
        main,
        &["-no-pie", "-fno-pie"],
    );
    let protected = library.replace("ATTRIBUTE", "__attribute__((visibility(\"protected\")))");
    let args = ["-Wl,-soname,liba.so.1", "-mno-direct-extern-access"];
    shared(&program.dir.join("v2/liba.so.1.c"), &protected, &args);
    assert_ne!(program.ordinary("v2").code(), Some(0));
    program.refused("v2", "f is protected in");
}

#[test]
fn an_executable_under_a_library_s_name_is_refused() {
    let open = DATA.replace("VISIBILITY", "");
    let main = "int get(void); int main(void) { return get() - 1; }";
    let program = Program::new(&open, main, &[]);
    let source = program.dir.file("v2/a.c", &open);
    let out = program.dir.join("v2/liba.so.1");
    let args = [
        "-pie",
        "-fPIE",
        "-rdynamic",
        "-Wl,-soname,liba.so.1",
        "-Wl,--defsym=main=get",
    ];
    cc(args
        .iter()
        .copied()
        .chain(["-o", text(&out), text(&source)]));
    assert_ne!(program.ordinary("v2").code(), Some(0));
    let ran = program.replace("v2");
    assert_ne!(ran.code(), Some(0), "{ran}");
    ran.err_has("an executable, not a library")
        .err_has(text(&out));
    run(&mut Command::new(&program.exe)).success();
}

#[test]
fn two_files_of_one_soname_are_refused_where_one_was() {
    let dir = Scratch::new();
    let v = |folder: &str| {
        let source = format!("const char *v(void) {{ return \"{folder}\"; }}");
        let file = dir.join(folder).join("libv.so.1.c");
        shared(&file, &source, &["-Wl,-soname,libv.so.1"])
    };
    let (old, _) = (v("old"), v("new"));
    let liba = shared(
        &dir.join("a/liba.so.1.c"),
        "const char *v(void); const char *a(void) { return v(); }",
        &["-Wl,-soname,liba.so.1", text(&old)],
    );
    run(Command::new(need("patchelf", "patchelf"))
        .args(["--replace-needed", "libv.so.1", text(&old)])
        .arg(&liba))
    .success();
    let main = "#include <stdio.h>\nconst char *a(void), *v(void); int main(void) { puts(v()); puts(a()); }";
    let exe = ordinary(&dir.join("p.c"), main, &[text(&liba), text(&old)]);
    let out = dir.join("adopted");
    let (a, old, new) = (dir.join("a"), dir.join("old"), dir.join("new"));
    adopt([
        "-o",
        text(&out),
        "--lib-dir",
        text(&a),
        "--lib-dir",
        text(&old),
        text(&exe),
    ])
    .success();
    let replace = format!("{}={}", old.display(), new.display());
    update(&out, &["--replace", &replace])
        .exits(3)
        .err_has("libv.so.1 would be loaded twice")
        .err_has(text(&old.join("libv.so.1")))
        .err_has(text(&new.join("libv.so.1")));
    run(&mut Command::new(&out)).success().prints("old\nold\n");
    // Where an ordinary start has both as well, it is told and no more.
    let search = format!("-Wl,-rpath,{}:{}", a.display(), new.display());
    let twice = ordinary(
        &dir.join("twice.c"),
        main,
        &[text(&liba), text(&old.join("libv.so.1")), &search],
    );
    let ran = run(&mut Command::new(&twice));
    ran.success();
    let out = dir.join("adopted-twice");
    adopt(["-o", text(&out), text(&twice)]).success();
    run(&mut Command::new(&out)).success().prints(&ran.stdout());
    update(&out, &["--plan", "bound"])
        .success()
        .err_has("warning: ")
        .err_has("loaded twice");
}

#[test]
fn libraries_of_musl_are_refused() {
    let musl = need("musl-gcc", "musl-tools");
    let dir = Scratch::new();
    // A library that was linked with musl, and a program of glibc's that needs it.
    let source = dir.file(
        "m/x.c",
        "#include <string.h>\nint x(const char *s) { return (int)strlen(s); }",
    );
    let library = dir.join("m/libx.so.1");
    run(Command::new(&musl)
        .args(["-shared", "-fPIC", "-Wl,-soname,libx.so.1", "-o"])
        .args([&library, &source]))
    .success();
    let main = "int x(const char *); int main(void) { return x(\"\"); }";
    let args = [text(&library), "-Wl,--allow-shlib-undefined"];
    let exe = ordinary(&dir.join("p.c"), main, &args);
    let out = dir.join("adopted");
    let m = dir.join("m");
    let libc = "/usr/lib/x86_64-linux-musl";
    adopt([
        "-o",
        text(&out),
        "--lib-dir",
        text(&m),
        "--lib-dir",
        libc,
        text(&exe),
    ])
    .exits(3)
    .err_has("is another C library than glibc")
    .err_has(libc);
    assert!(!out.exists());
    // A program of musl's is no program for a table.
    let source = dir.file(
        "hello.c",
        "int puts(const char *); int main(void) { puts(\"musl\"); return 0; }",
    );
    let program = dir.join("hello");
    run(Command::new(&musl).arg("-o").args([&program, &source])).success();
    run(&mut Command::new(&program)).success().prints("musl\n");
    adopt(["-o", text(&out), text(&program)])
        .exits(1)
        .err_is_one_line()
        .err_has("it is a program of musl");
    assert!(!out.exists());
}

#[test]
fn plugins_with_an_executable_stack_are_refused_from_glibc_2_41_on() {
    let dir = Scratch::new();
    let plugin = shared(
        &dir.join("pl/f.so.c"),
        "int f(void) { return 1; }",
        &["-z", "execstack"],
    );
    let main = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int c, char **v) { puts(dlopen(v[1], RTLD_NOW) ? "opened" : dlerror()); }
"#;
    let exe = ordinary(&dir.join("p.c"), main, &[]);
    let out = dir.join("adopted");
    let (folder, trixie) = (dir.join("pl"), glibc_lib("trixie"));
    adopt(["-o", text(&out), "--plugin-dir", text(&folder), text(&exe)]).success();
    run(Command::new(&out).arg(&plugin))
        .success()
        .prints("opened\n");
    update(&out, &["--lib-dir", text(&trixie)])
        .exits(3)
        .err_has("asks for an executable stack")
        .err_has(text(&plugin));
    run(Command::new(&out).arg(&plugin))
        .success()
        .prints("opened\n");
    // Without being told of the plugin it cannot know; and glibc does as foretold.
    update(&out, &["--lib-dir", text(&trixie), "--no-plugins"]).success();
    run(Command::new(&out).arg(&plugin))
        .success()
        .out_has("executable stack");
    // A new plugin there is told of.
    update(&out, &["--plugin-dir", text(&folder)])
        .success()
        .err_has("warning: ")
        .err_has("asks for an executable stack");
    // The program's own stack is executable already.
    let exe = ordinary(&dir.join("stack.c"), main, &["-z", "execstack"]);
    let out = dir.join("adopted-stack");
    let args = [
        "-o",
        text(&out),
        "--plugin-dir",
        text(&folder),
        "--lib-dir",
        text(&trixie),
    ];
    adopt(args.iter().copied().chain([text(&exe)])).success();
    run(Command::new(&out).arg(&plugin))
        .success()
        .prints("opened\n");
}

#[test]
fn compact_relocations_without_their_version_are_refused() {
    need("ld.lld", "lld");
    let dir = Scratch::new();
    let source =
        "int a, b; int *table[] = { &a, &b, &a, &b }; int main(void) { return !table[1]; }";
    let build = |name: &str, args: &[&str]| {
        ordinary(
            &dir.join(name),
            source,
            &[&["-fuse-ld=lld", "-pie", "-fPIE"], args].concat(),
        )
    };
    let bad = build(
        "bad.c",
        &[
            "-Wl,--pack-dyn-relocs=relr",
            "-Wl,-z,nopack-relative-relocs",
        ],
    );
    let ran = run(&mut Command::new(&bad));
    assert!(
        ran.stderr().contains("DT_RELR without GLIBC_ABI_DT_RELR"),
        "{ran}"
    );
    let out = dir.join("adopted");
    adopt(["-o", text(&out), text(&bad)])
        .exits(3)
        .err_has("GLIBC_ABI_DT_RELR")
        .err_has(text(&bad.with_file_name("adopted")));
    assert!(!out.exists());
    need("ld.bfd", "binutils");
}

/// Nothing is paired that no build of glibc was made to be.
#[test]
fn a_libc_gets_no_ld_so_of_another_build() {
    let dir = Scratch::new();
    let trixie = glibc_lib("trixie");
    std::fs::create_dir(dir.join("lone")).unwrap();
    std::fs::copy(trixie.join("libc.so.6"), dir.join("lone/libc.so.6")).unwrap();
    let main = "#include <gnu/libc-version.h>\n#include <stdio.h>\nint main(void) { puts(gnu_get_libc_version()); }";
    let exe = ordinary(&dir.join("p.c"), main, &[]);
    let out = dir.join("adopted");
    let lone = dir.join("lone");
    let ran = adopt(["-o", text(&out), "--lib-dir", text(&lone), text(&exe)]);
    assert_ne!(ran.code(), Some(0), "{ran}");
    ran.err_is_one_line()
        .err_has("they must be of one build")
        .err_has(text(&lone.join("libc.so.6")))
        .err_has("ld-linux-x86-64.so.2");
    assert!(!out.exists());
    // With its ld.so in another folder that is given it is a pair.
    std::fs::create_dir(dir.join("ldso")).unwrap();
    let ldso = dir.join("ldso/ld-linux-x86-64.so.2");
    std::fs::copy(trixie.join("ld-linux-x86-64.so.2"), &ldso).unwrap();
    let folder: &Path = &dir.join("ldso");
    adopt([
        "-o",
        text(&out),
        "--lib-dir",
        text(&lone),
        "--lib-dir",
        text(folder),
        text(&exe),
    ])
    .success();
    run(&mut Command::new(&out)).success().prints("2.41\n");
}
