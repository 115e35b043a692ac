//! Updates while programs start and run.
//!
//! `updates_while_programs_start` starts programs on two threads for ten
//! seconds; docs/compatibility.md has the counts of the long run:
//!
//!     INDIR_FULL=1 cargo test --test it concurrent -- --nocapture

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::support::program::{indirect, ordinary, table_of, update};
use crate::support::{Scratch, as_users_do, glibc_lib, indir, run};

/// Prints the version of its libc, after checks that its own slots hold what
/// ld.so's lookup finds: bindings of another libc would not.
const PROBE: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
    char *line = NULL;
    size_t size = 0;
    FILE *maps = fopen("/proc/self/maps", "r");
    int libcs = 0;
    while (getline(&line, &size, maps) > 0)
        libcs += strstr(line, "/libc.so.6") && strstr(line, " 00000000 ");
    if (libcs != 1) return 3;
    if (dlsym(RTLD_DEFAULT, "qsort") != (void *)qsort) return 4;
    if (dlsym(RTLD_DEFAULT, "getline") != (void *)getline) return 5;
    if (dlsym(RTLD_DEFAULT, "environ") != (void *)&environ) return 6;
    puts(gnu_get_libc_version());
}
"#;

/// What C++ needs: exceptions, constructors, a second library.
const WORDS: &str = r#"
#include <gnu/libc-version.h>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
static std::map<std::string, int> words{{"a", 1}};
int main() {
    try { words.at("b"); } catch (const std::out_of_range &) { std::cout << gnu_get_libc_version() << "\n"; }
}
"#;

fn full() -> bool {
    std::env::var_os("INDIR_FULL").is_some()
}

fn lib(build: &str) -> String {
    glibc_lib(build).display().to_string()
}

/// The version that a program prints on that build: `2.36` or the like.
fn version(build: &str) -> String {
    let root = crate::support::glibc(build);
    let name = root.file_name().unwrap().to_str().unwrap();
    name.split('-').next().unwrap().to_owned()
}

/// Starts `exe` and returns what it printed, or how it failed.
fn start(exe: &Path) -> Result<String, String> {
    let ran = run(&mut Command::new(exe));
    match (ran.code(), ran.stderr().is_empty()) {
        (Some(0), true) => Ok(ran.stdout().trim().to_owned()),
        _ => Err(ran.to_string()),
    }
}

#[test]
fn updates_while_programs_start() {
    let dir = Scratch::new();
    let apps = dir.dir("apps");
    let builds = ["old", "trixie"];
    let from = lib(builds[0]);
    let mut programs: Vec<PathBuf> = Vec::new();
    for (name, source, plan) in [
        ("direct.c", PROBE, "direct"),
        ("bound.c", PROBE, "bound"),
        ("words.cc", WORDS, "bound"),
    ] {
        let exe = indirect(&apps.join(name), source, &[]);
        update(&exe, &["--lib-dir", &from, "--plan", plan]);
        programs.push(exe);
    }
    let length = Duration::from_secs(if full() { 60 } else { 10 });
    let over = AtomicBool::new(false);
    let updates = AtomicUsize::new(0);
    let seen: Mutex<BTreeMap<(usize, String), usize>> = Mutex::new(BTreeMap::new());
    let failures = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for number in (0..programs.len()).cycle() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    match start(&programs[number]) {
                        Ok(version) => {
                            *seen.lock().unwrap().entry((number, version)).or_default() += 1;
                        }
                        Err(why) => failures.lock().unwrap().push(why),
                    }
                }
            });
        }
        let began = Instant::now();
        for step in (0..2).cycle() {
            if began.elapsed() > length {
                break;
            }
            let (old, new) = (lib(builds[step]), lib(builds[1 - step]));
            // The plans stay as they are, one direct and two bound.
            for (exe, plan) in programs.iter().zip(["direct", "bound", "bound"]) {
                let replace = format!("{old}={new}");
                update(exe, &["--replace", &replace, "--plan", plan]);
                updates.fetch_add(1, Ordering::Relaxed);
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    let (failures, seen) = (failures.into_inner().unwrap(), seen.into_inner().unwrap());
    let starts: usize = seen.values().sum();
    println!(
        "{starts} starts, {} updates in {} s, {} failures: {seen:?}",
        updates.load(Ordering::Relaxed),
        length.as_secs(),
        failures.len()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let versions = builds.map(version);
    for number in 0..programs.len() {
        for version in &versions {
            let count = seen.get(&(number, version.clone())).copied().unwrap_or(0);
            assert!(count > 0, "{version} never seen: {seen:?}");
        }
    }
    assert!(
        seen.keys().all(|(_, version)| versions.contains(version)),
        "{seen:?}"
    );
}

/// Does what each line on stdin says, and answers with a line.
const SERVER: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *argument) { return argument; }
static int open_plugin(const char *name, char *answer, size_t size) {
    void *handle = dlopen(name, RTLD_NOW);
    struct link_map *map;
    if (!handle) { snprintf(answer, size, "%s", dlerror()); return 1; }
    if (dlinfo(handle, RTLD_DI_LINKMAP, &map)) return 2;
    snprintf(answer, size, "%s", map->l_name);
    return 0;
}
int main(int argc, char **argv) {
    char line[512], answer[4096];
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) { puts(gnu_get_libc_version()); return 0; }
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        char *rest = strchr(line, ' ');
        if (rest) *rest++ = 0;
        if (!strcmp(line, "version")) puts(gnu_get_libc_version());
        else if (!strcmp(line, "open")) { open_plugin(rest, answer, sizeof answer); puts(answer); }
        else if (!strcmp(line, "fork")) {
            /* A zygote: each child opens a library, has a thread, and ends. */
            int count = atoi(rest), good = 0;
            for (int i = 0; i < count; i++)
                if (fork() == 0) {
                    pthread_t thread;
                    void *result = NULL;
                    int bad = open_plugin("libutil.so.1", answer, sizeof answer);
                    if (pthread_create(&thread, NULL, work, answer)) bad = 3;
                    if (pthread_join(thread, &result) || result != answer) bad = 4;
                    _exit(bad);
                }
            for (int i = 0, status; i < count; i++) good += wait(&status) > 0 && status == 0;
            printf("%d\n", good);
        }
        else if (!strcmp(line, "exec")) {
            /* A child that is this program anew. */
            if (fork() == 0) { execl("/proc/self/exe", argv[0], "child", (char *)0); _exit(126); }
            int status;
            wait(&status);
            if (status) printf("status %d\n", status);
        }
    }
}
"#;

/// A running server, one question at a time.
struct Server {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    fn new(exe: &Path) -> Self {
        let mut command = Command::new(exe);
        let mut child = as_users_do(&mut command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
        }
    }

    fn ask(&mut self, question: &str) -> String {
        writeln!(self.questions, "{question}").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim_end().to_owned()
    }

    fn end(mut self) {
        drop(self.questions);
        assert!(self.child.wait().unwrap().success());
    }
}

#[test]
fn a_running_process_keeps_its_libraries() {
    for plan in ["direct", "bound"] {
        let dir = Scratch::new();
        let exe = indirect(&dir.join("server.c"), SERVER, &[]);
        let (old, new) = (lib("old"), lib("sid"));
        update(&exe, &["--lib-dir", &old, "--plan", plan]);
        let mut server = Server::new(&exe);
        assert_eq!(server.ask("version"), version("old"));
        assert_eq!(server.ask("fork 20"), "20");

        let replace = format!("{old}={new}");
        update(&exe, &["--replace", &replace, "--plan", plan]);
        assert_eq!(server.ask("version"), version("old"));
        // The search of the start still holds: libraries that use libc's private
        // symbols come from the libc that is loaded, not from the new one.
        for name in ["libresolv.so.2", "libanl.so.1", "libnss_compat.so.2"] {
            assert_eq!(server.ask(&format!("open {name}")), format!("{old}/{name}"));
        }
        assert_eq!(server.ask("fork 20"), "20");
        // A child that executes the program anew has the new table.
        assert_eq!(server.ask("exec"), version("sid"), "{plan}");

        // The table and its bindings are not needed any more at all.
        std::fs::remove_dir_all(table_of(&exe).parent().unwrap()).unwrap();
        assert_eq!(server.ask("open libm.so.6"), format!("{old}/libm.so.6"));
        assert_eq!(server.ask("fork 20"), "20");
        server.end();
    }
}

/// Forks children that wait at a gate, opens it, and counts how they end.
const GATE: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int count = atoi(argv[1]), gate[2], good = 0, started = 0;
    if (pipe(gate)) return 1;
    for (int i = 0; i < count; i++) {
        pid_t pid = fork();
        if (pid < 0) break;
        if (pid == 0) {
            char byte;
            close(gate[1]);
            if (read(gate[0], &byte, 1) != 0) _exit(125);
            close(gate[0]);
            execv(argv[2 + i % (argc - 2)], argv + 1);
            _exit(126);
        }
        started++;
    }
    close(gate[1]);
    for (int i = 0, status; i < started; i++) good += wait(&status) > 0 && status == 0;
    fprintf(stderr, "%d of %d\n", good, started);
}
"#;

#[test]
fn two_thousand_programs_start_at_once() {
    let dir = Scratch::new();
    let gate = ordinary(&dir.join("gate.c"), GATE, &[]);
    let (old, new) = (lib("old"), lib("trixie"));
    let mut programs = Vec::new();
    for (name, source, plan) in [
        ("direct.c", PROBE, "direct"),
        ("bound.c", PROBE, "bound"),
        ("words.cc", WORDS, "bound"),
    ] {
        let exe = indirect(&dir.join("apps").join(name), source, &[]);
        update(&exe, &["--lib-dir", &old, "--plan", plan]);
        programs.push(exe);
    }
    let mut starts = Command::new(&gate);
    starts.arg("2000").args(&programs);
    let starter = std::thread::spawn(move || run(&mut starts));
    // And an update into the midst of them.
    let replace = format!("{old}={new}");
    run(indir()
        .arg("update")
        .arg(dir.join("apps"))
        .args(["--replace", &replace]))
    .success();
    let ran = starter.join().unwrap();
    assert_eq!(ran.success().stderr(), "2000 of 2000\n");
    let versions = [version("old"), version("trixie")];
    let stdout = ran.stdout();
    assert_eq!(stdout.lines().count(), 2000);
    let foreign = stdout
        .lines()
        .find(|line| versions.iter().all(|v| v != line));
    assert_eq!(foreign, None);
}
