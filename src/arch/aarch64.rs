//! 64-bit Arm, little-endian.
//!
//! Sources: ELF for the Arm 64-bit Architecture (relocation types, dynamic tags,
//! `st_other`); glibc sysdeps/aarch64/dl-machine.h (elf_machine_type_class,
//! elf_machine_rela, elf_machine_lazy_rel), sysdeps/unix/sysv/linux/aarch64/shlib-versions
//! and dl-cache.h. There are no folders for better processors under `glibc-hwcaps`.

use indir_shim::arch::aarch64 as shim;
use object::elf::{self, RelocationType};

use super::facts::{Arch, first, text};
use super::relocation::{Class, Kind, Relocations};

/// The facts.
pub static ARCH: Arch = Arch {
    machine: elf::EM_AARCH64,
    name: "aarch64",
    ldso: text(shim::LDSO.to_bytes()),
    interpreter: "/lib/ld-linux-aarch64.so.1",
    shim: "ld-indir-aarch64.so.1",
    binder: "libindir-bind-aarch64.so",
    note_object: "note-aarch64.o",
    emulations: &["aarch64linux", "aarch64elf"],
    lib: first(shim::LIB),
    platform: text(shim::PLATFORM),
    folders: &[
        "/lib/aarch64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/lib64",
        "/usr/lib64",
        "/lib",
        "/usr/lib",
    ],
    hwcaps: &[],
    // FLAG_AARCH64_LIB64 | FLAG_ELF_LIBC6; nothing else is accepted.
    cache_flags: &[0x0a03],
    page: 64 << 10,
    first_version: "GLIBC_2.17",
    // brk #0
    trap: &[0, 0, 0x20, 0xd4],
    relocations: Relocations {
        kind,
        class,
        uses_symbol,
        slot_len,
        adds: true,
    },
    eager: Some((elf::DT_AARCH64_VARIANT_PCS, elf::STO_AARCH64_VARIANT_PCS.0)),
};

/// Withdrawn by the ABI, to be treated as R_AARCH64_NONE.
const WITHDRAWN: RelocationType = RelocationType(256);

fn kind(kind: RelocationType) -> Kind {
    match kind {
        elf::R_AARCH64_NONE => Kind::None,
        elf::R_AARCH64_RELATIVE => Kind::Relative,
        elf::R_AARCH64_ABS64 => Kind::Symbol,
        elf::R_AARCH64_GLOB_DAT => Kind::Data,
        elf::R_AARCH64_JUMP_SLOT => Kind::Function,
        _ => Kind::Other,
    }
}

fn class(kind: RelocationType) -> Class {
    match kind {
        elf::R_AARCH64_JUMP_SLOT
        | elf::R_AARCH64_TLS_DTPMOD
        | elf::R_AARCH64_TLS_DTPREL
        | elf::R_AARCH64_TLS_TPREL
        | elf::R_AARCH64_TLSDESC => Class::Plt,
        elf::R_AARCH64_COPY => Class::Copy,
        _ => Class::Data,
    }
}

fn uses_symbol(kind: RelocationType) -> bool {
    !matches!(
        kind,
        elf::R_AARCH64_NONE | WITHDRAWN | elf::R_AARCH64_RELATIVE | elf::R_AARCH64_IRELATIVE
    )
}

fn slot_len(kind: RelocationType) -> Option<u64> {
    match kind {
        elf::R_AARCH64_COPY => None,
        elf::R_AARCH64_TLSDESC => Some(16),
        elf::R_AARCH64_ABS32 => Some(4),
        _ => Some(8),
    }
}
