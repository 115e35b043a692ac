//! Start-up of small and middling programs, exec to exit, in several ways:
//!
//! - *cache*: the ordinary loader, which finds libraries in ld.so.cache;
//! - *runpath*: the ordinary loader and one RUNPATH folder a library, glibc's
//!   among them, as in a Nix-like store (ld.so tries the folders in order);
//! - *direct*: the shim and a table without bindings, for the same files;
//! - *no table*: the shim and the interpreter that the link asked for; it is to be
//!   compared with *cache*, the same files without the shim;
//! - *before*: as *direct*, by another installation of indir, whose prefix
//!   `INDIR_BENCH_BEFORE` names.
//!
//! One program needs libc alone, the other forty libraries besides. They
//! are run in turn, so that whatever else the machine does hits all alike.
//! `INDIR_BENCH_RUNS` sets the number of runs of each (1,000).
//!
//! The ld.so.cache of forty libraries is made by ldconfig and bound over the
//! machine's in a mount namespace of our own; where that is not permitted the
//! row is left out and said to be.

#[path = "support/rounds.rs"]
mod rounds;
#[path = "support/run.rs"]
mod run;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::bench::{Program, Ratio, Summary};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use rounds::rounds;
use run::run;

const LIBRARIES: usize = 40;

fn main() {
    let runs = std::env::var("INDIR_BENCH_RUNS").map_or(1000, |n| n.parse().expect("a number"));
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let store = scratch.path();
    let indir = env!("CARGO_BIN_EXE_indir");
    run(Command::new(indir)
        .args(["setup", "--prefix"])
        .arg(store.join("prefix")));

    let libraries = libraries(store);
    let glibc = glibc(store);
    let cached = private_cache(store, &libraries);
    if !cached {
        println!("(no private mount namespace here: forty libraries without the cache row)");
    }
    println!("program      loader    median µs (quartiles), ratios of medians (95 % interval)");
    for count in [0, LIBRARIES] {
        let needed = &libraries[..count];
        let source = program(store, count);
        let folders: Vec<_> = needed.iter().map(|l| &l.folder).chain([&glibc]).collect();
        let ordinary = link(store, &source, needed, "cache", &[]);
        let loader = format!("--dynamic-linker={}/{LOADER}", glibc.display());
        let folder_options = folders.iter().map(|f| format!("-rpath={}", f.display()));
        let options: Vec<_> = folder_options.chain([loader]).collect();
        let runpath = link(store, &source, needed, "runpath", &options);
        let prefix = store.join("prefix");
        let direct = indirect(store, "direct", &prefix, &source, needed);
        update(&direct, &prefix, &folders);
        let mut ways = vec![("runpath", runpath), ("direct", direct)];
        if let Some(prefix) = std::env::var_os("INDIR_BENCH_BEFORE") {
            let prefix = PathBuf::from(prefix);
            let before = indirect(store, "before", &prefix, &source, needed);
            update(&before, &prefix, &folders);
            ways.push(("before", before));
        }
        if cached || count == 0 {
            let without = indirect(store, "without", &prefix, &source, needed);
            ways.insert(0, ("cache", ordinary));
            ways.insert(1, ("no table", without));
        }
        report(&format!("{} libs", count + 1), &ways, runs);
    }
}

const LOADER: &str = "ld-linux-x86-64.so.2";

/// A store path with the machine's own glibc, as far as the programs need it.
fn glibc(store: &Path) -> PathBuf {
    let folder = store.join(format!("{:032x}-glibc-2.0/lib", 99));
    fs::create_dir_all(&folder).expect("a store path");
    for name in ["libc.so.6", LOADER] {
        let from = Path::new("/lib/x86_64-linux-gnu").join(name);
        fs::copy(from, folder.join(name)).expect("the machine's glibc");
    }
    folder
}

struct Library {
    folder: PathBuf,
    name: String,
}

/// Forty small libraries, each in a folder of its own.
fn libraries(store: &Path) -> Vec<Library> {
    (0..LIBRARIES)
        .map(|n| {
            let name = format!("part{n}");
            let folder = store.join(format!("{n:032x}-{name}-1.0/lib"));
            fs::create_dir_all(&folder).expect("a store path");
            let source = store.join(format!("{name}.c"));
            let mut text = String::new();
            for f in 0..20 {
                writeln!(text, "int {name}_f{f}(int x) {{ return x + {f}; }}").expect("a string");
            }
            fs::write(&source, text).expect("a source");
            run(Command::new("cc")
                .args(["-O1", "-shared", "-fPIC"])
                .arg(format!("-Wl,-soname,lib{name}.so"))
                .arg(&source)
                .arg("-o")
                .arg(folder.join(format!("lib{name}.so"))));
            Library { folder, name }
        })
        .collect()
}

/// A program that calls one function of each of the first `count` libraries.
fn program(store: &Path, count: usize) -> PathBuf {
    let mut text = String::new();
    for n in 0..count {
        writeln!(text, "int part{n}_f0(int);").expect("a string");
    }
    text.push_str("int main(void) { int x = 0;\n");
    for n in 0..count {
        writeln!(text, "x = part{n}_f0(x);").expect("a string");
    }
    text.push_str("return x; }\n");
    let source = store.join(format!("main{count}.c"));
    fs::write(&source, text).expect("a source");
    source
}

fn cc(needed: &[Library], source: &Path, output: &Path) -> Command {
    let mut command = Command::new("cc");
    command.arg("-O1").arg(source).arg("-o").arg(output);
    for library in needed {
        command
            .arg("-L")
            .arg(&library.folder)
            .arg(format!("-l{}", library.name));
    }
    command
}

fn link(
    store: &Path,
    source: &Path,
    needed: &[Library],
    kind: &str,
    options: &[String],
) -> PathBuf {
    let output = store.join(format!("{}-{kind}", needed.len()));
    let mut command = cc(needed, source, &output);
    for option in options {
        command.arg(format!("-Wl,{option}"));
    }
    run(&mut command);
    output
}

fn indirect(store: &Path, kind: &str, prefix: &Path, source: &Path, needed: &[Library]) -> PathBuf {
    let output = store.join(format!("{}-{kind}", needed.len()));
    let mut command = cc(needed, source, &output);
    run(command.arg(format!("-B{}", prefix.join("libexec/indir").display())));
    output
}

fn update(program: &Path, prefix: &Path, folders: &[&PathBuf]) {
    let mut update = Command::new(prefix.join("bin/indir"));
    update.args(["update", "--plan", "direct"]).arg(program);
    for folder in folders {
        update.arg("--lib-dir").arg(folder);
    }
    run(&mut update);
}

/// Makes ld.so.cache know our libraries too, for this process and its children.
fn private_cache(store: &Path, libraries: &[Library]) -> bool {
    let (conf, cache) = (store.join("ld.so.conf"), store.join("ld.so.cache"));
    let mut text = fs::read_to_string("/etc/ld.so.conf").unwrap_or_default();
    for library in libraries {
        writeln!(text, "{}", library.folder.display()).expect("a string");
    }
    fs::write(&conf, text).expect("a configuration");
    run(Command::new("/sbin/ldconfig")
        .arg("-X")
        .arg("-f")
        .arg(&conf)
        .arg("-C")
        .arg(&cache));
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, private, none))
        .and_then(|()| {
            mount(
                Some(&cache),
                "/etc/ld.so.cache",
                none,
                MsFlags::MS_BIND,
                none,
            )
        })
        .is_ok()
}

/// Runs all ways in turn and prints a row each.
fn report(title: &str, ways: &[(&str, PathBuf)], runs: usize) {
    let programs: Vec<Program> = ways
        .iter()
        .map(|(_, path)| Program::new(path, [""; 0], []).expect("no NUL"))
        .collect();
    // 127 says that the program could not start.
    let samples: Vec<Vec<f64>> = rounds(&programs, runs, |code| code != 127)
        .iter()
        .map(|series| {
            series
                .iter()
                .map(|run| run.wall.as_secs_f64() * 1e6)
                .collect()
        })
        .collect();
    for ((kind, _), series) in ways.iter().zip(&samples) {
        let s = Summary::of(series).expect("runs");
        let mut ratios = String::new();
        for ((other, _), base) in ways.iter().zip(&samples) {
            if other != kind {
                let r = Ratio::of(series, base).expect("runs");
                write!(
                    ratios,
                    "  {:.3} of {other} ({:.3}–{:.3})",
                    r.value, r.interval.0, r.interval.1
                )
                .expect("a string");
            }
        }
        println!(
            "{title:<12} {kind:<9} {:>6.0} ({:.0}–{:.0}){ratios}",
            s.median, s.lower_quartile, s.upper_quartile
        );
    }
}
