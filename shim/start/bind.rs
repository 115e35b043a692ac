//! The binder as a library: an IFUNC whose resolver does the work, once, when
//! ld.so relocates this object. build.rs compiles this file on its own against
//! the `indir_shim` library.
//!
//! Unsafe because ld.so calls it in the middle of its own work. It panics as
//! little as the shim: linking fails if it could.
#![no_std]

#[cfg_attr(target_arch = "aarch64", path = "../src/arch/aarch64/memory.rs")]
#[cfg_attr(target_arch = "x86_64", path = "../src/arch/x86_64/memory.rs")]
mod memory;
#[cfg_attr(target_arch = "aarch64", path = "../src/arch/aarch64/trigger.rs")]
#[cfg_attr(target_arch = "x86_64", path = "../src/arch/x86_64/trigger.rs")]
mod trigger;

use indir_shim::binder::linkmap::RDebug;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        safe fn indir_the_binder_must_not_panic() -> !;
    }
    indir_the_binder_must_not_panic()
}

unsafe extern "C" {
    /// ld.so's list of objects (GLIBC_2.2.5).
    static _r_debug: RDebug;
}

unsafe extern "C" fn indir_bind() -> usize {
    // SAFETY: called by ld.so while it relocates this object; `_r_debug` was
    // resolved before, since IRELATIVE entries come last (elf/do-rel.h). It may be
    // another object's, which has to be of that size to be of any use to a debugger.
    unsafe { indir_shim::binder::bind::run(&raw const _r_debug) };
    indir_bind as *const () as usize
}
