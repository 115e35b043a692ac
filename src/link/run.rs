//! Running the real linker, with any number of arguments.

use std::ffi::OsString;
use std::io::{Seek as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};

use anyhow::Context as _;

use super::response;

/// Arguments of more bytes than this go through a response file. Linux takes
/// 128 KiB in one argument and a quarter of the stack limit in all.
const MAX_DIRECT: usize = 96 << 10;

/// A nameless file that the linker opens as `/proc/self/fd/N`: nothing to clean
/// up, however the link ends, and the same name in every link.
pub(super) struct Nameless(std::fs::File);

impl Nameless {
    /// Makes one that holds `content`.
    ///
    /// # Errors
    /// When the system has no memory or no descriptor left.
    pub(super) fn new(content: &[u8]) -> anyhow::Result<Self> {
        let make = || -> std::io::Result<std::fs::File> {
            // Without MFD_CLOEXEC: the linker inherits it.
            let fd = nix::sys::memfd::memfd_create(c"indir", nix::sys::memfd::MFdFlags::empty())?;
            let mut file = std::fs::File::from(fd);
            file.write_all(content)?;
            Ok(file)
        };
        make().map(Self).context("failed to make a file in memory")
    }

    /// The path by which a child process opens it.
    pub(super) fn path(&self) -> OsString {
        format!("/proc/self/fd/{}", self.0.as_raw_fd()).into()
    }
}

/// Becomes the real linker, with the very arguments that we got; returns only
/// what prevented that.
pub(super) fn replace_as_is(linker: &Path, args: &[OsString]) -> anyhow::Error {
    failed(linker, Command::new(linker).args(args).exec())
}

/// Becomes the real linker; returns only what prevented that.
pub(super) fn replace(linker: &Path, args: &[OsString]) -> anyhow::Error {
    match command(linker, args) {
        Ok((mut command, _file)) => failed(linker, command.exec()),
        Err(error) => error,
    }
}

/// Runs the real linker and waits for it; if it is killed meanwhile, what it began
/// to write at `output` goes.
///
/// # Errors
/// When it cannot be started.
pub(super) fn wait(linker: &Path, args: &[OsString], output: &Path) -> anyhow::Result<ExitStatus> {
    let (mut command, _file) = command(linker, args)?;
    super::child::status(&mut command, output).map_err(|error| failed(linker, error))
}

/// Runs the real linker a second time, as [`wait`] does: what it says was said, unless
/// it fails now.
///
/// # Errors
/// When it cannot be started.
pub(super) fn again(linker: &Path, args: &[OsString], output: &Path) -> anyhow::Result<ExitStatus> {
    let (mut command, _file) = command(linker, args)?;
    let Nameless(mut said) = Nameless::new(b"")?;
    command.stdout(Stdio::null()).stderr(said.try_clone()?);
    let status = super::child::status(&mut command, output);
    let status = status.map_err(|error| failed(linker, error))?;
    if !status.success() {
        said.rewind()?;
        // Nothing is left to do if stderr is closed.
        let _ = std::io::copy(&mut said, &mut std::io::stderr());
    }
    Ok(status)
}

fn failed(linker: &Path, error: std::io::Error) -> anyhow::Error {
    anyhow::Error::new(error).context(format!("failed to run `{}`", linker.display()))
}

fn command(linker: &Path, args: &[OsString]) -> anyhow::Result<(Command, Option<Nameless>)> {
    let mut command = Command::new(linker);
    let size: usize = args.iter().map(|arg| arg.len() + 1).sum();
    let file = if size > MAX_DIRECT {
        let file = Nameless::new(&response::quote(args.iter().map(OsString::as_os_str)))?;
        let mut arg = OsString::from("@");
        arg.push(file.path());
        command.arg(arg);
        Some(file)
    } else {
        command.args(args);
        None
    };
    Ok((command, file))
}

/// Ends as the linker ended: with its exit code, or by the signal that killed it.
pub(super) fn pass_on(status: ExitStatus) -> ExitCode {
    if let Some(signal) = status.signal()
        && let Ok(signal) = nix::sys::signal::Signal::try_from(signal)
    {
        // A core file, if any, is the linker's.
        let core = nix::sys::resource::Resource::RLIMIT_CORE;
        let _ = nix::sys::resource::setrlimit(core, 0, 0);
        super::child::restore(signal);
        let _ = nix::sys::signal::raise(signal);
    }
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(crate::exit::FAILED))
}
