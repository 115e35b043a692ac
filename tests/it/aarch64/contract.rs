//! What ld.so finds when the shim of aarch64 jumps to it is what the kernel gave;
//! docs/loader-contract.md is what is checked. qemu stands in for the kernel.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::machine::{RELEASES, adopt, compiled, glibc, qemu, shim};
use crate::support::program::table_of;
use crate::support::{Scratch, run};

/// Keys that may differ from the kernel's: `AT_PHDR`, `AT_PHNUM`, `AT_BASE`; and addresses
/// of the executable and of what lies above the environment: `AT_ENTRY`, `AT_PLATFORM`,
/// `AT_RANDOM`, `AT_EXECFN`.
const CHANGED: [&str; 7] = [
    "aux03", "aux05", "aux07", "aux09", "aux15", "aux25", "aux31",
];

const HELLO: &str = "#include <gnu/libc-version.h>\n#include <stdio.h>\n#include <sys/auxv.h>\n\
    int main(void) { printf(\"%s %lu\\n\", gnu_get_libc_version(), getauxval(AT_PAGESZ)); }";

/// A note whose program starts through `interpreter` while it has no table.
fn note(interpreter: &Path) -> String {
    format!(
        "__asm__(\".section .note.indir,\\\"a\\\",%note\\n.balign 4\\n.long 6, 2f-1f, 1\\n\
         .asciz \\\"indir\\\"\\n.balign 4\\n1: .zero 20\\n.asciz \\\"$ORIGIN/.indir/$ID\\\"\\n\
         .asciz \\\"{}\\\"\\n2: .balign 4\\n.previous\");\n",
        interpreter.display()
    )
}

/// The stand-in for ld.so, which prints its registers, vectors and stack.
fn observer(dir: &Scratch) -> PathBuf {
    compiled(
        dir,
        "observer",
        include_str!("../fixtures/observer-aarch64.c"),
        &[
            "-O1",
            "-nostdlib",
            "-static-pie",
            "-fPIE",
            "-ffreestanding",
            "-fno-builtin",
            "-fno-stack-protector",
            "-Wl,--no-dynamic-linker",
            "-Wl,--build-id=none",
        ],
    )
}

fn with_interpreter(path: &Path) -> String {
    format!("-Wl,--dynamic-linker={}", path.display())
}

#[test]
fn ld_so_is_started_as_the_kernel_would() {
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let ldso = observer(&dir);
        let source = "int main(void) { return 0; }";
        let noted = format!("{}{source}", note(&ldso));
        let flags = [pie, &with_interpreter(&shim()), "-Wl,--build-id=sha1"];
        let indirect = compiled(&dir, "indirect", &noted, &flags);
        let plain = compiled(&dir, "plain", source, &[pie, &with_interpreter(&ldso)]);
        let seen = |exe: &Path| -> BTreeMap<String, u64> {
            let mut command = qemu(&[], exe);
            let ran = run(command.args(["one", "", "three"]));
            ran.success();
            let lines = ran.stdout();
            let field = |line: &str| {
                let (name, value) = line.split_once(' ').unwrap();
                (name.to_owned(), u64::from_str_radix(value, 16).unwrap())
            };
            lines.lines().map(field).collect()
        };
        let (shim, kernel) = (seen(&indirect), seen(&plain));
        assert!(kernel.len() > 50, "{kernel:?}");
        assert_eq!(
            shim.keys().collect::<Vec<_>>(),
            kernel.keys().collect::<Vec<_>>()
        );
        for (name, value) in &shim {
            match name.as_str() {
                // The address that the shim jumped to.
                "x16" => assert_ne!(*value, 0),
                // qemu starts with Z set, Linux with none.
                "nzcv" => assert_eq!(*value, 0),
                name if CHANGED.contains(&name) => {}
                name => assert_eq!(*value, kernel[name], "{pie} {name}"),
            }
        }
        for name in ["x00", "x30", "vectors", "fpcr", "fpsr", "tpidr", "aligned"] {
            assert_eq!(shim[name], 0, "{name}");
        }
        assert_eq!(shim["argc"], 4);
    }
}

/// Calls until ld.so's first own, with what `-strace` says of each.
fn calls_of_the_shim(exe: &Path) -> Vec<String> {
    let ran = run(&mut qemu(&["-strace"], exe));
    ran.success();
    let text = ran.stderr();
    let calls: Vec<String> = text
        .lines()
        .take_while(|line| !line.contains(" brk(NULL)"))
        .map(str::to_owned)
        .collect();
    assert!(
        text.lines().count() > calls.len(),
        "ld.so never began: {ran}"
    );
    calls
}

#[test]
fn the_shim_makes_at_most_thirteen_system_calls() {
    let dir = Scratch::new();
    let plain = compiled(&dir, "plain", HELLO, &[]);
    for (release, _) in RELEASES {
        let exe = dir.join(release);
        adopt(&plain, &exe, &[&glibc(release)], "direct");
        let calls = calls_of_the_shim(&exe);
        assert!(calls[0].contains(" readlinkat("), "{calls:#?}");
        assert!(calls.len() <= 13, "{release}: {} {calls:#?}", calls.len());
        assert!(
            calls
                .iter()
                .any(|call| call.contains(" close_range(") || call.contains(" close(")),
            "{calls:#?}"
        );
    }
}

/// Without a table, because qemu refuses part of ld.so's first heap as an argument of
/// openat then, where names of libraries would lie (docs/compatibility.md).
#[test]
fn pages_of_each_size_serve() {
    let dir = Scratch::new();
    for (release, version) in RELEASES {
        let lib = glibc(release);
        let source = format!("{}{HELLO}", note(&lib.join("ld-linux-aarch64.so.1")));
        let flags = [with_interpreter(&shim()), "-Wl,--build-id=sha1".into()];
        let exe = compiled(
            &dir,
            release,
            &source,
            &flags.each_ref().map(String::as_str),
        );
        let path = format!("LD_LIBRARY_PATH={}", lib.display());
        for page in ["4096", "16384", "65536"] {
            let ran = run(&mut qemu(&["-p", page, "-E", &path], &exe));
            ran.success();
            let text = ran.stdout();
            let (own, pages) = text.trim().split_once(' ').unwrap();
            assert!(own.starts_with(version), "{ran}");
            assert_eq!(pages, page);
        }
    }
}

#[test]
fn a_table_for_another_machine_is_refused() {
    let dir = Scratch::new();
    let plain = compiled(&dir, "plain", HELLO, &[]);
    let exe = dir.join("exe");
    adopt(&plain, &exe, &[&glibc("trixie")], "direct");
    let table = table_of(&exe);
    let mut bytes = std::fs::read(&table).unwrap();
    assert_eq!(bytes[14..16], [183, 0]);
    bytes[14] = 62;
    std::fs::write(table, bytes).unwrap();
    let ran = run(&mut qemu(&[], &exe));
    ran.exits(127).err_is_one_line();
    ran.err_has("the table is for another architecture");
}
