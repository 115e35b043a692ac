//! What packages do to each other: how a library is found, what it propagates, programs
//! that name other packages' programs. The packages are in fixtures/nix.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::nix::Machine;
use crate::support::{cc, run};

const NEWER: &str = "glibc = \"bookworm\";";
const ZLIB_GROWS: &str =
    "changes.zlib = _: { postPatch = \"echo 'int more(void) { return 1; }' >>zutil.c\"; };";
const MAPS: &str = r#"BEGIN { while ((getline line < "/proc/self/maps") > 0) print line }"#;

fn fixtures() -> &'static Path {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/fixtures/nix"
    ))
}

/// The packages of fixtures/nix too.
fn more(arguments: &str) -> String {
    format!(
        "more = import {}/more.nix; {arguments}",
        fixtures().display()
    )
}

/// The text of a file of a machine's store.
#[track_caller]
fn read(machine: &Machine, path: &str) -> String {
    std::fs::read_to_string(machine.real(path)).unwrap()
}

#[test]
fn a_library_is_found_by_pkg_config_its_script_and_cmake_and_is_not_relinked() {
    let machine = Machine::new();
    let answers = "answer 42, zlib 1.2.13 1.2.13, glibc 2.36, secure 0\n";
    let asks = machine.path("current.packages.asks.bin", &more(""));
    for program in ["asks", "asks-config"] {
        let ran = machine.run(&format!("{asks}/bin/{program}"), &[]);
        ran.success().prints(answers);
    }
    // A path that one output has of another leads to the program with a table.
    let out = machine.path("current.packages.asks.out", &more(""));
    let named = read(&machine, &format!("{out}/share/program"));
    assert_eq!(named, format!("{asks}/bin/asks\n"));
    let cmake = machine.path("current.packages.asks-cmake", &more(""));
    let ran = machine.run(&format!("{cmake}/bin/asks"), &[]);
    ran.success().prints(answers);

    // Nothing in a stub tree names the package, or its own path.
    let stubs = machine.path("current.packages.answer.indirection.stubs", &more(""));
    for (file, wanted) in [
        ("lib/pkgconfig/answer.pc", "-L${pcfiledir}/../../lib"),
        (
            "lib/cmake/Answer/AnswerConfig.cmake",
            "${CMAKE_CURRENT_LIST_DIR}/../../../lib/libanswer.so",
        ),
        ("bin/answer-config", "-L$(dirname \"$0\")/../lib"),
    ] {
        let text = read(&machine, &format!("{stubs}/{file}"));
        assert!(text.contains(wanted), "{text}");
        assert!(!text.contains("/nix/store"), "{text}");
    }

    // An upgrade of what the library needs: nothing becomes of the library.
    let built = machine.build("current.packages.asks-cmake", &more(ZLIB_GROWS));
    assert_eq!(built.success().names("compile"), ["zlib-1.2.13"]);
    assert_eq!(built.names("relink"), ["asks-cmake-1"]);
}

#[test]
fn an_ordinary_package_gets_real_libraries_in_place_of_propagated_stubs() {
    let machine = Machine::new();
    let plain = machine.path("current.packages.asks-plainly", &more(""));
    // One of them needs zlib only through the library.
    for program in ["asks", "asks-less"] {
        let ran = machine.run(&format!("{plain}/bin/{program}"), &[]);
        ran.success().out_has("answer 42, zlib 1.2.13 1.2.13");
    }
    machine.collect_garbage(&plain);
    let kept = [
        "answer-1",
        "asks-plainly-1",
        "gcc-lib-12",
        "glibc-2.36-9+deb12u7",
        "zlib-1.2.13",
    ];
    assert_eq!(machine.store(), kept);
}

#[test]
fn programs_that_are_started_by_path_are_those_of_today() {
    let machine = Machine::new();
    machine.path("current.packages.starts", &more(""));
    let newer = more(NEWER);
    let built = machine.build("current.packages.starts", &newer);
    assert_eq!(built.success().names("compile"), [""; 0]);
    let starts = machine.path("current.packages.starts", &newer);
    for (program, arguments) in [("starts", &[][..]), ("script", &[]), ("linked", &[MAPS])] {
        let ran = machine.run(&format!("{starts}/bin/{program}"), arguments);
        ran.success()
            .out_has("-glibc-2.36-9+deb12u14/lib/libc.so.6");
    }
    // In a text the name may have another length; in a program it may not.
    let longer = format!("{newer} changes.gawk = _: {{ version = \"5.2.1.1\"; }};");
    let refused = machine.build("current.packages.starts", &longer);
    refused
        .fails()
        .err_has("/bin/starts is no text and names")
        .err_has("differs in length");
    // Only the script names it.
    let unlike = "current.packages.starts.overrideAttrs { installPhase = \
        \"mkdir -p $out/bin; echo $(type -p gawk) >$out/bin/script\"; }";
    let path = machine.path(unlike, &longer);
    let gawk = machine.path("current.packages.gawk", &longer);
    assert_eq!(
        read(&machine, &format!("{path}/bin/script")),
        format!("{gawk}/bin/gawk\n")
    );

    // One that nobody told of would stay as it was frozen.
    let forgotten = "current.packages.starts.overrideAttrs (old: { indirPrograms = [ ]; nativeBuildInputs = old.indirPrograms; })";
    let refused = machine.build(forgotten, &more(""));
    refused
        .fails()
        .err_has("names the frozen program")
        .err_has("add its package to indirPrograms");
}

#[test]
fn a_package_may_run_its_own_programs_while_it_installs() {
    let machine = Machine::new();
    // On the frozen glibc, which is the reference; then on today's.
    let installs = machine.path("current.packages.installs", &more("glibc = \"trixie\";"));
    let said = machine.run("/bin/cat", &[&format!("{installs}/said")]);
    said.success().out_has("glibc 2.36");
    let ran = machine.run(&format!("{installs}/bin/asks"), &[]);
    ran.success().out_has("answer 42").out_has("glibc 2.41");
}

#[test]
fn a_setuid_wrapper_starts_a_program_of_the_store() {
    let machine = Machine::new();
    let asks = machine.path("current.packages.asks.bin", &more(""));
    // Beside the store, as /run/wrappers is.
    let wrapper = machine.real("/nix/wrapper");
    let program = format!("-DPROGRAM=\"{asks}/bin/asks\"");
    cc([
        program.as_ref(),
        fixtures().join("setuid.c").as_os_str(),
        "-o".as_ref(),
        wrapper.as_os_str(),
    ]);
    std::fs::set_permissions(&wrapper, std::fs::Permissions::from_mode(0o4755)).unwrap();
    let nobody = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "/nix/wrapper",
    ];
    let ran = machine.run("/usr/bin/setpriv", &nobody);
    ran.success().out_has("answer 42").out_has("secure 1");
    // What others may write to is not trusted.
    let tables = machine.real(&format!("{asks}/bin/.indir"));
    std::fs::set_permissions(&tables, std::fs::Permissions::from_mode(0o777)).unwrap();
    let ran = machine.run("/usr/bin/setpriv", &nobody);
    ran.exits(127).err_has("indir:").err_has(".indir");
}

#[test]
fn stubs_are_cut_from_texts_of_a_floor() {
    let machine = Machine::new();
    let stubs = machine.path("baseline.packages.zlib.indirection.stubs", "");
    let text = run(Command::new(env!("CARGO_BIN_EXE_indir"))
        .args(["abi", "dump"])
        .arg(machine.real(&format!("{stubs}/lib/libz.so.1"))));
    let folder = machine.real("/nix/floor");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("libz.so.1.abi"), text.success().stdout()).unwrap();
    let cut = |changes: &str| {
        let attr = format!(
            "indir.stubsOf {{ pkg = set.current.packages.zlib; floorDir = {}; }}",
            folder.display()
        );
        machine.build(&attr, changes)
    };
    let built = cut(ZLIB_GROWS);
    built.success();
    let outputs: serde_json::Value = serde_json::from_str(&built.ran.stdout()).unwrap();
    let made = outputs[0]["outputs"]["out"].as_str().unwrap();
    let bytes = |tree: &str| std::fs::read(machine.real(&format!("{tree}/lib/libz.so.1"))).unwrap();
    assert!(bytes(made) == bytes(&stubs));
    let lost = "changes.zlib = _: { postPatch = \"sed -i s/zlibVersion/zlibGone/g *.c test/*.c zlib.h\"; };";
    cut(lost).fails().err_has("zlibVersion");
}

#[test]
fn a_library_that_changed_its_soname_is_refused() {
    let machine = Machine::new();
    let renamed = "changes.zlib = _: { postPatch = \"sed -i 's/libz.so.1/libz.so.2/g; s/[$]VER1/2/g' configure\"; };";
    let built = machine.build("current.packages.parts", renamed);
    built
        .fails()
        .err_has("the package has no libz.so.1, which the floor")
        .err_has("raise the floor");
    assert_eq!(built.names("compile"), ["zlib-1.2.13"]);
}

#[test]
fn a_library_under_its_file_name_is_loaded_whatever_soname_it_has() {
    // As ld.so has it: a need is met by the file of that name (elf/dl-load.c).
    let machine = Machine::new();
    let renamed = "changes.zlib = _: { postPatch = \"sed -i 's/soname,libz.so.1/soname,libz.so.9/' configure\"; };";
    let zlib = machine.path("current.packages.zlib", renamed);
    let read = run(Command::new("readelf")
        .arg("-d")
        .arg(machine.real(&format!("{zlib}/lib/libz.so.1"))));
    read.success().out_has("soname: [libz.so.9]");
    let parts = machine.path("current.packages.parts", renamed);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("helper 2, zlib");
}

#[test]
fn what_relink_cannot_lead_to_todays_program_is_refused() {
    let machine = Machine::new();
    let build = |change: &str| {
        machine.build(
            &format!("current.packages.starts.overrideAttrs {{ {change} }}"),
            &more(NEWER),
        )
    };
    build("outputs = [ \"out\" \"lib\" ]; installPhase = \"mkdir -p $out/bin $lib; cp starts $out/bin; type -p gawk >$lib/name\";")
        .fails()
        .err_has("lib/name: names the frozen program")
        .err_has("its output `lib` is not relinked (set indirRelinked)");
    build("installPhase = \"cp starts $out\";")
        .fails()
        .err_has("is no folder: set indirRelinked to the outputs with programs");

    // The library's `main` is the program's too.
    let library = r#"
        buildPhase = "gcc -DGAWK=\"\\\"$(type -p gawk)\\\"\" -shared -fPIC -Wl,-soname,libstarts.so -o libstarts.so starts.c; gcc -o starts libstarts.so";
        installPhase = "install -D -t $out/bin starts; install -D -t $out/lib libstarts.so";
    "#;
    build(library)
        .fails()
        .err_has("lib/libstarts.so names the frozen")
        .err_has("set indirCopyLibraries = true");
    let attr =
        format!("current.packages.starts.overrideAttrs {{ {library} indirCopyLibraries = true; }}");
    let starts = machine.path(&attr, &more(NEWER));
    let ran = machine.run(&format!("{starts}/bin/starts"), &[]);
    ran.success()
        .out_has("-glibc-2.36-9+deb12u14/lib/libc.so.6");
}

#[test]
fn a_stdenv_that_is_made_of_an_indirect_one_is_indirect_or_ordinary() {
    let machine = Machine::new();
    let interpreter = |name: &str| {
        let package = machine.path(&format!("current.packages.{name}"), &more(""));
        let program = format!("{package}/bin/asks");
        let ran = machine.run(&program, &[]);
        ran.success().out_has("answer 42, zlib 1.2.13 1.2.13");
        let read = run(Command::new("readelf")
            .args(["-lSW"])
            .arg(machine.real(&program)));
        read.success().stdout()
    };
    // With another linker: as with `dontIndir`.
    let gold = interpreter("asks-gold");
    assert!(gold.contains("deb12u7/lib/ld-linux-x86-64.so.2"), "{gold}");
    assert!(!gold.contains("stubs"), "{gold}");
    // With another attribute for all its packages.
    let debug = interpreter("asks-debug");
    assert!(debug.contains("ld-indir-x86-64.so.1"), "{debug}");
    assert!(debug.contains(".debug_info"), "{debug}");
}
