//! The closure of a program with the old and with the new libraries, as ld.so would find
//! them, and what of the question they already answer.

use std::path::Path;

use super::builds::{Build, Change};
use super::error::ReachError;
use super::pair::{Doubt, Step};
use crate::resolve::{Library, Store};
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
                    .or_else(|| unwinder(&after, new));
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
                let elsewhere = new.closure.nodes.iter().find(|node| stays(&node.path));
                let elsewhere = elsewhere.map(|node| Doubt {
                    path: vec![Step {
                        library: node.path.display().to_string(),
                        name: String::new(),
                    }],
                    reason: "is not found by the folders of a table, so that --replace does not move it",
                    remedy: "give the two libraries as OLD and NEW",
                });
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

/// What glibc opens by itself when a thread is cancelled or ends, or for a backtrace, is
/// part of every program that has not loaded it yet.
fn unwinder(subject: &Subject, build: &Build) -> Option<Doubt> {
    const UNWINDER: &str = "libgcc_s.so.1";
    let changes = build.libraries.contains_key(UNWINDER.as_bytes());
    let loaded = || subject.closure.provider(UNWINDER.as_bytes()).is_some();
    let threads = || !subject.closure.nodes.is_empty();
    (changes && !loaded() && threads()).then(|| Doubt {
        path: vec![Step {
            library: UNWINDER.to_owned(),
            name: String::new(),
        }],
        reason: "is what glibc may open for threads that end and for backtraces",
        remedy: "run its tests",
    })
}

/// Its soname, or its file name.
pub(super) fn name(library: &Library) -> String {
    match &library.soname {
        Some(soname) => String::from_utf8_lossy(soname).into_owned(),
        None => {
            let name = library.map().path().file_name().unwrap_or_default();
            name.to_string_lossy().into_owned()
        }
    }
}
