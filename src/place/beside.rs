//! The folder of an executable, and as whom to write in it.
//!
//! The executable may be anybody's. Root writes as its owner would, and nobody else writes
//! where another one may put something in its place.

use std::io;
use std::path::Path;
use std::sync::Arc;

use indir_shim::trust::{WRITABLE, is_shared};

use crate::interrupt::Interrupted;

use super::folder::{FileId, Folder, Owner};
use super::owner::{Acting, user_name};

/// Who owns what belongs to a user that the namespace does not know
/// (/proc/sys/kernel/overflowuid, which nobody changes).
pub(super) const OVERFLOW_UID: u32 = 65534;

/// An executable as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Which file it is; `None` if it has not got its name yet.
    pub file: Option<FileId>,
    /// Whose it is.
    pub owner: Owner,
}

impl Subject {
    /// That of an open executable.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt as _;
        Self {
            file: Some((metadata.dev(), metadata.ino())),
            owner: Owner::of(metadata),
        }
    }

    /// Mode of what is written for it: whoever may use the executable may read
    /// it, and nobody but its owner may write.
    pub(super) fn mode_of_table(&self) -> u32 {
        let mode = self.owner.mode;
        let readable = |shift: u32| {
            if mode >> shift & 5 != 0 {
                4 << shift
            } else {
                0
            }
        };
        0o600 | readable(3) | readable(0)
    }
}

/// Why a table is not written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// It must not be.
    #[error("{0}")]
    Refused(String),
    /// It cannot be.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A signal came.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The folder of an executable, open, and whose rights count in it.
#[derive(Debug)]
pub struct Beside {
    folder: Arc<Folder>,
    pub(super) acting: Option<(u32, u32)>,
}

impl Beside {
    /// Opens the folder that the executable at `exe` is in; the path must be
    /// free of symbolic links.
    ///
    /// # Errors
    /// When it is not the file that was read any more, or we may not write there
    /// for its owner.
    pub fn open(exe: &Path, subject: &Subject) -> Result<Self, WriteError> {
        let parent = exe.parent().unwrap_or(Path::new("/"));
        let folder = Folder::open(parent)?;
        let this = Self {
            acting: acting_for(&folder, subject)?,
            folder: Arc::new(folder),
        };
        this.check(exe, subject)?;
        Ok(this)
    }

    /// Whether the executable is still the file that was read.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(&self, exe: &Path, subject: &Subject) -> Result<(), WriteError> {
        let Some(file) = subject.file else {
            return Ok(());
        };
        let name = exe.file_name().unwrap_or_default();
        match self.folder.look(name)? {
            Some(found) if found.id == file => Ok(()),
            _ => refused("it is not the file any more that was read: it was replaced meanwhile"),
        }
    }

    /// The folder.
    pub fn folder(&self) -> &Arc<Folder> {
        &self.folder
    }

    /// Runs `work` with the rights that count in the folder.
    ///
    /// # Errors
    /// What `work` says; when the rights cannot be taken.
    pub fn act<T>(&self, work: impl FnOnce() -> Result<T, WriteError>) -> Result<T, WriteError> {
        act(self.acting, work)
    }

    /// Whether root works there with the rights of another user.
    pub fn is_for_another(&self) -> bool {
        self.acting.is_some()
    }
}

/// Runs `work` with the rights of a user, if one is named.
pub(super) fn act<T>(
    acting: Option<(u32, u32)>,
    work: impl FnOnce() -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    let Some((uid, gid)) = acting else {
        return work();
    };
    let result = {
        let _acting = Acting::new(uid, gid)?;
        work()
    };
    match result {
        Err(WriteError::Io(error)) if error.kind() == io::ErrorKind::PermissionDenied => refused(
            format!("its owner, {}, may not write there", user_name(uid)),
        ),
        other => other,
    }
}

/// It must not be.
pub(super) fn refused<T>(why: impl Into<String>) -> Result<T, WriteError> {
    Err(WriteError::Refused(why.into()))
}

/// As whom to write beside an executable: root does what its owner could do,
/// unless the folder is root's alone.
fn acting_for(folder: &Folder, subject: &Subject) -> Result<Option<(u32, u32)>, WriteError> {
    let euid = nix::unistd::geteuid().as_raw();
    let own = folder.found()?.owner;
    let owner = subject.owner;
    if euid == 0 {
        let is_roots = own.uid == 0 && own.mode & WRITABLE == 0;
        return Ok((owner.uid != 0 && !is_roots).then_some((owner.uid, owner.gid)));
    }
    if owner.uid != euid && is_shared(own.mode) {
        return refused(format!(
            "it belongs to {}, and everybody may write to its folder: only its owner, or root, can write its table",
            user_name(owner.uid)
        ));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_for_those_who_may_start_the_program() {
        let mode = |mode| {
            Subject {
                file: None,
                owner: Owner {
                    uid: 0,
                    gid: 0,
                    mode,
                },
            }
            .mode_of_table()
        };
        assert_eq!(mode(0o755), 0o644);
        assert_eq!(mode(0o4711), 0o644);
        assert_eq!(mode(0o750), 0o640);
        assert_eq!(mode(0o700), 0o600);
        assert_eq!(mode(0o2775), 0o644);
    }
}
