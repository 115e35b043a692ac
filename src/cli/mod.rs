//! The command line: one file a subcommand, each with `Args` and `run`.
//!
//! Data goes to stdout, everything else to stderr.

pub mod setup;
pub mod show;
pub mod update;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Indirect linking for Nix-like stores.
#[derive(Debug, Parser)]
#[command(name = "indir", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Args),
    Update(update::Args),
    Show(show::Args),
}

/// Runs `indir` (or, by the name in `argv[0]`, the linker wrapper).
pub fn main(argv: Vec<OsString>) -> ExitCode {
    if argv
        .first()
        .is_some_and(|argv0| crate::link::is_wrapper(argv0))
    {
        return crate::link::main(&argv);
    }
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            anstream::eprintln!("indir: {error:#}");
            crate::exit::code_of(&error)
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup(args) => setup::run(args),
        Command::Update(args) => update::run(args),
        Command::Show(args) => show::run(args),
    }
}
