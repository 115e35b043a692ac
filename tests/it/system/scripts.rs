//! The Makefile and its scripts: what they list, and what they refuse.

use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, need, run};

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
            .err_has("one of build, cross, lint, test, demo, glibc, nix, walk");
    }
}

#[test]
fn deps_removes_nothing_and_names_the_conflict() {
    let tree = Scratch::new();
    let program = |name: &str, text: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let file = tree.file(Path::new("bin").join(name), format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    // Nothing is installed, as far as the script sees; and what is to be installed cannot
    // be there together with `make`, says the real apt, which only pretends to do it.
    program("dpkg-query", "exit 1");
    program(
        "apt-get",
        "for word; do [ \"$word\" != update ] || exit 0; done\nexec /usr/bin/apt-get -s \"$@\" make-",
    );
    program("id", "echo 0");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", tree.join("bin").display());
    run(Command::new(Path::new(TOP).join("tests/scripts/deps.sh"))
        .arg("lint")
        .env("PATH", path))
    .exits(1)
    .err_has("conflicts with packages that are there, which stay: ")
    .err_has("make")
    .err_has("(wanted: shellcheck)");
    need("make", "make");
}

/// Nix builds from a part of the source, which no other test does.
#[test]
fn nix_has_all_that_the_build_reads() {
    let read = |path: &str| std::fs::read_to_string(Path::new(TOP).join(path)).unwrap();
    let package = read("nix/package.nix");
    let list = package.split("needed = map").nth(1).unwrap();
    let list = list.split(['[', ']']).nth(1).unwrap();
    let needed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    for path in &needed {
        assert!(Path::new(TOP).join(path).exists(), "{path}");
    }
    let build = read("build.rs");
    let changed = build.split("cargo::rerun-if-changed=").skip(1);
    let changed = changed.map(|rest| rest.split('"').next().unwrap());
    let parts = build.split("#[path = \"").skip(1);
    let parts = parts.map(|rest| rest.split('"').next().unwrap());
    let mut reads: Vec<&str> = changed.chain(parts).collect();
    assert!(reads.len() > 4, "{reads:?}");
    let manifest = read("Cargo.toml");
    let named = manifest.split("path = \"").skip(1);
    reads.extend(named.map(|rest| rest.split('"').next().unwrap()));
    for path in reads {
        let is_there = needed.iter().any(|kept| Path::new(path).starts_with(kept));
        assert!(is_there, "nix/package.nix leaves out {path}");
    }
}
