//! Where the walk finds the file that a name means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::closure::{Id, Walk};
use super::error::ResolveError;
use super::library::LDSO_SONAME;
use super::search::{Outcome, Searcher};
use super::store::{Hit, Probe};

/// soname beside which ld.so is looked for first.
const LIBC_SONAME: &[u8] = b"libc.so.6";

impl Walk<'_> {
    pub(super) fn find(&self, name: &[u8], loader: Id) -> Result<Hit, ResolveError> {
        let needed_by = || self.path(loader).to_owned();
        let readable = || String::from_utf8_lossy(name).into_owned();
        let outcome = if name.contains(&b'/') {
            let path = PathBuf::from(OsStr::from_bytes(name));
            if !path.is_absolute() {
                return Err(ResolveError::Relative {
                    name: readable(),
                    needed_by: needed_by(),
                });
            }
            match self.resolver.store.probe(&path) {
                Probe::Found(library) => Outcome::Found(Hit {
                    library,
                    path,
                    variants: Vec::new(),
                }),
                Probe::Bad(why) | Probe::Skip(why) => Outcome::Bad(path, why),
                Probe::Missing => Outcome::Missing {
                    looked: path.parent().map(Path::to_owned).into_iter().collect(),
                    skipped: Vec::new(),
                },
            }
        } else {
            self.searcher(loader).find(name)
        };
        match outcome {
            Outcome::Found(hit) => Ok(hit),
            Outcome::Bad(path, why) => Err(ResolveError::Bad {
                path,
                needed_by: needed_by(),
                why: why.to_string(),
            }),
            Outcome::Missing { looked, skipped } => Err(ResolveError::Missing {
                name: readable(),
                needed_by: needed_by(),
                looked,
                skipped: skipped
                    .into_iter()
                    .map(|(path, why)| (path, why.to_string()))
                    .collect(),
            }),
        }
    }

    /// The lists that apply to the needs of `loader`.
    fn searcher(&self, loader: Id) -> Searcher<'_> {
        let mut rpaths = Vec::new();
        let folders = self.loaded.get(loader).map(|loaded| &loaded.folders);
        let runpath = folders.and_then(|folders| folders.runpath.as_deref());
        if runpath.is_none() {
            // An object with RUNPATH asks no RPATH at all, not even its loaders'.
            let mut id = loader;
            while let Some(loaded) = self.loaded.get(id) {
                rpaths.extend(loaded.folders.rpath.as_deref());
                // A loader is older than what it loads: the chain ends at 0.
                if id == 0 {
                    break;
                }
                id = loaded.loader;
            }
        }
        Searcher {
            store: self.resolver.store,
            lib_dirs: &self.resolver.lib_dirs,
            rpaths,
            runpath,
            no_defaults: folders.is_some_and(|folders| folders.no_defaults),
        }
    }

    /// ld.so must be of the same build as libc.so.6, so the folder of the
    /// chosen libc.so.6 is asked first; then it is looked for like any library.
    pub(super) fn choose_ldso(&self) -> Result<Hit, ResolveError> {
        let libc = self
            .names
            .get(LIBC_SONAME)
            .and_then(|&id| self.loaded.get(id));
        let name = OsStr::from_bytes(LDSO_SONAME);
        if let Some(libc) = libc.filter(|libc| libc.library.is_some()) {
            let real = std::fs::canonicalize(&libc.path).ok();
            let beside = [Some(&libc.path), real.as_ref()];
            for path in beside
                .into_iter()
                .flatten()
                .map(|path| path.with_file_name(name))
            {
                if let Probe::Found(library) = self.resolver.store.probe(&path) {
                    return Ok(Hit {
                        library,
                        path,
                        variants: Vec::new(),
                    });
                }
            }
        }
        let loader = self
            .ldso
            .and_then(|id| self.loaded.get(id))
            .map_or(0, |ldso| ldso.loader);
        self.find(LDSO_SONAME, loader)
    }
}
