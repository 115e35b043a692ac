//! What the artefacts must be, and the gap in the shim that linkers leave.

use std::fs;
use std::path::Path;

use crate::Machine;

/// Largest shim and largest binder, in bytes.
const MAX_ARTEFACT: u64 = 32 * 1024;

/// Linkers pad the file up to the page that .bss would begin on, and put the
/// section headers after the padding. .bss has no bytes, so they may as well
/// follow the code.
pub(crate) fn close_gap(file: &Path) {
    let mut bytes = fs::read(file).expect("ld wrote the shim");
    let field = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes")) as usize
    };
    let (phoff, shoff) = (field(&bytes, 32), field(&bytes, 40));
    // The first two headers are the PT_LOAD with bytes and the one of .bss.
    let end = field(&bytes, phoff + 32).next_multiple_of(8);
    let bss = field(&bytes, phoff + 56 + 8);
    // Nothing to do where the linker put something else there.
    if bss <= end || bytes.len() < bss || bytes[end..bss].iter().any(|&b| b != 0) {
        return;
    }
    let tail = bytes.split_off(bss);
    let gap = bss - end;
    bytes.truncate(end);
    bytes.extend_from_slice(&tail);
    bytes[40..48].copy_from_slice(&((shoff - gap) as u64).to_le_bytes());
    // PRoot maps the file even for a segment of no bytes: inside of it, then.
    bytes[phoff + 64..phoff + 72].copy_from_slice(&0_u64.to_le_bytes());
    // The names of the sections moved too; .bss is where the code ends.
    let count = usize::from(u16::from_le_bytes([bytes[60], bytes[61]]));
    for header in (0..count).map(|n| shoff - gap + n * 64) {
        let offset = field(&bytes, header + 24);
        if offset >= end + gap {
            let moved = (offset - gap) as u64;
            bytes[header + 24..header + 32].copy_from_slice(&moved.to_le_bytes());
        }
    }
    fs::write(file, bytes).expect("the shim can be written");
}

/// What a freestanding artefact must be (docs/loader-contract.md): small,
/// without memory that is writable and executable, and with no symbols from
/// others but `imports`. Without imports it may have no relocation at all. On aarch64 it
/// is protected by branch target identification.
pub(crate) fn check(file: &Path, machine: &Machine, what: &str, imports: &[&[u8]]) {
    let bytes = fs::read(file).expect("ld wrote it");
    assert!(
        bytes.len() as u64 <= MAX_ARTEFACT,
        "the {what} has {} bytes, more than {MAX_ARTEFACT}",
        bytes.len()
    );
    let u16_at = |at: usize| u16::from_le_bytes(bytes[at..at + 2].try_into().expect("2 bytes"));
    let u32_at = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"));
    let u64_at = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
    assert!(
        u16_at(18) == machine.elf,
        "the {what} is of another machine"
    );
    let mut property = machine.arch != "aarch64";
    let (phoff, phnum) = (u64_at(32) as usize, usize::from(u16_at(56)));
    for phdr in (0..phnum).map(|n| phoff + n * 56) {
        let (kind, flags) = (u32_at(phdr), u32_at(phdr + 4));
        assert!(
            kind != 1 || flags & 3 != 3,
            "the {what} has a writable and executable segment"
        );
        assert!(kind != 3, "the {what} has an interpreter");
        if kind == 0x6474_e553 {
            // GNU_PROPERTY_AARCH64_FEATURE_1_AND, with GNU_PROPERTY_AARCH64_FEATURE_1_BTI.
            let note = u64_at(phdr + 8) as usize;
            property |= u32_at(note + 16) == 0xc000_0000 && u32_at(note + 24) & 1 != 0;
        }
    }
    assert!(property, "the {what} does not say that it has landing pads");
    let (shoff, shnum) = (u64_at(40) as usize, usize::from(u16_at(60)));
    let section = |n: usize| shoff + n * 64;
    for header in (0..shnum).map(section) {
        let (kind, at) = (u32_at(header + 4), u64_at(header + 24) as usize);
        let size = u64_at(header + 32) as usize;
        let relocations = matches!(kind, 4 | 9 | 19) && size != 0;
        assert!(
            !relocations || !imports.is_empty(),
            "the {what} has relocations"
        );
        if kind == 1 && machine.arch == "aarch64" && u64_at(header + 8) & 4 != 0 {
            // `br` by another register than x16 and x17: the only one that needs `bti j`.
            let jump = |word: &[u8]| {
                matches!(word, [a, b, 0x1f, 0xd6]
                if !matches!(u16::from_le_bytes([*a, *b]) >> 5, 16 | 17))
            };
            assert!(
                !bytes[at..at + size].chunks_exact(4).any(jump),
                "the {what} has a jump table"
            );
        }
        if kind != 2 && kind != 11 {
            continue;
        }
        let strings = u64_at(section(u32_at(header + 40) as usize) + 24) as usize;
        for symbol in (at + 24..at + size).step_by(24) {
            let name = &bytes[strings + u32_at(symbol) as usize..];
            let imported = imports.iter().any(|import| name.starts_with(import));
            assert!(
                imported || u16_at(symbol + 6) != 0,
                "the {what} has an undefined symbol"
            );
            let local = bytes[symbol + 4] >> 4 == 0;
            let exported = kind == 11 && !local && u16_at(symbol + 6) != 0;
            assert!(
                !exported || name.starts_with(b"_dl_debug_state\0"),
                "the {what} exports a symbol"
            );
        }
    }
}
