//! Starts of programs with IFUNCs of every shape: a bound program starts whenever
//! the ordinary one does, and prints the same.
//!
//! What decides: who defines the IFUNC and who refers to it, whether calls are
//! bound late, what its resolver uses, and whether the address is taken.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::{adopt, adopted};
use crate::support::program::{ordinary, shared, update};
use crate::support::{Ran, Scratch, run};

/// Resolvers by what they use. Each answers with `one`, if all is well.
const RESOLVERS: [(&str, &str); 5] = [
    ("nothing", "return (void *)one;"),
    // An IFUNC of libc, through the PLT.
    (
        "libc's IFUNC",
        "return strcmp(word, \"word\") ? (void *)two : (void *)one;",
    ),
    (
        "a function and data",
        "return getpid() > 0 && *pointer == 7 ? (void *)one : (void *)two;",
    ),
    // Constructors have run at the first call, and have not at start.
    ("a constructor", "return ready ? (void *)one : (void *)two;"),
    // Which is resolved late itself, if calls are.
    (
        "an IFUNC of its own",
        "return (void *)(inner() == 3 ? one : two);",
    ),
];

/// Defines `pick`, an IFUNC.
fn definition(resolver: &str) -> String {
    format!(
        "#include <string.h>\n#include <unistd.h>\n\
         char word[] = \"word\"; int seven = 7; int *pointer = &seven; static int ready;\n\
         __attribute__((constructor)) static void up(void) {{ ready = 1; }}\n\
         static int one(void) {{ return 1; }}\nstatic int two(void) {{ return 2; }}\n\
         static int three(void) {{ return 3; }}\n\
         static void *choose_inner(void) {{ return (void *)three; }}\n\
         int inner(void) __attribute__((ifunc(\"choose_inner\")));\n\
         static void *choose(void) {{ (void)one; (void)two; (void)ready; {resolver} }}\n\
         int pick(void) __attribute__((ifunc(\"choose\")));\n\
         int in_library(void) {{ return pick(); }}\n"
    )
}

/// Refers to `pick`.
const CALLS: [(&str, &str); 2] = [
    (
        "a call",
        "int pick(void); int call(void) { return pick(); }",
    ),
    (
        "an address",
        "int pick(void); int (*kept)(void) = pick; int call(void) {\
         int (*volatile taken)(void) = pick; return taken() * 10 + kept(); }",
    ),
];

const MAIN: &str = "\n#include <stdio.h>\nint call(void), pick(void);\n\
                    int main(void) { printf(\"%d %d\\n\", call(), pick()); return 0; }\n";

/// How one start ended: signals and codes, and what was printed.
fn outcome(ran: &Ran) -> (Option<i32>, String) {
    (ran.code(), ran.stdout())
}

/// Compares starts of the ordinary `original` with those of its indirect copy
/// under both plans, with late and with immediate binding. Returns how many of
/// the ordinary starts went well.
fn compare(name: &str, scratch: &Scratch, original: &Path, faults: &mut Vec<String>) -> usize {
    let exe = adopted(scratch, original, &[]);
    let start = |exe: &Path, now: bool| {
        let mut command = Command::new(exe);
        if now {
            command.env("LD_BIND_NOW", "1");
        }
        run(&mut command)
    };
    let ordinary = [false, true].map(|now| start(original, now));
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        for (now, expected) in [false, true].into_iter().zip(&ordinary) {
            let ran = start(&exe, now);
            // Where ld.so itself fails, more may work.
            if expected.code() == Some(0) && outcome(expected) != outcome(&ran) {
                faults.push(format!("{name}, {plan}, now: {now}: {ran}"));
            }
        }
    }
    ordinary.iter().filter(|ran| ran.code() == Some(0)).count()
}

/// The library `lib<name>.so` with DT_SONAME, `binding` as given.
fn library(scratch: &Scratch, name: &str, source: &str, binding: &str) -> PathBuf {
    let soname = format!("-Wl,-soname,lib{name}.so");
    let file = scratch.join(format!("lib{name}.so.c"));
    shared(&file, source, &[&soname, binding, "-w"])
}

/// The caller is a library's, which is linked as the program is; the definition
/// is the executable's or that of a library that comes after the caller, which
/// does not name it.
#[test]
fn bound_programs_start_whenever_ordinary_ones_do() {
    let scratch = Scratch::new();
    let mut faults = Vec::new();
    let (mut starts, mut good) = (0, 0);
    for binding in ["-Wl,-z,lazy", "-Wl,-z,now"] {
        let mode = &binding[8..];
        let callers: Vec<PathBuf> = CALLS
            .iter()
            .enumerate()
            .map(|(n, (_, source))| {
                library(&scratch, &format!("caller-{mode}-{n}"), source, binding)
            })
            .collect();
        for (number, (uses, resolver)) in RESOLVERS.iter().enumerate() {
            let definition = definition(resolver);
            let name = format!("definer-{mode}-{number}");
            let definer = library(&scratch, &name, &definition, binding);
            for ((how, _), caller) in CALLS.iter().zip(&callers) {
                for kind in ["-pie", "-no-pie"] {
                    for in_exe in [true, false] {
                        let place = if in_exe {
                            "the executable"
                        } else {
                            "a library"
                        };
                        let name = format!(
                            "{kind} {binding}: {how} of an IFUNC in {place} that uses {uses}"
                        );
                        let dir = Scratch::new();
                        let more = if in_exe {
                            None
                        } else {
                            Some(definer.as_path())
                        };
                        let source = if in_exe { definition.as_str() } else { "" };
                        let flags = [kind, binding];
                        let original = program(&dir, source, &scratch, caller, more, flags);
                        starts += 2;
                        good += compare(&name, &dir, &original, &mut faults);
                    }
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "{} of {starts}:\n{}",
        faults.len(),
        faults.join("\n")
    );
    // Most shapes work, or nothing was compared.
    assert!(good * 2 > starts, "{good} of {starts}");
}

fn program(
    dir: &Scratch,
    definition: &str,
    libraries: &Scratch,
    caller: &Path,
    definer: Option<&Path>,
    [kind, binding]: [&str; 2],
) -> PathBuf {
    let rpath = format!("-Wl,-rpath,{}", libraries.path().display());
    let code = if kind == "-pie" { "-fPIE" } else { "-fno-pie" };
    let mut args = vec![kind, code, binding, "-w", &rpath, "-rdynamic"];
    args.extend(["-Wl,--no-as-needed", caller.to_str().unwrap()]);
    args.extend(definer.and_then(Path::to_str));
    ordinary(
        &dir.join("program.c"),
        &format!("{definition}{MAIN}"),
        &args,
    )
}

/// The plan that is chosen by itself, with a library that makes it a bound one.
#[test]
fn the_plan_that_adopt_chooses_starts_too() {
    let scratch = Scratch::new();
    let caller = shared(
        &scratch.join("libcaller.so.c"),
        CALLS[0].1,
        &["-Wl,-soname,libcaller.so", "-Wl,-z,lazy"],
    );
    let rpath = format!("-Wl,-rpath,{}", scratch.path().display());
    let source = definition(RESOLVERS[0].1) + MAIN;
    let args = [
        "-w",
        "-fPIE",
        "-pie",
        "-rdynamic",
        "-Wl,-z,lazy",
        &rpath,
        caller.to_str().unwrap(),
        "-Wl,--no-as-needed",
        "-lstdc++",
    ];
    let original = ordinary(&scratch.join("program.c"), &source, &args);
    run(&mut Command::new(&original)).success().prints("1 1\n");
    let exe = scratch.join("indirect");
    adopt([Path::new("-o"), &exe, &original]).success();
    let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
    assert!(
        super::binder::applied(ran.success().prints("1 1\n")),
        "{ran}"
    );
}
