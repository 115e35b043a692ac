//! Floors and `abi diff` on real pairs of libraries.

use std::path::{Path, PathBuf};

use crate::support::{Scratch, cc, debian_lib, glibc_lib, indir, run};

fn lib(version: &str, name: &str) -> PathBuf {
    glibc_lib(version).join(name)
}

/// Compiles `source` into a shared object `name` with soname `libx.so.1`.
fn build(scratch: &Scratch, name: &str, source: &str) -> PathBuf {
    let file = scratch.file(format!("{name}.c"), source);
    let out = scratch.join(format!("{name}.so"));
    let args = ["-shared", "-fPIC", "-O1", "-Wl,-soname,libx.so.1", "-o"];
    cc(args
        .iter()
        .map(std::ffi::OsStr::new)
        .chain([out.as_os_str(), file.as_os_str()]));
    out
}

fn diff(old: &Path, new: &Path) -> crate::support::Ran {
    run(indir().args(["abi", "diff"]).arg(old).arg(new))
}

#[test]
fn a_newer_glibc_on_the_old_floor_has_the_old_stub() {
    let scratch = Scratch::new();
    for name in ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"] {
        let floor = scratch.join(format!("{name}.abi"));
        let text = run(indir().args(["abi", "dump"]).arg(lib("old", name)))
            .success()
            .stdout();
        std::fs::write(&floor, text).unwrap();
        let cut = |version: &str| {
            let out = scratch.join(format!("{version}-{name}"));
            run(indir()
                .arg("stub")
                .arg(lib(version, name))
                .arg("-o")
                .arg(&out)
                .arg("--floor")
                .arg(&floor))
            .success();
            std::fs::read(out).unwrap()
        };
        let old = cut("old");
        for version in ["bookworm", "trixie", "sid"] {
            assert!(cut(version) == old, "{name} of {version}");
        }
    }
}

#[test]
fn an_older_library_is_refused_with_the_list() {
    let scratch = Scratch::new();
    let floor = scratch.join("libc.abi");
    let text = run(indir()
        .args(["abi", "dump"])
        .arg(lib("trixie", "libc.so.6")))
    .success()
    .stdout();
    std::fs::write(&floor, text).unwrap();
    let out = scratch.join("libc.so");
    let refused = run(indir()
        .arg("stub")
        .arg(lib("old", "libc.so.6"))
        .arg("-o")
        .arg(&out)
        .arg("--floor")
        .arg(&floor));
    refused
        .exits(3)
        .err_has("strlcpy@@GLIBC_2.38")
        .err_has("does not satisfy the floor");
    assert!(!out.exists());
}

#[test]
fn abi_diff_of_real_pairs() {
    let pair = |old, new, name| diff(&lib(old, name), &lib(new, name));
    pair("old", "bookworm", "libc.so.6").exits(0).prints("");
    pair("old", "trixie", "libc.so.6")
        .exits(4)
        .out_has("added: symbol-added")
        .out_has("strlcpy@@GLIBC_2.38");
    pair("old", "trixie", "libm.so.6")
        .exits(4)
        .out_has("fmod@@GLIBC_2.2.5: now fmod@GLIBC_2.2.5");
    pair("trixie", "old", "libc.so.6")
        .exits(12)
        .out_has("incompatible: symbol-removed");
}

#[test]
fn abi_diff_speaks_json() {
    let scratch = Scratch::new();
    let old = build(
        &scratch,
        "old",
        "int a[2] = {1}; int f(void) { return 1; }\n",
    );
    let new = build(
        &scratch,
        "new",
        "int a[4] = {1}; int f(void) { return 1; } int g(void) { return 2; }\n",
    );
    let ran = run(indir().args(["abi", "diff", "--json"]).arg(&old).arg(&new));
    let report: serde_json::Value = serde_json::from_str(&ran.exits(12).stdout()).unwrap();
    assert_eq!(report["version"], 1);
    assert_eq!(report["class"], "incompatible");
    let rules: Vec<(&str, &str)> = report["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| (c["rule"].as_str().unwrap(), c["subject"].as_str().unwrap()))
        .collect();
    let expected = [
        ("symbol-added", "g"),
        ("size-grown", "a"),
        ("align-grown", "a"),
    ];
    assert_eq!(rules, expected);
    run(indir().args(["abi", "diff"]).arg(&old).arg("/nonexistent"))
        .exits(1)
        .err_is_one_line();
}

#[test]
fn the_common_floor_of_three_glibcs_suits_all_of_them() {
    let scratch = Scratch::new();
    for name in ["libc.so.6", "libm.so.6"] {
        let versions = ["sid", "old", "trixie"];
        let floor = scratch.join("common.abi");
        let libraries = versions.map(|v| lib(v, name));
        run(indir()
            .args(["abi", "floor"])
            .args(&libraries)
            .arg("-o")
            .arg(&floor))
        .success();
        for library in &libraries {
            let ran = diff(&floor, library);
            assert!(
                matches!(ran.code(), Some(0 | 4)),
                "{library:?}: {}",
                ran.stdout()
            );
        }
        // The oldest one bounds it: nothing of it is left out but what it alone has.
        let ran = diff(&libraries[1], &floor);
        assert!(matches!(ran.code(), Some(0 | 4)), "{}", ran.stdout());
    }
}

#[test]
fn a_floor_that_lost_something_names_it() {
    let scratch = Scratch::new();
    let old = build(
        &scratch,
        "old",
        "int gone(void) { return 1; } int kept(void) { return 2; }\n",
    );
    let new = build(&scratch, "new", "int kept(void) { return 2; }\n");
    let floor = scratch.join("x.abi");
    run(indir()
        .args(["abi", "floor"])
        .arg(&old)
        .arg("-o")
        .arg(&floor))
    .success();
    let out = scratch.join("out.so");
    run(indir()
        .arg("stub")
        .arg(&new)
        .arg("-o")
        .arg(&out)
        .arg("--floor")
        .arg(&floor))
    .exits(3)
    .err_has("gone [symbol-removed]");
    run(indir()
        .arg("stub")
        .arg(&old)
        .arg("-o")
        .arg(&out)
        .arg("--floor")
        .arg(&floor))
    .success();
}

/// Two builds of a library, an update apart, that `fetch-libs.sh` fetches.
fn pair(package: &str, soname: &str) -> (PathBuf, PathBuf) {
    let (old, new) = (
        debian_lib(package, "old", soname),
        debian_lib(package, "new", soname),
    );
    assert_ne!(std::fs::read(&old).unwrap(), std::fs::read(&new).unwrap());
    (old, new)
}

/// The stub of `library`, cut from `floor` if there is one.
fn stub(scratch: &Scratch, library: &Path, floor: Option<&Path>) -> Vec<u8> {
    let out = scratch.join("out.so");
    let mut command = indir();
    command.arg("stub").arg(library).arg("-o").arg(&out);
    if let Some(floor) = floor {
        command.arg("--floor").arg(floor);
    }
    run(&mut command).success();
    std::fs::read(out).unwrap()
}

#[test]
fn security_updates_of_openssl_and_curl_have_equal_stubs() {
    let scratch = Scratch::new();
    for (package, soname) in [
        ("libssl3", "libcrypto.so.3"),
        ("libssl3", "libssl.so.3"),
        ("libcurl4", "libcurl.so.4"),
    ] {
        let (old, new) = pair(package, soname);
        diff(&old, &new).exits(0).prints("");
        assert!(
            stub(&scratch, &old, None) == stub(&scratch, &new, None),
            "{soname}"
        );
    }
}

#[test]
fn libexpat_and_libxml2_grew_and_keep_the_stub_of_their_floor() {
    let scratch = Scratch::new();
    for (package, soname) in [("libexpat1", "libexpat.so.1"), ("libxml2", "libxml2.so.2")] {
        let (old, new) = pair(package, soname);
        let grown = diff(&old, &new);
        let added = grown.exits(4).out_has("added: symbol-added").stdout();
        let names = added.lines().filter(|l| l.starts_with("  ")).count();
        assert_eq!(names, 2, "{soname}: {added}");
        assert!(
            stub(&scratch, &old, None) != stub(&scratch, &new, None),
            "{soname}"
        );

        let floor = scratch.join(format!("{soname}.abi"));
        run(indir()
            .args(["abi", "floor"])
            .args([&new, &old])
            .arg("-o")
            .arg(&floor))
        .success();
        let first = stub(&scratch, &old, Some(&floor));
        assert!(first == stub(&scratch, &new, Some(&floor)), "{soname}");
        // The common floor of both is what the older one has.
        assert!(first == stub(&scratch, &old, None), "{soname}");

        // The other way round: the list of what is gone, and exit code 3.
        diff(&new, &old)
            .exits(12)
            .out_has("incompatible: symbol-removed");
        let dumped = run(indir().args(["abi", "dump"]).arg(&new));
        std::fs::write(&floor, dumped.success().stdout()).unwrap();
        let refused = run(indir()
            .arg("stub")
            .arg(&old)
            .arg("-o")
            .arg(scratch.join("never.so"))
            .arg("--floor")
            .arg(&floor));
        let refused = refused.exits(3);
        assert_eq!(
            refused.stderr().matches("[symbol-removed]").count(),
            2,
            "{refused}"
        );
        assert!(!scratch.join("never.so").exists());
    }
}

/// Which of many files is not like the others.
#[test]
fn the_build_of_another_library_is_named() {
    let scratch = Scratch::new();
    let other = lib("trixie", "libm.so.6");
    run(indir()
        .args(["abi", "floor", "-o"])
        .arg(scratch.path().join("f.abi"))
        .args([&lib("old", "libutil.so.1"), &other]))
    .exits(1)
    .err_is_one_line()
    .err_has(&format!(
        "`{}`: build 2 has another soname",
        other.display()
    ));
}
