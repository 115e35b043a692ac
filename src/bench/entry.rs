//! Runs a program to its entry point: what loading it costs, without its own
//! work, so that any program can be measured, whatever it would do.
//!
//! The kernel stops the child after its exec; a breakpoint is set where AT_ENTRY
//! says, which is after ld.so relocated everything and ran the constructors of
//! all libraries. The clock runs from before the exec until that breakpoint, but
//! not while the breakpoint is being set. Two stops cost some microseconds, in
//! every way of starting alike.
//!
//! The child shares our memory until its exec, as one of posix_spawn(3) does:
//! taking a copy of it down would be part of what is measured. Unsafe for that
//! and for wait4.
#![expect(unsafe_code, reason = "clone with shared memory, wait4")]

use std::ffi::CString;
use std::io;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::spawn::{Program, wait4};

/// One start, up to the entry point.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// From exec to the program's first instruction.
    pub wall: Duration,
    /// Page faults without input or output until there.
    pub minor_faults: u64,
}

/// Bytes of the child's stack until its exec.
const STACK: usize = 64 * 1024;
const AT_ENTRY: u64 = 9;
/// x86's one-byte breakpoint.
const BREAKPOINT: libc::c_long = 0xcc;

impl Program {
    /// Starts it, stops it at its entry point and ends it there.
    ///
    /// # Errors
    /// When it cannot be started or traced, or ends before its entry point.
    pub fn run_to_entry(&self) -> io::Result<Start> {
        let null = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        let launch = Launch::new(self, null.as_raw_fd());
        let mut stack = vec![0; STACK / size_of::<u128>()];
        // SAFETY: both were made before the child and are dropped after it.
        let mut child = unsafe { Child::start(&launch, &mut stack)? };
        let pid = child.pid;
        ptrace::setoptions(
            pid,
            Options::PTRACE_O_TRACEEXEC | Options::PTRACE_O_EXITKILL,
        )?;
        let begin = Instant::now();
        ptrace::cont(pid, None)?;
        let executed = loop {
            match child.wait()? {
                WaitStatus::PtraceEvent(..) => break begin.elapsed(),
                WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
                _ => return Err(io::Error::other("it cannot be executed")),
            }
        };
        let entry = entry_point(pid)?;
        let address = entry as ptrace::AddressType;
        let original = ptrace::read(pid, address)?;
        ptrace::write(pid, address, (original & !0xff) | BREAKPOINT)?;
        let begin = Instant::now();
        ptrace::cont(pid, None)?;
        let loaded = loop {
            let status = child.wait()?;
            let elapsed = begin.elapsed();
            match status {
                WaitStatus::Stopped(..) if ptrace::getregs(pid)?.rip == entry + 1 => break elapsed,
                WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal)?,
                _ => return Err(io::Error::other("it ends before its entry point")),
            }
        };
        let usage = child.end()?;
        Ok(Start {
            wall: executed + loaded,
            minor_faults: usage.ru_minflt.unsigned_abs(),
        })
    }
}

/// What the child needs until its exec; it lies in memory that both use.
struct Launch {
    path: *const libc::c_char,
    args: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    null: libc::c_int,
}

impl Launch {
    fn new(program: &Program, null: libc::c_int) -> Self {
        let pointers = |strings: &[CString]| {
            let all = strings.iter().map(|s| s.as_ptr());
            all.chain([std::ptr::null()]).collect()
        };
        Self {
            path: program.path.as_ptr(),
            args: pointers(&program.args),
            env: pointers(&program.env),
            null,
        }
    }
}

/// The child until its exec: system calls alone, no memory, no lock.
extern "C" fn launch(data: *mut libc::c_void) -> libc::c_int {
    // SAFETY: the parent's `Launch`, which outlives the exec.
    let launch = unsafe { &*data.cast::<Launch>() };
    // SAFETY: strings that end in NUL, in arrays that end in a null pointer.
    unsafe {
        let no = std::ptr::null_mut::<libc::c_void>();
        if libc::ptrace(libc::PTRACE_TRACEME, 0, no, no) == 0 {
            for fd in 0..3 {
                libc::dup2(launch.null, fd);
            }
            libc::kill(libc::getpid(), libc::SIGSTOP);
            libc::execve(launch.path, launch.args.as_ptr(), launch.env.as_ptr());
        }
        libc::_exit(127)
    }
}

/// A traced child, which is killed if it is left.
struct Child {
    pid: Pid,
    ended: bool,
}

impl Child {
    /// Starts one that stops before its exec.
    ///
    /// # Safety
    /// `launch`, what it points to and `stack` live until the child is dropped.
    unsafe fn start(launching: &Launch, stack: &mut [u128]) -> io::Result<Self> {
        let top = stack.as_mut_ptr_range().end.cast::<libc::c_void>();
        let data = std::ptr::from_ref(launching).cast_mut().cast();
        let flags = libc::CLONE_VM | libc::SIGCHLD;
        // SAFETY: the stack is aligned and large enough for a few system calls.
        let pid = unsafe { libc::clone(launch, top, flags, data) };
        if pid < 0 {
            return Err(io::Error::last_os_error());
        }
        let mut child = Self {
            pid: Pid::from_raw(pid),
            ended: false,
        };
        match child.wait()? {
            WaitStatus::Stopped(..) => Ok(child),
            _ => Err(io::Error::other("tracing is not permitted")),
        }
    }

    fn wait(&mut self) -> io::Result<WaitStatus> {
        let status = waitpid(self.pid, None)?;
        self.ended |= matches!(status, WaitStatus::Exited(..) | WaitStatus::Signaled(..));
        Ok(status)
    }

    /// Kills it; returns what it used.
    fn end(mut self) -> io::Result<libc::rusage> {
        self.ended = true;
        kill(self.pid, Signal::SIGKILL)?;
        loop {
            let (status, usage) = wait4(self.pid)?;
            if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
                return Ok(usage);
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.ended && kill(self.pid, Signal::SIGKILL).is_ok() {
            // Nothing is to be done about a failure; it is killed anyway.
            while self.wait().is_ok() && !self.ended {}
        }
    }
}

/// AT_ENTRY of a process that has just been executed.
fn entry_point(pid: Pid) -> io::Result<u64> {
    let vector = fs_err::read(format!("/proc/{pid}/auxv"))?;
    let (words, _) = vector.as_chunks::<8>();
    let (pairs, _) = words.as_chunks::<2>();
    pairs
        .iter()
        .map(|pair| pair.map(u64::from_le_bytes))
        .find(|[key, _]| *key == AT_ENTRY)
        .map(|[_, value]| value)
        .ok_or_else(|| io::Error::other("it has no entry point"))
}
