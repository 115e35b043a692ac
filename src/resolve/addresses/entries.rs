//! Entries of the dynamic tables, as they are stored.

use object::elf::{self, RelocationType, SymbolSection};

/// A version that a symbol carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// The gABI hash of the name.
    pub hash: u32,
    /// The need is not satisfied by a definition without version.
    pub hidden: bool,
    /// Soname of the file that it is needed of; `None` for own versions.
    pub file: Option<&'a [u8]>,
}

/// A dynamic symbol without its name, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawSymbol {
    /// `st_name`: offset in the string table.
    pub name: u32,
    /// `st_info`.
    pub info: u8,
    /// `st_other`.
    pub other: u8,
    /// `st_shndx`.
    pub shndx: SymbolSection,
    /// `st_value`.
    pub value: u64,
    /// `st_size`.
    pub size: u64,
}

impl RawSymbol {
    /// `ELF64_ST_TYPE`.
    pub fn kind(&self) -> elf::SymbolType {
        elf::SymbolType(self.info & 15)
    }

    /// `ELF64_ST_BIND`.
    pub fn binding(&self) -> elf::SymbolBind {
        elf::SymbolBind(self.info >> 4)
    }

    /// `ELF64_ST_VISIBILITY`.
    pub fn visibility(&self) -> elf::SymbolVisibility {
        elf::SymbolVisibility(self.other & 3)
    }

    /// Hidden and internal symbols are found by nobody else, and their own
    /// object finds them without looking (dl_symbol_visibility_binds_local_p).
    pub fn binds_locally(&self) -> bool {
        matches!(self.visibility(), elf::STV_HIDDEN | elf::STV_INTERNAL)
    }
}

/// One Elf64_Rela.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rela {
    /// `r_offset`: address of the slot, relative to the load address.
    pub offset: u64,
    /// `ELF64_R_TYPE`.
    pub kind: RelocationType,
    /// `ELF64_R_SYM`.
    pub symbol: u32,
    /// `r_addend`.
    pub addend: i64,
}
