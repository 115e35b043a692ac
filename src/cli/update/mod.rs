//! `indir update`: write or refresh the tables of executables.

mod print;
mod reach;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::given::{absolute, existing, root};
use super::judged::{self, Report};
use crate::place;
use crate::table::Replacement;
use crate::update::{self, Kind, Options};

/// Write or refresh the tables of executables
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, after a glibc upgrade, and for all tables of a system in one folder:
  indir update --replace /store/glibc-2.36=/store/glibc-2.41 /srv/programs
  indir update --tables /etc/indir/tables --prune /usr
  indir update --undo /srv/programs
  indir update --reach --dry-run --replace /store/zlib-1=/store/zlib-2 /srv/programs

--undo turns back the last update that replaced a table of any of the programs
given: each of their tables that it replaced becomes the one of before. What that
update left as it was stays, and so does a table that was a program's first. What
an update replaces is kept until the next one replaces that.

--reach adds a line for each table that changes, `same`, `affected` or `unknown`
(docs/reach.md), and changes no exit code.

Exit codes: 0 done; 1 something failed; 2 wrong usage; 3 refused, because the
libraries do not satisfy at least one of the binaries, or its table is, or would
be, somebody else's (docs/SECURITY.md), or, with --undo, because libraries of its
earlier table are not there any more. The tables of what failed or was refused
stay as they were. With --undo also 1 if there was nothing to go back to.")]
pub struct Args {
    /// Executables, or folders of which every indirect executable is meant
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Search this folder before all others; replaces the folders of the last update
    #[arg(long = "lib-dir", value_name = "DIR")]
    lib_dirs: Vec<PathBuf>,
    /// The paths of programs and tables are those of the system in this folder
    #[arg(long, value_name = "DIR")]
    sysroot: Option<PathBuf>,
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
    /// Give programs the tables back that the last update replaced
    #[arg(long, conflicts_with_all = [
        "lib_dirs", "replace", "plugin_dirs", "scan_plugins", "no_plugins", "plan", "prune",
    ])]
    undo: bool,
    /// Name every program, and what its table changes
    #[arg(short, long, conflicts_with_all = ["json", "quiet"])]
    verbose: bool,
    /// Say nothing but what was refused or failed
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Say of each program whose table changes whether it can run or read what differs
    /// between the libraries of its earlier table and of the new one, as `indir reach`
    #[arg(long, conflicts_with_all = ["undo", "sysroot"])]
    reach: bool,
    /// With --reach: look for debug files (xx/yyyy.debug, by build-id) in this folder,
    /// before /usr/lib/debug
    #[arg(long = "debug-dir", value_name = "DIR", requires = "reach")]
    debug_dirs: Vec<PathBuf>,
    /// With --reach: keep graphs of libraries in this folder, and take those that are there
    #[arg(long, value_name = "DIR", requires = "reach")]
    graphs: Option<PathBuf>,
    /// Say what would be done of which program, write nothing
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
        let folders = given.map(|folder| existing(&options.root, "--plugin-dir", folder));
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
    crate::interrupt::watch();
    let root = root(args.sysroot.as_deref())?;
    let mut lib_dirs = Vec::with_capacity(args.lib_dirs.len());
    for folder in &args.lib_dirs {
        lib_dirs.push(absolute(&root, folder)?);
    }
    let mut options = Options {
        asked: args.plan.map(|plan| match plan {
            PlanKind::Auto => Kind::Auto,
            PlanKind::Direct => Kind::Direct,
            PlanKind::Bound => Kind::Bound,
        }),
        kind: Kind::Auto,
        root,
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
    if args.undo {
        let how = undo::How {
            dry_run: args.dry_run,
            json: args.json,
            verbose: args.verbose,
            quiet: args.quiet,
        };
        let tables = options.tables.as_deref();
        let report = pool
            .install(|| update::undo(&args.paths, (&options.root, tables), how.dry_run, &progress));
        bar.finish_and_clear();
        return Ok(undo::tell(&report, how));
    }
    let shared = || judged::shared(&args.debug_dirs, args.graphs.as_deref());
    let shared = args.reach.then(shared).transpose()?;
    let report = pool.install(|| update::run(&args.paths, &options, args.dry_run, &progress));
    bar.finish_and_clear();
    let unused = || match &options.tables {
        None => place::unused(&args.paths),
        Some(folder) => place::unused_in(folder, &args.paths),
    };
    let pruned =
        (args.prune && !crate::interrupt::is_pending()).then(|| prune(unused(), args.dry_run));
    let reached = shared.map(|shared| pool.install(|| reach::judge(&report, shared)));
    if args.json {
        let mut document = print::to_json(&report, args.dry_run, pruned.as_deref());
        document["reach"] = reached
            .as_ref()
            .map_or(serde_json::Value::Null, Report::to_json);
        crate::say::json(&document);
    }
    if args.verbose || args.dry_run && !args.json && !args.quiet {
        print::list(&report, args.verbose);
    }
    if let Some(pruned) = pruned.as_ref().filter(|_| !args.quiet) {
        let would = if args.dry_run {
            "would prune"
        } else {
            "pruned"
        };
        crate::say::err!("{would} {}", pruned.len());
    }
    if let Some(reached) = &reached {
        if !args.json {
            reached.print();
        }
        judged::interrupted(reached.left());
    }
    Ok(print::summary(&report, args.dry_run, args.quiet))
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

/// Hidden unless stderr is a terminal (indicatif's own rule).
pub(super) fn progress_bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}");
    ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
