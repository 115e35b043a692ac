//! lldb, which finds libraries in its own way: breakpoints in constructors and
//! libraries, threads, `step` through a late binding, attaching.

use std::path::Path;
use std::process::Command;

use crate::support::program::{indirect, shared, update};
use crate::support::subject::{Subject, Waiting, Way};
use crate::support::{Ran, Scratch, need, run};

fn lldb(args: &[&str], exe: Option<&Path>, commands: &[&str]) -> Ran {
    let mut command = Command::new(need("lldb-14", "lldb-14"));
    command.args(["--no-lldbinit", "--batch"]).args(args);
    for line in commands {
        command.args(["-o", line]);
    }
    run(command.env("HOME", "/nonexistent").args(exe))
}

#[test]
fn lldb_stops_in_libraries_and_steps_into_them() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let commands = [
            "breakpoint set -n starting",
            "breakpoint set -n worker",
            "breakpoint set -n reads",
            "breakpoint set -n calls",
            "run",
            "continue",
            "thread backtrace all",
            "continue",
            "step",
            "bt",
            "continue",
            "step",
            "bt",
            "image list -f",
        ];
        let ran = lldb(&[], Some(&way.exe), &commands);
        for text in [
            "libsubject.so`starting at ",
            "subject`worker(",
            "libc.so.6`start_thread",
            "atoi(nptr=\"41\")",
            "subject`reads at ",
            "libsubject.so`lib_call(back=",
            "subject`calls(n=41)",
            &path_of_libc(way),
        ] {
            assert!(ran.stdout().contains(text), "{}: {text}: {ran}", way.name);
        }
    }
}

#[test]
fn lldb_attaches_to_threads() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let waiting = Waiting::start(&way.exe, &["wait"]);
        let commands = ["thread backtrace all", "image list -f", "detach"];
        let ran = lldb(&["-p", &waiting.pid()], None, &commands);
        for text in [
            "subject`waits(",
            "libc.so.6`start_thread",
            "subject`forever(",
            "libsubject.so`lib_call(",
            "subject`main(",
            &path_of_libc(way),
        ] {
            assert!(ran.stdout().contains(text), "{}: {text}: {ran}", way.name);
        }
    }
}

#[test]
fn lldb_attached_sees_what_dlopen_loads() {
    let dir = Scratch::new();
    let plugin = shared(
        &dir.join("libplug.so.c"),
        "int plug(int n) { return n + 1; }",
        &[],
    );
    let source = "#include <dlfcn.h>\n#include <stdio.h>\n#include <sys/prctl.h>\n#include <unistd.h>\n\
                  volatile int go; int main(int argc, char **argv) { prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);\n\
                  puts(\"ready\"); fflush(stdout); while (!go) usleep(10000); void *h = dlopen(argv[1], RTLD_NOW);\n\
                  return ((int (*)(int))dlsym(h, \"plug\"))(41); }";
    let exe = indirect(&dir.join("opens.c"), source, &[]);
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        let waiting = Waiting::start(&exe, &[plugin.to_str().unwrap()]);
        let commands = [
            "breakpoint set -n plug",
            "expression go = 1",
            "continue",
            "bt",
            "kill",
        ];
        let ran = lldb(&["-p", &waiting.pid()], None, &commands);
        ran.out_has("libplug.so`plug(n=41)").out_has("opens`main(");
    }
}

fn path_of_libc(way: &Way) -> String {
    format!("{}/libc.so.6", way.libc.display())
}
