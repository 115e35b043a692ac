//! Real programs of arm64, adopted: what they print on each glibc, direct and bound, is what
//! they print without indir.

use std::path::Path;

use super::machine::{RELEASES, adopt, compiled, glibc, qemu, replace};
use super::root;
use crate::support::{Ran, Scratch, run};

/// Programs of the system, with arguments for which all of their start is needed.
const PROGRAMS: [(&str, &[&str]); 8] = [
    (
        "bash",
        &["-c", "echo $((6 * 7)) \"${BASH_VERSION%%.*}\"; type -t cd"],
    ),
    ("ls", &["-d", "/"]),
    ("sort", &["--version"]),
    ("sha256sum", &["/dev/null"]),
    ("date", &["-u", "-d", "@0", "+%F"]),
    ("git", &["--version"]),
    (
        "python3",
        &[
            "-c",
            "import sys, math; print(sys.version_info[0], math.sqrt(2))",
        ],
    ),
    ("curl", &["--version"]),
];

fn path_of(name: &str) -> std::path::PathBuf {
    let path = root("root").join("usr/bin").join(name);
    std::fs::canonicalize(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn start(exe: &Path, args: &[&str]) -> Ran {
    run(qemu(&[], exe).args(args).env("INDIR_DEBUG", "1"))
}

#[test]
fn programs_print_what_they_print_without_indir() {
    for (name, args) in PROGRAMS {
        let dir = Scratch::new();
        let own = path_of(name);
        let ordinary = start(&own, args);
        ordinary.success();
        assert!(!ordinary.stdout().is_empty(), "{ordinary}");
        for plan in ["direct", "bound"] {
            let exe = dir.join(plan).join(name);
            let first = glibc(RELEASES[0].0);
            adopt(&own, &exe, &[&first], plan);
            let bytes = std::fs::read(&exe).unwrap();
            let mut at = first;
            for (release, _) in RELEASES {
                let next = glibc(release);
                if next != at {
                    replace(&exe, &at, &next);
                    at = next;
                }
                let ran = start(&exe, args);
                ran.success().prints(&ordinary.stdout());
                ran.err_has(&format!("plan {plan}, "));
                ran.err_has(&format!("ld.so {}/", at.display()));
                if plan == "bound" {
                    ran.err_has("bindings applied");
                }
            }
            assert_eq!(std::fs::read(&exe).unwrap(), bytes, "{name} changed");
        }
    }
}

/// The version that the process itself gets from its C library.
#[test]
fn a_program_moves_from_glibc_to_glibc() {
    let dir = Scratch::new();
    let source = "#include <gnu/libc-version.h>\n#include <stdio.h>\n\
                  int main(void) { puts(gnu_get_libc_version()); }";
    let plain = compiled(&dir, "version", source, &[]);
    let exe = dir.join("indirect");
    let mut at = glibc(RELEASES[0].0);
    adopt(&plain, &exe, &[&at], "auto");
    for (release, version) in RELEASES {
        let next = glibc(release);
        if next != at {
            replace(&exe, &at, &next);
            at = next;
        }
        let ran = run(&mut qemu(&[], &exe));
        ran.success();
        assert!(ran.stdout().starts_with(version), "{ran}");
    }
}

#[test]
fn a_missing_library_is_one_line() {
    let dir = Scratch::new();
    let copy = dir.dir("glibc");
    for name in ["ld-linux-aarch64.so.1", "libc.so.6"] {
        std::fs::copy(glibc("trixie").join(name), copy.join(name)).unwrap();
    }
    let plain = compiled(&dir, "plain", "int main(void) { return 0; }", &[]);
    let exe = dir.join("exe");
    adopt(&plain, &exe, &[&copy], "direct");
    run(&mut qemu(&[], &exe)).success();
    std::fs::remove_file(copy.join("ld-linux-aarch64.so.1")).unwrap();
    let ran = run(&mut qemu(&[], &exe));
    ran.exits(127).err_is_one_line().err_has("no such file");
}
