//! `indir adopt` against patchelf, over every dynamically linked executable of
//! /usr/bin: each is to run with another build of glibc.
//!
//! A plain program (`harness = false`). patchelf is given the interpreter and
//! the run path, `indir adopt` the folder. Printed for each tool: how long it
//! took for all files, a call for each; how many bytes the files grew by and
//! how many changed; and of how many programs `--version` then prints
//! something else, or ends in another way, than that of the original. Programs
//! that do not even agree with themselves are left out and counted. `indir
//! adopt` makes its files durable, patchelf syncs nothing.
//!
//! `cargo bench --bench adopt -- time` leaves out what is not timed.

use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use goblin::elf::Elf;

/// Longest run of a program.
const LIMIT: Duration = Duration::from_secs(20);

struct Tool {
    name: String,
    /// Makes the command that changes the file in place.
    command: Box<dyn Fn(&Path) -> Command>,
}

/// What became of the files of one tool.
#[derive(Default)]
struct Score {
    time: Duration,
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
    let only_time = arguments.iter().any(|argument| argument == "time");
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let cache = std::env::var_os("INDIR_CACHE").map_or_else(
        || Path::new(env!("CARGO_TARGET_TMPDIR")).join("../cache"),
        PathBuf::from,
    );
    let tools = tools(scratch.path(), &cache);
    let programs = programs();
    println!("{} executables of /usr/bin", programs.len());
    let mut scores: Vec<Score> = tools.iter().map(|_| Score::default()).collect();
    let mut unsteady = 0;
    for (n, program) in programs.iter().enumerate() {
        let name = program.file_name().expect("a file name");
        let expected = if only_time {
            None
        } else {
            let first = start(program, name.as_ref(), scratch.path());
            if first != start(program, name.as_ref(), scratch.path()) {
                unsteady += 1;
                continue;
            }
            Some(first)
        };
        let original = std::fs::read(program).expect("a readable executable");
        // Each round begins with another tool.
        for turn in 0..tools.len() {
            let at = (n + turn) % tools.len();
            let (tool, score) = (&tools[at], &mut scores[at]);
            let folder = scratch.path().join(format!("{n}.{at}"));
            std::fs::create_dir(&folder).expect("a folder");
            let copy = folder.join(name);
            std::fs::copy(program, &copy).expect("a copy");
            std::fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).expect("its mode");
            let begin = Instant::now();
            let done = (tool.command)(&copy)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            score.time += begin.elapsed();
            let label = program.display().to_string();
            if done.is_ok_and(|status| status.success()) {
                let now = std::fs::read(&copy).expect("the result");
                score.grown += now.len() as i64 - original.len() as i64;
                let pairs = now.iter().zip(&original);
                score.changed += pairs.filter(|(a, b)| a != b).count() as u64;
                score.changed += now.len().abs_diff(original.len()) as u64;
                let differs =
                    |expected: &Option<_>| start(&copy, name.as_ref(), scratch.path()) != *expected;
                if expected.as_ref().is_some_and(differs) {
                    score.broken.push(label);
                }
            } else {
                score.refused.push(label);
            }
            std::fs::remove_dir_all(folder).expect("to remove the copy");
        }
    }
    if !only_time {
        println!("{unsteady} do not agree with themselves and were left out");
    }
    println!("tool                seconds  refused  broken     bytes grown   bytes changed");
    for (tool, score) in tools.iter().zip(&scores) {
        println!(
            "{:<18} {:>8.2} {:>8} {:>7} {:>15} {:>15}",
            tool.name,
            score.time.as_secs_f64(),
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
            command: Box::new(move |file| {
                let mut command = Command::new(&path);
                command
                    .arg("--set-interpreter")
                    .arg(lib.join("ld-linux-x86-64.so.2"));
                command.arg("--set-rpath").arg(&lib).arg(file);
                command
            }),
        });
    }
    tools.push(Tool {
        name: "indir adopt".to_owned(),
        command: Box::new(move |file| {
            let mut command = Command::new(prefix.join("bin/indir"));
            command
                .args(["adopt", "--in-place", "--lib-dir"])
                .arg(&lib)
                .arg(file);
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
