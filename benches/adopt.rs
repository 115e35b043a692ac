//! `indir adopt` against patchelf, over every dynamically linked executable of
//! /usr/bin: each is to run with another build of glibc.
//!
//! A plain program (`harness = false`). Each tool reads the program and writes a
//! new file in a folder of its own: patchelf is given the interpreter and the
//! run path, `indir adopt` the folder. Printed for each tool: how many bytes the
//! files grew by and how many changed, and of how many programs `--version` then
//! prints something that the original never prints, or ends in another way.
//! Programs that do not even agree with themselves are left out and counted.
//!
//! `-- time` runs none of the programs and measures, for each, the median of
//! five calls of each tool, by turns. `indir adopt` makes its files durable and
//! checks the libraries, patchelf neither. `-- 10` takes every tenth program,
//! `-- NAME…` those.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use goblin::elf::Elf;

/// Longest run of a program.
const LIMIT: Duration = Duration::from_secs(20);

type Call = dyn Fn(&Path, &Path) -> Command;

struct Tool {
    name: String,
    /// Makes the command that reads the first file and writes the second.
    command: Box<Call>,
}

/// What became of the files of one tool.
#[derive(Default)]
struct Score {
    /// Files that the tool refused.
    refused: Vec<String>,
    broken: Vec<String>,
    grown: i64,
    changed: u64,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` only wants to know that this builds.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let cache = std::env::var_os("INDIR_CACHE").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("../cache"),
        PathBuf::from,
    );
    let tools = tools(scratch.path(), &cache);
    let programs = chosen(&arguments);
    println!("{} executables of /usr/bin", programs.len());
    if arguments.iter().any(|argument| argument == "time") {
        time(&tools, &programs, scratch.path());
    } else {
        compare(&tools, &programs, scratch.path());
    }
}

/// The programs that the arguments ask for.
fn chosen(arguments: &[String]) -> Vec<PathBuf> {
    let all = programs();
    let named = |path: &PathBuf| {
        let name = path.file_name().expect("a file name");
        arguments
            .iter()
            .skip(1)
            .any(|argument| argument != "time" && name == &**argument)
    };
    let some: Vec<PathBuf> = all.iter().filter(|path| named(path)).cloned().collect();
    if !some.is_empty() {
        return some;
    }
    let step = arguments.iter().find_map(|argument| argument.parse().ok());
    all.into_iter().step_by(step.unwrap_or(1)).collect()
}

/// Lets the tool make a file; `None` if it refuses.
fn make(tool: &Tool, program: &Path, folder: &Path) -> (Option<PathBuf>, Duration) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir(folder).expect("a folder");
    let made = folder.join(program.file_name().expect("a file name"));
    let mut command = (tool.command)(program, &made);
    let begin = Instant::now();
    let done = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let time = begin.elapsed();
    let done = done.is_ok_and(|status| status.success());
    (done.then_some(made), time)
}

fn time(tools: &[Tool], programs: &[PathBuf], scratch: &Path) {
    let mut times: Vec<Vec<f64>> = tools.iter().map(|_| Vec::new()).collect();
    for program in programs {
        let mut calls: Vec<Vec<f64>> = tools.iter().map(|_| Vec::new()).collect();
        for round in 0..5 {
            for turn in 0..tools.len() {
                let at = (round + turn) % tools.len();
                let (made, time) = make(&tools[at], program, &scratch.join("made"));
                if made.is_some() {
                    calls[at].push(time.as_secs_f64() * 1e3);
                }
            }
        }
        // What one tool refuses is left out for all.
        if calls.iter().all(|calls| calls.len() == 5) {
            for (times, calls) in times.iter_mut().zip(calls) {
                times.push(quantile(&calls, 0.5));
            }
        }
    }
    println!(
        "tool                 programs  ms: 25 %  median    75 %  ratio to adopt: 25 %  median  75 %"
    );
    let adopt = times.last().expect("a tool").clone();
    for (tool, times) in tools.iter().zip(&times) {
        let ratios: Vec<f64> = times.iter().zip(&adopt).map(|(a, b)| a / b).collect();
        let of = |all: &[f64]| [0.25, 0.5, 0.75].map(|part| quantile(all, part));
        let ([a, b, c], [d, e, f]) = (of(times), of(&ratios));
        println!(
            "{:<20} {:>8} {a:>9.1} {b:>7.1} {c:>7.1} {d:>21.2} {e:>7.2} {f:>5.2}",
            tool.name,
            times.len()
        );
    }
}

fn quantile(all: &[f64], part: f64) -> f64 {
    let mut all = all.to_vec();
    all.sort_by(f64::total_cmp);
    all[((all.len() - 1) as f64 * part).round() as usize]
}

fn compare(tools: &[Tool], programs: &[PathBuf], scratch: &Path) {
    let mut scores: Vec<Score> = tools.iter().map(|_| Score::default()).collect();
    let mut unsteady = 0;
    for program in programs {
        let name = program.file_name().expect("a file name");
        let expected = start(program, name.as_ref(), scratch);
        if expected != start(program, name.as_ref(), scratch) {
            unsteady += 1;
            continue;
        }
        let original = std::fs::read(program).expect("a readable executable");
        for (tool, score) in tools.iter().zip(&mut scores) {
            let label = program.display().to_string();
            let folder = scratch.join("made");
            let (Some(made), _) = make(tool, program, &folder) else {
                score.refused.push(label);
                continue;
            };
            let now = std::fs::read(&made).expect("the result");
            score.grown += now.len() as i64 - original.len() as i64;
            let pairs = now.iter().zip(&original);
            score.changed += pairs.filter(|(a, b)| a != b).count() as u64;
            score.changed += now.len().abs_diff(original.len()) as u64;
            let found = start(&made, name.as_ref(), scratch);
            // Some print the lines of several processes as they come.
            let again = |_| start(program, name.as_ref(), scratch) == found;
            if found != expected && !(0..20).any(again) {
                score.broken.push(label);
            }
        }
    }
    println!("{unsteady} do not agree with themselves and were left out");
    println!("tool                refused  broken     bytes grown   bytes changed");
    for (tool, score) in tools.iter().zip(&scores) {
        println!(
            "{:<18} {:>8} {:>7} {:>15} {:>15}",
            tool.name,
            score.refused.len(),
            score.broken.len(),
            score.grown,
            score.changed
        );
    }
    for (tool, score) in tools.iter().zip(&scores) {
        println!("{}: refused {:?}", tool.name, score.refused);
        println!("{}: broken {:?}", tool.name, score.broken);
    }
}

fn tools(scratch: &Path, cache: &Path) -> Vec<Tool> {
    let lib = cache.join("glibc/bookworm/lib/x86_64-linux-gnu");
    let lib = std::fs::canonicalize(&lib)
        .unwrap_or_else(|_| panic!("{}: run tests/scripts/fetch-glibc.sh", lib.display()));
    let prefix = scratch.join("prefix");
    let indir = env!("CARGO_BIN_EXE_indir");
    let setup = Command::new(indir)
        .args(["setup", "--prefix"])
        .arg(&prefix)
        .status();
    assert!(setup.is_ok_and(|status| status.success()), "`indir setup`");
    let newer = cache.join("patchelf/patchelf");
    assert!(newer.exists(), "run tests/scripts/fetch-patchelf.sh");
    let mut tools = Vec::new();
    for path in [PathBuf::from("patchelf"), newer] {
        let version = Command::new(&path)
            .arg("--version")
            .output()
            .expect("patchelf");
        let lib = lib.clone();
        tools.push(Tool {
            name: String::from_utf8_lossy(&version.stdout).trim().to_owned(),
            command: Box::new(move |program, made| {
                let mut command = Command::new(&path);
                command
                    .arg("--set-interpreter")
                    .arg(lib.join("ld-linux-x86-64.so.2"));
                command.arg("--set-rpath").arg(&lib);
                command.arg("--output").arg(made).arg(program);
                command
            }),
        });
    }
    tools.push(Tool {
        name: "indir adopt".to_owned(),
        command: Box::new(move |program, made| {
            let mut command = Command::new(prefix.join("bin/indir"));
            command.args(["adopt", "--lib-dir"]).arg(&lib);
            command.arg("-o").arg(made).arg(program);
            command
        }),
    });
    tools
}

/// Every dynamically linked executable, each once.
fn programs() -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let entries = std::fs::read_dir("/usr/bin").expect("/usr/bin");
    let mut all: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let metadata = std::fs::symlink_metadata(path).expect("to stat it");
            let bytes = || std::fs::read(path).unwrap_or_default();
            let is_dynamic = |data: &[u8]| Elf::parse(data).is_ok_and(|e| e.interpreter.is_some());
            metadata.is_file() && seen.insert(metadata.ino()) && is_dynamic(&bytes())
        })
        .collect();
    all.sort();
    all
}

/// What `PROGRAM --version` prints and how it ends; `None` if it does not.
fn start(program: &Path, name: &Path, scratch: &Path) -> Option<(Option<i32>, Vec<u8>, Vec<u8>)> {
    let (out, err) = (scratch.join("out"), scratch.join("err"));
    let file = |path: &Path| std::fs::File::create(path).expect("a file");
    let home = scratch.join("home");
    let _ = std::fs::remove_dir_all(&home);
    std::fs::create_dir(&home).expect("a folder");
    let mut command = Command::new(program);
    command.arg0(name).arg("--version").env_clear();
    command
        .env("HOME", &home)
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C");
    command
        .current_dir(&home)
        .process_group(0)
        .stdin(Stdio::null());
    let mut child = command.stdout(file(&out)).stderr(file(&err)).spawn().ok()?;
    let status = wait(&mut child)?;
    let text = |path| std::fs::read(path).unwrap_or_default();
    Some((status.code(), text(&out), text(&err)))
}

fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < LIMIT {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}
