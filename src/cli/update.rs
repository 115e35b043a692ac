//! `indir update`: write or refresh the tables of executables.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use crate::exit;
use crate::place;
use crate::resolve::unmet::Unmet;
use crate::table::Replacement;
use crate::update::{self, Kind, Options, Outcome, Report};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Write or refresh the tables of executables
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, after a glibc upgrade, and for all tables of a system in one folder:
  indir update --replace /store/glibc-2.36=/store/glibc-2.41 /srv/programs
  indir update --tables /etc/indir/tables /usr/bin /usr/sbin

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 refused, because the
libraries do not satisfy at least one of the binaries, or its table is, or would
be, somebody else's (docs/SECURITY.md). The tables of what failed or was refused
stay as they were.")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Search this folder before all others; replaces the folders of the last update
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    /// Rewrite the folders of the last update that lie in OLD
    #[arg(long, value_name = "OLD=NEW")]
    replace: Vec<Replacement>,
    #[command(flatten)]
    plugins: Plugins,
    /// What the tables hold: paths only (direct), or bindings too (bound); later
    /// updates keep it. Whichever is faster, if it is `auto` or was never given
    #[arg(long, value_enum)]
    plan: Option<PlanKind>,
    /// Put the tables there, each under the id of its executable, and nothing beside
    /// the executables: for INDIR_TABLES or /etc/indir/tables
    #[arg(long, value_name = "DIR")]
    tables: Option<PathBuf>,
    /// Remove tables, and what belongs to them, that no executable of the
    /// given folders refers to any more; with --tables, all others of that folder
    #[arg(long)]
    prune: bool,
    /// Say what would be done, write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Number of threads [default: one a processor]
    #[arg(short, long, value_name = "N")]
    jobs: Option<std::num::NonZeroUsize>,
}

/// Where the plugins of the executables are.
#[derive(Debug, clap::Args)]
pub(super) struct Plugins {
    /// The programs open what is in this folder and below: search for what it
    /// needs, and check it; replaces such folders of the last update
    #[arg(long = "plugin-dir", value_name = "DIR")]
    plugin_dirs: Vec<PathBuf>,
    /// Look for plugins below `lib` of the executables' own packages and of
    /// their libraries' (not of /usr)
    #[arg(long)]
    scan_plugins: bool,
    /// Forget the `--plugin-dir` and `--scan-plugins` of the last update
    #[arg(long, conflicts_with_all = ["plugin_dirs", "scan_plugins"])]
    no_plugins: bool,
}

impl Plugins {
    /// Writes what was given into `options`.
    pub(super) fn apply(&self, options: &mut Options) -> anyhow::Result<()> {
        let given = self.plugin_dirs.iter();
        let folders = given.map(|folder| existing("--plugin-dir", folder));
        let folders = folders.collect::<anyhow::Result<Vec<_>>>()?;
        options.plugin_dirs = (self.no_plugins || !folders.is_empty()).then_some(folders);
        options.scan_plugins = (self.no_plugins || self.scan_plugins).then_some(self.scan_plugins);
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PlanKind {
    /// Bound where it makes programs start faster
    Auto,
    /// Paths only
    Direct,
    /// Paths and bindings
    Bound,
}

/// Runs the subcommand.
///
/// # Errors
/// When the command line asks for what cannot be done; what happens to single
/// executables is printed and decides the exit code.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut lib_dirs = Vec::with_capacity(args.lib_dirs.len());
    for folder in &args.lib_dirs {
        lib_dirs.push(absolute(folder)?);
    }
    let mut options = Options {
        asked: args.plan.map(|plan| match plan {
            PlanKind::Auto => Kind::Auto,
            PlanKind::Direct => Kind::Direct,
            PlanKind::Bound => Kind::Bound,
        }),
        kind: Kind::Auto,
        lib_dirs: (!lib_dirs.is_empty()).then_some(lib_dirs),
        replacements: args.replace,
        ..Options::default()
    };
    args.plugins.apply(&mut options)?;
    if let Some(folder) = &args.tables {
        let folder = std::path::absolute(folder);
        options.tables = Some(folder.context("`--tables`")?);
    }
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(jobs) = args.jobs {
        pool = pool.num_threads(jobs.get());
    }
    let bar = progress_bar();
    let progress = |done: usize, total: usize| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    };
    let pool = pool.build().context("failed to start threads")?;
    let report = pool.install(|| update::run(&args.paths, &options, args.dry_run, &progress));
    bar.finish_and_clear();
    let unused = || match &options.tables {
        None => place::unused(&args.paths),
        Some(folder) => place::unused_in(folder, &args.paths),
    };
    let pruned = args.prune.then(|| prune(unused(), args.dry_run));
    if args.json {
        let document = to_json(&report, args.dry_run, pruned.as_deref());
        crate::say::json(&document);
    }
    if let Some(pruned) = &pruned {
        let would = if args.dry_run {
            "would prune"
        } else {
            "pruned"
        };
        crate::say::err!("{would} {}", pruned.len());
    }
    Ok(summary(&report, args.dry_run))
}

/// Removes what no executable refers to; returns what is gone, or would be.
fn prune(gone: Vec<place::Unused>, dry_run: bool) -> Vec<PathBuf> {
    let mut failures = Vec::new();
    if !dry_run {
        failures = place::remove(&gone);
        for (path, error) in &failures {
            crate::say::err!("indir: failed to remove `{}`: {error}", path.display());
        }
    }
    let paths = gone.into_iter().map(|unused| unused.path);
    paths
        .filter(|path| failures.iter().all(|(failed, _)| failed != path))
        .collect()
}

/// `folder` as it will stand in tables: absolute, symlinks kept, since a
/// symlink may be what the administrator switches.
pub(super) fn absolute(folder: &Path) -> anyhow::Result<PathBuf> {
    existing("--lib-dir", folder)
}

fn existing(option: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let context = || format!("`{option} {}`", folder.display());
    if !std::fs::metadata(folder).with_context(context)?.is_dir() {
        anyhow::bail!("`{option} {}`: not a folder", folder.display());
    }
    let folder = std::path::absolute(folder).with_context(context)?;
    Ok(folder.components().collect())
}

/// Hidden unless stderr is a terminal (indicatif's own rule).
pub(super) fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Prints what needs attention and the sum; returns the exit code.
fn summary(report: &Report, dry_run: bool) -> ExitCode {
    for entry in &report.entries {
        for unmet in &entry.missing {
            if unmet.misfit.is_some() {
                crate::say::err!("warning: {unmet}");
            } else {
                crate::say::err!("warning: the first call stops the program: {unmet}");
            }
        }
        for why in &entry.warnings {
            crate::say::err!("warning: `{}`: {why}", entry.path.display());
        }
        for plugin in entry.plugins.iter().flatten() {
            for why in &plugin.missing {
                let path = plugin.path.display();
                crate::say::err!("warning: the plugin `{path}` is not complete: {why}");
            }
        }
        if let Outcome::Refused(why) | Outcome::Failed(why) = &entry.outcome {
            crate::say::err!("indir: `{}`: {why}", entry.path.display());
        }
    }
    for replacement in &report.unknown {
        let old = replacement.old.display();
        crate::say::err!("warning: `--replace {old}=…`: no table takes anything from `{old}`");
    }
    for folder in &report.idle {
        let mut hint = String::new();
        if let Some(deeper) = update::deeper(folder) {
            hint = format!(" (do you mean `{}`?)", deeper.display());
        }
        crate::say::err!(
            "warning: `--lib-dir {}`: no library comes from there{hint}",
            folder.display()
        );
    }
    let counts = report.counts();
    let updated = if dry_run { "would update" } else { "updated" };
    crate::say::err!(
        "{updated} {}, current {}, refused {}, failed {}",
        counts.updated,
        counts.current,
        counts.refused,
        counts.failed
    );
    ExitCode::from(match counts {
        _ if counts.refused > 0 => exit::REFUSED,
        _ if counts.failed > 0 || report.all_unknown => exit::FAILED,
        _ => exit::DONE,
    })
}

/// One symbol, or version, that the libraries lack.
fn unmet_json(unmet: &Unmet) -> serde_json::Value {
    json!({
        "symbol": unmet.symbol,
        "version": unmet.version,
        "needed_by": unmet.needed_by.to_string_lossy(),
        "provider": unmet.provider.as_ref().map(|path| path.to_string_lossy()),
        "what": unmet.to_string(),
    })
}

fn plugins_json(all: &[update::Plugin]) -> Vec<serde_json::Value> {
    let plugins = all.iter().map(|plugin| {
        let libraries = plugin.libraries.iter();
        json!({
            "path": plugin.path.to_string_lossy(),
            "libraries": libraries.map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
            "missing": plugin.missing,
        })
    });
    plugins.collect()
}

fn to_json(report: &Report, dry_run: bool, pruned: Option<&[PathBuf]>) -> serde_json::Value {
    let counts = report.counts();
    let executables: Vec<_> = report
        .entries
        .iter()
        .map(|entry| {
            let (state, message) = match &entry.outcome {
                Outcome::Updated => ("updated", None),
                Outcome::Current => ("current", None),
                Outcome::Refused(why) => ("refused", Some(why)),
                Outcome::Failed(why) => ("failed", Some(why)),
            };
            let missing: Vec<_> = entry.missing.iter().map(ToString::to_string).collect();
            json!({
                "path": entry.path.to_string_lossy(),
                "table": entry.table.as_ref().map(|table| table.to_string_lossy()),
                "libraries": entry.libraries,
                "state": state,
                "missing": missing,
                "unmet": entry.unmet.iter().map(unmet_json).collect::<Vec<_>>(),
                "warnings": entry.warnings,
                "message": message,
                "plugins": entry.plugins.as_ref().map(|all| plugins_json(all)),
            })
        })
        .collect();
    json!({
        "version": JSON_VERSION,
        "dry_run": dry_run,
        "pruned": pruned.map(|all| all.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>()),
        "updated": counts.updated,
        "current": counts.current,
        "refused": counts.refused,
        "failed": counts.failed,
        "unknown_replacements": report.unknown.iter().map(|r| r.old.to_string_lossy()).collect::<Vec<_>>(),
        "idle_lib_dirs": report.idle.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>(),
        "executables": executables,
    })
}
