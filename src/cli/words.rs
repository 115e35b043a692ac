//! `indir words`: what a source names.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::standin::words::Words;

/// Write down every word of a source, for `indir stand-in`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: indir words curl-8.5.0 -o curl.words")]
pub struct Args {
    /// Folders: a source as it is compiled, after patches; programs that write code or ask
    /// for versions (their text and strings).
    #[arg(value_name = "DIR", required = true)]
    folders: Vec<PathBuf>,
    /// The file to write.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

/// Runs `indir words`.
///
/// # Errors
/// When a folder cannot be read or the file cannot be written.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let words = Words::read(&args.folders).context("cannot read the source")?;
    // From here on something would be left.
    crate::interrupt::watch();
    crate::stub::replace(&args.output, &words.to_text(), 0o644)
        .with_context(|| format!("cannot write `{}`", args.output.display()))?;
    Ok(ExitCode::from(crate::exit::DONE))
}
