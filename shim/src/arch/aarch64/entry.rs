//! Entry point of the shim on aarch64.
//!
//! `_start` is where the kernel jumps to. It calls `indir_start` with the stack pointer,
//! and leaves every register as the kernel set it before it jumps to the address that
//! `indir_start` returned: general and vector registers and flags zero (Linux
//! arch/arm64/include/asm/processor.h, start_thread). One register has to hold that
//! address: x16, by which a branch may also reach a `bti c`.

use core::arch::{asm, global_asm};

global_asm!(
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "bti c",
    "mov x0, sp",
    "mov x19, sp",
    "bl indir_start",
    "mov sp, x19",
    "mov x16, x0",
    "mov x0, xzr",
    "mov x1, xzr",
    "mov x2, xzr",
    "mov x3, xzr",
    "mov x4, xzr",
    "mov x5, xzr",
    "mov x6, xzr",
    "mov x7, xzr",
    "mov x8, xzr",
    "mov x9, xzr",
    "mov x10, xzr",
    "mov x11, xzr",
    "mov x12, xzr",
    "mov x13, xzr",
    "mov x14, xzr",
    "mov x15, xzr",
    "mov x17, xzr",
    "mov x18, xzr",
    "mov x19, xzr",
    "mov x20, xzr",
    "mov x21, xzr",
    "mov x22, xzr",
    "mov x23, xzr",
    "mov x24, xzr",
    "mov x25, xzr",
    "mov x26, xzr",
    "mov x27, xzr",
    "mov x28, xzr",
    "mov x29, xzr",
    "mov x30, xzr",
    "movi v0.2d, #0",
    "movi v1.2d, #0",
    "movi v2.2d, #0",
    "movi v3.2d, #0",
    "movi v4.2d, #0",
    "movi v5.2d, #0",
    "movi v6.2d, #0",
    "movi v7.2d, #0",
    "movi v8.2d, #0",
    "movi v9.2d, #0",
    "movi v10.2d, #0",
    "movi v11.2d, #0",
    "movi v12.2d, #0",
    "movi v13.2d, #0",
    "movi v14.2d, #0",
    "movi v15.2d, #0",
    "movi v16.2d, #0",
    "movi v17.2d, #0",
    "movi v18.2d, #0",
    "movi v19.2d, #0",
    "movi v20.2d, #0",
    "movi v21.2d, #0",
    "movi v22.2d, #0",
    "movi v23.2d, #0",
    "movi v24.2d, #0",
    "movi v25.2d, #0",
    "movi v26.2d, #0",
    "movi v27.2d, #0",
    "movi v28.2d, #0",
    "movi v29.2d, #0",
    "movi v30.2d, #0",
    "movi v31.2d, #0",
    "msr nzcv, xzr",
    "br x16",
    ".size _start, . - _start",
    // ld.so calls it by its address.
    "indir_preinit:",
    "bti c",
    "b {preinit}",
    preinit = sym super::preinit,
);

/// Address of the function that runs before constructors.
pub fn preinit() -> usize {
    let address: usize;
    // SAFETY: only computes the address.
    unsafe {
        asm!("adr {}, indir_preinit", out(reg) address, options(nomem, nostack, preserves_flags))
    };
    address
}

/// Debuggers look for this name in the file that PT_INTERP names, and stop
/// there whenever objects were mapped (gdb/solib-svr4.c, bkpt_names).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn _dl_debug_state() {
    // SAFETY: does nothing; keeps the call from being optimised away.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
}
