//! One run of `indir update`: everything but the command line and printing.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::apply;
use super::asked::deeper;
use super::error::PlanError;
use super::options::Options;
use super::plan::{Plan, Planner, State};
use super::plugins::Plugin;
use crate::interrupt;
use crate::place::{WriteError, collect};
use crate::resolve::Store;
use crate::resolve::unmet::Unmet;
use crate::table::{Replacement, TableFile};

/// What became of one path.
#[derive(Debug)]
pub enum Outcome {
    /// Its table was written, or would be in a dry run.
    Updated,
    /// Its table was as it should be.
    Current,
    /// The libraries do not satisfy it, or its table must not be written; it stays.
    Refused(String),
    /// Something else went wrong; its table stays.
    Failed(String),
    /// A signal came before its table was written; it stays.
    Left,
}

/// Path, table and outcome of one executable.
#[derive(Debug)]
pub struct Entry {
    /// The executable, or a path that is none.
    pub path: PathBuf,
    /// Its table, if it has a place for one.
    pub table: Option<PathBuf>,
    /// Number of libraries in its closure, if it is known.
    pub libraries: Option<usize>,
    /// Functions that nobody provides, which it may never call, and copies that
    /// were too small before.
    pub missing: Vec<Unmet>,
    /// What else does not fit together, and did not before.
    pub warnings: Vec<String>,
    /// The plugins that were looked at; `None` if there is no folder of any.
    pub plugins: Option<Vec<Plugin>>,
    /// What its table changes, if that can be told.
    pub change: Option<String>,
    /// The table that is replaced, if there is one, and the one in its place, where
    /// that is another one.
    pub tables: Option<(Option<TableFile>, TableFile)>,
    /// What the libraries lack, where that is why it was refused.
    pub unmet: Vec<Unmet>,
    /// What became of it.
    pub outcome: Outcome,
}

impl Entry {
    fn new(path: PathBuf, outcome: Outcome) -> Self {
        Self {
            path,
            table: None,
            libraries: None,
            missing: Vec::new(),
            warnings: Vec::new(),
            plugins: None,
            change: None,
            tables: None,
            unmet: Vec::new(),
            outcome,
        }
    }
}

/// What a run did, in the order of its paths.
#[derive(Debug, Default)]
pub struct Report {
    /// One entry for each executable and each path that failed.
    pub entries: Vec<Entry>,
    /// Replacements that no table knew.
    pub unknown: Vec<Replacement>,
    /// Whether there were replacements, and this is all of them.
    pub all_unknown: bool,
    /// Folders that were given and provide nothing to any executable.
    pub idle: Vec<Idle>,
}

/// A folder that was given and provides nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The folder.
    pub folder: PathBuf,
    /// One below it that holds libraries, where it holds none itself.
    pub meant: Option<PathBuf>,
}

/// How many executables ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tables written.
    pub updated: usize,
    /// Tables that were as they should be.
    pub current: usize,
    /// Executables that the libraries do not satisfy, or whose table is, or would
    /// be, somebody else's.
    pub refused: usize,
    /// Other failures.
    pub failed: usize,
    /// Not done, because a signal came.
    pub left: usize,
}

impl Report {
    /// Sums up.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in &self.entries {
            *match entry.outcome {
                Outcome::Updated => &mut counts.updated,
                Outcome::Current => &mut counts.current,
                Outcome::Refused(_) => &mut counts.refused,
                Outcome::Failed(_) => &mut counts.failed,
                Outcome::Left => &mut counts.left,
            } += 1;
        }
        counts
    }
}

/// Updates the tables of everything that `paths` mean. `progress` is told how
/// many of how many executables are planned, from any thread.
pub fn run(
    paths: &[PathBuf],
    options: &Options,
    dry_run: bool,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Report {
    let collected = collect(paths);
    let store = Store::in_root(options.root.clone());
    let planner = Planner::new(&store, options);
    let total = collected.executables.len();
    let done = AtomicUsize::new(0);
    progress(0, total);
    let planned: Vec<Result<Plan, PlanError>> = collected
        .executables
        .par_iter()
        .map(|exe| {
            let plan = match interrupt::check() {
                Ok(()) => planner.plan(exe),
                Err(interrupted) => Err(interrupted.into()),
            };
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            plan
        })
        .collect();

    let planned = without_changed(planned);

    let mut report = Report::default();
    for (path, why) in collected.failures {
        report.entries.push(Entry::new(path, Outcome::Failed(why)));
    }
    let mut plans = Vec::with_capacity(planned.len());
    // Where the entry of each plan is.
    let mut entry_of = Vec::with_capacity(planned.len());
    for (exe, planned) in collected.executables.into_iter().zip(planned) {
        let mut entry = Entry::new(exe, Outcome::Current);
        match planned {
            Ok(plan) => {
                entry.table = Some(plan.place.path.clone());
                entry.libraries = Some(plan.libraries.len());
                entry.missing.clone_from(&plan.tolerated);
                entry.warnings.clone_from(&plan.warnings);
                entry.plugins.clone_from(&plan.plugins);
                entry.change = plan.change();
                if plan.state != State::Current {
                    entry.outcome = Outcome::Updated;
                    let new = TableFile::new(plan.bytes.clone()).ok();
                    // Else its bindings alone are written again.
                    let is_another = plan.previous.is_some() || plan.before.is_none();
                    let new = new.filter(|_| is_another);
                    entry.tables = new.map(|new| (plan.previous.clone(), new));
                }
                entry_of.push(report.entries.len());
                plans.push(plan);
            }
            Err(error) if error.is_refusal() => {
                entry.unmet.extend_from_slice(error.unmet());
                entry.outcome = Outcome::Refused(error.to_string());
            }
            Err(PlanError::Interrupted(_)) => entry.outcome = Outcome::Left,
            Err(error) => entry.outcome = Outcome::Failed(error.to_string()),
        }
        report.entries.push(entry);
    }
    if !entry_of.is_empty()
        || report
            .entries
            .iter()
            .any(|entry| is_refused(&entry.outcome))
    {
        report.unknown = planner.unknown();
        report.all_unknown =
            !report.unknown.is_empty() && report.unknown.len() == options.replacements.len();
    }
    if !plans.is_empty() {
        let folders: Vec<&PathBuf> = plans.iter().flat_map(|plan| &plan.folders).collect();
        report.idle = idle(options, &folders);
    }
    settle_shared(&mut plans, &entry_of, &mut report);
    if dry_run {
        return report;
    }
    apply::clean_current(&plans);
    for (index, result) in apply::apply(&plans) {
        let entry = entry_of
            .get(index)
            .and_then(|&at| report.entries.get_mut(at));
        let (Some(entry), Err(error)) = (entry, result) else {
            continue;
        };
        let table = entry.table.as_deref().unwrap_or(Path::new(""));
        entry.outcome = match error {
            WriteError::Refused(why) => {
                Outcome::Refused(format!("its table is not written: {why}"))
            }
            WriteError::Interrupted(_) => Outcome::Left,
            WriteError::Io(error) => Outcome::Failed(format!(
                "failed to write its table `{}`: {error}",
                table.display()
            )),
        };
    }
    report
}

fn is_refused(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused(_))
}

/// The folders of `--lib-dir` that none of the folders in `taken`, from which libraries
/// come, is in.
pub fn idle(options: &Options, taken: &[&PathBuf]) -> Vec<Idle> {
    let given = options.lib_dirs.iter().flatten();
    let used = |folder: &&PathBuf| taken.iter().any(|used| used.starts_with(folder));
    let idle = given.filter(|folder| !used(folder));
    idle.map(|folder| Idle {
        folder: folder.clone(),
        meant: deeper(&options.root, folder),
    })
    .collect()
}

/// Executables with one id share a table. That is right where they need the same, as
/// copies do; else neither gets one.
fn settle_shared(plans: &mut [Plan], entry_of: &[usize], report: &mut Report) {
    let mut users: HashMap<PathBuf, Vec<usize>> = HashMap::new();
    for (index, plan) in plans.iter().enumerate() {
        users
            .entry(plan.place.path.clone())
            .or_default()
            .push(index);
    }
    for shared in users.into_values().filter(|users| users.len() > 1) {
        let bytes = |index: &usize| plans.get(*index).map(|plan| &plan.bytes);
        let first = shared.first().and_then(bytes);
        let differs = shared.iter().any(|index| bytes(index) != first);
        let names: Vec<PathBuf> = shared
            .iter()
            .filter_map(|&index| plans.get(index))
            .map(|plan| plan.exe.clone())
            .collect();
        for (nth, &index) in shared.iter().enumerate() {
            let other = names.get(usize::from(nth == 0));
            let entry = entry_of
                .get(index)
                .and_then(|&at| report.entries.get_mut(at));
            if let (true, Some(entry), Some(other)) = (differs, entry, other) {
                entry.outcome = Outcome::Failed(format!(
                    "it has the same id as `{}`, which needs another table (link one of them again with `-Wl,--build-id=sha1`, or give them folders of tables of their own)",
                    other.display()
                ));
            }
            if let Some(plan) = plans.get_mut(index).filter(|_| differs || nth > 0) {
                // The first one's table serves all.
                plan.state = State::Current;
            }
        }
    }
}

/// A library that was written while it was read fails those who need it.
fn without_changed(planned: Vec<Result<Plan, PlanError>>) -> Vec<Result<Plan, PlanError>> {
    let mut seen = HashSet::new();
    let libraries = planned.iter().flatten().flat_map(|plan| &plan.libraries);
    let libraries: Vec<_> = libraries
        .filter(|library| seen.insert(library.file_id))
        .collect();
    let changed = libraries
        .into_par_iter()
        .filter(|library| !library.map().is_unchanged());
    let changed: HashSet<_> = changed.map(|library| library.file_id).collect();
    if changed.is_empty() {
        return planned;
    }
    let check = |plan: Plan| {
        let mut libraries = plan.libraries.iter();
        match libraries.find(|library| changed.contains(&library.file_id)) {
            Some(library) => Err(PlanError::Changed(library.map().path().to_owned())),
            None => Ok(plan),
        }
    };
    planned
        .into_iter()
        .map(|plan| plan.and_then(check))
        .collect()
}
