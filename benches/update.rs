//! `indir update` against patchelf: 1,000 executables that share 60 libraries.
//!
//! A plain program (`harness = false`): what is timed are whole runs of two
//! tools over files, some hundred milliseconds to seconds each, for which
//! criterion's sampling is no help. The tools alternate within one run, each
//! starting from files without its changes; medians are printed, with the
//! ratio. `indir update` includes making its tables durable (it syncs); patchelf
//! syncs nothing. patchelf is run in three ways: a call for each file, one after
//! another, as a package's fixup does; the same with two calls at a time; and
//! with half of all files in each of two calls at a time.

#[path = "support/run.rs"]
mod run;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use run::run;

const EXECUTABLES: usize = 1000;
const LIBRARIES: usize = 60;
/// Executables that are linked; the others are copies with an id of their own.
const LINKED: usize = 20;
const FUNCTIONS: usize = 20;
const ROUNDS: usize = 5;
/// Longest median of `indir update`.
const LIMIT: Duration = Duration::from_secs(1);
/// Smallest ratio of the medians.
const RATIO: f64 = 5.0;

fn main() {
    // `cargo test --benches` only wants to know that this builds.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let tree = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let libraries = make_libraries(tree.path());
    let linked = link(tree.path(), &libraries);
    for (name, folder_each) in [("one folder", false), ("a folder each", true)] {
        compare(
            name,
            &tree.path().join(name),
            &libraries,
            &linked,
            folder_each,
        );
    }
}

fn make_libraries(tree: &Path) -> PathBuf {
    let folder = tree.join("lib");
    std::fs::create_dir_all(&folder).unwrap();
    for library in 0..LIBRARIES {
        let functions = (0..FUNCTIONS)
            .map(|f| format!("int l{library}_f{f}(int x) {{ return printf(\"%d\", x); }}\n"));
        let source = tree.join("lib.c");
        std::fs::write(
            &source,
            format!("#include <stdio.h>\n{}", functions.collect::<String>()),
        )
        .unwrap();
        let path = folder.join(format!("libbench{library}.so"));
        let soname = format!("-Wl,-soname,libbench{library}.so.1");
        run(Command::new("cc")
            .args(["-shared", "-fPIC", &soname, "-o"])
            .args([&path, &source]));
        std::fs::hard_link(&path, folder.join(format!("libbench{library}.so.1"))).unwrap();
    }
    folder
}

/// Indirect executables made with the plain linker: a note, no RPATH.
fn link(tree: &Path, libraries: &Path) -> Vec<Vec<u8>> {
    let note = tree.join("note.s");
    std::fs::write(
        &note,
        ".section .note.indir,\"a\",@note\n.balign 4\n.long 6, 2f-1f, 1\n.asciz \"indir\"\n.balign 4\n\
         1: .ascii \"0123456789abcdefghij\"\n.asciz \"$ORIGIN/.indir/$ID\"\n2:\n.balign 4\n\
         .section .note.GNU-stack,\"\",@progbits\n",
    )
    .unwrap();
    (0..LINKED)
        .map(|index| {
            let calls = (0..LIBRARIES).map(|l| format!("l{l}_f{}", index % FUNCTIONS));
            let calls: Vec<String> = calls.collect();
            let declared: String = calls
                .iter()
                .map(|call| format!("int {call}(int);\n"))
                .collect();
            let used: String = calls
                .iter()
                .map(|call| format!("n += {call}(n);\n"))
                .collect();
            let source = tree.join("main.c");
            let text = format!("{declared}int main(int n, char **v) {{ {used} return n; }}");
            std::fs::write(&source, text).unwrap();
            let path = tree.join("prog");
            let mut command = Command::new("cc");
            command
                .arg("-o")
                .args([&path, &source, &note])
                .arg("-L")
                .arg(libraries);
            command.args((0..LIBRARIES).map(|library| format!("-lbench{library}")));
            run(&mut command);
            std::fs::read(path).unwrap()
        })
        .collect()
}

/// The executables, fresh; the n-th has n in its id.
/// The executables, in a folder that was not there before: freeing the blocks of
/// another thousand files would be paid for by the next sync, which only
/// `indir update` makes.
fn populate(root: &Path, linked: &[Vec<u8>], folder_each: bool) -> Vec<PathBuf> {
    let place = |index: usize| {
        let folder = if folder_each {
            root.join(index.to_string())
        } else {
            root.to_owned()
        };
        std::fs::create_dir_all(&folder).unwrap();
        folder.join(format!("prog{index}"))
    };
    (0..EXECUTABLES)
        .map(|index| {
            let mut bytes = linked[index % linked.len()].clone();
            let at = bytes
                .windows(20)
                .position(|w| w == b"0123456789abcdefghij")
                .unwrap();
            bytes[at..at + 8].copy_from_slice(&(index as u64).to_le_bytes());
            let path = place(index);
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
                .unwrap();
            path
        })
        .collect()
}

fn settle() {
    run(&mut Command::new("sync"));
}

fn update(root: &Path, libraries: &Path) -> Duration {
    let mut command = Command::new(env!("CARGO_BIN_EXE_indir"));
    command
        .args(["update", "--plan", "direct"])
        .arg(root)
        .arg("--lib-dir")
        .arg(libraries);
    let start = Instant::now();
    run(&mut command);
    start.elapsed()
}

/// How patchelf is run.
struct Way {
    name: &'static str,
    /// Files in each call.
    batch: usize,
    /// Calls at a time.
    workers: usize,
}

const WAYS: [Way; 3] = [
    Way {
        name: "a call a file, one after another",
        batch: 1,
        workers: 1,
    },
    Way {
        name: "a call a file, two at a time",
        batch: 1,
        workers: 2,
    },
    Way {
        name: "all files in two calls at a time",
        batch: EXECUTABLES,
        workers: 2,
    },
];

fn patchelf(files: &[PathBuf], libraries: &Path, way: &Way) -> Duration {
    let one = |files: &[PathBuf]| {
        let mut command = Command::new("patchelf");
        command.args([
            "--set-interpreter",
            "/lib64/ld-linux-x86-64.so.2",
            "--set-rpath",
        ]);
        command.arg(libraries).args(files);
        let status = command.stdin(Stdio::null()).status();
        assert!(
            status
                .expect("patchelf (apt-get install patchelf)")
                .success()
        );
    };
    let start = Instant::now();
    std::thread::scope(|scope| {
        for part in files.chunks(files.len().div_ceil(way.workers)) {
            scope.spawn(move || part.chunks(way.batch).for_each(one));
        }
    });
    start.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn compare(name: &str, root: &Path, libraries: &Path, linked: &[Vec<u8>], folder_each: bool) {
    let (mut cold, mut current) = (Vec::new(), Vec::new());
    let mut patched = WAYS.map(|_| Vec::new());
    for round in 0..ROUNDS {
        let own = root.join(format!("{round}"));
        populate(&own, linked, folder_each);
        settle();
        cold.push(update(&own, libraries));
        settle();
        current.push(update(&own, libraries));
        for (index, (way, times)) in WAYS.iter().zip(&mut patched).enumerate() {
            let files = populate(&root.join(format!("{round}-{index}")), linked, folder_each);
            settle();
            times.push(patchelf(&files, libraries, way));
        }
    }
    let (cold, current) = (median(cold), median(current));
    let goal = if cold < LIMIT { "met" } else { "missed" };
    println!("{EXECUTABLES} executables in {name}, {LIBRARIES} libraries, medians of {ROUNDS}:");
    println!("  indir update, no table yet, durable {cold:>10.1?} (under {LIMIT:?}: {goal})");
    println!("  indir update, every table current   {current:>10.1?}");
    for (way, times) in WAYS.iter().zip(patched) {
        let time = median(times);
        let ratio = time.as_secs_f64() / cold.as_secs_f64();
        let name = way.name;
        println!("  patchelf, {name:<33} {time:>10.1?}, {ratio:.1} of indir's (goal {RATIO})");
    }
}
