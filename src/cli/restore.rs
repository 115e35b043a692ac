//! `indir restore`: programs without indir again.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use crate::adopt::{Restored, restore_file};
use crate::say::Mood;
use crate::{exit, place};

/// Make programs independent of indir again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, before indir is removed:
  indir restore --dry-run /usr /srv/programs
  indir restore /usr /srv/programs

Programs that were adopted get the bytes back that they had. What was linked by
`indir-ld`, or changed since it was adopted, gets the interpreter back that it
records, and runs with the libraries that its own run path and ld.so find. A line
for each says which: `bytes` or `interpreter`. Their tables go. Sealed programs
record no interpreter: they are named, and have to be linked again.

Exit codes: 0 done; 1 a program could not be restored; 2 wrong usage.")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Say what would become of each program, write nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Never: what happens to single executables is printed and decides the exit code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    crate::interrupt::watch();
    let collected = place::collect(&args.paths);
    let (mut bytes, mut interpreter, mut failed) = (0, 0, 0);
    let mut tables = Vec::new();
    let mut fail = |path: &Path, why: &str| {
        crate::say::err!("indir: `{}`: {why}", path.display());
        failed += 1;
    };
    for (path, why) in &collected.failures {
        fail(path, why);
    }
    for exe in &collected.executables {
        if crate::interrupt::is_pending() {
            fail(exe, "interrupted: it and what follows stay as they are");
            break;
        }
        let (word, count) = match restore_file(exe, args.dry_run) {
            Ok((restored, table)) => {
                tables.extend(table);
                match restored {
                    Restored::Bytes => ("bytes", &mut bytes),
                    Restored::Interpreter => ("interpreter", &mut interpreter),
                    Restored::Nothing => continue,
                }
            }
            Err(error) => {
                fail(exe, &crate::say::reason(&error));
                continue;
            }
        };
        *count += 1;
        let rest = format!(" {}", exe.display());
        crate::say::state(Mood::Mind, &format!("{word:11}"), &rest);
    }
    if !args.dry_run {
        for (file, error) in place::forget(&tables) {
            fail(&file, &format!("failed to remove it: {error}"));
        }
    }
    let would = if args.dry_run {
        "would restore"
    } else {
        "restored"
    };
    crate::say::err!(
        "{would} {}: bytes {bytes}, interpreter {interpreter}; failed {failed}",
        bytes + interpreter
    );
    Ok(ExitCode::from(if failed > 0 {
        exit::FAILED
    } else {
        exit::DONE
    }))
}
