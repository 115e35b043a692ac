//! How relocations look symbols up: what `arch` and `lookup` both speak of.

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
