//! `indir adopt`: make prebuilt executables indirect.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};

use crate::adopt::{self, Adopted, Target};
use crate::exit::{self, Refused};
use crate::update::{Kind, Options};

/// Make prebuilt executables indirect
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  indir adopt -o ./ffmpeg /usr/bin/ffmpeg
  indir adopt --in-place --lib-dir /opt/glibc/lib /srv/programs/bin/*

The program's own RPATH keeps being searched. A file that checks its own bytes
(a signature, a checksum) will notice the change.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 refused, because the
libraries do not satisfy at least one of the executables. What failed or was
refused stays as it was.")]
pub struct Args {
    /// Dynamically linked executables
    #[arg(required = true, value_name = "EXE")]
    exes: Vec<PathBuf>,
    /// Search this folder for libraries before all others
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    #[command(flatten)]
    plugins: super::update::Plugins,
    /// Write the result there: a file, or a folder that exists
    #[arg(short, long, value_name = "OUT", required_unless_present = "in_place")]
    output: Option<PathBuf>,
    /// Replace the executables; mode, owner, time and capabilities stay
    #[arg(long, conflicts_with = "output")]
    in_place: bool,
    /// The shim to refer to [default: that of the prefix of this executable]
    #[arg(long = "indir-shim", value_name = "PATH")]
    shim: Option<PathBuf>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the command line asks for what cannot be done; what happens to single
/// executables is printed and decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let shim = match &args.shim {
        Some(path) => std::path::absolute(path)
            .and_then(|path| std::fs::metadata(&path).map(|_| path))
            .with_context(|| format!("`--indir-shim {}`", path.display()))?,
        None => adopt::own_shim()?,
    };
    let to_folder = args.output.as_deref().is_some_and(Path::is_dir);
    if args.exes.len() > 1 && args.output.is_some() && !to_folder {
        bail!("`-o` with several executables must be a folder that exists");
    }
    let mut lib_dirs = Vec::with_capacity(args.lib_dirs.len());
    for folder in &args.lib_dirs {
        lib_dirs.push(super::update::absolute(folder)?);
    }
    let mut options = Options {
        kind: Kind::Auto,
        lib_dirs: (!lib_dirs.is_empty()).then_some(lib_dirs),
        ..Options::default()
    };
    args.plugins.apply(&mut options)?;
    let mut code = exit::DONE;
    for exe in &args.exes {
        let target = match &args.output {
            None => Target::InPlace,
            Some(folder) if to_folder => {
                Target::Copy(folder.join(exe.file_name().unwrap_or_default()))
            }
            Some(file) => Target::Copy(file.clone()),
        };
        match adopt::adopt_file(exe, &target, &shim, &options) {
            Ok(Adopted::Now) => {}
            Ok(Adopted::Already) => {
                anstream::eprintln!("`{}` is indirect already", exe.display());
            }
            Err(error) => {
                anstream::eprintln!("indir: `{}`: {error:#}", exe.display());
                let refused = error.chain().any(|cause| cause.is::<Refused>());
                code = code.max(if refused { exit::REFUSED } else { exit::FAILED });
            }
        }
    }
    Ok(ExitCode::from(code))
}
