//! What the relocations of one object come to; `relocations` works it out.

use super::entries::Rela;
use crate::arch::Kind;

/// Why all relocations of an object stay with ld.so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is ld.so, which relocates itself.
    #[error("it is the dynamic linker")]
    DynamicLinker,
    /// DT_TEXTREL: segments are writable only while ld.so relocates it.
    #[error("it has text relocations")]
    TextRelocations,
    /// A slot lies outside of the writable segments.
    #[error("a relocation lies outside of its writable segments")]
    OutsideOfData,
    /// Two relocations change the same bytes: their order matters.
    #[error("two relocations change the same bytes")]
    Overlap,
    /// DT_RELACOUNT does not fit DT_RELA, or DT_JMPREL has relative entries.
    #[error("its relocation tables contradict each other")]
    Inconsistent,
    /// `.dynamic` cannot be edited.
    #[error("its dynamic section is read-only")]
    ReadOnlyDynamic,
    /// Something is left for ld.so, but DT_RELA is missing.
    #[error("it has no DT_RELA")]
    NoRela,
    /// A slot is 4 GiB or more away from the load address.
    #[error("it is too large")]
    TooLarge,
}

/// An entry that writes the address of a symbol into a slot of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbolic {
    /// Address of the slot, relative to the load address.
    pub slot: u32,
    /// Index of the symbol.
    pub symbol: u32,
    /// What is added; 0 for types that ignore their addend.
    pub addend: i64,
    /// `Symbol`, `Data` or `Function`.
    pub kind: Kind,
    /// From DT_JMPREL: not resolved before the first call, unless the object or
    /// the user asks for it.
    pub jump: bool,
    /// The entry itself.
    pub entry: Rela,
}

/// A RELATIVE entry that DT_RELACOUNT does not cover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relative {
    /// Address of the slot, relative to the load address.
    pub slot: u32,
    /// The entry itself; its addend is the value, relative to the load address.
    pub entry: Rela,
}

/// An entry that stays with ld.so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Residual {
    /// The entry itself.
    pub entry: Rela,
    /// From DT_JMPREL.
    pub jump: bool,
}

/// What the relocations of an object come to.
#[derive(Clone, Debug, Default)]
pub struct RelocationPlan {
    /// Entries to be bound, DT_RELA's before DT_JMPREL's.
    pub symbolic: Vec<Symbolic>,
    /// RELATIVE entries behind the ones that DT_RELACOUNT counts.
    pub relative: Vec<Relative>,
    /// Entries that stay with ld.so: TLS, COPY, IRELATIVE, 32-bit ones.
    pub residual: Vec<Residual>,
    /// Number of entries that DT_RELACOUNT covers.
    pub counted: u64,
    /// Why nothing of this may be used.
    pub refusal: Option<Refusal>,
}
