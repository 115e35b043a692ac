//! Programs and libraries of aarch64 on a host of another machine: resolved, adopted,
//! linked, described. Real packages of Debian, of a root of their own.

mod adopt;
mod link;
mod oracle;
mod remote;
mod stub;

use std::path::PathBuf;

use crate::support::cache;

/// A root of arm64 packages: `root`, or `large`.
pub(crate) fn root(name: &str) -> PathBuf {
    let folder = cache().join("arm64").join(name);
    assert!(
        folder.join("usr").is_dir(),
        "no `{}`: run tests/scripts/fetch-arm64.sh {name} (`make test` does)",
        folder.display()
    );
    std::fs::canonicalize(folder).unwrap()
}
