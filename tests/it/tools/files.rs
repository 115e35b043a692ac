//! Tools that read files: of executables, of separate symbols, of core dumps.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::debuggers::{gdb, kernels_core};
use crate::support::adopt::adopted;
use crate::support::link::facts;
use crate::support::program::{Twins, update};
use crate::support::subject::{PRINTS, Subject};
use crate::support::{Ran, Scratch, need, prefix, run, shim};

/// `tool ARGS… FILE`, which must succeed and complain of nothing.
#[track_caller]
fn read(tool: (&str, &str), args: &[&str], file: &Path) -> Ran {
    let mut command = Command::new(need(tool.0, tool.1));
    let ran = run(command.args(args).arg(file));
    ran.success();
    assert!(ran.stderr().is_empty(), "{ran}");
    ran
}

#[test]
fn readers_of_elf_files_name_the_interpreter() {
    let subject = Subject::new();
    for way in subject.ways() {
        let facts = facts(&way.exe);
        let interpreter = facts.interpreter.unwrap();
        let indirect = way.name != "ordinary";
        assert_eq!(interpreter == shim().to_str().unwrap(), indirect);
        let id: String = facts
            .build_id
            .unwrap()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        read(("file", "file"), &["-b"], &way.exe)
            .out_has("ELF 64-bit LSB pie executable, x86-64, version 1 (SYSV), dynamically linked")
            .out_has(&format!("interpreter {interpreter}"))
            .out_has(&format!("BuildID[sha1]={id}"));
        for (tool, args) in [
            (("readelf", "binutils"), ["-W", "-lnd"]),
            (("llvm-readelf-14", "llvm-14"), ["-W", "-lnd"]),
            (("eu-readelf", "elfutils"), ["-ln", "-d"]),
            (("objdump", "binutils"), ["-p", "-w"]),
        ] {
            let ran = read(tool, &args, &way.exe);
            for name in &facts.needed {
                ran.out_has(name);
            }
            if tool.0 != "objdump" {
                ran.out_has(&interpreter).out_has(&id);
                let shown = ran.stdout().contains("  indir  ");
                assert_eq!(shown, indirect, "{ran}");
            }
        }
    }
}

#[test]
fn hardening_is_reported_as_of_the_ordinary_program() {
    let dir = Scratch::new();
    let source = "#include <stdio.h>\n#include <string.h>\n\
         extern char _GLOBAL_OFFSET_TABLE_[] __attribute__((visibility(\"hidden\")));\n\
         int main(int argc, char **argv) {\n\
         char line[512], mode[8]; unsigned long from, to, at = (unsigned long)_GLOBAL_OFFSET_TABLE_;\n\
         FILE *maps = fopen(\"/proc/self/maps\", \"r\"); strcpy(line, argv[0]);\n\
         while (fgets(line, sizeof line, maps))\n\
         if (sscanf(line, \"%lx-%lx %7s\", &from, &to, mode) == 3 && at >= from && at < to) puts(mode);\n\
         return 0; }";
    for (name, flags, mode) in [
        (
            "full.c",
            &[
                "-O2",
                "-D_FORTIFY_SOURCE=2",
                "-fstack-protector-strong",
                "-Wl,-z,now,-z,relro",
            ][..],
            "r--p\n",
        ),
        (
            "none.c",
            &[
                "-no-pie",
                "-fno-stack-protector",
                "-Wl,-z,lazy,-z,norelro",
                "-Wl,-z,execstack,--no-warn-execstack",
            ],
            "rw-p\n",
        ),
    ] {
        let twins = Twins::new(&dir, name, source, flags);
        // The global offset table is as writable at run time.
        twins.agree(&[]).success().prints(mode);
        let columns = |exe: &Path| {
            let mut command = Command::new(need("checksec", "checksec"));
            let ran = run(command
                .arg("--output=csv")
                .arg(format!("--file={}", exe.display())));
            let out = ran.success().stdout();
            let (columns, _) = out.rsplit_once(',').unwrap();
            columns.to_owned()
        };
        let expected = columns(&twins.ordinary);
        let hardened = expected.starts_with("Full RELRO,Canary found,NX enabled,PIE enabled");
        assert_eq!(hardened, name == "full.c", "{expected}");
        for exe in [
            &twins.indirect,
            &twins.bound,
            &adopted(&dir, &twins.ordinary, &[]),
        ] {
            assert_eq!(columns(exe), expected, "{}", exe.display());
        }
    }
}

#[test]
fn symbols_may_be_split_off() {
    let subject = Subject::new();
    for way in &subject.indirect {
        let plan = if way.bound { "bound" } else { "direct" };
        for tool in ["objcopy", "eu-strip"] {
            let exe = way.exe.with_file_name(tool);
            let symbols = exe.with_extension("debug");
            if tool == "eu-strip" {
                let mut command = Command::new(need(tool, "elfutils"));
                run(command
                    .arg("-f")
                    .arg(&symbols)
                    .arg("-o")
                    .args([&exe, &way.exe]))
                .success();
            } else {
                let binutils = |args: &[&str], files: &[&PathBuf]| {
                    run(Command::new(need(tool, "binutils")).args(args).args(files)).success();
                };
                binutils(&["--only-keep-debug"], &[&way.exe, &symbols]);
                let link = format!("--add-gnu-debuglink={}", symbols.display());
                binutils(&["--strip-unneeded", &link], &[&way.exe, &exe]);
            }
            // The table goes by the build-id, which stays.
            run(&mut Command::new(&exe)).success().prints(PRINTS);
            update(&exe, &["--plan", plan]);
            gdb(&exe, &[], &["break calls", "run", "bt", "continue"])
                .success()
                .out_has("Breakpoint 1, calls (n=41) at ")
                .out_has("main (argc=1")
                .out_has("exited normally");
        }
    }
}

/// Build-ids as eu-unstrip prints them.
fn id_of(file: &Path) -> String {
    let id = facts(file).build_id.unwrap();
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_core_dump_tells_every_build_id() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let Some(core) = kernels_core(&subject.dir, &way.exe) else {
            return;
        };
        let core = format!("--core={}", core.display());
        let elfutils = |tool: &str, args: &[&str]| {
            let ran = run(Command::new(need(tool, "elfutils")).args(args).arg(&core));
            assert!(!ran.stdout().is_empty(), "{}: {ran}", way.name);
            ran
        };
        let listed = elfutils("eu-unstrip", &["-n"]);
        listed.success();
        let out = listed.stdout();
        let found: BTreeSet<&str> = out
            .lines()
            .filter_map(|line| line.split_whitespace().nth(1)?.split('@').next())
            .collect();
        let mut files = vec![
            way.exe.clone(),
            subject.lib.join("libsubject.so"),
            way.libc.join("libc.so.6"),
            way.libc.join("ld-linux-x86-64.so.2"),
        ];
        if way.name != "ordinary" {
            files.push(shim());
        }
        if way.bound {
            files.push(prefix().join("lib/indir/libindir-bind.so"));
        }
        for file in files {
            assert!(
                found.contains(id_of(&file).as_str()),
                "{}: no {}: {listed}",
                way.name,
                file.display()
            );
        }
        let stack = elfutils("eu-stack", &[]);
        stack.out_has(" abort\n").out_has(" main\n");
    }
}
