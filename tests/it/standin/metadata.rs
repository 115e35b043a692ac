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
    // By the folder, or as the file is called.
    for path in [
        "lib/cmake/foo4/FooConfigVersion.cmake",
        "lib/cmake/foo4/Foo-config-version.cmake",
    ] {
        let sees = |cmake| sees(path, &old, &new, ("CMakeLists.txt", cmake));
        assert!(sees("find_package(Foo 3.2 REQUIRED)\n"), "{path}");
        assert!(sees("find_package(foo4 3.2 REQUIRED)\n"), "{path}");
        assert!(!sees("find_package(Bar 3.2 REQUIRED)\n"), "{path}");
    }
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
    // Who never runs CMake reads none of it; Meson does.
    assert!(!sees(path, &a, &c, ("configure.ac", "Foo\n")));
    assert!(sees(path, &a, &c, ("meson.build", "dependency('Foo')\n")));
    assert!(sees(
        path,
        &a,
        &c,
        ("build.sh", "cmake --find-package -DNAME=Foo\n")
    ));
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

#[test]
fn versions_are_asked_for_in_many_ways() {
    let (old, new) = (module("247", ""), module("249", ""));
    let path = "lib/pkgconfig/libx.pc";
    let sees_number = |file, text| sees(path, &old, &new, (file, text));
    for (text, sees) in [
        ("$PKG_CONFIG --atleast-version 248 libx\n", true),
        ("$PKG_CONFIG --atleast-version=248 libx\n", true),
        ("$PKG_CONFIG --exact-version '249' libx\n", true),
        ("$PKG_CONFIG --atleast-version 240 libx\n", false),
        ("$PKG_CONFIG --libs libx # 248\n", false),
    ] {
        assert_eq!(sees_number("configure", text), sees, "{text}");
    }
    assert!(sees_number(
        "meson.build",
        "dependency('libx', version: '248')\n"
    ));
    let (old, new) = (module("1.2.11", ""), module("1.2.13", ""));
    let sees_version = |text| sees(path, &old, &new, ("CMakeLists.txt", text));
    assert!(sees_version(
        "PKG_CHECK_MODULES(ANY libx)\nset(v ${ANY_VERSION})\n"
    ));
    assert!(sees_version(
        "pkg_check_modules(PC_${n} libx)\nset(v ${PC_${n}_VERSION})\n"
    ));
    assert!(!sees_version(
        "PKG_CHECK_MODULES(ANY libx)\nset(v ${OTHER_VERSION})\n"
    ));
}

#[test]
fn packages_by_one_number() {
    let path = "lib/cmake/Foo/FooConfigVersion.cmake";
    let text = |version: &str| format!("set(PACKAGE_VERSION \"{version}\")\n");
    let sees_package = |cmake| sees(path, &text("3"), &text("5"), ("CMakeLists.txt", cmake));
    for (cmake, sees) in [
        ("find_package(Foo 4 REQUIRED)\n", true),
        ("FIND_PACKAGE( Foo \"4\" )\n", true),
        ("find_package(Foo 1...<4)\n", true),
        ("find_package(Foo 2 REQUIRED)\n", false),
    ] {
        assert_eq!(sees_package(cmake), sees, "{cmake}");
    }
}

#[test]
fn a_macro_with_the_version_is_no_version() {
    let flags = |version: &str, more: &str| module(version, &format!("own={version}\n{more}\n"));
    let sees_flags = |more: &str, text| {
        sees(
            "lib/pkgconfig/libx.pc",
            &flags("1.2.11", more).replace("@", "1.2.11"),
            &flags("1.2.13", more).replace("@", "1.2.13"),
            ("configure.ac", text),
        )
    };
    let plain = "PKG_CHECK_MODULES([X], [libx])\n";
    assert!(sees_flags("Cflags: -DLIBX_VERSION=@", plain));
    assert!(sees_flags("Cflags: -I/x -DLIBX_VERSION=${own}", plain));
    assert!(!sees_flags("Cflags: -I${prefix}/x-${own}", plain));
    // Who asks for the variable sees it.
    assert!(sees_flags("", "v=`$PKG_CONFIG --variable=own libx`\n"));
}

/// Whether a change of module libx is seen by who names another file's package.
fn sees_behind(path: &str, text: &str, version: (&str, &str), consumer: (&str, &str)) -> bool {
    let scratch = Scratch::new();
    let make = |name: &str, version: &str| {
        let libx = match version.strip_prefix('+') {
            Some(flags) => module("1", &format!("Cflags: {flags}\n")),
            None => module(version, ""),
        };
        let files = [("lib/pkgconfig/libx.pc", libx.as_str()), (path, text)];
        tree(&scratch, name, &files)
    };
    let (old, new) = (make("old", version.0), make("new", version.1));
    let words = words(&scratch, "s", &[consumer]);
    !stands_in(&old, &new, &words).0
}

#[test]
fn what_packages_need() {
    let flags = ("+-DA", "+-DB");
    let variable = "low=libx\nName: y\nVersion: 1\nRequires: ${low} >= 1.2.12\n";
    let pc = "lib/pkgconfig/liby.pc";
    let meson = ("meson.build", "dependency('liby')\n");
    assert!(sees_behind(pc, variable, flags, meson));
    // A version that it wants, and one that it does not.
    assert!(sees_behind(pc, variable, ("1.2.11", "1.2.13"), meson));
    assert!(!sees_behind(pc, variable, ("1.2.13", "1.2.14"), meson));
    let cmake = ("CMakeLists.txt", "find_package(Why)\n");
    let config = "lib/cmake/Why/WhyConfig.cmake";
    for call in [
        "find_package(PkgConfig)\npkg_check_modules(X REQUIRED libx)\n",
        "find_dependency(libx)\n",
    ] {
        assert!(sees_behind(config, call, flags, cmake), "{call}");
    }
    assert!(!sees_behind(
        config,
        "find_dependency(liby)\n",
        flags,
        cmake
    ));
}

#[test]
fn comments_of_cmake() {
    let path = "lib/cmake/Foo/FooConfig.cmake";
    let named = ("CMakeLists.txt", "find_package(Foo)\n");
    let sees_change = |old, new| sees(path, old, new, named);
    assert!(!sees_change("set(a b) # one\n", "set(a b) # two\n"));
    assert!(sees_change("set(a \"b # one\")\n", "set(a \"b # two\")\n"));
    assert!(sees_change(
        "set(a \"b\n# one\")\n",
        "set(a \"b\n# two\")\n"
    ));
    assert!(sees_change(
        "set(a \"\\\"# one\")\n",
        "set(a \"\\\"# two\")\n"
    ));
    assert!(sees_change(
        "#[[ x\n]] set(a one)\n",
        "#[[ x\n]] set(a two)\n"
    ));
}

#[test]
fn macros_of_aclocal_by_all_that_defines_them() {
    let path = "share/aclocal/x.m4";
    let named = ("configure.ac", "AM_PATH_X\n");
    for definition in [
        "AU_DEFUN([AM_PATH_X], [@])\n",
        "AC_DEFUN_ONCE([AM_PATH_X], [@])\n",
        "m4_defun([AM_PATH_X],\n[@])\n",
        "m4_copy([_AM_@], [AM_PATH_X])\n",
        "define([AM_PATH_X], @)\n",
        "AU_ALIAS([AM_PATH_X], [AM_@])\n",
        "AC_DEFUN([AM_PATH_Y], [x])\nm4_rename([AM_PATH_Y], [AM_PATH_X])@\n",
    ] {
        let (old, new) = (
            definition.replace('@', "one"),
            definition.replace('@', "two"),
        );
        assert!(sees(path, &old, &new, named), "{definition}");
        let other = ("configure.ac", "AM_PATH_Z\n");
        assert!(!sees(path, &old, &new, other), "{definition}");
    }
}
