//! Runs a program to its end, from posix_spawn(3) to wait4(2).
//!
//! Unsafe because `nix` has no wait4. Input and output are /dev/null, so that
//! a terminal's speed is not measured.
#![expect(unsafe_code, reason = "wait4 fills a C structure")]

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, posix_spawn};
use nix::unistd::Pid;

use crate::interrupt;

/// A program with its arguments and its whole environment.
#[derive(Debug)]
pub struct Program {
    pub(super) path: CString,
    pub(super) args: Vec<CString>,
    pub(super) env: Vec<CString>,
}

/// One run of a program.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From before posix_spawn to after wait4.
    pub wall: Duration,
    /// Processor time of the child, user and system.
    pub cpu: Duration,
    /// Page faults without input or output.
    pub minor_faults: u64,
    /// Raw status as wait4 gives it.
    pub status: i32,
}

impl Program {
    /// The program at `path` with arguments after `argv[0]`, and exactly the
    /// environment `env`.
    ///
    /// # Errors
    /// When a string has a NUL inside.
    pub fn new<A: AsRef<OsStr>>(
        path: &Path,
        args: impl IntoIterator<Item = A>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> io::Result<Self> {
        let c = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::other);
        let path = c(path.as_os_str().as_bytes())?;
        let mut argv = vec![path.clone()];
        for arg in args {
            argv.push(c(arg.as_ref().as_bytes())?);
        }
        let mut envp = Vec::new();
        for (name, value) in env {
            envp.push(c(format!("{name}={value}").as_bytes())?);
        }
        Ok(Self {
            path,
            args: argv,
            env: envp,
        })
    }

    /// Runs it once.
    ///
    /// # Errors
    /// When it cannot be started or waited for.
    pub fn run(&self) -> io::Result<Run> {
        let mut files = PosixSpawnFileActions::init()?;
        let null = fs_err::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/null")?;
        for fd in 0..3 {
            files.add_dup2(null.as_raw_fd(), fd)?;
        }
        let attributes = PosixSpawnAttr::init()?;
        let start = Instant::now();
        let pid = posix_spawn(
            self.path.as_c_str(),
            &files,
            &attributes,
            &self.args,
            &self.env,
        )?;
        let watched = interrupt::Child::watch(pid.as_raw());
        let (status, usage) = wait4(pid)?;
        drop(watched);
        let time = |t: libc::timeval| {
            Duration::from_secs(t.tv_sec.unsigned_abs())
                + Duration::from_micros(t.tv_usec.unsigned_abs())
        };
        Ok(Run {
            wall: start.elapsed(),
            cpu: time(usage.ru_utime) + time(usage.ru_stime),
            minor_faults: usage.ru_minflt.unsigned_abs(),
            status,
        })
    }
}

/// Waits until the state of the child `pid` changes: its raw status and what it
/// has used.
pub(super) fn wait4(pid: Pid) -> io::Result<(i32, libc::rusage)> {
    let mut status = 0;
    // SAFETY: all-zero bytes are a value of this structure of integers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both point to live variables of the right types.
        let result = unsafe { libc::wait4(pid.as_raw(), &raw mut status, 0, &raw mut usage) };
        if result == pid.as_raw() {
            return Ok((status, usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
