//! aarch64 (LP64, little-endian): constants, for tools on any machine, and `system`, for
//! this one.

#[cfg(target_arch = "aarch64")]
pub mod system;

use core::ffi::CStr;

/// `e_machine`: EM_AARCH64 (ELF for the Arm 64-bit Architecture, 5.2).
pub const MACHINE: u16 = 183;
/// R_AARCH64_RELATIVE: ld.so stores the load address plus the addend.
pub const R_RELATIVE: u32 = 1027;
/// R_AARCH64_IRELATIVE: ld.so stores what the function at the addend returns.
pub const R_IRELATIVE: u32 = 1032;
/// Name of ld.so (glibc sysdeps/unix/sysv/linux/aarch64/shlib-versions).
pub const LDSO: &CStr = c"ld-linux-aarch64.so.1";

/// What `$LIB` may be in a folder that ld.so searches: DL_DST_LIB of Debian's glibc,
/// of the others for this machine, and of those with one library folder; a NUL between.
pub const LIB: &[u8] = b"lib/aarch64-linux-gnu\0lib64\0lib";

/// What `$PLATFORM` is: AT_PLATFORM.
pub const PLATFORM: &[u8] = b"aarch64";
