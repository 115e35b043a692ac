//! `indir verify --pid` and `--running`: what running processes have that is not
//! their table's.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::program::{indirect, ordinary, shared, table_of, update};
use crate::support::{Ran, Scratch, as_users_do, glibc_lib, indir, run, system_lib};

/// Opens its arguments, says so and waits for a line.
const WAITS: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int foo(void);
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        if (!dlopen(argv[i], RTLD_NOW)) { puts(dlerror()); return 1; }
    puts("ready");
    fflush(stdout);
    return foo() - 1 + (getchar() == EOF);
}
"#;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A process that runs until it is told to end.
struct Running(Child);

impl Running {
    #[track_caller]
    fn start(exe: &Path, args: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(exe);
        command.args(args).envs(variables.iter().copied());
        let command = as_users_do(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn verify(&self, more: &[&str]) -> Ran {
        let pid = self.0.id().to_string();
        run(indir().args(["verify", "--pid", &pid]).args(more))
    }

    /// Exactly one line, about `file`.
    #[track_caller]
    fn finds(&self, kind: &str, file: &Path, why: &str) {
        let ran = self.verify(&[]);
        ran.exits(1)
            .out_has(&format!("{kind} `{}`: ", file.display()))
            .out_has(why)
            .out_has(&format!(" (process {})", self.0.id()));
        assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
    }

    fn end(mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program of lib/libfoo.so, with a table.
struct Tree {
    dir: Scratch,
    exe: PathBuf,
    library: PathBuf,
}

fn libfoo(file: &Path, value: i32) -> PathBuf {
    let source = format!("int foo(void) {{ return {value}; }}");
    shared(file, &source, &["-Wl,-soname,libfoo.so"])
}

impl Tree {
    fn new() -> Self {
        let dir = Scratch::new();
        let library = libfoo(&dir.join("lib/libfoo.so.c"), 1);
        let exe = indirect(&dir.join("bin/p.c"), WAITS, &[text(&library)]);
        let lib = dir.join("lib");
        update(&exe, &["--lib-dir", text(&lib)]);
        Self { dir, exe, library }
    }
}

#[test]
fn a_process_with_what_its_table_names_is_well() {
    let tree = Tree::new();
    for plan in ["direct", "bound"] {
        update(&tree.exe, &["--plan", plan]);
        let running = Running::start(&tree.exe, &[], &[]);
        running
            .verify(&[])
            .success()
            .prints("")
            .err_has("verified 1, wrong 0");
        // What lies in the table's folders is nobody else's.
        running.end();
        let late = shared(&tree.dir.join("lib/liblate.so.c"), "int late;", &[]);
        let running = Running::start(&tree.exe, &[text(&late)], &[]);
        running.verify(&[]).success().prints("");
        running.end();
    }
}

#[test]
fn libraries_that_were_replaced_or_deleted_are_told() {
    let tree = Tree::new();
    let running = Running::start(&tree.exe, &[], &[]);
    // As a package manager does it: a new file under the name.
    let new = libfoo(&tree.dir.join("new.so.c"), 1);
    std::fs::rename(&new, &tree.library).unwrap();
    running.finds("replaced", &tree.library, "start the process again");
    // All there is to say, with or without an update.
    update(&tree.exe, &[]);
    running.finds("replaced", &tree.library, "start the process again");
    let json = running.verify(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.exits(1).stdout()).unwrap();
    let one = &json["executables"][0];
    assert_eq!(one["pid"], running.0.id());
    assert_eq!(one["path"], text(&tree.exe));
    assert_eq!(one["table"], text(&table_of(&tree.exe)));
    assert_eq!(one["findings"][0]["kind"], "replaced");
    running.end();
    let running = Running::start(&tree.exe, &[], &[]);
    running.verify(&[]).success().prints("");
    std::fs::remove_file(&tree.library).unwrap();
    running.finds("replaced", &tree.library, "deleted or replaced");
}

#[test]
fn a_process_from_before_an_update_is_told() {
    let tree = Tree::new();
    let running = Running::start(&tree.exe, &[], &[]);
    let new = libfoo(&tree.dir.join("v2/libfoo.so.c"), 1);
    let v2 = tree.dir.join("v2");
    update(&tree.exe, &["--lib-dir", text(&v2)]);
    running.finds(
        "foreign",
        &tree.library,
        &format!("instead of `{}`", new.display()),
    );
    running.end();
    Running::start(&tree.exe, &[], &[])
        .verify(&[])
        .success()
        .prints("");
}

#[test]
fn library_path_preload_and_plugins_are_told() {
    let tree = Tree::new();
    let other = libfoo(&tree.dir.join("other/libfoo.so.c"), 1);
    let folder = tree.dir.join("other");
    let running = Running::start(&tree.exe, &[], &[("LD_LIBRARY_PATH", text(&folder))]);
    running.finds("foreign", &other, "LD_LIBRARY_PATH names its folder");
    drop(running);
    // Opened beside the table's.
    let running = Running::start(&tree.exe, &[text(&other)], &[]);
    let why = format!("a second libfoo.so beside `{}`", tree.library.display());
    running.finds("foreign", &other, &why);
    drop(running);
    let plugin = shared(&tree.dir.join("plugins/plug.so.c"), "int plug;", &[]);
    let running = Running::start(&tree.exe, &[text(&plugin)], &[]);
    running.finds("foreign", &plugin, "indir update --plugin-dir");
    drop(running);
    let running = Running::start(&tree.exe, &[], &[("LD_PRELOAD", text(&plugin))]);
    running.finds("foreign", &plugin, "LD_PRELOAD names it");
    drop(running);
    let plugins = tree.dir.join("plugins");
    update(&tree.exe, &["--plugin-dir", text(&plugins)]);
    let running = Running::start(&tree.exe, &[text(&plugin)], &[]);
    running.verify(&[]).success().prints("");
}

#[test]
fn two_c_libraries_in_one_process_are_told() {
    let tree = Tree::new();
    let (lib, trixie) = (tree.dir.join("lib"), glibc_lib("trixie"));
    update(
        &tree.exe,
        &["--lib-dir", text(&lib), "--lib-dir", text(&trixie)],
    );
    let running = Running::start(&tree.exe, &[], &[]);
    running.verify(&[]).success().prints("");
    drop(running);
    // Of the same build as the ld.so that runs, under another path.
    let copy = tree.dir.join("copy");
    std::fs::create_dir(&copy).unwrap();
    let second = copy.join("libc.so.6");
    std::fs::copy(trixie.join("libc.so.6"), &second).unwrap();
    let running = Running::start(&tree.exe, &[], &[("LD_PRELOAD", text(&second))]);
    let ran = running.verify(&[]);
    ran.exits(1)
        .out_has(&format!("foreign `{}`: ", second.display()))
        .out_has("libc.so.6");
}

#[test]
fn tables_that_are_gone_or_damaged_are_told() {
    let tree = Tree::new();
    let running = Running::start(&tree.exe, &[], &[]);
    let table = table_of(&tree.exe);
    std::fs::write(&table, "no table").unwrap();
    running.finds("broken", &table, "indir update");
    std::fs::remove_file(&table).unwrap();
    running.finds("missing", &tree.exe, "there is no table");
    let moved = tree.exe.with_file_name("moved");
    std::fs::rename(&tree.exe, &moved).unwrap();
    std::fs::remove_file(&moved).unwrap();
    let ran = running.verify(&[]);
    ran.exits(1)
        .out_has("the executable was deleted or replaced");
}

#[test]
fn what_is_no_process_of_ours_is_said() {
    let dir = Scratch::new();
    let plain = ordinary(
        &dir.join("plain.c"),
        &WAITS
            .replace("foo()", "1")
            .replace("int 1;", "")
            .replace("int foo(void);", ""),
        &[],
    );
    let running = Running::start(&plain, &[], &[]);
    let ran = running.verify(&[]);
    ran.exits(1).out_has("not one of an indirect executable");
    running.end();
    // No process has the number 2^22 or more.
    run(indir().args(["verify", "--pid", "4194305"]))
        .exits(1)
        .out_has("there is no such process");
    run(indir().args(["verify", "--pid", "x"])).exits(2);
    run(indir().args(["verify", "--pid", "1", "--running"])).exits(2);
    run(indir().arg("verify")).exits(2);
}

#[test]
fn all_running_processes_are_found() {
    let tree = Tree::new();
    let running = Running::start(&tree.exe, &[], &[]);
    let second = Running::start(&tree.exe, &[], &[]);
    std::fs::remove_file(&tree.library).unwrap();
    let ran = run(indir().args(["verify", "--running", "--json"]));
    ran.exits(1);
    let json: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    let found = |pid: u32| {
        let all = json["executables"].as_array().unwrap().iter();
        all.clone().find(|one| one["pid"] == pid).cloned().unwrap()
    };
    for process in [&running, &second] {
        let one = found(process.0.id());
        assert_eq!(one["path"], text(&tree.exe));
        assert_eq!(one["findings"][0]["kind"], "replaced");
    }
    // The system's own are not among them.
    assert!(
        !ran.stdout()
            .contains(&format!("\"path\": \"{}/", system_lib().display()))
    );
}
