//! Putting byte strings together without a path to a panic, and without
//! clearing memory that is about to be written.
//!
//! Unsafe because [`Buffer`] begins uninitialised: a start should not touch
//! pages of stack that it does not need.
#![expect(unsafe_code, reason = "copies bytes, and reads back a buffer")]

use core::ffi::CStr;
use core::mem::MaybeUninit;
use core::slice;

use crate::arch::{clear, copy};

/// Copies `from` into `to` at `at`; `None` if it does not fit.
pub fn put(to: &mut [u8], at: usize, from: &[u8]) -> Option<()> {
    let to = to.get_mut(at..)?.get_mut(..from.len())?;
    // SAFETY: `to` has the length of `from`, and is borrowed exclusively.
    unsafe { copy(to.as_mut_ptr(), from.as_ptr(), from.len()) };
    Some(())
}

/// `bytes` as a C string; `None` unless its only NUL is its last byte.
///
/// Smaller than the standard library's, which is tuned for long strings.
pub fn text(bytes: &[u8]) -> Option<&CStr> {
    let end = bytes.iter().position(|&b| b == 0)?;
    if end + 1 != bytes.len() {
        return None;
    }
    // SAFETY: the first NUL is the last byte.
    Some(unsafe { CStr::from_bytes_with_nul_unchecked(bytes) })
}

/// The string at `text`, or an empty one if it is NULL.
///
/// # Safety
/// `text` is NULL or ends in NUL and lives as long as the process.
pub unsafe fn string(text: *const u8) -> &'static CStr {
    if text.is_null() {
        return c"";
    }
    let mut len = 0;
    // SAFETY: the caller vouches for the NUL.
    unsafe {
        while *text.add(len) != 0 {
            len += 1;
        }
        CStr::from_bytes_with_nul_unchecked(slice::from_raw_parts(text, len + 1))
    }
}

/// Gives `push` the digits of `number`; `None` as soon as `push` says so.
pub fn decimal(number: u32, mut push: impl FnMut(&[u8]) -> Option<()>) -> Option<()> {
    let mut divisor = 1_000_000_000;
    while divisor > 1 && number < divisor {
        divisor /= 10;
    }
    while divisor != 0 {
        push(&[b'0' + (number / divisor % 10) as u8])?;
        divisor /= 10;
    }
    Some(())
}

/// Up to `N` bytes on the stack.
pub struct Buffer<const N: usize> {
    bytes: MaybeUninit<[u8; N]>,
    len: usize,
}

impl<const N: usize> Buffer<N> {
    /// An empty one.
    pub const fn empty() -> Self {
        Self {
            bytes: MaybeUninit::uninit(),
            len: 0,
        }
    }

    /// What was pushed.
    pub const fn bytes(&self) -> &[u8] {
        // SAFETY: the first `len` bytes were written.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr().cast(), self.len) }
    }

    /// Bytes that can still be pushed.
    pub const fn room(&self) -> usize {
        N - self.len
    }

    /// Empties it.
    pub const fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds `part`; `None`, and nothing added, if there is no room.
    #[inline(never)]
    pub fn push(&mut self, part: &[u8]) -> Option<()> {
        if part.len() > self.room() {
            return None;
        }
        // SAFETY: in bounds, checked above; both are bytes.
        unsafe {
            let end = self.bytes.as_mut_ptr().cast::<u8>().add(self.len);
            copy(end, part.as_ptr(), part.len());
        }
        self.len += part.len();
        Some(())
    }

    /// Takes `byte` away again, if it was pushed last.
    pub fn pop(&mut self, byte: u8) {
        if self.bytes().last() == Some(&byte) {
            self.len -= 1;
        }
    }

    /// Everything pushed, as a C string; `None` unless its only NUL is the
    /// last byte pushed.
    pub fn text(&self) -> Option<&CStr> {
        text(self.bytes())
    }

    /// Lets `fill` write into zeroed room for `N` bytes, in place of what was
    /// there; it returns how many it wrote.
    pub fn fill_from<E>(
        &mut self,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        // SAFETY: all `N` bytes belong to the buffer, which is borrowed exclusively.
        let room = unsafe {
            let start = self.bytes.as_mut_ptr().cast::<u8>();
            clear(start, N);
            slice::from_raw_parts_mut(start, N)
        };
        self.len = fill(room)?.min(N);
        Ok(())
    }

    /// Lets `fill` write at most `N` bytes at the address that it is given, in
    /// place of what was there; it returns how many it wrote.
    ///
    /// # Safety
    /// `fill` must have written as many bytes as it returns.
    pub unsafe fn fill<E>(
        &mut self,
        fill: impl FnOnce(*mut u8, usize) -> Result<usize, E>,
    ) -> Result<(), E> {
        self.len = fill(self.bytes.as_mut_ptr().cast(), N)?.min(N);
        Ok(())
    }
}
