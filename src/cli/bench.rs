//! `indir bench`: how fast a program starts, by ld.so and by its table.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail};
use fs_err as fs;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::bench::plot::{self, Row};
use crate::bench::{Counts, Program, Ratio, Run, Summary, WayKind, Ways};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;
/// Runs of each way before the measured ones.
const WARM_UP: usize = 3;

/// Measure how fast a program starts: ordinary loader, direct plan, bound plan
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  indir bench --plot ffmpeg.svg ffmpeg -version

Every way runs a temporary copy of PROGRAM, by turns, with the same libraries;
input and output are /dev/null, and the whole run to its exit is measured, so
choose arguments that make it end soon. The ordinary ways are ld.so as it is and
with LD_BIND_NOW=1; LD_LIBRARY_PATH tells them the folders of a table, or those
that the program finds relative to itself. Intervals are 95 %.")]
pub struct Args {
    /// Measured runs of each way
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    /// Draw the distributions into this file (.svg)
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// A path, or a name to look for on PATH
    #[arg(value_name = "PROGRAM")]
    program: PathBuf,
    /// Its arguments
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    args: Vec<String>,
}

/// What was measured of one way.
struct Measured {
    kind: WayKind,
    runs: Vec<Run>,
    counts: Counts,
}

impl Measured {
    fn wall_ms(&self) -> Vec<f64> {
        self.runs
            .iter()
            .map(|r| r.wall.as_secs_f64() * 1e3)
            .collect()
    }

    fn cpu_ms(&self) -> Vec<f64> {
        self.runs
            .iter()
            .map(|r| r.cpu.as_secs_f64() * 1e3)
            .collect()
    }

    fn faults(&self) -> Option<f64> {
        let faults: Vec<f64> = self.runs.iter().map(|r| r.minor_faults as f64).collect();
        Some(Summary::of(&faults)?.median)
    }
}

/// Runs the subcommand.
///
/// # Errors
/// When the program cannot be copied, made indirect or run, when the ways do
/// not end alike, or when the picture cannot be written.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let Some(plot) = &args.plot
        && plot.extension().is_none_or(|extension| extension != "svg")
    {
        bail!(
            "`--plot {}`: only SVG is drawn; name it `….svg`",
            plot.display()
        );
    }
    let exe = find(&args.program)?;
    let of_program = || format!("`{}`", exe.display());
    let ways = Ways::new(&exe).with_context(of_program)?;
    let measured = measure(&ways, &args).with_context(of_program)?;
    let ratios = ratios(&measured);
    if let Some(path) = &args.plot {
        draw(path, &args, &measured, &ratios)?;
    }
    if args.json {
        let document = to_json(&exe, &args, &measured, &ratios, &ways);
        anstream::println!("{document:#}");
    } else {
        print(&exe, &args, &measured, &ratios);
    }
    for (kind, why) in &ways.missing {
        anstream::eprintln!("warning: no {} plan: {why}", kind.name());
    }
    Ok(ExitCode::SUCCESS)
}

fn find(program: &Path) -> anyhow::Result<PathBuf> {
    if program.components().count() > 1 || program.is_absolute() {
        return Ok(program.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
        .with_context(|| format!("`{}` is not on PATH", program.display()))
}

/// The caller's variables, without those that would choose the way.
fn environment(extra: &[(String, String)]) -> Vec<(String, String)> {
    let taken = |name: &str| {
        name == "LD_BIND_NOW" || name.starts_with("INDIR_") || extra.iter().any(|(n, _)| n == name)
    };
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| !taken(name))
        .chain(extra.iter().cloned())
        .collect()
}

fn measure(ways: &Ways, args: &Args) -> anyhow::Result<Vec<Measured>> {
    let mut programs = Vec::new();
    let mut measured = Vec::new();
    for way in &ways.ways {
        let env = environment(&way.env);
        let command = || {
            let mut command = Command::new(&way.exe);
            command
                .args(&args.args)
                .env_clear()
                .envs(env.iter().cloned());
            command
        };
        let counts = Counts::of(command, ways.scratch())
            .with_context(|| format!("failed to watch it ({})", way.kind.name()))?;
        programs.push(Program::new(&way.exe, &args.args, env.clone())?);
        measured.push(Measured {
            kind: way.kind,
            runs: Vec::new(),
            counts,
        });
    }
    let bar = ProgressBar::new(u64::from(args.runs));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {eta}") {
        bar.set_style(style);
    }
    let mut status = None;
    for round in 0..WARM_UP + args.runs as usize {
        // Another way is the first in every round.
        for turn in 0..programs.len() {
            let index = (round + turn) % programs.len();
            let (Some(program), Some(way)) = (programs.get(index), measured.get_mut(index)) else {
                continue;
            };
            let run = program.run()?;
            let expected = *status.get_or_insert(run.status);
            if run.status != expected {
                bail!(
                    "it ends with wait status {:#x} ({}), but with {expected:#x} another way; nothing can be compared",
                    run.status,
                    way.kind.name()
                );
            }
            if round >= WARM_UP {
                way.runs.push(run);
            }
        }
        bar.set_position(round.saturating_sub(WARM_UP) as u64);
    }
    bar.finish_and_clear();
    Ok(measured)
}

/// Every way over each of the ordinary ones.
fn ratios(measured: &[Measured]) -> Vec<(WayKind, WayKind, Ratio)> {
    let mut out = Vec::new();
    for base in [WayKind::Eager, WayKind::Lazy] {
        let Some(over) = measured.iter().find(|way| way.kind == base) else {
            continue;
        };
        for way in measured {
            let indirect = matches!(way.kind, WayKind::Direct | WayKind::Bound);
            if indirect && let Some(ratio) = Ratio::of(&way.wall_ms(), &over.wall_ms()) {
                out.push((way.kind, base, ratio));
            }
        }
    }
    out
}

fn verdict(ratio: &Ratio) -> &'static str {
    match ratio.is_real() {
        true if ratio.value < 1.0 => "faster",
        true => "slower",
        false => "no difference shown",
    }
}

fn print(exe: &Path, args: &Args, measured: &[Measured], ratios: &[(WayKind, WayKind, Ratio)]) {
    use clap::builder::styling::{AnsiColor, Style};
    let bold = Style::new().bold();
    anstream::println!(
        "{bold}{}{bold:#}: {} runs of each way, by turns, from start to exit",
        format!("{} {}", exe.display(), args.args.join(" ")).trim_end(),
        args.runs
    );
    anstream::println!(
        "\n{:16}{:>10}{:>18}{:>18}{:>9}{:>9}{:>10}{:>9}",
        "",
        "median ms",
        "95 % interval",
        "quartiles",
        "faults",
        "syscalls",
        "dirty KiB",
        "lookups"
    );
    let count = |n: Option<u64>| n.map_or_else(|| "-".to_owned(), |n| n.to_string());
    for way in measured {
        let Some(s) = Summary::of(&way.wall_ms()) else {
            continue;
        };
        let range = |low: f64, high: f64| format!("{low:.2} - {high:.2}");
        anstream::println!(
            "{:16}{:>10.3}{:>18}{:>18}{:>9}{:>9}{:>10}{:>9}",
            way.kind.name(),
            s.median,
            range(s.interval.0, s.interval.1),
            range(s.lower_quartile, s.upper_quartile),
            way.faults().unwrap_or(0.0),
            way.counts.system_calls,
            count(way.counts.private_dirty_kib),
            count(way.counts.lookups),
        );
    }
    anstream::println!();
    for (way, base, ratio) in ratios {
        let colour = match verdict(ratio) {
            "faster" => Style::new().fg_color(Some(AnsiColor::Green.into())),
            "slower" => Style::new().fg_color(Some(AnsiColor::Red.into())),
            _ => Style::new(),
        };
        anstream::println!(
            "{:24}{bold}{:>6.3}{bold:#}  ({:.3} - {:.3})  {colour}{}{colour:#}",
            format!("{} / {}", way.name(), base.name()),
            ratio.value,
            ratio.interval.0,
            ratio.interval.1,
            verdict(ratio)
        );
    }
}

fn draw(
    path: &Path,
    args: &Args,
    measured: &[Measured],
    ratios: &[(WayKind, WayKind, Ratio)],
) -> anyhow::Result<()> {
    let row = |way: &Measured| {
        let ratio = ratios
            .iter()
            .find(|(kind, base, _)| *kind == way.kind && *base == WayKind::Eager);
        let remark = match ratio {
            Some((_, _, ratio)) if ratio.is_real() => format!("× {:.2} of eager", ratio.value),
            Some(_) => "no difference shown".to_owned(),
            None => String::new(),
        };
        Row {
            label: way.kind.name().to_owned(),
            remark,
            samples: way.wall_ms(),
        }
    };
    let rows: Vec<Row> = measured.iter().map(row).collect();
    let name = args
        .program
        .file_name()
        .unwrap_or_default()
        .to_string_lossy();
    let title = format!("{name} {}", args.args.join(" "));
    let subtitle = format!(
        "{} runs of each way, by turns; box: quartiles, line: median",
        args.runs
    );
    fs::write(path, plot::svg(title.trim_end(), &subtitle, &rows))?;
    Ok(())
}

fn to_json(
    exe: &Path,
    args: &Args,
    measured: &[Measured],
    ratios: &[(WayKind, WayKind, Ratio)],
    ways: &Ways,
) -> Value {
    let summary = |samples: &[f64]| {
        Summary::of(samples).map(|s| {
            json!({
                "median": s.median,
                "interval": [s.interval.0, s.interval.1],
                "lower_quartile": s.lower_quartile,
                "upper_quartile": s.upper_quartile,
            })
        })
    };
    let way = |way: &Measured| {
        json!({
            "name": way.kind.name(),
            "wall_ms": summary(&way.wall_ms()),
            "wall_ms_samples": way.wall_ms(),
            "cpu_ms": summary(&way.cpu_ms()),
            "page_faults": way.faults(),
            "system_calls": way.counts.system_calls,
            "private_dirty_kib": way.counts.private_dirty_kib,
            "symbol_lookups_at_start": way.counts.lookups_at_start,
            "symbol_lookups": way.counts.lookups,
        })
    };
    let ratio = |(way, base, ratio): &(WayKind, WayKind, Ratio)| {
        json!({
            "way": way.name(),
            "over": base.name(),
            "value": ratio.value,
            "interval": [ratio.interval.0, ratio.interval.1],
            "real": ratio.is_real(),
        })
    };
    let missing = |(kind, why): &(WayKind, String)| json!({"name": kind.name(), "reason": why});
    json!({
        "version": JSON_VERSION,
        "program": exe.to_string_lossy(),
        "arguments": args.args,
        "runs": args.runs,
        "warm_up": WARM_UP,
        "ways": measured.iter().map(way).collect::<Vec<_>>(),
        "ratios": ratios.iter().map(ratio).collect::<Vec<_>>(),
        "missing": ways.missing.iter().map(missing).collect::<Vec<_>>(),
    })
}
