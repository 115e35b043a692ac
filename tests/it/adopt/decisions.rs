//! What `indir adopt` takes for a program, which ld.so it takes, and what it keeps of
//! the original's place.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::program::{ordinary, shared};
use crate::support::{Scratch, cc, glibc_lib, indir, need, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_programs_own_interpreter_is_taken() {
    let dir = Scratch::new();
    let trixie = glibc_lib("trixie");
    std::fs::create_dir(dir.join("lib")).unwrap();
    std::fs::copy(trixie.join("libc.so.6"), dir.join("lib/libc.so.6")).unwrap();
    std::fs::create_dir(dir.join("ldso")).unwrap();
    // Not beside libc.so.6, and not by its usual name.
    let ldso = dir.join("ldso/ld.so");
    std::fs::copy(trixie.join("ld-linux-x86-64.so.2"), &ldso).unwrap();
    let source = "#include <stdio.h>\n#include <gnu/libc-version.h>\nint main(void) { puts(gnu_get_libc_version()); }";
    let interpreter = format!("-Wl,-dynamic-linker={}", ldso.display());
    let rpath = format!("-Wl,-rpath,{}", dir.join("lib").display());
    let exe = ordinary(&dir.join("p.c"), source, &[&interpreter, &rpath]);
    run(&mut Command::new(&exe)).success().prints("2.41\n");
    let out = dir.join("adopted");
    adopt(["-o", text(&out), text(&exe)]).success();
    for plan in ["direct", "bound"] {
        run(indir().arg("update").args(["--plan", plan]).arg(&out)).success();
        run(&mut Command::new(&out)).success().prints("2.41\n");
        let shown = run(indir().arg("show").arg(&out));
        shown
            .success()
            .out_has(&format!("ld.so       {}\n", ldso.display()));
        run(indir().arg("verify").arg(&out)).success().prints("");
    }
    // A folder that is given brings its own.
    let sid = glibc_lib("sid");
    run(indir()
        .arg("update")
        .args(["--lib-dir", text(&sid)])
        .arg(&out))
    .success();
    let shown = run(indir().arg("show").arg(&out));
    shown.success().out_has(&format!(
        "ld.so       {}/ld-linux-x86-64.so.2\n",
        sid.display()
    ));
    run(&mut Command::new(&out)).success();
}

#[test]
fn a_shared_library_with_an_interpreter_is_no_program() {
    let dir = Scratch::new();
    let source = "const char path[] __attribute__((section(\".interp\"))) = \"/lib64/ld-linux-x86-64.so.2\"; int f(void) { return path[0]; }";
    let library = dir.file("l.c", source);
    let out = dir.join("libl.so");
    let args = [
        "-shared",
        "-fPIC",
        "-Wl,-soname,libl.so",
        "-Wl,-e,0",
        "-o",
        text(&out),
        text(&library),
    ];
    cc(args);
    let target = dir.join("adopted");
    adopt(["-o", text(&target), text(&out)])
        .exits(1)
        .err_is_one_line()
        .err_has("it is a shared library");
    assert!(!target.exists());
    // libc.so.6 can be run, and stays what it is.
    let libc = crate::support::system_lib().join("libc.so.6");
    let ran = run(&mut Command::new(&libc));
    adopt(["-o", text(&target), text(&libc)]).success();
    run(&mut Command::new(&target))
        .success()
        .prints(&ran.success().stdout());
}

#[test]
fn the_folder_of_the_original_is_kept_where_the_new_one_lacks_it() {
    for path in [
        "$ORIGIN",
        "$ORIGIN/.",
        "$ORIGIN/lib",
        "$ORIGIN/../app",
        "${ORIGIN}",
    ] {
        let dir = Scratch::new();
        let source = "int f(void) { return 7; }";
        let library = shared(&dir.join("app/libf.so.c"), source, &["-Wl,-soname,libf.so"]);
        let opened = "int g(void) { return 1; }";
        shared(&dir.join("app/libg.so.c"), opened, &["-Wl,-soname,libg.so"]);
        std::fs::create_dir(dir.join("app/lib")).unwrap();
        for name in ["libf.so", "libg.so"] {
            std::fs::copy(dir.join("app").join(name), dir.join("app/lib").join(name)).unwrap();
        }
        let main = "#include <dlfcn.h>\nint f(void); int main(void) { return dlopen(\"libg.so\", RTLD_NOW) ? f() : 1; }";
        let rpath = format!("-Wl,-rpath,{path}");
        let exe = ordinary(&dir.join("app/p.c"), main, &[text(&library), &rpath]);
        run(&mut Command::new(&exe)).exits(7);
        let out = dir.dir("out");
        adopt(["-o", text(&out), text(&exe)]).success();
        let adopted = out.join("p");
        run(&mut Command::new(&adopted)).exits(7);
        run(indir()
            .arg("update")
            .args(["--plan", "bound"])
            .arg(&adopted))
        .success();
        run(&mut Command::new(&adopted)).exits(7);
        // A copy of the whole folder has its own.
        let copy = dir.dir("copy");
        for name in ["libf.so", "libg.so"] {
            std::fs::copy(dir.join("app").join(name), copy.join(name)).unwrap();
        }
        if path == "$ORIGIN" {
            let own = "int f(void) { return 8; }";
            shared(&copy.join("libf.so.c"), own, &["-Wl,-soname,libf.so"]);
            adopt(["-o", text(&copy), text(&exe)]).success();
            run(&mut Command::new(copy.join("p"))).exits(8);
        }
    }
}

#[test]
fn a_privileged_program_that_could_not_start_is_refused() {
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "privileged programs are tested as root"
    );
    const SOURCE: &str = "#include <unistd.h>\nint main(void) { return geteuid() ? 1 : 0; }";
    // On a path that is root's alone.
    let dir = tempfile::Builder::new()
        .prefix("indir-it-")
        .tempdir_in("/usr/local/lib")
        .unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap()
    };
    mode(dir.path(), 0o755);
    let prefix = dir.path().join("prefix");
    run(indir().arg("setup").arg("--prefix").arg(&prefix)).success();
    let adopt = |args: &[&str]| {
        run(Command::new(prefix.join("bin/indir"))
            .arg("adopt")
            .args(args))
    };
    let scratch = Scratch::new();
    let original: PathBuf = ordinary(&scratch.join("tool.c"), SOURCE, &[]);
    let tool = dir.path().join("service/tool");
    std::fs::create_dir(tool.parent().unwrap()).unwrap();
    std::fs::copy(&original, &tool).unwrap();
    mode(&tool, 0o4755);
    let setpriv = need("setpriv", "util-linux");
    let start = || {
        run(Command::new(&setpriv)
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .arg(&tool))
    };
    start().success();
    let bytes = std::fs::read(&tool).unwrap();
    // A folder of a service's user, as Debian's mariadb-server has one.
    let folder = tool.parent().unwrap().to_owned();
    std::os::unix::fs::chown(&folder, Some(65534), None).unwrap();
    adopt(&["--in-place", text(&tool)])
        .exits(1)
        .err_is_one_line()
        .err_has("it is privileged")
        .err_has(text(&folder));
    assert_eq!(std::fs::read(&tool).unwrap(), bytes);
    assert!(!folder.join(".indir").exists());
    start().success();
    // A library in such a folder.
    std::os::unix::fs::chown(&folder, Some(0), None).unwrap();
    let given = dir.path().join("given");
    std::fs::create_dir(&given).unwrap();
    std::os::unix::fs::chown(&given, Some(65534), None).unwrap();
    for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        std::fs::copy(glibc_lib("trixie").join(name), given.join(name)).unwrap();
    }
    adopt(&["--in-place", "--lib-dir", text(&given), text(&tool)])
        .exits(1)
        .err_has("it is privileged")
        .err_has(text(&given));
    start().success();
    // Where all is root's it is adopted, starts, and comes back.
    adopt(&["--in-place", text(&tool)]).success();
    start().success();
    adopt(&["--undo", text(&tool)]).success();
    assert_eq!(std::fs::read(&tool).unwrap(), bytes);
    start().success();
}
