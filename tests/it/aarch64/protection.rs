//! Branch target identification stays in force: ld.so, the program and its libraries are
//! mapped as at an ordinary start, and shim and binder have it themselves.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};

use super::ARTEFACTS;
use super::machine::{adopt, compiled, glibc, qemu, shim};
use crate::support::{Scratch, prefix, run};

/// `main` with an argument calls what is no landing pad. The C library's start file has
/// no landing pads in bookworm, so the program has one of its own.
const PROGRAM: &str = r#"
#include <stdio.h>
__asm__(".globl _start\n_start:\nhint #38\nmov x29, xzr\nmov x5, x0\nldr x1, [sp]\n"
        "add x2, sp, #8\nmov x6, sp\nadrp x0, main\nadd x0, x0, :lo12:main\n"
        "mov x3, xzr\nmov x4, xzr\nbl __libc_start_main\nbrk #0\n");
static void middle(void) { __asm__ volatile("nop\nnop\n"); }
int main(int argc, char **argv) {
    (void)argv;
    puts("started");
    fflush(stdout);
    if (argc > 1) {
        void (*into)(void) = (void (*)(void))((char *)middle + 4);
        __asm__ volatile("" : "+r"(into));
        into();
    }
    return 0;
}
"#;

const FLAGS: [&str; 4] = [
    "-O1",
    "-mbranch-protection=standard",
    "-Wl,-z,force-bti",
    "-nostartfiles",
];

/// The processor with all that qemu knows, and one that has no such thing.
const WITH: &str = "max";
const WITHOUT: &str = "cortex-a57";

fn starts(exe: &Path, cpu: &str, args: &[&str]) -> Option<i32> {
    let mut command = qemu(&["-cpu", cpu], exe);
    // Where it dumps core.
    command.current_dir(exe.parent().unwrap());
    let ran = run(command.args(args));
    ran.out_has("started");
    ran.output
        .status
        .signal()
        .or(ran.code().filter(|code| *code > 128).map(|code| code - 128))
}

#[test]
fn programs_with_landing_pads_stay_protected() {
    const SIGILL: i32 = 4;
    let dir = Scratch::new();
    let plain = compiled(&dir, "plain", PROGRAM, &FLAGS);
    for release in ["trixie", "sid"] {
        for plan in ["direct", "bound"] {
            let exe: PathBuf = dir.join(format!("{release}-{plan}"));
            adopt(&plain, &exe, &[&glibc(release)], plan);
            assert_eq!(starts(&exe, WITH, &[]), None, "{release} {plan}");
            assert_eq!(starts(&exe, WITH, &["x"]), Some(SIGILL), "{release} {plan}");
            assert_eq!(starts(&exe, WITHOUT, &["x"]), None, "{release} {plan}");
        }
    }
}

/// How many mappings of code have `PROT_BTI`, 0x10, and how many have not.
fn mapped(exe: &Path, cpu: &str) -> (usize, usize) {
    let ran = run(&mut qemu(&["-cpu", cpu, "-strace"], exe));
    ran.success();
    let text = ran.stderr();
    let code = text
        .lines()
        .filter(|line| line.contains(" mmap(") && line.contains("PROT_EXEC"));
    let (with, without): (Vec<&str>, Vec<&str>) = code.partition(|line| line.contains("|0x10,"));
    (with.len(), without.len())
}

#[test]
fn code_of_ld_so_is_mapped_with_its_landing_pads() {
    let dir = Scratch::new();
    let plain = compiled(&dir, "plain", "int main(void) { return 0; }", &[]);
    for (release, has) in [("bookworm", false), ("trixie", true), ("sid", true)] {
        let exe = dir.join(release);
        adopt(&plain, &exe, &[&glibc(release)], "direct");
        let (with, without) = mapped(&exe, WITH);
        // The shim maps ld.so with it; ld.so maps libc first without.
        assert_eq!(with > 0, has, "{release} {with} {without}");
        assert_eq!(mapped(&exe, WITHOUT).0, 0, "{release}");
    }
}

#[test]
fn shim_and_binder_have_landing_pads() {
    shim();
    for name in ARTEFACTS {
        let bytes = std::fs::read(prefix().join("lib/indir").join(name)).unwrap();
        let elf = goblin::elf::Elf::parse(&bytes).unwrap();
        assert_eq!(elf.header.e_machine, goblin::elf::header::EM_AARCH64);
        let property = elf
            .program_headers
            .iter()
            .find(|phdr| phdr.p_type == 0x6474_e553)
            .unwrap_or_else(|| panic!("{name} has no PT_GNU_PROPERTY"));
        let note = &bytes[property.file_range()];
        // GNU_PROPERTY_AARCH64_FEATURE_1_AND of four bytes: BTI and GCS.
        assert_eq!(
            note[16..28],
            [0, 0, 0, 0xc0, 4, 0, 0, 0, 5, 0, 0, 0],
            "{name}"
        );
    }
}
