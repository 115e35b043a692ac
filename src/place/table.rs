//! Where the table of an executable lies.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::bindings_layout::SUFFIX;
use indir_shim::format::note::{self, Notes};
use indir_shim::trust::is_shared;

use super::names::{KEPT_SUFFIX, hex};
use crate::elf::{Root, is_privileged};

/// The environment variable that names folders of tables.
const FOLDERS: &str = "INDIR_TABLES";
/// The system's tables, by id.
const SYSTEM: &str = "/etc/indir/tables";

/// Why an executable has no place for a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// It has no `indir` note.
    #[error(
        "it is not indirect: it has no `indir` note (link it with `indir-ld`, or run `indir adopt` on it)"
    )]
    NoNote,
    /// The note is there but unusable.
    #[error("its `indir` note is malformed (link it again with `indir-ld`)")]
    MalformedNote,
    /// Neither the note nor a build-id identifies it.
    #[error(
        "nothing identifies it: its `indir` note has no id, and it has no build-id (link it again with `-Wl,--build-id`)"
    )]
    NoId,
    /// The reference expands to a path that is too long.
    #[error("the path of its table is too long")]
    TooLong,
    /// So many that the kernel would not follow them.
    #[error("there are too many symbolic links on the way to its table")]
    Links,
}

/// Where the table of one executable lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path of the table.
    pub path: PathBuf,
    /// Id of the executable that the table must repeat.
    pub id: Vec<u8>,
    /// Whoever runs this named the folder, not the executable.
    pub is_given: bool,
    /// Its path is the same for every executable, and below the root of the system.
    is_fixed: bool,
}

impl Place {
    /// The place that `notes` name for the executable at `exe`, whose path
    /// must be absolute and free of symlinks (the shim reads /proc/self/exe).
    /// Where everybody may make files, a `.indir` of somebody else's is passed
    /// over, as the shim does (its `interp/find.rs`).
    ///
    /// # Errors
    /// When the notes do not name one.
    pub fn of(exe: &Path, notes: &Notes<'_>) -> Result<Self, PlaceError> {
        let reference = match notes.reference {
            Some(reference) => reference,
            None if notes.malformed => return Err(PlaceError::MalformedNote),
            None => return Err(PlaceError::NoNote),
        };
        Self::at(exe, notes, reference)
    }

    /// The place that `reference` names.
    fn at(exe: &Path, notes: &Notes<'_>, reference: &[u8]) -> Result<Self, PlaceError> {
        let id = notes.id().ok_or(PlaceError::NoId)?;
        let origin = exe
            .parent()
            .map_or(&b"/"[..], |folder| folder.as_os_str().as_bytes());
        // In "/" the reference's own slash suffices.
        let origin = if origin == b"/" { b"" } else { origin };
        let mut buffer = [0; libc::PATH_MAX as usize];
        let mut expand = |reference: &[u8]| {
            let len = note::expand(reference, origin, id, &mut buffer);
            let path = len.and_then(|len| buffer.get(..len));
            let path = path.map(|path| PathBuf::from(OsStr::from_bytes(path)));
            path.ok_or(PlaceError::TooLong)
        };
        let mut path = expand(reference)?;
        if reference == note::DEFAULT_REFERENCE.as_bytes() && is_in_shared_folder(exe) {
            let owner = super::trust::owner_of(exe);
            if !counts(&path, owner) {
                let own = format!("$ORIGIN{}{owner}/$ID", note::OWNERS_FOLDER);
                path = expand(own.as_bytes())?;
            }
        }
        let id = id.to_vec();
        Ok(Self {
            path,
            id,
            is_given: false,
            is_fixed: reference.starts_with(b"/"),
        })
    }

    /// The table of the executable with `notes` in `folder`, where tables are by id.
    ///
    /// # Errors
    /// When nothing identifies the executable.
    pub fn in_folder(folder: &Path, notes: &Notes<'_>) -> Result<Self, PlaceError> {
        let id = notes.id().ok_or(PlaceError::NoId)?;
        Ok(Self {
            path: folder.join(hex(id)),
            id: id.to_vec(),
            is_given: true,
            is_fixed: false,
        })
    }

    /// Where that is, if the executable is one of the system below `root`.
    ///
    /// # Errors
    /// When there are too many symbolic links on the way.
    pub fn in_root(mut self, root: &Root) -> Result<Self, PlaceError> {
        if self.is_fixed {
            let real = root.real(&self.path).map_err(|_| PlaceError::Links)?;
            self.path = real.into_owned();
        }
        Ok(self)
    }

    /// Every place where the shim would look for the table of the executable at `exe`,
    /// in its order, in the system below `root`; as for [`Place::of`]. `INDIR_TABLES` counts as it would at a start
    /// with this process's environment.
    ///
    /// # Errors
    /// When the notes name no place.
    pub fn all(root: &Root, exe: &Path, notes: &Notes<'_>) -> Result<Vec<Self>, PlaceError> {
        let mut all = Vec::new();
        let variable = std::env::var_os(FOLDERS).filter(|_| !is_privileged(exe));
        for folder in std::env::split_paths(&variable.unwrap_or_default()) {
            if !folder.as_os_str().is_empty() {
                all.push(Self::in_folder(&folder, notes)?);
            }
        }
        all.push(Self::of(exe, notes)?.in_root(root)?);
        for place in notes.places() {
            all.push(Self::at(exe, notes, place)?.in_root(root)?);
        }
        let system = root
            .real(Path::new(SYSTEM))
            .map_err(|_| PlaceError::Links)?;
        all.push(Self::in_folder(&system, notes)?);
        Ok(all)
    }

    /// Where the shim would find the table of the executable at `exe`: the first place
    /// that holds anything. `None` if there is no table.
    ///
    /// # Errors
    /// When the notes name no place.
    pub fn find(root: &Root, exe: &Path, notes: &Notes<'_>) -> Result<Option<Self>, PlaceError> {
        let mut all = Self::all(root, exe, notes)?.into_iter();
        Ok(all.find(|place| is_there(&place.path)))
    }

    /// The same, or where its table would be beside it.
    ///
    /// # Errors
    /// When the notes name no place.
    pub fn now(root: &Root, exe: &Path, notes: &Notes<'_>) -> Result<Self, PlaceError> {
        match Self::find(root, exe, notes)? {
            Some(found) => Ok(found),
            None => Self::of(exe, notes)?.in_root(root),
        }
    }

    /// Where the bindings that belong to the table lie.
    pub fn bindings(&self) -> PathBuf {
        with_end(&self.path, SUFFIX)
    }

    /// Where the table lies that the last update replaced.
    pub fn kept(&self) -> PathBuf {
        with_end(&self.path, KEPT_SUFFIX)
    }

    /// Where the bindings that belonged to that one lie.
    pub fn kept_bindings(&self) -> PathBuf {
        with_end(&self.kept(), SUFFIX)
    }

    /// The folder that holds the table.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// Whether something is at `path`, be it a dangling symlink or what cannot be read.
fn is_there(path: &Path) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) => {
            let kind = error.kind();
            kind != std::io::ErrorKind::NotFound && kind != std::io::ErrorKind::NotADirectory
        }
    }
}

/// Whether everybody may make files beside the executable.
fn is_in_shared_folder(exe: &Path) -> bool {
    let parent = exe.parent().unwrap_or(Path::new("/"));
    std::fs::metadata(parent).is_ok_and(|folder| is_shared(folder.mode()))
}

/// Whether there is a table at `path` that an executable of `owner` obeys.
fn counts(path: &Path, owner: u32) -> bool {
    let opened = crate::elf::open_regular(path);
    opened.is_ok_and(|(_, metadata)| super::trust::check(&metadata, owner).is_ok())
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (id {})", self.path.display(), hex(&self.id))
    }
}
