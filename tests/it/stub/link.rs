//! A link against a stub is the link against the real library.
//!
//! For many libraries of the machine programs in C, C++ and Rust are generated
//! that refer to their functions and data. Each is linked against the real
//! libraries in the ordinary way, and against stubs through `indir-ld`, by every
//! linker, as PIE and not, with and without --as-needed. The dynamic symbols,
//! version needs and needed libraries must be equal; and both programs, run with
//! the real libraries, the second one by its table, must find every symbol at the
//! same kind of place, with the same bytes in it.
//!
//! `INDIR_FULL=1 cargo test --release --test it stub::link -- --nocapture` takes
//! every library of /usr/lib/x86_64-linux-gnu in every combination (hours), and
//! `INDIR_FULL=200` the named ones and 200 others; with `INDIR_PART=2/8` the
//! second eighth of them, so that a long run can be spread over time or machines.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use rayon::prelude::*;

use super::copies::full_tree;
use super::facts::facts;
use super::programs::{Language, compile, exports, helper, weak_in_archives, weak_in_one_of};
use super::tree::linkers;
use crate::support::{Scratch, b_flag, indir, run, shim, system_lib};

/// Libraries that take part in many combinations, wherever they are installed.
const NAMED: [&str; 12] = [
    "libc.so.6",
    "libm.so.6",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libz.so.1",
    "libcrypto.so.3",
    "libssl.so.3",
    "ld-linux-x86-64.so.2",
    "libcurl.so.4",
    "libX11.so.6",
    "libglib-2.0.so.0",
    "libLLVM-14.so.1",
];
/// How many more take part in one combination in an ordinary run.
const SAMPLE: usize = 60;

/// How many libraries `INDIR_FULL` asks for beside the named ones: 1 is all.
fn full() -> Option<usize> {
    let text = std::env::var("INDIR_FULL").ok()?;
    match text.parse() {
        Ok(1) | Err(_) => Some(usize::MAX),
        Ok(most) => Some(most),
    }
}

/// The libraries to test, real files, by path; those that must take part first.
fn libraries() -> Vec<PathBuf> {
    let folder = system_lib();
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap_or_default();
        // Sanitizers insist on being first, and on more than a link.
        let odd = ["asan", "lsan", "tsan", "ubsan", "hwasan"]
            .iter()
            .any(|s| name.contains(s));
        let plain = entry.file_type().unwrap().is_file();
        if name.starts_with("lib")
            && name.contains(".so.")
            && plain
            && !odd
            && !NAMED.contains(&name.as_str())
        {
            all.insert(entry.path());
        }
    }
    let named = NAMED.iter().map(|n| folder.join(n));
    let named = named.map(|p| {
        std::fs::canonicalize(&p)
            .unwrap_or_else(|e| panic!("{p:?}: {e}; tests/scripts/deps.sh test"))
    });
    let named: Vec<PathBuf> = named.collect();
    let full = full();
    let others: Vec<PathBuf> = all.into_iter().filter(|p| !named.contains(p)).collect();
    let most = match full {
        None => SAMPLE,
        Some(most) => most.max(200),
    };
    // Evenly over the names.
    let count = others.len().min(most);
    let others: Vec<PathBuf> = (0..count)
        .filter_map(|at| others.get(at * others.len() / count).cloned())
        .collect();
    assert!(
        full.is_none() || others.len() >= 200,
        "only {} libraries are installed",
        others.len()
    );
    let all = named.into_iter().chain(others);
    match full.and(part()) {
        None => all.collect(),
        Some((part, of)) => all.skip(part - 1).step_by(of).collect(),
    }
}

/// `INDIR_PART=K/N`: the Kth of N parts, counted from 1.
fn part() -> Option<(usize, usize)> {
    let text = std::env::var("INDIR_PART").ok()?;
    let parsed = text.split_once('/').and_then(|(part, of)| {
        let (part, of) = (part.parse().ok()?, of.parse().ok()?);
        (1..=of).contains(&part).then_some((part, of))
    });
    Some(parsed.unwrap_or_else(|| panic!("INDIR_PART={text}: a part looks like 2/8")))
}

/// One program, to be linked twice.
struct Job<'a> {
    library: &'a Path,
    tree: &'a Path,
    language: Language,
    /// What the compiler made.
    program: &'a [String],
    flags: &'a [String],
    needed: &'static str,
    dir: &'a Path,
}

impl Job<'_> {
    fn link(&self, name: &str, library: &Path, extra: &[String]) -> Option<PathBuf> {
        let output = self.dir.join(name);
        let mut command = Command::new(self.language.driver());
        // The wrapper finds ld.lld on PATH, which has one version of it.
        if let Some(folder) = self.flags.iter().find_map(|f| f.strip_prefix("-B")) {
            command.env("INDIR_LD", format!("{folder}/ld.lld"));
        }
        command
            .args(extra)
            .args(self.flags)
            .args(self.program)
            .arg(self.needed)
            .arg(library)
            .arg("-o")
            .arg(&output);
        // One more library that nothing uses, to see --as-needed at work.
        command.arg("-lm");
        let ran = run(&mut command);
        (ran.code() == Some(0)).then_some(output)
    }

    fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|f| f.ends_with(flag))
    }

    /// An explanation of a difference; `Ok(false)` if neither link works.
    fn compare(&self) -> Result<bool, String> {
        let stubs = [
            b_flag(),
            format!("-B{}", self.tree.display()),
            format!("-L{}", self.tree.display()),
        ];
        let stub = self.tree.join(self.library.file_name().unwrap());
        let real = self.link("real", self.library, &[]);
        let stub = self.link("stub", &stub, &stubs);
        let (real, stub) = match (real, stub) {
            (Some(real), Some(stub)) => (real, stub),
            (None, None) => return Ok(false),
            (real, _) => return Err(format!("only one links: real {}", real.is_some())),
        };
        let (mut with_real, mut with_stub) = (facts(&real), facts(&stub));
        // mold 1.x prefers a strong function of a shared library to a weak one of an
        // earlier archive or shared library, and in a stub all functions are strong.
        // Rust's own archive of weak functions is in every Rust link.
        let mut passed_over = BTreeSet::new();
        if self.has("mold") {
            passed_over = weak_in_one_of(self.library);
            if self.language == Language::Rust {
                passed_over.extend(weak_in_archives(self.program));
            }
            with_real.leave_out(&passed_over);
            with_stub.leave_out(&passed_over);
        }
        if let Some(text) = with_real.against(&with_stub) {
            return Err(text);
        }
        let updated = run(indir().arg("update").arg(&stub));
        if updated.code() != Some(0) {
            return Err(format!("no table: {updated}"));
        }
        let bytes = std::fs::read(&stub).unwrap();
        let interpreter = goblin::elf::Elf::parse(&bytes).unwrap().interpreter;
        if interpreter != shim().to_str() {
            return Err(format!("not indirect: {interpreter:?}"));
        }
        let (a, b) = (Start::of(&real), Start::of(&stub));
        // mold 1.x marks an undefined symbol with a canonical PLT address as
        // STT_GNU_IFUNC where the real library has that type, and ld.so then
        // calls the PLT entry as a resolver. Against a stub it does not.
        let right = b.code == Some(0) && b.lines.values().all(|l| l.starts_with("same "));
        if a == b || (self.has("mold") && self.has("-no-pie") && right) {
            return Ok(true);
        }
        // What is not the same in two starts of the same program says nothing.
        let again = Start::of(&real);
        let differ = |x: &Start, y: &Start, name: &String| x.lines.get(name) != y.lines.get(name);
        let names: BTreeSet<&String> = a.lines.keys().chain(b.lines.keys()).collect();
        let different: Vec<String> = names
            .into_iter()
            .filter(|name| differ(&a, &b, name) && !differ(&a, &again, name))
            .filter(|name| !passed_over.contains(*name))
            .map(|name| format!("{name}: {:?} / {:?}", a.lines.get(name), b.lines.get(name)))
            .take(9)
            .collect();
        if different.is_empty() && a.code == b.code {
            return Ok(true);
        }
        Err(format!(
            "runs differ: {:?} / {:?} {}",
            a.code,
            b.code,
            different.join(", ")
        ))
    }
}

/// What a program did: what it says of each symbol.
#[derive(Debug, PartialEq, Eq)]
struct Start {
    code: Option<i32>,
    lines: BTreeMap<String, String>,
}

impl Start {
    fn of(program: &Path) -> Self {
        let ran = run(Command::new("timeout").arg("20").arg(program));
        let text = ran.stdout();
        // A library may print something at start, with the time in it.
        let verdict = |l: &str| {
            ["same ", "other ", "none "]
                .iter()
                .any(|v| l.starts_with(v))
        };
        let lines = text.lines().filter_map(|l| l.split_once(' '));
        let lines = lines.filter(|l| verdict(l.1));
        Self {
            code: ran.code(),
            lines: lines.map(|(a, b)| (a.to_owned(), b.to_owned())).collect(),
        }
    }
}

/// One way to link: linker and -pie, --as-needed or not, language.
struct Combination {
    flags: Vec<String>,
    pie: bool,
    needed: &'static str,
    language: Language,
}

fn combinations(scratch: &Scratch) -> Vec<Combination> {
    let mut all = Vec::new();
    for linker in linkers(scratch) {
        for (pie, needed) in [
            (true, "-Wl,--as-needed"),
            (false, "-Wl,--no-as-needed"),
            (true, "-Wl,--no-as-needed"),
            (false, "-Wl,--as-needed"),
        ] {
            for language in Language::ALL {
                let mut flags = linker.clone();
                flags.push(if pie { "-pie" } else { "-no-pie" }.to_owned());
                all.push(Combination {
                    flags,
                    pie,
                    needed,
                    language,
                });
            }
        }
    }
    all
}

#[test]
fn the_same_link_as_against_the_real_library() {
    let scratch = Scratch::new();
    let full = full().is_some();
    let libraries = libraries();
    let (tree, _) = full_tree(&scratch);
    let helpers = [false, true].map(|pie| helper(&scratch, pie));
    let combinations = combinations(&scratch);
    let results: Vec<(String, Result<bool, String>)> = libraries
        .par_iter()
        .enumerate()
        .flat_map_iter(|(index, library)| {
            let dir = scratch.dir(format!("{index}"));
            let mut results = Vec::new();
            let Some(exports) = exports(library) else {
                return results;
            };
            let mut programs: BTreeMap<(Language, bool), Vec<String>> = BTreeMap::new();
            for (at, combination) in combinations.iter().enumerate() {
                // In an ordinary run most libraries see one combination.
                let chosen = index < NAMED.len() && at % 7 == index % 7
                    || at == (index * 7) % combinations.len();
                if !full && !chosen {
                    continue;
                }
                let Combination { language, pie, .. } = *combination;
                let program = programs.entry((language, pie)).or_insert_with(|| {
                    compile(language, pie, &exports, &helpers[usize::from(pie)], &dir)
                });
                let job = Job {
                    library,
                    tree: &tree,
                    language,
                    program,
                    flags: &combination.flags,
                    needed: combination.needed,
                    dir: &dir,
                };
                let what = format!(
                    "{} {language:?} {:?} {}",
                    library.display(),
                    combination.flags,
                    combination.needed
                );
                let result = job.compare();
                if let Err(text) = &result {
                    eprintln!("{what}: {text}");
                }
                results.push((what, result));
            }
            std::fs::remove_dir_all(&dir).unwrap();
            if full {
                eprintln!("{}: {} links", library.display(), results.len());
            }
            results
        })
        .collect();
    let linked = results.iter().filter(|r| matches!(r.1, Ok(true))).count();
    let different: Vec<_> = results
        .iter()
        .filter_map(|(what, r)| Some(format!("{what}: {}", r.as_ref().err()?)))
        .collect();
    eprintln!(
        "{} libraries, {} links, {linked} that work, {} different",
        libraries.len(),
        results.len(),
        different.len()
    );
    assert!(
        different.is_empty(),
        "{} of {}:\n{}",
        different.len(),
        results.len(),
        different.join("\n")
    );
    assert!(
        linked * 10 >= results.len() * 8,
        "only {linked} of {} links work",
        results.len()
    );
}
