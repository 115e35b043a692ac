//! Where the table of an executable may be written, and as whom.
//!
//! The executable may be anybody's, and its note says what its owner likes. So
//! a table goes into a folder below that of the executable, reached without
//! following links, and replaces nothing but a table. A note may name another
//! place only if nobody but root and us could have written it, and nobody else
//! can put another executable in the place of that one.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use indir_shim::trust::{S_IFMT, S_IFREG, WRITABLE};

use super::beside::{Beside, OVERFLOW_UID, Subject, WriteError, act, refused};
use super::collect::abandoned_in;
use super::folder::{Folder, Owner};
use super::names::{MAGIC, id_in, is_table_folder};
use super::owner::user_name;
use super::table::Place;
use super::temporary::{Temporary, clean, replace_hard_link};

/// The folder of tables of one executable, open.
#[derive(Debug)]
pub struct Tables {
    beside: Arc<Folder>,
    folder: Arc<Folder>,
    acting: Option<(u32, u32)>,
    subject: Subject,
    /// The place is the default one, or one for tables alone, where names prove what
    /// is ours.
    ours: bool,
}

impl Tables {
    /// Opens the folder that `place` is in, for the executable at `exe`; it is
    /// made if it is missing.
    ///
    /// # Errors
    /// When the table must not, or cannot, be written there.
    pub fn open(exe: &Path, subject: &Subject, place: &Place) -> Result<Self, WriteError> {
        if place.is_given {
            return Self::given(place);
        }
        let beside = Beside::open(exe, subject)?;
        let Some(parts) = below(exe, place.folder()) else {
            return Self::elsewhere(beside, subject, place);
        };
        let folder = beside.act(|| {
            let mut folder = Arc::clone(beside.folder());
            for part in &parts {
                folder = Arc::new(folder.child_or_new(part)?);
            }
            Ok(folder)
        })?;
        let owner = folder.found()?.owner;
        let euid = nix::unistd::geteuid().as_raw();
        let as_whom = beside.acting.map_or(euid, |(uid, _)| uid);
        if ![0, as_whom, subject.owner.uid].contains(&owner.uid) {
            return refused(format!(
                "`{}` belongs to {}, neither to root nor to the owner of the program: have it removed",
                place.folder().display(),
                user_name(owner.uid)
            ));
        }
        // What is root's alone is for root to write.
        let is_roots = owner.uid == 0 && owner.mode & WRITABLE == 0;
        Ok(Self {
            ours: matches!(parts.as_slice(), [name] if is_table_folder(name)),
            beside: Arc::clone(beside.folder()),
            acting: beside.acting.filter(|_| !is_roots),
            folder,
            subject: *subject,
        })
    }

    /// A folder of tables that whoever runs this named: what is in it is theirs, and
    /// every user may start programs by it.
    fn given(place: &Place) -> Result<Self, WriteError> {
        std::fs::create_dir_all(place.folder())?;
        let path = std::fs::canonicalize(place.folder())?;
        let folder = Arc::new(Folder::open(&path)?);
        let parent = Folder::open(path.parent().unwrap_or(Path::new("/")))?;
        let owner = Owner {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            mode: 0o755,
        };
        Ok(Self {
            beside: Arc::new(parent),
            folder,
            acting: None,
            subject: Subject { file: None, owner },
            ours: true,
        })
    }

    /// Removes what killed runs left in the folder.
    ///
    /// # Errors
    /// When the rights that count in it cannot be taken.
    pub fn clean(&self) -> Result<(), WriteError> {
        if !self.ours {
            return Ok(());
        }
        self.act(|| {
            clean(&self.folder, |name| id_in(name).is_some());
            Ok(())
        })
    }

    /// Does the same where nothing is to be written, if anything was left.
    pub fn clean_at(exe: &Path, subject: &Subject, place: &Place) {
        if !abandoned_in(place.folder()).is_empty() {
            // Whoever cannot use the folder is told so when a table is written.
            let _ = Self::open(exe, subject, place).and_then(|tables| tables.clean());
        }
    }

    /// Removes the folder if it is one of ours and empty.
    pub fn remove_if_empty(&self) {
        if let (true, Some(name)) = (self.ours, self.folder.path().file_name()) {
            // It fails if anything is left in it, as it should.
            let _ = self.act(|| {
                self.beside.remove_empty(name);
                Ok(())
            });
        }
    }

    /// Whether it is a folder of tables beside the executable, not another place.
    pub fn is_ours(&self) -> bool {
        self.ours
    }

    /// A place that is not below the executable's folder.
    fn elsewhere(beside: Beside, subject: &Subject, place: &Place) -> Result<Self, WriteError> {
        check_elsewhere(subject, beside.folder().found()?.owner, place)?;
        std::fs::create_dir_all(place.folder())?;
        let path = std::fs::canonicalize(place.folder())?;
        Ok(Self {
            beside: Arc::clone(beside.folder()),
            folder: Arc::new(Folder::open(&path)?),
            acting: None,
            subject: *subject,
            ours: false,
        })
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

    /// Writes what will be called `path` to a temporary.
    ///
    /// # Errors
    /// When there is something that is not ours, or the file cannot be written.
    pub fn write(&self, path: &Path, bytes: &[u8], sync: bool) -> Result<Temporary, WriteError> {
        let name = path.file_name().unwrap_or_default();
        self.check_name(name, path)?;
        Ok(Temporary::write(&self.folder, name, bytes, sync)?)
    }

    /// Whether `name` is free, or a file of ours. In a folder of our own a damaged
    /// cache is one by its name.
    fn check_name(&self, name: &OsStr, path: &Path) -> Result<(), WriteError> {
        use std::io::Read as _;
        let Some(found) = self.folder.look(name)? else {
            return Ok(());
        };
        if found.owner.mode & S_IFMT != S_IFREG {
            return refused(format!("`{}` is not a regular file", path.display()));
        }
        let is_cache = self.ours && name.to_str().is_some_and(|name| name.contains('.'));
        if found.len == 0 || is_cache {
            return Ok(());
        }
        let mut magic = [0; MAGIC.len()];
        let file = self.folder.open_file(name);
        match file.and_then(|mut file| file.read_exact(&mut magic)) {
            Ok(()) if magic == MAGIC => Ok(()),
            Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error.into()),
            _ => refused(format!("`{}` is no table: have it removed", path.display())),
        }
    }

    /// Gives `temporary` its name, its group, and the mode of a table.
    ///
    /// # Errors
    /// When it cannot be renamed.
    pub fn publish(&self, temporary: Temporary) -> Result<(), WriteError> {
        Ok(temporary.publish(self.subject.owner.gid, self.subject.mode_of_table())?)
    }

    /// Removes the file that belongs to the table and is called `path`; what is not ours
    /// stays.
    ///
    /// # Errors
    /// When it is there and cannot be looked at or removed.
    pub fn remove(&self, path: &Path) -> Result<(), WriteError> {
        let name = path.file_name().unwrap_or_default();
        match self.check_name(name, path) {
            Err(WriteError::Refused(_)) => Ok(()),
            other => {
                other?;
                Ok(self.folder.remove(name)?)
            }
        }
    }

    /// Gives the file that is called `path`, if there is one, the name `aside` as well;
    /// where the kernel forbids that, instead.
    ///
    /// # Errors
    /// When something that is not ours has that name, or it cannot be given.
    pub fn set_aside(&self, path: &Path, aside: &Path) -> Result<(), WriteError> {
        let name = path.file_name().unwrap_or_default();
        let other = aside.file_name().unwrap_or_default();
        self.check_name(other, aside)?;
        match replace_hard_link(&self.folder, other, (&self.folder, name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.rename(path, aside),
            _ => Ok(()),
        }
    }

    /// Gives the file that is called `path`, if there is one, the name `new`.
    ///
    /// # Errors
    /// When something that is not ours has the name `new`, or it cannot be renamed.
    pub fn rename(&self, path: &Path, new: &Path) -> Result<(), WriteError> {
        let name = path.file_name().unwrap_or_default();
        let target = new;
        let new = new.file_name().unwrap_or_default();
        self.check_name(new, target)?;
        match self.folder.rename(name, &self.folder, new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Makes what was renamed durable, and the folder itself if it is new.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        self.folder.sync()?;
        self.beside.sync()
    }
}

/// Whether the executable at `exe` may decide that `place` is looked at, by its note
/// or, in a folder where tables go by id, by its id.
///
/// # Errors
/// When it is not below the executable's folder, and somebody else may have
/// written the note.
pub fn check_place(exe: &Path, subject: &Subject, place: &Place) -> Result<(), WriteError> {
    if !place.is_given && below(exe, place.folder()).is_some() {
        return Ok(());
    }
    let folder = std::fs::metadata(exe.parent().unwrap_or(Path::new("/")))?;
    check_elsewhere(subject, Owner::of(&folder), place)
}

/// A place elsewhere counts if root or we wrote the note, and put the executable
/// where it is. Its id is no secret: a copy of it in another program would take over
/// the table of that one.
fn check_elsewhere(subject: &Subject, folder: Owner, place: &Place) -> Result<(), WriteError> {
    let euid = nix::unistd::geteuid().as_raw();
    // In a user namespace, as builders of Nix are in one, root outside looks like this.
    let outer = match place.is_given && euid != 0 {
        true => OVERFLOW_UID,
        false => 0,
    };
    let is_safe =
        |owner: Owner| [0, euid, outer].contains(&owner.uid) && owner.mode & WRITABLE == 0;
    if is_safe(subject.owner) && is_safe(folder) {
        return Ok(());
    }
    let path = place.path.display();
    refused(if place.is_given {
        format!(
            "its table would be `{path}`, by its id alone, and others than root and you could have written the program with another one's id, or put it there: leave out `--tables` for it"
        )
    } else {
        format!(
            "its note names `{path}`, which is not below its folder, and others than root and you could have written that note, or put it there"
        )
    })
}

/// The parts of the path from the folder of `exe` down to `folder`; `None` if it
/// is not below.
fn below(exe: &Path, folder: &Path) -> Option<Vec<std::ffi::OsString>> {
    let rest: PathBuf = folder.strip_prefix(exe.parent()?).ok()?.to_owned();
    let parts = rest.components().map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_below_counts_as_beside() {
        let parts = |folder: &str| below(Path::new("/a/b/prog"), Path::new(folder));
        assert_eq!(parts("/a/b/.indir"), Some(vec![".indir".into()]));
        assert_eq!(parts("/a/b/x/./y"), Some(vec!["x".into(), "y".into()]));
        assert_eq!(parts("/a/b"), Some(Vec::new()));
        for folder in ["/a/b/../c", "/a", "/a/bc/.indir", "/etc"] {
            assert_eq!(parts(folder), None, "{folder}");
        }
    }
}
