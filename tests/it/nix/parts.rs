//! What a relinked package is made of, what is refused, and what the store keeps.

use std::process::Command;

use crate::support::nix::Machine;
use crate::support::{Scratch, run};

const NEWER: &str = "glibc = \"bookworm\";";

#[test]
fn the_garbage_collector_keeps_what_tables_name() {
    let machine = Machine::new();
    let parts = machine.path("current.packages.parts", NEWER);
    machine.collect_garbage(&parts);
    // The compiled package (for its plugin), the relinked one, and its libraries:
    // no stubs, no reference runtime, no other glibc.
    let kept = [
        "gcc-lib-12",
        "glibc-2.36-9+deb12u14",
        "indir-shim",
        "parts-1",
        "parts-1",
        "zlib-1.2.13",
    ];
    assert_eq!(machine.store(), kept);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
}

#[test]
fn tests_run_after_relinking_on_the_real_libraries() {
    let machine = Machine::new();
    let built = machine.build("current.packages.lzip.indirection.check", NEWER);
    built.success().ran.err_has("tests completed successfully");
    assert_eq!(built.names("check"), ["lzip-check-1.23"]);
    assert_eq!(built.names("compile"), [""; 0]);
    // A test that asks which glibc it runs on.
    let asks = format!(
        "{NEWER} changes.parts = _: {{ doCheck = true; checkPhase = \"./helper; \
         LD_TRACE_LOADED_OBJECTS=1 ./helper | grep -F glibc-2.36-9+deb12u14\"; }};"
    );
    let built = machine.build("current.packages.parts.indirection.check", &asks);
    built
        .success()
        .ran
        .err_has("/lib/libc.so.6")
        .err_has("helper 1, zlib 1.2.13");
}

#[test]
fn tables_know_the_folders_of_plugins() {
    let machine = Machine::new();
    let plugins = "changes.parts = _: { indirPluginDirs = [ \"lib/parts\" ]; };";
    let parts = machine.path("current.packages.parts", plugins);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42");
    let tables = std::fs::read_dir(machine.real(&format!("{parts}/bin/.indir"))).unwrap();
    let table = std::fs::read(tables.last().unwrap().unwrap().path()).unwrap();
    let wanted = format!("plugin-dir {parts}/lib/parts");
    let found = table
        .windows(wanted.len())
        .any(|window| window == wanted.as_bytes());
    assert!(found, "{}", String::from_utf8_lossy(&table));
}

#[test]
fn a_package_may_opt_out() {
    let machine = Machine::new();
    let plain = "changes.parts = _: { dontIndir = true; };";
    let parts = machine.path("current.packages.parts", plain);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
    let program = machine.real(&format!("{parts}/libexec/parts/helper"));
    let mut readelf = std::process::Command::new("readelf");
    let shown = run(readelf.args(["-ldW"]).arg(program));
    shown
        .success()
        .out_has("deb12u7/lib/ld-linux-x86-64.so.2")
        .out_has("zlib-1.2.13/lib");
}

#[test]
fn what_cannot_be_relinked_is_refused_with_its_remedy() {
    let machine = Machine::new();
    let build = |change: &str| {
        machine.build(
            "current.packages.parts",
            &format!("changes.parts = _: {{ {change} }};"),
        )
    };
    let library = "makeFlags = \"PREFIX=$(out) LIBRARY=1\";";
    let refused = build(library);
    refused
        .fails()
        .err_has("libparts.so.1 names")
        .err_has("set indirCopyLibraries = true");
    build(&format!("{library} indirCopyLibraries = true;")).success();

    let refused = build("indirLibrary = true;");
    refused
        .fails()
        .err_has("libexec/parts/helper: a program, but its output `out` is not relinked");

    let around = "postBuild = \"NIX_INDIR= gcc -o parts helper.c -lz\";";
    let refused = build(around);
    refused
        .fails()
        .err_has(".parts-wrapped: linked without indir-ld")
        .err_has("dontIndir = true");

    let names = "postInstall = \"echo $indirReference >$out/leak\";";
    build(names)
        .fails()
        .err_has("leak: names the reference runtime");
}

#[test]
fn a_fixed_stub_is_not_built_again_and_its_package_is_checked() {
    let machine = Machine::new();
    let stubs = machine.path("baseline.packages.zlib.indirection.stubs", "");
    let mut nix = machine.nix("nix");
    let hash = run(nix.args(["hash", "path"]).arg(machine.real(&stubs)))
        .success()
        .stdout();
    let fixed = format!("floors = false; hashes.zlib = {:?};", hash.trim());

    let added =
        "changes.zlib = _: { postPatch = \"echo 'int more(void) { return 1; }' >>zutil.c\"; };";
    let built = machine.build("current.packages.parts", &format!("{fixed} {added}"));
    built.success();
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("relink"), ["parts-1"]);

    let lost = "changes.zlib = _: { postPatch = \"sed -i s/zlibVersion/zlibGone/g *.c test/*.c zlib.h\"; };";
    let built = machine.build("current.packages.parts", &format!("{fixed} {lost}"));
    built.fails().err_has("zlibVersion [symbol-removed]");
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("relink"), [""; 0]);
}

#[test]
fn the_flake_has_what_the_folder_has() {
    let machine = Machine::empty();
    let top = concat!(env!("CARGO_MANIFEST_DIR"), "/nix");
    let scratch = Scratch::new();
    let copy = scratch.join("flake");
    run(Command::new("cp").arg("-r").arg(top).arg(&copy)).success();
    let flake = format!("(builtins.getFlake \"path:{}\")", copy.display());
    let derivations = |kit: &str| {
        let expression = format!(
            "let kit = {kit} {{ shell = \"/bin/bash\"; PATH = \"/usr/bin:/bin\"; indirPackage = \"/indir\"; }}; \
             in map (part: part.drvPath) [ kit.shim kit.hook (kit.bintools {{ real = \"/usr\"; }}) ]"
        );
        let mut nix = machine.nix("nix");
        nix.args(["eval", "--impure", "--json", "--store"])
            .arg(machine.real(""))
            .args(["--expr", &expression]);
        run(&mut nix).success().stdout()
    };
    let from_flake = derivations(&format!("{flake}.lib.forShell"));
    assert!(from_flake.contains("indir-bintools.drv"), "{from_flake}");
    assert_eq!(from_flake, derivations(&format!("import {top}")));
    let mut nix = machine.nix("nix");
    nix.args(["flake", "show", "--json", "--store"])
        .arg(machine.real(""))
        .arg(format!("path:{}", copy.display()));
    run(&mut nix).success().out_has("\"nixpkgs-overlay\"");
}
