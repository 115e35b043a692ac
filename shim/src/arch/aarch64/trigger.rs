//! What makes ld.so call the binder.

use core::arch::global_asm;

// A branch to an IFUNC becomes an IRELATIVE relocation among those of the PLT. A word
// that holds its address would be a second one to GNU ld of this machine.
global_asm!(
    ".type indir_bound, @gnu_indirect_function",
    "indir_bound:",
    "bti c",
    "b {resolver}",
    ".section .text.indir, \"ax\"",
    ".balign 4",
    ".globl indir_trigger",
    ".hidden indir_trigger",
    "indir_trigger:",
    "b indir_bound",
    ".previous",
    resolver = sym super::indir_bind,
);
