//! What the executable needs, by the names that ld.so is given.

use core::ffi::CStr;

use crate::format::layout::{OBJECT_LDSO, OBJECT_SEARCH};
use crate::format::table::Table;
use crate::interp::arena::Arena;
use crate::interp::library_path::{LibraryPath, MAX_FAMILY};
use crate::interp::locate::absolute;

/// The needs of a start with a table.
pub struct Needs<'a> {
    /// The closure.
    pub table: &'a Table<'static>,
    /// Path of ld.so.
    pub ldso: &'static CStr,
    /// The executable's folder.
    pub origin: &'a [u8],
    /// The variable, if it is set.
    pub library_path: Option<LibraryPath>,
    /// The binder, in a bound plan that is not switched off.
    pub binder: Option<&'static CStr>,
}

impl Needs<'_> {
    /// How many there are at the most.
    pub fn most(&self) -> usize {
        self.table.len() + 1 + self.library_path.map_or(0, |_| MAX_FAMILY)
    }

    /// Calls `put` with each, in order; the binder is the last. `None` when `put`
    /// says so or the arena is full.
    pub fn each(
        &self,
        arena: &mut Arena,
        mut put: impl FnMut(&'static CStr) -> Option<()>,
    ) -> Option<()> {
        let mut index = 0;
        while let Some(object) = self.table.object(index) {
            index += 1;
            let flags = object.raw.flags;
            let by_soname = flags & OBJECT_SEARCH != 0
                || self.library_path.is_some_and(|path| path.may_hold(&object));
            put(if flags & OBJECT_LDSO != 0 {
                self.ldso
            } else if by_soname {
                object.soname
            } else {
                absolute(arena, object.path, self.origin).ok()?
            })?;
        }
        if let Some(path) = self.library_path {
            let mut full = Some(());
            path.family(self.table, arena, |part| {
                full = full.and_then(|()| put(part));
            });
            full?;
        }
        if let Some(binder) = self.binder {
            put(binder)?;
        }
        Some(())
    }
}
