//! What was found out, of executables or of processes.

use std::path::PathBuf;

use super::finding::Finding;

/// What was found out about one executable.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The executable, or a path that is none.
    pub path: PathBuf,
    /// The process that was looked at, if it was one.
    pub pid: Option<u32>,
    /// Its table, if it has a place for one.
    pub table: Option<PathBuf>,
    /// What is wrong; nothing if all is well.
    pub findings: Vec<Finding>,
}

/// What was found out.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// One for each executable, and for each path that is none.
    pub verified: Vec<Verified>,
    /// Files in table folders that no executable refers to, and what killed
    /// runs left behind. They do no harm.
    pub orphans: Vec<PathBuf>,
}
