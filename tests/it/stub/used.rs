//! `indir abi floor --used-by`: who counts, what is refused.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::{Ran, Scratch, as_users_do, cc, indir, run};

const SCRIPT: &str = "V1 { global: f; h; unused; value; other; maybe; local: *; };\n\
    X_PRIVATE_1 { global: g; k; spare; };\n";

const SOURCE: &str = "
int f(void) { return 1; }
int g(void) { return 2; }
int h(void) { return 3; }
int k(void) { return 4; }
int maybe(void) { return 5; }
int spare(void) { return 6; }
int unused(void) { return 7; }
int value = 8;
extern int other __attribute__((alias(\"value\")));
";

/// A build of libx.so.1 without some lines of its source, or with others.
fn build(scratch: &Scratch, name: &str, source: &str, script: &str) -> PathBuf {
    let file = scratch.file(format!("{name}/x.c"), source);
    let map = scratch.file(format!("{name}/x.map"), script);
    let out = scratch.join(format!("{name}/libx.so.1"));
    cc([
        "-shared",
        "-fPIC",
        "-Wl,-soname,libx.so.1",
        &format!("-Wl,--version-script={}", map.display()),
        "-o",
        out.to_str().unwrap(),
        file.to_str().unwrap(),
    ]);
    out
}

/// A build that lacks what is called `name`.
fn without(scratch: &Scratch, name: &str) -> PathBuf {
    let is_it = |line: &&str| !line.contains(&format!(" {name}("));
    let source: Vec<&str> = SOURCE.lines().filter(is_it).collect();
    let script = SCRIPT.replace(&format!(" {name};"), "");
    build(
        scratch,
        &format!("without-{name}"),
        &source.join("\n"),
        &script,
    )
}

/// The library, one that uses it, and a program that uses both, in folders of their own.
struct Family {
    scratch: Scratch,
    library: PathBuf,
    program: PathBuf,
}

impl Family {
    fn new() -> Self {
        let scratch = Scratch::new();
        let library = build(&scratch, "old", SOURCE, SCRIPT);
        let folder = library.parent().unwrap().to_owned();
        let y = scratch.file(
            "y.c",
            "int h(void); int k(void); int unused(void);\n\
             int y(void) { return h() + k() + unused(); }\n",
        );
        let out = folder.join("liby.so");
        cc(["-shared", "-fPIC", "-Wl,-soname,liby.so", "-o"]
            .map(PathBuf::from)
            .iter()
            .chain([&out, &y, &library]));
        // A copy of `value`, its own `unused`, and a function that it does without.
        let p = scratch.file(
            "p.c",
            "int f(void); int g(void); int y(void); extern int value;\n\
             int maybe(void) __attribute__((weak)); int unused(void) { return 9; }\n\
             int main(void) { return f() + g() + y() + value + (maybe ? maybe() : 0) - 32; }\n",
        );
        let program = scratch.join("p");
        let rpath = format!("-Wl,-rpath,{}", folder.display());
        cc(["-no-pie", "-fno-pie", "-o"]
            .map(PathBuf::from)
            .iter()
            .chain([&program, &p, &out, &library, &PathBuf::from(rpath)]));
        run(as_users_do(&mut Command::new(&program))).success();
        Self {
            scratch,
            library,
            program,
        }
    }

    fn floor(&self, builds: &[&Path], users: &[&Path], options: &[&str]) -> Ran {
        let out = self.scratch.join("floor.abi");
        let _ = std::fs::remove_file(&out);
        let mut command = indir();
        command.args(["abi", "floor"]).args(builds).arg("-o");
        command.arg(&out).args(options).arg("--used-by").args(users);
        let ran = run(&mut command);
        assert_eq!(out.exists(), ran.code() == Some(0), "{ran}");
        ran
    }

    /// The symbols of the floor that was written last.
    fn symbols(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.scratch.join("floor.abi")).unwrap();
        symbols(&text)
    }
}

pub(super) fn symbols(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("symbol "))
        .map(|line| line.split(' ').next().unwrap().to_owned());
    lines.collect()
}

/// What is called, read or weakly referred to; a second name of a copied object; what
/// another library of the program needs, but for what is private.
const USED: [&str; 6] = [
    "f@@V1",
    "g@@X_PRIVATE_1",
    "h@@V1",
    "maybe@@V1",
    "other@@V1",
    "value@@V1",
];

#[test]
fn a_floor_has_what_a_program_binds_to() {
    let family = Family::new();
    let (library, program) = (&*family.library, &*family.program);
    family.floor(&[library], &[program], &[]).success();
    assert_eq!(family.symbols(), USED);
    family
        .floor(&[library], &[program], &["--keep-public"])
        .success();
    let mut all = USED.to_vec();
    all.insert(5, "unused@@V1");
    assert_eq!(family.symbols(), all);
    // The other library's own private needs count if it is named.
    let y = library.with_file_name("liby.so");
    let lib_dir = ["--lib-dir", library.parent().unwrap().to_str().unwrap()];
    family.floor(&[library], &[&y], &lib_dir).success();
    assert_eq!(family.symbols(), ["h@@V1", "k@@X_PRIVATE_1", "unused@@V1"]);

    // A stub of it is enough for the program, and for no other.
    family.floor(&[library], &[program], &[]).success();
    let stub = family.scratch.join("libx.so.1");
    run(indir()
        .arg("stub")
        .arg(library)
        .arg("--floor")
        .arg(family.scratch.join("floor.abi"))
        .arg("-o")
        .arg(&stub))
    .success();
    let link = |call: &str| {
        let source = format!("int {call}(void); int main(void) {{ return {call}(); }}\n");
        let source = family.scratch.file("c.c", source);
        let out = family.scratch.join("c");
        run(Command::new("gcc")
            .arg(&source)
            .arg(&stub)
            .arg("-o")
            .arg(&out))
    };
    link("g").success();
    link("k").exits(1).err_has("undefined reference to `k'");
}

#[test]
fn a_build_that_lacks_what_is_used_is_refused() {
    let family = Family::new();
    let (library, program) = (&*family.library, &*family.program);
    let scratch = &family.scratch;
    // What nobody uses may go, and what only a library of the same package uses.
    for name in ["spare", "unused", "k"] {
        let new = without(scratch, name);
        let ran = family.floor(&[library, &new], &[program], &[]);
        assert_eq!(ran.success().stderr(), "", "{name}");
        assert_eq!(family.symbols(), USED);
    }
    for (name, version, user) in [
        ("g", "X_PRIVATE_1", program),
        ("f", "V1", program),
        ("h", "V1", &library.with_file_name("liby.so")),
    ] {
        let new = without(scratch, name);
        for builds in [[library, &new], [&new, library]] {
            family
                .floor(&builds, &[program], &[])
                .exits(3)
                .err_has(&format!(
                    "  {name}@{version}, needed by {}: not in {}\n",
                    user.display(),
                    new.display()
                ))
                .err_has("no floor of `libx.so.1` has 1 of the symbols that are bound to");
        }
    }
    let new = without(scratch, "maybe");
    family
        .floor(&[library, &new], &[program], &[])
        .success()
        .err_has(&format!(
            "left out: maybe@V1 (not in {}; {} does without it)",
            new.display(),
            program.display()
        ))
        .err_is_one_line();
    assert!(!family.symbols().contains(&"maybe@@V1".to_owned()));
    // An object of another size is no object of a floor.
    let source = SOURCE.replace("int value = 8", "long value = 8");
    let source = source.replace("extern int other", "extern long other");
    let new = build(scratch, "long", &source, SCRIPT);
    family
        .floor(&[library, &new], &[program], &[])
        .exits(3)
        .err_has(&format!(
            "  value@V1, needed by {}: the builds contradict each other in it\n",
            program.display()
        ));
    // One that nobody uses is not spoken of.
    let y = library.with_file_name("liby.so");
    let lib_dir = ["--lib-dir", library.parent().unwrap().to_str().unwrap()];
    let ran = family.floor(&[library, &new], &[&y], &lib_dir);
    assert_eq!(ran.success().stderr(), "");
}

/// ld.so wants a version of a library even if another one has the symbol.
#[test]
fn a_version_is_needed_whoever_has_the_symbol() {
    let family = Family::new();
    let scratch = &family.scratch;
    let script = "V1 { global: h; local: *; }; V2 { global: f; };";
    let library = build(scratch, "two", SOURCE, script);
    let folder = library.parent().unwrap();
    let first = folder.join("libfirst.so");
    let make = |source: &str, script: &str| {
        let source = scratch.file("first.c", source);
        let map = scratch.file("first.map", script);
        cc([
            "-shared",
            "-fPIC",
            "-Wl,-soname,libfirst.so",
            &format!("-Wl,--version-script={}", map.display()),
            "-o",
            first.to_str().unwrap(),
            source.to_str().unwrap(),
        ]);
    };
    make("int first(void) { return 0; }\n", "V2 { global: first; };");
    let source = scratch.file(
        "q.c",
        "int f(void); int h(void); int first(void);\n\
         int main(void) { return f() + h() + first(); }\n",
    );
    let program = scratch.join("q");
    let rpath = format!("-Wl,-rpath,{}", folder.display());
    cc([
        &source,
        &first,
        &library,
        Path::new("-o"),
        &program,
        Path::new(&rpath),
    ]);
    family.floor(&[&library], &[&program], &[]).success();
    assert_eq!(family.symbols(), ["f@@V2", "h@@V1"]);
    // From now on `f` is found in the first one.
    make(
        "int first(void) { return 0; } int f(void) { return -3; }\n",
        "V2 { global: first; f; };",
    );
    run(as_users_do(&mut Command::new(&program))).success();
    family.floor(&[&library], &[&program], &[]).success();
    assert_eq!(family.symbols(), ["h@@V1"]);
    let new = build(scratch, "one", SOURCE, "V1 { global: h; local: *; };");
    family
        .floor(&[&library, &new], &[&program], &[])
        .exits(3)
        .err_has(&format!(
            "  version V2, needed by {}: not in {}\n",
            program.display(),
            new.display()
        ));
    // Which is what ld.so says.
    std::fs::copy(&new, &library).unwrap();
    run(as_users_do(&mut Command::new(&program)))
        .exits(1)
        .err_has("version `V2' not found");
}

#[test]
fn a_plugin_binds_to_what_its_program_loads() {
    let family = Family::new();
    let source = family.scratch.file(
        "plugin.c",
        "int f(void); int host(void); int plugin(void) { return f() + host(); }\n",
    );
    let plugin = family.scratch.join("plugin.so");
    cc(["-shared", "-fPIC", "-nostdlib", "-o"]
        .map(PathBuf::from)
        .iter()
        .chain([&plugin, &source]));
    family.floor(&[&family.library], &[&plugin], &[]).success();
    assert_eq!(family.symbols(), ["f@@V1"]);
    // An older build in place of the one that has what it wants.
    let new = without(&family.scratch, "f");
    std::fs::rename(&new, &family.library).unwrap();
    let whole = build(&family.scratch, "whole", SOURCE, SCRIPT);
    family.floor(&[&whole], &[&family.program], &[]).success();
    assert_eq!(family.symbols(), USED);
}

#[test]
fn what_has_no_bindings_is_told() {
    let family = Family::new();
    let (library, program) = (&*family.library, &*family.program);
    let stranger = Path::new("/bin/true");
    family
        .floor(&[library], &[stranger], &[])
        .exits(1)
        .err_is_one_line()
        .err_has("no file of --used-by binds to anything of `libx.so.1`");
    family
        .floor(&[library], &[program, stranger], &[])
        .success()
        .err_is_one_line()
        .err_has(
            "warning: 1 of the 2 files of --used-by bind to nothing of `libx.so.1`: /bin/true",
        );
    assert_eq!(family.symbols(), USED);
    let script = family.scratch.file("script", "#!/bin/sh\n");
    let c = family.scratch.file("s.c", "int main(void) { return 0; }\n");
    let fixed = family.scratch.join("static");
    cc([&c, Path::new("-static"), Path::new("-o"), &fixed]);
    for (path, why) in [
        (&*script, "not an ELF file"),
        (&fixed, "statically linked"),
        (Path::new("/nowhere/p"), "No such file"),
        (family.scratch.path(), "irectory"),
    ] {
        family
            .floor(&[library], &[program, path], &[])
            .exits(1)
            .err_is_one_line()
            .err_has(&format!("`{}`", path.display()))
            .err_has(why);
    }
    // What it needs is not there.
    let away = family.scratch.join("away");
    std::fs::rename(library.parent().unwrap(), &away).unwrap();
    let moved = away.join("libx.so.1");
    family
        .floor(&[&moved], &[program], &[])
        .exits(1)
        .err_has("--lib-dir");
    family
        .floor(
            &[&moved],
            &[program],
            &["--lib-dir", away.to_str().unwrap()],
        )
        .success();
    assert_eq!(family.symbols(), USED);
    let out = family.scratch.join("x.abi");
    for wrong in [&["--keep-public"][..], &["--used-by"]] {
        run(indir()
            .args(["abi", "floor"])
            .arg(&moved)
            .arg("-o")
            .arg(&out)
            .args(wrong))
        .exits(2)
        .err_has("--used-by");
    }
    run(indir()
        .args(["abi", "floor", "--used-by"])
        .args([program, &moved])
        .arg("-o")
        .arg(&out))
    .exits(2)
    .err_has("<LIB>... -o <F.abi> [--used-by <PROGRAM>...]");
}

/// An indirect program is looked at with the libraries that its table gives it.
#[test]
fn tables_are_followed() {
    let family = Family::new();
    let away = family.scratch.join("away");
    std::fs::rename(family.library.parent().unwrap(), &away).unwrap();
    let library = away.join("libx.so.1");
    adopt([
        "--in-place".as_ref(),
        "--lib-dir".as_ref(),
        away.as_os_str(),
        family.program.as_os_str(),
    ])
    .success();
    family.floor(&[&library], &[&family.program], &[]).success();
    assert_eq!(family.symbols(), USED);
}
