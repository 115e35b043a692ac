//! Every program of the system, adopted, beside a plain copy: the same output,
//! error output and exit status; then other libraries under all of them at once.
//!
//! By default a fixed sample of 300; with INDIR_FULL=1 all of them, run after
//! every swap. docs/compatibility.md has the counts of the full run:
//!
//!     INDIR_FULL=1 cargo test --test it system::whole -- --nocapture

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use indir::resolve::Library;

use super::corpus::{FOLDERS, TELLS_LIBRARIES, UNLIKE, corpus, full, is_denied, name, sample};
use crate::support::sandbox::{Did, in_sandbox};
use crate::support::{Scratch, debian_lib, glibc_lib, indir, run, shim};

/// Calls `each` with every item, on two threads.
fn in_parallel<'a, T: Sync>(items: &'a [T], each: impl Fn(&'a T) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    each(item);
                }
            });
        }
    });
}

/// One program: where it is from, its plain copy, its indirect copy.
struct Program {
    source: PathBuf,
    plain: PathBuf,
    table: PathBuf,
    /// What the indirect copy is compared with: the plain copy, or the source if
    /// that finds its libraries only where it is.
    twin: PathBuf,
}

/// Whether the copy of `exe` at `copy` does not find the libraries that `exe` finds
/// beside itself.
fn finds_libraries_beside_itself(exe: &Path, copy: &Path) -> bool {
    let library = Library::open(exe).unwrap();
    let search = library.search.as_ref().map_or(&[][..], |(_, list)| list);
    if !search.windows(7).any(|text| text == b"$ORIGIN") {
        return false;
    }
    let did = in_sandbox(copy, &["--version"]);
    let stderr = String::from_utf8_lossy(&did.stderr);
    did.status == Some(127) && stderr.contains("error while loading shared libraries")
}

/// Trees of the same shape, whose names have the same length: plain copies and
/// indirect ones.
struct Trees {
    dir: Scratch,
    programs: Vec<Program>,
}

impl Trees {
    fn new(sources: Vec<PathBuf>) -> Self {
        let dir = Scratch::new();
        fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let programs = sources.into_iter().map(|source| {
            let below = source.strip_prefix("/usr").unwrap();
            let place = |tree: &str| dir.join(tree).join(below);
            let mut program = Program {
                twin: place("plain"),
                plain: place("plain"),
                table: place("table"),
                source: source.clone(),
            };
            for copy in [&program.plain, &program.table] {
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
            }
            fs::copy(&source, &program.plain).unwrap();
            fs::set_permissions(&program.plain, PermissionsExt::from_mode(0o755)).unwrap();
            if finds_libraries_beside_itself(&source, &program.plain) {
                program.twin.clone_from(&source);
            }
            program
        });
        let programs = programs.collect();
        Self { dir, programs }
    }

    /// Adopts all; returns what was said of those that could not be.
    fn adopt(&mut self) -> Vec<String> {
        let refusals = Mutex::new(Vec::new());
        in_parallel(&self.programs, |program| {
            let ran = run(indir()
                .args(["adopt", "--indir-shim"])
                .arg(shim())
                .arg("-o")
                .args([&program.table, &program.source]));
            if ran.code() != Some(0) {
                refusals.lock().unwrap().push(ran.stderr());
            }
        });
        self.programs.retain(|program| program.table.exists());
        refusals.into_inner().unwrap()
    }

    fn table(&self) -> PathBuf {
        self.dir.join("table")
    }

    /// What `exe`, one of the copies of `program`, does, told as the plain copy would.
    fn run(&self, exe: &Path, args: &[&str]) -> Did {
        let prefix = |tree: &str| format!("{}/", self.dir.join(tree).display());
        in_sandbox(exe, args).comparable(&prefix("table"), &prefix("plain"))
    }
}

/// What the plain copy of a program does with the first arguments that it
/// likes, and with those before.
type Expected = Vec<(Vec<&'static str>, Did)>;

/// `--version`, then `--help`, then nothing, until one works.
fn expectations(trees: &Trees, program: &Program) -> Expected {
    let mut expected = Vec::new();
    for args in [vec!["--version"], vec!["--help"], vec![]] {
        let did = trees.run(&program.twin, &args);
        let worked = did.worked();
        expected.push((args, did));
        if worked {
            break;
        }
    }
    expected
}

/// Why the indirect copy does not do as expected; what `known` names is passed
/// over.
fn differences(
    trees: &Trees,
    program: &Program,
    expected: &Expected,
    known: &[(&str, &str)],
) -> Vec<String> {
    if known
        .iter()
        .any(|(known, _)| *known == name(&program.source))
    {
        return Vec::new();
    }
    let compare = |(args, wanted): &(Vec<&'static str>, Did)| {
        // What has to be killed says more or less until then.
        let same = |did: &Did| did == wanted || did.ran_on() && wanted.ran_on();
        let did = trees.run(&program.table, args);
        if same(&did) {
            return None;
        }
        // Once more both: a busy machine kills early.
        let again = trees.run(&program.twin, args);
        let did = trees.run(&program.table, args);
        let agree = did == again || did.ran_on() && again.ran_on();
        (!agree).then(|| {
            let text = |did: &Did| {
                let said = [did.stdout.clone(), did.stderr.clone()].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let short: String = said.chars().take(600).collect();
                format!("{:?} {short:?}", did.status)
            };
            format!(
                "{} {args:?}\n  plain: {}\n  again: {}\n  table: {}",
                program.source.display(),
                text(wanted),
                text(&again),
                text(&did)
            )
        })
    };
    expected.iter().filter_map(compare).collect()
}

/// Runs all indirect copies; returns everything that differs.
fn check(
    trees: &Trees,
    expected: &BTreeMap<&Path, Expected>,
    known: &[(&str, &str)],
    when: &str,
) -> Vec<String> {
    let all = Mutex::new(Vec::new());
    in_parallel(&trees.programs, |program| {
        if let Some(expected) = expected.get(&*program.source) {
            let found = differences(trees, program, expected, known);
            all.lock().unwrap().extend(found);
        }
    });
    let all = all.into_inner().unwrap();
    println!("{when}: {} differences", all.len());
    for difference in &all {
        println!("  {difference}");
    }
    let all = all.into_iter();
    all.map(|difference| format!("{when}: {difference}"))
        .collect()
}

/// Content of every executable, as a digest.
fn digests(trees: &Trees) -> Vec<Vec<u8>> {
    use sha2::Digest as _;
    let digest = |program: &Program| {
        let bytes = fs::read(&program.table).unwrap();
        sha2::Sha256::digest(bytes).to_vec()
    };
    trees.programs.iter().map(digest).collect()
}

/// Size and time of change of every file of the tables.
fn table_files(folder: &Path) -> BTreeMap<PathBuf, (u64, u64)> {
    let walk = walkdir::WalkDir::new(folder).into_iter().flatten();
    let files = walk.filter(|entry| entry.path().parent().is_some_and(|p| p.ends_with(".indir")));
    let fact = |entry: walkdir::DirEntry| {
        let metadata = entry.metadata().unwrap();
        (entry.into_path(), (metadata.len(), metadata.ino()))
    };
    files.map(fact).collect()
}

/// One `indir update` of everything; prints what it did and returns the
/// programs that it refused.
fn swap(trees: &Trees, what: &str, args: &[String]) -> Vec<String> {
    let before = table_files(&trees.table());
    let sums = digests(trees);
    let began = Instant::now();
    let ran = run(indir()
        .arg("update")
        .arg(trees.table())
        .args(args)
        .arg("--json"));
    let took = began.elapsed();
    let report: serde_json::Value =
        serde_json::from_str(&ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"));
    assert!(sums == digests(trees), "{what}: an executable changed");
    let after = table_files(&trees.table());
    let changed = after
        .iter()
        .filter(|(path, fact)| before.get(*path) != Some(fact));
    let bytes: u64 = changed.clone().map(|(_, (size, _))| size).sum();
    println!(
        "{what}: updated {}, current {}, refused {}, failed {}, {:.2} s, {} files, {bytes} bytes written",
        report["updated"],
        report["current"],
        report["refused"],
        report["failed"],
        took.as_secs_f64(),
        changed.count()
    );
    assert_eq!(report["failed"], 0, "{report}");
    let executables = report["executables"].as_array().unwrap().iter();
    let refused = executables.filter(|entry| entry["state"] == "refused");
    let refused: Vec<String> = refused
        .map(|entry| format!("{}: {}", entry["path"], entry["message"]))
        .collect();
    for line in &refused {
        println!("  {line}");
    }
    refused
}

/// `--lib-dir` or `--replace` with the folder of a library in one of its builds.
fn folder(package: &str, build: &str, soname: &str) -> String {
    let lib = debian_lib(package, build, soname);
    lib.parent().unwrap().display().to_string()
}

const LIBRARIES: [(&str, &str); 4] = [
    ("libssl3", "libssl.so.3"),
    ("libcurl4", "libcurl.so.4"),
    ("libexpat1", "libexpat.so.1"),
    ("libxml2", "libxml2.so.2"),
];

#[test]
fn every_program_runs_alike_and_moves_to_other_libraries() {
    let all = corpus();
    println!(
        "{} dynamically linked executables in {FOLDERS:?}",
        all.len()
    );
    let mut trees = Trees::new(sample(all));
    let began = Instant::now();
    let total = trees.programs.len();
    let refusals = trees.adopt();
    println!(
        "adopted {} of {total} in {:.1} s",
        trees.programs.len(),
        began.elapsed().as_secs_f64()
    );
    for line in &refusals {
        print!("  {line}");
    }
    // A copy elsewhere that cannot find its libraries is no program either.
    assert!(
        refusals
            .iter()
            .all(|line| line.contains("is not found; looked in")),
        "{refusals:?}"
    );

    let expected = Mutex::new(BTreeMap::new());
    in_parallel(&trees.programs, |program| {
        if !is_denied(&program.source) {
            let found = expectations(&trees, program);
            expected.lock().unwrap().insert(&*program.source, found);
        }
    });
    let expected = expected.into_inner().unwrap();
    let by_last = |wanted: &str| {
        let last = expected.values().filter_map(|expected| expected.last());
        last.filter(|(args, did)| args.join(" ") == wanted && did.worked())
            .count()
    };
    let ran_on = expected
        .values()
        .flatten()
        .filter(|(_, did)| did.ran_on())
        .count();
    println!(
        "of {} that may run, {} answer --version, {} --help, {} an empty input; {ran_on} runs had to be killed",
        expected.len(),
        by_last("--version"),
        by_last("--help"),
        by_last("")
    );
    assert!(
        by_last("--version") > expected.len() / 3,
        "hardly any program runs at all: may nobody enter the folder?"
    );
    let mut failures = check(&trees, &expected, &UNLIKE, "the system's libraries");

    let mut known = UNLIKE.to_vec();
    known.extend(TELLS_LIBRARIES);
    let glibc = |build: &str| glibc_lib(build).display().to_string();
    let mut args = vec!["--lib-dir".to_owned(), glibc("old")];
    for (package, soname) in LIBRARIES {
        args.extend(["--lib-dir".to_owned(), folder(package, "old", soname)]);
    }
    swap(&trees, "old builds of all", &args);
    let replace = |old: String, new: String| vec!["--replace".to_owned(), format!("{old}={new}")];
    let mut steps = Vec::new();
    for step in [
        ["old", "bookworm"],
        ["bookworm", "old"],
        ["old", "bookworm"],
        ["bookworm", "trixie"],
        ["trixie", "sid"],
    ] {
        steps.push((
            format!("glibc {} -> {}", step[0], step[1]),
            replace(glibc(step[0]), glibc(step[1])),
        ));
    }
    for (package, soname) in LIBRARIES {
        let [old, new] = ["old", "new"].map(|build| folder(package, build, soname));
        steps.push((format!("{package} old -> new"), replace(old, new)));
    }
    if full() {
        failures.extend(check(&trees, &expected, &known, "old builds of all"));
    }
    for (what, args) in steps {
        swap(&trees, &what, &args);
        if full() {
            failures.extend(check(&trees, &expected, &known, &what));
        }
    }
    if !full() {
        failures.extend(check(&trees, &expected, &known, "new builds of all"));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
