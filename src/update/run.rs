//! One run of `indir update`: everything but the command line and printing.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::apply::{self, Mode};
use super::error::PlanError;
use super::options::Options;
use super::plan::{Plan, Planner, State};
use super::plugins::Plugin;
use crate::place::collect;
use crate::resolve::Store;
use crate::resolve::unmet::Unmet;

/// What became of one path.
#[derive(Debug)]
pub enum Outcome {
    /// Its table was written, or would be in a dry run.
    Updated,
    /// Its table was as it should be.
    Current,
    /// The libraries do not satisfy it; its table stays.
    Refused(String),
    /// Something else went wrong; its table stays.
    Failed(String),
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
    /// What became of it.
    pub outcome: Outcome,
}

/// What a run did, in the order of its paths.
#[derive(Debug, Default)]
pub struct Report {
    /// One entry for each executable and each path that failed.
    pub entries: Vec<Entry>,
}

/// How many executables ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tables written.
    pub updated: usize,
    /// Tables that were as they should be.
    pub current: usize,
    /// Executables that the libraries do not satisfy.
    pub refused: usize,
    /// Other failures.
    pub failed: usize,
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
    let store = Store::default();
    let planner = Planner::new(&store, options);
    let total = collected.executables.len();
    let done = AtomicUsize::new(0);
    progress(0, total);
    let planned: Vec<Result<Plan, PlanError>> = collected
        .executables
        .par_iter()
        .map(|exe| {
            let plan = planner.plan(exe);
            progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
            plan
        })
        .collect();

    let mut report = Report::default();
    for (path, why) in collected.failures {
        report.entries.push(Entry {
            path,
            table: None,
            libraries: None,
            missing: Vec::new(),
            warnings: Vec::new(),
            plugins: None,
            outcome: Outcome::Failed(why),
        });
    }
    let mut plans = Vec::with_capacity(planned.len());
    // Where the entry of each plan is.
    let mut entry_of = Vec::with_capacity(planned.len());
    for (exe, planned) in collected.executables.into_iter().zip(planned) {
        let mut entry = Entry {
            path: exe,
            table: None,
            libraries: None,
            missing: Vec::new(),
            warnings: Vec::new(),
            plugins: None,
            outcome: Outcome::Current,
        };
        match planned {
            Ok(plan) => {
                entry.table = Some(plan.place.path.clone());
                entry.libraries = Some(plan.libraries);
                entry.missing.clone_from(&plan.tolerated);
                entry.warnings.clone_from(&plan.warnings);
                entry.plugins.clone_from(&plan.plugins);
                if plan.state != State::Current {
                    entry.outcome = Outcome::Updated;
                }
                entry_of.push(report.entries.len());
                plans.push(plan);
            }
            Err(error) if error.is_refusal() => entry.outcome = Outcome::Refused(error.to_string()),
            Err(error) => entry.outcome = Outcome::Failed(error.to_string()),
        }
        report.entries.push(entry);
    }
    if dry_run {
        return report;
    }
    apply::clean(&plans, &collected.leftovers);
    for (index, result) in apply::apply(&plans, Mode::Durable) {
        let entry = entry_of
            .get(index)
            .and_then(|&at| report.entries.get_mut(at));
        if let (Some(entry), Err(error)) = (entry, result) {
            let table = entry.table.as_deref().unwrap_or(Path::new(""));
            entry.outcome = Outcome::Failed(write_failure(table, &error));
        }
    }
    report
}

fn write_failure(table: &Path, error: &std::io::Error) -> String {
    format!("failed to write its table `{}`: {error}", table.display())
}
