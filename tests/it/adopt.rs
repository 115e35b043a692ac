//! `indir adopt`: prebuilt executables become indirect and do what they did.

use std::ffi::{CStr, OsStr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::program_header::{PT_INTERP, PT_LOAD, PT_NOTE, ProgramHeader};

use crate::support::program::{no_table, ordinary, refused, shared, table_of};
use crate::support::{Ran, Scratch, glibc_lib, indir, need, prefix, run, shim};

pub(crate) const HELLO: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static char zeros[3000000];
static int data = 7;
int main(int argc, char **argv) {
    for (unsigned i = 0; i < sizeof zeros; i++)
        if (zeros[i]) return 3;
    memset(zeros, 1, sizeof zeros);
    char *more = sbrk(1 << 20);
    memset(more, 2, 1 << 20);
    char *heap = malloc(1000);
    memset(heap, 3, 1000);
    printf("hello %d %d %s\n", data, argc, argc > 1 ? argv[1] : "");
    return 0;
}
"#;

/// `indir adopt` of the prefix, whose shim the result then names.
pub(crate) fn adopt<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ran {
    let mut command = Command::new(prefix().join("bin/indir"));
    run(command.arg("adopt").args(args))
}

/// An indirect copy of `exe` in a folder of its own, under the same name.
#[track_caller]
pub(crate) fn adopted(dir: &Scratch, exe: &Path, args: &[&str]) -> PathBuf {
    let out = dir.dir("adopted").join(exe.file_name().unwrap());
    let all = [OsStr::new("-o"), out.as_os_str(), exe.as_os_str()];
    adopt(all.into_iter().chain(args.iter().map(OsStr::new))).success();
    assert_is_indirect(&out);
    out
}

/// The facts, read without a line of `indir`.
#[track_caller]
pub(crate) fn assert_is_indirect(exe: &Path) {
    let data = std::fs::read(exe).unwrap();
    // No more than this: goblin does not look behind a segment's end in its page, where
    // patchelf after strip has the dynamic section.
    let header = Elf::parse_header(&data).unwrap();
    let ctx = Ctx::new(Container::Big, Endian::Little);
    let (at, count) = (header.e_phoff as usize, header.e_phnum.into());
    let headers = ProgramHeader::parse(&data, at, count, ctx).unwrap();
    let interpreter = headers.iter().find(|p| p.p_type == PT_INTERP).unwrap();
    let path = CStr::from_bytes_with_nul(&data[interpreter.file_range()]).unwrap();
    assert_eq!(path.to_str().ok(), shim().to_str(), "{}", exe.display());
    // Owner of 6 bytes, content of 39, type 1.
    let head = b"\x06\0\0\0\x27\0\0\0\x01\0\0\0indir\0\0\0";
    let notes = headers.iter().filter(|p| p.p_type == PT_NOTE);
    let own = notes
        .flat_map(|p| data[p.file_range()].windows(head.len()))
        .filter(|bytes| bytes == head);
    assert_eq!(own.count(), 1, "{}", exe.display());
}

/// Both print the same and end alike; returns what the indirect one did.
#[track_caller]
pub(crate) fn same(original: &Path, indirect: &Path, args: &[&str]) -> Ran {
    let name = original.file_name().unwrap();
    let ordinary = run(Command::new(original).arg0(name).args(args));
    let ours = run(Command::new(indirect).arg0(name).args(args));
    assert!(
        ordinary.code() == ours.code()
            && ordinary.stdout() == ours.stdout()
            && ordinary.stderr() == ours.stderr(),
        "they differ\nordinary: {ordinary}\nindirect: {ours}"
    );
    ours
}

#[test]
fn every_linker_and_layout_also_after_strip_and_objcopy() {
    need("objcopy", "binutils");
    let dir = Scratch::new();
    for (linker, package) in crate::support::link::LINKERS {
        need(&format!("ld.{linker}"), package);
        for pie in ["-pie", "-no-pie"] {
            for (n, extra) in ["-g", "-s", "-Wl,--build-id=none"].into_iter().enumerate() {
                let file = dir.join(format!("{linker}{pie}{n}.c"));
                let linker = format!("-fuse-ld={linker}");
                let exe = ordinary(&file, HELLO, &[pie, &linker, extra]);
                let ours = adopted(&dir, &exe, &[]);
                same(&exe, &ours, &["a"]).success().prints("hello 7 2 a\n");
                let edited = ours.with_extension("edited");
                for tool in [&["strip", "-o"][..], &["objcopy", "--strip-debug"]] {
                    let mut command = Command::new(tool[0]);
                    command.args(&tool[1..]);
                    if tool[0] == "strip" {
                        command.arg(&edited).arg(&ours);
                    } else {
                        command.arg(&ours).arg(&edited);
                    }
                    run(&mut command).success();
                    assert_is_indirect(&edited);
                    same(&exe, &edited, &["b"]).success();
                }
            }
        }
    }
}

/// No note to join and no room for headers: the headers move, beyond what
/// follows the ELF file itself.
#[test]
fn headers_move_when_there_is_no_room() {
    const PAYLOAD: usize = 5_000_000;
    need("ld.lld", "lld");
    let dir = Scratch::new();
    for pie in ["-pie", "-no-pie"] {
        let args = [pie, "-fuse-ld=lld", "-Wl,--build-id=none"];
        let exe = ordinary(&dir.join(format!("bare{pie}.c")), HELLO, &args);
        run(Command::new("objcopy")
            .args(["-R", ".note.ABI-tag"])
            .arg(&exe))
        .success();
        let mut data = std::fs::read(&exe).unwrap();
        let end = data.len();
        data.extend(vec![b'x'; PAYLOAD]);
        std::fs::write(&exe, data).unwrap();
        let out = dir.join(format!("moved{pie}"));
        adopt([OsStr::new("-o"), out.as_os_str(), exe.as_os_str()])
            .success()
            .err_is_one_line()
            .err_has("its program headers moved");
        let ours = adopted(&dir, &exe, &[]);
        same(&exe, &ours, &[]).success().prints("hello 7 1 \n");
        let data = std::fs::read(&ours).unwrap();
        let elf = Elf::parse(&data).unwrap();
        // Kernels before 5.18: AT_PHDR = e_phoff + first segment's difference.
        let loads = || elf.program_headers.iter().filter(|p| p.p_type == PT_LOAD);
        let first = loads().next().unwrap();
        let vaddr = elf.header.e_phoff + (first.p_vaddr - first.p_offset);
        assert!(loads().any(|p| p.p_vaddr == vaddr && p.p_offset == elf.header.e_phoff));
        // The payload is where it was, and at the end. The hole is one.
        assert_eq!(data[end..end + PAYLOAD], [b'x'; PAYLOAD]);
        assert!(data.ends_with(&[b'x'; PAYLOAD]));
        let blocks = std::fs::metadata(&ours).unwrap().blocks() as usize;
        assert!(blocks * 512 < 2 * PAYLOAD + 200_000, "{blocks} blocks");
    }
}

#[test]
fn spare_room_keeps_length_and_payload() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("payload.c"), HELLO, &["-fuse-ld=bfd"]);
    let mut data = std::fs::read(&exe).unwrap();
    let elf_len = data.len();
    data.extend(b"payload at the end");
    std::fs::write(&exe, &data).unwrap();
    let ours = adopted(&dir, &exe, &[]);
    let new = std::fs::read(&ours).unwrap();
    assert_eq!(new.len(), data.len());
    assert_eq!(new[elf_len..], data[elf_len..]);
    same(&exe, &ours, &[]).success();
    // No segment moves, and one ends later in the page that it ends in anyway.
    let loads = |data: &[u8]| -> Vec<_> {
        let elf = Elf::parse(data).unwrap();
        assert_eq!(elf.header.e_phoff, 64);
        let all = elf.program_headers.into_iter();
        all.filter(|p| p.p_type == PT_LOAD).collect()
    };
    let (before, after) = (loads(&data), loads(&new));
    assert_eq!(before.len(), after.len());
    let mut longer = 0;
    for (old, new) in before.iter().zip(&after) {
        assert_eq!((old.p_offset, old.p_vaddr), (new.p_offset, new.p_vaddr));
        let page = |p: &goblin::elf::ProgramHeader| (p.p_vaddr + p.p_memsz).next_multiple_of(4096);
        assert_eq!(page(old), page(new));
        longer += usize::from(old.p_memsz != new.p_memsz);
    }
    assert_eq!(longer, 1);
}

#[test]
fn cpp_with_exceptions_and_threads() {
    let dir = Scratch::new();
    let source = r#"
#include <iostream>
#include <stdexcept>
#include <string>
#include <thread>
thread_local int local = 41;
int main() {
    std::string said;
    std::thread([&] {
        try { throw std::runtime_error("thrown " + std::to_string(++local)); }
        catch (const std::exception &e) { said = e.what(); }
    }).join();
    std::cout << said << ' ' << local << std::endl;
}
"#;
    for pie in ["-pie", "-no-pie"] {
        let exe = ordinary(
            &dir.join(format!("cpp{pie}.cc")),
            source,
            &[pie, "-pthread"],
        );
        let ours = adopted(&dir, &exe, &[]);
        same(&exe, &ours, &[]).success().prints("thrown 42 41\n");
    }
}

#[test]
fn runpath_is_searched_and_a_lib_dir_goes_first() {
    let dir = Scratch::new();
    let soname = "-Wl,-soname,libvalue.so";
    for (folder, value) in [("one", 1), ("two", 2)] {
        let source = format!("int value(void) {{ return {value}; }}");
        shared(&dir.join(folder).join("libvalue.c"), &source, &[soname]);
    }
    for folder in ["one", "two"] {
        let folder = dir.join(folder);
        std::fs::rename(folder.join("libvalue"), folder.join("libvalue.so")).unwrap();
    }
    let source = r#"
#include <stdio.h>
int value(void);
int main(void) { return printf("%d\n", value()) != 2; }
"#;
    let link = format!("-L{}", dir.join("one").display());
    let rpath = "-Wl,-rpath,$ORIGIN/one";
    let exe = ordinary(&dir.join("user.c"), source, &[&link, "-lvalue", rpath]);
    let before = std::fs::read(&exe).unwrap();

    // $ORIGIN is another folder for a copy elsewhere, whose table names this one.
    let elsewhere = dir.dir("elsewhere").join("user");
    let all = [OsStr::new("-o"), elsewhere.as_os_str(), exe.as_os_str()];
    adopt(all).success();
    run(&mut Command::new(&elsewhere)).success().prints("1\n");

    let two = dir.join("two");
    let lib_dir = [OsStr::new("--lib-dir"), two.as_os_str()];
    adopt(all.into_iter().chain(lib_dir)).success();
    run(&mut Command::new(&elsewhere)).success().prints("2\n");

    // An update that gives other folders, twice, still finds it, after these.
    adopt(all).success();
    for build in ["old", "bookworm"] {
        let libraries = glibc_lib(build);
        let update = |lib_dir: &Path| {
            let mut command = indir();
            command.arg("update").arg(&elsewhere);
            command.arg("--lib-dir").arg(&libraries);
            run(command.arg("--lib-dir").arg(lib_dir)).success();
        };
        update(&libraries);
        run(&mut Command::new(&elsewhere)).success().prints("1\n");
        let shown = run(indir().arg("show").arg(&elsewhere)).success().stdout();
        assert!(shown.contains(libraries.to_str().unwrap()), "{shown}");
        update(&two);
        run(&mut Command::new(&elsewhere)).success().prints("2\n");
        update(&libraries);
    }
    let moved = dir.join("moved");
    std::fs::rename(dir.join("one"), &moved).unwrap();
    let replace = format!("{}={}", dir.join("one").display(), moved.display());
    let mut command = indir();
    command.arg("update").arg(&elsewhere);
    run(command.args(["--replace", &replace])).success();
    run(&mut Command::new(&elsewhere)).success().prints("1\n");
    std::fs::rename(&moved, dir.join("one")).unwrap();

    assert_eq!(std::fs::read(&exe).unwrap(), before);
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    run(&mut Command::new(&exe)).success().prints("1\n");
}

#[test]
fn libraries_that_lack_a_symbol_are_refused_and_nothing_changes() {
    let dir = Scratch::new();
    let soname = "-Wl,-soname,libtwo.so";
    for (folder, source) in [
        ("good", "void a(void) {} void b(void) {}"),
        ("bad", "void a(void) {}"),
    ] {
        let made = shared(&dir.join(folder).join("libtwo.c"), source, &[soname]);
        std::fs::rename(&made, made.with_extension("so")).unwrap();
    }
    let link = format!("-L{}", dir.join("good").display());
    let source = "void a(void), b(void); int main(void) { a(); b(); return 0; }";
    let exe = ordinary(&dir.join("user.c"), source, &[&link, "-ltwo"]);
    let before = std::fs::read(&exe).unwrap();
    let bad = dir.join("bad");
    let ran = adopt([
        OsStr::new("--in-place"),
        exe.as_os_str(),
        OsStr::new("--lib-dir"),
        bad.as_os_str(),
    ]);
    ran.exits(3)
        .err_has("b needed by")
        .err_has(exe.to_str().unwrap());
    assert_eq!(std::fs::read(&exe).unwrap(), before);
    let temporaries = std::fs::read_dir(dir.path()).unwrap().flatten();
    let left: Vec<_> = temporaries
        .map(|entry| entry.file_name())
        .filter(|name| name.to_string_lossy().starts_with(".indir-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn in_place_keeps_what_belongs_to_the_file_and_twice_is_a_no_op() {
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("kept.c"), HELLO, &[]);
    run(Command::new("touch")
        .args(["-d", "2001-02-03 04:05:06"])
        .arg(&exe))
    .success();
    std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o4750)).unwrap();
    let facts = |path: &Path| {
        let m = std::fs::metadata(path).unwrap();
        (m.mode(), m.uid(), m.gid(), m.mtime(), m.mtime_nsec())
    };
    let before = facts(&exe);
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    assert_is_indirect(&exe);
    assert_eq!(facts(&exe), before);
    std::fs::set_permissions(&exe, PermissionsExt::from_mode(0o755)).unwrap();
    run(&mut Command::new(&exe)).success();

    let once = std::fs::read(&exe).unwrap();
    let inode = std::fs::metadata(&exe).unwrap().ino();
    let again = adopt([OsStr::new("--in-place"), exe.as_os_str()]);
    again
        .success()
        .err_is_one_line()
        .err_has("indirect already");
    assert_eq!(std::fs::read(&exe).unwrap(), once);
    assert_eq!(std::fs::metadata(&exe).unwrap().ino(), inode);

    // Without its table it does not start, and says so.
    std::fs::remove_file(table_of(&exe)).unwrap();
    refused(&run(&mut Command::new(&exe)), &no_table(&exe));
}

#[test]
fn capabilities_are_kept() {
    need("setcap", "libcap2-bin");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("able.c"), HELLO, &[]);
    run(Command::new("setcap").arg("cap_net_raw=ep").arg(&exe)).success();
    adopt([OsStr::new("--in-place"), exe.as_os_str()]).success();
    run(Command::new("getcap").arg(&exe))
        .success()
        .out_has("cap_net_raw=ep");
}

#[test]
fn what_cannot_be_adopted_is_refused_in_one_line() {
    let dir = Scratch::new();
    let plain = "int main(void) { return 0; }";
    let fixed = ordinary(&dir.join("fixed.c"), plain, &["-static"]);
    let fixed_pie = ordinary(&dir.join("fixed_pie.c"), plain, &["-static-pie"]);
    let library = shared(&dir.join("library.c"), "void f(void) {}", &[]);
    let script = dir.file("script", "#!/bin/sh\n");
    let linked = ordinary(&dir.join("linked.c"), plain, &[]);
    std::fs::hard_link(&linked, dir.join("other")).unwrap();
    let cases = [
        (&fixed, "statically linked"),
        (&fixed_pie, "statically linked"),
        (&library, "shared library"),
        (&script, "script"),
        (&linked, "hard links"),
        (&dir.join("missing"), "No such file"),
    ];
    for (path, why) in cases {
        let before = std::fs::read(path).ok();
        let ran = adopt([OsStr::new("--in-place"), path.as_os_str()]);
        ran.exits(1).err_is_one_line().err_has(why);
        ran.err_has(path.to_str().unwrap());
        assert_eq!(std::fs::read(path).ok(), before);
    }
}

/// Programs of packages that every Debian system, or this project's tests,
/// have: the output of the copy is that of the original.
#[test]
fn programs_of_the_system_print_what_they_printed() {
    const PROGRAMS: [&str; 44] = [
        "ls",
        "cat",
        "cp",
        "mv",
        "rm",
        "ln",
        "date",
        "sort",
        "head",
        "tail",
        "cut",
        "tr",
        "wc",
        "env",
        "stat",
        "du",
        "df",
        "sha256sum",
        "base64",
        "od",
        "expr",
        "factor",
        "bash",
        "dash",
        "sed",
        "grep",
        "tar",
        "gzip",
        "find",
        "xargs",
        "diff",
        "cmp",
        "perl",
        "dpkg",
        "make",
        "gcc",
        "g++",
        "as",
        "objdump",
        "readelf",
        "nm",
        "strip",
        "mount",
        "login",
    ];
    let dir = Scratch::new();
    let out = dir.dir("bin");
    let originals: Vec<PathBuf> = PROGRAMS
        .iter()
        .map(|name| Path::new("/usr/bin").join(name))
        .map(|path| {
            if path.exists() {
                path
            } else {
                Path::new("/bin").join(path.file_name().unwrap())
            }
        })
        .collect();
    for path in &originals {
        assert!(
            path.exists(),
            "{} is missing: apt-get install coreutils bash dash sed grep tar gzip findutils diffutils perl-base dpkg make gcc g++ binutils mount login",
            path.display()
        );
    }
    let args = [OsStr::new("-o"), out.as_os_str()];
    adopt(
        args.into_iter()
            .chain(originals.iter().map(|path| path.as_os_str())),
    )
    .success();
    for original in &originals {
        let ours = out.join(original.file_name().unwrap());
        assert_is_indirect(&ours);
        same(original, &ours, &["--version"]);
    }
}

/// A copy elsewhere keeps finding what the original finds by `$ORIGIN`, also
/// after a later update; what lies beside the copy comes first.
#[test]
fn a_copy_elsewhere_finds_what_the_original_finds_beside_itself() {
    let dir = Scratch::new();
    let answer = |folder: &str, value: i32| {
        let source = format!("int answer(void) {{ return {value}; }}");
        let plain = shared(&dir.join(folder).join("libanswer.c"), &source, &[]);
        std::fs::rename(&plain, plain.with_extension("so")).unwrap();
    };
    answer("tree/lib", 7);
    let source = "int answer(void); int main(void) { return answer(); }";
    let link = format!("-L{}", dir.join("tree/lib").display());
    for (tags, name) in [("--enable", "runpath"), ("--disable", "rpath")] {
        let args = [
            &link,
            "-lanswer",
            "-Wl,-rpath,/nonexistent:${ORIGIN}/../lib",
            &format!("-Wl,{tags}-new-dtags"),
        ];
        let source_path = dir.join("tree/bin").join(format!("{name}.c"));
        let exe = ordinary(&source_path, source, &args);
        run(&mut Command::new(&exe)).exits(7);
        let out = dir.dir("elsewhere").join(name);
        adopt([OsStr::new("-o"), out.as_os_str(), exe.as_os_str()]).success();
        run(&mut Command::new(&out)).exits(7);
        run(Command::new(prefix().join("bin/indir"))
            .arg("update")
            .arg(&out))
        .success();
        run(&mut Command::new(&out)).exits(7);

        answer("other/lib", 9);
        let beside = dir.dir("other/bin").join(name);
        adopt([OsStr::new("-o"), beside.as_os_str(), exe.as_os_str()]).success();
        run(&mut Command::new(&beside)).exits(9);
    }
}
