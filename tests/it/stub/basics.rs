//! ABI text and stubs: same bytes everywhere, and never loaded by accident.

use std::path::Path;
use std::process::Command;

use crate::support::{Scratch, cc, glibc, indir, run, system_lib};

/// The libraries of one glibc that programs link with.
const GLIBC: [&str; 8] = [
    "libc.so.6",
    "libm.so.6",
    "ld-linux-x86-64.so.2",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libresolv.so.2",
    "libmvec.so.1",
];

fn lib(version: &str, name: &str) -> std::path::PathBuf {
    glibc(version).join("lib/x86_64-linux-gnu").join(name)
}

fn dump(path: &Path) -> String {
    run(indir().args(["abi", "dump"]).arg(path))
        .success()
        .stdout()
}

fn stub(path: &Path, output: &Path) -> Vec<u8> {
    run(indir().arg("stub").arg(path).arg("-o").arg(output)).success();
    std::fs::read(output).unwrap()
}

#[test]
fn a_security_update_of_glibc_changes_no_byte_of_text_or_stub() {
    let scratch = Scratch::new();
    for name in GLIBC {
        let (old, new) = (lib("old", name), lib("bookworm", name));
        assert_ne!(
            std::fs::read(&old).unwrap(),
            std::fs::read(&new).unwrap(),
            "{name}"
        );
        assert_eq!(dump(&old), dump(&new), "{name}");
        let a = stub(&old, &scratch.join("a"));
        let b = stub(&new, &scratch.join("b"));
        assert_eq!(a, b, "{name}");
    }
}

#[test]
fn library_text_and_stub_give_the_same_stub() {
    let scratch = Scratch::new();
    for name in ["libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"] {
        let library = lib("bookworm", name);
        let text = dump(&library);
        let first = stub(&library, &scratch.join("first.so"));
        let file = scratch.file("some.abi", &text);
        assert_eq!(
            first,
            stub(&file, &scratch.join("second.so")),
            "{name}: from text"
        );
        let again = stub(&scratch.join("first.so"), &scratch.join("third.so"));
        assert_eq!(first, again, "{name}: from a stub");
        assert_eq!(text, dump(&scratch.join("first.so")), "{name}");
    }
}

#[test]
fn ldso_refuses_a_stub_with_a_message() {
    let scratch = Scratch::new();
    let source = scratch.file("lib.c", "int three(void) { return 3; }\n");
    let main = scratch.file(
        "main.c",
        "int three(void);\nint main(void) { return three(); }\n",
    );
    for (soname, versions) in [(true, true), (true, false), (false, false)] {
        let folder = scratch.dir(format!("{soname}-{versions}"));
        let library = folder.join("libthree.so");
        let script = scratch.file("three.map", "V1 { three; };\n");
        let mut args = vec![
            "-shared".into(),
            "-fPIC".into(),
            "-o".into(),
            library.clone(),
        ];
        args.push(source.clone());
        if soname {
            args.push("-Wl,-soname,libthree.so".into());
        }
        if versions {
            args.push(format!("-Wl,--version-script={}", script.display()).into());
        }
        cc(&args);
        let program = folder.join("program");
        cc([
            main.as_os_str(),
            library.as_os_str(),
            "-o".as_ref(),
            program.as_os_str(),
        ]);
        let start = || {
            run(Command::new(&program)
                .env("LD_LIBRARY_PATH", &folder)
                .env_remove("LD_PRELOAD"))
        };
        start().exits(3);

        // The same file, now a stub: found, and refused.
        stub(&library, &folder.join("stub"));
        std::fs::rename(folder.join("stub"), &library).unwrap();
        start().exits(1).err_has("indir ABI stub, for linking only");

        // Lazily loaded.
        let open = scratch.file(
            "open.c",
            "#include <dlfcn.h>\n#include <stdio.h>\nint main(int n, char **v) {\n\
             if (dlopen(v[1], RTLD_NOW)) return 0;\nputs(dlerror()); return 9; }\n",
        );
        let opener = folder.join("opener");
        cc([open.as_os_str(), "-o".as_ref(), opener.as_os_str()]);
        let opened = run(Command::new(&opener).arg(&library));
        opened.exits(9).out_has("indir ABI stub, for linking only");
    }
}

#[test]
fn a_stub_of_libc_itself_is_refused_too() {
    let scratch = Scratch::new();
    let program = scratch.join("program");
    let main = scratch.file(
        "main.c",
        "#include <stdio.h>\nint main(void) { return puts(\"x\") < 0; }\n",
    );
    cc([main.as_os_str(), "-o".as_ref(), program.as_os_str()]);
    stub(&system_lib().join("libc.so.6"), &scratch.join("libc.so.6"));
    run(Command::new(&program).env("LD_LIBRARY_PATH", scratch.path()))
        .exits(1)
        .err_has("indir ABI stub, for linking only");
}

#[test]
fn the_folder_and_the_file_s_name_do_not_matter() {
    let scratch = Scratch::new();
    let library = lib("bookworm", "libm.so.6");
    let other = scratch.dir("elsewhere").join("renamed.so");
    std::fs::copy(&library, &other).unwrap();
    let a = stub(&library, &scratch.join("a"));
    let b = stub(&other, &scratch.dir("deeper/still").join("b"));
    assert_eq!(a, b);
    // Section headers are evidence, not a requirement.
    let strip = crate::support::need("llvm-strip-14", "llvm-14");
    run(Command::new(strip).arg("--strip-sections").arg(&other)).success();
    let text = dump(&other);
    let names = |text: &str| {
        let symbols = text.lines().filter(|l| l.starts_with("symbol "));
        symbols
            .map(|l| l.split(' ').nth(1).unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&text), names(&dump(&library)));
}
