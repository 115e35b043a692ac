//! `indir abi floor --used-by` has what ld.so says that it binds.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::used::symbols;
use crate::support::{Scratch, as_users_do, indir, need, run, system_lib};

/// What ld.so says that it binds in the library called `soname`, from others, when
/// `program` starts, but for what other libraries have of private versions.
fn bindings(program: &Path, soname: &str) -> BTreeSet<String> {
    let ran = run(as_users_do(
        Command::new(program)
            .arg("--version")
            .env("LD_DEBUG", "bindings")
            .env("LD_BIND_NOW", "1"),
    ));
    let text = ran.success().stderr();
    let mut found = BTreeSet::new();
    for line in text.lines() {
        // `PID: binding file A [0] to B [0]: normal symbol `x' [V]`
        let Some((_, rest)) = line.split_once("binding file ") else {
            continue;
        };
        let (from, rest) = rest.split_once(" [0] to ").unwrap();
        let (to, rest) = rest.split_once(" [0]: ").unwrap();
        let ends = |path: &str| path.rsplit('/').next() == Some(soname);
        if !ends(to) || ends(from) {
            continue;
        }
        let (_, name) = rest.split_once('`').unwrap();
        let (name, version) = name.split_once('\'').unwrap();
        if version.contains("PRIVATE") && Path::new(from) != program {
            continue;
        }
        let version = version.trim().trim_start_matches('[').trim_end_matches(']');
        found.insert(match version {
            "" => name.to_owned(),
            version => format!("{name}@{version}"),
        });
    }
    found
}

#[test]
fn ld_so_agrees_on_real_programs() {
    let scratch = Scratch::new();
    let dbus = need("dbus-daemon", "dbus-daemon");
    let apt = need("apt-get", "apt");
    let dpkg = need("dpkg-deb", "dpkg");
    for (program, soname, least) in [
        (&dbus, "libdbus-1.so.3", 200),
        (&dbus, "libexpat.so.1", 10),
        (&dbus, "libsystemd.so.0", 1),
        (&apt, "libapt-pkg.so.6.0", 100),
        (&apt, "libstdc++.so.6", 100),
        (&apt, "libz.so.1", 5),
        (&dpkg, "liblzma.so.5", 5),
        (&dpkg, "libc.so.6", 100),
        (&dbus, "libc.so.6", 100),
    ] {
        let out = scratch.join("floor.abi");
        let library = system_lib().join(soname);
        run(indir()
            .args(["abi", "floor"])
            .arg(&library)
            .arg("--used-by")
            .arg(program)
            .arg("-o")
            .arg(&out))
        .success();
        let text = std::fs::read_to_string(&out).unwrap();
        let floor: BTreeSet<String> = symbols(&text)
            .into_iter()
            .map(|name| name.replace("@@", "@"))
            .collect();
        let bound = bindings(program, soname);
        assert!(bound.len() >= least, "{soname}: {}", bound.len());
        let missing: Vec<_> = bound.difference(&floor).collect();
        assert!(missing.is_empty(), "{program:?} {soname}: {missing:?}");
        // Beyond that there are other names of the same objects only.
        let mut groups: Vec<BTreeSet<String>> = Vec::new();
        for line in text.lines().filter(|line| line.contains(" alias=")) {
            let name = symbols(line).remove(0).replace("@@", "@");
            let (_, leader) = line.rsplit_once("alias=").unwrap();
            let leader = leader.replace("@@", "@");
            match groups.iter_mut().find(|group| group.contains(&leader)) {
                Some(group) => drop(group.insert(name)),
                None => groups.push([leader, name].into()),
            }
        }
        for name in floor.difference(&bound) {
            let group = groups.iter().find(|group| group.contains(name));
            let has = group.is_some_and(|group| group.iter().any(|name| bound.contains(name)));
            assert!(has, "{program:?} {soname}: {name}");
        }
        // The library satisfies it.
        let ran = run(indir().args(["abi", "diff"]).arg(&out).arg(&library));
        assert!(matches!(ran.code(), Some(0 | 4)), "{ran}");
    }
    // The private interface of a package, which its own program uses and others do not.
    let library = system_lib().join("libdbus-1.so.3");
    let out = scratch.join("other.abi");
    run(indir()
        .args(["abi", "floor"])
        .arg(&library)
        .arg("-o")
        .arg(&out)
        .arg("--used-by")
        .arg(need("dbus-update-activation-environment", "dbus-bin")))
    .success();
    let text = std::fs::read_to_string(&out).unwrap();
    assert!(
        text.contains("LIBDBUS_1_3") && !text.contains("PRIVATE"),
        "{text}"
    );
}
