//! The system calls of the shim and the binder, with types.
//!
//! Unsafe because they are system calls. Errors are `-errno`, as the kernel
//! returns them; nothing here retries, allocates or prints.
#![expect(unsafe_code, reason = "system calls on raw memory")]

use core::ffi::CStr;

use crate::arch::{self, Page, Stat, nr, syscall3, syscall6};

/// A failed call: the error number, positive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

/// `ENOENT`.
pub const ENOENT: Errno = Errno(2);
/// `EMFILE`.
pub const EMFILE: Errno = Errno(24);
/// `ELOOP`.
pub const ELOOP: Errno = Errno(40);

impl Errno {
    /// Whether nothing has the name that was asked for: ENOENT, ENOTDIR.
    pub const fn is_absent(self) -> bool {
        matches!(self.0, 2 | 20)
    }

    /// Whether a filter forbids the call itself: EPERM, ENOSYS.
    pub const fn is_forbidden(self) -> bool {
        matches!(self.0, 1 | 38)
    }

    /// What went wrong, for the errors that starting a program can meet.
    pub const fn message(self) -> &'static str {
        match self.0 {
            1 | 38 => "a sandbox forbids it",
            2 => "no such file",
            12 => "out of memory",
            13 => "permission denied",
            20 => "a part of its path is no folder",
            21 => "it is a folder",
            23 => "too many open files in the system",
            24 => "too many open files (ulimit -n)",
            36 => "its name is too long",
            40 => "too many symbolic links",
            _ => "it cannot be read",
        }
    }
}

fn check(result: isize) -> Result<usize, Errno> {
    if result < 0 {
        Err(Errno((-result) as i32))
    } else {
        Ok(result as usize)
    }
}

/// Longest path handled, in bytes, with its NUL (PATH_MAX).
pub const PATH: usize = 4096;

/// Flags of openat(2) (Linux uapi asm-generic/fcntl.h; those that differ between
/// machines are in [`crate::arch::open`]).
pub mod open {
    pub use crate::arch::open::{DIRECTORY, NOFOLLOW};
    /// `O_CLOEXEC`.
    pub const CLOEXEC: usize = 0o2_000_000;
    /// `O_NONBLOCK`: a FIFO does not wait for a writer, nor a device for a carrier.
    pub const NONBLOCK: usize = 0o4_000;
    /// `O_NOCTTY`: a terminal does not become the controlling one.
    pub const NOCTTY: usize = 0o400;
    /// `O_PATH`: a place in the file system, nothing of the file itself.
    pub const PATH: usize = 0o10_000_000;
}

/// `AT_FDCWD`.
const AT_FDCWD: usize = -100_isize as usize;

/// Opens `path` for reading; never waits.
pub fn open(path: &CStr) -> Result<usize, Errno> {
    open_at(AT_FDCWD, path, open::NONBLOCK | open::NOCTTY)
}

/// openat(2) with `O_CLOEXEC`.
pub fn open_at(folder: usize, path: &CStr, flags: usize) -> Result<usize, Errno> {
    let flags = flags | open::CLOEXEC;
    // SAFETY: `path` is NUL-terminated.
    check(unsafe { syscall3(nr::OPENAT, folder, path.as_ptr() as usize, flags) })
}

/// Reads at most `buffer.len()` bytes.
pub fn read(fd: usize, buffer: &mut [u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel writes at most `buffer.len()` bytes.
    unsafe { read_raw(fd, buffer.as_mut_ptr(), buffer.len()) }
}

/// Reads at most `len` bytes to `to`.
///
/// # Safety
/// `to` is valid for writes of `len` bytes.
pub unsafe fn read_raw(fd: usize, to: *mut u8, len: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's promise.
    check(unsafe { syscall3(nr::READ, fd, to as usize, len) })
}

/// Reads at most `buffer.len()` bytes from `offset` on.
pub fn read_at(fd: usize, buffer: &mut [u8], offset: usize) -> Result<usize, Errno> {
    let (to, len) = (buffer.as_mut_ptr() as usize, buffer.len());
    // SAFETY: the kernel writes at most `len` bytes.
    check(unsafe { syscall6(nr::PREAD64, [fd, to, len, offset, 0, 0]) })
}

/// Length in bytes of an open file, whose offset is at its end then.
pub fn length(fd: usize) -> Result<usize, Errno> {
    const SEEK_END: usize = 2;
    // SAFETY: takes no pointer.
    check(unsafe { syscall3(nr::LSEEK, fd, 0, SEEK_END) })
}

/// Closes `fd`; there is nothing to be done about an error.
pub fn close(fd: usize) {
    // SAFETY: the descriptor is ours.
    unsafe { syscall3(nr::CLOSE, fd, 0, 0) };
}

/// Closes two descriptors that we opened one after the other: one call where
/// they are neighbours and the kernel has close_range (Linux 5.9).
pub fn close_both(first: usize, second: usize) {
    if second == first.wrapping_add(1) {
        // SAFETY: exactly our two descriptors.
        let result = unsafe { syscall3(nr::CLOSE_RANGE, first, second, 0) };
        if result == 0 {
            return;
        }
    }
    close(first);
    close(second);
}

/// Writes `bytes` to standard error; a short write is left at that.
pub fn write_stderr(bytes: &[u8]) {
    // SAFETY: the kernel only reads `bytes`.
    unsafe { syscall3(nr::WRITE, 2, bytes.as_ptr() as usize, bytes.len()) };
}

/// Ends the process.
pub fn exit(code: u8) -> ! {
    loop {
        // SAFETY: does not return.
        unsafe { syscall3(nr::EXIT_GROUP, code as usize, 0, 0) };
    }
}

/// Reads the symbolic link `path`; the result has no NUL.
pub fn readlink(path: &CStr, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (path, to) = (path.as_ptr() as usize, buffer.as_mut_ptr() as usize);
    // SAFETY: `path` is NUL-terminated; at most `buffer.len()` bytes written.
    check(unsafe { arch::readlink(path, to, buffer.len()) })
}

/// The target of the symbolic link that is open with `O_PATH`; no NUL.
pub fn readlink_at(link: usize, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (empty, to) = (c"".as_ptr() as usize, buffer.as_mut_ptr() as usize);
    // SAFETY: at most `buffer.len()` bytes are written.
    check(unsafe { syscall6(nr::READLINKAT, [link, empty, to, buffer.len(), 0, 0]) })
}

/// Whether `path` exists (access(2) with F_OK). Where a filter of system calls
/// forbids to ask (EPERM, ENOSYS), it may: ld.so will see.
pub fn exists(path: &CStr) -> Result<(), Errno> {
    // SAFETY: `path` is NUL-terminated.
    match check(unsafe { arch::access(path.as_ptr() as usize) }) {
        Ok(_) | Err(Errno(1 | 38)) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether a page is mapped at `address` and can be read: rt_sigprocmask(2) with
/// an operation that there is not reads eight bytes there and changes nothing.
/// Where a filter of system calls forbids to ask, it cannot.
pub fn is_readable(address: usize) -> bool {
    const EINVAL: Errno = Errno(22);
    let args = [usize::MAX, address, 0, 8, 0, 0];
    // SAFETY: the kernel only reads, or says that it cannot.
    check(unsafe { syscall6(nr::RT_SIGPROCMASK, args) }) == Err(EINVAL)
}

/// stat(2), following symbolic links; by the call that glibc makes for it, which
/// is newfstatat since 2.33.
pub fn stat(path: &CStr) -> Result<Stat, Errno> {
    let mut stat = Stat::zero();
    let (path, to) = (path.as_ptr() as usize, (&raw mut stat) as usize);
    // SAFETY: `path` is NUL-terminated and `stat` has the kernel's layout.
    match check(unsafe { syscall6(nr::NEWFSTATAT, [AT_FDCWD, path, to, 0, 0, 0]) }) {
        Err(error) if error.is_forbidden() => {
            // SAFETY: as above.
            check(unsafe { arch::older_stat(path, to) })?;
        }
        other => {
            other?;
        }
    }
    Ok(stat)
}

/// fstat(2). A filter of system calls may know only the call that glibc's
/// fstat makes, which depends on its release: newfstatat since 2.33.
pub fn fstat(fd: usize) -> Result<Stat, Errno> {
    const AT_EMPTY_PATH: usize = 0x1000;
    let mut stat = Stat::zero();
    let to = (&raw mut stat) as usize;
    // SAFETY: `stat` has the kernel's layout.
    match check(unsafe { syscall3(nr::FSTAT, fd, to, 0) }) {
        Err(error) if error.is_forbidden() => {
            let args = [fd, c"".as_ptr() as usize, to, AT_EMPTY_PATH, 0, 0];
            // SAFETY: as above.
            check(unsafe { syscall6(nr::NEWFSTATAT, args) })?;
        }
        other => {
            other?;
        }
    }
    Ok(stat)
}

/// Protection and flags of mmap(2) (Linux uapi asm-generic/mman-common.h).
pub mod map {
    /// `PROT_READ`.
    pub const READ: usize = 1;
    /// `PROT_WRITE`.
    pub const WRITE: usize = 2;
    /// `PROT_EXEC`.
    pub const EXEC: usize = 4;
    /// `MAP_PRIVATE`.
    pub const PRIVATE: usize = 2;
    /// `MAP_FIXED`.
    pub const FIXED: usize = 0x10;
    /// `MAP_POPULATE`.
    pub const POPULATE: usize = 0x8000;
    /// `MAP_ANONYMOUS`.
    pub const ANONYMOUS: usize = 0x20;
}

/// Populates the pages from `start` to before `end`, writable, as if they were
/// written to (`MADV_POPULATE_WRITE`, Linux 5.14). Contents do not change, and
/// nothing depends on whether it works.
pub fn populate_write(start: usize, end: usize, page: Page) {
    const MADV_POPULATE_WRITE: usize = 23;
    let start = start & !(page.size() - 1);
    // SAFETY: changes no content; the kernel checks the range.
    unsafe {
        syscall3(
            nr::MADVISE,
            start,
            end.wrapping_sub(start),
            MADV_POPULATE_WRITE,
        )
    };
}

/// Leaves `len` bytes at `address`, of a mapping of ours, to nobody (`PROT_NONE`).
pub fn forbid(address: usize, len: usize) -> Result<usize, Errno> {
    // SAFETY: the caller's own mapping, of which nothing is used.
    check(unsafe { syscall3(nr::MPROTECT, address, len, 0) })
}

/// mmap(2); `fd` is `usize::MAX` for anonymous memory.
///
/// # Safety
/// With `MAP_FIXED` the range must be the caller's to replace.
pub unsafe fn mmap(
    address: usize,
    len: usize,
    protection: usize,
    flags: usize,
    fd: usize,
    offset: usize,
) -> Result<usize, Errno> {
    // SAFETY: the caller vouches for a fixed range; otherwise the kernel chooses.
    check(unsafe { syscall6(nr::MMAP, [address, len, protection, flags, fd, offset]) })
}
