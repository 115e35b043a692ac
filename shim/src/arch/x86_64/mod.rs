//! x86-64: constants, for tools on any machine, and `system`, for this one.

#[cfg(target_arch = "x86_64")]
pub mod system;

use core::ffi::CStr;

/// `e_machine`: EM_X86_64 (x86-64 psABI 4.1).
pub const MACHINE: u16 = 62;
/// R_X86_64_RELATIVE: ld.so stores the load address plus the addend.
pub const R_RELATIVE: u32 = 8;
/// R_X86_64_IRELATIVE: ld.so stores what the function at the addend returns.
pub const R_IRELATIVE: u32 = 37;
/// Name of ld.so (glibc sysdeps/unix/sysv/linux/x86_64/64/shlib-versions).
pub const LDSO: &CStr = c"ld-linux-x86-64.so.2";

/// What `$LIB` may be in a folder that ld.so searches: DL_DST_LIB of Debian's glibc,
/// of the others for this machine, and of those with one library folder; a NUL between.
pub const LIB: &[u8] = b"lib/x86_64-linux-gnu\0lib64\0lib";

/// What `$PLATFORM` is: AT_PLATFORM. ld.so says `haswell` or `xeon_phi` on some
/// processors, up to glibc 2.36; libraries of these folders are not looked for.
pub const PLATFORM: &[u8] = b"x86_64";
