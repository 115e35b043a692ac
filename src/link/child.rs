//! A real linker that does not outlive its wrapper.
//!
//! A build tool that kills a linker believes it gone, and its output not there. So
//! a second process stands between the wrapper and the linker: signals that end
//! the wrapper are handed on to it, and the kernel tells it when the wrapper was
//! killed (PR_SET_PDEATHSIG); it ends the linker and removes what that had begun to
//! write. The linker itself is killed by the kernel when that process is.
//!
//! Unsafe code is needed to fork, to ask what is done about a signal, and to give
//! it its default action back.

use std::fs::Metadata;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitStatus};

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill, pthread_sigmask, raise};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid};

/// Signals that end a process unless it asked otherwise.
const ENDING: [Signal; 4] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
];

/// Runs `command`, which writes `output`, and waits for it.
///
/// # Errors
/// When it cannot be started.
pub(super) fn status(command: &mut Command, output: &Path) -> io::Result<ExitStatus> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGCHLD);
    ENDING
        .into_iter()
        .filter(|&s| !is_ignored(s))
        .for_each(|s| signals.add(s));
    // A parent that ignores it would never hear of its children.
    restore(Signal::SIGCHLD);
    let mut before = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), Some(&mut before))?;
    let (mut error, tell) = io::pipe()?;
    let wrapper = getpid();
    #[expect(unsafe_code, reason = "there is no other way to have a second process")]
    // SAFETY: the wrapper has one thread here, so that the child may do what it
    // likes; it never returns from `stand_between`.
    let child = match unsafe { fork() }? {
        ForkResult::Child => stand_between(wrapper, command, output, signals, tell),
        ForkResult::Parent { child } => child,
    };
    drop(tell);
    let status = wait_for(child, &signals);
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
    let mut errno = [0; 4];
    if error.read_exact(&mut errno).is_ok() {
        return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno)));
    }
    status
}

/// Waits for a child, and hands on what signals come meanwhile.
fn wait_for(child: Pid, signals: &SigSet) -> io::Result<ExitStatus> {
    loop {
        match signals.wait()? {
            Signal::SIGCHLD => {
                if let Some(status) = ended(child)? {
                    return Ok(status);
                }
            }
            signal => {
                // It may just have ended.
                let _ = kill(child, signal);
            }
        }
    }
}

fn ended(child: Pid) -> io::Result<Option<ExitStatus>> {
    Ok(match waitpid(child, Some(WaitPidFlag::WNOHANG))? {
        WaitStatus::Exited(_, code) => Some(ExitStatus::from_raw(code << 8)),
        WaitStatus::Signaled(_, signal, _) => Some(ExitStatus::from_raw(signal as i32)),
        _ => None,
    })
}

/// Runs the linker, and ends as it ends.
fn stand_between(
    wrapper: Pid,
    command: &mut Command,
    output: &Path,
    mut signals: SigSet,
    mut tell: io::PipeWriter,
) -> ! {
    signals.add(Signal::SIGTERM);
    let _ = pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&signals), None);
    let _ = set_pdeathsig(Signal::SIGTERM);
    let before = std::fs::metadata(output).ok();
    if getppid() != wrapper {
        std::process::exit(1);
    }
    let own = getpid();
    let tie = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        match getppid() == own {
            true => Ok(()),
            false => Err(io::ErrorKind::Interrupted.into()),
        }
    };
    #[expect(
        unsafe_code,
        reason = "the linker must not live longer than this process"
    )]
    // SAFETY: `tie` makes two system calls and allocates nothing.
    let spawned = unsafe { command.pre_exec(tie) }.spawn();
    let linker = match spawned {
        Ok(linker) => Pid::from_raw(linker.id() as i32),
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(libc::EIO);
            let _ = tell.write_all(&errno.to_ne_bytes());
            std::process::exit(1);
        }
    };
    let mut is_killed = false;
    let status = loop {
        match signals.wait() {
            Ok(Signal::SIGCHLD) | Err(_) => match ended(linker) {
                Ok(Some(status)) => break status,
                Ok(None) => {}
                Err(_) => std::process::exit(1),
            },
            Ok(signal) => {
                is_killed = true;
                let gone = getppid() != wrapper;
                let _ = kill(linker, if gone { Signal::SIGKILL } else { signal });
            }
        }
    };
    if is_killed && !status.success() {
        remove_begun(output, before.as_ref());
    }
    if let Some(signal) = status.signal().and_then(|s| Signal::try_from(s).ok()) {
        let core = nix::sys::resource::Resource::RLIMIT_CORE;
        let _ = nix::sys::resource::setrlimit(core, 0, 0);
        restore(signal);
        let _ = raise(signal);
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None);
    }
    std::process::exit(status.code().unwrap_or(1))
}

/// Removes the output of a linker that was killed, unless it had not come to it.
fn remove_begun(output: &Path, before: Option<&Metadata>) {
    let facts = |m: &Metadata| (m.dev(), m.ino(), m.len(), m.mtime(), m.mtime_nsec());
    let Ok(now) = std::fs::symlink_metadata(output) else {
        return;
    };
    if now.is_file() && before.map(facts) != Some(facts(&now)) {
        let _ = std::fs::remove_file(output);
    }
}

/// Whether the caller has `signal` ignored, as nohup does with SIGHUP.
#[expect(unsafe_code, reason = "nix asks only by setting another action")]
fn is_ignored(signal: Signal) -> bool {
    // SAFETY: an all-zero `sigaction` is a valid one to be written over; nothing
    // is changed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        let asked = libc::sigaction(signal as i32, std::ptr::null(), &mut action);
        asked == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

/// Gives `signal` its default action back: Rust's runtime catches SIGSEGV and
/// SIGBUS, and ignores SIGPIPE.
#[expect(unsafe_code, reason = "nix cannot know what a handler refers to")]
pub(super) fn restore(signal: nix::sys::signal::Signal) {
    // SAFETY: the default action runs no code of ours.
    let _ = unsafe { nix::sys::signal::signal(signal, nix::sys::signal::SigHandler::SigDfl) };
}
