//! `indir adopt` of what other compilers make, of files with something behind
//! the ELF file, without section headers, and of programs that look at
//! themselves.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::{HELLO, adopt, adopted, assert_is_indirect, same};
use crate::support::program::ordinary;
use crate::support::{Scratch, need, run};

const OCAML: &str = r#"
exception Told of string
let () =
  (try raise (Told (String.concat "," (List.tl (Array.to_list Sys.argv))))
   with Told text -> print_endline ("ocaml " ^ text));
  Gc.compact ();
  let digest = Digest.string (String.make 100000 'x') in
  print_endline (Digest.to_hex digest)
"#;

const PASCAL: &str = "
program told;
uses cthreads, sysutils;
var text: string;
begin
  try
    raise Exception.create('pascal');
  except
    on e: Exception do text := e.message;
  end;
  writeln(text, ' ', paramcount, ' ', sizeof(pointer));
end.
";

const GO: &str = r#"
package main
import ("fmt"; "net"; "os"; "sync")
func main() {
    var group sync.WaitGroup
    sum := make(chan int, 100)
    for i := 0; i < 100; i++ {
        group.Add(1)
        go func(n int) { defer group.Done(); sum <- n }(i)
    }
    group.Wait()
    close(sum)
    total := 0
    for n := range sum { total += n }
    hosts, err := net.LookupHost("127.0.0.1")
    fmt.Println("go", len(os.Args), total, hosts, err)
}
"#;

const RUST: &str = r#"
fn main() {
    std::panic::set_hook(Box::new(|_| {}));
    let joined = std::thread::spawn(|| std::panic::catch_unwind(|| panic!("rust")).is_err());
    println!("rust {:?} {}", joined.join().unwrap(), std::env::args().count());
}
"#;

/// One dynamically linked executable of each compiler.
pub(crate) fn languages(dir: &Scratch) -> Vec<PathBuf> {
    let ml = dir.file("languages/told.ml", OCAML);
    let build = |tool: &str, package: &str, args: &[&str], source: &Path, name: &str| {
        need(tool, package);
        let out = source.with_file_name(name);
        let mut command = Command::new(tool);
        command.current_dir(source.parent().unwrap());
        run(command.args(args).arg(&out).arg(source)).success();
        out
    };
    // Objects of one source have one name: one after the other.
    let mut all = vec![
        build("ocamlopt", "ocaml", &["-o"], &ml, "ocaml-native"),
        build("ocamlc", "ocaml", &["-custom", "-o"], &ml, "ocaml-bytecode"),
        build(
            "rustc",
            "rustc",
            &["-O", "-o"],
            &dir.file("languages/told.rs", RUST),
            "rust",
        ),
    ];
    need("fpc", "fp-compiler");
    let pascal = dir.file("languages/told.pas", PASCAL);
    let exe = dir.join("languages/pascal");
    run(Command::new("fpc")
        .arg("-Mobjfpc")
        .arg(format!("-o{}", exe.display()))
        .arg(&pascal))
    .success();
    all.push(exe);
    for (name, mode) in [("go-internal", "internal"), ("go-external", "external")] {
        all.push(go(dir, name, &[&format!("-ldflags=-linkmode={mode}")], "1"));
    }
    // Haskell; the tests' scripts are linted by it.
    all.push(need("shellcheck", "shellcheck"));
    all
}

fn go(dir: &Scratch, name: &str, args: &[&str], cgo: &str) -> PathBuf {
    need("go", "golang-go");
    let out = dir.join("languages").join(name);
    let source = dir.file("languages/told.go", GO);
    // Shared by all runs: the standard library is compiled once.
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-cache");
    run(Command::new("go")
        .env("GOCACHE", cache)
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", cgo)
        .args(["build", "-o"])
        .arg(&out)
        .args(args)
        .arg(&source))
    .success();
    out
}

#[test]
fn executables_of_other_compilers_work() {
    let dir = Scratch::new();
    for exe in languages(&dir) {
        let bytes = std::fs::read(&exe).unwrap();
        let ours = adopted(&dir, &exe, &[]);
        same(&exe, &ours, &["--version"]).success();
        adopt([OsStr::new("--undo"), ours.as_os_str()]).success();
        assert!(
            std::fs::read(&ours).unwrap() == bytes,
            "{} is not what it was",
            exe.display()
        );
    }
    let fixed = go(&dir, "go-static", &[], "0");
    adopt([OsStr::new("--in-place"), fixed.as_os_str()])
        .exits(1)
        .err_is_one_line()
        .err_has("statically linked");
}

/// Without section headers there is nothing to tell what is used.
#[test]
fn executables_without_section_headers_work() {
    let dir = Scratch::new();
    for linker in ["bfd", "gold", "lld", "mold"] {
        for pie in ["-pie", "-no-pie"] {
            let file = dir.join(format!("{linker}{pie}.c"));
            let exe = ordinary(&file, HELLO, &[pie, &format!("-fuse-ld={linker}"), "-s"]);
            let mut bytes = std::fs::read(&exe).unwrap();
            let end = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
            bytes.truncate(end);
            bytes[40..48].fill(0);
            bytes[58..64].fill(0);
            std::fs::write(&exe, &bytes).unwrap();
            let ours = adopted(&dir, &exe, &[]);
            same(&exe, &ours, &["a"]).success().prints("hello 7 2 a\n");
            adopt([OsStr::new("--undo"), ours.as_os_str()]).success();
            assert!(std::fs::read(&ours).unwrap() == bytes);
        }
    }
}

/// Reads what lies behind the ELF file: from the offset that it was told when
/// it was put together, or by a trailer in its last 16 bytes.
const SELF_READER: &str = r#"
#include <elf.h>
#include <stdio.h>
#include <string.h>
static volatile char told[] = "OFFSET:00000000";
static void print(FILE *f, long at, long len) {
    fseek(f, at, SEEK_SET);
    while (len-- > 0) putchar(getc(f));
    putchar('\n');
}
int main(void) {
    FILE *f = fopen("/proc/self/exe", "rb");
    char trailer[17] = "";
    long at = 0, len = 0, size;
    for (int i = 7; i < 15; i++) at = at * 10 + told[i] - '0';
    print(f, at, 7);
    fseek(f, -16, SEEK_END);
    size = ftell(f);
    fread(trailer, 1, 16, f);
    if (sscanf(trailer, "LENGTH:%8ld", &len) != 1) return puts("no trailer"), 1;
    print(f, size - len, len);
    Elf64_Ehdr header;
    rewind(f);
    fread(&header, 1, sizeof header, f);
    print(f, header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr), 7);
    return 0;
}
"#;

#[test]
fn a_payload_is_found_from_either_end_and_behind_the_section_headers() {
    let dir = Scratch::new();
    for (n, args) in [
        &["-fuse-ld=bfd"][..],
        &["-fuse-ld=gold", "-s"],
        &["-fuse-ld=lld"],
        &["-fuse-ld=mold", "-no-pie"],
        &["-fuse-ld=lld", "-Wl,--build-id=none"],
    ]
    .into_iter()
    .enumerate()
    {
        let exe = ordinary(&dir.join(format!("reader{n}.c")), SELF_READER, args);
        if n == 4 {
            let mut objcopy = Command::new("objcopy");
            run(objcopy.args(["-R", ".note.ABI-tag"]).arg(&exe)).success();
        }
        let mut bytes = std::fs::read(&exe).unwrap();
        let offset = format!("OFFSET:{:08}", bytes.len());
        let name = b"OFFSET:00000000";
        let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
        bytes[at..at + name.len()].copy_from_slice(offset.as_bytes());
        bytes.extend_from_slice(b"payload");
        bytes.extend_from_slice(format!("LENGTH:{:8}\n", 7).as_bytes());
        std::fs::write(&exe, &bytes).unwrap();
        let ours = adopted(&dir, &exe, &[]);
        same(&exe, &ours, &[])
            .success()
            .prints("payload\npayload\npayload\n");
        assert!(
            std::fs::read(&ours)
                .unwrap()
                .ends_with(b"LENGTH:       7\n")
        );
    }
}

/// With the offsets in the archive counted from its own start (`cat`), and from
/// the start of the file (`zip -A`, and what python appends).
#[test]
fn an_appended_zip_stays_readable() {
    need("python3", "python3");
    const APPEND: &str = "
import io, sys, zipfile
exe, absolute = sys.argv[1], sys.argv[2] == 'absolute'
inner = io.BytesIO()
with zipfile.ZipFile(exe if absolute else inner, 'a') as archive:
    archive.writestr('data.txt', 'zipped')
if not absolute:
    open(exe, 'ab').write(inner.getvalue())
";
    const READ: &str = "
import sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
print(archive.read('data.txt').decode())
";
    let dir = Scratch::new();
    for linker in ["bfd", "lld"] {
        for kind in ["absolute", "relative"] {
            let file = dir.join(format!("{linker}-{kind}.c"));
            let exe = ordinary(&file, HELLO, &[&format!("-fuse-ld={linker}")]);
            let mut python = Command::new("python3");
            run(python.args(["-c", APPEND]).arg(&exe).arg(kind)).success();
            let ours = adopted(&dir, &exe, &[]);
            for path in [&exe, &ours] {
                let mut python = Command::new("python3");
                run(python.args(["-c", READ]).arg(path))
                    .success()
                    .prints("zipped\n");
            }
            same(&exe, &ours, &[]).success();
        }
    }
}

/// What docs/adopt.md says under "Limits": the program notices, and says so in
/// its own words; `--undo` makes it content again.
#[test]
fn a_program_that_checks_its_own_bytes_notices() {
    let dir = Scratch::new();
    let source = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
    unsigned sum = 0;
    FILE *f = fopen("/proc/self/exe", "rb");
    for (int c; (c = getc(f)) != EOF;) sum = sum * 31 + c;
    if (argc < 2) return printf("%u\n", sum), 0;
    if (sum != strtoul(argv[1], 0, 10)) return fputs("tampered with\n", stderr), 9;
    return 0;
}
"#;
    let exe = ordinary(&dir.join("careful.c"), source, &[]);
    let sum = run(&mut Command::new(&exe)).stdout();
    let check = || run(Command::new(&exe).arg(sum.trim()));
    check().success();
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    assert_is_indirect(&exe);
    check().exits(9).err_has("tampered with");
    adopt([OsStr::new("--undo"), exe.as_os_str()]).success();
    check().success();
}
