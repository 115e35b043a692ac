//! What makes ld.so call the binder.

use core::arch::global_asm;

// A word that holds the address of an IFUNC becomes an IRELATIVE relocation.
global_asm!(
    ".type indir_bound, @gnu_indirect_function",
    ".set indir_bound, {resolver}",
    ".section .data.rel.ro.indir, \"aw\"",
    ".balign 8",
    ".globl indir_trigger",
    ".hidden indir_trigger",
    "indir_trigger:",
    ".quad indir_bound",
    ".previous",
    resolver = sym super::indir_bind,
);
