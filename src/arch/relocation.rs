//! What relocations ask of ld.so, in the words that all machines share.

use object::elf::RelocationType;

/// What a relocation asks of a definition (`ELF_RTYPE_CLASS_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// An address: the executable's PLT entry will do, so that all objects see
    /// one address of a function.
    Data,
    /// A call or a TLS variable: an undefined symbol with a value (the
    /// canonical PLT entry of a non-PIE executable) is no definition.
    Plt,
    /// The source of a copy relocation: not the executable's.
    Copy,
}

/// What ld.so does for a relocation type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing.
    None,
    /// slot = own base + addend.
    Relative,
    /// slot = symbol + addend (R_X86_64_64).
    Symbol,
    /// slot = symbol, or symbol + addend, as the machine has it (GLOB_DAT).
    Data,
    /// The same, and may be bound late (JUMP_SLOT).
    Function,
    /// Everything that stays with ld.so: TLS, COPY, IRELATIVE, SIZE and the
    /// 32-bit types.
    Other,
}

/// The relocation types of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Relocations {
    /// Classifies a type.
    pub kind: fn(RelocationType) -> Kind,
    /// How ld.so looks up the symbol of a relocation of this type.
    pub class: fn(RelocationType) -> Class,
    /// Whether ld.so looks the symbol of this type up at all.
    pub uses_symbol: fn(RelocationType) -> bool,
    /// How many bytes a relocation of this type changes; `None` for COPY, which
    /// changes as many as its symbol has.
    pub slot_len: fn(RelocationType) -> Option<u64>,
    /// GLOB_DAT and JUMP_SLOT have an addend that counts.
    pub adds: bool,
}
