//! Mapped files that are cut short while they are read.
//!
//! A library is mapped, not read: of most of them only some pages are looked at,
//! and a fleet shares gigabytes of them. But a page that has gone from the file
//! is SIGBUS for who touches it, and one file that somebody writes in place must
//! not end a run over thousands. So the handler puts a page of zeros there, which
//! every reader can cope with (all input is untrusted), and remembers where; a
//! file that this happened to is then told as changed, and nothing that was
//! computed from it is written.
//!
//! Unsafe code is needed to install the handler and to map the page.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Addresses of pages that were gone; 0 is free. Each mapping takes its own out.
static GONE: [AtomicUsize; 256] = [const { AtomicUsize::new(0) }; 256];
/// There were more than fit: every mapping counts as changed from then on.
static TOO_MANY: AtomicBool = AtomicBool::new(false);

/// Page size of the machine that this runs on (x86-64).
const PAGE: usize = 4096;

/// From now on a mapped file that is cut short does not end the process.
pub(super) fn guard() {
    static ONCE: Once = Once::new();
    ONCE.call_once(install);
}

#[expect(unsafe_code, reason = "a signal handler is installed")]
fn install() {
    // SAFETY: an all-zero `sigaction` is a valid one; the handler calls nothing
    // but mmap, sigaction and atomics, which are async-signal-safe.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = on_bus as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        // Without it the process is as it was before.
        let _ = libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
    }
}

#[expect(unsafe_code, reason = "a page is mapped where one has gone")]
extern "C" fn on_bus(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    /// `si_code`: no such physical address, which is a page beyond the end.
    const BUS_ADRERR: libc::c_int = 2;
    // SAFETY: the kernel gives the handler a valid `siginfo_t`, of which SIGBUS
    // fills the address. The page at that address cannot be read, or we would
    // not be here; in its place a readable one is put, private to us. Where that
    // fails, or the fault is another, the default action ends the process at the
    // instruction that is executed again.
    unsafe {
        let page = (*info).si_addr() as usize & !(PAGE - 1);
        let mapped = (*info).si_code == BUS_ADRERR && {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
            let at = page as *mut libc::c_void;
            libc::mmap(at, PAGE, libc::PROT_READ, flags, -1, 0) == at
        };
        if !mapped {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = libc::SIG_DFL;
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
            return;
        }
        let free = |slot: &AtomicUsize| {
            let set = slot.compare_exchange(0, page, Ordering::AcqRel, Ordering::Relaxed);
            set.is_ok()
        };
        if !GONE.iter().any(free) {
            TOO_MANY.store(true, Ordering::Release);
        }
    }
}

fn lies_in(bytes: &[u8], address: usize) -> bool {
    bytes.as_ptr_range().contains(&(address as *const u8))
}

/// Whether a page of the mapping `bytes` was gone when it was read.
pub(super) fn is_damaged(bytes: &[u8]) -> bool {
    let gone = |slot: &AtomicUsize| lies_in(bytes, slot.load(Ordering::Acquire));
    TOO_MANY.load(Ordering::Acquire) || GONE.iter().any(gone)
}

/// To be called before `bytes` are unmapped: their addresses may be used again.
pub(super) fn forget(bytes: &[u8]) {
    for slot in &GONE {
        let address = slot.load(Ordering::Acquire);
        if address != 0 && lies_in(bytes, address) {
            slot.store(0, Ordering::Release);
        }
    }
}
