//! The Makefile and its scripts: what they list, and what they refuse.

use std::path::Path;
use std::process::Command;

use crate::support::{need, run};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn make_help_and_contributing_list_every_target() {
    let makefile = std::fs::read_to_string(Path::new(TOP).join("Makefile")).unwrap();
    let targets = makefile.lines().find_map(|l| l.strip_prefix(".PHONY:"));
    let targets: Vec<&str> = targets.unwrap().split_whitespace().collect();
    assert!(targets.contains(&"nix-demo"), "{targets:?}");
    let help = run(Command::new(need("make", "make"))
        .arg("help")
        .current_dir(TOP));
    let help = help.success().stdout();
    let contributing = std::fs::read_to_string(Path::new(TOP).join("CONTRIBUTING.md")).unwrap();
    for target in targets {
        let listed = help.matches(&format!("make {target}\t")).count();
        assert_eq!(listed, 1, "{target}: {help}");
        let named = |end| contributing.contains(&format!("| `make {target}{end}"));
        assert!(named("` ") || named(" "), "CONTRIBUTING.md: {target}");
    }
}

#[test]
fn deps_refuses_unknown_purposes() {
    let deps = Path::new(TOP).join("tests/scripts/deps.sh");
    for args in [&["nonsense"][..], &["build", "nonsense"], &[]] {
        run(Command::new(&deps).args(args))
            .exits(1)
            .err_is_one_line()
            .err_has("one of build, lint, test, demo, glibc, nix");
    }
}
