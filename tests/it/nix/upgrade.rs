//! Upgrades of a Nix package set: what is built again, and what programs then run on.
//!
//! Every scenario counts what Nix says it builds. Programs tell from inside which files
//! they run on.

use std::process::Command;

use super::more;
use crate::support::nix::{Built, Machine};
use crate::support::{Scratch, run};

const MAPS: &str = r#"BEGIN { while ((getline line < "/proc/self/maps") > 0) print line }"#;

/// Does something to zlib's sources.
fn zlib(edit: &str) -> String {
    format!("changes.zlib = _: {{ postPatch = {edit:?}; }};")
}
/// A fix that programs can tell.
const FIX: &str = "sed -i 's/return ZLIB_VERSION/return \\\"fixed\\\"/' zutil.c";
/// Nothing in the set uses it.
const REMOVE_UNUSED: &str = "sed -i 's/gzputs/gzputs_gone/g' *.c test/*.c zlib.h";
/// What `file` calls.
const REMOVE_USED: &str = "sed -i 's/inflateInit2_/inflateInit2_gone/g' *.c test/*.c zlib.h";

/// Every program starts, on that glibc and nothing of another, and one of them says so.
fn system_runs_on(machine: &Machine, system: &str, glibc: &str) {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scripts/nix-runs.sh");
    let ran = machine.run(script, &[system, glibc]);
    ran.success().out_has("programs are on glibc");
    let tables = format!("{system}/tables");
    let gawk = format!("{system}/bin/gawk");
    let maps = machine.run_with(&tables, &gawk, &[MAPS]);
    let maps = maps.success().stdout();
    assert!(
        maps.contains(&format!("-glibc-{glibc}")) && maps.contains("/libc.so.6"),
        "{maps}"
    );
    assert!(!maps.contains("stubs"), "{maps}");
    // A plugin, which gawk finds in the folder that its build put into it.
    let ordchr = ["-l", "ordchr", "BEGIN { print chr(65) }"];
    let ran = machine.run_with(&tables, &gawk, &ordchr);
    ran.success().prints("A\n");
    let closure = machine.closure(system);
    let libc: Vec<&String> = closure
        .iter()
        .filter(|name| name.starts_with("glibc-"))
        .collect();
    assert_eq!(libc, [&format!("glibc-{glibc}")]);
}

#[track_caller]
fn builds(built: &Built, compiled: &[&str], stubs: &[&str]) {
    built.success();
    assert_eq!(built.names("compile"), compiled, "{:?}", built.steps);
    assert_eq!(built.names("stubs"), stubs, "{:?}", built.steps);
}

#[test]
fn a_security_update_of_glibc_compiles_nothing_and_reaches_every_program() {
    let machine = Machine::new();
    let hello = machine.path("current.packages.hello", "");
    let newer = "glibc = \"bookworm\";";
    let built = machine.build("system", newer);
    builds(&built, &[], &["glibc-stubs"]);
    assert_eq!(built.names("tables"), ["system-tables"]);
    assert_eq!(machine.path("current.packages.hello", newer), hello);
    let system = machine.path("system", newer);
    system_runs_on(&machine, &system, "2.36-9+deb12u14");
    // And back: everything is still there.
    assert_eq!(machine.build("system", "").steps, []);
}

#[test]
fn a_newer_glibc_compiles_nothing_on_the_floor() {
    let machine = Machine::new();
    let newer = "glibc = \"trixie\";";
    let built = machine.build("system", newer);
    builds(&built, &[], &["glibc-stubs"]);
    let system = machine.path("system", newer);
    let glibc = machine.path("current.libc", newer);
    let version = glibc.split_once("-glibc-").unwrap().1;
    system_runs_on(&machine, &system, version);
    let parts = machine.path("current.packages.parts", newer);
    let ran = machine.run_on_system(
        &format!("{system}/tables"),
        &format!("{parts}/bin/parts"),
        &[],
    );
    ran.success().prints(&format!(
        "glibc 2.41\nwrapper {parts}/bin/parts\nplugin 42\nhelper 2, zlib 1.2.13\n"
    ));
}

#[test]
fn a_fix_in_zlib_compiles_zlib_alone_and_reaches_its_users() {
    let machine = Machine::new();
    let built = machine.build("system", &zlib(FIX));
    builds(&built, &["zlib-1.2.13"], &["zlib-stubs"]);
    assert_eq!(built.names("tables"), ["system-tables"]);
    let system = machine.path("system", &zlib(FIX));
    let tables = format!("{system}/tables");
    let ran = machine.run_with(&tables, &format!("{system}/bin/parts"), &[]);
    ran.success().out_has("helper 2, zlib fixed");
    let closure = machine.closure(&system);
    let count = closure.iter().filter(|name| *name == "zlib-1.2.13").count();
    assert_eq!(count, 1, "{closure:?}");
}

#[test]
fn a_comment_in_a_header_compiles_nothing_else() {
    let machine = Machine::new();
    let free = "floors = false;";
    builds(
        &machine.build("current.packages", free),
        &[],
        &["xz-stubs", "zlib-stubs"],
    );
    let comment =
        "sed -i '1i /* more\\n words */' zlib.h; sed -i 's/  */  /g; s|;$|; /* ; */|' zconf.h";
    let built = machine.build("current.packages", &format!("{free} {}", zlib(comment)));
    builds(&built, &["zlib-1.2.13"], &["zlib-stubs"]);
    // The same way, what a compiler does see counts.
    let real = "sed -i '1i #define ZLIB_MORE 1' zlib.h";
    let built = machine.build("current.packages", &format!("{free} {}", zlib(real)));
    builds(
        &built,
        &["file-5.44", "parts-1", "zlib-1.2.13"],
        &["zlib-stubs"],
    );
}

#[test]
fn a_library_that_lost_a_symbol_is_refused() {
    let machine = Machine::new();
    let built = machine.build("system", &zlib(REMOVE_USED));
    built
        .fails()
        .err_has("inflateInit2_")
        .err_has("do not satisfy their floors");
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("tables"), [""; 0]);
}

#[test]
fn a_link_that_misses_what_the_floor_lacks_says_so() {
    let machine = Machine::new();
    let arguments = "changes.zlib = _: { postPatch = \"echo 'int zlibMore(void) { return 1; }' >>zutil.c\"; }; \
        changes.parts = _: { buildPhase = \"echo 'int zlibMore(void); int main(void) { return zlibMore(); }' >p.c; gcc p.c -lz\"; };";
    machine
        .build("current.packages.parts", arguments)
        .fails()
        .err_has("indir: not in the stubs of ")
        .err_has(" zlib: zlibMore; if today's library has it");
}

#[test]
fn raising_a_floor_rebuilds_the_dependents_and_nobody_else() {
    let machine = Machine::new();
    let arguments = format!("raised = [ \"zlib\" ]; {}", zlib(REMOVE_UNUSED));
    let built = machine.build("system", &arguments);
    builds(
        &built,
        &["file-5.44", "parts-1", "zlib-1.2.13"],
        &["zlib-stubs"],
    );
    assert_eq!(built.names("tables"), ["system-tables"]);
}

/// By evaluation, over packages too that take long to build: an interpreter, its modules,
/// hooks, flags that name libraries.
#[test]
fn no_compile_derivation_depends_on_a_library_but_through_stubs() {
    let machine = Machine::new();
    let scratch = Scratch::new();
    let derivations = |name: &str, arguments: &str| {
        let path = scratch.join(name);
        let text = machine.derivations("current.packages", &more(arguments));
        std::fs::write(&path, text).unwrap();
        path
    };
    let old = derivations("old", "");
    let again = |arguments: &str| {
        let new = derivations("new", arguments);
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/scripts/nix-compiled-again.py"
        );
        let ran = run(Command::new("python3").arg(script).arg(&old).arg(new));
        ran.success().stdout()
    };
    let changed = |package: &str| {
        let change = format!("changes.{package} = _: {{ postPatch = \"true\"; }};");
        again(&change)
    };
    let glibc = again("glibc = \"bookworm\";");
    assert!(glibc.contains("compiled again: 0\n"), "{glibc}");
    assert!(glibc.contains("glibc-2.36-9+deb12u14"), "{glibc}");
    let zlib = changed("zlib");
    let all = "changed: zlib-1.2.13, compiled again: 0\n";
    assert!(zlib.contains(all), "{zlib}");
    // A program that is named by its path is today's.
    let xz = changed("xz-utils");
    let named = "compiled again: 1\nnames-program-1: xz-5.4.1 (xz)\n";
    assert!(xz.ends_with(named), "{xz}");
}
