//! A wrapper that is killed takes its linker along, and what that had begun.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Scratch, cc, need, prefix, run};

/// A linker that writes half of its output, says so, and waits to be let go on.
struct Slow {
    tree: Scratch,
    linker: PathBuf,
    object: PathBuf,
}

impl Slow {
    fn new() -> Self {
        let tree = Scratch::new();
        let source = tree.file("t.c", "int main(void) { return 0; }");
        let object = tree.join("t.o");
        cc([
            "-c",
            "-o",
            object.to_str().unwrap(),
            source.to_str().unwrap(),
        ]);
        let script = format!(
            "#!/bin/sh\necho $$ > {0}/pid.new\n[ -e {0}/begin ] && echo half > {0}/late\nmv {0}/pid.new {0}/pid\n\
             while [ ! -e {0}/go ]; do sleep 0.05; done\nexec {1} \"$@\"\n",
            tree.path().display(),
            need("ld", "binutils").display()
        );
        let linker = tree.file("slow", script);
        std::fs::set_permissions(&linker, PermissionsExt::from_mode(0o755)).unwrap();
        Self {
            tree,
            linker,
            object,
        }
    }

    fn output(&self) -> PathBuf {
        self.tree.join("late")
    }

    /// Starts a link, and returns when the linker runs: the wrapper, the linker.
    fn start(&self) -> (Child, Pid) {
        let pid = self.tree.join("pid");
        let _ = std::fs::remove_file(&pid);
        // What started the tests may ignore signals; `env` becomes the wrapper.
        let child = Command::new("env")
            .arg("--default-signal=HUP,INT,QUIT,TERM")
            .arg(prefix().join("bin/indir-ld"))
            .args(["-o"])
            .arg(self.output())
            .args(["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2", "-pie"])
            .arg(&self.object)
            .args(["-e", "main", "-lc"])
            .args(["-L/usr/lib/x86_64-linux-gnu"])
            .env("INDIR_LD", &self.linker)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait_until(|| pid.exists());
        let linker = std::fs::read_to_string(&pid).unwrap();
        (child, Pid::from_raw(linker.trim().parse().unwrap()))
    }
}

#[track_caller]
fn wait_until(is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "it never happens"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_gone(process: Pid) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{process}/stat"));
    // A zombie is done as well.
    state.map_or(true, |stat| stat.contains(") Z "))
}

/// Nobody waits for what an orphan does; then it is safe to let it go on.
fn let_go(slow: &Slow) {
    std::fs::write(slow.tree.join("go"), "").unwrap();
}

#[test]
fn the_linker_ends_with_its_wrapper() {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGQUIT,
        Signal::SIGKILL,
    ] {
        for half in [false, true] {
            let slow = Slow::new();
            if half {
                slow.tree.file("begin", "");
            }
            let (mut wrapper, linker) = slow.start();
            assert_eq!(slow.output().exists(), half);
            kill(Pid::from_raw(wrapper.id() as i32), signal).unwrap();
            let status = wrapper.wait().unwrap();
            assert_eq!(status.signal(), Some(signal as i32), "{status}");
            wait_until(|| is_gone(linker));
            wait_until(|| !slow.output().exists());
            let_go(&slow);
            assert!(!slow.tree.join(".indir").exists());
        }
    }
}

#[test]
fn an_output_that_the_linker_had_not_come_to_stays() {
    let slow = Slow::new();
    let old = slow.tree.file("late", "an earlier link's");
    let (mut wrapper, linker) = slow.start();
    kill(Pid::from_raw(wrapper.id() as i32), Signal::SIGTERM).unwrap();
    wrapper.wait().unwrap();
    wait_until(|| is_gone(linker));
    assert_eq!(std::fs::read_to_string(old).unwrap(), "an earlier link's");
}

#[test]
fn a_signal_that_the_caller_ignores_ends_nothing() {
    let slow = Slow::new();
    let output = slow.output();
    let script = "trap '' HUP INT; \"$@\" & pid=$!; echo $pid > \"$OUT\"; wait $pid";
    let pid = slow.tree.join("wrapper");
    let mut command = Command::new("bash");
    command
        .args(["-c", script, "bash"])
        .arg(prefix().join("bin/indir-ld"));
    command
        .arg("-o")
        .arg(&output)
        .args(["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2", "-pie"]);
    command
        .arg(&slow.object)
        .args(["-e", "main", "-lc", "-L/usr/lib/x86_64-linux-gnu"]);
    command.env("INDIR_LD", &slow.linker).env("OUT", &pid);
    let mut shell = command.stdin(Stdio::null()).spawn().unwrap();
    wait_until(|| slow.tree.join("pid").exists() && pid.exists());
    let wrapper = std::fs::read_to_string(&pid).unwrap();
    let wrapper = Pid::from_raw(wrapper.trim().parse().unwrap());
    kill(wrapper, Signal::SIGHUP).unwrap();
    kill(wrapper, Signal::SIGINT).unwrap();
    let_go(&slow);
    assert!(shell.wait().unwrap().success());
    assert!(is_elf(&output));
}

#[test]
fn a_linker_that_cannot_be_started_is_told() {
    let tree = Scratch::new();
    let slow = Slow::new();
    let linker = tree.file("noexec", "#!/nonexistent/interpreter\n");
    std::fs::set_permissions(&linker, PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = Command::new(prefix().join("bin/indir-ld"));
    command
        .arg("-o")
        .arg(slow.output())
        .arg(&slow.object)
        .env("INDIR_LD", &linker);
    command.args(["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2", "-pie"]);
    run(&mut command)
        .exits(1)
        .err_is_one_line()
        .err_has(&format!(
            "failed to run `{}`: No such file",
            linker.display()
        ));
}

fn is_elf(path: &Path) -> bool {
    std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"))
}
