//! Exit codes, documented constants that users and checks rely on.

use std::fmt;
use std::process::ExitCode;

/// Everything asked for is done.
pub const DONE: u8 = 0;
/// Something failed; stderr says what.
pub const FAILED: u8 = 1;
/// The command line was wrong.
pub const USAGE: u8 = 2;
/// Refused: the libraries do not satisfy the binaries.
pub const REFUSED: u8 = 3;
/// The shim's: the program cannot start.
pub const CANNOT_START: u8 = 127;

/// An error that ends with [`REFUSED`] instead of [`FAILED`].
#[derive(Debug)]
pub struct Refused(pub String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

/// An error of the command line, that ends with [`USAGE`].
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// The exit code that `error` ends with.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let has = |is: fn(&&(dyn std::error::Error + 'static)) -> bool| error.chain().any(|c| is(&c));
    ExitCode::from(if has(|cause| cause.is::<Refused>()) {
        REFUSED
    } else if has(|cause| cause.is::<Usage>()) {
        USAGE
    } else {
        FAILED
    })
}
