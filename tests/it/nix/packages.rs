//! What packages do to each other: how a library is found, what it propagates, programs
//! that name other packages' programs. The packages are in fixtures/nix.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use super::{fixtures, more};
use crate::support::nix::Machine;
use crate::support::{cc, run};

const NEWER: &str = "glibc = \"bookworm\";";

/// The text of a file of a machine's store.
#[track_caller]
fn read(machine: &Machine, path: &str) -> String {
    std::fs::read_to_string(machine.real(path)).unwrap()
}

/// The folder of the tables of one package.
fn tables(machine: &Machine, package: &str, arguments: &str) -> String {
    let attr = format!("current.tablesOf {{ packages = [ current.packages.{package} ]; }}");
    format!("{}/tables", machine.path(&attr, arguments))
}

#[test]
fn a_library_is_found_by_pkg_config_its_script_and_cmake() {
    let machine = Machine::new();
    let answers = "answer 42, zlib 1.2.13 1.2.13, glibc 2.36, secure 0\n";
    let asks = machine.path("current.packages.asks.bin", &more(""));
    let of_asks = tables(&machine, "asks", &more(""));
    for program in ["asks", "asks-config"] {
        let ran = machine.run_with(&of_asks, &format!("{asks}/bin/{program}"), &[]);
        ran.success().prints(answers);
    }
    let out = machine.path("current.packages.asks.out", &more(""));
    let named = read(&machine, &format!("{out}/share/program"));
    assert_eq!(named, format!("{asks}/bin/asks\n"));
    let cmake = machine.path("current.packages.asks-cmake", &more(""));
    let of_cmake = tables(&machine, "asks-cmake", &more(""));
    let ran = machine.run_with(&of_cmake, &format!("{cmake}/bin/asks"), &[]);
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
    // Nor does what was compiled against it, or run on frozen builds meanwhile.
    machine.collect_garbage(&cmake);
    assert_eq!(machine.store(), ["asks-cmake-1", "indir-shim"]);
}

#[test]
fn an_ordinary_package_gets_real_libraries_in_place_of_propagated_stubs() {
    let machine = Machine::new();
    let plain = machine.path("current.packages.asks-plainly", &more(NEWER));
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
        "glibc-2.36-9+deb12u14",
        "zlib-1.2.13",
    ];
    assert_eq!(machine.store(), kept);
}

#[test]
fn programs_that_are_named_by_path_are_those_of_today() {
    let machine = Machine::new();
    // In text the name may have another length; in a program it may not.
    let longer = "current.packages.starts.overrideAttrs (old: { indirNamed = [ maps ]; nativeBuildInputs = [ maps ]; ";
    let longer = format!(
        "let maps = current.packages.maps.overrideAttrs (_: {{ version = \"1.1\"; }}); in {longer}"
    );
    let refused = machine.build(&format!("{longer} }})"), &more(""));
    refused
        .fails()
        .err_has("/bin/starts is no text and names")
        .err_has("differs in length");
    let script = format!(
        "{longer} installPhase = \"mkdir -p $out/bin; echo $(type -p maps) >$out/bin/script\"; }})"
    );
    let path = machine.path(&script, &more(""));
    let maps = "current.packages.maps.overrideAttrs (_: { version = \"1.1\"; })";
    let maps = machine.path(maps, &more(""));
    let text = read(&machine, &format!("{path}/bin/script"));
    assert_eq!(text, format!("{maps}/bin/maps\n"));
    // One that nobody told of would stay as it was frozen.
    let forgotten = "current.packages.starts.overrideAttrs { indirNamed = [ ]; }";
    machine
        .build(forgotten, &more(""))
        .fails()
        .err_has("a frozen build, which no upgrade reaches (add its package to indirNamed)");
}

#[test]
fn a_package_may_run_its_own_programs_while_it_installs_and_after() {
    let machine = Machine::new();
    // On the frozen glibc; then on today's.
    let newer = more("glibc = \"trixie\";");
    let private = machine.path("current.packages.private", &newer);
    let said = read(&machine, &format!("{private}/said"));
    assert!(
        said.contains("answer 42, zlib 1.2.13 1.2.13, glibc 2.36"),
        "{said}"
    );
    let tables = tables(&machine, "private", &newer);
    let ran = machine.run_with(&tables, &format!("{private}/bin/asks"), &[]);
    ran.success().out_has("answer 42").out_has("glibc 2.41");
    // The folder of its own library stays, in another output.
    let lib = machine.path("current.packages.private.lib", &newer);
    let check = |more: &[&str]| {
        run(Command::new(env!("CARGO_BIN_EXE_indir"))
            .args(["seal", "--check", "--libraries"])
            .args(more)
            .arg(machine.real(&private)))
    };
    check(&["--own", &lib]).success().prints("");
    check(&[])
        .exits(3)
        .out_has(&format!("its run path names `{lib}/lib/private`"));
}

#[test]
fn a_setuid_wrapper_starts_a_program_of_the_store() {
    let machine = Machine::new();
    let asks = machine.path("current.packages.asks.bin", &more(""));
    let tables = tables(&machine, "asks", &more(""));
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
    let ran = machine.run_on_system(&tables, "/usr/bin/setpriv", &nobody);
    ran.success().out_has("answer 42").out_has("secure 1");
    // Its caller's environment does not count.
    let ran = machine.run_with(&tables, "/usr/bin/setpriv", &nobody);
    ran.exits(127).err_has("indir:");
}

#[test]
fn a_library_that_changed_its_soname_is_refused() {
    let machine = Machine::new();
    let renamed = "changes.zlib = _: { postPatch = \"sed -i 's/libz.so.1/libz.so.2/g; s/[$]VER1/2/g' configure\"; };";
    let built = machine.build("current.packages.parts", renamed);
    built
        .fails()
        .err_has("the package has no libz.so.1, which its floor has")
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
    let parts = machine.path("current.runnable current.packages.parts", renamed);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("helper 2, zlib");
}

#[test]
fn a_stdenv_that_is_made_of_an_indirect_one_is_indirect_or_ordinary() {
    let machine = Machine::new();
    let interpreter = |name: &str| {
        let tables = tables(&machine, name, &more(NEWER));
        let package = machine.path(&format!("current.packages.{name}"), &more(NEWER));
        let program = format!("{package}/bin/asks");
        let ran = machine.run_with(&tables, &program, &[]);
        ran.success().out_has("answer 42, zlib 1.2.13 1.2.13");
        let read = run(Command::new("readelf")
            .args(["-lSW"])
            .arg(machine.real(&program)));
        read.success().stdout()
    };
    // With another linker: as with `dontIndir`.
    let gold = interpreter("asks-gold");
    assert!(gold.contains("deb12u14/lib/ld-linux-x86-64.so.2"), "{gold}");
    assert!(!gold.contains("stubs"), "{gold}");
    // With another attribute for all its packages.
    let debug = interpreter("asks-debug");
    assert!(debug.contains("ld-indir-x86-64.so.1"), "{debug}");
    assert!(debug.contains(".debug_info"), "{debug}");
}
