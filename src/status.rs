//! A system at a glance: which executables are indirect, on which glibc, by which plan,
//! and of how many something is wrong.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::elf::{MappedElf, Root};
use crate::place::Place;
use crate::resolve::Library;
use crate::resolve::files::glibc_build;
use crate::table::{TableFile, absolute};
use crate::update::Facts;
use crate::verify::{Finding, Kind, verify};

/// The programs of one glibc.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OnGlibc {
    /// What its ld.so says of its build, if it says anything.
    pub build: Option<String>,
    /// Programs with a direct plan.
    pub direct: usize,
    /// Programs with a bound plan.
    pub bound: usize,
}

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Indirect programs with a table, by path of ld.so.
    pub glibcs: BTreeMap<PathBuf, OnGlibc>,
    /// Without a table, started through the interpreter that they record.
    pub ordinary: Vec<PathBuf>,
    /// Without a table, and sealed: they do not start.
    pub sealed: Vec<PathBuf>,
    /// Of which `indir verify` has something to say.
    pub wrong: Vec<PathBuf>,
    /// Paths that are no indirect program, or cannot be looked at.
    pub failed: Vec<PathBuf>,
}

impl Status {
    /// All indirect programs.
    pub fn programs(&self) -> usize {
        let with = self.glibcs.values().map(|on| on.direct + on.bound);
        with.sum::<usize>() + self.ordinary.len() + self.sealed.len()
    }
}

enum Program {
    With(PathBuf, &'static str),
    Ordinary,
    Sealed,
    Unreadable,
}

/// Looks at everything that `paths` mean; `progress` as for [`verify`].
pub fn status(paths: &[PathBuf], progress: &(dyn Fn(usize, usize) + Sync)) -> Status {
    let mut status = Status::default();
    let mut builds: HashMap<PathBuf, Option<String>> = HashMap::new();
    for one in verify(paths, &Root::default(), false, progress).verified {
        match look(&one.path) {
            Some(Program::With(ldso, plan)) => {
                let build = builds.entry(ldso.clone()).or_insert_with(|| {
                    let library = Library::open(&ldso).ok()?;
                    glibc_build(&library)
                });
                let on = status.glibcs.entry(ldso).or_default();
                on.build.clone_from(build);
                *match plan {
                    "bound" => &mut on.bound,
                    _ => &mut on.direct,
                } += 1;
            }
            Some(Program::Ordinary) => status.ordinary.push(one.path.clone()),
            Some(Program::Sealed) => status.sealed.push(one.path.clone()),
            Some(Program::Unreadable) => {}
            None => {
                status.failed.push(one.path);
                continue;
            }
        }
        // That a table is missing has been counted.
        let is_more = |finding: &Finding| {
            finding.kind != Kind::Missing || Some(&finding.file) != one.table.as_ref()
        };
        if one.findings.iter().any(is_more) {
            status.wrong.push(one.path);
        }
    }
    status
}

/// What the executable at `exe` is; `None` if it is not indirect.
fn look(exe: &Path) -> Option<Program> {
    let map = MappedElf::open(exe).ok()?;
    let elf = map.elf().ok()?;
    let notes = elf.notes();
    notes.reference?;
    let Some(place) = Place::find(&Root::default(), exe, &notes).ok()? else {
        return Some(match notes.interpreter {
            Some(_) => Program::Ordinary,
            None => Program::Sealed,
        });
    };
    let file = TableFile::load_for(&place.path, map.metadata().uid());
    let Ok(Some(file)) = file else {
        return Some(Program::Unreadable);
    };
    let table = file.table().ok()?;
    let ldso = absolute(table.ldso().to_bytes(), exe);
    Some(Program::With(ldso, Facts::of(&table, exe).plan))
}
