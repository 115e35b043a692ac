//! Replacing files whole.
//!
//! A reader (above all a program that is starting) sees the old file or the
//! new one, never anything between: the new bytes go to a temporary, which then
//! takes the file's name. Syncing is the caller's, who may have a thousand
//! tables to sync at once.
//!
//! A temporary has a random name, is readable for its owner alone until it takes
//! the other one, and is locked (flock) by who writes it. A lock is gone with
//! the process that held it, whichever PID namespace that was in: so what can be
//! locked is abandoned. What a name like that stands for in a folder of tables is
//! ours; nothing else is ever cleaned up.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Write as _};
use std::sync::Arc;

use indir_shim::trust::{S_IFLNK, S_IFMT};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::folder::{Folder, give};
use super::names::{TEMPORARY_MARK, TEMPORARY_SUFFIX};

/// How often another name is tried; a cleaner may have been quicker.
const ATTEMPTS: usize = 16;

/// New bytes that have not taken the name of the file that they will replace.
/// Dropped before [`Temporary::publish`], it removes itself.
#[derive(Debug)]
pub struct Temporary {
    folder: Arc<Folder>,
    name: Option<OsString>,
    target: OsString,
    file: File,
}

impl Temporary {
    /// An empty temporary in `folder` of what will be called `target`.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(folder: &Arc<Folder>, target: &OsStr) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let name = random_name(target);
            let file = match folder.create(&name) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                other => other?,
            };
            let temporary = Self {
                folder: Arc::clone(folder),
                name: Some(name),
                target: target.to_owned(),
                file,
            };
            // Where there are no locks nobody can hold one, so that nothing is
            // ever taken for abandoned.
            let lock = FlockOperation::NonBlockingLockExclusive;
            if flock(&temporary.file, lock) == Err(Errno::WOULDBLOCK) {
                continue;
            }
            if rustix::fs::fstat(&temporary.file)?.st_nlink == 1 {
                return Ok(temporary);
            }
        }
        Err(io::Error::other("no name for a temporary was free"))
    }

    /// One that holds `bytes`. With `sync`, they are on disk on return.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(
        folder: &Arc<Folder>,
        target: &OsStr,
        bytes: &[u8],
        sync: bool,
    ) -> io::Result<Self> {
        let mut this = Self::create(folder, target)?;
        this.file.write_all(bytes)?;
        if sync {
            this.file.sync_all()?;
        }
        Ok(this)
    }

    /// The open file, to be written.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the bytes group, mode, and the name that they were written for.
    ///
    /// # Errors
    /// When the rename fails; `NotFound` if somebody removed the temporary.
    pub fn publish(mut self, gid: u32, mode: u32) -> io::Result<()> {
        give(&self.file, gid, mode)?;
        let target = std::mem::take(&mut self.target);
        let folder = Arc::clone(&self.folder);
        self.rename(&folder, &target).map(drop)
    }

    /// Takes the name `name` in `folder`, with the mode that it has; gives the
    /// open file back.
    ///
    /// # Errors
    /// When the rename fails.
    pub fn rename(mut self, folder: &Folder, name: &OsStr) -> io::Result<File> {
        if let Some(own) = &self.name {
            self.folder.rename(own, folder, name)?;
        }
        self.name = None;
        self.file.try_clone()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // Nothing better can be done: the next run removes it.
            let _ = self.folder.remove(name);
        }
    }
}

/// `.TARGET.indir-RANDOM.tmp`
fn random_name(target: &OsStr) -> OsString {
    let random = std::hash::RandomState::new().build_hasher().finish();
    let mut name = OsString::from(".");
    name.push(target);
    name.push(format!("{TEMPORARY_MARK}{random:016x}{TEMPORARY_SUFFIX}"));
    name
}

/// What the temporary called `name` was to replace, if that is a name of ours.
fn target_of(name: &OsStr) -> Option<&str> {
    let name = name.to_str()?.strip_prefix('.')?;
    let name = name.strip_suffix(TEMPORARY_SUFFIX)?;
    let (target, random) = name.rsplit_once(TEMPORARY_MARK)?;
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (random.len() == 16 && random.bytes().all(is_hex)).then_some(target)
}

/// Whether a temporary of ours could have this name.
pub fn is_temporary(name: &OsStr) -> bool {
    target_of(name).is_some()
}

/// Whether `name` in `folder` is a temporary for one of the names that `is_ours`
/// knows, and whoever wrote it is gone. The lock is held as long as the file is: who just
/// made one and comes to lock it then finds it locked, or gone.
pub(super) fn abandoned(
    folder: &Folder,
    name: &OsStr,
    is_ours: impl Fn(&str) -> bool,
) -> Option<File> {
    if !target_of(name).is_some_and(is_ours) {
        return None;
    }
    let is_regular = |file: &File| file.metadata().is_ok_and(|metadata| metadata.is_file());
    let file = folder.open_file(name).ok().filter(is_regular)?;
    let lock = FlockOperation::NonBlockingLockExclusive;
    flock(&file, lock).is_ok().then_some(file)
}

/// Removes what killed runs left in `folder` of temporaries for the name
/// `target`, which only we write there.
///
/// A link cannot be locked, so that a second process's may go, which makes another.
pub fn clean_for(folder: &Folder, target: &OsStr) {
    clean(folder, |name| OsStr::new(name) == target);
    let is_link = |name: &OsString| {
        let found = folder.look(name).ok().flatten();
        found.is_some_and(|found| found.owner.mode & S_IFMT == S_IFLNK)
    };
    let is_ours = |name: &OsString| target_of(name).is_some_and(|t| OsStr::new(t) == target);
    for name in folder.names() {
        if is_ours(&name) && is_link(&name) {
            let _ = folder.remove(&name);
        }
    }
}

/// Removes what killed runs left in `folder` of temporaries for names that
/// `is_ours` knows.
pub(super) fn clean(folder: &Folder, is_ours: impl Fn(&str) -> bool) {
    for name in folder.names() {
        if let Some(_locked) = abandoned(folder, &name, &is_ours) {
            // Whoever cannot remove it could not use the folder either.
            let _ = folder.remove(&name);
        }
    }
}

/// Makes `name` in `folder` another name of the file `target` in `from`, at one moment.
///
/// # Errors
/// When it cannot be made.
pub fn replace_hard_link(
    folder: &Folder,
    name: &OsStr,
    (from, target): (&Folder, &OsStr),
) -> io::Result<()> {
    replace_by(folder, name, |temporary| {
        from.hard_link(target, folder, temporary)
    })
}

/// Puts a symbolic link to `target` in the place of `name` in `folder`.
///
/// # Errors
/// When it cannot be made.
pub fn replace_link(folder: &Folder, name: &OsStr, target: &std::path::Path) -> io::Result<()> {
    replace_by(folder, name, |temporary| folder.link(temporary, target))
}

fn replace_by(
    folder: &Folder,
    name: &OsStr,
    link: impl Fn(&OsStr) -> io::Result<()>,
) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        let temporary = random_name(name);
        match link(&temporary) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => match folder.rename(&temporary, folder, name) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                renamed => {
                    // It is left if the two were names of one file already.
                    let _ = folder.remove(&temporary);
                    return renamed;
                }
            },
        }
    }
    Err(io::Error::other("no name for a temporary was free"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_are_not_ours() {
        let name = random_name(OsStr::new("abc.bind"));
        assert_eq!(target_of(&name), Some("abc.bind"));
        for name in [
            ".thesis.2024.1.tmp",
            ".x.tmp",
            ".abc.indir-0123.tmp",
            "abc.indir-0123456789abcdef.tmp",
            ".abc.indir-0123456789ABCDEF.tmp",
            ".abc.indir-0123456789abcdef",
        ] {
            assert_eq!(target_of(OsStr::new(name)), None, "{name}");
        }
    }
}
