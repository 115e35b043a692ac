//! What the plugins of an executable need: the folders that its table must have
//! for them, and whether the libraries satisfy them.
//!
//! A plugin is a shared object that a program opens by its path. Nothing tells
//! which ones a program opens, so folders are given (`--plugin-dir`) or guessed
//! (`--scan-plugins`), and every object in them is held against the closure. A
//! plugin that could not be opened before is worth a warning; one that would be
//! lost refuses the update.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::PlanError;
use super::folders::{self, Folders};
use super::glibc;
use super::tolerate::has_changed;
use crate::elf::Root;
use crate::resolve::files::plugins::{Opened, Opener};
use crate::resolve::files::store::Probe;
use crate::resolve::unmet::Unmet;
use crate::resolve::{Closure, Library, ResolveError, Resolver, Store, check};
use crate::table::{Inputs, TableFile};

/// The glibc from which on an opened object does not make the stack executable.
const STACK_STAYS_FROM: u32 = 41;

/// A plugin that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// The shared object.
    pub path: PathBuf,
    /// What it brings besides itself, in ld.so's order: not in the closure.
    pub libraries: Vec<PathBuf>,
    /// Why it cannot be opened, or not used in full; nothing if all is well.
    pub missing: Vec<String>,
}

impl Plugin {
    /// Stands for it and for what it lacks in a table's inputs.
    pub(crate) fn hash(&self) -> String {
        Inputs::hash_lacking(&self.path, &self.missing)
    }
}

/// The plugins of an executable.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Sorted by folder, then by path.
    pub(super) plugins: Vec<Plugin>,
    /// What the table's search must have for them.
    pub(super) folders: Vec<PathBuf>,
}

/// What is asked: an executable, its closure, and what an update was told.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) store: &'a Store,
    pub(super) exe: &'a Path,
    pub(super) library: &'a Library,
    pub(super) inputs: &'a Inputs,
    pub(super) closure: &'a Closure,
    pub(super) old: Option<&'a TableFile>,
}

/// A plugin and what opening it brings.
struct Candidate {
    path: PathBuf,
    library: Arc<Library>,
    opened: Opened,
}

impl Question<'_> {
    /// `None` if there is no folder of plugins.
    ///
    /// # Errors
    /// When a folder cannot be searched, or a plugin would be lost.
    pub(super) fn answer(&self) -> Result<Option<Found>, PlanError> {
        if self.inputs.plugin_dirs.is_empty() && !self.inputs.scan_plugins {
            return Ok(None);
        }
        let plugins = self.objects()?;
        let table = folders::of_table(self.inputs, self.closure, &[]);
        let mut candidates = self.open(self.closure, &plugins, &table);
        let mut seen = HashSet::new();
        let wanted = candidates.iter().flat_map(|c| &c.opened.folders);
        let added: Vec<PathBuf> = wanted
            .filter(|folder| seen.insert(*folder))
            .cloned()
            .collect();
        if !added.is_empty() {
            // A folder that is there for one plugin is searched for all.
            let table = folders::of_table(self.inputs, self.closure, &added);
            candidates = self.open(self.closure, &plugins, &table);
        }
        let mut found = Found {
            folders: added,
            plugins: Vec::with_capacity(candidates.len()),
        };
        let mut checked = HashSet::new();
        let mut lost = Vec::new();
        let mut unmet = Vec::new();
        for candidate in candidates {
            let mut plugin = Plugin {
                libraries: own_libraries(&candidate.opened),
                path: candidate.path.clone(),
                missing: Vec::new(),
            };
            if let Some(why) = self.stack_refusal(&candidate) {
                if self.had_older_glibc() {
                    lost.push(why);
                } else {
                    plugin.missing.push(why);
                }
            }
            for miss in &candidate.opened.missing {
                if self.had(&candidate, miss) {
                    lost.push(miss.to_string());
                } else {
                    plugin.missing.push(miss.to_string());
                }
            }
            // What lacks a library lacks its symbols, which says nothing new.
            if candidate.opened.missing.is_empty() {
                for (miss, is_loss) in self.unmet(&candidate, &mut checked)? {
                    if is_loss {
                        unmet.push(miss);
                    } else {
                        plugin.missing.push(miss.to_string());
                    }
                }
            }
            found.plugins.push(plugin);
        }
        if !unmet.is_empty() {
            return Err(PlanError::Unmet(unmet));
        }
        if !lost.is_empty() {
            return Err(PlanError::Plugins(lost));
        }
        Ok(Some(found))
    }

    /// Every plugin, each file once.
    fn objects(&self) -> Result<Vec<PathBuf>, PlanError> {
        let mut found: Vec<PathBuf> = Vec::new();
        for folder in &self.inputs.plugin_dirs {
            let objects = self.store.objects_in(self.library.arch, folder);
            let failed = |why: Arc<str>| PlanError::PluginDir(folder.clone(), why.to_string());
            found.extend(objects.map_err(failed)?.iter().cloned());
        }
        if self.inputs.scan_plugins {
            for folder in package_folders(self.store.root(), self.exe, self.closure) {
                let objects = self.store.objects_in(self.library.arch, &folder);
                let failed = |why: Arc<str>| PlanError::PluginDir(folder.clone(), why.to_string());
                let objects = objects.map_err(failed)?;
                // What lies in the folder itself are libraries, not plugins.
                let below = objects
                    .iter()
                    .filter(|path| path.parent() != Some(&*folder));
                found.extend(below.cloned());
            }
        }
        let mut seen = HashSet::new();
        found.retain(|path| seen.insert(path.clone()));
        Ok(found)
    }

    fn open(&self, closure: &Closure, plugins: &[PathBuf], table: &Folders) -> Vec<Candidate> {
        let mut seen = HashSet::new();
        let siblings = plugins.iter().filter_map(|path| path.parent());
        let siblings: Vec<PathBuf> = siblings
            .filter(|folder| seen.insert(*folder))
            .map(Path::to_owned)
            .collect();
        let opener = Opener::new(
            self.store,
            closure,
            table.inherited(),
            &siblings,
            table.is_ordinary,
        );
        let candidates = plugins.iter().filter_map(|path| {
            let Probe::Found(library) = self.store.probe(self.library.arch, path) else {
                return None;
            };
            let opened = opener.open(path, &library)?;
            Some(Candidate {
                path: path.clone(),
                library,
                opened,
            })
        });
        candidates.collect()
    }

    /// Whether the plugin has, by the last table, the library that is missing.
    fn had(&self, candidate: &Candidate, miss: &ResolveError) -> bool {
        let Some(table) = self.old.and_then(|old| old.table().ok()) else {
            return false;
        };
        let before = Inputs::of(&table);
        if before == *self.inputs {
            return false;
        }
        let search = folders::inherited_of(&table, self.exe);
        let resolver =
            Resolver::new(self.store, &before.lib_dirs).with_origin_dirs(&before.origin_dirs);
        let Ok(closure) = resolver.resolve(self.exe, self.library) else {
            return false;
        };
        let opener = Opener::new(self.store, &closure, search.as_deref(), &[], true);
        let before = opener.open(&candidate.path, &candidate.library);
        before.is_none_or(|opened| !opened.missing.iter().any(|was| same_need(was, miss)))
    }

    /// Why glibc does not open the plugin: from 2.41 on no opened object makes the stack
    /// executable (elf/dl-load.c), as objects that are there at start do.
    fn stack_refusal(&self, candidate: &Candidate) -> Option<String> {
        if glibc::minor(self.closure)? < STACK_STAYS_FROM {
            return None;
        }
        let asks = |library: &Library| library.demands.executable_stack;
        let mut closure = self.closure.nodes.iter();
        if asks(self.library) || closure.any(|node| asks(&node.library)) {
            return None;
        }
        let nodes = candidate.opened.closure.nodes.iter();
        let mut new = nodes.skip(candidate.opened.first);
        let node = new.find(|node| asks(&node.library))?;
        Some(format!(
            "{} asks for an executable stack, which glibc from 2.{STACK_STAYS_FROM} on does not give to what is opened: link it again with `-z noexecstack`",
            node.path.display()
        ))
    }

    /// Whether an executable stack was to be had by the last table, or is in an
    /// ordinary start.
    fn had_older_glibc(&self) -> bool {
        let is_older = |lib_dirs: &[PathBuf], origin_dirs: &[PathBuf]| {
            let resolver = Resolver::new(self.store, lib_dirs).with_origin_dirs(origin_dirs);
            let closure = resolver.resolve(self.exe, self.library).ok();
            closure
                .and_then(|closure| glibc::minor(&closure))
                .is_some_and(|minor| minor < STACK_STAYS_FROM)
        };
        match self.old.and_then(|old| old.table().ok()) {
            Some(table) => {
                let before = Inputs::of(&table);
                is_older(&before.lib_dirs, &before.origin_dirs)
            }
            None => is_older(&[], &self.inputs.origin_dirs),
        }
    }

    /// What the plugin and its libraries lack, and whether that is a loss.
    ///
    /// A missing version keeps ld.so from opening it. A missing symbol may be
    /// what another plugin, or whoever opens it, provides: it is a loss only if
    /// it is there without any `--lib-dir`, or, where there is none, if it names
    /// the library that should have it and the libraries have changed.
    fn unmet(
        &self,
        candidate: &Candidate,
        checked: &mut HashSet<(u64, u64)>,
    ) -> Result<Vec<(Unmet, bool)>, PlanError> {
        let find = |opened: &Opened| {
            let unmet =
                check::unmet_by_opened(self.exe, self.library, &opened.closure, opened.first);
            unmet.map_err(|(path, why)| PlanError::Object(path, why))
        };
        let new = candidate.opened.closure.nodes.iter();
        let new = new.skip(candidate.opened.first);
        // Libraries that several plugins bring are told of once.
        let fresh: HashSet<PathBuf> = new
            .filter(|node| checked.insert(node.library.file_id))
            .map(|node| node.path.clone())
            .collect();
        if fresh.is_empty() {
            return Ok(Vec::new());
        }
        let mut unmet = find(&candidate.opened)?;
        unmet.retain(|unmet| fresh.contains(&unmet.needed_by));
        if unmet.is_empty() {
            return Ok(Vec::new());
        }
        let key = |unmet: &Unmet| {
            let name = unmet.needed_by.file_name().map(ToOwned::to_owned);
            (unmet.symbol.clone(), unmet.version.clone(), name)
        };
        let ordinary: Option<HashSet<_>> = if self.inputs.lib_dirs.is_empty() {
            None
        } else {
            let closure = Resolver::new(self.store, &[])
                .with_origin_dirs(&self.inputs.origin_dirs)
                .resolve(self.exe, self.library);
            let opened = closure.ok().and_then(|closure| {
                let none = Inputs::default();
                let table = folders::of_table(&none, &closure, &[]);
                let one = std::slice::from_ref(&candidate.path);
                self.open(&closure, one, &table).pop()
            });
            let usable = opened.filter(|opened| opened.opened.missing.is_empty());
            usable
                .and_then(|candidate| Some(find(&candidate.opened).ok()?.iter().map(key).collect()))
        };
        let is_loss = |unmet: &Unmet| {
            let versioned = unmet.provider.is_some();
            match &ordinary {
                // Nobody can open it either way, if that is what it lacks.
                Some(lacking) => !lacking.contains(&key(unmet)),
                None if versioned && !unmet.lazy => true,
                None if versioned => self
                    .old
                    .is_some_and(|old| has_changed(old, self.exe, self.closure)),
                None => false,
            }
        };
        let told = unmet.into_iter().filter_map(|unmet| {
            let is_loss = is_loss(&unmet);
            (is_loss || unmet.provider.is_some()).then_some((unmet, is_loss))
        });
        Ok(told.collect())
    }
}

fn own_libraries(opened: &Opened) -> Vec<PathBuf> {
    let new = opened.closure.nodes.iter().skip(opened.first + 1);
    new.map(|node| node.path.clone()).collect()
}

fn same_need(a: &ResolveError, b: &ResolveError) -> bool {
    use ResolveError::{Bad, Missing};
    match (a, b) {
        (
            Missing {
                name, needed_by, ..
            },
            Missing {
                name: other,
                needed_by: by,
                ..
            },
        ) => name == other && needed_by.file_name() == by.file_name(),
        (Bad { needed_by, .. }, Bad { needed_by: by, .. }) => {
            needed_by.file_name() == by.file_name()
        }
        _ => a == b,
    }
}

/// `lib` and `lib64` of the packages of the executable and of its libraries: of
/// the folders that hold a `bin` or a `lib` with them. Left out are the ones that
/// everybody's packages share, where a scan would find everybody's plugins, and
/// glibc's own, whose modules need nothing else.
fn package_folders(root: &Root, exe: &Path, closure: &Closure) -> Vec<PathBuf> {
    const SHARED: [&str; 4] = ["/", "/usr", "/usr/local", "/opt"];
    let glibc = root_of(&closure.ldso.0, &["lib", "lib64"]);
    let of_exe = root_of(exe, &["bin", "sbin", "libexec"]);
    let libraries = closure.nodes.iter();
    let roots = libraries.filter_map(|node| root_of(&node.path, &["lib", "lib64"]));
    let mut seen = HashSet::new();
    of_exe
        .into_iter()
        .chain(roots)
        .filter(|root| {
            !SHARED
                .iter()
                .any(|shared| root.as_path() == Path::new(shared))
        })
        .filter(|root| Some(root) != glibc.as_ref() && seen.insert(root.clone()))
        .flat_map(|package| ["lib", "lib64"].map(|name| package.join(name)))
        .filter(|folder| root.is_dir(folder))
        .collect()
}

/// What lies above the innermost of `names` in the path of a file.
fn root_of(file: &Path, names: &[&str]) -> Option<PathBuf> {
    let named = |folder: &&Path| {
        let name = folder.file_name().and_then(OsStr::to_str);
        name.is_some_and(|name| names.contains(&name))
    };
    let folder = file.ancestors().skip(1).find(named)?;
    folder.parent().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_of_packages() {
        let root = |file: &str, names: &[&str]| {
            root_of(Path::new(file), names).map(|root| root.display().to_string())
        };
        let lib = ["lib", "lib64"];
        assert_eq!(
            root("/nix/store/a-b/lib/libx.so", &lib).as_deref(),
            Some("/nix/store/a-b")
        );
        assert_eq!(
            root("/usr/lib/tuple/libx.so", &lib).as_deref(),
            Some("/usr")
        );
        assert_eq!(root("/lib64/libx.so", &lib).as_deref(), Some("/"));
        assert_eq!(
            root("/srv/app/bin/prog", &["bin"]).as_deref(),
            Some("/srv/app")
        );
        assert_eq!(root("/srv/app/prog", &["bin"]), None);
        // The name of the file itself is no folder.
        assert_eq!(root("/srv/lib", &lib), None);
    }
}
