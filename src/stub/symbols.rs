//! DT_SYMTAB of a stub: undefined symbols, then defined ones at their addresses.

use object::elf;

use crate::abi::model::{Abi, Binding, Key, Kind, Place};

use super::layout::Layout;

/// Where the areas of a [`Layout`] begin, and the section index of each.
#[derive(Default)]
pub(super) struct Placed {
    pub(super) text: (u64, u16),
    pub(super) rodata: (u64, u16),
    pub(super) relro: (u64, u16),
    pub(super) data: (u64, u16),
    pub(super) tls: (u64, u16),
}

/// The table; `names` are the offsets of the names in the order of the table.
pub(super) fn symbol_table(
    abi: &Abi,
    layout: &Layout<'_>,
    placed: &Placed,
    names: &[u32],
) -> Vec<u8> {
    let mut out = vec![0; 24];
    let mut names = names.iter().copied();
    let mut put = |info: u8, other: u8, shndx: u16, value: u64, size: u64| {
        out.extend_from_slice(&names.next().unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&[info, other]);
        out.extend_from_slice(&shndx.to_le_bytes());
        out.extend_from_slice(&value.to_le_bytes());
        out.extend_from_slice(&size.to_le_bytes());
    };
    for undefined in abi.undefined.values() {
        let binding = if undefined.weak {
            elf::STB_WEAK
        } else {
            elf::STB_GLOBAL
        };
        let kind = if undefined.tls {
            elf::STT_TLS
        } else {
            elf::STT_NOTYPE
        };
        put(binding.0 << 4 | kind.0, 0, 0, 0, 0);
    }
    for &(key, symbol) in &layout.order {
        let kind = match symbol.kind {
            Kind::Function => elf::STT_FUNC,
            Kind::Object => elf::STT_OBJECT,
            Kind::Tls => elf::STT_TLS,
            Kind::NoType => elf::STT_NOTYPE,
        };
        let binding = match symbol.binding {
            Binding::Global => elf::STB_GLOBAL,
            Binding::Weak => elf::STB_WEAK,
            Binding::Unique => elf::STB_GNU_UNIQUE,
        };
        let visibility = if symbol.protected {
            elf::STV_PROTECTED
        } else {
            elf::STV_DEFAULT
        };
        let (value, shndx) = address(key, symbol.place, layout, placed);
        // One size for all functions: their own.
        let size = if symbol.kind == Kind::Function {
            1
        } else {
            symbol.size
        };
        put(
            binding.0 << 4 | kind.0,
            symbol.other | visibility.0,
            shndx,
            value,
            size,
        );
    }
    out
}

fn address(key: &Key, place: Place, layout: &Layout<'_>, placed: &Placed) -> (u64, u16) {
    let (base, section) = match place {
        Place::Absolute(value) => return (value, elf::SHN_ABS.0),
        Place::Text => placed.text,
        Place::Rodata => placed.rodata,
        Place::Relro => placed.relro,
        Place::Data => placed.data,
        Place::Tls => placed.tls,
    };
    let offset = layout.area(place).and_then(|area| area.offsets.get(key));
    (base + offset.copied().unwrap_or(0), section)
}
