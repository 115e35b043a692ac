//! Where each symbol of a stub lives: addresses without any content.
//!
//! Every object is put at an address that is aligned exactly as the model
//! says, no more, because linkers take a copy relocation's alignment from the
//! address; so the model can be read back from the stub. This module must not
//! know file offsets.

use std::collections::BTreeMap;

use crate::abi::model::{Abi, Binding, Key, Place, Symbol};

/// Sizes beyond this cannot be a program's: half of the user address space.
const MAX_SPAN: u64 = 1 << 46;

/// Offsets of one class of symbols in its section.
#[derive(Debug, Default)]
pub(super) struct Area<'a> {
    /// Offset of each symbol.
    pub(super) offsets: BTreeMap<&'a Key, u64>,
    /// Bytes taken.
    pub(super) size: u64,
    /// Strictest alignment in it, at least 1.
    pub(super) align: u64,
}

impl<'a> Area<'a> {
    /// Takes the next `size` bytes for `keys`, at an offset that is a multiple
    /// of `align` but not of twice that. `None` when the area gets too large.
    fn place(&mut self, keys: &[&'a Key], size: u64, align: u64) -> Option<()> {
        let mut at = self.size.checked_next_multiple_of(align)?;
        if at & align == 0 {
            at += align;
        }
        for key in keys {
            self.offsets.insert(key, at);
        }
        // An object without size still shares its address with nothing.
        self.size = at.checked_add(size.max(1)).filter(|&end| end < MAX_SPAN)?;
        self.align = self.align.max(align);
        Some(())
    }
}

/// The sections of a stub that symbols live in.
#[derive(Debug)]
pub(super) struct Layout<'a> {
    pub(super) text: Area<'a>,
    pub(super) rodata: Area<'a>,
    pub(super) relro: Area<'a>,
    pub(super) data: Area<'a>,
    pub(super) tls: Area<'a>,
    /// The symbols as the symbol table lists them.
    pub(super) order: Vec<(&'a Key, &'a Symbol)>,
}

impl<'a> Layout<'a> {
    /// `None` when the objects add up to more than an address space.
    pub(super) fn new(abi: &'a Abi) -> Option<Self> {
        let area = || Area {
            align: 1,
            ..Area::default()
        };
        let mut layout = Self {
            text: area(),
            rodata: area(),
            relro: area(),
            data: area(),
            tls: area(),
            order: order(abi),
        };
        let groups = abi.groups();
        // Strictest first, so that little is lost between objects.
        let mut leaders: Vec<_> = abi.symbols.iter().filter(|s| s.1.alias.is_none()).collect();
        leaders.sort_by_key(|(_, symbol)| std::cmp::Reverse(symbol.align));
        for (key, symbol) in leaders {
            let area = match symbol.place {
                Place::Text => {
                    layout.text.offsets.insert(key, layout.text.size);
                    layout.text.size += 1;
                    continue;
                }
                Place::Absolute(_) => continue,
                Place::Rodata => &mut layout.rodata,
                Place::Relro => &mut layout.relro,
                Place::Data => &mut layout.data,
                Place::Tls => &mut layout.tls,
            };
            match groups.get(key) {
                Some(members) => {
                    let sizes = members
                        .iter()
                        .filter_map(|k| Some(abi.symbols.get(*k)?.size));
                    area.place(members, sizes.max().unwrap_or(0), symbol.align)?;
                }
                None => area.place(&[key], symbol.size, symbol.align)?,
            }
        }
        Some(layout)
    }

    /// The area of symbols in `place`; numbers have none.
    pub(super) fn area(&self, place: Place) -> Option<&Area<'a>> {
        match place {
            Place::Text => Some(&self.text),
            Place::Rodata => Some(&self.rodata),
            Place::Relro => Some(&self.relro),
            Place::Data => Some(&self.data),
            Place::Tls => Some(&self.tls),
            Place::Absolute(_) => None,
        }
    }
}

/// Symbols by name and version; but weak aliases of one object swap places
/// among themselves, so that they come in descending order.
///
/// GNU ld exports, with a copied object, those of its weak aliases that come
/// before the one that was referred to. Descending order makes it export
/// `environ` without `_environ`, as with glibc's own symbol table.
fn order(abi: &Abi) -> Vec<(&Key, &Symbol)> {
    let mut order: Vec<(&Key, &Symbol)> = abi.symbols.iter().collect();
    let sorted: Vec<&Key> = abi.symbols.keys().collect();
    for members in abi.groups().into_values() {
        let weak = members.iter().filter(|key| {
            let symbol = abi.symbols.get(**key);
            symbol.is_some_and(|s| s.binding == Binding::Weak)
        });
        let slots: Vec<usize> = weak
            .filter_map(|key| sorted.binary_search(key).ok())
            .collect();
        let (mut low, mut high) = (0, slots.len().saturating_sub(1));
        while low < high {
            order.swap(slots[low], slots[high]);
            low += 1;
            high -= 1;
        }
    }
    order
}
