//! What the environment asks of the shim.
//!
//! Never consulted under AT_SECURE: then what begins with [`OWN`] is removed, as
//! ld.so removes its own, because children of a privileged program need not be
//! privileged themselves and would obey it. Otherwise nothing is added to the
//! environment or taken from it.

use core::ffi::CStr;

use crate::bytes::{self, string};
use crate::interp::stack::Stack;

/// How the names of our variables begin.
pub const OWN: &[u8] = b"INDIR_";

/// The environment variables that matter.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// `INDIR_TABLES`: folders of tables by id, joined by `:`.
    pub tables: Option<&'static CStr>,
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
                options.tables = options.tables.or(after(entry, b"INDIR_TABLES="));
                options.direct |= on(b"INDIR_DISABLE_BINDINGS=");
                options.debug |= on(b"INDIR_DEBUG=");
            } else if first == b'G' {
                // The order of before 2.35 depends on every object of the list
                // where needs go in a circle (elf/dl-sort-maps.c): no binder.
                let tunables = after(entry(), b"GLIBC_TUNABLES=");
                options.direct |= tunables.is_some_and(|value| {
                    let old = b"rtld.dynamic_sort=1";
                    value.to_bytes().windows(old.len()).any(|part| part == old)
                });
            }
        });
        options
    }
}

fn after(entry: &'static CStr, name: &[u8]) -> Option<&'static CStr> {
    let value = entry.to_bytes_with_nul().strip_prefix(name)?;
    bytes::text(value)
}
