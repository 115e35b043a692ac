//! What people do in gdb beyond a backtrace: threads, thread-local storage,
//! exceptions, `step` into libraries, gdbserver, attaching. Direct, bound and
//! adopted, under the machine's glibc and under another.

use std::path::Path;
use std::process::Command;

use super::debuggers::gdb;
use crate::support::program::{Twins, indirect, update};
use crate::support::subject::{Subject, Waiting, Way};
use crate::support::{Ran, Scratch, indir, need, prefix, run};

/// gdb loads the libthread_db of the program's glibc if it may.
const ANY_THREAD_DB: &str = "set auto-load safe-path /";

fn script() -> String {
    format!("source {}", prefix().join("share/indir/gdb.py").display())
}

/// No frame of a backtrace without a name.
#[track_caller]
fn all_named(ran: &Ran, way: &Way) {
    let out = ran.stdout();
    let mut frames = out.lines().filter(|line| line.starts_with('#'));
    assert!(
        !frames.any(|line| line.contains("?? (")),
        "{}: {ran}",
        way.name
    );
}

#[test]
fn gdb_shows_threads_and_thread_local_storage() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let commands = [
            ANY_THREAD_DB,
            "break worker",
            "run",
            "info threads",
            "bt",
            "print mine",
            "info sharedlibrary",
            "continue",
        ];
        let ran = gdb(&way.exe, &[], &commands);
        let library = way.libc.join("libthread_db.so.1");
        ran.success()
            .out_has(&format!(
                "Using host libthread_db library \"{}\"",
                library.display()
            ))
            .out_has("hit Breakpoint 1, worker (")
            .out_has("  1    Thread ")
            .out_has("* 2    Thread ")
            .out_has("start_thread (")
            .out_has("$1 = 7")
            .out_has(&format!("{}/libc.so.6", way.libc.display()))
            .out_has("libsubject.so")
            .out_has("exited normally");
        all_named(&ran, way);
    }
}

#[test]
fn gdb_attaches_to_threads() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let waiting = Waiting::start(&way.exe, &["wait"]);
        let ran = gdb(
            Path::new("-p"),
            &[&waiting.pid()],
            &[
                ANY_THREAD_DB,
                "thread apply all bt",
                "info sharedlibrary",
                "detach",
            ],
        );
        for frame in [
            "waits (",
            "start_thread (",
            "forever (",
            "lib_call (",
            "main (",
        ] {
            ran.success().out_has(frame);
        }
        ran.out_has(&format!("{}/libc.so.6", way.libc.display()));
        all_named(&ran, way);
    }
}

#[test]
fn gdb_catches_exceptions() {
    let dir = Scratch::new();
    let source = "#include <cstdio>\n#include <stdexcept>\n\
                  __attribute__((noinline)) static void thrower() { throw std::runtime_error(\"over\"); }\n\
                  int main() { try { thrower(); } catch (std::exception &e) { puts(e.what()); } }";
    let twins = Twins::new(&dir, "throw.cc", source, &[]);
    for exe in [&twins.ordinary, &twins.indirect, &twins.bound] {
        gdb(
            exe,
            &[],
            &[
                "catch throw",
                "catch catch",
                "run",
                "bt",
                "continue",
                "bt",
                "continue",
            ],
        )
        .success()
        .out_has("Catchpoint 1 (exception thrown)")
        .out_has("__cxa_throw ()")
        .out_has("thrower ()")
        .out_has("Catchpoint 2 (exception caught)")
        .out_has("main ()")
        .out_has("exited normally");
    }
}

/// `step` where `calls` calls into a library and `reads` into libc.
fn steps(exe: &Path, first: &str) -> Ran {
    let commands = [
        ANY_THREAD_DB,
        first,
        "break reads",
        "break calls",
        "run",
        "step",
        "continue",
        "step",
        "bt",
    ];
    gdb(exe, &[], &commands)
}

#[test]
fn gdb_steps_into_libraries() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        // A function that ld.so has yet to bind is reached through it, which gdb
        // knows for the real ld.so: our script tells it, immediate binding and
        // bound plans need no telling.
        let told = if way.bound || way.name == "ordinary" {
            vec!["show confirm".to_owned()]
        } else {
            vec!["set environment LD_BIND_NOW=1".to_owned(), script()]
        };
        for first in told {
            let ran = steps(&way.exe, &first);
            ran.success()
                .out_has("atoi (nptr=")
                .out_has("lib_call (back=")
                .out_has("calls (n=41)");
            assert!(!ran.stdout().contains("_dl_runtime_resolve"), "{ran}");
        }
    }
}

#[test]
fn gdb_with_our_script_follows_adopted_programs_and_second_runs() {
    let dir = Scratch::new();
    let plugin = crate::support::program::shared(
        &dir.join("libplug.so.c"),
        "int plug(int n) { return n + 1; }",
        &[],
    );
    let source = "#include <dlfcn.h>\nint main(int argc, char **argv) { for (int n = 40; n < 42; n++) { \
                  void *h = dlopen(argv[1], RTLD_NOW); ((int (*)(int))dlsym(h, \"plug\"))(n); dlclose(h); } }";
    let exe = indirect(&dir.join("linked.c"), source, &[]);
    update(&exe, &["--plan", "direct"]);
    let plain = crate::support::program::ordinary(&dir.join("plain.c"), source, &[]);
    let adopted = dir.join("adopted");
    run(Command::new(prefix().join("bin/indir"))
        .arg("adopt")
        .arg(plain)
        .arg("-o")
        .arg(&adopted))
    .success();
    for exe in [exe, adopted] {
        let run_line = format!("run {}", plugin.display());
        // Loaded, unloaded and loaded again, with a stop in between.
        let ran = gdb(
            &exe,
            &[],
            &[
                &script(),
                "break plug",
                &run_line,
                "bt",
                "continue",
                "continue",
                &run_line,
                "bt",
            ],
        );
        let out = ran.success().out_has("exited normally").stdout();
        assert_eq!(out.matches("Breakpoint 1, plug (n=40)").count(), 2, "{ran}");
        assert_eq!(out.matches("Breakpoint 1, plug (n=41)").count(), 1, "{ran}");
        assert!(!out.contains("?? ("), "{ran}");
    }
}

#[test]
fn gdb_starts_programs_without_a_shell() {
    let subject = Subject::new();
    for way in subject.ways() {
        let commands = [
            "set startup-with-shell off",
            "set args abort",
            "run",
            "info sharedlibrary",
            "bt",
        ];
        gdb(&way.exe, &[], &commands)
            .success()
            .out_has("SIGABRT")
            .out_has("libsubject.so")
            .out_has("main (argc=2");
    }
}

#[test]
fn gdbserver_serves() {
    let server = need("gdbserver", "gdbserver");
    let subject = Subject::new();
    for way in subject.ways() {
        let target = format!(
            "target remote | {} --once - {}",
            server.display(),
            way.exe.display()
        );
        let commands = [
            "set sysroot /",
            &target,
            "break worker",
            "break lib_call",
            "continue",
            "info threads",
            "continue",
            "bt",
            "info sharedlibrary",
            "continue",
        ];
        let ran = gdb(&way.exe, &[], &commands);
        ran.success()
            .out_has("hit Breakpoint 1, worker (")
            .out_has("* 2    Thread ")
            .out_has("hit Breakpoint 2, lib_call (")
            .out_has("main (")
            .out_has("libc.so.6")
            .out_has("exited normally");
        all_named(&ran, way);
    }
}

#[test]
fn gdb_debugs_after_an_update() {
    // A breakpoint file, `rerun` and symbols survive a table that names another
    // glibc: nothing in the executable changed.
    let subject = Subject::with_another_glibc();
    let exe = &subject.way("direct").exe;
    let other = &subject.way("direct, glibc 2.41").libc;
    let again = format!(
        "shell {:?} update {} --lib-dir {} --lib-dir {} >/dev/null",
        indir().get_program(),
        exe.display(),
        other.display(),
        subject.lib.display()
    );
    let commands = [
        ANY_THREAD_DB,
        "break calls",
        "run",
        "info sharedlibrary",
        "kill",
        &again,
        "run",
        "info sharedlibrary",
        "continue",
    ];
    let ran = gdb(exe, &[], &commands);
    let out = ran.success().out_has("exited normally").stdout();
    let of = |libc: &Path| out.find(&format!("{}/libc.so.6", libc.display()));
    let (first, second) = (of(&subject.ordinary.libc), of(other));
    assert!(first.is_some() && first < second, "{ran}");
}
