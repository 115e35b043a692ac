//! `reach = true`: a check is not run again when nothing that it can execute has changed.

use super::fixtures;
use crate::support::nix::Machine;

/// The set with users of zlib, and a change of zlib. No check is run all the same unless a test
/// says so: which ones are goes by their hashes, and these by everything in this project.
fn arguments(change: &str, more: &str) -> String {
    let packages = fixtures().join("reach.nix");
    format!(
        "reach = true; more = import {}; changes.zlib = _: {{ postPatch = {change:?}; }}; {more} {}",
        packages.display(),
        if more.contains("reachSample") {
            ""
        } else {
            "reachSample = 0;"
        }
    )
}

/// A function that nobody calls.
const ADDED: &str = "echo 'int zlibFresh(void) { return 0; }' >>zutil.c";
/// A condition in what only unpacking comes to.
const CONDITION: &str = "sed -i 's/max != 1))/max != 2))/' inftrees.c";
const CHECKS: &str = "with current.packages; [ packs.indirection.check unpacks.indirection.check ]";

#[test]
fn only_checks_that_can_run_a_change_run_again() {
    let machine = Machine::new();
    let checks = |change: &str, more: &str| {
        let built = machine.build(CHECKS, &arguments(change, more));
        built.success();
        let mut names: Vec<_> = built
            .names("check")
            .into_iter()
            .map(str::to_owned)
            .collect();
        names.sort();
        names
    };
    assert_eq!(checks("true", ""), ["packs-check-1", "unpacks-check-1"]);
    assert_eq!(checks(ADDED, ""), [""; 0]);
    assert_eq!(checks(CONDITION, ""), ["unpacks-check-1"]);
    // An earlier build that it cannot tell from today's is as good as the frozen one.
    let both = format!("{CONDITION}; {ADDED}");
    let earlier = format!("builds.zlib = [ (_: {{ postPatch = {CONDITION:?}; }}) ];");
    assert_eq!(checks(&both, &earlier), [""; 0]);
}

#[test]
fn a_check_that_could_not_fail_and_does_says_so() {
    let machine = Machine::new();
    let check = "current.packages.spots.indirection.check";
    machine.build(check, &arguments(ADDED, "")).success();
    let built = machine.build(check, &arguments(ADDED, "reachSample = 1;"));
    built.fails().err_has("by `indir reach` it could not");
    // What tests compile was not judged.
    let check = "current.packages.compiles.indirection.check";
    let built = machine.build(check, &arguments(ADDED, ""));
    built.fails().err_has("set indirReach = false for it");
    machine
        .build(
            check,
            &arguments(ADDED, "").replace("reach = true", "reach = false"),
        )
        .success();
}
