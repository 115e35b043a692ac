//! The closure of a program with the old and with the new libraries, as ld.so would find
//! them, and what of the question they already answer.

use std::path::{Path, PathBuf};

use super::builds::{Build, Change};
use super::error::ReachError;
use super::pair::{Doubt, Step};
use crate::elf::MappedElf;
use crate::resolve::{Library, Node, Store};
use crate::table::Replacement;
use crate::update::{Options, Subject};

/// Both closures of a program.
#[derive(Debug)]
pub(super) struct Closures {
    pub(super) old: Subject,
    pub(super) new: Subject,
    /// What it opens while it runs is known.
    pub(super) plugins_declared: bool,
    /// A library was found elsewhere than it should have been.
    pub(super) elsewhere: Option<Doubt>,
}

impl Closures {
    pub(super) fn of(store: &Store, program: &Path, change: &Change) -> Result<Self, ReachError> {
        let plain = Options::default();
        let (old, new, elsewhere) = match change {
            Change::Builds(old, new) => {
                let with = |build: &Build, which: &'static str| {
                    let first = [build.folder().to_owned()];
                    let subject = Subject::preferring(&first, store, program, &plain);
                    subject.map_err(|error| ReachError::Closure(which, error))
                };
                let (before, after) = (with(old, "old")?, with(new, "new")?);
                let elsewhere = elsewhere(&before, old)
                    .or_else(|| elsewhere(&after, new))
                    .or_else(|| {
                        let of = |build: &Build| build.libraries.get(UNWINDER.as_bytes()).cloned();
                        unwinder(&after, of(old), of(new))
                    });
                (before, after, elsewhere)
            }
            Change::Replacements(replacements) => {
                let options = Options {
                    replacements: replacements.clone(),
                    ..Options::default()
                };
                let old = Subject::of(store, program, &plain);
                let old = old.map_err(|error| ReachError::Closure("old", error))?;
                let new = Subject::of(store, program, &options);
                let new = new.map_err(|error| ReachError::Closure("new", error))?;
                let stays = |path: &Path| replacements.iter().any(|r| path.starts_with(&r.old));
                let stays = new.closure.nodes.iter().find(|node| stays(&node.path));
                let stays = stays.map(|node| Doubt {
                    path: vec![Step {
                        library: node.path.display().to_string(),
                        name: String::new(),
                    }],
                    reason: "is not found by the folders of a table, so that --replace does not move it",
                    remedy: "give the two libraries as OLD and NEW",
                });
                let moved = |node: &&Node| {
                    let mut all = replacements.iter();
                    all.any(|r| node.path.starts_with(&r.old) || node.path.starts_with(&r.new))
                };
                let nodes = old.closure.nodes.iter().chain(&new.closure.nodes);
                let variant = nodes.filter(moved).find(|node| !node.variants.is_empty());
                let variant = variant.map(|node| Doubt {
                    path: vec![Step {
                        library: node.path.display().to_string(),
                        name: String::new(),
                    }],
                    reason: "has a variant for other processors (glibc-hwcaps)",
                    remedy: "give the variants as OLD and NEW",
                });
                let unwind = || {
                    // Beside what is moved, or where its folders usually are.
                    let of = |subject: &Subject, folder: fn(&Replacement) -> &Path| {
                        let given = replacements.iter().map(folder);
                        let below =
                            given.flat_map(|f| [f.to_owned(), f.join("lib"), f.join("lib64")]);
                        let nodes = subject.closure.nodes.iter().filter(moved);
                        let beside = nodes
                            .filter_map(|node| node.path.parent())
                            .map(Path::to_owned);
                        let mut all = below.chain(beside).map(|folder| folder.join(UNWINDER));
                        all.find(|path| path.exists())
                    };
                    unwinder(&new, of(&old, |r| &r.old), of(&new, |r| &r.new))
                };
                let elsewhere = stays.or(variant).or_else(unwind);
                (old, new, elsewhere)
            }
        };
        Ok(Self {
            old,
            new,
            plugins_declared: false,
            elsewhere,
        })
    }

    /// Names of the libraries in ld.so's order.
    pub(super) fn names(subject: &Subject) -> Vec<String> {
        let nodes = subject.closure.nodes.iter();
        nodes.map(|node| name(&node.library)).collect()
    }

    /// The library of object `object`, of which the executable is the first.
    pub(super) fn library(subject: &Subject, object: usize) -> Option<&Library> {
        match object.checked_sub(1) {
            None => Some(&subject.library),
            Some(node) => Some(&*subject.closure.nodes.get(node)?.library),
        }
    }
}

/// A library that stands where one of the build should.
fn elsewhere(subject: &Subject, build: &Build) -> Option<Doubt> {
    let nodes = subject.closure.nodes.iter();
    let wrong = nodes.filter(|node| {
        let soname = node.library.soname.as_deref().unwrap_or_default();
        let real = std::fs::canonicalize(&node.path).ok();
        let meant = build.libraries.get(soname);
        meant.is_some_and(|meant| real.as_ref() != Some(meant))
    });
    let found = wrong.map(|node| Doubt {
        path: vec![Step {
            library: node.path.display().to_string(),
            name: String::new(),
        }],
        reason: "is found first, by a run path, so that the build given is not what would be loaded",
        remedy: "give that library as OLD and its successor as NEW",
    });
    { found }.next()
}

const UNWINDER: &str = "libgcc_s.so.1";

/// What glibc opens by itself when a thread is cancelled or ends, or for a backtrace, is
/// part of every program that has not loaded it yet.
fn unwinder(subject: &Subject, old: Option<PathBuf>, new: Option<PathBuf>) -> Option<Doubt> {
    let same = match (&old, &new) {
        (Some(old), Some(new)) => {
            let read = |path: &Path| MappedElf::open(path).ok();
            matches!((read(old), read(new)), (Some(a), Some(b)) if a.bytes() == b.bytes())
        }
        _ => old.is_none() && new.is_none(),
    };
    let loaded = || subject.closure.provider(UNWINDER.as_bytes()).is_some();
    let has_libraries = || !subject.closure.nodes.is_empty();
    (!same && !loaded() && has_libraries()).then(|| Doubt {
        path: vec![Step {
            library: UNWINDER.to_owned(),
            name: String::new(),
        }],
        reason: "is what glibc may open for threads that end and for backtraces",
        remedy: "run its tests",
    })
}

/// The name of a file.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Its soname, or its file name.
pub(super) fn name(library: &Library) -> String {
    match &library.soname {
        Some(soname) => String::from_utf8_lossy(soname).into_owned(),
        None => name_of(library.map().path()),
    }
}
