//! Which ld.so a closure gets, and whether it fits the libc.so.6 beside which
//! it will run.
//!
//! An ordinary start takes the one that PT_INTERP names, whatever libc.so.6 is
//! found. With `--lib-dir` another glibc is asked for, and its ld.so with it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::closure::{Loaded, Walk};
use super::error::ResolveError;
use super::library::Library;
use super::search::Via;
use super::store::{Lookup, Probe};

/// soname beside which ld.so is looked for.
const LIBC_SONAME: &[u8] = b"libc.so.6";

/// The chosen ld.so.
pub(super) struct Chosen {
    pub(super) library: Arc<Library>,
    pub(super) path: PathBuf,
    pub(super) relative: Option<PathBuf>,
    /// An ordinary start takes this very file.
    pub(super) is_ordinary: bool,
}

impl Walk<'_> {
    pub(super) fn choose_ldso(&self) -> Result<Chosen, ResolveError> {
        let store = self.resolver.store;
        let (arch, ldso_name) = (self.exe.arch, self.ldso_name());
        let libc = self
            .names
            .get(LIBC_SONAME)
            .and_then(|&id| self.loaded.get(id));
        let libc = libc.filter(|libc| libc.library.is_some());
        let own = self.exe.interpreter.as_deref();
        let own = own.map(|path| Path::new(OsStr::from_bytes(path)));
        // Where none is recorded, that of the psABI.
        let ordinary = match store.probe(arch, own.unwrap_or(Path::new(arch.interpreter))) {
            Probe::Found(library) => Some(library),
            _ => None,
        };
        let chosen = |library: Arc<Library>, path, relative| {
            let is_same = |other: &Arc<Library>| other.file_id == library.file_id;
            Chosen {
                is_ordinary: ordinary.as_ref().is_some_and(is_same),
                library,
                path,
                relative,
            }
        };
        if let Some(libc) = libc.filter(|libc| libc.via == Via::Given)
            && let Some((library, path, relative)) = self.beside(libc)
        {
            return Ok(chosen(library, path, relative));
        }
        let loader = self
            .ldso
            .and_then(|id| self.loaded.get(id))
            .map_or(0, |ldso| ldso.loader);
        match &*store.search(&self.lib_dirs, ldso_name) {
            Lookup::Found(hit) => {
                return fitting(chosen(hit.library.clone(), hit.path.clone(), None), libc);
            }
            // Who gave the folder did not mean the program's own.
            Lookup::Bad(path, why) => {
                return Err(ResolveError::Bad {
                    path: path.clone(),
                    needed_by: self.path(loader).to_owned(),
                    why: why.to_string(),
                });
            }
            Lookup::Missing(_) => {}
        }
        if let (Some(library), Some(path)) = (&ordinary, own) {
            if !library.is_ldso() {
                return Err(ResolveError::OtherInterpreter(path.to_owned()));
            }
            // The very file beside libc.so.6 goes by its name there, which the shim
            // need not look at apart.
            let beside = libc.and_then(|libc| self.beside(libc));
            let beside = beside.filter(|(other, _, _)| other.file_id == library.file_id);
            let chosen = match beside {
                Some((library, path, relative)) => chosen(library, path, relative),
                None => chosen(library.clone(), path.to_owned(), None),
            };
            // What it takes in an ordinary start is its own affair.
            let is_own = libc.is_none_or(|libc| libc.via != Via::Given);
            return if is_own {
                Ok(chosen)
            } else {
                fitting(chosen, libc)
            };
        }
        if let Some((library, path, relative)) = libc.and_then(|libc| self.beside(libc)) {
            return Ok(chosen(library, path, relative));
        }
        let found = self.find(ldso_name, loader)?;
        fitting(
            chosen(found.hit.library, found.hit.path, found.relative),
            libc,
        )
    }

    /// The ld.so in the folder of `libc`, or in that of the file behind its
    /// symlink.
    fn beside(&self, libc: &Loaded) -> Option<(Arc<Library>, PathBuf, Option<PathBuf>)> {
        let name = OsStr::from_bytes(self.ldso_name());
        let relative = libc.relative.as_ref().map(|path| path.with_file_name(name));
        let real = self.resolver.store.root().canonical(&libc.path).ok();
        let places = [(Some(&libc.path), relative), (real.as_ref(), None)];
        places.into_iter().find_map(|(path, relative)| {
            let path = path?.with_file_name(name);
            match self.resolver.store.probe(self.exe.arch, &path) {
                Probe::Found(library) => Some((library, path, relative)),
                _ => None,
            }
        })
    }
}

/// Refuses to pair ld.so with a libc.so.6 of another build: they share structures
/// that no symbol version tells of.
fn fitting(chosen: Chosen, libc: Option<&Loaded>) -> Result<Chosen, ResolveError> {
    let Some((libc, library)) = libc.and_then(|libc| Some((libc, libc.library.as_ref()?))) else {
        return Ok(chosen);
    };
    match (glibc_build(library), glibc_build(&chosen.library)) {
        (Some(of_libc), Some(of_ldso)) if of_libc != of_ldso => Err(ResolveError::Pair {
            libc: libc.path.clone(),
            of_libc,
            ldso: chosen.path,
            of_ldso,
        }),
        _ => Ok(chosen),
    }
}

/// What libc.so.6 and ld.so say of their build when they are run as programs:
/// `(Debian GLIBC 2.36-9+deb12u7) stable release version 2.36` (csu/version.c,
/// elf/dl-usage.c).
pub fn glibc_build(library: &Library) -> Option<String> {
    const MIDDLE: &[u8] = b" release version ";
    /// Longest text in front of it and behind it, in bytes.
    const AROUND: usize = 120;
    let bytes = library.map().bytes();
    let mut from = 0;
    while let Some(found) = bytes.get(from..)?.iter().position(|&b| b == b'v') {
        // `v` of "version" is rare in comparison with a space.
        let at = from + found;
        from = at + 1;
        let Some(start) = at.checked_sub(9) else {
            continue;
        };
        let end = start + MIDDLE.len();
        if bytes.get(start..end) != Some(MIDDLE) {
            continue;
        }
        let before = bytes.get(start.saturating_sub(AROUND)..start)?;
        let Some(open) = before.iter().rposition(|&b| b == b'(') else {
            continue;
        };
        let after = bytes.get(end..(end + AROUND).min(bytes.len()))?;
        let len = after.iter().position(|&b| b == b'\n')?;
        let version = after.get(..len)?.strip_suffix(b".")?;
        let mut text = before.get(open..)?.to_vec();
        text.extend(MIDDLE);
        text.extend(version);
        return String::from_utf8(text).ok();
    }
    None
}
