//! `indir seal`: take out of finished files what names builds of libraries.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::exit;
use crate::seal::{self, Options, Outcome};

/// Blank in place what names a library build
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, when a package is installed:
  indir seal --libraries /srv/programs
  indir seal --check --libraries /srv/programs

Of executables the run path and the interpreter that the link asked for, which a
sealed one needs no more: without a table it does not start. Of libraries the run
path. Folders of the package itself (below PATH) stay in the run path, relative
to $ORIGIN where there is room, so that its private libraries are found.
Build-ids, and so tables, stay. A second time there is nothing to do.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 with --check: a file
still names something.")]
pub struct Args {
    /// Files, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Shared libraries too
    #[arg(long)]
    libraries: bool,
    /// A further folder of the same package (another output, say): run paths into it
    /// stay, absolute
    #[arg(long, value_name = "DIR")]
    own: Vec<PathBuf>,
    /// Change nothing; print what still names a path, one a line
    #[arg(long, conflicts_with = "places")]
    check: bool,
    /// A further place where a table is looked for, such as /srv/tables/$ID: an
    /// absolute path in which `$ID` stands for the id of the executable
    #[arg(long = "indir-table", value_name = "REF")]
    places: Vec<OsString>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the command line asks for what cannot be done; what happens to single files is
/// printed and decides the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    crate::interrupt::watch();
    let options = Options {
        libraries: args.libraries,
        places: super::adopt::places(&args.places)?,
        own: args.own.clone(),
    };
    let (mut sealed, mut already, mut failed, mut names) = (0, 0, 0, 0);
    for (path, outcome) in seal::run(&args.paths, &options, args.check) {
        match outcome {
            Outcome::Sealed => sealed += 1,
            Outcome::Already => already += 1,
            Outcome::Names(all) => {
                for name in &all {
                    crate::say::out!("{}: {name}", path.display());
                }
                names += all.len();
            }
            Outcome::Failed(error) => {
                crate::say::err!(
                    "indir: `{}`: {}",
                    path.display(),
                    crate::say::reason(&error)
                );
                failed += 1;
            }
        }
    }
    if !args.check {
        if crate::interrupt::is_pending() {
            crate::say::err!("indir: interrupted: what is not counted as sealed stays as it was");
        }
        crate::say::err!("sealed {sealed}, sealed already {already}, failed {failed}");
    }
    Ok(ExitCode::from(match () {
        () if failed > 0 => exit::FAILED,
        () if names > 0 => exit::REFUSED,
        () => exit::DONE,
    }))
}
