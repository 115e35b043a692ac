//! What tests of several users share: a folder that everybody can reach, and
//! commands that somebody else runs.

use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Gid, Uid, chown};
use tempfile::TempDir;

use super::{Ran, b_flag, need, run};

/// The user `nobody`.
pub(crate) const NOBODY: u32 = 65_534;
/// Another one, that no passwd has to know.
pub(crate) const SOMEBODY: u32 = 54_321;

pub(crate) const TRIVIAL: &str = "int main(void) { return 0; }\n";

/// A folder that every user can reach.
pub(crate) struct Ground(TempDir);

impl Ground {
    /// A new one; the tests have to be root to become other users.
    pub(crate) fn new() -> Self {
        assert!(
            Uid::effective().is_root(),
            "this test has to be root to become another user"
        );
        let ground = tempfile::Builder::new()
            .prefix("indir-")
            .tempdir_in("/var/tmp")
            .unwrap();
        set_mode(ground.path(), 0o755);
        Self(ground)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// A folder in it that belongs to `uid`.
    pub(crate) fn dir(&self, name: &str, uid: u32, mode: u32) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir(&path).unwrap();
        give(&path, uid);
        set_mode(&path, mode);
        path
    }

    /// A file in it, whose content `text` nobody may change.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

pub(crate) fn mode_of(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

pub(crate) fn owner_of(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::symlink_metadata(path).unwrap().uid()
}

pub(crate) fn give(path: &Path, uid: u32) {
    chown(path, Some(Uid::from_raw(uid)), Some(Gid::from_raw(uid))).unwrap();
}

/// A command that user `uid` runs, without further groups.
pub(crate) fn command_as(uid: u32, program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(need("setpriv", "util-linux"));
    command.arg(format!("--reuid={uid}"));
    command.arg(format!("--regid={uid}")).arg("--clear-groups");
    // setpriv has its privileges until its exec; `env` has none.
    command.arg("env").arg(program);
    command.current_dir("/");
    command
}

/// Runs `exe` as user `uid`.
pub(crate) fn start_as(uid: u32, exe: &Path) -> Ran {
    run(&mut command_as(uid, exe))
}

/// The `indir` under test, run by `uid`.
pub(crate) fn indir_as(uid: u32) -> Command {
    command_as(uid, env!("CARGO_BIN_EXE_indir"))
}

/// Links `source` as user `uid` to the indirect executable `exe`.
pub(crate) fn link_as(uid: u32, source: &Path, exe: &Path, args: &[&str]) {
    need("cc", "gcc");
    let mut command = command_as(uid, "cc");
    command.env("TMPDIR", "/var/tmp");
    run(command
        .arg(b_flag())
        .args(args)
        .arg("-o")
        .arg(exe)
        .arg(source))
    .success();
}
