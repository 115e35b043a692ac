//! `indir update --reach`: what the tables that change mean to their programs.

use std::path::PathBuf;

use rayon::prelude::*;

use crate::cli::judged::{Report, warn};
use crate::reach::{Change, Judge, Options, ReachError, Shared, Tables};
use crate::update::{self, Outcome};

/// Judges every program whose table changes, or would.
pub(super) fn judge(report: &update::Report, shared: Shared) -> Report {
    let mut tables = Tables::default();
    let entries = report.entries.iter();
    let changed = entries.filter(|entry| matches!(entry.outcome, Outcome::Updated));
    let mut programs = Vec::new();
    for entry in changed {
        // Where bindings alone are written, no library is another one.
        let Some((old, new)) = &entry.tables else {
            continue;
        };
        programs.push((&entry.path, old.is_some()));
        if let Some(old) = old {
            tables.add(entry.path.clone(), old.clone(), new.clone());
        }
    }
    let judge = Judge::new(Change::Tables(tables), Options::default(), shared);
    let ask = |(program, has_earlier): &(&PathBuf, bool)| match has_earlier {
        _ if crate::interrupt::is_pending() => None,
        true => Some(judge.judge(program)),
        false => Some(Err(ReachError::NoTable)),
    };
    let results: Vec<_> = programs.par_iter().map(ask).collect();
    let mut report = Report::default();
    for ((program, _), result) in programs.into_iter().zip(results) {
        match result {
            Some(Err(ReachError::NoTable)) => report.add_first(program),
            other => report.add(program, other),
        }
    }
    warn(judge.shared());
    report
}
