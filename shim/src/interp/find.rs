//! Where the table of an executable is, and whether what is there counts.
//!
//! The places, in order: the folders of INDIR_TABLES, by id; beside the
//! executable, where its note says; the further places of its note; the
//! system's tables, by id. The first file that is there decides: one that does
//! not count, or cannot be opened, is an error and never passed over. The
//! usual start finds its table at the first place, by one open and one fstat.
//!
//! One thing is passed over: in a folder where everybody may make files, such
//! as /tmp, a `.indir` that somebody else made proves nothing about programs of
//! others there. Their tables are in `.indir.UID`, UID being the owner of the
//! executable.

use core::ffi::CStr;

use crate::bytes::{Buffer, decimal, put};
use crate::format::note::{self, Notes, expand};
use crate::interp::arena::Arena;
use crate::interp::locate::{TOO_LONG, folder, in_arena};
use crate::secure::{Denied, Trust};
use crate::sys::{self, Errno, PATH};
use crate::trust::{Doubt, counts, is_shared};

/// The system's tables, by id; a symbolic link to a folder of tables will do.
const SYSTEM: &[u8] = b"/etc/indir/tables";

/// Who starts what.
pub struct Start<'a> {
    /// Path of the executable.
    pub exe: &'static CStr,
    /// Its id.
    pub id: &'a [u8],
    /// Its notes.
    pub notes: &'a Notes<'static>,
    /// The effective user.
    pub euid: u32,
    /// AT_SECURE: only what is root's alone is opened.
    pub secure: bool,
    /// `INDIR_TABLES`, if it is obeyed.
    pub folders: Option<&'static CStr>,
}

/// A table that counts, open.
pub struct Found {
    /// Its path.
    pub path: &'static CStr,
    /// Its descriptor.
    pub fd: usize,
    /// Its owner.
    pub owner: u32,
}

/// A file that is there and cannot serve.
pub struct Problem {
    /// Its path; empty if it is too long.
    pub path: &'static CStr,
    /// What of it.
    pub what: &'static str,
    /// Why.
    pub reason: &'static str,
    /// Its owner, where that is the reason.
    pub owner: Option<u32>,
    /// Somebody else may have put it there.
    foreign: bool,
}

impl Problem {
    fn new(path: &'static CStr, reason: &'static str) -> Self {
        Self {
            path,
            what: "the table cannot be read",
            reason,
            owner: None,
            foreign: true,
        }
    }
}

type Look = Result<Option<Found>, Problem>;

impl Start<'_> {
    /// Looks at every place in turn; `None` if there is no table anywhere.
    #[inline(never)]
    pub fn table(&self, arena: &mut Arena) -> Look {
        if let Some(folders) = self.folders {
            for folder in folders.to_bytes().split(|&b| b == b':') {
                if !folder.is_empty()
                    && let Some(found) = self.look(self.by_id(arena, folder))?
                {
                    return Ok(Some(found));
                }
            }
        }
        if let Some(reference) = self.notes.reference {
            match self.look(self.expand(arena, reference)) {
                Ok(Some(found)) => return Ok(Some(found)),
                // Only here somebody else may have been first.
                other => {
                    let beside = reference == note::DEFAULT_REFERENCE.as_bytes();
                    let foreign = other
                        .as_ref()
                        .map_or_else(|problem| problem.foreign, |_| true);
                    if !(beside && foreign && self.is_in_shared_folder()) {
                        other?;
                    } else if let Some(found) = self.look(self.own(arena))? {
                        return Ok(Some(found));
                    }
                }
            }
        }
        for place in self.notes.places() {
            if let Some(found) = self.look(self.expand(arena, place))? {
                return Ok(Some(found));
            }
        }
        self.look(self.by_id(arena, SYSTEM))
    }

    /// Where a table would be beside the executable, for a message.
    pub fn beside(&self, arena: &mut Arena) -> Option<&'static CStr> {
        self.expand(arena, self.notes.reference?).ok()
    }

    fn expand(&self, arena: &mut Arena, reference: &[u8]) -> Result<&'static CStr, Errno> {
        in_arena(arena, |room| {
            expand(reference, folder(self.exe), self.id, room).ok_or(TOO_LONG)
        })
    }

    /// The table of this id in a folder of tables.
    fn by_id(&self, arena: &mut Arena, folder: &[u8]) -> Result<&'static CStr, Errno> {
        in_arena(arena, |room| {
            put(room, 0, folder).ok_or(TOO_LONG)?;
            let rest = room.get_mut(folder.len()..).ok_or(TOO_LONG)?;
            let len = expand(b"/$ID", b"", self.id, rest).ok_or(TOO_LONG)?;
            Ok(folder.len() + len)
        })
    }

    /// The table in `.indir.UID` beside the executable.
    #[cold]
    #[inline(never)]
    fn own(&self, arena: &mut Arena) -> Result<&'static CStr, Errno> {
        let mut own = Buffer::<PATH>::empty();
        own.push(folder(self.exe)).ok_or(TOO_LONG)?;
        own.push(note::OWNERS_FOLDER.as_bytes()).ok_or(TOO_LONG)?;
        let owner = self.owner().unwrap_or(self.euid);
        decimal(owner, |digits| own.push(digits)).ok_or(TOO_LONG)?;
        self.by_id(arena, own.bytes())
    }

    /// Opens `path` and applies the rule.
    fn look(&self, path: Result<&'static CStr, Errno>) -> Look {
        let path = path.map_err(|error| Problem::new(c"", error.message()))?;
        let failed = |error: Errno| Problem::new(path, error.message());
        let opened = if self.secure {
            trusted(path)
        } else {
            sys::open(path).map_err(Denied::from)
        };
        let fd = match opened {
            Ok(fd) => fd,
            Err(Denied::Absent) => return Ok(None),
            Err(Denied::Because(reason)) if self.secure => {
                return Err(Problem {
                    what: "the table is not trusted",
                    owner: sys::stat(path).ok().map(|s| s.uid).filter(|&uid| uid != 0),
                    ..Problem::new(path, reason)
                });
            }
            Err(Denied::Because(reason)) => return Err(Problem::new(path, reason)),
        };
        let stat = sys::fstat(fd).map_err(failed)?;
        let ours = |uid| uid == self.euid || self.owner() == Some(uid);
        match counts(stat.mode, stat.uid, ours) {
            Ok(()) => Ok(Some(Found {
                path,
                fd,
                owner: stat.uid,
            })),
            Err(doubt) => {
                sys::close(fd);
                Err(Problem {
                    what: "the table does not count",
                    owner: (doubt == Doubt::Owner).then_some(stat.uid),
                    foreign: stat.uid != 0 && !ours(stat.uid),
                    ..Problem::new(path, doubt.message())
                })
            }
        }
    }

    /// The owner of the executable that runs, whatever its path means by now.
    #[cold]
    #[inline(never)]
    fn owner(&self) -> Option<u32> {
        let stat = sys::stat(c"/proc/self/exe").or_else(|_| sys::stat(self.exe));
        stat.ok().map(|stat| stat.uid)
    }

    #[cold]
    #[inline(never)]
    fn is_in_shared_folder(&self) -> bool {
        let mut path = Buffer::<PATH>::empty();
        let text = path
            .push(folder(self.exe))
            .and_then(|()| path.push(b"/\0"))
            .and_then(|()| path.text());
        text.and_then(|text| sys::stat(text).ok())
            .is_some_and(|stat| is_shared(stat.mode))
    }
}

/// In a frame of its own: what it needs of the stack would cost every start pages.
#[cold]
#[inline(never)]
fn trusted(path: &CStr) -> Result<usize, Denied> {
    Trust::nothing().open(path)
}
