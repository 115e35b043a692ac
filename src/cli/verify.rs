//! `indir verify`: tables against the files that they name.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;

use crate::exit;
use crate::update::{Verified, verify};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Check tables against the files that they name
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, before a machine goes into service:
  indir verify /srv/programs || exit 1

Exit codes: 0 all is well; 1 something is missing, replaced, foreign, broken or
unsafe (each is one line on standard output).")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Never: what is wrong is data, and decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let verified = verify(&args.paths);
    let wrong = verified
        .iter()
        .filter(|one| !one.findings.is_empty())
        .count();
    if args.json {
        anstream::println!("{:#}", to_json(&verified, wrong));
    } else {
        for one in &verified {
            for finding in &one.findings {
                let (kind, why) = (finding.kind, &finding.why);
                anstream::println!(
                    "{kind} `{}`: {why}, for `{}`",
                    finding.file.display(),
                    one.path.display()
                );
            }
        }
    }
    anstream::eprintln!("verified {}, wrong {wrong}", verified.len());
    if wrong > 0 && !args.json {
        anstream::eprintln!("hint: `indir update PATH` writes the tables anew");
    }
    Ok(ExitCode::from(if wrong == 0 {
        exit::DONE
    } else {
        exit::FAILED
    }))
}

fn to_json(verified: &[Verified], wrong: usize) -> serde_json::Value {
    let executables: Vec<_> = verified
        .iter()
        .map(|one| {
            let findings: Vec<_> = one
                .findings
                .iter()
                .map(|finding| {
                    json!({
                        "kind": finding.kind,
                        "file": finding.file.to_string_lossy(),
                        "message": finding.why,
                    })
                })
                .collect();
            json!({
                "path": one.path.to_string_lossy(),
                "table": one.table.as_ref().map(|table| table.to_string_lossy()),
                "findings": findings,
            })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "verified": verified.len(),
        "wrong": wrong,
        "executables": executables,
    })
}
