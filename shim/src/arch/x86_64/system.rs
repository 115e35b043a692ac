//! x86-64 Linux: system calls, and copying and clearing memory.
//!
//! `entry.rs` and `memory.rs` beside this file are parts of the shim and the
//! binder, not of this library: they define symbols that the host's C library
//! has too. shim/start/ names them.
//!
//! Unsafe because system calls and the entry point are assembly. Numbers:
//! Linux arch/x86/entry/syscalls/syscall_64.tbl.
#![expect(unsafe_code, reason = "system calls are assembly")]

use core::arch::asm;

use crate::arch::time::nanos;

/// Smallest unit that is mapped, in bytes.
pub const PAGE: usize = 4096;

/// The unit that is mapped by the kernel that runs: always [`PAGE`].
#[derive(Clone, Copy)]
pub struct Page;

impl Page {
    /// AT_PAGESZ, in bytes.
    pub const fn told(_size: usize) -> Self {
        Self
    }

    /// Its size in bytes.
    pub const fn size(self) -> usize {
        PAGE
    }
}

/// Whether the segments of ld.so may lie pages apart. They do not in any build that is
/// known, which is linked for pages of 4 KiB.
pub const GAPS: bool = false;

/// Bytes of a GNU property note that are looked at.
pub const PROPERTY: usize = 64;

/// What the processor and the kernel can do, as far as mapping code depends on it: on
/// nothing.
#[derive(Clone, Copy, Default)]
pub struct Features;

impl Features {
    /// Takes note of an entry of the auxiliary vector.
    #[inline]
    pub const fn tell(&mut self, _key: usize, _value: usize) {}

    /// How the code of a file with this GNU property note is mapped.
    #[inline]
    pub fn code(self, _property: impl FnOnce() -> Option<[u8; PROPERTY]>) -> Code {
        Code
    }
}

/// How code is mapped.
#[derive(Clone, Copy)]
pub struct Code;

impl Code {
    /// Its protection besides `PROT_EXEC`.
    #[inline]
    pub const fn protection(self) -> usize {
        0
    }
}

/// Whether `holds` is true of one of the folders below a library folder where
/// ld.so looks first (glibc sysdeps/x86_64/dl-hwcaps_subdirs.c).
#[inline]
pub fn any_hwcaps(holds: impl Fn(&[u8]) -> bool) -> bool {
    holds(b"/glibc-hwcaps/x86-64-v2/")
        || holds(b"/glibc-hwcaps/x86-64-v3/")
        || holds(b"/glibc-hwcaps/x86-64-v4/")
}

/// Numbers of the system calls that the shim and the binder make.
pub mod nr {
    /// read(2).
    pub const READ: usize = 0;
    /// write(2).
    pub const WRITE: usize = 1;
    /// close(2).
    pub const CLOSE: usize = 3;
    /// stat(2).
    pub const STAT: usize = 4;
    /// fstat(2).
    pub const FSTAT: usize = 5;
    /// lseek(2).
    pub const LSEEK: usize = 8;
    /// mmap(2).
    pub const MMAP: usize = 9;
    /// mprotect(2).
    pub const MPROTECT: usize = 10;
    /// rt_sigprocmask(2).
    pub const RT_SIGPROCMASK: usize = 14;
    /// pread64(2).
    pub const PREAD64: usize = 17;
    /// access(2).
    pub const ACCESS: usize = 21;
    /// madvise(2).
    pub const MADVISE: usize = 28;
    /// readlink(2).
    pub const READLINK: usize = 89;
    /// exit_group(2).
    pub const EXIT_GROUP: usize = 231;
    /// openat(2): what ld.so opens files with, so that a filter of system calls
    /// that lets ld.so work lets the shim work.
    pub const OPENAT: usize = 257;
    /// newfstatat(2).
    pub const NEWFSTATAT: usize = 262;
    /// readlinkat(2).
    pub const READLINKAT: usize = 267;
    /// close_range(2), Linux 5.9.
    pub const CLOSE_RANGE: usize = 436;
}

/// Flags of openat(2) that have other values on other machines.
pub mod open {
    /// `O_DIRECTORY`.
    pub const DIRECTORY: usize = 0o200_000;
    /// `O_NOFOLLOW`.
    pub const NOFOLLOW: usize = 0o400_000;
}

/// readlink(2).
///
/// # Safety
/// `path` is NUL-terminated, `to` valid for writes of `len` bytes.
#[inline]
pub unsafe fn readlink(path: usize, to: usize, len: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall3(nr::READLINK, path, to, len) }
}

/// access(2) with F_OK.
///
/// # Safety
/// `path` is NUL-terminated.
#[inline]
pub unsafe fn access(path: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall3(nr::ACCESS, path, 0, 0) }
}

/// stat(2) by an older call than newfstatat.
///
/// # Safety
/// `path` is NUL-terminated, `to` the address of a [`Stat`].
#[inline]
pub unsafe fn older_stat(path: usize, to: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall3(nr::STAT, path, to, 0) }
}

/// `struct stat` as the kernel fills it, as far as it is used.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stat {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    nlink: u64,
    /// `st_mode`.
    pub mode: u32,
    /// `st_uid`.
    pub uid: u32,
    gid: u32,
    pad: u32,
    rdev: u64,
    size: i64,
    rest: [u64; 11],
}

impl Stat {
    /// A zeroed one, to be filled.
    pub const fn zero() -> Self {
        Self {
            dev: 0,
            ino: 0,
            nlink: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            pad: 0,
            rdev: 0,
            size: 0,
            rest: [0; 11],
        }
    }

    /// `st_size`, in bytes.
    pub const fn size(&self) -> usize {
        self.size.unsigned_abs() as usize
    }

    /// `st_mtim`, in nanoseconds since 1970.
    pub const fn changed(&self) -> i64 {
        // st_blksize, st_blocks and st_atim come first.
        let [_, _, _, _, seconds, nanoseconds, ..] = self.rest;
        nanos(seconds, nanoseconds)
    }

    /// `st_ctim`, in nanoseconds since 1970.
    pub const fn status_changed(&self) -> i64 {
        let [_, _, _, _, _, _, seconds, nanoseconds, ..] = self.rest;
        nanos(seconds, nanoseconds)
    }
}

const _: () = assert!(size_of::<Stat>() == 144);

/// Makes system call `nr` with three arguments, which serve for fewer too.
///
/// # Safety
/// As the system call: pointers among the arguments must be valid for it.
#[inline]
pub unsafe fn syscall3(nr: usize, a: usize, b: usize, c: usize) -> isize {
    let result: isize;
    // SAFETY: the Linux x86-64 convention; rcx and r11 are clobbered by it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => result,
            in("rdi") a,
            in("rsi") b,
            in("rdx") c,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Makes system call `nr` with six arguments.
///
/// # Safety
/// As the system call: pointers among the arguments must be valid for it.
#[inline]
pub unsafe fn syscall6(nr: usize, args: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the Linux x86-64 convention; rcx and r11 are clobbered by it.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => result,
            in("rdi") args[0],
            in("rsi") args[1],
            in("rdx") args[2],
            in("r10") args[3],
            in("r8") args[4],
            in("r9") args[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// Copies `len` bytes.
///
/// # Safety
/// As `core::ptr::copy_nonoverlapping`.
#[inline]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: the caller's promise. Not a call to memcpy: see `clear`.
    unsafe {
        asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
            options(nostack, preserves_flags));
    }
}

/// Clears `len` bytes at `to`.
///
/// # Safety
/// `to` is valid for writes of `len` bytes.
#[inline]
pub unsafe fn clear(to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. Not `write_bytes`: a call to memset would
    // go through the GOT, since core's own code asks the compiler for that.
    unsafe {
        asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") 0u8,
            options(nostack, preserves_flags));
    }
}
