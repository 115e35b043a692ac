//! LD_LIBRARY_PATH, which overrides the table as it overrides DT_RUNPATH.
//!
//! ld.so would not consult it for a library that it is given by absolute path,
//! so those that lie in one of its folders are asked for by soname, and where the
//! table's folders become DT_RPATH, the variable's come before them. Two kinds of
//! libraries are not the variable's to give: those that DT_RPATH of the
//! executable named, which ld.so searches first (elf/dl-load.c,
//! _dl_map_object), and the parts of glibc, which fit their own ld.so alone.

use core::ffi::CStr;

use crate::arch;
use crate::bytes::{self, Buffer, put};
use crate::format::layout::{OBJECT_FIXED, OBJECT_GLIBC};
use crate::format::table::{ObjectRef, Table};
use crate::interp::arena::Arena;
use crate::interp::locate::{TOO_LONG, folder, in_arena};
use crate::sys::{self, PATH};

/// What belongs to one build of glibc, may be opened later and does nothing by being
/// there; each with a NUL. libthread_db is not among them: it needs what a debugger
/// defines. Nor are the libraries that are there to replace functions of libc.
const FAMILY: &[u8] = b"libm.so.6\0libmvec.so.1\0libresolv.so.2\0libpthread.so.0\0\
    libdl.so.2\0librt.so.1\0libutil.so.1\0libanl.so.1\0libnss_files.so.2\0\
    libnss_dns.so.2\0libnss_compat.so.2\0libnss_db.so.2\0libnss_hesiod.so.2\0";
/// Most that [`LibraryPath::family`] gives.
pub const MAX_FAMILY: usize = 13;

/// The variable's value, not empty.
#[derive(Clone, Copy)]
pub struct LibraryPath {
    /// Folders, joined by `:` or `;`.
    pub value: &'static CStr,
    /// ld.so that runs.
    pub ldso: &'static CStr,
}

impl LibraryPath {
    fn folders(self) -> impl Iterator<Item = &'static [u8]> {
        let parts = self.value.to_bytes().split(|&b| b == b':' || b == b';');
        parts.map(|folder| if folder.is_empty() { b"." } else { folder })
    }

    /// Whether ld.so shall search for `object` by its soname.
    #[cold]
    #[inline(never)]
    pub fn may_hold(self, object: &ObjectRef<'_>) -> bool {
        let flags = object.raw.flags;
        if flags & OBJECT_FIXED != 0 {
            return false;
        }
        if flags & OBJECT_GLIBC != 0 {
            return self
                .holder(object.soname)
                .is_some_and(|it| self.has_ldso(it));
        }
        self.folders().any(|folder| folder.contains(&b'$')) || self.holder(object.soname).is_some()
    }

    /// The first folder that holds `soname`. A folder with a `$` token is not
    /// expanded here, and passed over.
    fn holder(self, soname: &CStr) -> Option<&'static [u8]> {
        self.folders().find(|folder| {
            let holds = |level: &[u8]| exists(folder, level, soname);
            holds(b"/") || arch::any_hwcaps(holds)
        })
    }

    /// Whether `folder` holds the very ld.so that runs.
    fn has_ldso(self, folder: &[u8]) -> bool {
        let same = |path: &CStr| {
            let (a, b) = (sys::stat(path).ok()?, sys::stat(self.ldso).ok()?);
            Some(a.dev == b.dev && a.ino == b.ino)
        };
        with_path(folder, b"/", arch::LDSO, same).flatten() == Some(true)
    }

    /// Calls `put` with the path of each part of the table's glibc that is not in
    /// the closure and that ld.so, asked for it later, would take from a folder
    /// of the variable with another glibc. Named before that, they are there.
    #[cold]
    #[inline(never)]
    pub fn family(
        self,
        table: &Table<'static>,
        origin: &[u8],
        arena: &mut Arena,
        mut put_path: impl FnMut(&'static CStr),
    ) {
        let Some(libc) = table.objects().find(|o| o.soname == c"libc.so.6") else {
            return;
        };
        for name in FAMILY.split_inclusive(|&b| b == 0) {
            let Some(soname) = bytes::text(name) else {
                return;
            };
            let foreign = self.holder(soname).is_some_and(|it| !self.has_ldso(it));
            if !foreign || table.objects().any(|o| o.soname == soname) {
                continue;
            }
            let path = in_arena(arena, |room| {
                let (home, rest) = match folder(libc.path).strip_prefix(b"$ORIGIN") {
                    Some(rest) => (origin, rest),
                    None => (folder(libc.path), &b""[..]),
                };
                let mut at = 0;
                for part in [home, rest, b"/", soname.to_bytes()] {
                    put(room, at, part).ok_or(TOO_LONG)?;
                    at += part.len();
                }
                Ok(at)
            });
            if let Ok(path) = path
                // Not `exists`, which takes a filter's "forbidden" for yes.
                && sys::stat(path).is_ok()
            {
                put_path(path);
            }
        }
    }

    /// DT_RPATH with these folders behind the first `fixed` bytes of `search`;
    /// `None` if the arena is full.
    #[cold]
    #[inline(never)]
    pub fn within(self, search: &CStr, fixed: usize, arena: &mut Arena) -> Option<&'static CStr> {
        let own = self.value.to_bytes();
        let (first, rest) = search.to_bytes().split_at_checked(fixed)?;
        let text = arena.take::<u8>(own.len() + 2 + search.count_bytes() + 1)?;
        let mut at = 0;
        // The colon behind the first part.
        let rest = rest.strip_prefix(b":").unwrap_or(rest);
        for part in [first, own, rest] {
            if part.is_empty() {
                continue;
            }
            if at != 0 {
                put(text, at, b":")?;
                at += 1;
            }
            put(text, at, part)?;
            at += part.len();
        }
        for byte in text.iter_mut() {
            // DT_RPATH knows no semicolons (elf/dl-load.c, fillin_rpath).
            if *byte == b';' {
                *byte = b':';
            }
        }
        bytes::text(text.get(..=at)?)
    }
}

fn exists(folder: &[u8], level: &[u8], soname: &CStr) -> bool {
    with_path(folder, level, soname, |path| sys::exists(path).is_ok()) == Some(true)
}

/// Calls `f` with the three parts put together, unless they are too long.
fn with_path<T>(folder: &[u8], level: &[u8], name: &CStr, f: impl FnOnce(&CStr) -> T) -> Option<T> {
    let mut path = Buffer::<PATH>::empty();
    path.push(folder)?;
    path.push(level)?;
    path.push(name.to_bytes_with_nul())?;
    path.text().map(f)
}
