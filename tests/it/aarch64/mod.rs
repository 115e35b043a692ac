//! Programs and libraries of aarch64 on a host of another machine: resolved, adopted,
//! linked, described, and run by qemu's user mode. Real packages of Debian, of a root of
//! their own.

mod adopt;
mod contract;
mod link;
mod machine;
mod oracle;
mod programs;
mod protection;
mod remote;
mod stub;

use std::path::PathBuf;

use crate::support::cache;

/// What `indir setup` lays out for the machine, in `lib/indir`: the shim, the binder.
pub(crate) const ARTEFACTS: [&str; 2] = ["ld-indir-aarch64.so.1", "libindir-bind-aarch64.so"];

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
