//! Building on another machine over ssh: compiled anywhere, relinked here.

use crate::support::nix::Machine;

#[test]
fn packages_are_compiled_on_another_machine_and_relinked_on_this_one() {
    let (here, there) = (Machine::empty(), Machine::empty());
    here.send_builds_to(&there);
    let built = here.build("current.packages.parts", "");
    built.success();
    // The first is the frozen build, and the same.
    assert_eq!(built.names("compile"), ["parts-1", "zlib-1.2.13"]);
    assert_eq!(built.sent("compile"), ["parts-1", "zlib-1.2.13"]);
    // The frozen ones, and the check that today's build satisfies them.
    let stubs =
        ["gcc-lib", "glibc", "zlib"].map(|name| [format!("{name}-stubs"), format!("{name}-stubs")]);
    assert_eq!(built.names("stubs"), stubs.as_flattened());
    assert_eq!(built.sent("stubs"), stubs.as_flattened());
    assert_eq!(built.names("relink"), ["parts-1"]);
    assert_eq!(built.sent("relink"), [""; 0]);
    // There, the package is what was compiled, and no more.
    let parts = |machine: &Machine| {
        let names = machine.store();
        names.iter().filter(|name| *name == "parts-1").count()
    };
    assert_eq!((parts(&here), parts(&there)), (2, 1));

    let newer = "glibc = \"bookworm\";";
    let built = here.build("current.packages.parts", newer);
    built.success();
    assert_eq!(built.names("compile"), [""; 0]);
    assert_eq!(built.names("relink"), ["parts-1"]);
    assert_eq!(built.sent("relink"), [""; 0]);
    let parts = here.path("current.packages.parts", newer);
    let ran = here.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
}
