//! The closure of a program with the old and with the new libraries, as ld.so would find
//! them, and what of the question they already answer.

use std::path::{Path, PathBuf};

use super::change::{Build, Change};
use super::error::ReachError;
use super::pair::{Doubt, Step};
use crate::elf::{Identity, MappedElf};
use crate::resolve::{Library, Node, Store};
use crate::table::{Replacement, TableFile, absolute};
use crate::update::{Opening, Options, PlanError, Subject};

/// Both closures of a program.
#[derive(Debug)]
pub(super) struct Closures {
    pub(super) old: Subject,
    pub(super) new: Subject,
    /// What it opens while it runs is known.
    pub(super) plugins_declared: bool,
    /// A library was found elsewhere than it should have been.
    pub(super) elsewhere: Option<Doubt>,
    /// Index among the nodes of the plugin that is asked about, and that the program has
    /// opened.
    pub(super) plugin: Option<usize>,
}

impl Closures {
    /// Those of the program at `program`, whose libraries are searched for in `lib_dirs`
    /// if that is not empty, and else where its table says.
    pub(super) fn of(
        store: &Store,
        program: &Path,
        change: &Change,
        lib_dirs: &[PathBuf],
    ) -> Result<Self, ReachError> {
        let plain = Options {
            lib_dirs: (!lib_dirs.is_empty()).then(|| lib_dirs.to_vec()),
            ..Options::default()
        };
        let old = |subject: Result<Subject, PlanError>| {
            subject.map_err(|error| ReachError::Closure("old", error))
        };
        let new = |subject: Result<Subject, PlanError>| {
            subject.map_err(|error| ReachError::Closure("new", error))
        };
        let (old, new) = match change {
            Change::Builds(before, after) => {
                let with = |build: &Build| {
                    let first = [build.folder().to_owned()];
                    Subject::preferring(&first, store, program, &plain)
                };
                (old(with(before))?, new(with(after))?)
            }
            Change::Replacements(replacements) => {
                let options = Options {
                    replacements: replacements.clone(),
                    ..plain.clone()
                };
                let after = Subject::of(store, program, &options);
                (old(Subject::of(store, program, &plain))?, new(after)?)
            }
            Change::Tables(tables) => {
                let [before, after] = tables.of(program)?;
                let with = |file: &TableFile| {
                    let table = file.table().map_err(|_| ReachError::NoTable)?;
                    Ok::<_, ReachError>(Subject::of_table(store, program, &table))
                };
                (old(with(before)?)?, new(with(after)?)?)
            }
        };
        let elsewhere = doubt(&old, &new, change);
        Ok(Self {
            old,
            new,
            plugins_declared: false,
            elsewhere,
            plugin: None,
        })
    }

    /// The closures once the program has opened a plugin, of which both sides have one,
    /// and where that stands on each; `None` if it is one of its libraries.
    pub(super) fn opening(
        &self,
        store: &Store,
        (old, new): (&Path, &Path),
        siblings: &[PathBuf],
        change: &Change,
    ) -> Result<Option<Self>, Doubt> {
        let unknown = |reason| {
            let path = vec![Step::of_file(new)];
            let remedy = "run its tests";
            Doubt {
                path,
                reason,
                remedy,
            }
        };
        let bad = || unknown("is a plugin whose libraries cannot be found");
        let open = |subject: &Subject, path| subject.opening(store, path, siblings);
        let old = open(&self.old, old).map_err(|_| bad())?;
        let new = open(&self.new, new).map_err(|_| bad())?;
        let (old, new) = match (old, new) {
            (None, None) => return Ok(None),
            (Some(old), Some(new)) => (old, new),
            _ => return Err(unknown("is a plugin, and a library in one of the two only")),
        };
        let lacks = |opening: &Opening| !opening.missing.is_empty();
        if lacks(&old) || lacks(&new) {
            return Err(bad());
        }
        if old.node != new.node {
            return Err(unknown("is a plugin that other libraries come before"));
        }
        let elsewhere = doubt(&old.subject, &new.subject, change);
        Ok(Some(Self {
            old: old.subject,
            new: new.subject,
            plugins_declared: self.plugins_declared,
            elsewhere,
            plugin: Some(new.node),
        }))
    }

    /// The object that counts as reached as a whole: the plugin, or else the program.
    pub(super) fn whole(&self) -> usize {
        self.plugin.map_or(0, |node| node + 1)
    }

    /// How many objects are there from the start.
    pub(super) fn at_start(&self) -> usize {
        self.plugin.unwrap_or(self.new.closure.nodes.len()) + 1
    }

    /// Names of the libraries in ld.so's order.
    pub(super) fn names(subject: &Subject) -> Vec<String> {
        let nodes = subject.closure.nodes.iter();
        nodes.map(|node| name(&node.library)).collect()
    }

    /// The library of object `object`, of which the executable is the first.
    pub(super) fn library(subject: &Subject, object: usize) -> Option<&Library> {
        match object.checked_sub(1) {
            None => Some(&*subject.library),
            Some(node) => Some(&*subject.closure.nodes.get(node)?.library),
        }
    }
}

/// Why the two closures may not be those that are meant.
fn doubt(old: &Subject, new: &Subject, change: &Change) -> Option<Doubt> {
    match change {
        Change::Builds(before, after) => elsewhere(old, before)
            .or_else(|| elsewhere(new, after))
            .or_else(|| {
                let of = |build: &Build| build.libraries.get(UNWINDER.as_bytes()).cloned();
                unwinder(new, of(before), of(after))
            }),
        Change::Replacements(replacements) => {
            let stays = |path: &Path| replacements.iter().any(|r| path.starts_with(&r.old));
            let stays = new.closure.nodes.iter().find(|node| stays(&node.path));
            let stays = stays.map(|node| Doubt {
                path: vec![Step::of_file(&node.path)],
                reason: "is not found by the folders of a table, so that --replace does not move it",
                remedy: "give the two libraries as OLD and NEW",
            });
            let moved = |node: &Node| {
                let mut all = replacements.iter();
                all.any(|r| node.path.starts_with(&r.old) || node.path.starts_with(&r.new))
            };
            // Beside what is moved, or where its folders usually are.
            let given = |folder: fn(&Replacement) -> &Path| {
                let given = replacements.iter().map(folder);
                let below = given.flat_map(|f| [f.to_owned(), f.join("lib"), f.join("lib64")]);
                below.collect::<Vec<_>>()
            };
            let given = (given(|r| &r.old), given(|r| &r.new));
            stays.or_else(|| of_moved(old, new, &moved, given))
        }
        Change::Tables(tables) => {
            let files = tables.of(&new.path).ok();
            let not_said = files.and_then(|[before, after]| {
                not_as_said(old, before).or_else(|| not_as_said(new, after))
            });
            let of = |subject: &Subject, node: &Node| {
                let mut nodes = subject.closure.nodes.iter();
                nodes.any(|other| other.path == node.path)
            };
            let moved = |node: &Node| !(of(old, node) && of(new, node));
            let none = (Vec::new(), Vec::new());
            not_said.or_else(|| of_moved(old, new, &moved, none))
        }
    }
}

/// What is uncertain of libraries that are found elsewhere than before.
fn of_moved(
    old: &Subject,
    new: &Subject,
    moved: &dyn Fn(&Node) -> bool,
    folders: (Vec<PathBuf>, Vec<PathBuf>),
) -> Option<Doubt> {
    let all = |subject: &Subject| {
        let nodes = subject.closure.nodes.clone();
        nodes.into_iter().filter(|node| moved(node))
    };
    let mut moved = all(old).chain(all(new));
    let variant = moved.find(|node| !node.variants.is_empty());
    let variant = variant.map(|node| Doubt {
        path: vec![Step::of_file(&node.path)],
        reason: "has a variant for other processors (glibc-hwcaps)",
        remedy: "give the variants as OLD and NEW",
    });
    variant.or_else(|| {
        let of = |subject: &Subject, folders: Vec<PathBuf>| {
            let beside = all(subject).filter_map(|node| Some(node.path.parent()?.to_owned()));
            let all = folders.into_iter().chain(beside);
            all.map(|folder| folder.join(UNWINDER))
                .find(|path| path.exists())
        };
        unwinder(new, of(old, folders.0), of(new, folders.1))
    })
}

/// A library that is not, or not any more, the one that the table names.
fn not_as_said(subject: &Subject, file: &TableFile) -> Option<Doubt> {
    let table = file.table().ok()?;
    let nodes = &subject.closure.nodes;
    let mut objects = table.objects().map(|object| {
        let path = absolute(object.path.to_bytes(), &subject.path);
        (path, Identity::from_raw(&object.raw.identity))
    });
    let ldso = (
        absolute(table.ldso().to_bytes(), &subject.path),
        Identity::from_raw(&table.header().ldso_identity),
    );
    let holds = |(path, then): &(PathBuf, Identity)| {
        let mut nodes = nodes.iter().map(|node| (&node.path, &node.library));
        let ldso = &subject.closure.ldso;
        let found = nodes.find(|node| node.0 == path);
        let found = found.or_else(|| (ldso.0 == *path).then_some((&ldso.0, &ldso.1)));
        found.is_some_and(|(_, now)| *then == Identity::None || now.identity == *then)
    };
    let wrong = objects.find(|object| !holds(object));
    let wrong = wrong.or_else(|| Some(ldso).filter(|ldso| !holds(ldso)));
    wrong.map(|(path, _)| Doubt {
        path: vec![Step::of_file(&path)],
        reason: "is not any more what the table was made for",
        remedy: "run its tests",
    })
}

/// A library that stands where one of the build should.
fn elsewhere(subject: &Subject, build: &Build) -> Option<Doubt> {
    let nodes = subject.closure.nodes.iter();
    let mut wrong = nodes.filter(|node| {
        let soname = node.library.soname.as_deref().unwrap_or_default();
        let real = std::fs::canonicalize(&node.path).ok();
        let meant = build.libraries.get(soname);
        meant.is_some_and(|meant| real.as_ref() != Some(meant))
    });
    wrong.next().map(|node| Doubt {
        path: vec![Step::of_file(&node.path)],
        reason: "is found first, by a run path, so that the build given is not what would be loaded",
        remedy: "give that library as OLD and its successor as NEW",
    })
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
