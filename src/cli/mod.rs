//! The command line: one file a subcommand, each with `Args` and `run`.
//!
//! Data goes to stdout, everything else to stderr.

pub mod abi;
pub mod adopt;
pub mod bench;
pub mod diff;
pub mod files;
pub mod generate;
mod given;
mod judged;
mod pages;
pub mod reach;
pub mod restore;
pub mod seal;
pub mod setup;
pub mod show;
pub mod stand_in;
pub mod status;
pub mod stub;
pub mod update;
pub mod verify;
pub mod why;
pub mod words;

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

/// Indirect linking for Nix-like stores.
#[derive(Debug, Parser)]
#[command(
    name = "indir",
    version,
    about,
    max_term_width = 100,
    after_help = "Example:\n  \
        indir setup --prefix /opt/indir\n  \
        ./configure CC='cc -B/opt/indir/libexec/indir' && make\n  \
        indir update . --lib-dir /opt/glibc/lib\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage, 3 refused because the libraries\n\
        do not satisfy the binaries, 127 (a program) cannot start.\n\n\
        Environment: INDIR_TABLES, INDIR_DEBUG, INDIR_DISABLE_BINDINGS (starts), INDIR_LD,\n\
        INDIR_SAVE_LINK (links), NO_COLOR; `indir generate man 7` says what each does."
)]
pub struct Cli {
    /// Colour states: on a terminal unless NO_COLOR is set (auto), always, never
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value = "auto",
        hide_default_value = true,
        hide_possible_values = true
    )]
    color: crate::say::Color,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Setup(setup::Args),
    Update(update::Args),
    Adopt(adopt::Args),
    Bench(bench::Args),
    Seal(seal::Args),
    Show(show::Args),
    Diff(diff::Args),
    Status(status::Args),
    Verify(verify::Args),
    Why(why::Args),
    Reach(reach::Args),
    Files(files::Args),
    Restore(restore::Args),
    Generate(generate::Args),
    Abi(abi::Args),
    Stub(stub::Args),
    Words(words::Args),
    StandIn(stand_in::Args),
}

/// Runs `indir` (or, by the name in `argv[0]`, the linker wrapper).
pub fn main(argv: Vec<OsString>) -> ExitCode {
    if argv
        .first()
        .is_some_and(|argv0| crate::link::is_wrapper(argv0))
    {
        if argv.iter().skip(1).any(|arg| arg == "--indir-help") {
            crate::say::data(pages::linker_help().as_bytes());
            return finished(ExitCode::SUCCESS);
        }
        return crate::link::main(&argv);
    }
    let cli = match Cli::try_parse_from(argv) {
        Ok(cli) => cli,
        // Help that cannot be written is a failure as any other data is. On a terminal clap
        // knows about colours.
        Err(error) if !error.use_stderr() && !std::io::stdout().is_terminal() => {
            crate::say::data(error.render().to_string().as_bytes());
            return finished(ExitCode::SUCCESS);
        }
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => return wrong_usage(&error),
    };
    crate::say::color(cli.color);
    let code = match run(cli.command) {
        Ok(code) => code,
        Err(error) => {
            crate::say::err!("indir: {}", crate::say::reason(&error));
            crate::exit::code_of(&error)
        }
    };
    crate::interrupt::end();
    let cut_short = crate::elf::take_cut_short();
    for path in &cut_short {
        crate::say::err!("indir: `{}`: {}", path.display(), crate::place::CHANGED);
    }
    match cut_short.is_empty() {
        true => finished(code),
        false => finished(ExitCode::from(crate::exit::FAILED)),
    }
}

/// Says what is wrong with the command line, under the name that all errors have.
fn wrong_usage(error: &clap::Error) -> ExitCode {
    let text = error.render().to_string();
    match text.trim_end().strip_prefix("error: ") {
        Some(text) => crate::say::err!("indir: {text}"),
        // The help, where nothing was asked for.
        None => crate::say::err!("{}", text.trim_end()),
    }
    ExitCode::from(crate::exit::USAGE)
}

/// `code`, unless data could not be written.
fn finished(code: ExitCode) -> ExitCode {
    match crate::say::is_complete() {
        true => code,
        false => ExitCode::from(crate::exit::FAILED),
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Setup(args) => setup::run(args, &Cli::command()),
        Command::Update(args) => update::run(args),
        Command::Adopt(args) => adopt::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Seal(args) => seal::run(&args),
        Command::Show(args) => show::run(args),
        Command::Diff(args) => diff::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Verify(args) => verify::run(args),
        Command::Why(args) => why::run(args),
        Command::Reach(args) => reach::run(&args),
        Command::Files(args) => files::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Generate(args) => generate::run(args, Cli::command()),
        Command::Abi(args) => abi::run(args),
        Command::Stub(args) => stub::run(args),
        Command::Words(args) => words::run(&args),
        Command::StandIn(args) => stand_in::run(args),
    }
}
