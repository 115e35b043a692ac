//! What the environment asks of the shim, and LD_LIBRARY_PATH.
//!
//! Never consulted under AT_SECURE. Nothing is added to the environment or
//! taken from it, so that children inherit nothing.

use core::ffi::CStr;

use crate::arch;
use crate::bytes::{self, Buffer, put, string};
use crate::interp::arena::Arena;
use crate::interp::stack::Stack;
use crate::sys::{self, PATH};

/// The environment variables that matter.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// `INDIR_TABLE`: another table than the note names.
    pub table: Option<&'static CStr>,
    /// The direct plan: `INDIR_DISABLE_BINDINGS=1`, or a variable that makes
    /// ld.so bind in another way than the bindings foresee.
    pub direct: bool,
    /// `INDIR_DEBUG=1`: explain on stderr.
    pub debug: bool,
    /// `LD_LIBRARY_PATH`, if it is set and not empty.
    pub library_path: Option<&'static CStr>,
}

impl Options {
    /// Reads them from the initial stack.
    pub fn read(stack: &Stack) -> Self {
        let mut options = Self::default();
        stack.each_env(|entry| {
            #[expect(unsafe_code, reason = "the kernel ended every string with NUL")]
            // SAFETY: environment strings are never NULL, have at least a NUL,
            // and live as long as the process.
            let (first, entry) = unsafe { (*entry, || string(entry)) };
            // Most variables are dismissed by their first byte.
            if first == b'L' {
                let entry = entry();
                let value = after(entry, b"LD_LIBRARY_PATH=");
                options.library_path = options.library_path.or(value.filter(|v| !v.is_empty()));
                // LD_AUDIT, LD_PRELOAD, LD_PROFILE, LD_TRACE_LOADED_OBJECTS and
                // LD_DYNAMIC_WEAK: other objects, other rules, or an audience.
                let other = matches!(
                    entry.to_bytes(),
                    [b'L', b'D', b'_', b'A' | b'P' | b'T', ..] | [b'L', b'D', b'_', b'D', b'Y', ..]
                );
                options.direct |= other;
            } else if first == b'I' {
                let entry = entry();
                let on = |name: &[u8]| after(entry, name).is_some_and(|v| v == c"1");
                options.table = options.table.or(after(entry, b"INDIR_TABLE="));
                options.direct |= on(b"INDIR_DISABLE_BINDINGS=");
                options.debug |= on(b"INDIR_DEBUG=");
            }
        });
        options
    }
}

fn after(entry: &'static CStr, name: &[u8]) -> Option<&'static CStr> {
    let value = entry.to_bytes_with_nul().strip_prefix(name)?;
    bytes::text(value)
}

/// LD_LIBRARY_PATH, which overrides the table as it overrides DT_RUNPATH.
///
/// ld.so would not consult it for a library that it is given by absolute path,
/// so those that lie in one of its folders are asked for by soname, and its
/// folders come first in DT_RPATH.
#[derive(Clone, Copy)]
pub struct LibraryPath(pub &'static CStr);

impl LibraryPath {
    /// Whether one of the folders may hold `soname`. A folder with a `$` token
    /// is not expanded here: it may.
    pub fn may_hold(self, soname: &CStr) -> bool {
        self.0
            .to_bytes()
            .split(|&b| b == b':' || b == b';')
            .any(|folder| {
                let folder: &[u8] = if folder.is_empty() { b"." } else { folder };
                let holds = |level: &[u8]| exists(folder, level, soname);
                folder.contains(&b'$') || holds(b"/") || arch::any_hwcaps(holds)
            })
    }

    /// DT_RPATH with these folders in front of `search`; `None` if the arena is
    /// full.
    pub fn before(self, search: &CStr, arena: &mut Arena) -> Option<&'static CStr> {
        let own = self.0.to_bytes();
        let len = own.len() + 1 + search.count_bytes() + 1;
        let text = arena.take::<u8>(len)?;
        let (head, tail) = text.split_at_mut_checked(own.len())?;
        for (slot, &byte) in head.iter_mut().zip(own) {
            // DT_RPATH knows no semicolons (elf/dl-load.c, fillin_rpath).
            *slot = if byte == b';' { b':' } else { byte };
        }
        let (colon, tail) = tail.split_first_mut()?;
        *colon = b':';
        put(tail, 0, search.to_bytes_with_nul())?;
        bytes::text(text)
    }
}

fn exists(folder: &[u8], level: &[u8], soname: &CStr) -> bool {
    let mut path = Buffer::<PATH>::empty();
    let parts = path.push(folder).and_then(|()| path.push(level));
    parts
        .and_then(|()| path.push(soname.to_bytes_with_nul()))
        .and_then(|()| path.text())
        .is_some_and(|path| sys::exists(path).is_ok())
}
