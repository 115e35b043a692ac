//! What became of each program of `indir adopt`.

use std::path::PathBuf;

/// What became of one program.
#[derive(Debug)]
pub(super) enum State {
    /// It is indirect now, or would be.
    Adopted {
        /// Its program headers had to move.
        headers_moved: bool,
    },
    /// It was indirect; its table was updated.
    Already,
    /// The libraries do not satisfy it, or it must not be written.
    Refused(String),
    /// Something else went wrong.
    Failed(String),
    /// A signal came before it was begun.
    Left,
}

/// One program that was asked for.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// Where the result is, if it is not the program itself.
    pub(super) output: Option<PathBuf>,
    /// Its table.
    pub(super) table: Option<PathBuf>,
    /// What the table changes.
    pub(super) change: Option<String>,
    /// The folders that its libraries are in.
    pub(super) folders: Vec<PathBuf>,
    pub(super) state: State,
}
