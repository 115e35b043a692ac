//! Folders by descriptor.
//!
//! What is written beside an executable is written below the descriptor of its
//! folder, which is reached from `/` without following any symbolic link: who
//! may rename things on the way can make a run fail, and cannot lead it to a
//! folder that it did not mean. All names here are single parts of paths.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use indir_shim::trust::{S_IFDIR, S_IFLNK, S_IFMT};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Stat};
use rustix::io::Errno;

/// An open folder.
#[derive(Debug)]
pub struct Folder {
    file: File,
    path: PathBuf,
}

/// Device and inode.
pub type FileId = (u64, u64);

/// Owner, group and mode of a file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// `st_mode`, the type included.
    pub mode: u32,
}

impl Owner {
    /// That of an open file.
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            uid: metadata.uid(),
            gid: metadata.gid(),
            mode: metadata.mode(),
        }
    }
}

/// What a name in a folder stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) owner: Owner,
    pub(super) id: FileId,
    /// Length in bytes.
    pub(super) len: u64,
}

impl From<Stat> for Found {
    fn from(stat: Stat) -> Self {
        Self {
            owner: Owner {
                uid: stat.st_uid,
                gid: stat.st_gid,
                mode: stat.st_mode,
            },
            id: (stat.st_dev, stat.st_ino),
            len: u64::try_from(stat.st_size).unwrap_or(0),
        }
    }
}

impl Folder {
    /// Opens the folder at `path`, which must be absolute and free of symbolic
    /// links, as [`std::fs::canonicalize`] makes paths.
    ///
    /// # Errors
    /// When it cannot be opened, or has a symbolic link on the way by now.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut folder = Self {
            file: open_at(CWD, OsStr::new("/"), OFlags::DIRECTORY | OFlags::PATH)?,
            path: PathBuf::from("/"),
        };
        for part in path.components() {
            match part {
                Component::RootDir => {}
                Component::Normal(name) => folder = folder.child(name)?,
                _ => return Err(io::ErrorKind::InvalidInput.into()),
            }
        }
        Ok(folder)
    }

    /// The folder `name` in it.
    ///
    /// # Errors
    /// When there is none; a symbolic link is none.
    pub(super) fn child(&self, name: &OsStr) -> io::Result<Self> {
        let path = self.path.join(name);
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::PATH;
        match open_at(&self.file, name, flags) {
            Ok(file) => Ok(Self { file, path }),
            Err(error) => Err(match self.look(name) {
                Ok(Some(found)) if found.owner.mode & S_IFMT == S_IFLNK => {
                    io::Error::other(format!("`{}` is a symbolic link", path.display()))
                }
                Ok(Some(found)) if found.owner.mode & S_IFMT != S_IFDIR => {
                    io::Error::other(format!("`{}` is not a folder", path.display()))
                }
                _ => error,
            }),
        }
    }

    /// The folder `name` in it, which is made if it is missing: with the mode of
    /// this one, as far as nobody but the owner may write, and its group.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn child_or_new(&self, name: &OsStr) -> io::Result<Self> {
        match self.child(name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        match rustix::fs::mkdirat(&self.file, name, Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => return self.child(name),
            Err(error) => return Err(error.into()),
        }
        let own = self.found()?.owner;
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::RDONLY;
        let new = open_at(&self.file, name, flags)?;
        // In a folder that everybody may write, everybody may start programs.
        give(&new, own.gid, 0o700 | own.mode & 0o055)?;
        self.child(name)
    }

    /// Its path when it was opened, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Which folder it is.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn id(&self) -> io::Result<FileId> {
        self.found().map(|found| found.id)
    }

    /// `stat` of itself.
    pub(super) fn found(&self) -> io::Result<Found> {
        Ok(rustix::fs::fstat(&self.file)?.into())
    }

    /// What `name` in it is; `None` if there is nothing. Links are not followed.
    pub(super) fn look(&self, name: &OsStr) -> io::Result<Option<Found>> {
        match rustix::fs::statat(&self.file, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens the file `name` in it for reading, without waiting and without
    /// following a link.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_file(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        open_at(&self.file, name, flags)
    }

    /// Makes the file `name`, for its owner alone.
    pub(super) fn create(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let flags = flags | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.file, name, flags, Mode::RUSR | Mode::WUSR)?;
        Ok(File::from(fd))
    }

    /// Gives the file `from` in it the name `name` in `to`.
    pub(super) fn rename(&self, from: &OsStr, to: &Self, name: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.file, from, &to.file, name)?)
    }

    /// Makes the symbolic link `name` in it.
    pub(super) fn link(&self, name: &OsStr, target: &Path) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target, &self.file, name)?)
    }

    /// Makes `name` in `to` another name of the file `from` in it.
    pub(super) fn hard_link(&self, from: &OsStr, to: &Self, name: &OsStr) -> io::Result<()> {
        let flags = AtFlags::empty();
        Ok(rustix::fs::linkat(&self.file, from, &to.file, name, flags)?)
    }

    /// Removes the file `name` in it, if it is there.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.file, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the folder `name` in it if it is empty.
    pub(super) fn remove_empty(&self, name: &OsStr) {
        let _ = rustix::fs::unlinkat(&self.file, name, AtFlags::REMOVEDIR);
    }

    /// The names in it; none if it cannot be read.
    pub(super) fn names(&self) -> Vec<OsString> {
        let Ok(file) = self.readable() else {
            return Vec::new();
        };
        let entries = rustix::fs::Dir::read_from(&file).into_iter().flatten();
        let names = entries.flatten().map(|entry| {
            let name = entry.file_name().to_bytes();
            OsStr::from_bytes(name).to_os_string()
        });
        names.filter(|name| name != "." && name != "..").collect()
    }

    /// Makes renames in it durable. Whoever may write a folder and not read it
    /// has to do without.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync(&self) -> io::Result<()> {
        match self.readable() {
            Ok(file) => file.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Flushes the file system that it is on.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn sync_file_system(&self) -> io::Result<()> {
        use std::os::fd::AsFd as _;
        Ok(nix::unistd::syncfs(self.readable()?.as_fd())?)
    }

    fn readable(&self) -> io::Result<File> {
        open_at(
            &self.file,
            OsStr::new("."),
            OFlags::DIRECTORY | OFlags::RDONLY,
        )
    }
}

/// Gives an open file of ours its group and mode. A group that we may not give
/// stays ours: the file is then readable for fewer than it could be.
pub(super) fn give(file: &File, gid: u32, mode: u32) -> io::Result<()> {
    if file.metadata()?.gid() != gid {
        let _ = rustix::fs::fchown(file, None, Some(Gid::from_raw(gid)));
    }
    Ok(rustix::fs::fchmod(file, Mode::from_raw_mode(mode))?)
}

fn open_at(at: impl std::os::fd::AsFd, name: &OsStr, flags: OFlags) -> io::Result<File> {
    let fd = rustix::fs::openat(at, name, flags | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(fd))
}
