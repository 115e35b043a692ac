//! What packages are made of, what is refused, and what the store keeps.

use std::process::Command;

use super::more;
use crate::support::nix::Machine;
use crate::support::{Scratch, run};

const NEWER: &str = "glibc = \"bookworm\";";

#[test]
fn the_garbage_collector_keeps_what_tables_name() {
    let machine = Machine::new();
    let parts = machine.path("current.runnable current.packages.parts", NEWER);
    machine.collect_garbage(&parts);
    // No stubs, nothing of the frozen set, no other glibc.
    let kept = [
        "gcc-lib-12",
        "glibc-2.36-9+deb12u14",
        "indir-shim",
        "parts-1",
        "parts-1-runnable",
        "parts-1-tables",
        "sh",
        "zlib-1.2.13",
    ];
    assert_eq!(machine.store(), kept);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
}

#[test]
fn tests_run_on_the_real_libraries() {
    let machine = Machine::new();
    let built = machine.build("current.packages.lzip.indirection.check", NEWER);
    built.success().ran.err_has("tests completed successfully");
    assert_eq!(built.names("check"), ["lzip-check-1.23"]);
    assert_eq!(built.names("compile"), [""; 0]);
    // Tests that ask which glibc they run on: what was compiled before, and what they
    // compile themselves.
    let asks = format!(
        "{NEWER} changes.parts = _: {{ doCheck = true; checkPhase = \"./helper; \
         LD_TRACE_LOADED_OBJECTS=1 ./helper | grep -F glibc-2.36-9+deb12u14; \
         gcc -o test helper.c -lz; LD_TRACE_LOADED_OBJECTS=1 ./test >said; cat said; \
         grep -F glibc-2.36-9+deb12u14/lib/libc.so.6 said; ! grep -F deb12u07 said\"; }};"
    );
    let check = "current.packages.parts.indirection.check";
    machine
        .build(check, &asks)
        .success()
        .ran
        .err_has("/lib/libc.so.6")
        .err_has("helper 1, zlib 1.2.13");
    // A build tree may hold no program at all.
    let none = "changes.zlib = _: { doCheck = true; postBuild = \"find . -type f -perm /100 -delete\"; \
                installPhase = \"mkdir -p $out/lib\"; checkPhase = \"ls *.o\"; };";
    let built = machine.build("current.packages.zlib.indirection.check", none);
    built.success().ran.err_has("adler32.o");
}

#[test]
fn a_package_may_opt_out() {
    let machine = Machine::new();
    let plain = format!("{NEWER} changes.parts = _: {{ dontIndir = true; }};");
    let parts = machine.path("current.packages.parts", &plain);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
    let program = machine.real(&format!("{parts}/libexec/parts/helper"));
    let shown = run(Command::new("readelf").args(["-ldW"]).arg(program));
    shown
        .success()
        .out_has("deb12u14/lib/ld-linux-x86-64.so.2")
        .out_has("zlib-1.2.13/lib");
    let closure = machine.closure(&parts);
    let libc = closure.iter().filter(|name| name.starts_with("glibc-"));
    assert_eq!(libc.count(), 1, "{closure:?}");
}

#[test]
fn what_no_upgrade_would_reach_is_refused_with_its_remedy() {
    let machine = Machine::new();
    let build = |change: &str| {
        let change = format!("changes.parts = _: {{ {change} }};");
        machine.build("current.packages.parts", &change)
    };
    let around = "postBuild = \"NIX_INDIR= gcc -o parts helper.c -lz\";";
    build(around)
        .fails()
        .err_has(".parts-wrapped: linked without indir-ld")
        .err_has("dontIndir = true");
    let names = "postInstall = \"type -p maps >$out/leak\"; nativeBuildInputs = [ set.current.packages.maps ];";
    let change = format!("changes.parts = _: {{ {names} }};");
    machine
        .build("current.packages.parts", &more(&change))
        .fails()
        .err_has("/leak: names")
        .err_has(
            "-maps-1, a frozen build, which no upgrade reaches (add its package to indirNamed)",
        );
}

#[test]
fn with_hashes_no_experimental_feature_is_needed_and_packages_are_checked() {
    let machine = Machine::new();
    let file = machine.real("/nix/hashes.json");
    let hashes = format!(
        "floors = false; hashes = builtins.fromJSON (builtins.readFile {});",
        file.display()
    );
    machine.write_hashes(
        &file,
        "current.hashed (packages: [ packages.parts ])",
        &hashes,
    );
    let parts = "current.runnable current.packages.parts";
    let built = machine.build_plainly(parts, &hashes);
    // What was compiled to be hashed is that already.
    assert_eq!(built.success().names("compile"), [""; 0]);

    let newer = format!("{hashes} {NEWER}");
    let built = machine.build_plainly(parts, &newer);
    assert_eq!(built.success().names("compile"), [""; 0]);
    assert_eq!(built.names("tables"), ["parts-1-tables"]);
    let path = built.ran.stdout();
    let ran = machine.run(&format!("{}/bin/parts", path.trim()), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");

    let zlib = |edit: &str| format!("{newer} changes.zlib = _: {{ postPatch = {edit:?}; }};");
    let added = zlib("echo 'int more(void) { return 1; }' >>zutil.c");
    let built = machine.build_plainly(parts, &added);
    assert_eq!(built.success().names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("tables"), ["parts-1-tables"]);

    let lost = zlib("sed -i s/zlibVersion/zlibGone/g *.c test/*.c zlib.h");
    let built = machine.build_plainly(parts, &lost);
    built.fails().err_has("zlibVersion [symbol-removed]");
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("tables"), [""; 0]);
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
            "let kit = {kit} {{ shell = \"/bin/bash\"; PATH = \"/usr/bin:/bin\"; indirPackage = \"/indir\"; interpreter = \"/libc/ld.so\"; }}; \
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
    run(&mut nix).success().out_has("\"nixosModules\"");
}
