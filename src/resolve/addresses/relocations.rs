//! The relocations of one object, sorted by who can do them.
//!
//! Everything here is the same in every closure, so it is worked out once per
//! object: which entries look a symbol up and write a plain address (these can
//! be bound ahead), which stay with ld.so whatever happens, and why an object
//! as a whole may have to stay with ld.so. Nothing is resolved here.
//! Follows glibc elf/do-rel.h and elf/dynamic-link.h.

use object::elf;

use super::entries::Rela;
use super::object::LoadedObject;
use super::plan::{Refusal, Relative, RelocationPlan, Residual, Symbolic};
use crate::arch::{Kind, Relocations};
use crate::elf::Segment;

impl LoadedObject {
    /// What its relocations come to, whatever closure it is in; made at the
    /// first call.
    pub fn relocation_plan(&self) -> &RelocationPlan {
        self.plan.get_or_init(|| RelocationPlan::new(self))
    }
}

impl RelocationPlan {
    fn new(object: &LoadedObject) -> Self {
        let mut plan = Self {
            counted: object.relative_count(),
            ..Self::default()
        };
        plan.refusal = plan.fill(object).err();
        plan
    }

    fn fill(&mut self, object: &LoadedObject) -> Result<(), Refusal> {
        let mut first_refusal = Ok(());
        if object.has_text_relocations() {
            first_refusal = Err(Refusal::TextRelocations);
        }
        let types = object.relocation_types();
        let entries = object.relocations();
        let counted = usize::try_from(self.counted)
            .ok()
            .filter(|n| *n <= entries.len())
            .ok_or(Refusal::Inconsistent)?;
        for entry in entries.skip(counted) {
            self.add(types, entry, false)?;
        }
        for entry in object.jump_relocations() {
            self.add(types, entry, true)?;
        }
        first_refusal?;
        self.check_slots(object, counted)
    }

    fn add(&mut self, types: &Relocations, entry: Rela, jump: bool) -> Result<(), Refusal> {
        let kind = (types.kind)(entry.kind);
        let slot = u32::try_from(entry.offset);
        match kind {
            Kind::None => {}
            Kind::Relative if jump => return Err(Refusal::Inconsistent),
            Kind::Relative => self.relative.push(Relative {
                slot: slot.map_err(|_| Refusal::TooLarge)?,
                entry,
            }),
            Kind::Symbol | Kind::Data | Kind::Function => self.symbolic.push(Symbolic {
                slot: slot.map_err(|_| Refusal::TooLarge)?,
                symbol: entry.symbol,
                addend: if kind == Kind::Symbol || types.adds {
                    entry.addend
                } else {
                    0
                },
                kind,
                jump,
                entry,
            }),
            Kind::Other => self.residual.push(Residual { entry, jump }),
        }
        Ok(())
    }

    /// Every slot must be writable data and nobody else's.
    fn check_slots(&self, object: &LoadedObject, counted: usize) -> Result<(), Refusal> {
        let types = object.relocation_types();
        let mut words = Words::new(object)?;
        // ld.so goes by the flags of PT_DYNAMIC (l_ld_readonly); addresses in a
        // read-only one are not relocated, and cannot be edited.
        let mut dynamics = object.segments().iter();
        let is_editable =
            |s: &Segment| s.flags.0 & elf::PF_W.0 != 0 && words.place(s.vaddr).is_ok();
        if dynamics.any(|s| s.kind == elf::PT_DYNAMIC && !is_editable(s)) {
            return Err(Refusal::ReadOnlyDynamic);
        }
        let bound = self.symbolic.iter().map(|s| s.slot);
        for slot in bound.chain(self.relative.iter().map(|r| r.slot)) {
            words.claim(u64::from(slot))?;
        }
        for residual in &self.residual {
            let entry = &residual.entry;
            let copied = object.symbol(entry.symbol).map_or(0, |s| s.size);
            let len = (types.slot_len)(entry.kind).unwrap_or(copied);
            if words.any_taken(entry.offset, len) {
                return Err(Refusal::Overlap);
            }
        }
        for entry in object.relocations().take(counted) {
            if (types.kind)(entry.kind) != Kind::Relative {
                return Err(Refusal::Inconsistent);
            }
            words.check(entry.offset)?;
        }
        for place in object.relr_places() {
            words.check(place)?;
        }
        Ok(())
    }
}

/// The words of an object's writable segments, and which of them are taken.
struct Words {
    writable: Vec<(u64, u64)>,
    start: u64,
    taken: Vec<u64>,
}

impl Words {
    /// Most bytes of writable segments that are looked after (8 GiB of data
    /// would need a map of 128 MiB).
    const MAX_SPAN: u64 = 1 << 32;

    fn new(object: &LoadedObject) -> Result<Self, Refusal> {
        let mut writable = Vec::new();
        for segment in object.segments() {
            if segment.kind == elf::PT_LOAD && segment.flags.0 & elf::PF_W.0 != 0 {
                let end = segment.vaddr.checked_add(segment.memsz);
                writable.push((segment.vaddr, end.ok_or(Refusal::TooLarge)?));
            }
        }
        let start = writable.iter().map(|w| w.0).min().unwrap_or(0) & !7;
        let end = writable.iter().map(|w| w.1).max().unwrap_or(0);
        let span = end.saturating_sub(start);
        if span > Self::MAX_SPAN {
            return Err(Refusal::TooLarge);
        }
        Ok(Self {
            writable,
            start,
            taken: vec![0; (span / (8 * 64) + 2) as usize],
        })
    }

    /// The first and last word of the 8 bytes at `address`.
    fn place(&self, address: u64) -> Result<(usize, usize), Refusal> {
        let inside = |w: &(u64, u64)| address >= w.0 && address < w.1 && w.1 - address >= 8;
        if !self.writable.iter().any(inside) {
            return Err(Refusal::OutsideOfData);
        }
        let word = |at: u64| ((at - self.start) / 8) as usize;
        Ok((word(address), word(address + 7)))
    }

    fn is_taken(&self, word: usize) -> bool {
        let bits = self.taken.get(word / 64).copied().unwrap_or(0);
        bits >> (word % 64) & 1 != 0
    }

    /// Whether a slot touches the `len` bytes at `address`, wherever they are.
    fn any_taken(&self, address: u64, len: u64) -> bool {
        let end = address.saturating_add(len);
        let first = address.max(self.start).saturating_sub(self.start) / 8;
        let last = end.saturating_sub(self.start).div_ceil(8);
        let last = last.min(self.taken.len() as u64 * 64);
        (first..last).any(|word| self.is_taken(word as usize))
    }

    /// Nobody else's slot touches the 8 bytes at `address`.
    fn check(&self, address: u64) -> Result<(), Refusal> {
        let (first, last) = self.place(address)?;
        if self.is_taken(first) || self.is_taken(last) {
            return Err(Refusal::Overlap);
        }
        Ok(())
    }

    /// Takes the 8 bytes at `address`. Two unaligned slots may share a word.
    fn claim(&mut self, address: u64) -> Result<(), Refusal> {
        let (first, last) = self.place(address)?;
        if first == last && self.is_taken(first) {
            return Err(Refusal::Overlap);
        }
        for word in [first, last] {
            if let Some(bits) = self.taken.get_mut(word / 64) {
                *bits |= 1 << (word % 64);
            }
        }
        Ok(())
    }
}
