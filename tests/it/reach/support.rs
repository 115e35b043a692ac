//! A library of many kinds of things, and a program for each of its functions.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::support::{Ran, Scratch, cc, indir, need, run};

/// What the library consists of; `-D` changes one thing at a time.
const C: &str = r#"
#ifndef TABLE
#define TABLE 66
#endif
#ifndef TEXT
#define TEXT "a text that is told"
#endif
#ifndef FACTOR
#define FACTOR 3
#endif
#ifndef REAL
#define REAL 2.5
#endif
#ifndef ENTRY
#define ENTRY plus
#endif
#ifndef CASE
#define CASE 5
#endif
#ifndef INITIAL
#define INITIAL 7
#endif
#ifndef CHOICE
#define CHOICE 1
#endif
#ifndef LOCAL_CHOICE
#define LOCAL_CHOICE 1
#endif
#ifndef MEMBER
#define MEMBER 2
#endif
#ifndef SHARED
#define SHARED one
#endif
static const int table[8] = { 11, 22, 33, 44, 55, TABLE, 77, 88 };
int table_read(int i) { return table[i & 7]; }
const int *table_inside(void) { return table + 3; }
#ifdef EXTRA
static const char *const more[] = { "unrelated", "texts" };
static int more_calls;
const char *extra(int i) { more_calls++; return more[i & 1]; }
#endif
int plain(int i) { return i + 2; }
static __attribute__((noinline)) int helper(int i) { return i * FACTOR; }
int helped(int i) { return helper(i) + 1; }
const char *told(int i) { return i ? TEXT : "another text"; }
double scaled(double x) { return x * REAL; }
static int plus(int i) { return i + 40; }
static int minus(int i) { return i - 40; }
static int times(int i) { return i * 40; }
static int (*const operations[])(int) = { ENTRY, minus, times };
int dispatched(int i) { return operations[i & 1](i); }
extern int plain(int);
int switched(int i, int j) {
    switch (i) {
    case 0: return plus(j) * 3;
    case 1: return helper(j) + 11;
    case 2: return j / 7;
    case 3: return j << CASE;
    case 4: return minus(j) ^ j;
    case 5: return times(j) | 9;
    case 6: return j % 13;
    case 7: return helper(j) - 17;
    default: return 0;
    }
}
static __thread int own = INITIAL;
static __thread int own_too = 3;
int thread_read(void) { return own++ + own_too; }
static volatile int which = CHOICE;
static int first(void) { return 1; }
static int second(void) { return 2; }
static void *choose(void) { return which ? (void *)first : (void *)second; }
int chosen(void) __attribute__((ifunc("choose")));
static volatile int which_too = LOCAL_CHOICE;
static void *choose_too(void) { return which_too ? (void *)second : (void *)first; }
static int local_chosen(void) __attribute__((ifunc("choose_too")));
int calls_chosen(void) { return local_chosen() + 5; }
__attribute__((section("listed"), used)) static int member_1 = 1;
__attribute__((section("listed"), used)) static int member_2 = MEMBER;
extern int __start_listed[], __stop_listed[];
int members(void) { int n = 0; for (int *p = __start_listed; p < __stop_listed; p++) n += *p; return n; }
static volatile int one, two;
__attribute__((noinline)) int stores(int i) { one = i; two = i + 1; return 0; }
__attribute__((noinline)) int loads(void) { return SHARED; }
int both(int i) { return stores(i) + loads(); }
"#;

const CXX: &str = r#"
#ifndef CAUGHT
#define CAUGHT int
#endif
#ifndef VIRTUAL
#define VIRTUAL 4
#endif
extern "C" int outside(int);
struct Base { virtual int value(); virtual ~Base() {} };
int Base::value() { return VIRTUAL; }
extern "C" int overridden(void) { Base own; Base *volatile b = &own; return b->value(); }
extern "C" int outside(int i) { if (i) throw i; return 0; }
extern "C" int caught(int i) { try { return outside(i); } catch (CAUGHT &) { return 1; } }
"#;

/// Every function that the library offers.
pub(super) const FUNCTIONS: [&str; 18] = [
    "table_read",
    "table_inside",
    "plain",
    "helped",
    "told",
    "scaled",
    "dispatched",
    "switched",
    "thread_read",
    "chosen",
    "calls_chosen",
    "members",
    "stores",
    "loads",
    "both",
    "overridden",
    "outside",
    "caught",
];

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Compiles the library into `folder`, in which its sources are too; `order` says in
/// which order its objects are linked.
pub(super) fn library(folder: &Path, defines: &[&str], order: &[&str]) -> PathBuf {
    let defines: Vec<String> = defines.iter().map(|define| format!("-D{define}")).collect();
    library_with(folder, &defines, order)
}

/// The same with arguments of the compiler.
pub(super) fn library_with(folder: &Path, args: &[String], order: &[&str]) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    need("g++", "g++");
    let mut objects = Vec::new();
    for (name, source, tool) in [("c.c", C, "cc"), ("x.cc", CXX, "c++"), ("d.c", OTHER, "cc")] {
        let file = folder.join(name);
        std::fs::write(&file, source).unwrap();
        let object = file.with_extension("o");
        let mut command = Command::new(tool);
        command.args(["-O2", "-fPIC", "-c", "-o", text(&object), text(&file)]);
        run(command.args(args)).success();
        objects.push((name, object));
    }
    let out = folder.join("libmany.so.1");
    let sorted = order
        .iter()
        .map(|name| &objects.iter().find(|(own, _)| own == name).unwrap().1);
    let mut command = Command::new("c++");
    command.args(["-shared", "-Wl,-soname,libmany.so.1", "-o", text(&out)]);
    run(command.args(sorted)).success();
    out
}

const OTHER: &str = "static const int table[3] = { 5, 6, 7 };\n\
    static int count;\n\
    int other(int i) { count += table[i % 3]; return count; }\n";

pub(super) const ORDER: [&str; 3] = ["c.c", "x.cc", "d.c"];

/// The library unchanged, and a program for each of its functions.
pub(super) struct Many {
    pub(super) dir: Scratch,
    pub(super) library: PathBuf,
    pub(super) programs: Vec<PathBuf>,
}

impl Many {
    pub(super) fn new() -> Self {
        let dir = Scratch::new();
        let library = library(&dir.join("old"), &[], &ORDER);
        let programs = FUNCTIONS.iter().map(|name| program(&dir, &library, name));
        let programs = programs.collect();
        Self {
            dir,
            library,
            programs,
        }
    }

    /// The states of the programs with another build of the library, by function.
    pub(super) fn states(&self, new: &Path) -> BTreeMap<String, String> {
        states(&reach_json(&self.library, new, &self.programs, &[]))
    }

    /// The functions whose programs are affected; none is unknown.
    pub(super) fn affected(&self, new: &Path) -> Vec<String> {
        let states = self.states(new);
        assert!(
            states.values().all(|state| state != "unknown"),
            "{states:?}"
        );
        let affected = states.into_iter().filter(|(_, state)| state == "affected");
        affected.map(|(name, _)| name).collect()
    }
}

/// A program that calls `function` and nothing else of the library.
pub(super) fn program(dir: &Scratch, library: &Path, function: &str) -> PathBuf {
    let source =
        format!("int {function}(int);\nint main(int c, char **v) {{ return {function}(c); }}\n");
    let file = dir.file(format!("bin/{function}.c"), source);
    let out = file.with_extension("");
    cc([
        "-w",
        "-fno-builtin",
        "-o",
        text(&out),
        text(&file),
        text(library),
    ]);
    out
}

/// What `indir reach` says.
pub(super) fn reach(old: &Path, new: &Path, programs: &[PathBuf], more: &[&str]) -> Ran {
    run(indir()
        .arg("reach")
        .args([old, new])
        .args(programs)
        .args(more))
}

/// The same as JSON.
pub(super) fn reach_json(old: &Path, new: &Path, programs: &[PathBuf], more: &[&str]) -> Value {
    let more = [more, &["--json"]].concat();
    let ran = reach(old, new, programs, &more);
    serde_json::from_str(&ran.stdout()).unwrap_or_else(|error| panic!("{error}: {ran}"))
}

/// From a document: the states by names of the programs.
pub(super) fn states(document: &Value) -> BTreeMap<String, String> {
    let executables = document["executables"].as_array().unwrap().iter();
    let states = executables.map(|one| {
        let path = Path::new(one["path"].as_str().unwrap());
        let name = path.file_name().unwrap().to_str().unwrap();
        (name.to_owned(), one["state"].as_str().unwrap().to_owned())
    });
    states.collect()
}

/// A small generator of numbers, the same in every run.
pub(super) fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    usize::try_from(*state >> 16).unwrap()
}
