//! The binder binds libraries that it recognises, with and without build-id,
//! and leaves everything to ld.so when one of them was replaced.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Scratch, b_flag, cc, indir, run};

/// How many functions each library has; more make the difference clearer.
const FUNCTIONS: usize = 200;

/// Two libraries that call each other's functions, and a program.
fn program(scratch: &Scratch, build_id: &str, sum: usize) -> PathBuf {
    let build_id = format!("-Wl,--build-id={build_id}");
    let callee: String = (0..FUNCTIONS)
        .map(|n| format!("int f{n}(void) {{ return {sum}; }}\n"))
        .collect();
    let caller: String = (0..FUNCTIONS)
        .map(|n| format!("int f{n}(void);\n"))
        .chain(["int all(void) { return 0".to_owned()])
        .chain((0..FUNCTIONS).map(|n| format!(" + f{n}()")))
        .chain(["; }\n".to_owned()])
        .collect();
    let shared = |name: &str, text: &str, needs: &[&Path]| {
        let out = scratch.join(format!("lib{name}.so"));
        let source = scratch.file(format!("{name}.c"), text);
        let soname = format!("-Wl,-soname,lib{name}.so");
        let mut args = vec!["-shared", "-fPIC", "-Wl,-z,now", &build_id, &soname];
        args.extend([source.to_str().unwrap(), "-o", out.to_str().unwrap()]);
        args.extend(needs.iter().map(|n| n.to_str().unwrap()));
        cc(args);
        out
    };
    let callee = shared("callee", &callee, &[]);
    let caller = shared("caller", &caller, &[&callee]);
    let main = scratch.file(
        "main.c",
        "#include <stdio.h>\nint all(void);\nint main(void) { printf(\"%d\\n\", all()); }\n",
    );
    let exe = scratch.join("main");
    cc([
        b_flag().as_ref(),
        main.as_os_str(),
        caller.as_os_str(),
        "-Wl,--allow-shlib-undefined".as_ref(),
        "-o".as_ref(),
        exe.as_os_str(),
    ]);
    exe
}

fn update(exe: &Path, scratch: &Scratch) {
    run(indir()
        .args(["update", "--plan", "bound", "--lib-dir"])
        .arg(scratch.path())
        .arg(exe))
    .success();
}

/// What the program prints, and how many symbols ld.so looked up.
fn start(exe: &Path) -> (String, usize) {
    let ran = run(Command::new(exe)
        .env("LD_DEBUG", "statistics")
        .env("INDIR_DEBUG", "0"));
    ran.success();
    let text = ran.stderr();
    let line = text
        .lines()
        .find(|line| line.contains("number of relocations:"))
        .expect("ld.so's statistics");
    let count = line.rsplit(':').next().unwrap().trim().parse().unwrap();
    (ran.stdout(), count)
}

#[test]
fn libraries_with_and_without_build_id_are_bound() {
    for build_id in ["sha1", "none"] {
        let scratch = Scratch::new();
        let exe = program(&scratch, build_id, 1);
        update(&exe, &scratch);
        let expected = format!("{FUNCTIONS}\n");
        let (printed, lookups) = start(&exe);
        assert_eq!(printed, expected, "{build_id}");
        assert!(lookups < FUNCTIONS, "{build_id}: {lookups} lookups");

        // Another library with the same name: nothing of it may be assumed.
        program(&scratch, build_id, 2);
        let (printed, lookups) = start(&exe);
        assert_eq!(printed, format!("{}\n", 2 * FUNCTIONS), "{build_id}");
        assert!(lookups >= FUNCTIONS, "{build_id}: {lookups} lookups");

        // Relinking made a new executable too, whose table is refreshed.
        update(&exe, &scratch);
        assert!(start(&exe).1 < FUNCTIONS, "{build_id}");
    }
}

/// The same path, size and layout, but another time of last change.
#[test]
fn a_touched_library_without_build_id_is_not_trusted() {
    let scratch = Scratch::new();
    let exe = program(&scratch, "none", 1);
    update(&exe, &scratch);
    let (_, bound) = start(&exe);
    let library = scratch.join("libcallee.so");
    let file = std::fs::File::options()
        .append(true)
        .open(&library)
        .unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
    file.set_modified(long_ago).unwrap();
    let (printed, lookups) = start(&exe);
    assert_eq!(printed, format!("{FUNCTIONS}\n"));
    assert!(
        bound < FUNCTIONS && lookups >= FUNCTIONS,
        "{bound}, {lookups}"
    );
}
