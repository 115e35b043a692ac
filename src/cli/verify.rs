//! `indir verify`: tables against the files that they name.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use crate::exit;
use crate::say::Mood;
use crate::verify::{Finding, Kind, Report, Verified, verify, verify_processes, verify_running};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Check executables, their tables and the files that these name
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, before a machine goes into service:
  indir verify /srv/programs || exit 1
and after an upgrade, which services still run with what was replaced:
  indir verify --running

Each line of standard output says what is wrong with which file, for which
executable, and the command that mends it; docs/verify.md lists the kinds.

Exit codes: 0 all is well; 1 something is missing, replaced, stale, foreign,
broken, unsafe, or could not be looked at; 2 wrong usage; 3 the libraries do not
satisfy at least one of the executables. Orphans are listed and do no harm.")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required_unless_present_any = ["pids", "running"], value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Look at the libraries that this process has: which are not its table's, or were
    /// deleted or replaced since
    #[arg(long = "pid", value_name = "PID", conflicts_with_all = ["paths", "deep"])]
    pids: Vec<u32>,
    /// The same of every process of an indirect executable that may be looked at
    #[arg(long, conflicts_with_all = ["paths", "deep", "pids"])]
    running: bool,
    /// The paths of programs and tables are those of the system in this folder
    #[arg(long, value_name = "DIR", conflicts_with_all = ["pids", "running"])]
    sysroot: Option<PathBuf>,
    /// Compute all bindings again and compare them
    #[arg(long)]
    deep: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Number of threads [default: one a processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
}

/// Runs the subcommand.
///
/// # Errors
/// When threads cannot be started; what is wrong with files is data, and
/// decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let bar = super::update::progress_bar();
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(jobs) = args.jobs {
        pool = pool.num_threads(jobs.get());
    }
    let pool = pool.build().context("failed to start threads")?;
    let root = super::given::root(args.sysroot.as_deref())?;
    let report = if args.running {
        let (report, passed_over) = verify_running().context("`/proc`")?;
        if passed_over > 0 {
            crate::say::err!("passed over {passed_over} processes of other users");
        }
        report
    } else if args.pids.is_empty() {
        pool.install(|| verify(&args.paths, &root, args.deep, &progress))
    } else {
        verify_processes(&args.pids)
    };
    bar.finish_and_clear();
    let wrong = report.verified.iter().filter(|v| !v.findings.is_empty());
    let wrong = wrong.count();
    if args.json {
        crate::say::json(&to_json(&report, wrong));
    } else {
        print(&report);
    }
    crate::say::err!("verified {}, wrong {wrong}", report.verified.len());
    let mut findings = report.verified.iter().flat_map(|one| &one.findings);
    Ok(ExitCode::from(
        if findings.any(|finding| finding.kind == Kind::Unsatisfied) {
            exit::REFUSED
        } else if wrong > 0 {
            exit::FAILED
        } else {
            exit::DONE
        },
    ))
}

/// One line a finding; what several executables share is said once.
fn print(report: &Report) {
    let mut lines: Vec<(&Finding, &Verified, usize)> = Vec::new();
    let mut known = std::collections::HashMap::new();
    for one in &report.verified {
        for finding in &one.findings {
            let key = (finding.kind, &finding.file, &finding.why);
            let at = *known.entry(key).or_insert_with(|| {
                lines.push((finding, one, 0));
                lines.len() - 1
            });
            if let Some((_, _, count)) = lines.get_mut(at) {
                *count += 1;
            }
        }
    }
    for (finding, one, count) in lines {
        let more = match count {
            0 | 1 => String::new(),
            _ => format!(" and {} more", count - 1),
        };
        let mend = finding.mend.as_ref();
        let mend = mend.map_or_else(String::new, |mend| format!("; run `{mend}`"));
        let pid = one
            .pid
            .map_or_else(String::new, |pid| format!(" (process {pid})"));
        let rest = format!(
            " `{}`: {}, for `{}`{pid}{more}{mend}",
            finding.file.display(),
            finding.why,
            one.path.display()
        );
        crate::say::state(Mood::Bad, finding.kind.word(), &rest);
    }
    for orphan in &report.orphans {
        let rest = format!(
            " `{}`: no executable refers to it; run `indir update --prune` on the folder to remove it",
            orphan.display()
        );
        crate::say::state(Mood::Mind, "orphan", &rest);
    }
}

fn to_json(report: &Report, wrong: usize) -> serde_json::Value {
    let executables: Vec<_> = report
        .verified
        .iter()
        .map(|one| {
            let findings: Vec<_> = one
                .findings
                .iter()
                .map(|finding| {
                    json!({
                        "kind": finding.kind.word(),
                        "file": finding.file.to_string_lossy(),
                        "message": finding.why,
                        "mend": finding.mend,
                    })
                })
                .collect();
            json!({
                "path": one.path.to_string_lossy(),
                "pid": one.pid,
                "table": one.table.as_ref().map(|table| table.to_string_lossy()),
                "findings": findings,
            })
        })
        .collect();
    let orphans = report.orphans.iter().map(|path| path.to_string_lossy());
    json!({
        "version": JSON_VERSION,
        "verified": report.verified.len(),
        "wrong": wrong,
        "executables": executables,
        "orphans": orphans.collect::<Vec<_>>(),
    })
}
