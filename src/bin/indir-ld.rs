//! `indir-ld`, the linker wrapper.

use std::process::ExitCode;

fn main() -> ExitCode {
    indir::cli::main(std::env::args_os().collect())
}
