//! Tracers, profilers and checkers from outside: they report of an indirect
//! program what they report of the ordinary one.

use std::path::Path;
use std::process::Command;

use crate::support::program::Twins;
use crate::support::subject::{PRINTS, Subject, Waiting, Way};
use crate::support::{Ran, Scratch, need, run};

/// `tool ARGS… EXE what`, which must succeed.
#[track_caller]
fn tool(tool: (&str, &str), args: &[&str], way: &Way, what: &[&str]) -> Ran {
    let mut command = Command::new(need(tool.0, tool.1));
    let ran = run(command.args(args).arg(&way.exe).args(what));
    assert!(ran.code() == Some(0), "{}: {ran}", way.name);
    ran
}

#[test]
fn ltrace_shows_calls_of_libraries() {
    let subject = Subject::with_another_glibc();
    // ltrace puts its breakpoints into the PLT, which a bound program calls
    // through as ever.
    let calls = |way: &Way| -> Vec<String> {
        let ran = tool(("ltrace", "ltrace"), &[], way, &[]);
        let err = ran.stderr();
        let names = err.lines().filter_map(|line| line.split_once('('));
        names.map(|(name, _)| name.to_owned()).collect()
    };
    let expected = calls(&subject.ordinary);
    for name in ["pthread_create", "atoi", "lib_call", "printf"] {
        assert!(expected.iter().any(|call| call == name), "{expected:?}");
    }
    for way in &subject.indirect {
        assert_eq!(calls(way), expected, "{}", way.name);
    }
}

#[test]
fn strace_follows_threads() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let ran = tool(
            ("strace", "strace"),
            &["-f", "-e", "trace=openat,clone,clone3,write"],
            way,
            &[],
        );
        ran.prints(PRINTS)
            .err_has("libsubject.so\", O_RDONLY|O_CLOEXEC")
            .err_has(&format!("\"{}/libc.so.6\"", way.libc.display()))
            .err_has("clone")
            .err_has("[pid ")
            .err_has("write(1, \"43\\n\"")
            .err_has("+++ exited with 0 +++");
    }
}

/// Lines of valgrind's report without the process id.
fn report(ran: &Ran) -> Vec<String> {
    let err = ran.stderr();
    let lines = err.lines().filter_map(|line| line.split_once("== "));
    lines.map(|(_, text)| text.trim().to_owned()).collect()
}

#[test]
fn valgrind_counts_the_same_leaks() {
    let subject = Subject::with_another_glibc();
    let args = ["--leak-check=full", "--show-leak-kinds=all"];
    let counts = |way: &Way, glibc_too: bool| -> Vec<String> {
        let ran = tool(("valgrind", "valgrind libc6-dbg"), &args, way, &["leak"]);
        ran.prints(PRINTS).err_has("by 0x").err_has("leaks (");
        let wanted = |line: &&String| {
            let own = ["definitely lost:", "ERROR SUMMARY:"];
            let all = [
                "total heap usage",
                "in use at exit",
                " lost: ",
                "reachable:",
            ];
            own.iter().any(|text| line.contains(text))
                || (glibc_too && all.iter().any(|text| line.contains(text)))
        };
        report(&ran).iter().filter(wanted).cloned().collect()
    };
    let expected = counts(&subject.ordinary, true);
    let lost = "definitely lost: 77 bytes in 1 blocks".to_owned();
    assert!(expected.contains(&lost), "{expected:?}");
    let own = counts(&subject.ordinary, false);
    for way in &subject.indirect {
        // Another glibc may allocate otherwise by itself.
        let same = way.libc == subject.ordinary.libc;
        let expected = if same { &expected } else { &own };
        assert_eq!(&counts(way, same), expected, "{}", way.name);
    }
}

/// Instructions that callgrind counted in functions of the program and of its
/// library.
fn instructions(subject: &Subject, way: &Way) -> Vec<(String, u64)> {
    let file = subject.dir.join("callgrind.out");
    let out = format!("--callgrind-out-file={}", file.display());
    let args = ["--tool=callgrind", &out];
    tool(("valgrind", "valgrind libc6-dbg"), &args, way, &[]).prints(PRINTS);
    let annotate = need("callgrind_annotate", "valgrind");
    let ran = run(Command::new(annotate)
        .args(["--threshold=100", "--auto=no"])
        .arg(&file));
    let names = ["main", "calls", "lib_call", "back", "reads", "worker"];
    let out = ran.success().stdout();
    let mut found: Vec<(String, u64)> = out
        .lines()
        .filter(|line| line.contains("subject"))
        .filter_map(|line| {
            let name = line.split(".c:").nth(1)?.split_whitespace().next()?;
            let count = line.split_whitespace().next()?.replace(',', "");
            let known = names.contains(&name);
            known.then(|| (name.to_owned(), count.parse().unwrap()))
        })
        .collect();
    found.sort();
    assert_eq!(found.len(), names.len(), "{}: {ran}", way.name);
    found
}

#[test]
fn callgrind_counts_the_same_instructions() {
    let subject = Subject::with_another_glibc();
    let expected = instructions(&subject, &subject.ordinary);
    for way in &subject.indirect {
        assert_eq!(instructions(&subject, way), expected, "{}", way.name);
    }
}

#[test]
fn perf_names_the_functions_of_libraries() {
    let subject = Subject::with_another_glibc();
    let perf = need("perf", "linux-perf");
    for way in subject.ways() {
        let data = subject.dir.join("perf.data");
        // A clock of the kernel's: virtual machines often have no counters.
        let ran = run(Command::new(&perf)
            .args(["record", "-q", "-e", "cpu-clock:u", "-F", "2000", "-o"])
            .arg(&data)
            .arg(&way.exe)
            .arg("work"));
        ran.success().prints(PRINTS);
        let report = run(Command::new(&perf)
            .args(["report", "--stdio", "--sort", "dso,symbol", "-i"])
            .arg(&data));
        let out = report.success().stdout();
        for (library, function) in [("libsubject.so", "lib_work"), ("libc.so.6", "memfrob")] {
            let line = out
                .lines()
                .find(|line| line.contains(library) && line.contains(function));
            assert!(line.is_some(), "{}: no {function}: {report}", way.name);
        }
    }
}

/// The libraries of a list of paths, sorted, by file name.
fn names<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut names: Vec<&str> = paths
        .filter_map(|path| Path::new(path).file_name()?.to_str())
        .collect();
    names.sort_unstable();
    names
}

#[test]
fn pldd_lists_the_libraries_of_a_process() {
    let pldd = need("pldd", "libc-bin");
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let waiting = Waiting::start(&way.exe, &["wait"]);
        let ran = run(Command::new(&pldd).arg(waiting.pid()));
        let out = ran.success().stdout();
        let (first, libraries) = out.split_once('\n').unwrap();
        assert!(first.ends_with(way.exe.to_str().unwrap()), "{ran}");
        let mut expected = vec![
            "ld-linux-x86-64.so.2",
            "libc.so.6",
            "libsubject.so",
            "linux-vdso.so.1",
        ];
        if way.bound {
            expected.insert(2, "libindir-bind.so");
        }
        assert_eq!(names(libraries.lines()), expected, "{}", way.name);
        ran.out_has(&format!("\n{}/libc.so.6\n", way.libc.display()));
    }
}

#[test]
fn eu_stack_and_eu_unstrip_read_a_process() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let waiting = Waiting::start(&way.exe, &["wait"]);
        let pid = waiting.pid();
        let elfutils = |tool: &str, args: &[&str]| {
            let mut command = Command::new(need(tool, "elfutils"));
            let ran = run(command.args(args).arg("-p").arg(&pid));
            assert!(ran.code() == Some(0), "{}: {ran}", way.name);
            ran
        };
        let stack = elfutils("eu-stack", &[]);
        for frame in ["forever", "lib_call", "main", "_start", "waits"] {
            stack.out_has(&format!(" {frame}\n"));
        }
        let modules = elfutils("eu-unstrip", &["-n"]);
        for name in ["subject", "libsubject.so", "libc.so.6", "[vdso: "] {
            modules.out_has(name);
        }
        let shim = modules.stdout().contains("/ld-indir-x86-64.so.1");
        assert_eq!(shim, way.name != "ordinary", "{modules}");
    }
}

#[test]
fn gprof_counts_calls() {
    let dir = Scratch::new();
    let source = "static int called(int n) { return n; }\n\
                  int main(int argc, char **argv) { for (int n = 0; n < 100; n++) called(n); return argc - 1; }";
    let twins = Twins::new(&dir, "profiled.c", source, &["-pg", "-O0"]);
    let gprof = need("gprof", "binutils");
    for exe in [&twins.ordinary, &twins.indirect, &twins.bound] {
        let folder = exe.parent().unwrap();
        run(Command::new(exe).current_dir(folder)).success();
        let ran = run(Command::new(&gprof)
            .args(["-b", "-p"])
            .arg(exe)
            .arg(folder.join("gmon.out")));
        let out = ran.success().stdout();
        let line = out.lines().find(|line| line.ends_with(" called"));
        assert!(line.is_some_and(|line| line.contains(" 100 ")), "{ran}");
    }
}
