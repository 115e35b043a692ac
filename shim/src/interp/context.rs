//! How a start fails: one line, and an exit code.

use core::ffi::CStr;

use crate::message::Line;
use crate::sys;

/// Exit code when a program cannot start; the shell's for "not found".
pub const CANNOT_START: u8 = 127;

/// What a failure is about, for the one line that says so.
pub struct Context {
    /// The executable: its path, or the name it was started by.
    pub exe: &'static CStr,
    /// Its table, once that is known.
    pub table: &'static CStr,
    /// AT_SECURE is set.
    pub secure: bool,
}

impl Context {
    /// Ends the process with one line: the executable, the file, the reason and
    /// the command that mends it.
    #[cold]
    #[inline(never)]
    pub fn fail(&self, what: &str, file: &CStr, reason: &str) -> ! {
        self.end(what, file, reason, None)
    }

    /// The same, naming the owner of the file where that is the reason.
    #[cold]
    #[inline(never)]
    pub fn end(&self, what: &str, file: &CStr, reason: &str, owner: Option<u32>) -> ! {
        let mut line = Line::begin();
        line.name(self.exe).text(": ").text(what).name(file);
        line.text(": ").text(reason);
        if let Some(owner) = owner {
            line.text(" (its owner is user ").number(owner).text(")");
        }
        if !self.table.is_empty() {
            line.text(" (table ").name(self.table).text(")");
        }
        line.text(if self.secure {
            "; it runs with privileges: as root, run `indir verify "
        } else {
            "; run `indir update "
        });
        line.word(self.exe).text("`").write();
        sys::exit(CANNOT_START)
    }
}
