//! An ABI from whatever file a user names: library, stub or ABI text.

use std::path::{Path, PathBuf};

use crate::elf::{ElfError, MappedElf};

use super::closure::Finder;
use super::model::{Abi, Name};
use super::other::Other;
use super::parse::TextError;
use super::text;
use super::{Digest, read};

/// Whether a symbol, by name and version, counts although it is private.
pub type Wanted<'w> = &'w dyn Fn(&[u8], Option<&[u8]>) -> bool;

/// Why no ABI could be had from a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is not usable as ELF.
    #[error("{path}: {error}", path = path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: ElfError,
    },
    /// It is something else: a program, a static archive, a linker script, …
    #[error("{}: {}, not a shared library; {}", path.display(), other.what, other.instead)]
    Other {
        /// The file.
        path: PathBuf,
        /// What it is, and what to name instead.
        other: Other,
    },
    /// It is ABI text with an error.
    #[error("{path}: {error}", path = path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Line and reason.
        error: TextError,
    },
    /// It is a stub whose content does not match the digest in its note.
    #[error("{}: a damaged stub (it does not match its own digest); make it again", .0.display())]
    Damaged(PathBuf),
}

impl LoadError {
    /// What is wrong, without the file's name.
    pub fn reason(&self) -> String {
        match self {
            Self::Elf { error, .. } => error.to_string(),
            Self::Other { other, .. } => format!("{}, not a shared library", other.what),
            Self::Text { error, .. } => error.to_string(),
            Self::Damaged(_) => "a damaged stub".to_owned(),
        }
    }
}

/// An ABI, and what could not be found out about it.
#[derive(Debug)]
pub struct Loaded {
    /// The ABI.
    pub abi: Abi,
    /// Needed libraries that were not found; symbols that they might provide
    /// are not in [`Abi::undefined`].
    pub missing: Vec<Name>,
}

/// Reads the ABI of the file at `path`. What is private by the finder's table is left
/// out of a library; stubs and ABI texts count as they are.
///
/// # Errors
/// When it cannot be read or is none of library, stub and ABI text.
pub fn load(path: &Path, finder: &Finder) -> Result<Loaded, LoadError> {
    load_with(path, finder, &|_, _| false)
}

/// Like [`load`], to be compared with `other`: what that has counts here as well.
///
/// # Errors
/// Those of [`load`].
pub fn load_for(path: &Path, finder: &Finder, other: &Abi) -> Result<Loaded, LoadError> {
    load_with(path, finder, &|name, version| other.has(name, version))
}

/// Like [`load`], with the private symbols that are `wanted`.
///
/// # Errors
/// Those of [`load`].
pub fn load_with(path: &Path, finder: &Finder, wanted: Wanted<'_>) -> Result<Loaded, LoadError> {
    let bad = |error, bytes: &[u8]| {
        let path = path.to_owned();
        match Other::of_error(&error, bytes) {
            Some(other) => LoadError::Other { path, other },
            None => LoadError::Elf { path, error },
        }
    };
    let file = MappedElf::open(path).map_err(|error| bad(error, &[]))?;
    if text::is_text(file.bytes()) {
        let broken = |error| LoadError::Text {
            path: path.to_owned(),
            error,
        };
        let text = std::str::from_utf8(file.bytes()).map_err(|_| {
            broken(TextError {
                line: 1,
                what: "not UTF-8".into(),
            })
        })?;
        let abi = Abi::from_text(text).map_err(broken)?;
        return Ok(Loaded {
            abi,
            missing: Vec::new(),
        });
    }
    let bytes = file.bytes();
    let other = |other| LoadError::Other {
        path: path.to_owned(),
        other,
    };
    if let Some(found) = Other::of_bytes(path, bytes) {
        return Err(other(found));
    }
    let elf = file.elf().map_err(|error| bad(error, bytes))?;
    if let Some(found) = Other::of_elf(path, &elf) {
        return Err(other(found));
    }
    let hides = |soname: Option<&[u8]>, name: &[u8], version: Option<&[u8]>| {
        finder.private.hides(soname, name, version) && !wanted(name, version)
    };
    let read = read::read_without(&elf, &hides).map_err(|error| bad(error, bytes))?;
    let read::FileAbi { mut abi, stub } = read;
    let missing = match stub {
        Some(true) => Vec::new(),
        Some(false) => return Err(LoadError::Damaged(path.to_owned())),
        None => finder.remove_provided(path, &elf, &mut abi.undefined),
    };
    Ok(Loaded { abi, missing })
}

impl Loaded {
    /// The digest of the ABI.
    pub fn digest(&self) -> Digest {
        self.abi.digest()
    }
}
