//! What the rule of `--plan auto` costs and wins, direct against bound by turns,
//! from exec to the program's entry point, so that any program may be started.
//!
//! - *break-even*: programs with a growing number of symbol lookups (an array of
//!   pointers to functions of one library), both plans forced.
//! - *programs*: every executable of /usr/bin and /usr/sbin for which `--plan
//!   auto` chooses the bound plan; the others have the same table either way.
//!   Who seems to lose in the first rounds is measured again with ten times as
//!   many. No program may start more than 3 % slower than in the direct plan.
//!
//! `INDIR_BENCH_RUNS` sets the first number of rounds (11; 60 times as many for
//! break-even); names after `--` limit the programs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use indir::bench::{Program, Ratio, WayKind, Ways};
use indir::resolve::{Library, Resolver, Store};
use indir::update::BOUND_FROM;
use indir::update::bindings::ClosureScope;
use rayon::prelude::*;

/// Functions of the programs that show where the plans break even.
const FUNCTIONS: [usize; 8] = [0, 50, 100, 200, 300, 400, 800, 1600];
/// The most that a program may lose by the rule.
const LIMIT: f64 = 1.03;
const AGAIN: usize = 10;

fn main() -> ExitCode {
    let runs = std::env::var("INDIR_BENCH_RUNS").map_or(11, |n| n.parse().expect("a number"));
    let names: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with("--"))
        .collect();
    if names.is_empty() {
        break_even(runs * 60);
    }
    if programs(&names, runs) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Direct and bound starts of the program, by turns.
fn compare(exe: &Path, runs: usize) -> anyhow::Result<Ratio> {
    let ways = Ways::new(exe)?;
    compare_ways(&ways, runs)
}

fn compare_ways(ways: &Ways, runs: usize) -> anyhow::Result<Ratio> {
    let program = |kind| {
        let way = ways.ways.iter().find(|way| way.kind == kind);
        let way = way.ok_or_else(|| anyhow::anyhow!("no {} plan", WayKind::name(kind)))?;
        Ok::<_, anyhow::Error>(Program::new(&way.exe, [""; 0], [])?)
    };
    let (direct, bound) = (program(WayKind::Direct)?, program(WayKind::Bound)?);
    let mut samples = [Vec::new(), Vec::new()];
    for round in 0..runs + 1 {
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let start = [&direct, &bound][which].run_to_entry()?;
            // The first round warms up.
            if round > 0 {
                samples[which].push(start.wall.as_secs_f64());
            }
        }
    }
    let [direct, bound] = samples;
    Ratio::of(&bound, &direct).ok_or_else(|| anyhow::anyhow!("no runs"))
}

/// Symbols that the binder spares ld.so at start.
fn lookups(store: &Store, path: &Path) -> Option<usize> {
    let exe = Library::open(path).ok()?;
    exe.map().elf().ok()?.interpreter()?;
    let closure = Resolver::new(store, &[]).resolve(path, &exe).ok()?;
    closure.ldso_index?;
    Some(ClosureScope::new(&exe, &closure).ok()?.lookups_at_start())
}

fn break_even(runs: usize) {
    println!("break-even: {runs} starts of each plan\n lookups  bound / direct (95 % interval)");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    for count in FUNCTIONS {
        let exe = program(scratch.path(), count);
        let lookups = lookups(&Store::default(), &exe).expect("its lookups");
        let ratio = compare(&exe, runs).expect("both plans");
        let (low, high) = ratio.interval;
        println!("{lookups:8}  {:.3} ({low:.3}–{high:.3})", ratio.value);
    }
}

/// A program that points to `count` functions of a library.
fn program(scratch: &Path, count: usize) -> PathBuf {
    let folder = scratch.join(count.to_string());
    std::fs::create_dir(&folder).expect("a folder");
    let (mut library, mut main, mut list) = (String::new(), String::new(), String::new());
    for n in 0..count {
        writeln!(library, "int f{n}(void) {{ return {n}; }}").expect("a string");
        writeln!(main, "int f{n}(void);").expect("a string");
        write!(list, "f{n}, ").expect("a string");
    }
    let main =
        format!("{main} int (*all[])(void) = {{ {list} 0 }}; int main(void) {{ return 0; }}");
    let cc = |source: &str, name: &str, args: &[&str]| {
        let file = folder.join(format!("{name}.c"));
        std::fs::write(&file, source).expect("a source");
        let mut command = Command::new("cc");
        command
            .arg(file)
            .arg("-o")
            .arg(folder.join(name))
            .args(args);
        assert!(command.status().expect("cc").success());
    };
    cc(&library, "libmany.so", &["-shared", "-fPIC"]);
    let (search, rpath) = (
        format!("-L{}", folder.display()),
        format!("-Wl,-rpath,{}", folder.display()),
    );
    cc(&main, "program", &[&search, "-lmany", &rpath]);
    folder.join("program")
}

/// Whether no program loses more than it may.
fn programs(names: &[String], runs: usize) -> bool {
    let store = Store::default();
    let mut all: Vec<PathBuf> = ["/usr/bin", "/usr/sbin"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).expect("a folder"))
        .filter_map(|entry| std::fs::canonicalize(entry.ok()?.path()).ok())
        .filter(|path| {
            let is = |name: &String| path.file_name().is_some_and(|n| n == name.as_str());
            names.is_empty() || names.iter().any(is)
        })
        .collect();
    all.sort();
    all.dedup();
    let counted: Vec<_> = all
        .into_par_iter()
        .filter_map(|path| Some((lookups(&store, &path)?, path)))
        .collect();
    let total = counted.len();
    let mut bound: Vec<_> = counted
        .into_iter()
        .filter(|(lookups, _)| *lookups >= BOUND_FROM)
        .collect();
    bound.sort();
    println!(
        "\nprograms: {total}; {} of them have {BOUND_FROM} lookups or more and get a bound plan",
        bound.len()
    );
    let (mut ratios, mut losers, mut failed) = (Vec::new(), Vec::new(), 0);
    for (lookups, path) in &bound {
        let measured = Ways::new(path).and_then(|ways| {
            let first = compare_ways(&ways, runs)?;
            if first.value <= 1.0 {
                return Ok(first);
            }
            compare_ways(&ways, runs * AGAIN)
        });
        let ratio = match measured {
            Ok(ratio) => ratio,
            Err(error) => {
                println!("  {}: not measured: {error:#}", path.display());
                failed += 1;
                continue;
            }
        };
        ratios.push(ratio.value);
        if ratio.value > LIMIT || !names.is_empty() {
            let (low, high) = ratio.interval;
            let line = format!("{:.3} ({low:.3}–{high:.3})", ratio.value);
            println!("  {}: {lookups} lookups, {line}", path.display());
        }
        if ratio.value > LIMIT {
            losers.push(path);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let at = |q: usize| ratios.get(ratios.len() * q / 100).or(ratios.last());
    let at = |q| at(q).copied().unwrap_or(f64::NAN);
    println!(
        "bound / direct of {} programs: median {:.3}, quartiles {:.3}–{:.3}, slowest {:.3}; {} \
         above {LIMIT}; {failed} not measured",
        ratios.len(),
        at(50),
        at(25),
        at(75),
        at(100),
        losers.len()
    );
    losers.is_empty()
}
