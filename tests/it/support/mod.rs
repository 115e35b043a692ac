//! What the tests share: scratch folders, compilers, an installed prefix.
//!
//! Nothing here may skip: a tool or a file that a test needs and that is not
//! there panics with the Debian package, or the command, that brings it.

pub(crate) mod adopt;
pub(crate) mod link;
pub(crate) mod nix;
mod nix_daemon;
pub(crate) mod program;
pub(crate) mod sandbox;
pub(crate) mod subject;
pub(crate) mod traced;
pub(crate) mod users;

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// A folder of one test's own, on the file system of `target/`; gone when dropped.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    /// A new, empty folder.
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("it-")
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("a scratch folder under target/tmp");
        Self(dir)
    }

    /// The folder itself: absolute, without symlinks.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The path of `name` in the folder; nothing is created.
    pub(crate) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path().join(name)
    }

    /// Writes a file, with the folders it lies in, and returns its path.
    pub(crate) fn file(&self, name: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, contents).unwrap();
        path
    }

    /// Makes a folder, with the folders it lies in, and returns its path.
    pub(crate) fn dir(&self, name: impl AsRef<Path>) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

/// The `indir` that cargo built for this test run.
pub(crate) fn indir() -> Command {
    Command::new(env!("CARGO_BIN_EXE_indir"))
}

/// What `indir setup --prefix` lays out, made once a run, under `target/tmp`.
///
/// The path is the same in every run, and setup replaces files by rename, so
/// two test runs at a time do not disturb each other.
pub(crate) fn prefix() -> &'static Path {
    static PREFIX: OnceLock<PathBuf> = OnceLock::new();
    PREFIX.get_or_init(|| {
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("prefix");
        run(indir().arg("setup").arg("--prefix").arg(&dir)).success();
        dir
    })
}

/// The `-B…` that makes `cc`, `c++` and `clang` link through `indir-ld`.
pub(crate) fn b_flag() -> String {
    format!("-B{}/libexec/indir", prefix().display())
}

/// The program interpreter of every executable that [`b_flag`] links.
pub(crate) fn shim() -> PathBuf {
    prefix().join("lib/indir/ld-indir-x86-64.so.1")
}

/// Runs `cc` and panics with all it said if it fails.
pub(crate) fn cc<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) {
    need("cc", "gcc");
    run(Command::new("cc").args(args)).success();
}

/// Runs `c++` and panics with all it said if it fails.
pub(crate) fn cxx<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) {
    need("c++", "g++");
    run(Command::new("c++").args(args)).success();
}

/// The path of `tool`, searched on `PATH`; panics with the Debian `package` that has it.
pub(crate) fn need(tool: &str, package: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|dir| dir.join(tool))
        .find(|file| file.is_file())
        .unwrap_or_else(|| {
            panic!("`{tool}` is not on PATH: apt-get install {package} (`make test` does)")
        })
}

/// Takes away the LD_LIBRARY_PATH that cargo sets for tests, unless the command
/// has one of its own: it would make programs start in another way.
pub(crate) fn as_users_do(command: &mut Command) -> &mut Command {
    const NAME: &str = "LD_LIBRARY_PATH";
    if command.get_envs().all(|(name, _)| name != NAME) {
        command.env_remove(NAME);
    }
    command
}

/// Runs a command with empty stdin, capturing what it prints; panics if it cannot start.
pub(crate) fn run(command: &mut Command) -> Ran {
    as_users_do(command).stdin(Stdio::null());
    let mut output = command.output();
    // An executable that this process wrote is busy for as long as a child that
    // another test started meanwhile has not come to its exec.
    for _ in 0..500 {
        let Err(error) = &output else { break };
        if error.kind() != std::io::ErrorKind::ExecutableFileBusy {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        output = command.output();
    }
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran::of(command, output)
}

/// Like [`run`], with `input` on stdin (at most a pipe's 64 KiB).
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = as_users_do(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    // A child that does not read to the end is no failure of the test.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Ran::of(command, output)
}

/// What a command did, and the command line to name in a failure.
pub(crate) struct Ran {
    line: String,
    /// Exit status and everything printed.
    pub(crate) output: Output,
}

impl Ran {
    /// Of a command that ran already.
    pub(crate) fn of(command: &Command, output: Output) -> Self {
        Self {
            line: format!("{command:?}"),
            output,
        }
    }

    /// The exit code; `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.output.status.code()
    }

    /// All of stdout as text.
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.output.stdout).into_owned()
    }

    /// All of stderr as text.
    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.output.stderr).into_owned()
    }

    /// Panics unless the exit code is 0.
    #[track_caller]
    pub(crate) fn success(&self) -> &Self {
        self.exits(0)
    }

    /// Panics unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert!(self.code() == Some(code), "expected exit {code}: {self}");
        self
    }

    /// Panics unless stdout is exactly `text`.
    #[track_caller]
    pub(crate) fn prints(&self, text: &str) -> &Self {
        assert!(self.stdout() == text, "expected stdout {text:?}: {self}");
        self
    }

    /// Panics unless `text` is somewhere in stdout.
    #[track_caller]
    pub(crate) fn out_has(&self, text: &str) -> &Self {
        assert!(
            self.stdout().contains(text),
            "expected {text:?} in stdout: {self}"
        );
        self
    }

    /// Panics unless `text` is somewhere in stderr.
    #[track_caller]
    pub(crate) fn err_has(&self, text: &str) -> &Self {
        assert!(
            self.stderr().contains(text),
            "expected {text:?} in stderr: {self}"
        );
        self
    }

    /// Panics unless stderr is one line (the rule for messages to users).
    #[track_caller]
    pub(crate) fn err_is_one_line(&self) -> &Self {
        let stderr = self.stderr();
        assert!(
            stderr.ends_with('\n') && stderr.lines().count() == 1,
            "expected one line on stderr: {self}"
        );
        self
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n{}\n--- stdout\n{}\n--- stderr\n{}",
            self.line,
            self.output.status,
            self.stdout(),
            self.stderr()
        )
    }
}

/// Where the scripts under `tests/scripts` keep what they download.
pub(crate) fn cache() -> PathBuf {
    std::env::var_os("INDIR_CACHE").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("../cache"),
        PathBuf::from,
    )
}

/// A shared library of one of the two Debian builds, `old` and `new`, that
/// `tests/scripts/fetch-libs.sh` unpacks of `package`; without symlinks.
pub(crate) fn debian_lib(package: &str, build: &str, soname: &str) -> PathBuf {
    let root = cache().join("libs").join(package).join(build);
    ["usr/lib", "lib"]
        .iter()
        .find_map(|lib| {
            std::fs::canonicalize(root.join(lib).join("x86_64-linux-gnu").join(soname)).ok()
        })
        .unwrap_or_else(|| {
            panic!(
                "{soname} is not in {}: run tests/scripts/fetch-libs.sh (`make test` does)",
                root.display()
            )
        })
}

/// The root of an unpacked Debian glibc: `lib/x86_64-linux-gnu/libc.so.6` is below it.
///
/// `version` is a full Debian version, or one of the names that
/// `tests/scripts/fetch-glibc.sh` gives: `old` (bookworm's earlier build, 2.36),
/// `bookworm` (2.36), `trixie` (2.41), `sid` (2.43 or later).
pub(crate) fn glibc(version: &str) -> PathBuf {
    let root = cache().join("glibc").join(version);
    std::fs::canonicalize(&root).unwrap_or_else(|error| {
        panic!(
            "glibc {version} is not in {}: {error}; run tests/scripts/fetch-glibc.sh (`make test` does)",
            root.display()
        )
    })
}

/// The folder of [`glibc`] that holds libc.so.6 and the loader, without symlinks.
pub(crate) fn glibc_lib(version: &str) -> PathBuf {
    std::fs::canonicalize(glibc(version).join("lib/x86_64-linux-gnu")).unwrap()
}

/// The dynamic loader of the glibc in `lib`, a folder as [`glibc_lib`] returns it.
pub(crate) fn loader(lib: &Path) -> PathBuf {
    lib.join("ld-linux-x86-64.so.2")
}

/// The system's own multiarch library folder, without symlinks.
pub(crate) fn system_lib() -> PathBuf {
    std::fs::canonicalize("/lib/x86_64-linux-gnu").unwrap()
}
