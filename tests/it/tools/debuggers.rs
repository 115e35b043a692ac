//! gdb, core dumps, valgrind, strace and AddressSanitizer with programs that
//! start through the shim. gdb is never told to load symbols by hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, ordinary, refused_then_updated, shared, update};
use crate::support::subject::Waiting;
use crate::support::{Ran, Scratch, b_flag, need, prefix, run};

/// Calls back from libc's qsort and from a library of its own, thrice.
const CALLBACK: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int through(int (*back)(int), int n);
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static int back(int n) { return n + 1; }
int main(int argc, char **argv) {
    int list[] = {3, 1, 2};
    qsort(list, 3, sizeof *list, compare);
    printf("%d\n", through(back, list[0]));
    if (argc > 1) abort();
}
"#;

struct Callback {
    dir: Scratch,
    exe: PathBuf,
    lib: PathBuf,
}

impl Callback {
    /// With the plan that `indir update` chooses.
    fn new() -> Self {
        Self::with_plan("auto")
    }

    fn with_plan(plan: &str) -> Self {
        let dir = Scratch::new();
        let lib = dir.dir("lib");
        shared(
            &lib.join("libthrough.so.c"),
            "static int up = 0; __attribute__((constructor)) static void starting(void) { up = 1; }\n\
             static __attribute__((noinline)) int inner(int (*back)(int), int n) { return back(n) + up; }\n\
             int through(int (*back)(int), int n) { return inner(back, n) * 10; }\n",
            &["-Wl,-soname,libthrough.so"],
        );
        let folder = lib.to_str().unwrap();
        let exe = indirect(
            &dir.join("callback.c"),
            CALLBACK,
            &["-L", folder, "-lthrough"],
        );
        refused_then_updated(&exe, &["--lib-dir", folder, "--plan", plan]);
        Self { dir, exe, lib }
    }
}

/// Runs gdb in batch mode; nothing of the user's, nothing from the network.
pub(crate) fn gdb(exe: &Path, more: &[&str], commands: &[&str]) -> Ran {
    let mut command = Command::new(need("gdb", "gdb"));
    command.args(["-nx", "-batch", "-ex", "set pagination off"]);
    command.args(["-ex", "set breakpoint pending on", "-ex", "set width 0"]);
    command
        .env("HOME", "/nonexistent")
        .env_remove("DEBUGINFOD_URLS");
    for line in commands {
        command.args(["-ex", line]);
    }
    run(command.arg(exe).args(more))
}

#[test]
fn gdb_breaks_in_main_and_lists_libraries() {
    for plan in ["direct", "bound"] {
        let program = Callback::with_plan(plan);
        let ran = gdb(
            &program.exe,
            &[],
            &["break main", "run", "info sharedlibrary", "bt", "continue"],
        );
        ran.success()
            .out_has("Breakpoint 1, main (argc=1")
            .out_has(&format!("{}/libthrough.so", program.lib.display()))
            .out_has("libc.so.6")
            .out_has("ld-linux-x86-64.so.2")
            .out_has("exited normally");
        let listed = ran.stdout();
        let missing = listed
            .lines()
            .find(|line| line.contains(".so") && line.contains(" No "));
        assert!(missing.is_none(), "{ran}");
    }
}

#[test]
fn gdb_shows_backtraces_through_libraries() {
    for plan in ["direct", "bound"] {
        let program = Callback::with_plan(plan);
        let ran = gdb(
            &program.exe,
            &[],
            &[
                "break compare",
                "run",
                "bt",
                "delete",
                "break back",
                "continue",
                "bt",
            ],
        );
        let out = ran.success().out_has("qsort").stdout();
        assert!(!out.contains("?? ()"), "{ran}");
        let order = [
            "compare (",
            "qsort",
            "main (",
            "back (",
            "inner (",
            "through (",
            "main (",
        ];
        let mut rest = out.as_str();
        for name in order {
            // Only lines of backtraces.
            let at = rest
                .match_indices(name)
                .map(|(at, _)| at)
                .find(|&at| {
                    rest[..at]
                        .rfind('\n')
                        .is_some_and(|line| rest[line + 1..].starts_with('#'))
                })
                .unwrap_or_else(|| panic!("no frame of {name}: {ran}"));
            rest = &rest[at..];
        }
    }
}

#[test]
fn gdb_breakpoints_set_before_run_hold_in_libraries() {
    for plan in ["direct", "bound"] {
        let program = Callback::with_plan(plan);
        // One in a constructor, which runs before main.
        let ran = gdb(
            &program.exe,
            &[],
            &[
                "break starting",
                "break through",
                "break qsort",
                "run",
                "bt 1",
                "continue",
                "continue",
                "bt",
            ],
        );
        let out = ran
            .success()
            .out_has("Breakpoint 1, starting (")
            .out_has("Breakpoint 2, through (")
            .out_has("Breakpoint 3, ")
            .stdout();
        let at = |text: &str| out.find(text).unwrap();
        assert!(at("Breakpoint 1, ") < at("Breakpoint 3, "), "{ran}");
        assert!(at("Breakpoint 3, ") < at("Breakpoint 2, "), "{ran}");
    }
}

#[test]
fn gdb_with_our_script_sees_what_dlopen_loads() {
    let dir = Scratch::new();
    let plugin = shared(
        &dir.join("libplug.so.c"),
        "int plug(int n) { return n + 1; }",
        &[],
    );
    let source = "#include <dlfcn.h>\n#include <stdio.h>\nint main(int argc, char **argv) { \
                  void *h = dlopen(argv[1], RTLD_NOW); int n = ((int (*)(int))dlsym(h, \"plug\"))(41); \
                  printf(\"%d\\n\", n); return dlclose(h); }";
    let exe = indirect(&dir.join("open.c"), source, &[]);
    refused_then_updated(&exe, &[]);
    let script = format!("source {}", prefix().join("share/indir/gdb.py").display());
    let run_line = format!("run {}", plugin.display());
    let ran = gdb(
        &exe,
        &[],
        &[&script, "break plug", &run_line, "bt", "continue"],
    );
    let out = ran
        .success()
        .out_has("Breakpoint 1, plug (n=41)")
        .out_has("in main (")
        .out_has("exited normally")
        .stdout();
    assert!(!out.contains("?? ()"), "{ran}");
    // An ordinary program is debugged as ever.
    let plain = ordinary(&dir.join("plain/open.c"), source, &[]);
    gdb(&plain, &[], &[&script, "break plug", &run_line, "continue"])
        .success()
        .out_has("Breakpoint 1, plug (n=41)")
        .out_has("exited normally");
}

#[test]
fn gdb_attaches() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    shared(
        &lib.join("libwait.so.c"),
        "#include <unistd.h>\nvoid library_waits(void) { write(1, \"ready\\n\", 6); for (;;) pause(); }",
        &["-Wl,-soname,libwait.so"],
    );
    // Where Yama allows tracing of children only, the program opts in.
    let source = "#include <sys/prctl.h>\nvoid library_waits(void);\n\
                  int main(void) { prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY); library_waits(); }";
    let folder = lib.to_str().unwrap();
    let exe = indirect(&dir.join("wait.c"), source, &["-L", folder, "-lwait"]);
    refused_then_updated(&exe, &["--lib-dir", folder]);
    let child = Waiting::start(&exe, &[]);
    let pid = child.pid();
    let ran = gdb(
        Path::new("-p"),
        &[&pid],
        &["bt", "info sharedlibrary", "detach"],
    );
    let out = ran
        .success()
        .out_has("library_waits (")
        .out_has("main (")
        .out_has("libwait.so")
        .out_has("libc.so.6")
        .stdout();
    assert!(!out.contains("?? ()"), "{ran}");
}

#[test]
fn a_core_dump_opens_in_gdb() {
    for plan in ["direct", "bound"] {
        let program = Callback::with_plan(plan);
        // gcore of gdb, from a stopped program: the kernel's own core files go
        // where kernel.core_pattern says, which may be a program.
        let core = program.dir.join("core");
        let generate = format!("generate-core-file {}", core.display());
        gdb(&program.exe, &[], &["break back", "run", &generate, "kill"]).success();
        let core = core.to_str().unwrap();
        let ran = gdb(&program.exe, &[core], &["bt", "info sharedlibrary"]);
        let out = ran
            .success()
            .out_has("back (")
            .out_has("through (")
            .out_has("main (")
            .out_has("libthrough.so")
            .out_has("libc.so.6")
            .stdout();
        assert!(!out.contains("?? ()"), "{ran}");
    }
}

/// The core file that the kernel writes when `exe abort` does; `None` where
/// kernel.core_pattern gives it to a program, which CI must not.
pub(crate) fn kernels_core(dir: &Scratch, exe: &Path) -> Option<PathBuf> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let pattern = pattern.trim();
    assert!(
        std::env::var_os("CI").is_none() || pattern == "core",
        "kernel.core_pattern is `{pattern}`: run `sysctl kernel.core_pattern=core`"
    );
    let folder = tempfile::tempdir_in(dir.path()).unwrap().keep();
    let dumped = run(Command::new("sh")
        .current_dir(&folder)
        .arg("-c")
        .arg("ulimit -c unlimited; \"$0\" abort; exit 0")
        .arg(exe));
    dumped.success();
    let core = std::fs::read_dir(folder).unwrap().next();
    assert!(
        core.is_some() || pattern != "core",
        "no core file: {dumped}"
    );
    core.map(|entry| entry.unwrap().path())
}

#[test]
fn the_kernels_core_dump_opens_in_gdb() {
    let program = Callback::new();
    let Some(core) = kernels_core(&program.dir, &program.exe) else {
        return;
    };
    let ran = gdb(
        &program.exe,
        &[core.to_str().unwrap()],
        &["bt", "info sharedlibrary"],
    );
    let out = ran
        .success()
        .out_has("abort (")
        .out_has("main (")
        .out_has("libthrough.so")
        .stdout();
    assert!(!out.contains("?? ()"), "{ran}");
}

#[test]
fn gdb_follows_a_non_pie_and_a_fork() {
    let dir = Scratch::new();
    let source = "#include <stdlib.h>\n#include <sys/wait.h>\n#include <unistd.h>\n\
                  static void in_child(void) { _exit(0); }\n\
                  int main(void) { if (fork() == 0) in_child(); wait(0); }";
    let exe = indirect(&dir.join("fork.c"), source, &["-no-pie"]);
    refused_then_updated(&exe, &[]);
    gdb(
        &exe,
        &[],
        &[
            "set follow-fork-mode child",
            "break in_child",
            "run",
            "bt",
            "info sharedlibrary",
        ],
    )
    .success()
    .out_has("in_child (")
    .out_has("main (")
    .out_has("libc.so.6");
}

#[test]
fn strace_shows_the_program() {
    let program = Callback::new();
    let strace = need("strace", "strace");
    run(Command::new(strace)
        .args(["-f", "-e", "trace=openat,write"])
        .arg(&program.exe))
    .success()
    .prints("30\n")
    .err_has("libthrough.so")
    .err_has("write(1, \"30\\n\"");
}

#[test]
fn valgrind_runs_it_and_finds_what_it_finds() {
    let valgrind = need("valgrind", "valgrind libc6-dbg");
    let program = Callback::new();
    let grind = |exe: &Path, args: &[&str]| {
        run(Command::new(&valgrind)
            .args([
                "--error-exitcode=9",
                "--leak-check=full",
                "--errors-for-leak-kinds=definite",
            ])
            .arg(exe)
            .args(args))
    };
    let bound = Callback::with_plan("bound");
    for exe in [&program.exe, &bound.exe] {
        grind(exe, &[])
            .success()
            .prints("30\n")
            .err_has("ERROR SUMMARY: 0 errors");
    }
    let source = "#include <stdlib.h>\n#include <string.h>\n\
                  __attribute__((noinline)) static void leaks(void) { volatile char *p = malloc(77); p[0] = 1; p = 0; }\n\
                  int main(int argc, char **argv) { leaks(); char *p = malloc(8); free(p); return argc > 1 ? *p : 0; }";
    let exe = indirect(&program.dir.join("leaks.c"), source, &["-O0"]);
    refused_then_updated(&exe, &[]);
    grind(&exe, &[])
        .exits(9)
        .err_has("definitely lost: 77 bytes")
        .err_has("leaks (leaks.c:3)");
    grind(&exe, &["read"])
        .exits(9)
        .err_has("Invalid read of size 1");
}

/// Builds with `-fsanitize=address`, and sees a good run and a caught error.
fn address_sanitizer(compiler: &str, flags: &[&str]) {
    let dir = Scratch::new();
    let source = dir.file(
        "asan.c",
        "#include <stdio.h>\n#include <stdlib.h>\n\
         int main(int argc, char **argv) { char *p = malloc(8); free(p); puts(\"ran\"); return argc > 1 ? p[argc] : 0; }\n",
    );
    let exe = dir.join("asan");
    run(Command::new(compiler)
        .args(["-g", "-fsanitize=address", &b_flag()])
        .args(flags)
        .arg("-o")
        .arg(&exe)
        .arg(source))
    .success();
    // Without a table it is an ordinary program.
    run(&mut Command::new(&exe)).success().prints("ran\n");
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        run(&mut Command::new(&exe)).success().prints("ran\n");
        let caught = run(Command::new(&exe).arg("fault"));
        assert_ne!(caught.code(), Some(0));
        caught.err_has("heap-use-after-free").err_has("main");
    }
}

#[test]
fn address_sanitizer_of_gcc() {
    need("gcc", "gcc");
    address_sanitizer("gcc", &[]);
    address_sanitizer("gcc", &["-no-pie", "-static-libasan"]);
}

#[test]
fn address_sanitizer_of_clang() {
    need("clang", "clang libclang-rt-14-dev");
    address_sanitizer("clang", &[]);
}

#[test]
fn undefined_behaviour_sanitizer_and_coverage_run() {
    let dir = Scratch::new();
    let source = "#include <stdio.h>\nint main(int argc, char **argv) { int n = 2147483647; n += argc; return puts(\"ran\") < 0; }";
    let exe = indirect(
        &dir.join("ub.c"),
        source,
        &["-fsanitize=undefined", "--coverage"],
    );
    refused_then_updated(&exe, &[]);
    run(Command::new(&exe).current_dir(dir.path()))
        .success()
        .prints("ran\n")
        .err_has("signed integer overflow");
    assert!(
        std::fs::read_dir(dir.path()).unwrap().any(|entry| entry
            .unwrap()
            .path()
            .extension()
            .is_some_and(|e| e == "gcda")),
        "no coverage data"
    );
}

#[test]
fn gdb_follows_exec_of_an_ordinary_program() {
    let dir = Scratch::new();
    let plain = ordinary(&dir.join("plain.c"), "int main(void) { return 3; }", &[]);
    let source =
        "#include <unistd.h>\nint main(int argc, char **argv) { return execv(argv[1], argv + 1); }";
    let exe = indirect(&dir.join("exec.c"), source, &[]);
    update(&exe, &[]);
    let run_line = format!("run {}", plain.display());
    gdb(&exe, &[], &[&run_line, "info sharedlibrary"])
        .success()
        .out_has("exited with code 03");
}
