//! Real starts with mutated files: bindings, tables, notes, libraries.
//!
//! What a mutation may cost differs: bindings only speed; a table or a note at
//! most the start, told by the shim or by ld.so; a library as much as it costs the
//! ordinary program. Nothing may end by a signal, or print something else, where
//! the ordinary start does not.
//!
//! `INDIR_MUTATIONS` is the number of files of each kind (300);
//! tests/scripts/mutated.sh is the long run, whose counts are in
//! docs/compatibility.md.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir_shim::elf::pt;

use crate::support::program::{indirect, ordinary, shared, table_of, update};
use crate::support::{Ran, Scratch, run};

const LIBRARY: &str = "#include <stdlib.h>\n#include <string.h>\n\
    int part_data = 3; int *part_pointer = &part_data; static int ready;\n\
    __attribute__((constructor)) static void up(void) { ready = 1; }\n\
    int part_one(void) { return ready; }\nint part_two(void) { return *part_pointer - 1; }\n\
    char *part_copy(const char *text) { return strcpy(malloc(strlen(text) + 1), text); }\n\
    int (*part_table[])(void) = { part_one, part_two };\n";
const PROGRAM: &str = "#include <stdio.h>\n#include <stdlib.h>\n\
    int part_one(void), part_two(void); char *part_copy(const char *); extern int (*part_table[])(void);\n\
    int main(void) { char *text = part_copy(\"text\");\n\
    printf(\"%s %d %d %d\\n\", text, part_one(), part_two(), part_table[1]()); free(text); return 0; }\n";
const PRINTS: &str = "text 1 2 2\n";

/// A program with a library, ordinary and with a bound plan.
struct Subject {
    dir: Scratch,
    exe: PathBuf,
    ordinary: PathBuf,
}

impl Subject {
    fn new() -> Self {
        let dir = Scratch::new();
        let soname = "-Wl,-soname,libpart.so";
        shared(&dir.join("lib/libpart.so.c"), LIBRARY, &[soname, "-O1"]);
        let folder = dir.join("lib");
        let search = format!("-L{}", folder.display());
        let part = [search.as_str(), "-lpart"];
        let exe = indirect(&dir.join("indirect.c"), PROGRAM, &part);
        let folder = folder.to_str().unwrap();
        update(&exe, &["--plan", "bound", "--lib-dir", folder]);
        let rpath = format!("-Wl,-rpath,{folder}");
        let args = [&part[..], &[&rpath]].concat();
        let ordinary = ordinary(&dir.join("ordinary.c"), PROGRAM, &args);
        let subject = Self { dir, exe, ordinary };
        for exe in [&subject.exe, &subject.ordinary] {
            start(exe, true).success().prints(PRINTS);
        }
        subject
    }

    /// An ordinary start in whose memory things lie elsewhere than in that of another
    /// `layout`: where ld.so reads behind the end of an array, as it does in a library
    /// whose index of a version is too large, or code reads behind the end of a
    /// library, or a segment that grew falls on another, it finds something else
    /// there. The kernel's choice of addresses comes on top.
    fn ordinary_start(&self, layout: usize) -> Ran {
        let mut command = limited(&self.ordinary);
        let folders = format!("{}:{SYSTEM}", self.dir.join("lib").display());
        match layout % 8 {
            _ if layout < 2 => {}
            0..=3 => {
                let number = layout / 8 * 2 + layout % 4 / 2;
                command.env("LD_PRELOAD", self.padding(number % PADDINGS));
            }
            // ld.so keeps a copy of it in its own heap; the folder does not exist.
            4 | 5 => {
                command.env("LD_LIBRARY_PATH", format!("/{}", "x".repeat(layout * 8)));
            }
            // Nothing is looked up in ld.so.cache, which is mapped for that: as in an
            // indirect start.
            6 => {
                let padding = self.padding(layout / 8 % PADDINGS);
                command.env("LD_PRELOAD", padding);
                command.env("LD_LIBRARY_PATH", folders);
            }
            // The program is mapped by ld.so, among the libraries.
            _ => {
                command = limited(Path::new("/lib64/ld-linux-x86-64.so.2"));
                command.args(["--inhibit-cache", "--library-path", &folders, "--preload"]);
                command.arg(self.padding(layout / 8 % PADDINGS));
                command.arg(&self.ordinary);
            }
        }
        if layout % 2 == 1 {
            command.env("LD_BIND_NOW", "1");
        }
        outcome(&mut command)
    }

    /// A library with much memory of its own, of zeros or not.
    fn padding(&self, number: usize) -> PathBuf {
        let library = self.dir.join(format!("libpadding{number}.so"));
        if !library.exists() {
            let size = match number.checked_sub(LARGE) {
                None => (16 << 10) << (2 * number),
                Some(n) => (n + 1) * (12 << 10),
            };
            let filled = match number >= LARGE && number % 2 == 1 {
                true => format!(" = {{ [0 ... {}] = 0x5a }}", size - 1),
                false => String::new(),
            };
            let text = format!("char pad[{size}]{filled};\n");
            shared(&library.with_extension("so.c"), &text, &[]);
        }
        library
    }

    fn bindings(&self) -> PathBuf {
        let mut name = table_of(&self.exe).into_os_string();
        name.push(".bind");
        name.into()
    }
}

/// A command that is stopped after ten seconds.
fn limited(exe: &Path) -> Command {
    let mut command = Command::new("timeout");
    command.args(["-s", "KILL", "10"]).arg(exe);
    command
}

/// What became of it. A test beside this one may just have forked, and its child hold what
/// was written a moment ago open.
fn outcome(command: &mut Command) -> Ran {
    loop {
        let ran = run(command);
        if ran.code() != Some(126) || !ran.stderr().contains("Text file busy") {
            return ran;
        }
    }
}

fn start(exe: &Path, bound: bool) -> Ran {
    let mut command = limited(exe);
    if !bound {
        command.env("INDIR_DISABLE_BINDINGS", "1");
    }
    outcome(&mut command)
}

/// Ordinary starts that are made before a start counts as another than theirs.
const LAYOUTS: usize = 400;
/// Sizes of libraries that such starts load before the mutated one: 16 KiB to 1 GiB,
const LARGE: usize = 9;
/// and some of 12 to 384 KiB.
const PADDINGS: usize = LARGE + 32;
/// Where the libraries of the ordinary program's glibc are.
const SYSTEM: &str = "/lib/x86_64-linux-gnu";

fn is_good(ran: &Ran) -> bool {
    ran.code() == Some(0) && ran.stdout() == PRINTS
}

/// Whether the shim (127) or ld.so (127, or 1 for a version) said why there is no start.
fn is_refusal(ran: &Ran) -> bool {
    matches!(ran.code(), Some(1 | 127)) && ran.stdout().is_empty() && !ran.stderr().is_empty()
}

/// What became of the starts of one kind.
#[derive(Default)]
struct Counts {
    files: usize,
    same: usize,
    refused: usize,
    as_ordinary: usize,
    /// Ordinary starts with the same file end in more than one way.
    by_chance: usize,
    signals: usize,
    wrong: usize,
    faults: Vec<String>,
}

impl Counts {
    /// Counts one start; `ordinary` makes an ordinary one with the same file, laid
    /// out in memory as the number says.
    fn add(&mut self, ran: &Ran, ordinary: impl Fn(usize) -> Ran) {
        // Which signal says only what lay where a wrong address points to.
        let died = |ran: &Ran| ran.output.status.signal().is_some();
        let same = |one: &Ran, other: &Ran| {
            died(one) && died(other)
                || one.output.status == other.output.status && one.stdout() == other.stdout()
        };
        if is_good(ran) {
            self.same += 1;
            return;
        }
        let first = ordinary(0);
        if same(&first, ran) {
            self.as_ordinary += 1;
        } else if is_refusal(ran) {
            self.refused += 1;
        } else if (1..LAYOUTS).any(|n| !same(&first, &ordinary(n))) {
            self.by_chance += 1;
        } else {
            self.fault(ran, &first.to_string());
        }
    }

    /// Counts one start that has no ordinary one to be compared with.
    fn add_without(&mut self, ran: &Ran) {
        if is_good(ran) {
            self.same += 1;
        } else if is_refusal(ran) {
            self.refused += 1;
        } else {
            self.fault(ran, "");
        }
    }

    fn fault(&mut self, ran: &Ran, ordinary: &str) {
        self.faults
            .push(format!("file {}: {ran}\n{ordinary}", self.files));
        if ran.output.status.signal().is_some() {
            self.signals += 1;
        } else {
            self.wrong += 1;
        }
    }

    fn report(&self, kind: &str) {
        println!(
            "{kind}: {} files, {} starts as ever, {} refused, {} as the ordinary start ended, \
             {} where ordinary starts differ, {} signals, {} wrong",
            self.files,
            self.same,
            self.refused,
            self.as_ordinary,
            self.by_chance,
            self.signals,
            self.wrong
        );
        assert!(self.files > 0);
        assert!(self.faults.is_empty(), "{kind}: {}", self.faults.join("\n"));
    }
}

/// Files that differ from `good` somewhere in `places`, which are sorted; the same
/// in every run.
fn mutations(good: &[u8], places: &[usize]) -> impl Iterator<Item = Vec<u8>> {
    let count = std::env::var("INDIR_MUTATIONS").map_or(300, |n| n.parse().expect("a number"));
    let good = good.to_vec();
    let places = places.to_vec();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    (0..count).map(move |_: usize| {
        loop {
            let mut bytes = good.clone();
            for _ in 0..=random(3) {
                let at = places[random(places.len())];
                // Nothing behind the places that are meant.
                let meant = |at: &usize| places.binary_search(at).is_ok();
                let end = at + (at..at + 1 + random(16)).take_while(meant).count();
                match random(8) {
                    0..3 => bytes[at] ^= 1 << random(8),
                    3 => bytes[at] = random(256) as u8,
                    4 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][random(5)],
                    5 => bytes[at..end].fill([0, 0xff][random(2)]),
                    6 => {
                        let from = places[random(places.len())];
                        let len = (end - at).min(bytes.len() - from);
                        bytes.copy_within(from..from + len, at);
                    }
                    _ => {
                        let other = places[random(places.len())];
                        bytes.swap(at, other);
                    }
                }
            }
            if bytes != good {
                break bytes;
            }
        }
    })
}

/// Puts `bytes` in the place of `path`, with its mode.
fn replace(path: &Path, bytes: &[u8]) {
    let new = path.with_extension("new");
    std::fs::write(&new, bytes).unwrap();
    let mode = std::fs::metadata(path).unwrap().permissions();
    std::fs::set_permissions(&new, mode).unwrap();
    std::fs::rename(&new, path).unwrap();
}

fn all(bytes: &[u8]) -> Vec<usize> {
    (0..bytes.len()).collect()
}

#[test]
fn bindings() {
    let subject = Subject::new();
    let path = subject.bindings();
    let good = std::fs::read(&path).unwrap();
    let mut counts = Counts::default();
    for (n, mut bytes) in mutations(&good, &all(&good)).enumerate() {
        // Cut and longer files too.
        match n % 16 {
            0 => bytes.truncate(n * 31 % good.len()),
            1 => bytes.resize(good.len() + 1 + n % 5000, 0),
            _ => {}
        }
        replace(&path, &bytes);
        counts.files += 1;
        counts.add_without(&start(&subject.exe, true));
    }
    counts.report("bindings");
    assert_eq!(counts.same, counts.files, "bindings cost more than speed");
}

#[test]
fn tables() {
    let subject = Subject::new();
    let path = table_of(&subject.exe);
    let good = std::fs::read(&path).unwrap();
    let mut counts = Counts::default();
    for bytes in mutations(&good, &all(&good)) {
        replace(&path, &bytes);
        counts.files += 1;
        counts.add_without(&start(&subject.exe, true));
    }
    counts.report("tables");
    assert!(counts.refused > 0);
}

#[test]
fn notes() {
    let subject = Subject::new();
    let good = std::fs::read(&subject.exe).unwrap();
    let elf = goblin::elf::Elf::parse(&good).unwrap();
    let notes = elf.program_headers.iter().filter(|p| p.p_type == pt::NOTE);
    let mut places: Vec<usize> = notes.flat_map(|p| p.file_range()).collect();
    places.sort_unstable();
    places.dedup();
    assert!(places.len() > 40);
    let mut counts = Counts::default();
    for bytes in mutations(&good, &places) {
        replace(&subject.exe, &bytes);
        counts.files += 1;
        counts.add_without(&start(&subject.exe, true));
    }
    counts.report("notes");
    assert!(counts.refused > 0);
}

#[test]
fn libraries() {
    let subject = Subject::new();
    let path = subject.dir.join("lib/libpart.so");
    let good = std::fs::read(&path).unwrap();
    // Where something is: headers, tables, code, data, not the gaps between.
    let is_something = |at: &usize| good[at.saturating_sub(4)..].iter().take(9).any(|&b| b != 0);
    let elf = goblin::elf::Elf::parse(&good).unwrap();
    let loads = elf.program_headers.iter().filter(|p| p.p_type == pt::LOAD);
    let end = loads.map(|p| p.file_range().end).max().unwrap();
    let places: Vec<usize> = (0..end).filter(is_something).collect();
    let mut counts = Counts::default();
    for bytes in mutations(&good, &places) {
        replace(&path, &bytes);
        counts.files += 1;
        for bound in [false, true] {
            let ordinary = |layout| subject.ordinary_start(layout);
            counts.add(&start(&subject.exe, bound), ordinary);
        }
    }
    counts.report("libraries");
    assert!(counts.same > 0 && counts.as_ordinary > 0);
}
