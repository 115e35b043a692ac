//! What the linker wrapper adds to a small link (C, dynamic, one object):
//!
//! - *plain*: the real linker;
//! - *wrapped*: `indir-ld`, which checks the output;
//! - *own id*: with `--build-id=none`, so that the wrapper hashes the output.
//!
//! They run in turn, so that whatever else the machine does hits all alike.
//! `INDIR_BENCH_RUNS` sets the number of runs of each (200). What counts is the
//! median, over all rounds, of the difference within a round; processor time is
//! printed too, which other load on the machine changes less.

#[path = "support/rounds.rs"]
mod rounds;
#[path = "support/run.rs"]
mod run;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::bench::{Program, Run, Summary};

use rounds::rounds;
use run::run;

/// Most that a wrapped link shall cost over the plain one, in milliseconds.
const LIMIT: f64 = 5.0;

fn main() {
    let runs = std::env::var("INDIR_BENCH_RUNS").map_or(200, |n| n.parse().expect("a number"));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let prefix = scratch.path().join("prefix");
    run(Command::new(env!("CARGO_BIN_EXE_indir"))
        .args(["setup", "--prefix"])
        .arg(&prefix));
    let source = scratch.path().join("a.c");
    let text = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";
    std::fs::write(&source, text).expect("a source");
    run(Command::new("cc")
        .args(["-c", "-o"])
        .arg(scratch.path().join("a.o"))
        .arg(&source));

    println!("linker  way        median ms (quartiles)    over plain, ms: wall, processor");
    let mut worst = f64::MIN;
    for linker in ["bfd", "gold", "lld", "mold"] {
        worst = worst.max(report(linker, &prefix, scratch.path(), runs));
    }
    let verdict = if worst < LIMIT { "met" } else { "missed" };
    println!("at most {worst:.2} ms over the plain linker; limit {LIMIT} ms {verdict}");
}

/// The path of a tool on PATH.
fn tool(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("`{name}` is not on PATH (`make deps` installs it)"))
}

/// What GCC passes to a linker for one object, without its plugin.
fn arguments(folder: &Path, output: &str, more: &[&str]) -> Vec<OsString> {
    let file = |name: &str| -> OsString {
        let printed = run(Command::new("cc").arg(format!("-print-file-name={name}")));
        printed.trim_end().into()
    };
    let mut args: Vec<OsString> = ["--eh-frame-hdr", "-m", "elf_x86_64", "--hash-style=gnu"]
        .map(OsString::from)
        .to_vec();
    args.extend(["-dynamic-linker", "/lib64/ld-linux-x86-64.so.2", "-pie"].map(OsString::from));
    args.extend(["-o".into(), folder.join(output).into()]);
    args.extend(["Scrt1.o", "crti.o", "crtbeginS.o"].map(file));
    args.push(folder.join("a.o").into());
    args.extend(
        [
            "-L/lib/x86_64-linux-gnu",
            "-L/usr/lib/x86_64-linux-gnu",
            "-lc",
        ]
        .map(OsString::from),
    );
    args.extend(["crtendS.o", "crtn.o"].map(file));
    args.extend(more.iter().map(OsString::from));
    args
}

/// Measures one linker and returns the largest difference, in milliseconds.
fn report(linker: &str, prefix: &Path, folder: &Path, runs: usize) -> f64 {
    let real = tool(&format!("ld.{linker}"));
    let wrapper = prefix.join(format!("libexec/indir/ld.{linker}"));
    let environment = || -> Vec<(String, String)> {
        vec![("PATH".into(), std::env::var("PATH").unwrap_or_default())]
    };
    let ways = [
        ("plain", &real, &["--build-id=sha1"][..]),
        ("wrapped", &wrapper, &["--build-id=sha1"]),
        ("own id", &wrapper, &["--build-id=none"]),
    ];
    let programs: Vec<Program> = ways
        .iter()
        .map(|(way, program, more)| {
            let output = format!("{linker}-{}", way.replace(' ', "-"));
            let args = arguments(folder, &output, more);
            Program::new(program, args, environment()).expect("no NUL")
        })
        .collect();
    let milliseconds = |run: &Run| (run.wall.as_secs_f64() * 1e3, run.cpu.as_secs_f64() * 1e3);
    let samples: Vec<Vec<_>> = rounds(&programs, runs, |code| code == 0)
        .iter()
        .map(|series| series.iter().map(milliseconds).collect())
        .collect();
    let median = |values: Vec<f64>| Summary::of(&values).expect("runs").median;
    let mut worst = f64::MIN;
    for ((way, ..), series) in ways.iter().zip(&samples) {
        let walls: Vec<f64> = series.iter().map(|run| run.0).collect();
        let s = Summary::of(&walls).expect("runs");
        let (low, high) = (s.lower_quartile, s.upper_quartile);
        print!(
            "{linker:<7} {way:<9} {:>7.2} ({low:.2}–{high:.2})",
            s.median
        );
        if *way == "plain" {
            println!();
            continue;
        }
        let pairs = || series.iter().zip(&samples[0]);
        let wall = median(pairs().map(|(a, b)| a.0 - b.0).collect());
        let cpu = median(pairs().map(|(a, b)| a.1 - b.1).collect());
        println!("    {wall:+.2}, {cpu:+.2}");
        worst = worst.max(wall);
    }
    worst
}
