//! Entry point of the shim on x86-64.
//!
//! `_start` is where the kernel jumps to. It keeps the stack pointer, calls
//! `indir_start` with it, and leaves every register as the kernel set it before
//! it jumps to the address that `indir_start` returned: general registers and
//! vector registers zero, flags 0x202 (Linux ELF_PLAT_INIT and start_thread).
//! The target lies in the red zone, so that no register has to hold it.

use core::arch::{asm, global_asm};

global_asm!(
    ".globl _start",
    ".type _start, @function",
    "_start:",
    "mov rdi, rsp",
    "mov rbx, rsp",
    "call indir_start",
    "mov rsp, rbx",
    "mov [rsp - 16], rax",
    "xor eax, eax",
    "xor ebx, ebx",
    "xor ecx, ecx",
    "xor edx, edx",
    "xor esi, esi",
    "xor edi, edi",
    "xor ebp, ebp",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "xor r10d, r10d",
    "xor r11d, r11d",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "xorps xmm0, xmm0",
    "xorps xmm1, xmm1",
    "xorps xmm2, xmm2",
    "xorps xmm3, xmm3",
    "xorps xmm4, xmm4",
    "xorps xmm5, xmm5",
    "xorps xmm6, xmm6",
    "xorps xmm7, xmm7",
    "xorps xmm8, xmm8",
    "xorps xmm9, xmm9",
    "xorps xmm10, xmm10",
    "xorps xmm11, xmm11",
    "xorps xmm12, xmm12",
    "xorps xmm13, xmm13",
    "xorps xmm14, xmm14",
    "xorps xmm15, xmm15",
    "push 0x202",
    "popfq",
    "jmp qword ptr [rsp - 16]",
    ".size _start, . - _start",
);

/// Address of the function that runs before constructors.
pub fn preinit() -> usize {
    super::preinit as *const () as usize
}

/// Debuggers look for this name in the file that PT_INTERP names, and stop
/// there whenever objects were mapped (gdb/solib-svr4.c, bkpt_names).
#[unsafe(no_mangle)]
#[inline(never)]
pub extern "C" fn _dl_debug_state() {
    // SAFETY: does nothing; keeps the call from being optimised away.
    unsafe { asm!("nop", options(nomem, nostack, preserves_flags)) };
}
