//! Files of pkg-config, CMake and aclocal, and scripts: by key, and for who names them.

use crate::support::Scratch;

use super::support::{stands_in, tree, words};

fn module(version: &str, more: &str) -> String {
    format!(
        "prefix=/usr\nName: x\nDescription: of {version}\nVersion: {version}\nLibs: -lx\n{more}"
    )
}

/// Whether a change of one file is seen by a consumer with one file.
fn sees(path: &str, old: &str, new: &str, consumer: (&str, &str)) -> bool {
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[(path, old)]);
    let new = tree(&scratch, "new", &[(path, new)]);
    let words = words(&scratch, "source", &[consumer]);
    !stands_in(&old, &new, &words).0
}

#[test]
fn a_version_counts_for_who_asks_for_it() {
    let (old, new) = (module("1.2.11", ""), module("1.2.13", ""));
    let sees = |file, text| sees("lib/pkgconfig/libx.pc", &old, &new, (file, text));
    assert!(!sees("configure.ac", "PKG_CHECK_MODULES([X], [libx])\n"));
    assert!(!sees(
        "configure.ac",
        "PKG_CHECK_MODULES([X], [libx >= 1.2.9])\n"
    ));
    assert!(sees(
        "configure.ac",
        "PKG_CHECK_MODULES([X], [libx >= 1.2.12])\n"
    ));
    assert!(sees(
        "configure.ac",
        "PKG_CHECK_MODULES([X], [libx >= 1.2.13])\n"
    ));
    assert!(!sees(
        "configure.ac",
        "PKG_CHECK_MODULES([X], [libx >= 2])\n"
    ));
    assert!(sees("configure.ac", "v=`$PKG_CONFIG --modversion libx`\n"));
    assert!(!sees("configure.ac", "v=`$PKG_CONFIG --modversion liby`\n"));
    assert!(sees(
        "meson.build",
        "x = dependency('libx')\nmessage(x.version())\n"
    ));
    assert!(!sees(
        "meson.build",
        "x = dependency('libx')\nmessage(meson.version())\n"
    ));
    assert!(sees(
        "CMakeLists.txt",
        "pkg_check_modules(ANY libx)\nset(v ${ANY_VERSION})\n"
    ));
    assert!(!sees(
        "CMakeLists.txt",
        "pkg_check_modules(ANY libx)\nset(v ${PROJECT_VERSION})\n"
    ));
}

#[test]
fn what_flags_say_counts_for_who_names_the_module() {
    let (old, new) = (module("1", ""), module("1", "Cflags: -DX\n"));
    assert!(sees(
        "lib/pkgconfig/libx.pc",
        &old,
        &new,
        ("meson.build", "dependency('libx')\n")
    ));
    assert!(!sees(
        "lib/pkgconfig/libx.pc",
        &old,
        &new,
        ("meson.build", "dependency('liby')\n")
    ));
    // By another module, which requires it.
    let scratch = Scratch::new();
    let other = "Name: y\nVersion: 1\nRequires.private: libx >= 1\n";
    let files = |module: &str| {
        vec![
            ("lib/pkgconfig/libx.pc", module.to_owned()),
            ("lib/pkgconfig/liby.pc", other.to_owned()),
        ]
    };
    let make = |name: &str, text: &str| {
        let files = files(text);
        let files: Vec<(&str, &str)> = files.iter().map(|(a, b)| (*a, b.as_str())).collect();
        tree(&scratch, name, &files)
    };
    let (old, new) = (make("old", &old), make("new", &new));
    let words = words(&scratch, "s", &[("meson.build", "dependency('liby')\n")]);
    assert!(!stands_in(&old, &new, &words).0);
}

#[test]
fn cmake_by_package() {
    let path = "lib/cmake/Foo/FooConfigVersion.cmake";
    let text = |version: &str| {
        format!(
            "# {version}\nset(PACKAGE_VERSION \"{version}\")\nif(PACKAGE_VERSION VERSION_LESS PACKAGE_FIND_VERSION)\nendif()\n"
        )
    };
    let (old, new) = (text("3.1.0"), text("3.2.0"));
    let sees_version = |cmake| sees(path, &old, &new, ("CMakeLists.txt", cmake));
    assert!(!sees_version("find_package(Foo REQUIRED)\n"));
    assert!(sees_version("find_package(Foo 3.2 REQUIRED)\n"));
    assert!(!sees_version("find_package(Foo 3.0 REQUIRED)\n"));
    assert!(!sees_version("find_package(Bar 3.2 REQUIRED)\n"));
    assert!(sees_version("find_package(Foo)\nmessage(${Foo_VERSION})\n"));
    let path = "lib/cmake/Foo/FooTargets-none.cmake";
    let text = |file: &str, soname: &str| {
        format!(
            "set(PACKAGE_VERSION \"1\")\nset_target_properties(Foo IMPORTED_LOCATION_NONE \"{file}\" IMPORTED_SONAME_NONE \"{soname}\")\n"
        )
    };
    let named = ("CMakeLists.txt", "find_package(Foo REQUIRED)\n");
    let (a, b) = (
        text("libfoo.so.1.2.3", "libfoo.so.1"),
        text("libfoo.so.1.3.0", "libfoo.so.1"),
    );
    assert!(!sees(path, &a, &b, named));
    let c = text("libfoo.so.2.0.0", "libfoo.so.2");
    assert!(sees(path, &a, &c, named));
}

#[test]
fn macros_of_aclocal_and_scripts() {
    let path = "share/aclocal/x.m4";
    let m4 = |body: &str| format!("AC_DEFUN([AM_PATH_X], [{body}])\n");
    let named = ("configure.ac", "AM_PATH_X\n");
    assert!(sees(path, &m4("one"), &m4("two"), named));
    assert!(!sees(
        path,
        &m4("one"),
        &m4("two"),
        ("configure.ac", "AM_PATH_Y\n")
    ));
    let named = ("configure.ac", "AC_PATH_PROG([X], [x-config])\n");
    assert!(sees(
        "bin/x-config",
        "#!/bin/sh\necho 1\n",
        "#!/bin/sh\necho 2\n",
        named
    ));
    let other = ("configure.ac", "AC_PATH_PROG([Z], [z-tool])\n");
    assert!(!sees(
        "bin/x-config",
        "#!/bin/sh\necho 1\n",
        "#!/bin/sh\necho 2\n",
        other
    ));
}
