//! AT_SECURE: what a privileged start trusts.
//!
//! The environment is ignored, and anybody may hard-link a setuid file into a
//! folder of their own. So every file that is opened must belong to root and be
//! writable for nobody else, and so must every folder and every symbolic link
//! on the way. Each part of a path is opened below the descriptor of the folder
//! before it and without following it, and judged by that descriptor: between
//! look and use there is nothing that another user could turn.
//!
//! A folder may be sticky and writable (as /tmp is) if what is looked up in it
//! is a folder of root's: nobody else can rename that, nor make another name for
//! it, as could be done with a file. This runs for privileged starts only, so it
//! may cost system calls.

use core::ffi::CStr;

use crate::arch::Stat;
use crate::bytes::Buffer;
use crate::sys::{self, Errno, PATH, open};
use crate::trust::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, WRITABLE, is_shared};

/// Why a file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Nothing has that name.
    Absent,
    /// It cannot be opened, or is not root's alone.
    Because(&'static str),
}

impl Denied {
    /// What to tell a user; no trailing full stop.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Absent => sys::ENOENT.message(),
            Self::Because(reason) => reason,
        }
    }
}

impl From<Errno> for Denied {
    fn from(error: Errno) -> Self {
        if error.is_absent() {
            Self::Absent
        } else {
            Self::Because(error.message())
        }
    }
}

/// Most symbolic links on the way to one file (Linux MAXSYMLINKS).
const MAX_LINKS: usize = 40;
/// Longest name of a file, with its NUL (NAME_MAX).
const NAME: usize = 256;

const TOO_LONG: Denied = Denied::Because(Errno(36).message());
const SHARED: Denied = Denied::Because("others than root can write to a folder of its path");

/// A descriptor that is closed when it goes.
struct Fd(usize);

impl Drop for Fd {
    fn drop(&mut self) {
        sys::close(self.0);
    }
}

/// A folder on the way.
struct Folder {
    fd: Fd,
    /// It is sticky and writable for others.
    shared: bool,
}

/// Remembers the folder that was found good last; libraries share folders.
pub struct Trust {
    /// Path of that folder.
    folder: Buffer<PATH>,
    /// Its descriptor.
    fd: Option<Fd>,
    /// How far the last look came, with a NUL.
    seen: Buffer<PATH>,
}

impl Trust {
    /// Nothing was examined yet.
    pub const fn nothing() -> Self {
        Self {
            folder: Buffer::empty(),
            fd: None,
            seen: Buffer::empty(),
        }
    }

    /// Opens the regular file `path` for reading, if it and everything on the
    /// way is root's alone.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn open(&mut self, path: &CStr) -> Result<usize, Denied> {
        let (folder, name) = self.find(path)?;
        let flags = open::NOFOLLOW | open::NONBLOCK | open::NOCTTY;
        let fd = Fd(sys::open_at(
            folder.fd.0,
            name.text().ok_or(TOO_LONG)?,
            flags,
        )?);
        check_file(&sys::fstat(fd.0)?)?;
        let number = fd.0;
        core::mem::forget(fd);
        Ok(number)
    }

    /// Whether the regular file `path`, and everything on the way, is root's
    /// alone. Nobody else can change that, so that it may be opened by its path.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&mut self, path: &CStr) -> Result<(), Denied> {
        self.find(path).map(drop)
    }

    /// Whether `folder`, and everything on the way, is root's alone.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check_folder(&mut self, folder: &[u8]) -> Result<(), Denied> {
        if self.is_known(folder) {
            return Ok(());
        }
        if !matches!(folder.first(), None | Some(b'/')) {
            return Err(Denied::Because("its path is not absolute"));
        }
        self.fd = None;
        let (found, name) = self.walk(root()?, folder, true)?;
        if found.shared || !name.bytes().is_empty() {
            return Err(SHARED);
        }
        self.folder.clear();
        if self.folder.push(folder).is_some() {
            self.fd = Some(found.fd);
        }
        Ok(())
    }

    /// How far the last look came: the folder or file that was not good.
    pub fn last(&self) -> &CStr {
        self.seen.text().unwrap_or(c"/")
    }

    fn is_known(&self, folder: &[u8]) -> bool {
        self.fd.is_some() && self.folder.bytes() == folder
    }

    /// The folder that `path` is in after all symbolic links, and its name there.
    fn find(&mut self, path: &CStr) -> Result<(Folder, Buffer<NAME>), Denied> {
        let path = path.to_bytes();
        let slash = path.iter().rposition(|&b| b == b'/');
        let at = slash.ok_or(Denied::Because("its path is not absolute"))?;
        let (folder, name) = path.split_at(at);
        self.check_folder(folder)?;
        let known = self.fd.as_ref().ok_or(TOO_LONG)?;
        let fd = Fd(sys::open_at(known.0, c".", open::PATH | open::DIRECTORY)?);
        let (folder, name) = self.walk(Folder { fd, shared: false }, name, false)?;
        if name.bytes().is_empty() {
            return Err(Denied::Because(NOT_REGULAR));
        }
        Ok((folder, name))
    }

    /// Follows `path` from `folder`, every part of it without following it. Ends
    /// in a folder if `to_folder`, else in a regular file, whose name is given.
    fn walk(
        &mut self,
        mut folder: Folder,
        path: &[u8],
        to_folder: bool,
    ) -> Result<(Folder, Buffer<NAME>), Denied> {
        let mut path = Path::new(path)?;
        let mut links = 0;
        self.seen.clear();
        loop {
            let mut name = Buffer::<NAME>::empty();
            let Some(part) = path.next() else {
                return Ok((folder, name));
            };
            name.push(part)
                .and_then(|()| name.push(b"\0"))
                .ok_or(TOO_LONG)?;
            self.note(part)?;
            let text = name.text().ok_or(TOO_LONG)?;
            let fd = Fd(sys::open_at(
                folder.fd.0,
                text,
                open::PATH | open::NOFOLLOW,
            )?);
            let stat = sys::fstat(fd.0)?;
            let kind = stat.mode & S_IFMT;
            if folder.shared && kind != S_IFDIR {
                return Err(SHARED);
            }
            if stat.uid != 0 && kind == S_IFDIR {
                return Err(SHARED);
            }
            if stat.uid != 0 {
                return Err(Denied::Because("it does not belong to root"));
            }
            match kind {
                S_IFDIR => {
                    folder = judged(fd, &stat)?;
                }
                S_IFLNK => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(sys::ELOOP.into());
                    }
                    if path.follow(&fd)? {
                        folder = root()?;
                        self.seen.clear();
                    }
                }
                _ if to_folder || !path.is_done() => return Err(Denied::Absent),
                _ => {
                    check_file(&stat)?;
                    return Ok((folder, name));
                }
            }
        }
    }

    /// Adds a part to what was seen.
    fn note(&mut self, part: &[u8]) -> Result<(), Denied> {
        self.seen.pop(b'\0');
        self.seen
            .push(b"/")
            .and_then(|()| self.seen.push(part))
            .and_then(|()| self.seen.push(b"\0"))
            .ok_or(TOO_LONG)
    }
}

/// What of a path is still to be followed.
struct Path {
    text: Buffer<PATH>,
    at: usize,
}

impl Path {
    fn new(path: &[u8]) -> Result<Self, Denied> {
        let mut text = Buffer::empty();
        text.push(path).ok_or(TOO_LONG)?;
        Ok(Self { text, at: 0 })
    }

    fn rest(&self) -> &[u8] {
        self.text.bytes().get(self.at..).unwrap_or(&[])
    }

    /// Whether no part follows, not even an empty one.
    fn is_done(&self) -> bool {
        self.rest().is_empty()
    }

    /// The next part that says anything.
    fn next(&mut self) -> Option<&[u8]> {
        while self.rest().first() == Some(&b'/') {
            self.at += 1;
        }
        let start = self.at;
        self.at += self.rest().iter().take_while(|&&b| b != b'/').count();
        self.text
            .bytes()
            .get(start..self.at)
            .filter(|p| !p.is_empty())
    }

    /// Puts the target of `link` before the rest; whether it is absolute.
    fn follow(&mut self, link: &Fd) -> Result<bool, Denied> {
        let mut text = Buffer::<PATH>::empty();
        text.fill_from(|room| sys::readlink_at(link.0, room))?;
        if text.room() == 0 {
            return Err(TOO_LONG);
        }
        let absolute = text.bytes().first() == Some(&b'/');
        text.push(self.rest()).ok_or(TOO_LONG)?;
        self.text = text;
        self.at = 0;
        Ok(absolute)
    }
}

const NOT_REGULAR: &str = "it is not a regular file";

fn root() -> Result<Folder, Denied> {
    const AT_FDCWD: usize = -100_isize as usize;
    let fd = Fd(sys::open_at(AT_FDCWD, c"/", open::PATH | open::DIRECTORY)?);
    let stat = sys::fstat(fd.0)?;
    if stat.uid != 0 {
        return Err(Denied::Because("the root folder does not belong to root"));
    }
    judged(fd, &stat)
}

/// A folder of root's.
fn judged(fd: Fd, stat: &Stat) -> Result<Folder, Denied> {
    let shared = is_shared(stat.mode);
    if stat.mode & WRITABLE != 0 && !shared {
        return Err(SHARED);
    }
    Ok(Folder { fd, shared })
}

/// Whether an open file is a regular one and root's alone.
///
/// # Errors
/// Says what is wrong with it.
pub fn check_file(stat: &Stat) -> Result<(), Denied> {
    Err(Denied::Because(if stat.mode & S_IFMT != S_IFREG {
        NOT_REGULAR
    } else if stat.uid != 0 {
        "it does not belong to root"
    } else if stat.mode & WRITABLE != 0 {
        "others than root can write to it"
    } else {
        return Ok(());
    }))
}
