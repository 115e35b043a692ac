//! What is particular to x86-64: relocation types and how they look symbols up.
//!
//! Its types are named nowhere else in `addresses`. Follows glibc
//! sysdeps/x86_64/dl-machine.h (elf_machine_type_class, elf_machine_rela).

use object::elf::{self, RelocationType};

use crate::resolve::addresses::class::Class;

/// What ld.so does for a relocation type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// slot = own base + addend.
    Relative,
    /// slot = symbol + addend (R_X86_64_64).
    Symbol,
    /// slot = symbol, the addend is not used (GLOB_DAT).
    Data,
    /// slot = symbol, the addend is not used, may be bound late (JUMP_SLOT).
    Function,
    /// Everything that stays with ld.so: TLS, COPY, IRELATIVE, SIZE and the
    /// 32-bit types.
    Other,
}

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
