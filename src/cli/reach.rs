//! `indir reach`: which programs can run what an upgrade changed.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use rayon::prelude::*;

use super::judged::{Report, doubted, interrupted, path, shared, warn};
use crate::elf::Root;
use crate::exit::Usage;
use crate::reach::{Build, Change, Doubt, Explained, Judge, Options, ReachError, other_change};
use crate::table::Replacement;
use crate::update::{self, Subject};
use crate::{exit, interrupt};

/// Say which programs can run or read what another build of their libraries changes
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  indir reach /old/lib/libtiff.so.6 /new/lib/libtiff.so.6 /usr/bin/tiff2rgba
  indir reach /srv/programs --replace /store/openssl-3.0.17=/store/openssl-3.0.22

Each program is `same` (nothing that it can run or read of its libraries differs),
`affected` (with a shortest path to what differs), or `unknown` (why, and what would
help). What changes needs symbols, its own or in a debug file by build-id; a library
between, only if the program could come to a change through it.
docs/reach.md says what `same` does not mean.

Exit codes: 0 all are the same; 1 something failed; 2 wrong usage; 3 some are affected
or unknown. With --explain: 0 nothing that is reached differs, 3 something does, or
may.")]
pub struct Args {
    /// OLD and NEW, each a library or a folder of libraries, unless --replace is given;
    /// then executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Ask what it means that the tables' folders in OLD come to be in NEW
    #[arg(long, value_name = "OLD=NEW", conflicts_with = "package")]
    replace: Vec<Replacement>,
    /// OLD and NEW are whole packages: whoever loads a library of them is affected if
    /// another file than their libraries and documentation differs
    #[arg(long)]
    package: bool,
    /// Search this folder for libraries before all others but OLD and NEW, in place of the
    /// folders of tables
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    /// The programs open what is in this folder and below: judge that too
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dirs: Vec<PathBuf>,
    /// Look for debug files (xx/yyyy.debug, by build-id) in this folder, before
    /// /usr/lib/debug
    #[arg(long = "debug-dir", value_name = "DIR")]
    debug_dirs: Vec<PathBuf>,
    /// Keep graphs of libraries in this folder, and take those that are there
    #[arg(long, value_name = "DIR")]
    graphs: Option<PathBuf>,
    /// Show what each program reaches from this symbol instead
    #[arg(long, value_name = "SYMBOL[@VERSION]", conflicts_with_all = ["cosmetic", "package", "plugin_dirs"])]
    explain: Option<String>,
    /// Say of each affected program whether it would be without line numbers and texts
    #[arg(long)]
    cosmetic: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "explain")]
    json: bool,
    /// Number of threads [default: one a processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
}

/// Runs the subcommand.
///
/// # Errors
/// When OLD or NEW is no build of a library; what fails of a program decides the exit
/// code.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(jobs) = args.jobs {
        pool = pool.num_threads(jobs.get());
    }
    let pool = pool.build().context("failed to start threads")?;
    let lib_dirs = args.lib_dirs.iter();
    let lib_dirs = lib_dirs.map(|folder| super::given::absolute(&Root::default(), folder));
    let mut options = Options {
        lib_dirs: lib_dirs.collect::<anyhow::Result<_>>()?,
        plugin_dirs: args.plugin_dirs.clone(),
        cosmetic: args.cosmetic,
        other_change: None,
    };
    // Links to the libraries are made for the time of a run, and graphs are written.
    interrupt::watch();
    let (change, programs) = change(args, &mut options)?;
    let shared = shared(&args.debug_dirs, args.graphs.as_deref())?;
    let lib_dirs = (!options.lib_dirs.is_empty()).then(|| options.lib_dirs.clone());
    let judge = Judge::new(change, options, shared);
    let collected = crate::place::collect(programs);
    for (path, why) in &collected.failures {
        crate::say::err!("indir: `{}`: {why}", path.display());
    }
    let executables = &collected.executables;
    let asked = update::Options {
        lib_dirs,
        replacements: args.replace.clone(),
        ..update::Options::default()
    };
    let unknown = Subject::unconcerned(&Root::default(), executables, &asked);
    let nothing_asked = !unknown.is_empty() && unknown.len() == args.replace.len();
    super::given::unknown(&unknown);
    if let Some(symbol) = &args.explain {
        let ask =
            |program: &PathBuf| (!interrupt::is_pending()).then(|| judge.explain(program, symbol));
        let results = pool.install(|| executables.par_iter().map(ask).collect::<Vec<_>>());
        let results = executables.iter().zip(results).collect::<Vec<_>>();
        return Ok(ExitCode::from(tell(
            &results,
            nothing_asked || !collected.failures.is_empty(),
        )));
    }
    let ask = |program: &PathBuf| (!interrupt::is_pending()).then(|| judge.judge(program));
    let results = pool.install(|| executables.par_iter().map(ask).collect::<Vec<_>>());
    let mut report = Report::of(unknown, nothing_asked);
    for (path, why) in &collected.failures {
        report.fail(path, why);
    }
    for (program, result) in executables.iter().zip(results) {
        report.add(program, result);
    }
    warn(judge.shared());
    match args.json {
        true => crate::say::json(&report.to_json()),
        false => report.print(),
    }
    interrupted(report.left());
    Ok(ExitCode::from(report.code()))
}

/// What changes, and the programs.
fn change<'a>(args: &'a Args, options: &mut Options) -> anyhow::Result<(Change, &'a [PathBuf])> {
    if !args.replace.is_empty() {
        let change = Change::Replacements(args.replace.clone());
        return Ok((change, &args.paths));
    }
    let [old, new, programs @ ..] = &args.paths[..] else {
        let why = "give OLD, NEW and a program, or programs and --replace OLD=NEW";
        return Err(Usage(why.to_owned()).into());
    };
    if programs.is_empty() {
        return Err(Usage(format!(
            "no program after `{}` and `{}`; without --replace the first two paths are the old and the new build of a library",
            old.display(),
            new.display()
        ))
        .into());
    }
    let (before, after) = (Build::of(old)?, Build::of(new)?);
    let is_in_both = |soname| after.libraries.contains_key(soname);
    if !before.libraries.keys().any(is_in_both) {
        anyhow::bail!(
            "`{}` and `{}` are not builds of one library: no soname is in both",
            old.display(),
            new.display()
        );
    }
    if args.package {
        options.other_change = other_change((old, new), (&before, &after))?;
    }
    let change = Change::Builds(Box::new(before), Box::new(after));
    Ok((change, programs))
}

/// Prints what each program reaches from a symbol; returns the exit code.
fn tell(results: &[(&PathBuf, Option<Explanation>)], failed: bool) -> u8 {
    let (mut failed, mut differs) = (failed, false);
    for (program, result) in results {
        let Some(result) = result else {
            continue;
        };
        if results.len() > 1 {
            crate::say::out!("{}:", program.display());
        }
        match result {
            Err(error) => {
                failed = true;
                crate::say::err!("indir: `{}`: {error}", program.display());
            }
            Ok(Err(doubt)) => {
                differs = true;
                crate::say::out!("unknown: {}", doubted(doubt));
            }
            Ok(Ok(explained)) => {
                differs |= !explained.differences.is_empty() || !explained.doubts.is_empty();
                list(explained);
            }
        }
    }
    interrupted(
        results
            .iter()
            .filter(|(_, result)| result.is_none())
            .count(),
    );
    match (failed, differs) {
        (true, _) => exit::FAILED,
        (_, true) => exit::REFUSED,
        _ => exit::DONE,
    }
}

/// What a program reaches from a symbol, or why that is not known.
type Explanation = Result<Result<Explained, Doubt>, ReachError>;

fn list(explained: &Explained) {
    for step in &explained.reached {
        crate::say::out!("{} {}", step.library, step.name);
    }
    for difference in &explained.differences {
        let how = difference.how.words();
        crate::say::out!("differs: {} ({how})", path(&difference.path));
    }
    for doubt in &explained.doubts {
        crate::say::out!("unknown: {}", doubted(doubt));
    }
    crate::say::out!(
        "reached {}, of which differ {}",
        explained.reached.len(),
        explained.differences.len()
    );
}
