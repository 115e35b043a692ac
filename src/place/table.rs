//! Where the table of an executable lies.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::bindings_layout::SUFFIX;
use indir_shim::format::note::{self, Notes};
use indir_shim::trust::is_shared;

use super::names::hex;

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
}

/// Where the table of one executable lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Path of the table.
    pub path: PathBuf,
    /// Id of the executable that the table must repeat.
    pub id: Vec<u8>,
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
        Ok(Self { path, id })
    }

    /// Where the bindings that belong to the table lie.
    pub fn bindings(&self) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(SUFFIX);
        name.into()
    }

    /// The folder that holds the table.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }
}

/// Whether everybody may make files beside the executable.
fn is_in_shared_folder(exe: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
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
