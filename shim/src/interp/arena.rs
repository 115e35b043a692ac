//! Memory that lives as long as the process: part of the shim's .bss.
//!
//! Unsafe because it hands out parts of a static. One page fault serves the
//! table, the program headers and the dynamic section of a small program, so
//! they are packed one after the other. Nothing is ever given back.
#![expect(unsafe_code, reason = "hands out parts of a static")]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::slice;

use crate::elf::{Dyn, Phdr};
use crate::format::layout::{MAX_OBJECTS, MAX_TABLE};
use crate::handover::{Handover, SCRATCH};
use crate::interp::exe::MAX_PHDRS;

/// Room for the largest table, all program headers, a dynamic section of the
/// largest closure, a search path with LD_LIBRARY_PATH in front, and what the
/// binder needs.
const SIZE: usize = MAX_TABLE
    + 64
    + (MAX_PHDRS + 1) * size_of::<Phdr>()
    + 2 * MAX_OBJECTS * size_of::<Dyn>()
    + 64 * 1024
    + SCRATCH;

// On pages of its own: the first write finds zeroed memory, not a page of the file.
#[repr(C, align(4096))]
struct Memory {
    original: UnsafeCell<[usize; 2]>,
    bytes: UnsafeCell<MaybeUninit<[u8; SIZE]>>,
}

// SAFETY: the shim runs before there is a second thread, and hands the memory
// out once.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory {
    original: UnsafeCell::new([0; 2]),
    bytes: UnsafeCell::new(MaybeUninit::zeroed()),
};

/// Address and number of functions of the executable's own DT_PREINIT_ARRAY.
///
/// # Safety
/// Not while [`set_original`] runs.
pub unsafe fn original() -> [usize; 2] {
    // SAFETY: the caller's promise.
    unsafe { *MEMORY.original.get() }
}

/// Remembers the executable's own DT_PREINIT_ARRAY.
///
/// # Safety
/// Before there is a second thread.
pub unsafe fn set_original(array: [usize; 2]) {
    // SAFETY: the caller's promise.
    unsafe { *MEMORY.original.get() = array };
}

/// The arena; there is one a process.
pub struct Arena {
    used: usize,
}

impl Arena {
    /// # Safety
    /// Call once in a process.
    pub const unsafe fn new() -> Self {
        Self { used: 0 }
    }

    /// All that is left, zeroed, to be filled by `read` and then kept by
    /// [`Arena::keep`].
    pub fn rest(&mut self) -> &'static mut [u8] {
        // SAFETY: what lies beyond `used` was not handed out and is zeroed; the
        // caller keeps a part of it before the next call.
        unsafe {
            let start = MEMORY.bytes.get().cast::<u8>().add(self.used);
            slice::from_raw_parts_mut(start, SIZE - self.used)
        }
    }

    /// Keeps the first `len` bytes of [`Arena::rest`].
    pub fn keep(&mut self, len: usize) {
        self.used = self.used.saturating_add(len).saturating_add(15) & !15;
        if self.used > SIZE {
            self.used = SIZE;
        }
    }

    /// `count` zeroed values of `T`; `None` if the arena is full.
    pub fn take<T: Copy + Zeroed>(&mut self, count: usize) -> Option<&'static mut [T]> {
        let rest = self.rest();
        let bytes = count.checked_mul(size_of::<T>())?;
        if bytes > rest.len() {
            return None;
        }
        self.keep(bytes);
        // SAFETY: large enough, aligned to 16 by `keep`, zero is valid for T.
        Some(unsafe { slice::from_raw_parts_mut(rest.as_mut_ptr().cast::<T>(), count) })
    }
}

/// Types for which zeroed memory is a value, of alignment at most 16.
///
/// # Safety
/// Implement for such types only.
pub unsafe trait Zeroed {}
// SAFETY: integers, raw pointers and flags, alignment 8.
unsafe impl Zeroed for Handover {}
// SAFETY: integers.
unsafe impl Zeroed for u8 {}
// SAFETY: integers only, alignment 8.
unsafe impl Zeroed for Dyn {}
// SAFETY: integers only, alignment 8.
unsafe impl Zeroed for Phdr {}
