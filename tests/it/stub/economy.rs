//! What changes between builds without any client noticing changes no ABI: addresses,
//! versions that no symbol has, the marks of linkers, private interfaces.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::tree::linkers;
use crate::support::{Ran, Scratch, cc, glibc_lib, indir, run, system_lib};

/// Assembles and links a library with soname `libx.so.1`, by a version script if there
/// is one.
fn library(scratch: &Scratch, name: &str, assembly: &str, script: &str) -> PathBuf {
    let source = scratch.file(format!("{name}.s"), assembly);
    let out = scratch.join(format!("{name}.so"));
    let mut command = Command::new("cc");
    command.args(["-shared", "-nostdlib", "-Wl,-soname,libx.so.1", "-o"]);
    command.arg(&out).arg(&source);
    if !script.is_empty() {
        let script = scratch.file(format!("{name}.map"), script);
        command.arg(format!("-Wl,--version-script={}", script.display()));
    }
    run(&mut command).success();
    out
}

fn dump(path: &Path) -> String {
    run(indir().args(["abi", "dump"]).arg(path))
        .success()
        .stdout()
}

fn diff(old: &Path, new: &Path) -> Ran {
    run(indir().args(["abi", "diff"]).arg(old).arg(new))
}

fn stub(scratch: &Scratch, library: &Path, floor: Option<&Path>) -> Vec<u8> {
    let out = scratch.join("stub.so");
    let mut command = indir();
    command.arg("stub").arg(library).arg("-o").arg(&out);
    if let Some(floor) = floor {
        command.arg("--floor").arg(floor);
    }
    run(&mut command).success();
    std::fs::read(out).unwrap()
}

/// Nothing tells the two builds apart, in either direction.
fn same(scratch: &Scratch, one: &Path, other: &Path) {
    diff(one, other).exits(0).prints("");
    diff(other, one).exits(0).prints("");
    assert_eq!(dump(one), dump(other));
    assert!(stub(scratch, one, None) == stub(scratch, other, None));
    let floor = scratch.file("one.abi", dump(one));
    assert!(stub(scratch, other, Some(&floor)) == stub(scratch, one, None));
}

/// `.bss` with objects at the multiples of 32 that are given, in a section that is
/// aligned to 64 bytes for another's sake.
fn objects(at: [(&str, u32, u32); 3]) -> String {
    let mut text = ".section .note.GNU-stack,\"\",@progbits\n.bss\n.balign 64\n".to_owned();
    text.push_str("strict: .skip 64\n");
    for (name, offset, size) in at {
        text.push_str(&format!(
            ".globl {name}\n.type {name}, @object\n.size {name}, {size}\n\
             .org {offset}\n{name}: .skip {size}\n"
        ));
    }
    text
}

#[test]
fn an_address_says_nothing_of_alignment() {
    let scratch = Scratch::new();
    // An id of 8 bytes and a table of 64, as libstdc++ and libgmp have; and one of 96.
    let at = |id, table, odd| [("id", id, 8), ("table", table, 64), ("odd", odd, 96)];
    let old = library(&scratch, "old", &objects(at(96, 160, 288)), "");
    let new = library(&scratch, "new", &objects(at(128, 192, 320)), "");
    same(&scratch, &old, &new);
    let text = dump(&new);
    for line in [
        "symbol id object in=data size=8 align=8\n",
        "symbol odd object in=data size=96 align=32\n",
        // The section bears it, and the size.
        "symbol table object in=data size=64 align=64\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
}

#[test]
fn an_object_that_comes_to_want_more_is_found() {
    let scratch = Scratch::new();
    let source = |aligned: &str| format!("{aligned} char table[256];\n");
    let build = |name: &str, aligned: &str| {
        let file = scratch.file(format!("{name}.c"), source(aligned));
        let out = scratch.join(format!("{name}.so"));
        let mut args: Vec<String> = ["-shared", "-fPIC", "-Wl,-soname,libx.so.1", "-o"]
            .map(str::to_owned)
            .to_vec();
        args.extend([out.display().to_string(), file.display().to_string()]);
        cc(args);
        out
    };
    let old = build("old", "");
    let new = build("new", "__attribute__((aligned(128)))");
    diff(&old, &new)
        .exits(12)
        .out_has("incompatible: align-grown")
        .out_has("table: 32 -> 128 bytes");
    diff(&new, &old).exits(4).out_has("align-shrunk");
}

const F_AND_G: &str = ".section .note.GNU-stack,\"\",@progbits\n.text\n\
    .globl f, g, h\n.type f, @function\n.type g, @function\n.type h, @function\n\
    f: nop\ng: nop\nh: nop\n";

#[test]
fn versions_without_symbols_are_left_out() {
    let scratch = Scratch::new();
    let build = |name: &str, script: &str| library(&scratch, name, F_AND_G, script);
    let plain = build(
        "plain",
        "V1 { global: f; local: *; }; V3 { global: g; } V1;",
    );
    for (name, script) in [
        (
            "behind",
            "V1 { global: f; local: *; }; V3 { global: g; } V1; V4 { } V3;",
        ),
        (
            "between",
            "V1 { global: f; local: *; }; V2 { } V1; V3 { global: g; } V2;",
        ),
        (
            "two",
            "V0 { }; V1 { global: f; local: *; }; V2 { } V1; V2a { } V2; V3 { global: g; } V2a;",
        ),
    ] {
        same(&scratch, &plain, &build(name, script));
    }
    // Beside symbols without any version too.
    let open = build("open", "V1 { global: f; };");
    same(
        &scratch,
        &open,
        &build("open2", "V1 { global: f; }; V2 { } V1;"),
    );
    // One that has a symbol counts.
    diff(
        &plain,
        &build(
            "more",
            "V1 { global: f; local: *; }; V3 { global: g; } V1; V4 { global: h; } V3;",
        ),
    )
    .exits(4)
    .out_has("added: version-added");
    // An older text that names an empty version is a floor that is satisfied still.
    let text = dump(&plain).replace("version V3", "version V2\nversion V3");
    let floor = scratch.file("old.abi", text);
    stub(
        &scratch,
        &build(
            "again",
            "V1 { global: f; local: *; }; V2 { } V1; V3 { global: g; } V2;",
        ),
        Some(&floor),
    );
}

#[test]
fn the_marks_of_glibc_stay() {
    let text = dump(&glibc_lib("trixie").join("libc.so.6"));
    assert!(text.contains("version GLIBC_ABI_DT_RELR "), "{text}");
    let scratch = Scratch::new();
    let script = "GLIBC_2.2.5 { global: f; g; local: *; };";
    let old = library(
        &scratch,
        "old",
        F_AND_G,
        &format!("{script} GLIBC_ABI_DT_RELR {{ }};"),
    );
    let new = library(&scratch, "new", F_AND_G, script);
    diff(&old, &new)
        .exits(12)
        .out_has("incompatible: version-removed")
        .out_has("  GLIBC_ABI_DT_RELR\n");
}

/// Every linker gives a program that names them its own.
const MARKS: [&str; 4] = ["_end", "_edata", "__bss_start", "_etext"];

#[test]
fn a_program_never_binds_to_the_marks_of_a_library() {
    let scratch = Scratch::new();
    let with = |marks: &[&str]| {
        let labels = marks.iter().map(|m| format!(".globl {m}\n{m}:\n"));
        format!("{F_AND_G}.data\n.long 1\n{}", labels.collect::<String>())
    };
    let old = library(&scratch, "old", &with(&MARKS), "");
    let new = library(&scratch, "new", &with(&[]), "");
    let number = library(
        &scratch,
        "number",
        &format!("{F_AND_G}.globl _end\n_end = 0x4321\n"),
        "",
    );
    assert!(dump(&old).contains("symbol _end notype"), "{}", dump(&old));
    for other in [&new, &number] {
        for (from, to) in [(&old, other), (other, &old)] {
            let ran = diff(from, to);
            let text = ran.exits(4).out_has("compatible: linker-marker").stdout();
            assert!(
                !text.contains("incompatible") && !text.contains("added"),
                "{text}"
            );
        }
    }
    let floor = scratch.file("old.abi", dump(&old));
    assert!(stub(&scratch, &new, Some(&floor)) == stub(&scratch, &old, None));

    // Why: what is linked against the one runs with the other.
    let source = MARKS.map(|m| format!("extern char {m}[];"));
    let sum = MARKS.map(|m| format!("(unsigned long){m}"));
    let source = scratch.file(
        "p.c",
        format!(
            "{} int f(void);\nint main(void) {{ return ({}) == 0; }}\n",
            source.concat(),
            sum.join(" + ")
        ),
    );
    let object = scratch.join("p.o");
    cc([
        "-c".as_ref(),
        "-fPIC".as_ref(),
        source.as_os_str(),
        "-o".as_ref(),
        object.as_os_str(),
    ]);
    for linker in linkers(&scratch) {
        let program = scratch.join("p");
        let mut link = Command::new("gcc");
        link.args(&linker)
            .arg(&object)
            .arg(&old)
            .arg("-o")
            .arg(&program);
        run(link.arg("-Wl,--no-as-needed")).success();
        let libraries = scratch.dir("run");
        for (library, what) in [(&old, "old"), (&new, "new")] {
            std::fs::copy(library, libraries.join("libx.so.1")).unwrap();
            let ran = run(Command::new(&program)
                .env("LD_LIBRARY_PATH", &libraries)
                .env("LD_BIND_NOW", "1"));
            assert_eq!(ran.code(), Some(0), "{linker:?} {what}: {ran}");
        }
    }
}

#[test]
fn private_interfaces_are_nobody_s() {
    let scratch = Scratch::new();
    let build = |name: &str, release: &str, own: &str| {
        let script = format!(
            "V1 {{ global: f; local: *; }}; {} {{ global: {own}; }};",
            release
        );
        library(&scratch, name, F_AND_G, &script)
    };
    for (name, first, second) in [
        ("private", "LIBX_PRIVATE_1.14.10", "LIBX_PRIVATE_1.16.2"),
        ("internal", "X_INTERNAL_8_6", "X_INTERNAL_8_10"),
        ("bare", "PRIVATE", "INTERNAL"),
        ("end", "X_PRIVATE", "X_INTERNAL"),
    ] {
        let old = build(&format!("{name}1"), first, "g");
        let new = build(&format!("{name}2"), second, "h");
        same(&scratch, &old, &new);
        assert!(!dump(&old).contains(first), "{}", dump(&old));
        // What links to it does not link to the stub.
        let out = scratch.join("stub.so");
        stub(&scratch, &old, None);
        let client = scratch.file("c.c", "int g(void); int main(void) { return g(); }\n");
        let mut link = Command::new("gcc");
        link.arg(&client)
            .arg(&out)
            .arg("-o")
            .arg(scratch.join("client"));
        run(&mut link)
            .exits(1)
            .err_has("undefined reference to `g'");
        // Who wants it counted says so.
        run(indir()
            .args(["abi", "diff", "--public", &format!("@{first}")])
            .args([&old, &new]))
        .exits(12)
        .out_has(&format!("  g@@{first}\n"));
    }
    // A user's own patterns: a name, a version, one library's.
    let old = library(
        &scratch,
        "old",
        F_AND_G,
        "V1 { global: f; g; local: *; }; V2 { global: h; };",
    );
    let new = library(&scratch, "new", F_AND_G, "V1 { global: f; local: *; };");
    diff(&old, &new).exits(12);
    for (patterns, code) in [
        (&["g", "h"][..], 0),
        (&["g@V1", "@V2"], 0),
        (&["libx.so.*:[gh]"], 12),
        (&["libx.so.*:g", "libx.so.1:h@V*"], 0),
        (&["liby.so.1:g", "h"], 12),
        (&["?"], 0),
    ] {
        let mut command = indir();
        command.args(["abi", "diff"]);
        for pattern in patterns {
            command.args(["--private", pattern]);
        }
        run(command.args([&old, &new])).exits(code);
    }
    for (option, pattern) in [
        ("--private", "*"),
        ("--public", ""),
        ("--private", "a b"),
        ("--private", ":x"),
    ] {
        run(indir().args(["abi", "dump", option, pattern]).arg(&old))
            .exits(2)
            .err_has(&format!(
                "invalid value '{pattern}' for '{option} <PATTERN>'"
            ));
    }
}

/// A text counts as it is, and what it has of private names the library is asked for.
#[test]
fn a_floor_may_have_private_names() {
    let scratch = Scratch::new();
    let build = |name: &str, own: &str| {
        let script = format!("V1 {{ global: f; local: *; }}; X_PRIVATE_1 {{ global: {own} }};");
        library(&scratch, name, F_AND_G, &script)
    };
    let (old, new) = (build("old", "g; h;"), build("new", "h;"));
    let open = run(indir()
        .args(["abi", "dump", "--public", "@X_PRIVATE_1"])
        .arg(&old));
    let floor = scratch.file("open.abi", open.success().stdout());
    assert!(open.stdout().contains("symbol g@@X_PRIVATE_1 function\n"));
    diff(&floor, &old).exits(0).prints("");
    diff(&floor, &new).exits(12).out_has("  g@@X_PRIVATE_1\n");
    run(indir()
        .arg("stub")
        .arg(&new)
        .arg("--floor")
        .arg(&floor)
        .arg("-o")
        .arg(scratch.join("n.so")))
    .exits(3)
    .err_has("g@@X_PRIVATE_1 [symbol-removed]");
    // A stub with private names is read back as what it is, and links.
    let bytes = stub(&scratch, &old, Some(&floor));
    let path = scratch.file("open.so", &bytes);
    assert_eq!(dump(&path), open.stdout());
    assert!(stub(&scratch, &path, None) == bytes);
}

/// Real ones: what libraries of the system keep to themselves.
#[test]
fn private_interfaces_of_real_libraries() {
    for (soname, private, public) in [
        (
            "libdbus-1.so.3",
            "LIBDBUS_PRIVATE",
            "dbus_bus_get@@LIBDBUS_1_3",
        ),
        (
            "libnettle.so.8",
            "NETTLE_INTERNAL",
            "nettle_sha256_init@@NETTLE_8",
        ),
        (
            "libgnutls.so.30",
            "GNUTLS_PRIVATE",
            "gnutls_init@@GNUTLS_3_4",
        ),
        (
            "libkrb5support.so.0",
            "krb5int_",
            "k5_json_get_tid@@krb5support_0_MIT",
        ),
        ("libc.so.6", "GLIBC_PRIVATE", "printf@@GLIBC_2.2.5"),
    ] {
        let text = dump(&system_lib().join(soname));
        assert!(!text.contains(private), "{soname}");
        assert!(
            text.contains(&format!("symbol {public} ")),
            "{soname}: {text}"
        );
    }
}
