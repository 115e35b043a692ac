//! A program for tools to look at: a library of its own, threads, thread-local
//! storage, and ways to work, wait, leak and die. It is built ordinary and
//! indirect in every way that a tool may meet.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::link::facts;
use super::program::{indirect, ordinary, refused_then_updated, shared, update};
use super::{Scratch, as_users_do, cache, glibc_lib, prefix, run};

const LIBRARY: &str = r"
static int up = 0;
__attribute__((constructor)) static void starting(void) { up = 1; }
int lib_call(int (*back)(int), int n) { return back(n) + up; }
unsigned long lib_work(void) {
    volatile unsigned long sum = 0;
    for (unsigned long n = 0; n < 60000000; n++) sum += n;
    return sum;
}
";

const PROGRAM: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int lib_call(int (*back)(int), int n);
unsigned long lib_work(void);
__thread int mine = 7;
static pthread_barrier_t both;
static char block[1 << 20];
static int back(int n) { return n + 1; }
static int forever(int n) { puts("ready"); fflush(stdout); for (;;) pause(); return n; }
static void *waits(void *n) { pthread_barrier_wait(&both); for (;;) pause(); return n; }
static void *worker(void *n) { mine = *(int *)n; return 0; }
static int reads(void) { return atoi("41"); }
static int calls(int n) { return lib_call(back, n); }
static void leaks(void) { volatile char *p = malloc(77); p[0] = 1; p = 0; }
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    pthread_t thread;
    int three = 3;
    // Where Yama allows tracing of children only, the program opts in.
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pthread_create(&thread, 0, worker, &three);
    pthread_join(thread, 0);
    if (!strcmp(what, "abort")) abort();
    if (!strcmp(what, "leak")) leaks();
    if (!strcmp(what, "work")) {
        lib_work();
        for (int n = 0; n < 300; n++) memfrob(block, sizeof block);
    }
    if (!strcmp(what, "wait")) {
        pthread_barrier_init(&both, 0, 2);
        pthread_create(&thread, 0, waits, 0);
        pthread_barrier_wait(&both);
        lib_call(forever, 1);
    }
    printf("%d\n", calls(reads()));
}
"#;

/// What it prints when it ends by itself.
pub(crate) const PRINTS: &str = "43\n";

/// One way to start it.
pub(crate) struct Way {
    /// For failures.
    pub(crate) name: &'static str,
    /// The executable.
    pub(crate) exe: PathBuf,
    /// The folder of the libc.so.6 that it runs with.
    pub(crate) libc: PathBuf,
    /// Whether the binder is in its closure.
    pub(crate) bound: bool,
}

/// The program in all its forms, each in a folder of its own.
pub(crate) struct Subject {
    pub(crate) dir: Scratch,
    /// Where its library lies.
    pub(crate) lib: PathBuf,
    /// Linked without indir, with DT_RUNPATH.
    pub(crate) ordinary: Way,
    /// Direct, bound, and the ordinary one adopted.
    pub(crate) indirect: Vec<Way>,
}

impl Subject {
    /// Under the machine's glibc, late binding.
    #[track_caller]
    pub(crate) fn new() -> Self {
        let dir = Scratch::new();
        let lib = dir.dir("lib");
        let soname = ["-Wl,-soname,libsubject.so"];
        shared(&lib.join("libsubject.so.c"), LIBRARY, &soname);
        let folder = lib.to_str().unwrap();
        let libc = PathBuf::from("/lib/x86_64-linux-gnu");
        let args = ["-L", folder, "-lsubject", "-Wl,-z,lazy"];
        let way = |name, exe, bound| Way {
            name,
            exe,
            libc: libc.clone(),
            bound,
        };

        let rpath = format!("-Wl,-rpath,{folder}");
        let plain = ordinary(
            &dir.join("ordinary/subject.c"),
            PROGRAM,
            &[&args[..], &[&rpath]].concat(),
        );
        let direct = indirect(&dir.join("direct/subject.c"), PROGRAM, &args);
        let bound = dir.dir("bound").join("subject");
        std::fs::copy(&direct, &bound).unwrap();
        refused_then_updated(&direct, &["--lib-dir", folder, "--plan", "direct"]);
        refused_then_updated(&bound, &["--lib-dir", folder, "--plan", "bound"]);
        let adopted = dir.dir("adopted").join("subject");
        run(Command::new(prefix().join("bin/indir"))
            .arg("adopt")
            .arg(&plain)
            .arg("-o")
            .arg(&adopted))
        .success();
        update(&adopted, &["--plan", "bound"]);
        Self {
            ordinary: way("ordinary", plain, false),
            indirect: vec![
                way("direct", direct, false),
                way("bound", bound, true),
                way("adopted", adopted, true),
            ],
            dir,
            lib,
        }
    }

    /// The same, and tables that name glibc 2.41, which is given its symbols.
    #[track_caller]
    pub(crate) fn with_another_glibc() -> Self {
        let mut subject = Self::new();
        let glibc = another_glibc(&subject.dir);
        for (name, like, plan) in [
            ("direct, glibc 2.41", "direct", "direct"),
            ("bound, glibc 2.41", "bound", "bound"),
        ] {
            let exe = subject.dir.dir(format!("{like}-2.41")).join("subject");
            std::fs::copy(&subject.way(like).exe, &exe).unwrap();
            let folders = [glibc.to_str().unwrap(), subject.lib.to_str().unwrap()];
            let args = ["--lib-dir", folders[0], "--lib-dir", folders[1]];
            refused_then_updated(&exe, &[&args[..], &["--plan", plan]].concat());
            subject.indirect.push(Way {
                name,
                exe,
                libc: glibc.clone(),
                bound: plan == "bound",
            });
        }
        subject
    }

    /// The indirect one of this name.
    pub(crate) fn way(&self, name: &str) -> &Way {
        self.indirect.iter().find(|way| way.name == name).unwrap()
    }

    /// All, the ordinary one first.
    pub(crate) fn ways(&self) -> impl Iterator<Item = &Way> {
        std::iter::once(&self.ordinary).chain(&self.indirect)
    }
}

/// Copies of trixie's glibc with its symbols where debuggers and valgrind look,
/// in the folder .debug beside each file.
fn another_glibc(dir: &Scratch) -> PathBuf {
    let from = glibc_lib("trixie");
    let to = dir.dir("glibc");
    let symbols = cache().join("glibc-dbg/trixie/usr/lib/debug/.build-id");
    assert!(
        symbols.is_dir(),
        "{} is missing: run tests/scripts/fetch-glibc.sh (`make test` does)",
        symbols.display()
    );
    for name in ["ld-linux-x86-64.so.2", "libc.so.6", "libthread_db.so.1"] {
        let copy = to.join(name);
        std::fs::copy(from.join(name), &copy).unwrap();
        let id = facts(&copy).build_id.unwrap();
        let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let (folder, rest) = hex.split_at(2);
        let file = format!("{rest}.debug");
        std::fs::create_dir_all(to.join(".debug")).unwrap();
        std::fs::copy(
            symbols.join(folder).join(&file),
            to.join(".debug").join(file),
        )
        .unwrap();
    }
    to
}

/// A process that said that it is ready; killed when dropped.
pub(crate) struct Waiting(Child);

impl Waiting {
    /// Starts `exe` and waits for its line.
    #[track_caller]
    pub(crate) fn start(exe: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(exe);
        let child = as_users_do(command.args(args))
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{}: {error}", exe.display()));
        let mut ready = BufReader::new(child.stdout.take().unwrap());
        let waiting = Self(child);
        let mut line = String::new();
        ready.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{}", exe.display());
        waiting
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> String {
        self.0.id().to_string()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
