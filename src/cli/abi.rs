//! `indir abi`: ABI text, comparison, floors.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;

use crate::abi::{self, Finder, Loaded};

/// Read, compare and intersect the ABIs of libraries.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the ABI of a library as text.
    #[command(
        after_help = "Example: indir abi dump /lib/x86_64-linux-gnu/libz.so.1 > libz.so.1.abi"
    )]
    Dump(Dump),
}

#[derive(Debug, clap::Args)]
struct Dump {
    /// Library, stub or ABI text.
    #[arg(value_name = "LIB")]
    file: PathBuf,
    /// Print only the SHA-256 of the text.
    #[arg(long)]
    digest: bool,
    #[command(flatten)]
    search: Search,
}

/// Where the libraries that a library needs are looked for.
#[derive(Debug, clap::Args)]
pub(super) struct Search {
    /// Folder with needed libraries, searched before the library's own folder
    /// and the system's.
    #[arg(long = "lib-dir", value_name = "DIR")]
    folders: Vec<PathBuf>,
}

impl Search {
    pub(super) fn finder(&self) -> Finder {
        Finder::new(self.folders.clone())
    }
}

/// Runs `indir abi`.
///
/// # Errors
/// When a file cannot be read as an ABI.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Dump(args) => dump(&args),
    }
}

/// The ABI in `path`, with a word on stderr about what it could not include.
pub(super) fn load(path: &Path, finder: &Finder) -> anyhow::Result<Loaded> {
    let loaded = abi::load(path, finder)?;
    for name in &loaded.missing {
        anstream::eprintln!(
            "warning: {}: needs `{}`, which is not found; symbols that neither provides are left \
             out (hint: --lib-dir)",
            path.display(),
            String::from_utf8_lossy(name)
        );
    }
    Ok(loaded)
}

fn dump(args: &Dump) -> anyhow::Result<ExitCode> {
    let loaded = load(&args.file, &args.search.finder())?;
    let text = if args.digest {
        format!("{}\n", loaded.digest())
    } else {
        loaded.abi.to_text()
    };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .context("cannot write to stdout")?;
    Ok(ExitCode::from(crate::exit::DONE))
}
