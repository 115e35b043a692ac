//! Whole development folders as stubs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::facts::facts;
use crate::support::{Scratch, cache, glibc, glibc_lib, indir, need, run};

/// Where libc6-dev of a glibc is unpacked.
fn dev(version: &str) -> PathBuf {
    let root = glibc(version);
    let version = root.file_name().unwrap();
    let dev = root
        .parent()
        .unwrap()
        .with_file_name("glibc-dev")
        .join(version);
    let folder = dev.join("usr/lib/x86_64-linux-gnu");
    assert!(
        folder.is_dir(),
        "{folder:?} is missing; run tests/scripts/fetch-glibc.sh (`make test` does)"
    );
    folder
}

fn tree(version: &str, output: &Path) {
    run(indir()
        .arg("stub")
        .arg("--tree")
        .arg(glibc_lib(version))
        .arg("--tree")
        .arg(dev(version))
        .arg("-o")
        .arg(output))
    .success();
}

/// Names with contents, or the target of a symlink.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let name = entry.file_name().into_string().unwrap();
            let path = entry.path();
            let bytes = match std::fs::read_link(&path) {
                Ok(target) => format!("-> {}", target.display()).into_bytes(),
                Err(_) => std::fs::read(&path).unwrap(),
            };
            (name, bytes)
        })
        .collect()
}

#[test]
fn the_tree_of_a_security_update_is_the_same_byte_for_byte() {
    let scratch = Scratch::new();
    let (old, new) = (scratch.join("old"), scratch.join("new"));
    tree("old", &old);
    tree("bookworm", &new);
    let (old, new) = (contents(&old), contents(&new));
    for name in [
        "libc.so.6",
        "libm.so.6",
        "libc.so",
        "crt1.o",
        "Scrt1.o",
        "libc_nonshared.a",
        "libdl.a",
        "ld-linux-x86-64.so.2",
    ] {
        assert!(old.contains_key(name), "{name} is missing");
    }
    assert!(
        !old.contains_key("libc.a")
            && !old.contains_key("libm.a")
            && !old.contains_key("libm-2.36.a")
    );
    assert_eq!(old["libresolv.so"], b"-> libresolv.so.2");
    assert_eq!(
        String::from_utf8_lossy(&old["libc.so"]),
        "OUTPUT_FORMAT ( elf64-x86-64 )\nGROUP ( libc.so.6 libc_nonshared.a AS_NEEDED ( ld-linux-x86-64.so.2 ) )\n"
    );
    assert_eq!(
        old.keys().collect::<Vec<_>>(),
        new.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &old {
        assert!(bytes == &new[name], "{name}");
        let text = String::from_utf8_lossy(bytes);
        for trace in ["/usr/", "/lib/", "/build/", "2.36-9", "GCC: ("] {
            assert!(!text.contains(trace), "{name} has `{trace}` in it");
        }
    }
}

#[test]
fn a_link_against_the_tree_reads_no_real_glibc_file() {
    let scratch = Scratch::new();
    let stubs = scratch.join("stubs");
    tree("bookworm", &stubs);
    let source = scratch.file(
        "main.c",
        "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\nextern char **environ;\n\
         static void end(void) { puts(\"end\"); }\n\
         int main(int n, char **v) { atexit(end); (void)v; \
         return printf(\"%d %.1f\\n\", environ != 0, sin(n) + fmod(5, 3)) < 0; }\n",
    );
    let program = scratch.join("program");
    let mut line: Vec<String> = [&source, Path::new("-o"), &program]
        .map(|p| p.to_str().unwrap().to_owned())
        .to_vec();
    line.extend(["-lm", "-ldl", "-lpthread"].map(str::to_owned));
    // What the checks say of an ordinary link.
    let ordinary = Traced::gcc(&scratch, &line, scratch.path());
    assert!(!ordinary.named.is_empty() && !ordinary.opened.is_empty());
    for linker in linkers(&scratch) {
        for pie in ["-pie", "-no-pie"] {
            let mut flags = linker.clone();
            flags.push(pie.to_owned());
            flags.extend(["-B", "-L"].map(|flag| format!("{flag}{}", stubs.display())));
            flags.extend(line.clone());
            let traced = Traced::gcc(&scratch, &flags, scratch.path());
            traced.assert_no_glibc_but(&stubs);
            run(&mut Command::new(&program)).success().out_has("end");
        }
    }
}

/// Unpacks, configures and makes GNU hello in the ordinary way; returns its
/// folder, and the arguments of the compiler in the last step.
fn hello(scratch: &Scratch) -> (PathBuf, Vec<String>) {
    let folder = cache().join("src");
    let tarball = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            name.starts_with("hello_") && name.contains(".orig.tar.")
        })
        .unwrap_or_else(|| {
            panic!("GNU hello is not in {folder:?}: run tests/scripts/fetch-source.sh hello (`make test` does)")
        });
    let folder = scratch.dir("hello");
    run(Command::new("tar")
        .arg("-xf")
        .arg(tarball)
        .arg("-C")
        .arg(&folder)
        .args(["--strip-components", "1"]))
    .success();
    need("make", "make");
    let step = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(&folder);
        run(&mut command).success().stdout()
    };
    step("./configure", &["CC=gcc", "--disable-dependency-tracking"]);
    let made = step("make", &["V=1"]);
    let line = made.lines().find(|l| l.contains(" -o hello "));
    let words = line.expect("make links hello").split_whitespace();
    let words: Vec<String> = words.map(str::to_owned).collect();
    assert_eq!(words[0], "gcc");
    (folder, words[1..].to_vec())
}

#[test]
fn gnu_hello_links_against_the_tree_alone() {
    let scratch = Scratch::new();
    let stubs = scratch.join("stubs");
    tree("bookworm", &stubs);
    let (folder, line) = hello(&scratch);
    let program = folder.join("hello");
    for linker in linkers(&scratch) {
        let link = |extra: &[String]| {
            let mut arguments = linker.clone();
            arguments.extend_from_slice(extra);
            arguments.extend(line.clone());
            Traced::gcc(&scratch, &arguments, &folder)
        };
        let ordinary = link(&[]);
        assert!(!ordinary.named.is_empty() && !ordinary.opened.is_empty());
        let expected = facts(&program);
        link(&["-B", "-L"].map(|flag| format!("{flag}{}", stubs.display())))
            .assert_no_glibc_but(&stubs);
        assert_eq!(expected.against(&facts(&program)), None, "{linker:?}");
        run(&mut Command::new(&program))
            .success()
            .prints("Hello, world!\n");
    }
}

/// A link, as the linker's --trace and strace tell it.
struct Traced {
    /// Files of the machine's own glibc that the linker names.
    named: Vec<String>,
    /// Those that compiler and linker opened, not counting what ld.so loads for
    /// themselves.
    opened: Vec<String>,
    trace: String,
    log: String,
}

impl Traced {
    fn gcc(scratch: &Scratch, arguments: &[String], folder: &Path) -> Self {
        need("strace", "strace");
        need("ld.gold", "binutils");
        need("mold", "mold");
        let log = scratch.join("strace.log");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-e", "trace=open,openat", "-z", "-o"])
            .arg(&log)
            .arg("gcc")
            .args(arguments)
            .arg("-Wl,--trace")
            .current_dir(folder);
        let trace = run(&mut command).success().stdout();
        let log = std::fs::read_to_string(&log).unwrap();
        Self {
            named: glibc_files(&trace),
            opened: read_twice(&log),
            trace,
            log,
        }
    }

    fn assert_no_glibc_but(&self, stubs: &Path) {
        let stub = format!("{}/libc.so.6", stubs.display());
        assert!(self.trace.contains(&stub), "{}", self.trace);
        assert!(self.log.contains(&stub), "strace saw nothing");
        assert_eq!(self.named, Vec::<String>::new());
        assert_eq!(self.opened, Vec::<String>::new());
    }
}

/// Files of the machine's own glibc that a process opened more often than ld.so
/// does for the compiler or linker itself: its shared libraries, once each.
fn read_twice(log: &str) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut bad = Vec::new();
    for line in log.lines() {
        let (pid, path) = (
            line.split(' ').next().unwrap(),
            line.split('"').nth(1).unwrap_or(""),
        );
        let own = path.contains(".so.") && seen.insert((pid, path));
        if !own {
            bad.extend(glibc_files(path));
        }
    }
    bad
}

/// Lines that name a file of the machine's own glibc.
fn glibc_files(text: &str) -> Vec<String> {
    const NAMES: [&str; 9] = [
        "libc.so.6",
        "libc.so",
        "libm.so.6",
        "libm.so",
        "libmvec.so.1",
        "ld-linux-x86-64.so.2",
        "crt1.o",
        "Scrt1.o",
        "libc_nonshared.a",
    ];
    // mold's lines begin with a word.
    let paths = text.lines().map(|l| l.trim_start_matches("trace: "));
    let paths = paths.map(|l| l.trim_matches(['(', ')', ' ']));
    paths
        .filter(|l| l.starts_with("/lib") || l.starts_with("/usr/lib"))
        .filter(|l| NAMES.contains(&l.rsplit('/').next().unwrap_or("")))
        .map(str::to_owned)
        .collect()
}

/// Compiler flags for each linker.
pub(crate) fn linkers(scratch: &Scratch) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = vec![vec!["-fuse-ld=bfd".into()], vec!["-fuse-ld=gold".into()]];
    for version in ["14", "19"] {
        let lld = need(&format!("ld.lld-{version}"), &format!("lld-{version}"));
        let folder = scratch.dir(format!("lld-{version}"));
        let _ = std::os::unix::fs::symlink(lld, folder.join("ld.lld"));
        all.push(vec![
            "-fuse-ld=lld".into(),
            format!("-B{}", folder.display()),
        ]);
    }
    all.push(vec!["-fuse-ld=mold".into()]);
    all
}

#[test]
fn a_tree_on_floors_does_not_change_when_libraries_grow() {
    let scratch = Scratch::new();
    let floors = scratch.dir("floors");
    for name in ["libc.so.6", "libm.so.6"] {
        let text = run(indir()
            .args(["abi", "dump"])
            .arg(glibc_lib("old").join(name)))
        .success()
        .stdout();
        std::fs::write(floors.join(format!("{name}.abi")), text).unwrap();
    }
    let cut = |version: &str| {
        let out = scratch.join(version);
        run(indir()
            .arg("stub")
            .arg("--tree")
            .arg(glibc_lib(version))
            .arg("-o")
            .arg(&out)
            .arg("--floor-dir")
            .arg(&floors))
        .success();
        contents(&out)
    };
    let (old, new) = (cut("old"), cut("trixie"));
    assert_eq!(old["libc.so.6"], new["libc.so.6"]);
    assert_eq!(old["libm.so.6"], new["libm.so.6"]);

    // The other way round it is refused, and what was there stays.
    for name in ["libc.so.6", "libm.so.6"] {
        let text = run(indir()
            .args(["abi", "dump"])
            .arg(glibc_lib("trixie").join(name)))
        .success()
        .stdout();
        std::fs::write(floors.join(format!("{name}.abi")), text).unwrap();
    }
    let out = scratch.join("old");
    run(indir()
        .arg("stub")
        .arg("--tree")
        .arg(glibc_lib("old"))
        .arg("-o")
        .arg(&out)
        .arg("--floor-dir")
        .arg(&floors))
    .exits(3)
    .err_has("strlcpy@@GLIBC_2.38")
    .err_has("2 libraries do not satisfy their floors");
    assert_eq!(contents(&out), old);
}

/// A library with one function and the soname libx.so.1, at `path`.
fn libx(scratch: &Scratch, path: &Path) -> PathBuf {
    let source = scratch.file("x.c", "int x(void) { return 1; }\n");
    crate::support::cc([
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-Wl,-soname,libx.so.1".as_ref(),
        source.as_os_str(),
        "-o".as_ref(),
        path.as_os_str(),
    ]);
    path.to_owned()
}

#[test]
fn awkward_folders() {
    let scratch = Scratch::new();
    let folder = scratch.dir("lib");
    let library = libx(&scratch, &folder.join("libx.so.1.2"));
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    link("libx.so.1.2", "libx.so.1");
    link("libx.so.1", "libx.so");
    link(library.to_str().unwrap(), "libabsolute.so");
    link("nowhere.so", "libdangling.so");
    link("libloop.so", "libloop.so");
    scratch.file("lib/libx.a", "!<arch>\n");
    scratch.file("lib/libonly.a", "!<arch>\n");
    scratch.file("lib/notes.txt", "text");
    scratch.file("lib/libx.so.1.2-gdb.py", "import gdb");
    scratch.file("lib/libx.la", "# libtool\n");
    scratch.dir("lib/plugins");
    let out = scratch.join("out");
    let make = |extra: &[&str]| {
        run(indir()
            .arg("stub")
            .arg("--tree")
            .arg(&folder)
            .arg("-o")
            .arg(&out)
            .args(extra))
    };
    make(&[]).success();
    let found = contents(&out);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "libabsolute.so",
            "libonly.a",
            "libx.so",
            "libx.so.1",
            "libx.so.1.2"
        ]
    );
    assert_eq!(found["libabsolute.so"], b"-> libx.so.1.2");
    make(&["--archives"]).success();
    assert!(out.join("libx.a").exists());

    scratch.file("lib/libodd.so", "SECTIONS { . = 0; }\n");
    make(&[])
        .exits(1)
        .err_has("libodd.so: a linker script with `SECTIONS`");
    assert!(!out.join("libodd.so").exists());
}

/// What is no file for any linker does not keep the others from being made.
#[test]
fn what_nobody_can_link_with_is_named_and_left_out() {
    let scratch = Scratch::new();
    let folder = scratch.dir("lib");
    let library = libx(&scratch, &folder.join("libx.so.1"));
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, folder.join(name)).unwrap();
    link("libx.so.1", "libx.so");
    link("/nowhere/libgone.so.1", "libgone.so");
    link("libgone.so", "libgone2.so");
    link("libself.so", "libself.so");
    link("libround2.so", "libround1.so");
    link("libround1.so", "libround2.so");
    link("libround1.so", "libround3.so");
    link("/dev/null", "libnull.so");
    link("libfifo.so.1", "libfifo.so");
    link("lib", "folder");
    run(Command::new("mkfifo").arg(folder.join("libfifo.so.1"))).success();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap();
    std::fs::copy(&library, folder.join("libsecret.so")).unwrap();
    std::fs::set_permissions(
        folder.join("libsecret.so"),
        std::os::unix::fs::PermissionsExt::from_mode(0o000),
    )
    .unwrap();
    scratch.file("lib/empty.a", "");

    let out = scratch.join("out");
    // root reads everything, unless it may not.
    let mut command = Command::new(need("setpriv", "util-linux"));
    let ran = run(command
        .args([
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
        ])
        .arg(env!("CARGO_BIN_EXE_indir"))
        .args(["stub", "--tree"])
        .arg(&folder)
        .arg("-o")
        .arg(&out));
    let mut warnings = vec![
        "folder: left out: a symlink to `lib`, which is not there",
        "libfifo.so.1: left out: is a FIFO",
        "libfifo.so: left out: a symlink to `libfifo.so.1`, which is not there",
        "libgone.so: left out: a symlink to `/nowhere/libgone.so.1`, which is not there",
        "libgone2.so: left out: a symlink to `libgone.so`, which is not there",
        "libnull.so: left out: leads to a device",
        "libround1.so: left out: a symlink to `libround2.so`, which leads in a circle",
        "libround2.so: left out: a symlink to `libround1.so`, which leads in a circle",
        "libround3.so: left out: a symlink to `libround1.so`, which leads in a circle",
        "libsecret.so: left out: cannot be read: Permission denied (os error 13)",
        "libself.so: left out: a symlink to `libself.so`, which leads nowhere: \
         Too many levels of symbolic links (os error 40)",
        "socket: left out: is a socket",
    ];
    let said = ran.success().stderr();
    let prefix = format!("warning: {}/", folder.display());
    let mut said: Vec<&str> = said
        .lines()
        .map(|line| line.strip_prefix(&prefix).unwrap_or(line))
        .collect();
    said.sort_unstable();
    warnings.sort_unstable();
    assert_eq!(said, warnings);
    let found = contents(&out);
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(names, ["libx.so", "libx.so.1"]);
    // What is broken, and would break a link, still is an error.
    scratch.file("lib/libbad.so", "\x7fELF\x02\x01");
    run(indir()
        .args(["stub", "--tree"])
        .arg(&folder)
        .arg("-o")
        .arg(&out))
    .exits(1)
    .err_has("libbad.so: ")
    .err_has("1 files cannot be used");
}
