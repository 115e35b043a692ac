//! x86-64 Linux: ELF constants, system calls, and copying and clearing memory.
//!
//! `entry.rs` and `memory.rs` beside this file are parts of the shim and the
//! binder, not of this library: they define symbols that the host's C library
//! has too. shim/start/ names them.
//!
//! Unsafe because system calls and the entry point are assembly. Numbers:
//! Linux arch/x86/entry/syscalls/syscall_64.tbl.
#![expect(unsafe_code, reason = "system calls are assembly")]

use core::arch::asm;

/// `e_machine` of what this build serves: EM_X86_64 (x86-64 psABI 4.1).
pub const MACHINE: u16 = 62;
/// R_X86_64_RELATIVE: ld.so stores the load address plus the addend.
pub const R_RELATIVE: u32 = 8;
/// R_X86_64_IRELATIVE: ld.so stores what the function at the addend returns.
pub const R_IRELATIVE: u64 = 37;
/// Name of ld.so (glibc sysdeps/unix/sysv/linux/x86_64/64/shlib-versions).
pub const LDSO: &core::ffi::CStr = c"ld-linux-x86-64.so.2";
/// Smallest unit that is mapped, in bytes.
pub const PAGE: usize = 4096;

/// Whether `holds` is true of one of the folders below a library folder where
/// ld.so looks first (glibc sysdeps/x86_64/dl-hwcaps_subdirs.c).
#[inline]
pub fn any_hwcaps(holds: impl Fn(&[u8]) -> bool) -> bool {
    holds(b"/glibc-hwcaps/x86-64-v2/")
        || holds(b"/glibc-hwcaps/x86-64-v3/")
        || holds(b"/glibc-hwcaps/x86-64-v4/")
}

/// What `$LIB` may be in a folder that ld.so searches: DL_DST_LIB of Debian's glibc,
/// of the others for this machine, and of those with one library folder; a NUL between.
pub const LIB: &[u8] = b"lib/x86_64-linux-gnu\0lib64\0lib";

/// What `$PLATFORM` is: AT_PLATFORM. ld.so says `haswell` or `xeon_phi` on some
/// processors, up to glibc 2.36; libraries of these folders are not looked for.
pub const PLATFORM: &[u8] = b"x86_64";

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
    /// munmap(2).
    pub const MUNMAP: usize = 11;
    /// rt_sigprocmask(2).
    pub const RT_SIGPROCMASK: usize = 14;
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

const fn nanos(seconds: u64, nanoseconds: u64) -> i64 {
    let nanos = (seconds as i64).saturating_mul(1_000_000_000);
    nanos.saturating_add(nanoseconds as i64)
}

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
