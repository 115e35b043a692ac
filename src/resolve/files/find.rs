//! Where the walk finds the file that a name means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::closure::{Id, Resolver, Walk};
use super::error::ResolveError;
use super::library::Library;
use super::search::{Outcome, Searcher, Via};
use super::store::{Hit, Probe};
use crate::elf::Search;

/// What a name means to an object.
pub(super) struct Found {
    pub(super) hit: Hit,
    pub(super) via: Via,
    /// The path as `$ORIGIN/…`, if it was reached from the executable that way.
    pub(super) relative: Option<PathBuf>,
    /// LD_LIBRARY_PATH would not be asked first.
    pub(super) fixed: bool,
}

impl Resolver<'_> {
    /// What ld.so's cache and default folders have for the executable under `name`.
    pub fn of_system(&self, exe_path: &Path, exe: &Library, name: &[u8]) -> Option<Hit> {
        let bare = Walk::new(self, exe_path, exe);
        let (mut searcher, _) = bare.searcher(0);
        let nothing = self.store.list(exe.arch, &[]);
        searcher.lib_dirs = &nothing;
        searcher.rpaths.clear();
        searcher.runpath = None;
        match searcher.find(name) {
            Outcome::Found(hit, _) => Some(hit),
            _ => None,
        }
    }
}

impl Walk<'_> {
    pub(super) fn find(&self, name: &[u8], loader: Id) -> Result<Found, ResolveError> {
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
            match self.resolver.store.probe(self.exe.arch, &path) {
                Probe::Found(library) => {
                    let variants = Vec::new();
                    let hit = Hit {
                        library,
                        path,
                        variants,
                    };
                    Outcome::Found(hit, Via::Path)
                }
                Probe::Bad(why) | Probe::Skip(why) => Outcome::Bad(path, why),
                Probe::Missing => Outcome::Missing {
                    looked: path.parent().map(Path::to_owned).into_iter().collect(),
                    skipped: Vec::new(),
                },
            }
        } else {
            self.searcher(loader).0.find(name)
        };
        match outcome {
            Outcome::Found(hit, via) => Ok(self.found(hit, via, loader)),
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

    fn found(&self, hit: Hit, via: Via, loader: Id) -> Found {
        let owner = match via {
            Via::Rpath(index) => self.searcher(loader).1.get(index).copied(),
            Via::Runpath => Some(loader),
            Via::Given | Via::System | Via::Path => None,
        };
        let owner = owner.and_then(|id| self.loaded.get(id));
        let relative = owner.and_then(|owner| owner.folders.relative(&hit.path));
        let exe = self.loaded.first().map(|exe| &exe.folders);
        let fixed = match via {
            Via::Rpath(_) | Via::Path => true,
            // The shim puts these folders in front of the executable's DT_RPATH.
            Via::Given => exe.and_then(|own| own.kind()) == Some(Search::Rpath),
            Via::Runpath | Via::System => false,
        };
        Found {
            hit,
            via,
            relative,
            fixed,
        }
    }

    /// The lists that apply to the needs of `loader`, and whose DT_RPATHs they are.
    fn searcher(&self, loader: Id) -> (Searcher<'_>, Vec<Id>) {
        let mut rpaths = Vec::new();
        let mut owners = Vec::new();
        let folders = self.loaded.get(loader).map(|loaded| &loaded.folders);
        let runpath = folders.and_then(|folders| folders.runpath.as_deref());
        if runpath.is_none() {
            // An object with RUNPATH asks no RPATH at all, not even its loaders'.
            let mut id = loader;
            while let Some(loaded) = self.loaded.get(id) {
                if let Some(list) = loaded.folders.rpath.as_deref() {
                    rpaths.push(list);
                    owners.push(id);
                }
                // A loader is older than what it loads: the chain ends at 0.
                if id == 0 {
                    break;
                }
                id = loaded.loader;
            }
        }
        let searcher = Searcher {
            store: self.resolver.store,
            arch: self.exe.arch,
            lib_dirs: &self.lib_dirs,
            rpaths,
            runpath,
            no_defaults: folders.is_some_and(|folders| folders.no_defaults),
        };
        (searcher, owners)
    }
}
