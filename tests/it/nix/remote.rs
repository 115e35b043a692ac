//! Building on another machine over ssh: compiled anywhere, tables made here.

use crate::support::nix::Machine;

#[test]
fn packages_are_compiled_on_another_machine_and_get_tables_on_this_one() {
    let (here, there) = (Machine::empty(), Machine::empty());
    here.send_builds_to(&there);
    let runnable = "current.runnable current.packages.parts";
    let built = here.build(runnable, "");
    built.success();
    assert_eq!(built.names("compile"), ["parts-1", "zlib-1.2.13"]);
    assert_eq!(built.sent("compile"), ["parts-1", "zlib-1.2.13"]);
    let stubs = ["glibc-stubs", "zlib-stubs"];
    assert_eq!(built.names("stubs"), stubs);
    assert_eq!(built.sent("stubs"), stubs);
    for local in ["tables", "runnable"] {
        assert_eq!(built.names(local).len(), 1, "{local}");
        assert_eq!(built.sent(local), [""; 0]);
    }

    let newer = "glibc = \"bookworm\";";
    let built = here.build(runnable, newer);
    built.success();
    assert_eq!(built.names("compile"), [""; 0]);
    assert_eq!(built.names("tables"), ["parts-1-tables"]);
    assert_eq!(built.sent("tables"), [""; 0]);
    let parts = here.path(runnable, newer);
    let ran = here.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");
}
