//! `indir bench`: how fast a program starts, by ld.so and by its table.

mod report;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use fs_err as fs;
use indicatif::{ProgressBar, ProgressStyle};
use report::Report;

use crate::bench::{Caches, Ways, compare};

/// Measure how fast a program starts: ordinary loader, direct plan, bound plan
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  indir bench --plot ffmpeg.svg ffmpeg -version

Every way runs a temporary copy of PROGRAM, by turns, with the same libraries;
input and output are /dev/null. Each is run N times from exec to the program's
entry point, where its own work begins, and N times to its exit, so choose
arguments that make it end soon. The ordinary ways are ld.so as it is and with
LD_BIND_NOW=1; LD_LIBRARY_PATH tells them the folders of a table, or those that
the program finds relative to itself. Intervals are 95 %.")]
pub struct Args {
    /// Measured runs of each way
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Draw the distributions into this file (.svg or .png)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Drop the machine's caches before every run (for root)
    #[arg(long)]
    cold: bool,
    /// A path, or a name to look for on PATH; what follows are its arguments
    #[arg(
        required = true,
        value_name = "PROGRAM [ARGS]",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
}

/// Runs the subcommand.
///
/// # Errors
/// When the program cannot be copied, made indirect or run, when the ways do
/// not end alike, when caches may not be dropped, or when the picture cannot be
/// written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    crate::interrupt::watch();
    let plot = match args.plot.as_deref() {
        Some(path) => Some((Format::of(path)?, path)),
        None => None,
    };
    let caches = args.cold.then(Caches::open).transpose()?;
    let (program, arguments) = args.command.split_first().context("no program")?;
    let arguments = arguments
        .iter()
        .map(|arg| arg.to_str().map(str::to_owned))
        .collect::<Option<Vec<String>>>()
        .context("an argument is not UTF-8")?;
    let exe = find(Path::new(program))?;
    let of_program = || format!("`{}`", exe.display());
    let ways = Ways::new(&exe).with_context(of_program)?;
    let runs = args.runs as usize;
    let bar = ProgressBar::new(u64::from(args.runs));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let env: Vec<_> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let progress = |done| bar.set_position(done as u64);
    let measured = ways
        .measure(&arguments, &env, runs, caches.as_ref(), &progress)
        .with_context(of_program)?;
    bar.finish_and_clear();
    let report = Report {
        exe: &exe,
        args: &arguments,
        runs,
        cold: args.cold,
        comparisons: compare(&measured),
        measured,
        missing: &ways.missing,
    };
    match plot {
        Some((Format::Svg, path)) => fs::write(path, report.picture().svg())?,
        Some((Format::Png, path)) => fs::write(path, report.picture().png()?)?,
        None => {}
    }
    if args.json {
        crate::say::json(&report.to_json());
    } else {
        report.print();
    }
    if let Some(how) = report.failure() {
        crate::say::err!(
            "warning: `{}` {how} every time: what was measured may not be what you mean",
            exe.display()
        );
    }
    for (kind, why) in &ways.missing {
        crate::say::err!("warning: no {} plan: {why}", kind.name());
    }
    Ok(ExitCode::SUCCESS)
}

/// What a picture is written as.
#[derive(Clone, Copy)]
enum Format {
    Svg,
    Png,
}

impl Format {
    fn of(path: &Path) -> anyhow::Result<Self> {
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            Some("svg") => Ok(Self::Svg),
            Some("png") => Ok(Self::Png),
            _ => bail!(
                "`--plot {}`: only SVG and PNG are drawn; name it `….svg` or `….png`",
                path.display()
            ),
        }
    }
}

fn find(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() > 1 || program.is_absolute() {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| {
            let hint = match program.is_file() {
                true => format!(" (do you mean `./{}`?)", program.display()),
                false => String::new(),
            };
            format!("`{}` is not on PATH{hint}", program.display())
        })
}
