//! `indir update` against patchelf: 1,000 executables that share 60 libraries.
//!
//! A plain program (`harness = false`): what is timed are whole runs of two
//! tools over files, some hundred milliseconds to seconds each, for which
//! criterion's sampling is no help. The tools alternate within one run, each
//! starting from files without its changes; medians are printed, with the
//! ratio. `indir update` includes making its tables durable (it syncs); patchelf
//! syncs nothing. patchelf is called as scripts and nixpkgs call it, once a file
//! with `--set-interpreter` and `--set-rpath`, two calls at a time; how long it
//! takes with half of all files in each of two calls is printed too. Fails if
//! the promise of docs/benchmarks.md is not kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
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
fn populate(root: &Path, linked: &[Vec<u8>], folder_each: bool) -> Vec<PathBuf> {
    let _ = std::fs::remove_dir_all(root);
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
        .arg("update")
        .arg(root)
        .arg("--lib-dir")
        .arg(libraries);
    let start = Instant::now();
    run(&mut command);
    start.elapsed()
}

/// Two patchelf processes at a time, each with `batch` files.
fn patchelf(files: &[PathBuf], libraries: &Path, batch: usize) -> Duration {
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
    let (first, second) = files.split_at(files.len() / 2);
    std::thread::scope(|scope| {
        for half in [first, second] {
            scope.spawn(move || half.chunks(batch).for_each(one));
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
    let (mut patched, mut batched) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        populate(root, linked, folder_each);
        settle();
        cold.push(update(root, libraries));
        settle();
        current.push(update(root, libraries));
        for (batch, times) in [(1, &mut patched), (EXECUTABLES, &mut batched)] {
            let files = populate(root, linked, folder_each);
            settle();
            times.push(patchelf(&files, libraries, batch));
        }
    }
    let (cold, current) = (median(cold), median(current));
    let (patched, batched) = (median(patched), median(batched));
    let ratio = patched.as_secs_f64() / cold.as_secs_f64();
    println!("{EXECUTABLES} executables in {name}, {LIBRARIES} libraries, medians of {ROUNDS}:");
    println!("  indir update, no table yet, durable         {cold:>10.1?}");
    println!("  indir update, every table current           {current:>10.1?}");
    println!("  patchelf, a call a file, not durable        {patched:>10.1?}");
    println!("  patchelf, all files in 2 calls, not durable {batched:>10.1?}");
    println!("  patchelf (a call a file) / indir            {ratio:>10.1}");
    let met = |yes: bool| if yes { "met" } else { "missed" };
    println!(
        "  under {LIMIT:?}: {}; {RATIO} times faster than patchelf: {}",
        met(cold < LIMIT),
        met(ratio >= RATIO)
    );
}
