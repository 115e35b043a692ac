//! The one line that a user sees when a program cannot start, and the lines of
//! INDIR_DEBUG.
//!
//! Formatting machinery would cost kilobytes and relocations, and so would
//! constant lists of strings; a line is put together part by part.

use core::ffi::CStr;

use crate::bytes::{Buffer, decimal};
use crate::quote;
use crate::sys;

/// Longest line in bytes; what goes beyond it is cut.
const LINE: usize = 9000;

/// A line in the making.
pub struct Line(Buffer<LINE>);

impl Line {
    /// Begins as all messages do.
    pub fn begin() -> Self {
        let mut line = Self(Buffer::empty());
        line.text("indir: ");
        line
    }

    /// Adds `text`.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.add(text.as_bytes())
    }

    /// Adds a path or a name, for people.
    pub fn name(&mut self, name: &CStr) -> &mut Self {
        quote::shown(name.to_bytes(), |part| {
            self.add(part);
        });
        self
    }

    /// Adds a path or a name as a word of a command.
    pub fn word(&mut self, name: &CStr) -> &mut Self {
        quote::shell(name.to_bytes(), |part| {
            self.add(part);
        });
        self
    }

    /// Adds a number in decimal.
    pub fn number(&mut self, number: u32) -> &mut Self {
        let _all = decimal(number, |digits| {
            self.add(digits);
            Some(())
        });
        self
    }

    #[inline(never)]
    fn add(&mut self, part: &[u8]) -> &mut Self {
        // One byte is kept for the newline.
        let count = part.len().min(self.0.room().saturating_sub(1));
        let _cut = self.0.push(part.get(..count).unwrap_or(&[]));
        self
    }

    /// Writes it to standard error in one system call.
    #[inline(never)]
    pub fn write(&mut self) {
        let _cut = self.0.push(b"\n");
        sys::write_stderr(self.0.bytes());
    }
}
