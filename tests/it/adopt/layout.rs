//! Where the new note and headers go: every linker and layout, with and without
//! room, with something behind the ELF file.

use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use goblin::elf::Elf;
use goblin::elf::program_header::PT_LOAD;

use crate::support::adopt::{HELLO, adopt, adopted, assert_is_indirect, same};
use crate::support::program::ordinary;
use crate::support::{Scratch, need, run};

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
