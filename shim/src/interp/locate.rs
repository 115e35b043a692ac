//! Finds the executable's own path, and puts paths together.

use core::ffi::CStr;

use crate::bytes::{self, put};
use crate::interp::arena::Arena;
use crate::sys::{self, Errno, PATH};

/// Most symbolic links followed without /proc.
const MAX_LINKS: usize = 16;

/// `ENAMETOOLONG`.
pub(crate) const TOO_LONG: Errno = Errno(36);

/// Everything before the last slash, as `$ORIGIN` is written.
pub fn folder(path: &CStr) -> &[u8] {
    let path = path.to_bytes();
    match path.iter().rposition(|&b| b == b'/') {
        Some(at) => path.get(..at).unwrap_or(&[]),
        None => b".",
    }
}

/// Lets `fill` write a path into the arena, and keeps it.
pub(crate) fn in_arena(
    arena: &mut Arena,
    fill: impl FnOnce(&mut [u8]) -> Result<usize, Errno>,
) -> Result<&'static CStr, Errno> {
    let room = arena.rest().get_mut(..PATH).ok_or(TOO_LONG)?;
    let len = fill(room)?;
    *room.get_mut(len).ok_or(TOO_LONG)? = 0;
    let text = room.get(..=len).ok_or(TOO_LONG)?;
    let text = bytes::text(text).ok_or(sys::ENOENT)?;
    arena.keep(len + 1);
    Ok(text)
}

/// The executable's path: what the kernel says, or, when /proc is not mounted
/// or out of reach, the name that execve was given. Under AT_SECURE that name
/// is the caller's choice and is not used.
///
/// # Errors
/// When there is no way to tell.
pub fn executable(
    arena: &mut Arena,
    execfn: &'static CStr,
    secure: bool,
) -> Result<&'static CStr, Errno> {
    let told = in_arena(arena, |room| {
        let len = sys::readlink(c"/proc/self/exe", room)?;
        // From outside of a chroot it reads "(unreachable)/…".
        if room.first() == Some(&b'/') {
            Ok(len)
        } else {
            Err(sys::ENOENT)
        }
    });
    if told.is_ok() || secure {
        return told;
    }
    let mut path = execfn;
    for _ in 0..MAX_LINKS {
        let Ok(target) = in_arena(arena, |room| sys::readlink(path, room)) else {
            break;
        };
        path = if target.to_bytes().first() == Some(&b'/') {
            target
        } else {
            in_arena(arena, |room| join(room, path, target).ok_or(TOO_LONG))?
        };
    }
    Ok(path)
}

/// A link target relative to the folder of `link`.
fn join(room: &mut [u8], link: &CStr, target: &CStr) -> Option<usize> {
    let folder = folder(link);
    put(room, 0, folder)?;
    put(room, folder.len(), b"/")?;
    put(room, folder.len() + 1, target.to_bytes())?;
    Some(folder.len() + 1 + target.count_bytes())
}

/// `path`, with `$ORIGIN` at its start replaced by `origin`.
///
/// # Errors
/// When it is too long then.
pub fn absolute(
    arena: &mut Arena,
    path: &'static CStr,
    origin: &[u8],
) -> Result<&'static CStr, Errno> {
    let Some(rest) = path.to_bytes().strip_prefix(b"$ORIGIN") else {
        return Ok(path);
    };
    in_arena(arena, |room| {
        put(room, 0, origin).ok_or(TOO_LONG)?;
        put(room, origin.len(), rest).ok_or(TOO_LONG)?;
        Ok(origin.len() + rest.len())
    })
}
