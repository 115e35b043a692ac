//! Signals that end a command: Ctrl-C, `kill`, a terminal that is gone.
//!
//! A command that writes says [`watch`], asks [`is_pending`] between two programs, and
//! comes to its end early, so that what it had begun is taken back by whoever began it.
//! Then [`end`] ends the process by that very signal, as whoever waits for it expects.
//! A second signal ends it at once; what is left then is found by the next run.
//!
//! Unsafe code is needed to install the handler.

use std::sync::atomic::{AtomicI32, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, raise, sigaction};
use nix::unistd::Pid;

/// What ends a command; not what asks for a core (SIGQUIT).
const ENDING: [Signal; 3] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM];

/// The signal that came; 0 is none.
static CAME: AtomicI32 = AtomicI32::new(0);
/// A child that is waited for; 0 is none.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// From now on such a signal is remembered. One that the caller has ignored, as nohup
/// does, stays ignored.
pub fn watch() {
    for signal in ENDING {
        let action = SigAction::new(
            SigHandler::Handler(on_signal),
            SaFlags::SA_RESTART,
            SigSet::empty(),
        );
        #[expect(unsafe_code, reason = "a signal handler is installed")]
        // SAFETY: the handler calls nothing but atomics, kill, signal and raise, which
        // are async-signal-safe.
        let before = unsafe { sigaction(signal, &action) };
        if before.is_ok_and(|before| matches!(before.handler(), SigHandler::SigIgn)) {
            default(signal, SigHandler::SigIgn);
        }
    }
}

extern "C" fn on_signal(number: libc::c_int) {
    if CAME.swap(number, Ordering::SeqCst) != 0
        && let Ok(signal) = Signal::try_from(number)
    {
        // It comes when the handler has returned.
        default(signal, SigHandler::SigDfl);
        let _ = raise(signal);
    }
    let child = CHILD.load(Ordering::SeqCst);
    if child > 0 {
        #[expect(unsafe_code, reason = "nix's kill is not said to be safe in a handler")]
        // SAFETY: kill(2) reads no memory of ours.
        unsafe {
            libc::kill(child, libc::SIGTERM)
        };
    }
}

#[expect(unsafe_code, reason = "nix cannot know what a handler refers to")]
fn default(signal: Signal, handler: SigHandler) {
    // SAFETY: neither action runs code of ours.
    let _ = unsafe { nix::sys::signal::signal(signal, handler) };
}

/// Whether a signal came.
pub fn is_pending() -> bool {
    CAME.load(Ordering::Acquire) != 0
}

/// An error if a signal came.
///
/// # Errors
/// [`Interrupted`].
pub fn check() -> Result<(), Interrupted> {
    if is_pending() {
        Err(Interrupted)
    } else {
        Ok(())
    }
}

/// While it lives, a signal ends the child, too: only those of a terminal go to both.
#[derive(Debug)]
pub struct Child(());

impl Child {
    /// The child `pid`, which was not waited for yet.
    pub fn watch(pid: i32) -> Self {
        CHILD.store(pid, Ordering::SeqCst);
        // A signal that came before found no child.
        if CAME.load(Ordering::SeqCst) != 0 {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        Self(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        CHILD.store(0, Ordering::Release);
    }
}

/// Ends the process by the signal that came, if one did.
pub fn end() {
    if let Ok(signal) = Signal::try_from(CAME.load(Ordering::Acquire)) {
        default(signal, SigHandler::SigDfl);
        let _ = raise(signal);
    }
}

/// A signal came, so that the rest is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("interrupted")]
pub struct Interrupted;
