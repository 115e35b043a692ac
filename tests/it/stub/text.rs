//! What is read of compiled libraries, line by line, for x86-64 and for
//! machines that flag symbols and files; and texts that contradict themselves.

use std::path::{Path, PathBuf};

use goblin::elf::Elf;

use crate::support::{Scratch, cc, indir, need, run};

/// One symbol of each kind, place and binding.
const EVERYTHING: &str = r#"
int function(void) { return 1; }
int old(void) { return 2; }
int new(void) { return 3; }
__asm__(".symver old, both@V1\n.symver new, both@@V2");
const int rodata[3] = {1, 2, 3};
int *const relro[2] = {(int *)rodata, 0};
int data[2] = {1};
extern int alias[2] __attribute__((alias("data"), weak));
char bss[100];
__attribute__((visibility("protected"))) int guarded = 1;
__thread long tls = 1;
extern __thread int outer;
int client(void);
__attribute__((weak)) int option(void);
int use(void) { return client() + (option ? option() : 0) + outer; }
__asm__(".globl number\nnumber = 0x1234\n.type number, @object");
__asm__(".text\n.globl label\nlabel: nop");
__asm__(".data\n.type one, @gnu_unique_object\n.globl one\n.balign 4\none: .long 1\n"
        ".size one, 4\n.text");
__asm__(".section .gnu.warning.function\n.string \"do not call it\"\n.text");
__attribute__((ifunc("choose"))) int chosen(void);
static int (*choose(void))(void) { return function; }
"#;

const VERSIONS: &str = "V1 { global: function; both; rodata; relro; data; alias; bss; guarded;\n\
    tls; use; number; label; one; chosen; local: *; };\n\
    V2 { global: both; } V1;\n";

const TEXT: &str = "indir-abi 1
machine x86_64
soname liball.so.1
version V1
version V2 parent=V1
undefined __tls_get_addr
undefined client
undefined option weak
undefined outer tls
symbol alias@@V1 object weak in=data size=8 align=8
symbol both@V1 function
symbol both@@V2 function
symbol bss@@V1 object in=data size=100 align=32
symbol chosen@@V1 function
symbol data@@V1 object in=data size=8 align=8 alias=alias@@V1
symbol function@@V1 function
symbol guarded@@V1 object protected in=data size=4 align=4
symbol label@@V1 notype in=text
symbol number@@V1 object in=absolute value=0x1234 size=0
symbol one@@V1 object unique in=data size=4 align=4
symbol relro@@V1 object in=relro size=16 align=16
symbol rodata@@V1 object in=rodata size=12 align=16
symbol tls@@V1 tls size=8 align=8
symbol use@@V1 function
warning function do not call it
";

fn dump(path: &Path) -> String {
    run(indir().args(["abi", "dump"]).arg(path))
        .success()
        .stdout()
}

fn stub(scratch: &Scratch, path: &Path) -> Vec<u8> {
    let out = scratch.join("out.so");
    run(indir().arg("stub").arg(path).arg("-o").arg(&out)).success();
    std::fs::read(out).unwrap()
}

#[test]
fn one_symbol_of_each_kind() {
    let scratch = Scratch::new();
    let source = scratch.file("all.c", EVERYTHING);
    let script = scratch.file("all.map", VERSIONS);
    let library = scratch.join("all.so");
    let fixed = ["-O1", "-shared", "-fPIC", "-nostdlib"];
    let mut args: Vec<String> = fixed.iter().map(ToString::to_string).collect();
    args.push("-Wl,-soname,liball.so.1".into());
    args.push(format!("-Wl,--version-script={}", script.display()));
    args.extend(["-o".into(), library.display().to_string()]);
    args.push(source.display().to_string());
    cc(args);
    assert_eq!(dump(&library), TEXT);

    // The code of its stub is a trap for each function, whoever loads it.
    let bytes = stub(&scratch, &library);
    let elf = Elf::parse(&bytes).unwrap();
    let section = elf
        .section_headers
        .iter()
        .find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(".text"))
        .unwrap();
    let code = &bytes[section.file_range().unwrap()];
    assert_eq!(code.len(), 6);
    assert!(code.iter().all(|&byte| byte == 0xcc));
    let code = section.vm_range();
    for symbol in elf.dynsyms.iter().filter(|s| s.is_function()) {
        assert!(code.contains(&(symbol.st_value as usize)), "{symbol:?}");
    }
}

/// A library for another machine, made by clang and lld.
fn foreign(scratch: &Scratch, target: &str, source: &str, flags: &[&str]) -> PathBuf {
    let clang = need("clang", "clang");
    need("ld.lld", "lld");
    let file = scratch.file("foreign.c", source);
    let out = scratch.join("foreign.so");
    run(std::process::Command::new(clang)
        .arg(format!("--target={target}"))
        .args(["-fuse-ld=lld", "-nostdlib", "-shared", "-fPIC"])
        .args(flags)
        .arg("-o")
        .args([&out, &file]))
    .success();
    out
}

#[test]
fn flags_of_symbols_and_files_of_other_machines() {
    let scratch = Scratch::new();
    let source = "__attribute__((aarch64_vector_pcs)) int vector(void) { return 1; }\n\
                  int plain(void) { return 1; }\n";
    let library = foreign(&scratch, "aarch64-linux-gnu", source, &[]);
    assert_eq!(
        dump(&library),
        "indir-abi 1\nmachine aarch64\nsymbol plain function\n\
         symbol vector function other=0x80\n"
    );
    let bytes = stub(&scratch, &library);
    let elf = Elf::parse(&bytes).unwrap();
    assert_eq!(elf.header.e_machine, goblin::elf::header::EM_AARCH64);
    let others = elf.dynsyms.iter().map(|s| s.st_other).collect::<Vec<_>>();
    assert_eq!(others, [0, 0, 0x80]);

    let source = "int plain(void) { return 1; }\n";
    let mut texts = Vec::new();
    for (flags, value) in [
        (&["-march=rv64gc", "-mabi=lp64d"], 5),
        (&["-march=rv64imac", "-mabi=lp64"], 1),
    ] {
        let library = foreign(&scratch, "riscv64-linux-gnu", source, flags);
        let text = dump(&library);
        assert_eq!(
            text,
            format!("indir-abi 1\nmachine riscv64\nflags {value:#x}\nsymbol plain function\n")
        );
        let bytes = stub(&scratch, &library);
        assert_eq!(Elf::parse(&bytes).unwrap().header.e_flags, value);
        texts.push(scratch.file(format!("{value}.abi"), text));
    }
    run(indir().args(["abi", "diff"]).args(&texts))
        .exits(12)
        .out_has("machine: riscv64 0x5 -> riscv64 0x1");
    for target in ["i386-linux-gnu", "powerpc64-linux-gnu"] {
        let library = foreign(&scratch, target, source, &[]);
        run(indir().args(["abi", "dump"]).arg(&library))
            .exits(1)
            .err_is_one_line()
            .err_has("not a 64-bit little-endian ELF file");
    }
}

#[test]
fn libraries_and_versions_that_go_round_in_circles() {
    let scratch = Scratch::new();
    // Two libraries that need each other: neither asks its clients for anything.
    let build = |name: &str, source: &str, needs: &[&Path]| {
        let file = scratch.file(format!("{name}.c"), source);
        let out = scratch.join(format!("{name}.so"));
        let mut args = vec!["-shared".into(), "-fPIC".into(), "-nostdlib".into()];
        args.push(format!("-Wl,-soname,{name}.so"));
        args.extend(["-o".into(), out.display().to_string()]);
        args.push(file.display().to_string());
        args.extend(needs.iter().map(|path| path.display().to_string()));
        cc(args);
        out
    };
    let one = build("one", "int first(void) { return 1; }\n", &[]);
    let two = build(
        "two",
        "int first(void); int second(void) { return first(); }\n",
        &[&one],
    );
    let one = build(
        "one",
        "int second(void); int first(void) { return second(); }\n",
        &[&two],
    );
    let lines = "needed two.so\nsymbol first function\n";
    assert_eq!(
        dump(&one),
        format!("indir-abi 1\nmachine x86_64\nsoname one.so\n{lines}")
    );
    // A symlink that is its own target.
    std::os::unix::fs::symlink("loop.so", scratch.join("loop.so")).unwrap();
    run(indir().args(["abi", "dump"]).arg(scratch.join("loop.so")))
        .exits(1)
        .err_is_one_line()
        .err_has("symbolic links");

    let circle = "indir-abi 1\nmachine x86_64\nversion V1 parent=V2\nversion V2 parent=V1\n";
    let file = scratch.file("versions.abi", circle);
    assert_eq!(dump(&file), circle);
    let back = stub(&scratch, &file);
    assert_eq!(dump(&scratch.file("back.so", back)), circle);

    let aliases = "indir-abi 1\nmachine x86_64\n\
        symbol a object in=data size=4 align=4 alias=b\n\
        symbol b object in=data size=4 align=4 alias=a\n";
    let file = scratch.file("aliases.abi", aliases);
    run(indir().args(["abi", "dump"]).arg(&file))
        .exits(1)
        .err_is_one_line()
        .err_has("or an alias itself");
}

#[test]
fn a_file_of_64_gib_is_refused_before_it_is_read() {
    let scratch = Scratch::new();
    let source = scratch.file("a.c", "int a(void) { return 1; }\n");
    let library = scratch.join("a.so");
    cc([
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-o".as_ref(),
        library.as_os_str(),
        source.as_os_str(),
    ]);
    let file = std::fs::File::options().write(true).open(&library).unwrap();
    file.set_len(64 << 30).unwrap();
    run(indir().args(["abi", "dump"]).arg(&library))
        .exits(1)
        .err_is_one_line()
        .err_has("the file is too large");
}
