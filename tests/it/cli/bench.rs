//! `indir bench`: what it measures, prints and draws. Nothing here depends on
//! how long anything takes.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use serde_json::Value;

use crate::support::program::{indirect, ordinary, update};
use crate::support::{Ran, Scratch, indir, need, run};

const PROGRAM: &str = "int main(int argc, char **argv) { return argc; }";

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.success().stdout()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|way| way["name"].as_str().unwrap()).collect()
}

const WAYS: [&str; 4] = ["ordinary, lazy", "ordinary, eager", "direct", "bound"];

#[track_caller]
fn assert_document(document: &Value, runs: usize) {
    assert_eq!(document["version"], 1);
    assert_eq!(document["runs"], runs);
    assert_eq!(names(&document["ways"]), WAYS);
    assert_eq!(document["missing"].as_array().unwrap().len(), 0);
    for way in document["ways"].as_array().unwrap() {
        for times in ["entry_ms", "wall_ms"] {
            let samples = way[format!("{times}_samples")].as_array().unwrap();
            assert_eq!(samples.len(), runs, "{way}");
            let wall = |key: &str| way[times][key].as_f64().unwrap();
            assert!(wall("lower_quartile") <= wall("median"), "{way}");
            assert!(wall("median") <= wall("upper_quartile"), "{way}");
            assert!(wall("median") > 0.0);
        }
        let counts = [
            "entry_page_faults",
            "page_faults",
            "system_calls",
            "private_dirty_kib",
        ];
        for key in counts {
            assert!(way[key].as_f64().unwrap() > 5.0, "{key} of {way}");
        }
        assert!(way["symbol_lookups"].as_u64().is_some(), "{way}");
    }
    let ratios = document["ratios"].as_array().unwrap();
    assert_eq!(ratios.len(), 8);
    let until = |until: &str| ratios.iter().filter(|r| r["until"] == until).count();
    assert_eq!((until("entry"), until("exit")), (4, 4));
    for ratio in ratios {
        let interval = ratio["interval"].as_array().unwrap();
        let (low, high) = (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
        // Few runs prove nothing.
        let real = runs >= 20 && (low > 1.0 || high < 1.0);
        assert_eq!(ratio["real"].as_bool().unwrap(), real, "{ratio}");
    }
}

/// The bound plan must look up less; that is what is being measured.
fn lookups(document: &Value, way: usize) -> u64 {
    document["ways"][way]["symbol_lookups"].as_u64().unwrap()
}

#[test]
fn an_ordinary_program_that_finds_a_library_beside_itself() {
    let dir = Scratch::new();
    let functions: String = (0..300)
        .map(|n| format!("int f{n}(void) {{ return {n}; }}\n"))
        .collect();
    let library = dir.file("lib/libmany.c", functions);
    let so = library.with_extension("so");
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libmany.so", "-o"])
        .arg(&so)
        .arg(&library))
    .success();
    let declared: String = (0..300).map(|n| format!("int f{n}(void);\n")).collect();
    let list: String = (0..300).map(|n| format!("f{n},")).collect();
    let source = format!(
        "{declared} int (*all[])(void) = {{ {list} }};\n int main(void) {{ return all[7](); }}"
    );
    let link = format!("-L{}", dir.join("lib").display());
    let args = [
        &link,
        "-lmany",
        "-Wl,-rpath,$ORIGIN/lib",
        "-Wl,--disable-new-dtags",
        "-pie",
    ];
    let exe = ordinary(&dir.join("many.c"), &source, &args);
    run(&mut Command::new(&exe)).exits(7);
    let before = std::fs::read(&exe).unwrap();

    let document = json(&run(indir()
        .args(["bench", "--runs", "4", "--json"])
        .arg(&exe)));
    assert_document(&document, 4);
    assert!(lookups(&document, 1) >= 300, "{document}");
    assert!(
        lookups(&document, 3) + 250 < lookups(&document, 1),
        "{document}"
    );
    assert_eq!(std::fs::read(&exe).unwrap(), before);
    assert!(!dir.join(".indir").exists(), "a table beside the original");
}

#[test]
fn an_indirect_program_and_its_arguments() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("program.c"), PROGRAM, &[]);
    update(&exe, &[]);
    let document = json(&run(indir()
        .args(["bench", "--runs", "3", "--json"])
        .arg(&exe)
        .args(["--version", "-x"])));
    assert_document(&document, 3);
    assert_eq!(
        document["arguments"],
        serde_json::json!(["--version", "-x"])
    );

    std::fs::remove_dir_all(dir.join(".indir")).unwrap();
    run(indir().args(["bench", "--runs", "3"]).arg(&exe))
        .exits(1)
        .err_is_one_line()
        .err_has("indir update");
}

#[test]
fn table_and_picture() {
    need("python3", "python3");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("a & b.c"), PROGRAM, &[]);
    let svg = dir.join("picture.svg");
    let mut command = indir();
    command
        .args(["bench", "--runs", "5", "--plot"])
        .arg(&svg)
        .arg(&exe);
    let ran = run(command.arg("<&\">"));
    ran.success();
    for way in WAYS {
        ran.out_has(way);
    }
    ran.out_has("median ms").out_has("bound / ordinary, eager");
    ran.out_has("so few runs prove nothing")
        .out_has("too few runs");
    for line in ran.stdout().lines().skip(2) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    // argc is its exit status.
    ran.err_has("ends with exit status 2 every time");
    let coloured = |text: &str| text.contains('\x1b') || text.contains("033[");
    assert!(!coloured(&ran.stdout()), "colours in a pipe: {ran}");
    // A terminal gets them, unless NO_COLOR is set.
    let on_terminal = |no_color: &str| {
        let mut script = Command::new(need("script", "bsdutils"));
        let command = format!("{} bench --runs 1 /bin/true", env!("CARGO_BIN_EXE_indir"));
        script.args(["-qc", &command, "/dev/null"]);
        run(script.env("NO_COLOR", no_color).env("TERM", "xterm")).stdout()
    };
    assert!(on_terminal("").contains("\x1b[1m"));
    assert!(!on_terminal("1").contains("\x1b[1m"));
    let parse = "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])";
    run(Command::new("python3").args(["-c", parse]).arg(&svg)).success();
    let picture = std::fs::read_to_string(&svg).unwrap();
    // The start alone, and the whole run.
    assert_eq!(picture.matches("<circle").count(), 2 * 5 * WAYS.len());
    for way in WAYS {
        let label = format!(">{way}</text>");
        assert_eq!(picture.matches(&label).count(), 2, "{way}");
    }
}

/// What stands behind the program is the program's.
#[test]
fn arguments_that_look_like_ours() {
    let dir = Scratch::new();
    let source = r#"#include <string.h>
        int main(int argc, char **argv) {
            return argc == 4 && !strcmp(argv[1], "--json") && !strcmp(argv[2], "--runs") ? 0 : 9;
        }"#;
    let exe = ordinary(&dir.join("program.c"), source, &[]);
    let ran = run(indir()
        .args(["bench", "--runs", "20"])
        .arg(&exe)
        .args(["--json", "--runs", "x"]));
    ran.success().out_has("program starts ");
    assert!(ran.stderr().is_empty(), "{ran}");
}

/// Decoded by another program: right size, and the colours of all four ways.
#[test]
fn a_picture_as_png() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("program.c"), PROGRAM, &[]);
    let png = dir.join("picture.png");
    let mut command = indir();
    command.args(["bench", "--runs", "5", "--plot"]).arg(&png);
    run(command.arg(&exe)).success();
    let decode = r#"
import struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
assert data[:8] == b'\x89PNG\r\n\x1a\n'
at, idat = 8, b''
while at < len(data):
    size, = struct.unpack('>I', data[at:at + 4])
    kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + size]
    crc, = struct.unpack('>I', data[at + 8 + size:at + 12 + size])
    assert crc == zlib.crc32(kind + body)
    if kind == b'IHDR': width, height = struct.unpack('>II', body[:8])
    if kind == b'IDAT': idat += body
    at += 12 + size
assert len(zlib.decompress(idat)) == height * (4 * width + 1)
print(width, height > 1000)
"#;
    let mut python = Command::new(need("python3", "python3"));
    run(python.args(["-c", decode]).arg(&png))
        .success()
        .prints("1920 True\n");
}

/// What threads do counts, what a child process does not.
#[test]
fn system_calls_of_all_threads() {
    let source = r#"
        #include <pthread.h>
        #include <stdlib.h>
        #include <sys/wait.h>
        #include <unistd.h>
        static void calls(void) { for (int i = 0; i < 2000; i++) getppid(); }
        static void *thread(void *unused) { calls(); return unused; }
        int main(int argc, char **argv) {
            int threads = argc > 1 ? atoi(argv[1]) : 0;
            pthread_t id[8];
            for (int i = 0; i < threads; i++) pthread_create(&id[i], 0, thread, 0);
            for (int i = 0; i < threads; i++) pthread_join(id[i], 0);
            pid_t child = fork();
            if (child == 0) { calls(); _exit(0); }
            return waitpid(child, 0, 0) != child;
        }"#;
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("threads.c"), source, &["-pthread"]);
    let count = |threads: &str| {
        let mut command = indir();
        command.args(["bench", "--runs", "1", "--json"]);
        let document = json(&run(command.arg(&exe).arg(threads)));
        document["ways"][3]["system_calls"].as_u64().unwrap()
    };
    let (none, four) = (count("0"), count("4"));
    assert!(none < 1000, "a child was counted: {none}");
    assert!((none + 8000..none + 9000).contains(&four), "{none}, {four}");
}

#[test]
fn cold_caches_need_a_right() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("program.c"), PROGRAM, &[]);
    let mut command = indir();
    command.args(["bench", "--cold", "--runs", "2", "--json"]);
    let ran = run(command.arg(&exe));
    let drop_caches = std::path::Path::new("/proc/sys/vm/drop_caches");
    if std::fs::OpenOptions::new()
        .write(true)
        .open(drop_caches)
        .is_ok()
    {
        let document = json(&ran);
        assert_document(&document, 2);
        assert_eq!(document["cold"], true);
        assert_eq!(document["warm_up"], 0);
        // The same without the right, where nobody may look.
        let open = tempfile::tempdir().unwrap();
        let (binary, mode) = (open.path().join("indir"), PermissionsExt::from_mode(0o755));
        std::fs::set_permissions(open.path(), mode).unwrap();
        std::fs::copy(env!("CARGO_BIN_EXE_indir"), &binary).unwrap();
        let mut nobody = Command::new(need("setpriv", "util-linux"));
        nobody.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        nobody.arg(&binary).args(["bench", "--cold", "true"]);
        refuses(&run(&mut nobody));
    } else {
        refuses(&ran);
    }
}

#[track_caller]
fn refuses(ran: &Ran) {
    ran.exits(1).prints("").err_is_one_line();
    ran.err_has("drop_caches").err_has("run it as root");
}

/// Neither needs arguments that make it end, nor lets it do anything.
#[test]
fn the_start_alone_is_measured_up_to_the_first_instruction() {
    let source = r#"
        #include <stdio.h>
        #include <stdlib.h>
        #include <unistd.h>
        __attribute__((constructor)) static void early(void) {
            FILE *f = fopen(getenv("TRACE"), "a");
            fputs("ran\n", f);
            fclose(f);
        }
        int main(void) { return 0; }"#;
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("program.c"), source, &[]);
    let trace = dir.join("trace");
    let mut command = indir();
    command.args(["bench", "--runs", "2", "--json"]).arg(&exe);
    let document = json(&run(command.env("TRACE", &trace)));
    assert_document(&document, 2);
    // Each of four ways: two counted runs, three unmeasured and two measured
    // ones; starts alone leave no trace.
    let lines = std::fs::read_to_string(&trace).unwrap().lines().count();
    assert_eq!(lines, 4 * (2 + 3 + 2));
}

#[test]
fn what_cannot_be_measured_is_told_in_one_line() {
    let dir = Scratch::new();
    let fixed = ordinary(&dir.join("fixed.c"), PROGRAM, &["-static"]);
    let cases: [(&[&str], &str); 3] = [
        (&["no-such-program-anywhere"], "not on PATH"),
        (&[fixed.to_str().unwrap()], "statically linked"),
        (&["--plot", "x.gif", "true"], "only SVG and PNG"),
    ];
    for (args, why) in cases {
        run(indir().arg("bench").args(args))
            .exits(1)
            .prints("")
            .err_is_one_line()
            .err_has(why);
    }
    run(indir().args(["bench", "--runs", "0", "true"])).exits(2);
    run(indir().arg("bench").arg("fixed").current_dir(dir.path()))
        .exits(1)
        .err_has("do you mean `./fixed`?");
}
