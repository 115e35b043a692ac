//! Ctrl-C, `kill` and a terminal that is gone: nothing is left, and what was done is said.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::program::{indirect, ordinary, shared, table_of};
use crate::support::{Ran, Scratch, glibc_lib, indir, need, prefix, run};

const TRIVIAL: &str = "int main(void) { return 0; }";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter();
    let files = walk.flatten().filter(|entry| !entry.file_type().is_dir());
    files.map(walkdir::DirEntry::into_path).collect()
}

/// `program`, by which signals are obeyed: a shell's background job ignores some.
fn obeying(program: &impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("env");
    command.arg("--default-signal=HUP,INT,TERM").arg(program);
    command
}

/// Runs `indir ARGS…`, and sends `signal` at its `n`th call of `call`, which is then
/// made; whether it came to that.
fn signalled(signal: &str, call: &str, n: usize, args: &[&str]) -> (Ran, bool) {
    let mut strace = obeying(&need("strace", "strace"));
    let scratch = Scratch::new();
    strace.env("TMPDIR", scratch.dir("temporary"));
    let log = scratch.path().join("log");
    strace.args(["-f", "-qq", "-o"]).arg(&log);
    strace.args([
        "-e",
        &format!("trace={call}"),
        "-e",
        &format!("inject={call}:signal={signal}:when={n}"),
    ]);
    strace.arg(prefix().join("bin/indir")).args(args);
    let ran = run(&mut strace);
    let log = std::fs::read_to_string(&log).unwrap();
    let injected = log.contains("SI_KERNEL");
    let is_told = ran.stderr().contains("interrupted");
    let left = std::fs::read_dir(scratch.join("temporary")).unwrap();
    assert!(left.count() == 0 || injected && !is_told, "{ran}");
    (ran, injected)
}

/// Whether the shell would see it die of `signal`: strace dies of it as well.
fn ended_by(ran: &Ran, signal: Signal) -> bool {
    ran.output.status.signal() == Some(signal as i32)
}

#[test]
fn an_update_that_is_interrupted_leaves_tables_old_or_new_and_says_how_many() {
    let dir = Scratch::new();
    let programs: Vec<PathBuf> = (0..4)
        .map(|n| {
            let source = format!("int main(void) {{ return {n}; }}");
            indirect(&dir.join(format!("{n}.c")), &source, &[])
        })
        .collect();
    for n in 0..4 {
        std::fs::remove_file(dir.join(format!("{n}.c"))).unwrap();
    }
    let libs = [glibc_lib("old"), glibc_lib("trixie")];
    let update = |lib: &Path| {
        let args = ["update", text(dir.path()), "--lib-dir", text(lib)];
        run(indir().args(args)).exits(0);
    };
    update(&libs[0]);
    update(&libs[1]);
    update(&libs[0]);
    let before = files(dir.path());
    let (mut came, mut stopped) = (0, 0);
    for (signal, name) in [
        (Signal::SIGINT, "INT"),
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
    ] {
        for (call, last) in [("openat", 60), ("fsync", 12), ("renameat", 12)] {
            for n in (1..last).step_by(5) {
                update(&libs[0]);
                let args = [
                    "update",
                    text(dir.path()),
                    "--lib-dir",
                    text(&libs[1]),
                    "-j",
                    "1",
                ];
                let (ran, injected) = signalled(name, call, n, &args);
                assert_eq!(files(dir.path()), before, "{call} {n}: {ran}");
                for (n, exe) in programs.iter().enumerate() {
                    run(&mut Command::new(exe)).exits(n as i32);
                }
                came += usize::from(injected);
                // The first calls are those before anything is watched for.
                if injected && ran.stderr().contains("indir: interrupted: ") {
                    stopped += 1;
                    assert!(ended_by(&ran, signal), "{call} {n}: {ran}");
                    ran.err_has("updated ");
                }
            }
        }
    }
    assert!(came > 20 && stopped > 5, "{came} {stopped}");
    // What was left is told, and done by the next.
    update(&libs[1]);
}

#[test]
fn an_adoption_that_is_interrupted_leaves_programs_old_or_new_and_nothing_else() {
    let dir = Scratch::new();
    let original = ordinary(&dir.join("p.c"), TRIVIAL, &[]);
    let bytes = std::fs::read(&original).unwrap();
    let mut stopped = 0;
    for (call, last) in [("openat", 80), ("fsync", 16), ("renameat", 9)] {
        for n in (1..last).step_by(4) {
            let root = dir.dir(format!("{call}-{n}"));
            for name in ["a", "b", "c"] {
                std::fs::copy(&original, root.join(name)).unwrap();
            }
            let args = ["adopt", "--in-place", "-j", "1", text(&root)];
            let (ran, injected) = signalled("INT", call, n, &args);
            let adopted = |name: &&str| std::fs::read(root.join(name)).unwrap() != bytes;
            let adopted = ["a", "b", "c"].iter().filter(|name| adopted(name)).count();
            // Copies of one program share a table and what undoes it.
            let own = if adopted > 0 { 2 } else { 0 };
            let is_told = injected && ran.stderr().contains("indir: interrupted: ");
            if is_told {
                stopped += 1;
                assert!(ended_by(&ran, Signal::SIGINT), "{ran}");
                ran.err_has(&format!("adopted {adopted}, "));
                ran.err_has(&format!("not done {}", 3 - adopted));
            }
            // strace counts the calls of each thread, so that two may come: a second one
            // ends it at once, and what is left is the next run's to remove.
            if is_told || !ended_by(&ran, Signal::SIGINT) {
                assert_eq!(files(&root).len(), 3 + own, "{:?}: {ran}", files(&root));
            }
            for name in ["a", "b", "c"] {
                run(&mut Command::new(root.join(name))).success();
            }
        }
    }
    assert!(stopped > 5, "{stopped}");
}

/// Starts `indir ARGS…` in `folder`, sends it `signal` when `ready`, and waits.
fn interrupted(args: &[&str], folder: &Path, signal: Signal, ready: impl Fn() -> bool) -> Ran {
    let mut command = obeying(&prefix().join("bin/indir"));
    command.args(args).env("TMPDIR", folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    while !ready() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
    let output = child.wait_with_output().unwrap();
    Ran::of(&command, output)
}

#[test]
fn a_measurement_that_is_interrupted_takes_its_program_and_its_copies_along() {
    let dir = Scratch::new();
    let temporary = dir.dir("tmp");
    let mark = dir.path().join("started");
    let source = format!(
        "#include <fcntl.h>\n#include <unistd.h>\n\
         int main(void) {{ open(\"{}\", O_CREAT | O_WRONLY, 0600); pause(); return 0; }}",
        text(&mark)
    );
    let exe = ordinary(&dir.join("waits.c"), &source, &[]);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let ran = interrupted(&["bench", text(&exe)], &temporary, signal, || mark.exists());
        assert_eq!(ran.output.status.signal(), Some(signal as i32), "{ran}");
        ran.err_has("interrupted");
        assert!(files(&temporary).is_empty(), "{ran}");
        assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0, "{ran}");
        std::fs::remove_file(&mark).unwrap();
    }
}

#[test]
fn stubs_that_are_interrupted_leave_no_part_of_a_tree() {
    let dir = Scratch::new();
    let lib = glibc_lib("bookworm");
    let out = dir.path().join("out");
    let mut stopped = 0;
    for n in (1..200).step_by(7) {
        let args = ["stub", "--tree", text(&lib), "-o", text(&out)];
        let (ran, _) = signalled("TERM", "openat", n, &args);
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
        let is_whole = out.join("libc.so.6").exists() && left.len() == 1;
        if ran.stderr().contains("interrupted") {
            stopped += 1;
            assert!(ended_by(&ran, Signal::SIGTERM), "{ran}");
            assert!(left.is_empty(), "{left:?}: {ran}");
        } else {
            assert!(left.is_empty() || is_whole, "{left:?}: {ran}");
        }
        if is_whole {
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(stopped > 0, "{stopped}");
}

#[test]
fn a_judgement_that_is_interrupted_leaves_graphs_whole_and_says_how_many_are_left() {
    let dir = Scratch::new();
    let build = |name: &str, value: u32| {
        let source =
            format!("static int g(void) {{ return {value}; }}\nint f(void) {{ return g(); }}\n");
        let folder = dir.dir(name);
        shared(&folder.join("f.c"), &source, &["-Wl,-soname,libf.so.1"]);
        std::fs::rename(folder.join("f"), folder.join("libf.so.1")).unwrap();
        folder
    };
    let (old, new) = (build("old", 1), build("new", 2));
    let programs = dir.dir("programs");
    let library = text(&old.join("libf.so.1")).to_owned();
    for n in 0..3 {
        let source = format!("int f(void);\nint main(void) {{ return f() - {n}; }}\n");
        indirect(&programs.join(format!("{n}.c")), &source, &[&library]);
        std::fs::remove_file(programs.join(format!("{n}.c"))).unwrap();
    }
    let update = ["update", text(&programs), "--lib-dir", text(&old)];
    run(indir().args(update)).success();
    let graphs = dir.path().join("graphs");
    let replacement = format!("{}={}", text(&old), text(&new));
    let rest = [
        text(&programs),
        "--replace",
        &replacement,
        "--graphs",
        text(&graphs),
    ];
    let reach = [&["reach", "-j", "1"], &rest[..]].concat();
    let updated = [&["update", "--dry-run", "--reach", "-j", "1"], &rest[..]].concat();
    run(indir().args(&reach)).exits(3).out_has("affected 3");
    // Two builds are folders of links meanwhile.
    let new_library = new.join("libf.so.1");
    let builds = [
        "reach",
        "-j",
        "1",
        &library,
        text(&new_library),
        text(&programs),
    ];
    for args in [&reach[..], &updated, &builds] {
        let (mut stopped, mut all) = (0, false);
        for n in (0..).step_by(6) {
            let _ = std::fs::remove_dir_all(&graphs);
            let (ran, injected) = signalled("INT", "openat", n + 1, args);
            for file in files(&graphs) {
                assert!(
                    file.extension().is_some_and(|e| e == "graph"),
                    "{file:?}: {ran}"
                );
            }
            if !injected {
                all = ran.stdout().contains("affected 3");
                break;
            }
            if ran.stderr().contains("interrupted: not judged: ") {
                stopped += 1;
                assert!(ended_by(&ran, Signal::SIGINT), "{ran}");
            }
        }
        assert!(all && stopped > 0, "{stopped}");
    }
}

/// `nohup` ignores a hang-up, and so does what it starts.
#[test]
fn what_is_ignored_stays_ignored() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("p.c"), TRIVIAL, &[]);
    let script = "trap '' HUP; exec strace -f -qq -o /dev/null -e trace=openat \
        -e inject=openat:signal=HUP:when=30 \"$0\" update \"$1\"";
    let mut command = Command::new("bash");
    command
        .args(["-c", script])
        .arg(prefix().join("bin/indir"))
        .arg(&exe);
    run(&mut command).exits(0).err_has("updated 1");
    assert!(table_of(&exe).exists());
}
