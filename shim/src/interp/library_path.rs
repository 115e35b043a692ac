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
/// ELFCLASS64 and ELFDATA2LSB (gABI, "ELF Identification").
const CLASS64: u8 = 2;
const DATA2LSB: u8 = 1;
/// Most that [`LibraryPath::family`] gives.
pub const MAX_FAMILY: usize = 13;

/// The variable's value, not empty.
#[derive(Clone, Copy)]
pub struct LibraryPath {
    /// Folders, joined by `:` or `;`.
    pub value: &'static CStr,
    /// ld.so that runs.
    pub ldso: &'static CStr,
    /// The executable's folder.
    pub origin: &'static [u8],
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
        self.holder(object.soname).is_some()
    }

    /// The first folder that holds `soname`.
    fn holder(self, soname: &CStr) -> Option<&'static [u8]> {
        self.folders().find(|folder| {
            let holds = |level: &[u8]| self.any_path(folder, level, soname);
            holds(b"/") || arch::any_hwcaps(holds)
        })
    }

    /// Whether the three parts put together, unless they are too long, name what counts:
    /// where `folder` has a `$` token (elf/dl-load.c, _dl_dst_count), with one of the
    /// values that it may have. What `$LIB` is, was said when ld.so was built.
    #[inline(never)]
    fn any_path(self, folder: &[u8], level: &[u8], name: &CStr) -> bool {
        let most = if folder.contains(&b'$') {
            usize::MAX
        } else {
            1
        };
        let path = &mut Buffer::<PATH>::empty();
        arch::LIB.split(|&b| b == 0).take(most).any(|lib| {
            path.clear();
            self.put_path(path, folder, lib, level, name).is_some()
                && path.text().is_some_and(|path| self.counts(path, name))
        })
    }

    /// Of ld.so the very one that runs, of libraries every one that ld.so takes.
    fn counts(self, path: &CStr, name: &CStr) -> bool {
        if name != arch::LDSO {
            return holds(path);
        }
        match (sys::stat(path), sys::stat(self.ldso)) {
            (Ok(a), Ok(b)) => a.dev == b.dev && a.ino == b.ino,
            _ => false,
        }
    }

    fn put_path(
        self,
        path: &mut Buffer<PATH>,
        folder: &[u8],
        lib: &[u8],
        level: &[u8],
        name: &CStr,
    ) -> Option<()> {
        let mut is_first = true;
        for part in folder.split(|&b| b == b'$') {
            let (value, rest) = if is_first {
                (&b""[..], part)
            } else {
                self.token(part, lib)?
            };
            is_first = false;
            path.push(value)?;
            path.push(rest)?;
        }
        path.push(level)?;
        path.push(name.to_bytes_with_nul())
    }

    /// The value of the token that `part` begins with, and what is behind it.
    fn token<'a>(self, part: &'a [u8], lib: &'a [u8]) -> Option<(&'a [u8], &'a [u8])>
    where
        Self: 'a,
    {
        let (part, end) = match part.strip_prefix(b"{") {
            Some(part) => (part, &b"}"[..]),
            None => (part, &b""[..]),
        };
        let is = |name| part.strip_prefix(name)?.strip_prefix(end);
        if let Some(rest) = is(&b"ORIGIN"[..]) {
            return Some((self.origin, rest));
        }
        if let Some(rest) = is(b"LIB") {
            return Some((lib, rest));
        }
        Some((arch::PLATFORM, is(b"PLATFORM")?))
    }

    /// Whether `folder` holds the very ld.so that runs.
    fn has_ldso(self, folder: &[u8]) -> bool {
        self.any_path(folder, b"/", arch::LDSO)
    }

    /// Calls `put` with the path of each part of the table's glibc that is not in
    /// the closure and that ld.so, asked for it later, would take from a folder
    /// of the variable with another glibc. Named before that, they are there.
    #[cold]
    #[inline(never)]
    pub fn family(
        self,
        table: &Table<'static>,
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
                    Some(rest) => (self.origin, rest),
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

/// Whether ld.so takes this file, or refuses the start because of it: what it cannot
/// open, and a library of another class or machine, it passes over in its search
/// (elf/dl-load.c, open_verify).
fn holds(path: &CStr) -> bool {
    let Ok(fd) = sys::open(path) else {
        return false;
    };
    let mut start = [0; 20];
    // Less than that is refused.
    let _ = sys::read(fd, &mut start);
    sys::close(fd);
    let [0x7f, b'E', b'L', b'F', class, data, .., low, high] = start else {
        return true;
    };
    class == CLASS64 && (data != DATA2LSB || u16::from_le_bytes([low, high]) == arch::MACHINE)
}
