//! `indir why`: who provides a symbol, and who wanted it.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use crate::exit;
use crate::update;

/// Say who provides a symbol, and who wanted it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  indir why ./hello printf@GLIBC_2.2.5

Exit codes: 0 somebody provides it; 1 nobody does.")]
pub struct Args {
    /// A dynamically linked executable
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Name of the symbol, with a version to see only that
    #[arg(value_name = "SYMBOL[@VERSION]")]
    symbol: String,
}

/// Runs the subcommand.
///
/// # Errors
/// When the closure of the executable cannot be found.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (name, version) = match args.symbol.split_once('@') {
        Some((name, version)) => (name, Some(version.trim_start_matches('@'))),
        None => (args.symbol.as_str(), None),
    };
    let context = || format!("`{}`", args.path.display());
    let why = update::why(&args.path, name, version).with_context(context)?;
    for want in &why.wants {
        let provider = match &want.provider {
            Some(provider) => provider.display().to_string(),
            None if want.weak => "nobody (weak: its address is 0)".to_owned(),
            None => "nobody".to_owned(),
        };
        anstream::println!(
            "{} wanted by {} => {provider}",
            want.symbol,
            want.file.display()
        );
    }
    for offer in &why.offers {
        anstream::println!("{} offered by {}", offer.symbol, offer.file.display());
    }
    if why.offers.is_empty() {
        anstream::eprintln!(
            "indir: nobody in the closure of `{}` provides `{}`",
            args.path.display(),
            args.symbol
        );
        return Ok(ExitCode::from(exit::FAILED));
    }
    Ok(ExitCode::from(exit::DONE))
}
