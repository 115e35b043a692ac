//! The shim as the kernel starts it: entry point, panic handler, and the call
//! that tells debuggers about the mapped objects. build.rs compiles this file
//! on its own against the `indir_shim` library.
//!
//! Unsafe because it is where the kernel jumps to. A panic cannot happen: the
//! handler refers to a symbol that does not exist, so that linking fails if
//! any path to it is left.
#![no_std]
#![no_main]

#[cfg_attr(target_arch = "aarch64", path = "../src/arch/aarch64/entry.rs")]
#[cfg_attr(target_arch = "x86_64", path = "../src/arch/x86_64/entry.rs")]
mod entry;
#[cfg_attr(target_arch = "aarch64", path = "../src/arch/aarch64/memory.rs")]
#[cfg_attr(target_arch = "x86_64", path = "../src/arch/x86_64/memory.rs")]
mod memory;

use indir_shim::interp::arena::original;
use indir_shim::interp::start::start;

// `indir_shim::format::note::TYPE_SHIM`: no shim takes this file for an ld.so.
core::arch::global_asm!(
    ".section .note.indir, \"a\", @note",
    ".balign 4",
    ".long 6, 0, 3",
    ".asciz \"indir\"",
    ".balign 4",
    ".previous",
);

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn indir_the_shim_must_not_panic() -> !;
    }
    indir_the_shim_must_not_panic()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn indir_start(sp: *mut usize) -> usize {
    // SAFETY: called once by `_start`, with the kernel's stack pointer.
    unsafe { start(sp, entry::preinit()) }
}

/// Runs before any constructor of the program (elf/dl-init.c, _dl_init).
unsafe extern "C" fn preinit(argc: usize, argv: *const usize, envp: *const usize) {
    entry::_dl_debug_state();
    // SAFETY: nobody writes it any more.
    let [array, count] = unsafe { original() };
    for index in 0..count {
        type Init = unsafe extern "C" fn(usize, *const usize, *const usize);
        // SAFETY: the executable's own array, relocated by now, run as ld.so
        // would run it.
        unsafe { (*(array as *const Init).add(index))(argc, argv, envp) };
    }
}
