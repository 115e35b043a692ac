//! Why a question cannot be answered.

use std::path::PathBuf;

use crate::update::PlanError;

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// What was given as a build is none.
    #[error("`{}`: {}", .0.display(), .1)]
    Build(PathBuf, String),
    /// The closure of a program with one of the builds cannot be found.
    #[error("with its {0} libraries: {1}")]
    Closure(&'static str, #[source] PlanError),
    /// A folder of plugins cannot be read.
    #[error("`--plugin-dir {}`: {}", .0.display(), .1)]
    Plugins(PathBuf, String),
    /// A program without an earlier table.
    #[error("it has no earlier table")]
    NoTable,
    /// Nobody in the closure has the symbol.
    #[error("nobody in its closure provides `{0}`")]
    NoSymbol(String),
}
