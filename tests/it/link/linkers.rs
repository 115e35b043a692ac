//! Links with every compiler over every linker: what comes out is indirect and
//! runs, or is bit for bit what the linker makes on its own.

use std::path::Path;
use std::process::Command;

use crate::support::link::{
    COMPILERS, HELLO, assert_indirect, assert_says_hello, facts, indirect, linkers, object,
};
use crate::support::{Scratch, b_flag, need, prefix, run};

const CXX: &str = "#include <iostream>\n#include <stdexcept>\n\
    int main() { try { throw std::runtime_error(\"hello\"); }\n\
    catch (const std::exception &e) { std::cout << e.what() << std::endl; } }\n";

#[test]
fn every_compiler_over_every_linker() {
    let scratch = Scratch::new();
    for (compiler, package) in COMPILERS {
        need(compiler, package);
        let source = match compiler {
            "g++" => scratch.file("a.cc", CXX),
            _ => scratch.file("a.c", HELLO),
        };
        let object = scratch.join(format!("{compiler}.o"));
        run(Command::new(compiler)
            .arg("-fPIE")
            .arg("-c")
            .arg(&source)
            .arg("-o")
            .arg(&object))
        .success();
        for (linker, _) in linkers() {
            for mode in ["-pie", "-no-pie"] {
                let exe = scratch.join(format!("{compiler}-{linker}{mode}"));
                let ran = run(indirect(compiler, linker)
                    .args([mode, "-Wl,-rpath,/nowhere", "-Wl,--gc-sections"])
                    .arg(&object)
                    .arg("-o")
                    .arg(&exe));
                ran.success();
                assert_eq!(ran.stderr(), "", "{ran}");
                let facts = assert_indirect(&exe);
                assert!(facts.needed.contains(&"libc.so.6".to_owned()));
                run(&mut Command::new(&exe)).success().prints("hello\n");
            }
        }
    }
}

#[test]
fn other_outputs_are_bit_for_bit_the_plain_linkers() {
    let scratch = Scratch::new();
    let object = object(&scratch, "a.o", "-fPIC");
    let out = scratch.join("out");
    for (linker, _) in linkers() {
        for mode in ["-static", "-static-pie", "-shared", "-r"] {
            let link = |wrapped: bool| {
                let mut command = Command::new("gcc");
                if wrapped {
                    command.arg(b_flag());
                }
                command
                    .arg(format!("-fuse-ld={linker}"))
                    .arg(mode)
                    .arg(&object);
                let ran = run(command.arg("-o").arg(&out));
                (ran.code(), ran.stderr(), std::fs::read(&out).ok())
            };
            let plain = link(false);
            // gold knows no -static-pie; that must look the same too.
            let possible = (linker, mode) != ("gold", "-static-pie");
            assert_eq!(plain.0 == Some(0), possible, "{linker} {mode}: {}", plain.1);
            let wrapped = link(true);
            assert_eq!(
                (wrapped.0, &wrapped.1),
                (plain.0, &plain.1),
                "{linker} {mode}"
            );
            assert!(wrapped.2 == plain.2, "{linker} {mode}");
        }
    }
}

#[test]
fn run_paths_are_those_of_the_plain_link() {
    let scratch = Scratch::new();
    let source = scratch.file("a.c", "int main(void) { return 1; }\n");
    let out = scratch.join("out");
    for (linker, _) in linkers() {
        for rpath in [
            "-Wl,-rpath,/nowhere",
            "-Wl,-R,/tmp",
            "-Wl,-rpath=/a:/b",
            "-g",
        ] {
            for library in [true, false] {
                let link = |command: &mut Command| {
                    if library {
                        command.args(["-shared", "-fPIC"]);
                    }
                    run(command
                        .arg(rpath)
                        .arg(&source)
                        .arg("-o")
                        .arg(&out)
                        .env("LD_RUN_PATH", "/run/path"))
                    .success();
                    (std::fs::read(&out).unwrap(), facts(&out))
                };
                let plain = link(Command::new("gcc").arg(format!("-fuse-ld={linker}")));
                let wrapped = link(&mut indirect("gcc", linker));
                assert_eq!(wrapped.1.search, plain.1.search, "{linker} {rpath}");
                assert!(!library || wrapped.0 == plain.0, "{linker} {rpath}");
                if !library {
                    let recorded = assert_indirect(&out).recorded;
                    assert_eq!(recorded, plain.1.interpreter);
                }
            }
        }
    }
}

#[test]
fn the_search_of_the_link_itself_still_finds_libraries() {
    // a needs libf, which needs libg in a folder that only -rpath names.
    let scratch = Scratch::new();
    let g = scratch.file("g.c", "int g(void) { return 7; }\n");
    let f = scratch.file("f.c", "int g(void); int f(void) { return g(); }\n");
    let main = scratch.file("main.c", "int f(void); int main(void) { return f(); }\n");
    let dir = scratch.dir("deep");
    let libg = dir.join("libg.so");
    let libf = scratch.join("libf.so");
    let shared = ["-shared", "-fPIC"];
    run(Command::new("gcc")
        .args(shared)
        .arg(&g)
        .arg("-o")
        .arg(&libg))
    .success();
    run(Command::new("gcc")
        .args(shared)
        .arg(&f)
        .arg("-o")
        .arg(&libf)
        .arg(&libg)
        .args(["-Wl,-soname,libf.so"]))
    .success();
    // libg.so was given by path: without a soname its path would be recorded.
    run(Command::new("gcc")
        .args(shared)
        .arg(&g)
        .args(["-Wl,-soname,libg.so", "-o"])
        .arg(&libg))
    .success();
    run(Command::new("gcc")
        .args(shared)
        .arg(&f)
        .args(["-Wl,-soname,libf.so", "-o"])
        .arg(&libf)
        .arg(&libg))
    .success();
    for (linker, _) in linkers() {
        for how in ["rpath", "LD_RUN_PATH"] {
            let folders = format!("{}:{}", dir.display(), scratch.path().display());
            let link = |mut command: Command, name: &str| {
                let exe = scratch.join(name);
                // The kind of run path that libf's needs are searched in too.
                command.arg("-Wl,--disable-new-dtags");
                command.arg(&main).arg("-o").arg(&exe).arg(&libf);
                match how {
                    "rpath" => command.arg(format!("-Wl,-rpath,{folders}")),
                    _ => command.env("LD_RUN_PATH", &folders),
                };
                let ran = run(&mut command);
                (ran.code(), ran.stderr(), exe)
            };
            let mut plain = Command::new("gcc");
            plain.arg(format!("-fuse-ld={linker}"));
            let plain = link(plain, "plain");
            let wrapped = link(indirect("gcc", linker), "wrapped");
            assert_eq!(
                (wrapped.0, &wrapped.1),
                (plain.0, &plain.1),
                "{linker} {how}"
            );
            assert_indirect(&wrapped.2);
            let code = run(&mut Command::new(&plain.2)).code();
            run(&mut Command::new(&wrapped.2)).exits(code.unwrap());
            assert!(code == Some(7) || how != "rpath", "{linker}");
        }
    }
}

#[test]
fn clang_with_ld_path() {
    need("clang", "clang");
    let scratch = Scratch::new();
    let source = scratch.file("a.c", HELLO);
    for name in [
        "bin/indir-ld",
        "libexec/indir/ld.lld",
        "libexec/indir/ld.mold",
    ] {
        let exe = scratch.join("a");
        run(Command::new("clang")
            .arg(format!("--ld-path={}", prefix().join(name).display()))
            .arg(&source)
            .arg("-o")
            .arg(&exe))
        .success();
        assert_says_hello(&exe);
    }
}

#[test]
fn link_time_optimisation() {
    need("clang", "clang");
    let scratch = Scratch::new();
    let main = scratch.file("a.c", "int f(void); int main(void) { return f(); }\n");
    let f = scratch.file("f.c", "int f(void) { return 5; }\n");
    for (compiler, linker) in [
        ("gcc", "bfd"),
        ("gcc", "gold"),
        ("gcc", "mold"),
        ("clang", "lld"),
    ] {
        let exe = scratch.join(format!("{compiler}-{linker}"));
        let mut command = indirect(compiler, linker);
        command
            .args(["-O2", "-flto"])
            .args([&main, &f])
            .arg("-o")
            .arg(&exe);
        run(&mut command).success();
        assert_indirect(&exe);
        run(&mut Command::new(&exe)).exits(5);
    }
}

#[test]
fn processor_properties_are_those_of_the_plain_link() {
    let scratch = Scratch::new();
    let source = scratch.file(
        "a.c",
        "#include <stdlib.h>\nvoid start(void) { exit(0); }\n",
    );
    let properties = |exe: &Path| {
        let text = run(Command::new("readelf").args(["-nW"]).arg(exe))
            .success()
            .stdout();
        let line = text.lines().find(|line| line.contains("Properties:"));
        line.map(str::to_owned)
    };
    let mut with_ibt = 0;
    for (linker, _) in linkers() {
        let args = ["-fcf-protection=full", "-nostartfiles", "-Wl,-e,start"];
        let exe = scratch.join("a");
        let plain = {
            run(Command::new("gcc")
                .arg(format!("-fuse-ld={linker}"))
                .args(args)
                .arg(&source)
                .arg("-o")
                .arg(&exe))
            .success();
            properties(&exe)
        };
        run(indirect("gcc", linker)
            .args(args)
            .arg(&source)
            .arg("-o")
            .arg(&exe))
        .success();
        assert_eq!(properties(&exe), plain, "{linker}");
        with_ibt += usize::from(plain.is_some_and(|line| line.contains("IBT, SHSTK")));
    }
    assert!(with_ibt >= 2, "the source must ask for the properties");
}

#[test]
fn rustc_and_cargo() {
    let scratch = Scratch::new();
    let source = scratch.file("src/main.rs", "fn main() { println!(\"hello\"); }\n");
    scratch.file(
        "Cargo.toml",
        "[package]\nname = \"hello\"\nversion = \"0.0.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    need("rustc", "rustc");
    for (linker, _) in linkers() {
        let exe = scratch.join(format!("hello-{linker}"));
        run(Command::new("rustc")
            .arg("-C")
            .arg(format!("link-arg={}", b_flag()))
            .arg("-C")
            .arg(format!("link-arg=-fuse-ld={linker}"))
            // Else rustc asks for the lld of its own, by path.
            .args(["-C", "linker-features=-lld"])
            .arg(&source)
            .arg("-o")
            .arg(&exe))
        .success();
        assert_says_hello(&exe);
    }
    run(Command::new(env!("CARGO"))
        .args(["build", "--offline", "--quiet"])
        .current_dir(scratch.path())
        .env_remove("CARGO_TARGET_DIR")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env(
            "RUSTFLAGS",
            format!("-C linker-features=-lld -C link-arg={}", b_flag()),
        ))
    .success();
    let exe = scratch.join("target/debug/hello");
    assert_indirect(&exe);
    run(&mut Command::new(&exe)).success().prints("hello\n");
}

#[test]
fn code_for_another_machine_is_left_alone() {
    // The wrapper must not put an x86-64 note into a 32-bit link; such a link
    // works without a 32-bit libc too.
    let scratch = Scratch::new();
    let source = scratch.file("a.s", ".globl _start\n_start: ret\n");
    let object = scratch.join("a.o");
    run(Command::new("as")
        .arg("--32")
        .arg(&source)
        .arg("-o")
        .arg(&object))
    .success();
    for (linker, real) in linkers() {
        let out = scratch.join("a");
        let link = |program: &Path| {
            run(Command::new(program)
                .args([
                    "-m",
                    "elf_i386",
                    "-pie",
                    "-dynamic-linker",
                    "/lib/ld-linux.so.2",
                    "-o",
                ])
                .args([&out, &object]))
            .success();
            std::fs::read(&out).unwrap()
        };
        let plain = link(&real);
        assert!(
            plain == link(&crate::support::link::wrapper(linker)),
            "{linker}"
        );
    }
}

#[test]
fn go_with_external_linking() {
    need("go", "golang-go");
    let scratch = Scratch::new();
    let source = scratch.file(
        "main.go",
        "package main\nimport \"fmt\"\nimport \"C\"\nfunc main() { fmt.Println(\"hello\") }\n",
    );
    let exe = scratch.join("hello");
    run(Command::new("go")
        .arg("build")
        .arg("-ldflags")
        .arg(format!("-linkmode=external -extldflags={}", b_flag()))
        .arg("-o")
        .args([&exe, &source])
        .env("GO111MODULE", "off")
        .env("GOCACHE", scratch.join("cache")))
    .success();
    assert_indirect(&exe);
    run(&mut Command::new(&exe)).success().prints("hello\n");
}

/// Output and stderr of a link, and whether it went well.
type Linked = (Option<i32>, String, Option<Vec<u8>>);

/// What the real linker and the wrapper make of the same arguments of `cc`.
fn both(cc: &str, linker: &str, args: &[&str], out: &Path) -> [Linked; 2] {
    [false, true].map(|wrapped| {
        let mut command = Command::new(cc);
        if wrapped {
            command.arg(b_flag());
        }
        let _ = std::fs::remove_file(out);
        command.arg(format!("-fuse-ld={linker}")).args(args);
        let ran = run(command.arg("-o").arg(out));
        (ran.code(), ran.stderr(), std::fs::read(out).ok())
    })
}

#[track_caller]
fn assert_untouched(cc: &str, linker: &str, args: &[&str], out: &Path) {
    let [plain, wrapped] = both(cc, linker, args, out);
    assert_eq!(plain.0, Some(0), "{cc} {linker} {args:?}: {}", plain.1);
    assert_eq!(
        (wrapped.0, &wrapped.1),
        (plain.0, &plain.1),
        "{cc} {linker} {args:?}"
    );
    assert!(wrapped.2 == plain.2, "{cc} {linker} {args:?}");
}

#[test]
fn boot_code_is_bit_for_bit_the_plain_linkers() {
    let scratch = Scratch::new();
    let source = scratch.file(
        "b.s",
        ".globl _start\n_start: cli\n1: jmp 1b\n.org 510\n.word 0xaa55\n",
    );
    let script = scratch.file(
        "kernel.lds",
        "ENTRY(_start)\nSECTIONS { . = 0x100000; .text : { *(.text) } .data : { *(.data) } }\n",
    );
    let object = scratch.join("b.o");
    run(Command::new("as").args([&source, Path::new("-o"), &object])).success();
    let (object, script) = (object.to_str().unwrap(), format!("-T{}", script.display()));
    let out = scratch.join("out");
    for (linker, _) in linkers() {
        for args in [
            &["-no-pie", "-Wl,-Ttext=0x7c00,--oformat=binary"][..],
            &["-no-pie", "-Wl,-Ttext=0x7c00,--oformat,binary"],
            &["-no-pie"],
            &["-no-pie", "-Wl,--fatal-warnings"],
            &["-pie", "-Wl,--no-dynamic-linker"],
            &["-no-pie", &script],
            &["-r"],
        ] {
            // mold reads no whole linker scripts.
            if linker == "mold" && args.contains(&&*script) {
                continue;
            }
            // gold does not know how to do without.
            if linker == "gold" && args.contains(&"-Wl,--no-dynamic-linker") {
                continue;
            }
            let args = [&["-nostdlib", object], args].concat();
            assert_untouched("gcc", linker, &args, &out);
        }
    }
}

#[test]
fn the_stack_is_as_the_plain_linker_makes_it() {
    let scratch = Scratch::new();
    let start = "mov $60, %eax\n mov $3, %edi\n syscall\n";
    let out = scratch.join("out");
    let header = |out: &Path| {
        let data = std::fs::read(out).unwrap();
        let elf = goblin::elf::Elf::parse(&data).unwrap();
        let stack = goblin::elf::program_header::PT_GNU_STACK;
        let header = elf.program_headers.iter().find(|p| p.p_type == stack);
        header.map(|header| header.p_flags)
    };
    let mut without = 0;
    for note in [
        "",
        ".section .note.GNU-stack,\"\"\n",
        ".section .note.GNU-stack,\"x\"\n",
    ] {
        let assemble = |name: &str, text: String| {
            let source = scratch.file(format!("{name}.s"), text);
            let object = scratch.join(format!("{name}.o"));
            run(Command::new("as").args([&source, Path::new("-o"), &object])).success();
            object
        };
        let with_crt = assemble("main", format!(".globl main\nmain: {start}{note}"));
        let without_crt = assemble("start", format!(".globl _start\n_start: {start}{note}"));
        for (linker, _) in linkers() {
            for args in [
                &["-nostartfiles", "-no-pie"][..],
                &["-nostartfiles", "-pie"],
                &["-nostdlib", "-no-pie"],
                &["-pie", "-Wl,-z,noexecstack"],
            ] {
                let has_crt = args.iter().all(|arg| !arg.starts_with("-nost"));
                let object = if has_crt { &with_crt } else { &without_crt };
                let args = [args, &["-Wl,--no-as-needed", object.to_str().unwrap()]].concat();
                let [plain, wrapped] = both("gcc", linker, &args, &out);
                assert_eq!(
                    (wrapped.0, &wrapped.1),
                    (plain.0, &plain.1),
                    "{linker} {args:?}"
                );
                assert_eq!(plain.0, Some(0), "{linker} {args:?}: {}", plain.1);
                let ours = header(&out);
                std::fs::write(&out, plain.2.unwrap()).unwrap();
                assert_eq!(ours, header(&out), "{linker} {args:?} {note:?}");
                without += usize::from(ours.is_none());
            }
        }
    }
    assert!(without >= 4, "some have no header at all: {without}");
}

#[test]
fn programs_for_other_c_libraries_are_bit_for_bit_the_plain_linkers() {
    need("musl-gcc", "musl-tools");
    need("clang", "clang");
    let scratch = Scratch::new();
    let hello = scratch.file("h.c", HELLO);
    let out = scratch.join("out");
    assert_untouched("musl-gcc", "bfd", &[hello.to_str().unwrap()], &out);
    run(&mut Command::new(&out)).success().prints("hello\n");
    let bare = scratch.file("a.c", "int main(void) { return 0; }\n");
    for system in [
        "x86_64-unknown-freebsd13",
        "x86_64-linux-android",
        "x86_64-fuchsia",
    ] {
        let target = format!("--target={system}");
        let args = [
            &*target,
            "-nostdlib",
            "-Wl,-e,main",
            "-fPIE",
            "-pie",
            bare.to_str().unwrap(),
        ];
        assert_untouched("clang", "lld", &args, &out);
    }
}

#[test]
fn who_names_a_shim_records_what_the_compiler_named() {
    let scratch = Scratch::new();
    let source = scratch.file("h.c", HELLO);
    let exe = scratch.join("h");
    for (linker, _) in linkers() {
        let asked = format!("-Wl,--dynamic-linker={}", crate::support::shim().display());
        run(indirect("gcc", linker)
            .arg(&asked)
            .arg(&source)
            .arg("-o")
            .arg(&exe))
        .success();
        let facts = assert_indirect(&exe);
        assert_eq!(
            facts.recorded.as_deref(),
            Some("/lib64/ld-linux-x86-64.so.2")
        );
        run(&mut Command::new(&exe)).success().prints("hello\n");
    }
}
