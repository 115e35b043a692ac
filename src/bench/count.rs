//! What one start costs besides time: system calls, private memory, lookups.
//!
//! Counted in runs of their own, since being watched takes time. All threads of
//! the program are counted; processes that it starts are not. Unsafe because a
//! child asks for ptrace(2) between fork and exec.
#![expect(unsafe_code, reason = "PTRACE_TRACEME between fork and exec")]

use std::collections::HashSet;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::interrupt;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// System calls of all threads from exec to exit.
    pub system_calls: u64,
    /// Private_Dirty of /proc/PID/smaps_rollup at exit, in KiB.
    pub private_dirty_kib: Option<u64>,
    /// Symbols that ld.so looked up before the program began.
    pub lookups_at_start: Option<u64>,
    /// The same until the end.
    pub lookups: Option<u64>,
}

impl Counts {
    /// Runs `command` twice, first watched, then with ld.so's statistics going
    /// into the folder `scratch`.
    ///
    /// # Errors
    /// When it cannot be started or watched.
    pub fn of(mut command: impl FnMut() -> Command, scratch: &Path) -> io::Result<Self> {
        let mut counts = watch(command())?;
        interrupt::check().map_err(io::Error::other)?;
        let output = scratch.join("statistics");
        let mut child = silent(&mut command())
            .env("LD_DEBUG", "statistics")
            .env("LD_DEBUG_OUTPUT", &output)
            .spawn()?;
        let file = output.with_extension(child.id().to_string());
        let watched = interrupt::Child::watch(child.id().cast_signed());
        child.wait()?;
        drop(watched);
        // A program may well remove it, or not be allowed to write it.
        if let Ok(text) = std::fs::read_to_string(file) {
            counts.lookups_at_start = number_after(&text, " number of relocations: ");
            counts.lookups = number_after(&text, "final number of relocations: ");
        }
        Ok(counts)
    }
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    // The last line holds the other number as well.
    let is_final = key.starts_with("final");
    let line = text
        .lines()
        .rfind(|line| line.contains(key) && line.contains("final") == is_final)?;
    line.split_once(key)?.1.trim().parse().ok()
}

fn silent(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

/// In a thread of its own, which has no other children: one that waits for any
/// thread of the program must not take away somebody else's process.
fn watch(mut command: Command) -> io::Result<Counts> {
    let trace = || ptrace::traceme().map_err(io::Error::from);
    // SAFETY: a single system call, which is async-signal-safe.
    unsafe { silent(&mut command).pre_exec(trace) };
    let watcher = std::thread::spawn(move || follow(&mut command));
    let result = watcher.join();
    result.unwrap_or_else(|_| Err(io::Error::other("the watching thread failed")))
}

fn follow(command: &mut Command) -> io::Result<Counts> {
    let mut counts = Counts::default();
    let child = command.spawn()?;
    let program = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let _watched = interrupt::Child::watch(program.as_raw());
    let mut inside = HashSet::new();
    let mut known = HashSet::new();
    let ours = Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD);
    loop {
        let status = waitpid(Pid::from_raw(-1), ours)?;
        let Some(thread) = status.pid() else { continue };
        let is_new = known.insert(thread);
        let mut pass_on = None;
        match status {
            WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                if pid == program {
                    return Ok(counts);
                }
                continue;
            }
            // Every call stops twice, but for one that does not return.
            WaitStatus::PtraceSyscall(_) => {
                let is_entry = !inside.remove(&thread);
                if is_entry {
                    inside.insert(thread);
                }
                counts.system_calls += u64::from(is_entry);
            }
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                // The last thread to go sees what all of them left.
                if let Some(dirty) = private_dirty(thread) {
                    counts.private_dirty_kib = Some(dirty);
                }
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) if is_new => {
                let options = Options::PTRACE_O_TRACESYSGOOD
                    | Options::PTRACE_O_TRACECLONE
                    | Options::PTRACE_O_TRACEEXIT
                    | Options::PTRACE_O_EXITKILL;
                ptrace::setoptions(thread, options)?;
            }
            // A new thread begins with a stop.
            WaitStatus::Stopped(_, Signal::SIGSTOP) if is_new => {}
            WaitStatus::Stopped(_, signal) if signal != Signal::SIGTRAP => pass_on = Some(signal),
            _ => {}
        }
        match ptrace::syscall(thread, pass_on) {
            // Killed meanwhile, by a thread that ended the program.
            Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn private_dirty(pid: Pid) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
