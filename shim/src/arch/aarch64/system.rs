//! aarch64 Linux: system calls, and copying and clearing memory.
//!
//! `entry.rs` and `memory.rs` beside this file are parts of the shim and the
//! binder, not of this library: they define symbols that the host's C library
//! has too. shim/start/ names them.
//!
//! Unsafe because system calls are assembly. Numbers: Linux
//! include/uapi/asm-generic/unistd.h.
#![expect(unsafe_code, reason = "system calls are assembly")]

use core::arch::asm;

use crate::arch::time::nanos;

/// Smallest unit that is mapped, in bytes, in any kernel; 16 and 64 KiB are others.
pub const PAGE: usize = 4096;

/// The unit that is mapped by the kernel that runs.
#[derive(Clone, Copy)]
pub struct Page(usize);

impl Page {
    /// AT_PAGESZ, in bytes: a power of two.
    pub const fn told(size: usize) -> Self {
        Self(size)
    }

    /// Its size in bytes.
    pub const fn size(self) -> usize {
        self.0
    }
}

/// Whether the segments of ld.so may lie pages apart: it is linked for pages of 64 KiB.
pub const GAPS: bool = true;

/// Bytes of a GNU property note that are looked at.
pub const PROPERTY: usize = 64;

/// What the processor and the kernel can do, as far as mapping code depends on it.
#[derive(Clone, Copy, Default)]
pub struct Features {
    hwcap2: usize,
}

impl Features {
    /// Takes note of an entry of the auxiliary vector.
    pub const fn tell(&mut self, key: usize, value: usize) {
        const AT_HWCAP2: usize = 26;
        if key == AT_HWCAP2 {
            self.hwcap2 = value;
        }
    }

    /// How the code of a file with this GNU property note is mapped: with branch target
    /// identification, if the note says that it has it, as the kernel does it for an
    /// interpreter (arch/arm64/kernel/process.c, arch_elf_adjust_prot). Without, ld.so's
    /// own code would be the one that is not protected.
    pub fn code(self, property: impl FnOnce() -> Option<[u8; PROPERTY]>) -> Code {
        const HWCAP2_BTI: usize = 1 << 17;
        Code {
            bti: self.hwcap2 & HWCAP2_BTI != 0 && property().is_some_and(|note| has_bti(&note)),
        }
    }
}

/// How code is mapped.
#[derive(Clone, Copy)]
pub struct Code {
    bti: bool,
}

impl Code {
    /// Its protection besides `PROT_EXEC`.
    pub const fn protection(self) -> usize {
        const PROT_BTI: usize = 0x10;
        if self.bti { PROT_BTI } else { 0 }
    }
}

/// Whether a note of NT_GNU_PROPERTY_TYPE_0 has GNU_PROPERTY_AARCH64_FEATURE_1_BTI (ELF
/// for the Arm 64-bit Architecture, 6.2). The kernel, too, looks at one note only.
fn has_bti(note: &[u8]) -> bool {
    const NAME: &[u8] = &[4, 0, 0, 0];
    const TYPE_0_GNU: &[u8] = b"\x05\0\0\0GNU\0";
    const FEATURE_1_AND: u32 = 0xc000_0000;
    const FEATURE_1_BTI: u32 = 1;
    let word = |at: usize| {
        let bytes = note.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    if !note.starts_with(NAME) || note.get(8..16) != Some(TYPE_0_GNU) {
        return false;
    }
    let mut at = 16;
    while let (Some(kind), Some(len)) = (word(at), word(at + 4)) {
        if kind == FEATURE_1_AND {
            return word(at + 8).is_some_and(|bits| bits & FEATURE_1_BTI != 0);
        }
        at += 8 + ((len as usize).saturating_add(7) & !7);
    }
    false
}

/// Whether `holds` is true of one of the folders below a library folder where
/// ld.so looks first. There is no glibc-hwcaps folder of this machine; libraries in
/// `tls`, `aarch64` and `atomics`, folders that ld.so knew up to glibc 2.36, are not
/// looked for.
#[inline]
pub fn any_hwcaps(_holds: impl Fn(&[u8]) -> bool) -> bool {
    false
}

/// Numbers of the system calls that the shim and the binder make.
pub mod nr {
    /// faccessat(2).
    pub const FACCESSAT: usize = 48;
    /// openat(2).
    pub const OPENAT: usize = 56;
    /// close(2).
    pub const CLOSE: usize = 57;
    /// lseek(2).
    pub const LSEEK: usize = 62;
    /// read(2).
    pub const READ: usize = 63;
    /// write(2).
    pub const WRITE: usize = 64;
    /// pread64(2).
    pub const PREAD64: usize = 67;
    /// readlinkat(2).
    pub const READLINKAT: usize = 78;
    /// newfstatat(2).
    pub const NEWFSTATAT: usize = 79;
    /// fstat(2).
    pub const FSTAT: usize = 80;
    /// exit_group(2).
    pub const EXIT_GROUP: usize = 94;
    /// rt_sigprocmask(2).
    pub const RT_SIGPROCMASK: usize = 135;
    /// mmap(2).
    pub const MMAP: usize = 222;
    /// mprotect(2).
    pub const MPROTECT: usize = 226;
    /// madvise(2).
    pub const MADVISE: usize = 233;
    /// close_range(2), Linux 5.9.
    pub const CLOSE_RANGE: usize = 436;
}

/// Flags of openat(2) that have other values on other machines.
pub mod open {
    /// `O_DIRECTORY`.
    pub const DIRECTORY: usize = 0o40_000;
    /// `O_NOFOLLOW`.
    pub const NOFOLLOW: usize = 0o100_000;
}

/// `AT_FDCWD`.
const AT_FDCWD: usize = -100_isize as usize;

/// readlink(2), by the call that there is: readlinkat.
///
/// # Safety
/// `path` is NUL-terminated, `to` valid for writes of `len` bytes.
#[inline]
pub unsafe fn readlink(path: usize, to: usize, len: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall6(nr::READLINKAT, [AT_FDCWD, path, to, len, 0, 0]) }
}

/// access(2) with F_OK, by the call that there is: faccessat.
///
/// # Safety
/// `path` is NUL-terminated.
#[inline]
pub unsafe fn access(path: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { syscall3(nr::FACCESSAT, AT_FDCWD, path, 0) }
}

/// stat(2) by an older call than newfstatat; there is none.
///
/// # Safety
/// None is needed.
#[inline]
pub const unsafe fn older_stat(_path: usize, _to: usize) -> isize {
    const ENOSYS: isize = 38;
    -ENOSYS
}

/// `struct stat` as the kernel fills it, as far as it is used (Linux
/// include/uapi/asm-generic/stat.h).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Stat {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    /// `st_mode`.
    pub mode: u32,
    nlink: u32,
    /// `st_uid`.
    pub uid: u32,
    gid: u32,
    rdev: u64,
    pad: u64,
    size: i64,
    rest: [u64; 9],
}

impl Stat {
    /// A zeroed one, to be filled.
    pub const fn zero() -> Self {
        Self {
            dev: 0,
            ino: 0,
            mode: 0,
            nlink: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            pad: 0,
            size: 0,
            rest: [0; 9],
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

const _: () = assert!(size_of::<Stat>() == 128);

/// Makes system call `nr` with three arguments, which serve for fewer too.
///
/// # Safety
/// As the system call: pointers among the arguments must be valid for it.
#[inline]
pub unsafe fn syscall3(nr: usize, a: usize, b: usize, c: usize) -> isize {
    let result: isize;
    // SAFETY: the Linux aarch64 convention; all other registers are kept.
    unsafe {
        asm!(
            "svc #0",
            in("x8") nr,
            inlateout("x0") a => result,
            in("x1") b,
            in("x2") c,
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
    // SAFETY: the Linux aarch64 convention; all other registers are kept.
    unsafe {
        asm!(
            "svc #0",
            in("x8") nr,
            inlateout("x0") args[0] => result,
            in("x1") args[1],
            in("x2") args[2],
            in("x3") args[3],
            in("x4") args[4],
            in("x5") args[5],
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
    // SAFETY: the caller's promise. A call to memcpy is direct here, by R_AARCH64_CALL26.
    unsafe { to.copy_from_nonoverlapping(from, len) };
}

/// Clears `len` bytes at `to`.
///
/// # Safety
/// `to` is valid for writes of `len` bytes.
#[inline]
pub unsafe fn clear(to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { to.write_bytes(0, len) };
}
