//! What tests of adopted executables share: the command, a program, the facts.

use std::ffi::{CStr, OsStr};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::container::{Container, Ctx, Endian};
use goblin::elf::Elf;
use goblin::elf::program_header::{PT_INTERP, PT_NOTE, ProgramHeader};

use super::{Ran, Scratch, prefix, run, shim};

/// Checks that the memory that it is given, .bss and heap, is what it has to be.
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

/// Programs of Debian that every machine with compilers has, from many kinds of source.
pub(crate) const COMMON: [&str; 20] = [
    "ls",
    "sort",
    "sha256sum",
    "factor",
    "bash",
    "dash",
    "sed",
    "grep",
    "tar",
    "gzip",
    "find",
    "diff",
    "perl",
    "dpkg",
    "make",
    "gcc",
    "as",
    "objdump",
    "readelf",
    "mount",
];

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
    // Owner of 6 bytes, content of any length, type 1.
    let notes = headers.iter().filter(|p| p.p_type == PT_NOTE);
    let own = notes
        .flat_map(|p| data[p.file_range()].windows(20))
        .filter(|bytes| {
            bytes.starts_with(b"\x06\0\0\0") && bytes.ends_with(b"\x01\0\0\0indir\0\0\0")
        });
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
