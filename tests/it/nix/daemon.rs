//! Nix as most have it: a daemon, build users, and a user without rights who builds.

use crate::support::nix::Machine;

#[test]
fn a_user_upgrades_packages_by_way_of_the_daemon() {
    let mut machine = Machine::new();
    machine.start_daemon();
    let newer = "glibc = \"bookworm\";";
    let runnable = "current.runnable current.packages.parts";
    let built = machine.build(runnable, newer);
    assert_eq!(built.success().names("compile"), [""; 0]);
    assert_eq!(built.names("tables"), ["parts-1-tables"]);
    let parts = machine.path(runnable, newer);
    let ran = machine.run(&format!("{parts}/bin/parts"), &[]);
    ran.success().out_has("plugin 42").out_has("helper 2, zlib");

    // Compiled, checked and given tables by build users, of whom nothing is left.
    let changed = format!(
        "{newer} changes.hello = _: {{ doCheck = true; postPatch = \"[ $UID != 0 ] || exit 9\"; checkPhase = \"[ $UID != 0 ] && ./hello\"; }};"
    );
    let built = machine.build("current.packages.hello.indirection.check", &changed);
    assert_eq!(built.success().names("compile"), ["hello-2.10"]);
    assert_eq!(built.names("check"), ["hello-check-2.10"]);
    let tables = machine.path(
        "current.tablesOf { packages = [ current.packages.hello ]; }",
        &changed,
    );
    let hello = format!(
        "{}/bin/hello",
        machine.path("current.packages.hello", &changed)
    );
    machine
        .run_with(&format!("{tables}/tables"), &hello, &[])
        .success()
        .prints("Hello, world!\n");
    let owner = machine.run("/usr/bin/stat", &["-c", "%u", &hello]);
    owner.success().prints("0\n");
}
