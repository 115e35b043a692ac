//! What one start costs besides time: system calls, private memory, lookups.
//!
//! Counted in runs of their own, since being watched takes time. Unsafe because
//! a child asks for ptrace(2) between fork and exec. Only the program's first
//! thread is counted.
#![expect(unsafe_code, reason = "PTRACE_TRACEME between fork and exec")]

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::ptrace::{self, Event, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// System calls from exec to exit.
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
        let mut counts = Self::default();
        watch(&mut command(), &mut counts)?;
        let output = scratch.join("statistics");
        let mut child = silent(&mut command())
            .env("LD_DEBUG", "statistics")
            .env("LD_DEBUG_OUTPUT", &output)
            .spawn()?;
        let file = output.with_extension(child.id().to_string());
        child.wait()?;
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

fn watch(command: &mut Command, counts: &mut Counts) -> io::Result<()> {
    let trace = || ptrace::traceme().map_err(io::Error::from);
    // SAFETY: a single system call, which is async-signal-safe.
    unsafe { silent(command).pre_exec(trace) };
    let child = command.spawn()?;
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let mut stops = 0u64;
    let mut started = false;
    loop {
        let mut pass_on = None;
        match waitpid(pid, None)? {
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => break,
            WaitStatus::PtraceSyscall(_) => stops += 1,
            WaitStatus::PtraceEvent(_, _, event) if event == Event::PTRACE_EVENT_EXIT as i32 => {
                counts.private_dirty_kib = private_dirty(pid);
            }
            WaitStatus::Stopped(_, Signal::SIGTRAP) if !started => {
                started = true;
                let options = Options::PTRACE_O_TRACESYSGOOD
                    | Options::PTRACE_O_TRACEEXIT
                    | Options::PTRACE_O_EXITKILL;
                ptrace::setoptions(pid, options)?;
            }
            WaitStatus::Stopped(_, signal) if signal != Signal::SIGTRAP => pass_on = Some(signal),
            _ => {}
        }
        ptrace::syscall(pid, pass_on)?;
    }
    // Each call stops twice, but for the last, which does not return.
    counts.system_calls = stops.div_ceil(2);
    Ok(())
}

fn private_dirty(pid: Pid) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}
