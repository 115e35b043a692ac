//! Writing and refreshing the tables of executables: plan, apply.
//!
//! `place` finds the executables, `plan` computes each table from files alone
//! (in parallel, nothing is written), `apply` replaces tables so that every one
//! is old or new at any moment. Nothing here prints; `cli` does.

mod apply;
pub mod bindings;
mod bound;
mod error;
mod folders;
mod glibc;
mod options;
mod plan;
mod plugins;
mod run;
mod tolerate;
mod why;

use std::path::{Path, PathBuf};

pub use apply::{Mode, apply};
pub use bound::BOUND_FROM;
pub use error::PlanError;
pub use options::{Kind, Options};
pub use plan::{Plan, Planner, State};
pub use plugins::Plugin;
pub use run::{Counts, Entry, Outcome, Report, run};
pub use why::Subject;
pub use why::{Offer, Want, Why, why};

use crate::resolve::Store;

/// Writes a table for a freshly linked executable, best effort: no sync, no
/// message, a direct plan. Returns whether a table was written or was there already.
///
/// `lib_dirs` are the link's own folders; those that cannot be searched later
/// (relative, missing, with a `:`) are left out. An executable that is not
/// indirect, or whose closure cannot be resolved yet, is `Ok(false)`.
///
/// # Errors
/// When the table's folder or file cannot be written.
pub fn first_table(exe: &Path, lib_dirs: &[PathBuf]) -> anyhow::Result<bool> {
    let usable = |folder: &&PathBuf| {
        folder.is_absolute() && folder.is_dir() && crate::table::check_folder(folder).is_ok()
    };
    let options = Options {
        lib_dirs: Some(lib_dirs.iter().filter(usable).cloned().collect()),
        // Bindings take longer than the link may.
        kind: Kind::Direct,
        ..Options::default()
    };
    let store = Store::default();
    let Ok(plan) = Planner::new(&store, &options).plan(exe) else {
        return Ok(false);
    };
    for (_, result) in apply(std::slice::from_ref(&plan), Mode::Fast) {
        result?;
    }
    Ok(true)
}
