//! `indir reach`: which programs can run what an upgrade changed.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::elf::Root;
use crate::exit;
use crate::reach::{
    Build, Change, Doubt, Explained, Judge, Judgement, Options, ReachError, Shared, Step, Stored,
    Verdict, other_change,
};
use crate::table::Replacement;

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;
/// Most steps of a path that are printed.
const SHOWN: usize = 6;

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
    let lib_dirs = lib_dirs.map(|folder| super::update::absolute(&Root::default(), folder));
    let mut options = Options {
        lib_dirs: lib_dirs.collect::<anyhow::Result<_>>()?,
        plugin_dirs: args.plugin_dirs.clone(),
        cosmetic: args.cosmetic,
        other_change: None,
    };
    let (change, programs) = match change(args, &mut options)? {
        Ok(asked) => asked,
        Err(why) => {
            crate::say::err!("indir: {why}");
            return Ok(ExitCode::from(exit::USAGE));
        }
    };
    let shared = shared(args.debug_dirs.clone(), args.graphs.as_deref())?;
    let judge = Judge::new(change, options, shared);
    let collected = crate::place::collect(programs);
    for (path, why) in &collected.failures {
        crate::say::err!("indir: `{}`: {why}", path.display());
    }
    let executables = &collected.executables;
    if let Some(symbol) = &args.explain {
        let ask = |program: &PathBuf| judge.explain(program, symbol);
        let results = pool.install(|| executables.par_iter().map(ask).collect::<Vec<_>>());
        let results = executables.iter().zip(results).collect::<Vec<_>>();
        return Ok(ExitCode::from(tell(
            &results,
            !collected.failures.is_empty(),
        )));
    }
    let ask = |program: &PathBuf| judge.judge(program);
    let results = pool.install(|| executables.par_iter().map(ask).collect::<Vec<_>>());
    let mut report = Report::default();
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
    Ok(ExitCode::from(report.code()))
}

/// What is shared by all questions of a run.
///
/// # Errors
/// When `graphs` is no folder that can be used.
pub(super) fn shared(debug_dirs: Vec<PathBuf>, graphs: Option<&Path>) -> anyhow::Result<Shared> {
    let open = |folder: &Path| {
        Stored::open(folder).with_context(|| format!("`--graphs {}`", folder.display()))
    };
    let stored = graphs.map(open).transpose()?;
    Ok(Shared::new(debug_dirs, stored))
}

/// Says that a graph could not be kept.
pub(super) fn warn(shared: &Shared) {
    if shared.has_failed_to_store() {
        crate::say::err!(
            "warning: graphs cannot be kept in the folder of --graphs; the answers are as good, later ones take longer"
        );
    }
}

/// What changes, and the programs; or what is wrong with the question.
type Asked<'a> = Result<(Change, &'a [PathBuf]), String>;

fn change<'a>(args: &'a Args, options: &mut Options) -> anyhow::Result<Asked<'a>> {
    if !args.replace.is_empty() {
        let change = Change::Replacements(args.replace.clone());
        return Ok(Ok((change, &args.paths)));
    }
    let [old, new, programs @ ..] = &args.paths[..] else {
        let why = "give OLD, NEW and a program, or programs and --replace OLD=NEW";
        return Ok(Err(why.to_owned()));
    };
    if programs.is_empty() {
        return Ok(Err(format!(
            "no program after `{}` and `{}`; without --replace the first two paths are the old and the new build of a library",
            old.display(),
            new.display()
        )));
    }
    let (before, after) = (Build::of(old)?, Build::of(new)?);
    if args.package {
        options.other_change = other_change((old, new), (&before, &after))?;
    }
    let change = Change::Builds(Box::new(before), Box::new(after));
    Ok(Ok((change, programs)))
}

/// Everything that was found.
#[derive(Default)]
pub(super) struct Report {
    lines: Vec<String>,
    documents: Vec<Value>,
    same: usize,
    affected: usize,
    unknown: usize,
    failed: usize,
}

impl Report {
    /// A path of which nothing can be said.
    fn fail(&mut self, path: &Path, why: &str) {
        self.failed += 1;
        self.documents.push(json!({
            "path": path.to_string_lossy(),
            "state": "failed",
            "message": why,
        }));
    }

    /// A program that gets its first table: there is nothing to compare with.
    pub(super) fn add_first(&mut self, program: &Path) {
        let message = "has no earlier table to compare with; run its tests";
        self.unknown += 1;
        self.documents.push(json!({
            "path": program.to_string_lossy(),
            "state": "unknown",
            "message": message,
            "remedy": "run its tests",
        }));
        let path = program.display();
        self.lines.push(format!("unknown   {path}  {message}"));
    }

    /// What was found of a program; what failed is told at once.
    pub(super) fn add(&mut self, program: &Path, result: Result<Judgement, ReachError>) {
        let judgement = match result {
            Ok(judgement) => judgement,
            Err(error) => {
                let why = crate::say::reason(&error.into());
                crate::say::err!("indir: `{}`: {why}", program.display());
                return self.fail(program, &why);
            }
        };
        let mut document = json!({
            "path": judgement.program.to_string_lossy(),
            "plugin": judgement.plugin.as_ref().map(|path| path.to_string_lossy()),
        });
        let (state, message) = match &judgement.verdict {
            Verdict::Same(slice) => {
                self.same += 1;
                document["slice"] = json!(slice);
                ("same", None)
            }
            Verdict::Affected {
                difference,
                cosmetic,
            } => {
                self.affected += 1;
                document["steps"] = steps(&difference.path);
                document["cosmetic"] = json!(cosmetic);
                let only = match cosmetic {
                    Some(true) => ", only line numbers and texts",
                    _ => "",
                };
                let path = path(&difference.path);
                let how = difference.how.words();
                ("affected", Some(format!("{path} ({how}{only})")))
            }
            Verdict::Unknown(doubt) => {
                self.unknown += 1;
                document["steps"] = steps(&doubt.path);
                document["remedy"] = json!(doubt.remedy);
                ("unknown", Some(doubted(doubt)))
            }
        };
        document["state"] = json!(state);
        document["message"] = json!(message);
        self.documents.push(document);
        let mut line = format!("{state:<8}  {}", judgement.program.display());
        if let Some(plugin) = &judgement.plugin {
            line.push_str(&format!("  by its plugin {}:", plugin.display()));
        }
        if let Some(message) = message {
            line.push_str("  ");
            line.push_str(&message);
        }
        self.lines.push(line);
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "version": JSON_VERSION,
            "executables": self.documents,
            "same": self.same,
            "affected": self.affected,
            "unknown": self.unknown,
            "failed": self.failed,
        })
    }

    pub(super) fn print(&self) {
        for line in &self.lines {
            crate::say::out!("{line}");
        }
        let failed = match self.failed {
            0 => String::new(),
            count => format!(", failed {count}"),
        };
        crate::say::out!(
            "affected {}, same {}, unknown {}{failed}",
            self.affected,
            self.same,
            self.unknown
        );
    }

    fn code(&self) -> u8 {
        match (self.failed, self.affected + self.unknown) {
            (0, 0) => exit::DONE,
            (0, _) => exit::REFUSED,
            _ => exit::FAILED,
        }
    }
}

/// The steps of a path, the middle of a long one left out; a library is named where it
/// is another one than before.
fn path(steps: &[Step]) -> String {
    let mut words = Vec::new();
    let mut before = "";
    for (index, step) in steps.iter().enumerate() {
        let hidden = steps.len() > SHOWN && index >= SHOWN / 2 && index + SHOWN / 2 < steps.len();
        if hidden {
            if words.last().is_some_and(|word| word != "…") {
                words.push("…".to_owned());
            }
            continue;
        }
        words.push(match (&*step.library, &*step.name) {
            (library, "") => library.to_owned(),
            (library, name) if library.is_empty() || library == before => name.to_owned(),
            (library, name) => format!("{library}: {name}"),
        });
        before = &step.library;
    }
    words.join(" > ")
}

fn doubted(doubt: &Doubt) -> String {
    let path = path(&doubt.path);
    let space = if path.is_empty() { "" } else { " " };
    format!("{path}{space}{}; {}", doubt.reason, doubt.remedy)
}

fn steps(path: &[Step]) -> Value {
    let steps = path
        .iter()
        .map(|step| json!({ "library": step.library, "name": step.name }));
    steps.collect()
}

/// Prints what each program reaches from a symbol; returns the exit code.
fn tell(results: &[(&PathBuf, Explanation)], failed: bool) -> u8 {
    let (mut failed, mut differs) = (failed, false);
    for (program, result) in results {
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
