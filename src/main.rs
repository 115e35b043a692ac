//! `indir`; called as `ld` or `indir-ld` it is the linker wrapper.

use std::process::ExitCode;

fn main() -> ExitCode {
    indir::cli::main(std::env::args_os().collect())
}
