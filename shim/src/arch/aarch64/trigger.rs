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
    // As in the shim's entry.rs.
    ".section .note.gnu.property, \"a\", @note",
    ".balign 8",
    ".long 4, 16, 5",
    ".asciz \"GNU\"",
    ".long 0xc0000000, 4, 5, 0",
    ".previous",
    resolver = sym super::indir_bind,
);
