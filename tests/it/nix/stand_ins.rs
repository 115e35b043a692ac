//! `standIns = true`: a package is compiled again only if it names what changed.

use crate::support::nix::Machine;

/// The set with dependents of zlib, and a change of zlib.
fn arguments(change: &str) -> String {
    let more = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/it/fixtures/nix/dependents.nix"
    );
    let change = match change {
        "" => String::new(),
        change => format!("changes.zlib = _: {{ postPatch = {change:?}; }};"),
    };
    format!("standIns = true; more = import {more}; {change}")
}

#[test]
fn only_who_names_a_change_is_compiled_again() {
    let machine = Machine::new();
    let all = "with current.packages; [ sums adds probes packs asks phased several ]";
    machine.build(all, &arguments("")).success();
    let compiled = |change: &str| {
        let built = machine.build(all, &arguments(change));
        built.success();
        let mut names: Vec<String> = built
            .names("compile")
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        assert_eq!(names.pop().as_deref(), Some("zlib-1.2.13"), "{names:?}");
        names
    };
    // A function that three of them name: in code, in a phase, in a second source.
    let fresh = "echo 'int zlibFresh(void) { return 0; }' >>zutil.c; \
                 sed -i 's/^ZEXTERN uLong ZEXPORT zlibCompileFlags/int zlibFresh(void);\\n&/' zlib.h";
    assert_eq!(compiled(fresh), ["phased-1", "probes-1", "several-1"]);
    // What a macro does that two of them use.
    let other = "sed -i 's/deflateInit_((strm), (level)/deflateInit_((strm), (level) + 0/' zlib.h";
    assert_eq!(compiled(other), ["asks-1", "packs-1"]);
    // A version alone, which one of them asks for.
    let version = "sed -i 's/define ZLIB_VERNUM 0x12d0/define ZLIB_VERNUM 0x12e0/; \
                   s/define ZLIB_VER_REVISION 13/define ZLIB_VER_REVISION 14/' zlib.h";
    assert_eq!(compiled(version), [""; 0]);
    // Why, for people.
    let explained = "current.packages.probes.indirection.standIns.out";
    let told = machine.path(explained, &arguments(fresh));
    let told = std::fs::read_to_string(machine.real(&told).join("explained")).unwrap();
    assert!(told.contains("names zlibFresh"), "{told}");
}
