//! x86-64.
//!
//! Sources: glibc sysdeps/x86_64/dl-machine.h (elf_machine_type_class,
//! elf_machine_rela), dl-hwcaps_subdirs.c, sysdeps/unix/sysv/linux/x86_64/64/shlib-versions
//! and dl-cache.h; x86-64 psABI.

use indir_shim::arch::x86_64 as shim;
use object::elf::{self, RelocationType};

use super::facts::{Arch, first, text};
use super::relocation::{Class, Kind, Relocations};

/// The facts.
pub static ARCH: Arch = Arch {
    machine: elf::EM_X86_64,
    name: "x86-64",
    ldso: text(shim::LDSO.to_bytes()),
    interpreter: "/lib64/ld-linux-x86-64.so.2",
    shim: "ld-indir-x86-64.so.1",
    binder: "libindir-bind.so",
    note_object: "note-x86-64.o",
    emulations: &["elf_x86_64", "elf_amd64"],
    lib: first(shim::LIB),
    // glibc up to 2.36 says `haswell` or `xeon_phi` on some processors; a table must be
    // right on all, so only the common value is used.
    platform: text(shim::PLATFORM),
    folders: &[
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ],
    hwcaps: &["x86-64-v4", "x86-64-v3", "x86-64-v2"],
    // FLAG_X8664_LIB64 | FLAG_ELF_LIBC6, and FLAG_ELF, which
    // `_dl_cache_check_flags` accepts too.
    cache_flags: &[0x0303, 1],
    page: 4096,
    first_version: "GLIBC_2.2.5",
    trap: &[0xcc],
    relocations: Relocations {
        kind,
        class,
        uses_symbol,
        slot_len,
        adds: false,
    },
    eager: None,
};

/// Classifies a relocation type.
pub fn kind(kind: RelocationType) -> Kind {
    match kind {
        elf::R_X86_64_NONE => Kind::None,
        elf::R_X86_64_RELATIVE | elf::R_X86_64_RELATIVE64 => Kind::Relative,
        elf::R_X86_64_64 => Kind::Symbol,
        elf::R_X86_64_GLOB_DAT => Kind::Data,
        elf::R_X86_64_JUMP_SLOT => Kind::Function,
        _ => Kind::Other,
    }
}

/// How ld.so looks up the symbol of a relocation of this type.
pub fn class(kind: RelocationType) -> Class {
    match kind {
        elf::R_X86_64_JUMP_SLOT
        | elf::R_X86_64_DTPMOD64
        | elf::R_X86_64_DTPOFF64
        | elf::R_X86_64_TPOFF64
        | elf::R_X86_64_TLSDESC => Class::Plt,
        elf::R_X86_64_COPY => Class::Copy,
        _ => Class::Data,
    }
}

/// Whether ld.so looks the symbol of this relocation type up at all.
pub fn uses_symbol(kind: RelocationType) -> bool {
    !matches!(
        kind,
        elf::R_X86_64_NONE
            | elf::R_X86_64_RELATIVE
            | elf::R_X86_64_RELATIVE64
            | elf::R_X86_64_IRELATIVE
    )
}

/// How many bytes a relocation of this type changes; `None` for COPY, which
/// changes as many as its symbol has.
pub fn slot_len(kind: RelocationType) -> Option<u64> {
    match kind {
        elf::R_X86_64_COPY => None,
        elf::R_X86_64_TLSDESC => Some(16),
        elf::R_X86_64_32 | elf::R_X86_64_PC32 | elf::R_X86_64_SIZE32 => Some(4),
        _ => Some(8),
    }
}
