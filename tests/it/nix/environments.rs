//! The tables of environments: systems, shells, single packages.

use super::more;
use crate::support::nix::{Built, Machine};

const NEWER: &str = "glibc = \"bookworm\";";

/// The tables of some packages, with more arguments of `tablesOf`.
fn tables(machine: &Machine, packages: &str, arguments: &str) -> Built {
    let attr = format!(
        "with current.packages; current.tablesOf {{ packages = [ {packages} ]; {arguments} }}"
    );
    machine.build(&attr, &more(NEWER))
}

#[test]
fn a_runnable_package_needs_nothing_of_the_system() {
    let machine = Machine::new();
    let attr = "current.runnable current.packages.starts";
    let starts = machine.path(attr, &more(NEWER));
    // An empty environment, on a system without tables.
    for program in ["starts", "script", "linked"] {
        let program = format!("{starts}/bin/{program}");
        let ran = machine.run("/usr/bin/env", &["-i", &program]);
        ran.success()
            .out_has("-glibc-2.36-9+deb12u14/lib/libc.so.6");
    }
    // An upgrade is tables, and two derivations of text.
    let attr = "with current.packages; map current.runnable [ asks asks-cmake private ]";
    machine.build(attr, &more(NEWER)).success();
    let fixed = "changes.zlib = _: { postPatch = \"sed -i 's/return ZLIB_VERSION/return \\\"fixed\\\"/' zutil.c\"; };";
    let built = machine.build(attr, &more(&format!("{NEWER} {fixed}")));
    assert_eq!(built.success().names("compile"), ["zlib-1.2.13"]);
    let outputs: serde_json::Value = serde_json::from_str(&built.ran.stdout()).unwrap();
    let paths = outputs.as_array().unwrap().iter();
    let paths: Vec<&str> = paths
        .map(|one| one["outputs"]["out"].as_str().unwrap())
        .collect();
    // As a library of the program's, of a library's, and of a plugin's.
    for (package, program, says) in [
        ("asks", "asks", "answer 42, zlib fixed fixed, glibc 2.36"),
        (
            "asks",
            "asks-config",
            "answer 42, zlib fixed fixed, glibc 2.36",
        ),
        (
            "asks-cmake",
            "asks",
            "answer 42, zlib fixed fixed, glibc 2.36",
        ),
        ("private", "asks", "answer 42, zlib fixed fixed, glibc 2.36"),
        ("private", "opens", "zlib fixed"),
    ] {
        let name = format!("-{package}-1-runnable");
        let path = paths.iter().find(|path| path.ends_with(&name)).unwrap();
        let ran = machine.run(&format!("{path}/bin/{program}"), &[]);
        ran.success().out_has(says);
    }
}

#[test]
fn a_program_without_a_table_says_where_one_would_be() {
    let machine = Machine::new();
    let hello = machine.path("current.packages.hello", "");
    let hello = format!("{hello}/bin/hello");
    machine.run(&hello, &[]).exits(127).err_has("indir:");
    let system = machine.path("system", "");
    let tables = format!("{system}/tables");
    machine
        .run_on_system(&tables, &hello, &[])
        .success()
        .prints("Hello, world!\n");
    // As `nix develop` has it.
    let attr =
        "indir.run \"hook\" { inherit (tables) shellHook; } \"printf %s \\\"$shellHook\\\" >$out\"";
    let hook = machine.path(attr, "");
    let ran = machine.run("/bin/sh", &["-c", &format!(". {hook}; exec {hello}")]);
    ran.success().prints("Hello, world!\n");
}

#[test]
fn the_module_puts_tables_into_a_system() {
    let machine = Machine::new();
    let module = concat!(env!("CARGO_MANIFEST_DIR"), "/nix/module.nix");
    // What the module system does with it, as far as it asks for.
    let attr = format!(
        "let lib = {{ mkEnableOption = _: {{ }}; mkOption = _: {{ }}; mkIf = on: value: if on then value else {{ }}; \
           attrValues = builtins.attrValues; types = {{ listOf = _: {{ }}; package = {{ }}; }}; }}; \
         pkgs.indirection.tablesOf = current.tablesOf; \
         config = {{ system.indirection = {{ enable = true; libraries = [ ]; prefer = [ ]; }}; \
           environment.systemPackages = [ current.packages.hello ]; \
           systemd = {{ packages = [ ]; units.parts.unit = derivation {{ name = \"unit\"; system = \"x86_64-linux\"; \
             builder = \"/bin/sh\"; args = [ \"-c\" \"echo ${{current.packages.parts}} >$out\" ]; }}; }}; }}; \
         in (import {module} {{ inherit config lib pkgs; }}).config.environment.etc.\"indir/tables\".source"
    );
    let attr = format!("indir.run \"etc\" {{ tables = {attr}; }} \"ln -s $tables $out\"");
    let libraries = attr.replace("libraries = [ ]", "libraries = [ current.packages.zlib ]");
    // What a unit starts by its path has libraries that nobody told of; Debian's ld.so
    // finds Debian's.
    let refused = machine.build(&attr, NEWER);
    refused.fails().err_has(
        "libz.so.1, which is outside of the store: libraries = [ the package that has it ]",
    );
    let etc = machine.path(&libraries, NEWER);
    for (package, says) in [
        ("hello", "Hello, world!"),
        ("parts", "helper 2, zlib 1.2.13"),
    ] {
        let path = machine.path(&format!("current.packages.{package}"), NEWER);
        let ran = machine.run_on_system(&etc, &format!("{path}/bin/{package}"), &[]);
        ran.success().out_has(says);
    }
}

#[test]
fn a_library_that_an_environment_does_not_know_is_named_with_what_to_add() {
    let machine = Machine::new();
    // A program that is named by its path alone, of a package that has another name.
    let refused = tables(&machine, "names", "");
    refused
        .fails()
        .err_has("`libanswer.so.1`, needed by")
        .err_has("is not found")
        .err_has("libraries = [ that package ]");
    let built = tables(&machine, "names", "libraries = [ hidden ];");
    built.success();
}

#[test]
fn two_libraries_of_one_soname_are_told() {
    let machine = Machine::new();
    let refused = tables(&machine, "asks asks-other", "");
    refused
        .fails()
        .err_has("two libraries of one soname")
        .err_has("prefer = [ package ]")
        .err_has("libanswer.so.1: /nix/store/");
    let says = |packages: &str, arguments: &str, answer: &str| {
        let attr = format!(
            "with current.packages; current.tablesOf {{ packages = [ {packages} ]; {arguments} }}"
        );
        let tables = machine.path(&attr, &more(NEWER));
        let asks = machine.path("current.packages.asks-other", &more(NEWER));
        let ran = machine.run_with(
            &format!("{tables}/tables"),
            &format!("{asks}/bin/asks"),
            &[],
        );
        ran.success().out_has(answer);
    };
    says("asks asks-other", "prefer = [ answer ];", "answer 42");
    says("asks asks-other", "prefer = [ other-answer ];", "answer 43");
    says("asks-other", "", "answer 43");
}

#[test]
fn what_is_outside_of_the_store_or_frozen_is_refused() {
    let machine = Machine::new();
    let refused = tables(&machine, "outside", "");
    refused
        .fails()
        .err_has("names /usr/lib/x86_64-linux-gnu/libz.so.1, which is outside of the store");
    let refused = tables(&machine, "hello baseline.packages.zlib", "");
    refused
        .fails()
        .err_has("-glibc-2.36-9+deb12u07, of the frozen set, is in the closure of tables")
        .err_has("-zlib-1.2.13");
}
