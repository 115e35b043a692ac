//! Sanitizers of GCC and clang: they start, stay silent on a good run, and find
//! what they are for. AddressSanitizer alone is in `debuggers`.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{shared, update};
use crate::support::{Ran, Scratch, b_flag, need, run};

/// Goes wrong in the way that its argument names.
const PROGRAM: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static int shared_value;
static void *races(void *n) { for (int i = 0; i < 1000; i++) shared_value++; return n; }
static __attribute__((noinline)) void leaks(void) { volatile char *p = malloc(77); p[0] = 1; p = 0; }
int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    pthread_t thread;
    if (!strcmp(what, "race")) {
        pthread_create(&thread, 0, races, 0);
        races(0);
        pthread_join(thread, 0);
    }
    if (!strcmp(what, "leak")) leaks();
    if (!strcmp(what, "overflow")) { int n = 2147483647; n += argc; if (n == 5) return 5; }
    if (!strcmp(what, "freed")) { char *p = malloc(8); free(p); return p[argc]; }
    puts("ran");
    return 0;
}
"#;

/// What each argument must bring to light, by sanitizer.
const CASES: [(&str, &[(&str, &str)]); 4] = [
    ("thread", &[("race", "WARNING: ThreadSanitizer: data race")]),
    ("leak", &[("leak", "77 byte(s) leaked in 1 allocation(s)")]),
    ("undefined", &[("overflow", "signed integer overflow")]),
    (
        "address,undefined",
        &[
            ("freed", "heap-use-after-free"),
            ("leak", "77 byte(s) leaked in 1 allocation(s)"),
            ("overflow", "signed integer overflow"),
        ],
    ),
];

fn build(dir: &Scratch, compiler: &str, first: &[&str], sanitizer: &str) -> PathBuf {
    let source = dir.file(format!("{compiler}/{sanitizer}.c"), PROGRAM);
    let exe = source.with_extension(if first.is_empty() {
        "plain"
    } else {
        "indirect"
    });
    run(Command::new(compiler)
        .args(["-g", &format!("-fsanitize={sanitizer}"), "-o"])
        .arg(&exe)
        .args(first)
        .arg(source))
    .success();
    exe
}

fn sanitizers(compiler: &str) {
    let dir = Scratch::new();
    for (sanitizer, faults) in CASES {
        let exe = build(&dir, compiler, &[&b_flag()], sanitizer);
        // Without a table it is an ordinary program.
        run(&mut Command::new(&exe)).success().prints("ran\n");
        for plan in ["direct", "bound"] {
            update(&exe, &["--plan", plan]);
            let good = run(&mut Command::new(&exe));
            good.success().prints("ran\n");
            assert!(good.stderr().is_empty(), "{sanitizer} {plan}: {good}");
            for (fault, text) in faults {
                let ran = run(Command::new(&exe).arg(fault));
                assert!(ran.stderr().contains(text), "{sanitizer} {plan}: {ran}");
                // With the function's name, from the program's own symbols.
                assert!(ran.stderr().contains(".c:"), "{sanitizer} {plan}: {ran}");
            }
        }
    }
}

#[test]
fn sanitizers_of_gcc() {
    need("gcc", "gcc");
    sanitizers("gcc");
}

#[test]
fn sanitizers_of_clang() {
    need("clang", "clang libclang-rt-14-dev");
    sanitizers("clang");
}

#[test]
fn address_sanitizer_wants_to_come_first_as_ever() {
    let dir = Scratch::new();
    let library = shared(&dir.join("libpre.so.c"), "int preloaded = 1;", &[]);
    let plain = build(&dir, "gcc", &[], "address");
    let exe = build(&dir, "gcc", &[&b_flag()], "address");
    let preloaded = |exe: &Path| -> Ran { run(Command::new(exe).env("LD_PRELOAD", &library)) };
    let complaint = "ASan runtime does not come first in initial library list";
    let expected = preloaded(&plain);
    expected.err_has(complaint);
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        run(&mut Command::new(&exe)).success().prints("ran\n");
        let ran = preloaded(&exe);
        ran.err_has(complaint);
        assert_eq!(ran.code(), expected.code(), "{ran}");
    }
}

#[test]
fn a_sanitized_library_in_a_program_without() {
    // The runtime is preloaded then, as its manual says.
    let dir = Scratch::new();
    let library = shared(
        &dir.join("lib/libfault.so.c"),
        "#include <stdlib.h>\nint fault(int n) { char *p = malloc(8); free(p); return p[n]; }",
        &["-fsanitize=address", "-Wl,-soname,libfault.so"],
    );
    let folder = library.parent().unwrap().to_str().unwrap();
    let twins = crate::support::program::Twins::with_libraries(
        &dir,
        "calls.c",
        "int fault(int); int main(int argc, char **argv) { return argc > 1 ? fault(argc) : 0; }",
        &["-lfault", "-Wl,--allow-shlib-undefined"],
        Some(Path::new(folder)),
    );
    let runtime = run(Command::new("gcc").arg("-print-file-name=libasan.so"));
    let runtime = runtime.success().stdout();
    for exe in [&twins.ordinary, &twins.indirect, &twins.bound] {
        let run_with = |args: &[&str]| {
            run(Command::new(exe)
                .args(args)
                .env("LD_PRELOAD", runtime.trim_end()))
        };
        run_with(&[]).success();
        let caught = run_with(&["now"]);
        assert_ne!(caught.code(), Some(0), "{caught}");
        caught.err_has("heap-use-after-free").err_has("fault");
    }
}
