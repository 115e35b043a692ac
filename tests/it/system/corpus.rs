//! The programs of the system that `whole` adopts, and what is known of them.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use indir::elf::MappedElf;

pub(super) const FOLDERS: [&str; 3] = ["/usr/bin", "/usr/sbin", "/usr/libexec"];
const SAMPLE: usize = 300;

/// Never run: they act on the machine, or on what is outside of the sandbox.
const DENIED: [&str; 16] = [
    "fsfreeze",
    "halt",
    "init",
    "kexec",
    "poweroff",
    "reboot",
    "runlevel",
    "shutdown",
    "telinit",
    "blkdiscard",
    "mkswap",
    "wipefs",
    "swapon",
    "swapoff",
    "hwclock",
    "losetup",
];
const DENIED_PREFIXES: [&str; 4] = ["mkfs", "mke2fs", "fsck", "systemd"];

/// Programs that cannot be compared, and why.
pub(super) const UNLIKE: [(&str, &str); 9] = [
    ("fpcmkcfg", "prints the time"),
    ("jshell", "prints the time"),
    (
        "groff",
        "prints what its children say in the order in which they end",
    ),
    (
        "jexec",
        "starts the `java` beside it, which finds its libraries only where it is",
    ),
    (
        "lsof",
        "lists the files that it has mapped itself, with inodes",
    ),
    ("nginx", "prints the time"),
    (
        "pk-offline-update",
        "sleeps for ten seconds, after which a program is killed",
    ),
    ("ssh-agent", "makes up the name of its socket"),
    ("valgrind-di-server", "prints the time"),
];

/// Programs whose output tells which libraries they run on.
pub(super) const TELLS_LIBRARIES: [(&str, &str); 2] = [
    ("curl", "the version of OpenSSL"),
    ("osslsigncode", "the version of OpenSSL"),
];

pub(super) fn full() -> bool {
    std::env::var_os("INDIR_FULL").is_some()
}

/// Every dynamically linked executable, each file once, by sorted path.
pub(super) fn corpus() -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for folder in FOLDERS {
        let walk = walkdir::WalkDir::new(folder).follow_links(true);
        for entry in walk.sort_by_file_name().into_iter().flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if !metadata.is_file() || metadata.permissions().mode() & 0o111 == 0 {
                continue;
            }
            let dynamic = MappedElf::open(path).is_ok_and(|map| {
                map.elf()
                    .is_ok_and(|elf| elf.interpreter() == Some(b"/lib64/ld-linux-x86-64.so.2"))
            });
            if dynamic && seen.insert((metadata.dev(), metadata.ino())) {
                found.push(path.to_owned());
            }
        }
    }
    found
}

pub(super) fn sample(all: Vec<PathBuf>) -> Vec<PathBuf> {
    if full() || all.len() <= SAMPLE {
        return all;
    }
    let count = all.len();
    let chosen = (0..SAMPLE).map(|n| n * count / SAMPLE);
    chosen.filter_map(|n| all.get(n).cloned()).collect()
}

pub(super) fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap()
}

pub(super) fn is_denied(path: &Path) -> bool {
    let name = name(path);
    DENIED.contains(&name)
        || DENIED_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}
