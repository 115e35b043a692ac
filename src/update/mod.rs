//! Writing and refreshing the tables of executables: plan, apply.
//!
//! `place` finds the executables, `plan` computes each table from files alone
//! (in parallel, nothing is written), `apply` replaces tables so that every one
//! is old or new at any moment. Nothing here prints; `cli` does.

mod apply;
mod asked;
pub mod bindings;
mod bound;
mod change;
mod error;
mod folders;
mod glibc;
mod options;
mod plan;
mod plugins;
mod run;
mod subject;
mod tolerate;
mod undo;
mod why;

pub use apply::apply;
pub use bound::BOUND_FROM;
pub use change::Facts;
pub use error::PlanError;
pub use options::{Kind, Options};
pub use plan::{Plan, Planner, State};
pub use plugins::Plugin;
pub use run::{Counts, Entry, Idle, Outcome, Report, idle, run};
pub use subject::{Opening, Subject};
pub use undo::{Turned, TurnedBack, UndoReport, undo};
pub use why::{Offer, Want, Why, why};
