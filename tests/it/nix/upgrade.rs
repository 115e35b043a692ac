//! Upgrades of a Nix package set: what is built again, and what programs then run on.
//!
//! Every scenario counts what Nix says it builds. `gawk` tells from inside which files
//! it runs on.

use crate::support::nix::{Built, Machine};

/// The packages that have programs, and so are relinked.
const PROGRAMS: &[&str] = &[
    "file-5.44",
    "gawk-5.2.1",
    "hello-2.10",
    "lzip-1.23",
    "parts-1",
    "xz-5.4.1",
];
const MAPS: &str = r#"BEGIN { while ((getline line < "/proc/self/maps") > 0) print line }"#;

/// Adds a function to zlib, or whatever else `edit` does to its sources.
fn zlib(edit: &str) -> String {
    format!("changes.zlib = _: {{ postPatch = {edit:?}; }};")
}
const ADD: &str = "echo 'int zlib_added(void) { return 1; }' >>zutil.c";
/// Nothing in the set uses it.
const REMOVE_UNUSED: &str = "sed -i 's/gzputs/gzputs_gone/g' *.c test/*.c zlib.h";
/// What `file` calls.
const REMOVE_USED: &str = "sed -i 's/inflateInit2_/inflateInit2_gone/g' *.c test/*.c zlib.h";

fn gawk_runs_on(machine: &Machine, arguments: &str, glibc: &str) {
    let gawk = machine.path("current.packages.gawk", arguments);
    let maps = machine.run(&format!("{gawk}/bin/gawk"), &[MAPS]);
    let maps = maps.success().stdout();
    assert!(
        maps.contains(&format!("-glibc-{glibc}")) && maps.contains("/libc.so.6"),
        "{maps}"
    );
    assert!(!maps.contains("stubs"), "{maps}");
    // A plugin, which gawk finds in the folder that its build put into it.
    let ordchr = ["-l", "ordchr", "BEGIN { print chr(65) }"];
    machine
        .run(&format!("{gawk}/bin/gawk"), &ordchr)
        .success()
        .prints("A\n");
}

fn compiles(built: &Built, packages: &[&str]) {
    built.success();
    assert_eq!(built.names("compile"), packages, "{:?}", built.steps);
}

#[test]
fn a_security_update_of_glibc_compiles_nothing() {
    let machine = Machine::new();
    let before = machine.path("current.packages.hello", "");
    let built = machine.build("current.packages", "glibc = \"bookworm\";");
    compiles(&built, &[]);
    assert_eq!(built.names("relink"), PROGRAMS);
    assert_eq!(
        built.names("stubs"),
        ["glibc-stubs", "xz-stubs", "zlib-stubs"]
    );
    gawk_runs_on(&machine, "glibc = \"bookworm\";", "2.36-9+deb12u14");
    // The program itself is the same but for the name of its own package.
    let after = machine.path("current.packages.hello", "glibc = \"bookworm\";");
    let read = |path: &str| {
        let bytes = std::fs::read(machine.real(&format!("{path}/bin/hello"))).unwrap();
        let (own, hash) = (path.as_bytes(), b"e".repeat(path.len()));
        let mut bytes = bytes;
        while let Some(at) = bytes.windows(own.len()).position(|window| window == own) {
            bytes[at..at + own.len()].copy_from_slice(&hash);
        }
        bytes
    };
    assert_ne!(before, after);
    assert!(read(&before) == read(&after));
    // And back: everything is still there.
    assert_eq!(machine.build("current.packages", "").steps, []);
}

#[test]
fn a_newer_glibc_compiles_nothing_on_the_floor() {
    let machine = Machine::new();
    let built = machine.build("current.packages", "glibc = \"trixie\";");
    compiles(&built, &[]);
    assert_eq!(built.names("relink"), PROGRAMS);
    gawk_runs_on(&machine, "glibc = \"trixie\";", "2.41-");
    let parts = machine.path("current.packages.parts", "glibc = \"trixie\";");
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().prints(&format!(
        "glibc 2.41\nwrapper {parts}/bin/parts\nplugin 42\nhelper 2, zlib 1.2.13\n"
    ));
}

#[test]
fn a_library_that_grows_is_compiled_alone() {
    let machine = Machine::new();
    let built = machine.build("current.packages", &zlib(ADD));
    compiles(&built, &["zlib-1.2.13"]);
    assert_eq!(built.names("relink"), ["file-5.44", "parts-1"]);
}

#[test]
fn a_comment_in_a_header_compiles_nothing_else() {
    let machine = Machine::new();
    let free = "floors = false;";
    compiles(&machine.build("current.packages", free), &[]);
    let comment =
        "sed -i '1i /* more\\n words */' zlib.h; sed -i 's/  */  /g; s|;$|; /* ; */|' zconf.h";
    let built = machine.build("current.packages", &format!("{free} {}", zlib(comment)));
    compiles(&built, &["zlib-1.2.13"]);
    // The same way, what a compiler does see counts.
    let real = "sed -i '1i #define ZLIB_MORE 1' zlib.h";
    let built = machine.build("current.packages", &format!("{free} {}", zlib(real)));
    compiles(&built, &["file-5.44", "parts-1", "zlib-1.2.13"]);
}

#[test]
fn several_libraries_at_once() {
    let machine = Machine::new();
    let xz = "changes.xz-utils = _: { postPatch = \"echo >>src/liblzma/common/common.c\"; };";
    let arguments = format!("glibc = \"bookworm\"; {} {xz}", zlib(ADD));
    let built = machine.build("current.packages", &arguments);
    compiles(&built, &["xz-5.4.1", "zlib-1.2.13"]);
    assert_eq!(built.names("relink"), PROGRAMS);
}

#[test]
fn a_library_that_lost_a_symbol_is_refused() {
    let machine = Machine::new();
    let built = machine.build("current.packages", &zlib(REMOVE_USED));
    built
        .fails()
        .err_has("inflateInit2_")
        .err_has("do not satisfy their floors");
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("relink"), [""; 0]);
}

#[test]
fn raising_a_floor_rebuilds_the_dependents_and_nobody_else() {
    let machine = Machine::new();
    let arguments = format!("raised = [ \"zlib\" ]; {}", zlib(REMOVE_UNUSED));
    let built = machine.build("current.packages", &arguments);
    compiles(&built, &["file-5.44", "parts-1", "zlib-1.2.13"]);
    assert_eq!(built.names("relink"), ["file-5.44", "parts-1"]);
}
