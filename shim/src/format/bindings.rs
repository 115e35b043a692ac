//! Bounds-checked reader of a bindings file, shared by the binder and the host.
//!
//! The bytes are untrusted. [`Bindings::parse`] checks the sum of the file, its
//! header and object entries; the streams are checked when they are decoded,
//! once without any effect and then again while writing, so that an object is
//! either bound whole or not touched.
//! It writes nothing itself, never allocates and never panics.

use crate::arch::Served;
use crate::format::bindings_layout::{
    Header, MAGIC, MAX_BINDINGS, MAX_RANGES, OBJECT_LEFT, OBJECT_PROBE, ObjectBindings, Part,
    Range, Rela, Run, SHAPE_DISTANCE, SHAPE_OFFSET, SHAPE_SCALE, TAIL, TARGET_ABSOLUTE, VERSION,
};
use crate::format::bindings_sum::sum;
use crate::format::layout::MAX_OBJECTS;
use crate::format::record::{Le64, entry, file_header, header, view};

/// Why bytes are not usable as bindings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingsError {
    /// Shorter than the header says, or than a header.
    Truncated,
    /// Longer than [`MAX_BINDINGS`].
    TooLarge,
    /// The first bytes are not [`MAGIC`].
    NotBindings,
    /// Another format version.
    Version,
    /// For another machine.
    Machine,
    /// Something contradicts the rest, or a slot lies outside of its object.
    Corrupt,
    /// The bytes are not those that were written.
    Damaged,
    /// They belong to another table.
    OtherTable,
}

impl BindingsError {
    /// What to tell a user; no trailing full stop.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Truncated => "the bindings are truncated",
            Self::TooLarge => "the bindings file is too large",
            Self::NotBindings => "the file does not hold bindings",
            Self::Version => "the bindings have another format version",
            Self::Machine => "the bindings are for another architecture",
            Self::Corrupt => "the bindings are corrupt",
            Self::Damaged => "the bindings are damaged",
            Self::OtherTable => "the bindings belong to another table",
        }
    }
}

file_header! {
    Header: MAGIC, VERSION, at most MAX_BINDINGS bytes, else BindingsError::NotBindings
}

/// Addresses that may be written in an object, relative to its load address:
/// a writable PT_LOAD's memory, from `start` to before `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writable {
    /// First byte.
    pub start: u64,
    /// First byte after.
    pub end: u64,
}

/// Checked bindings.
#[derive(Clone, Copy, Debug)]
pub struct Bindings<'a> {
    bytes: &'a [u8],
    header: &'a Header,
}

impl<'a> Bindings<'a> {
    /// Checks the sum, header and object entries; `digest` is the table's.
    ///
    /// # Errors
    /// Says what is wrong first.
    pub fn parse(bytes: &'a [u8], digest: &[u8; 16]) -> Result<Self, BindingsError> {
        let header = header::<Header>(bytes)?;
        let whole = bytes.split_last_chunk::<TAIL>();
        if whole.is_none_or(|(rest, tail)| sum(0, rest) != u64::from_le_bytes(*tail)) {
            return Err(BindingsError::Damaged);
        }
        if header.digest != *digest {
            return Err(BindingsError::OtherTable);
        }
        let bindings = Self { bytes, header };
        if bindings.is_consistent() {
            Ok(bindings)
        } else {
            Err(BindingsError::Corrupt)
        }
    }

    fn is_consistent(&self) -> bool {
        let h = self.header;
        if (h.header_len.get() as usize) < size_of::<Header>()
            || (h.object_len.get() as usize) < size_of::<ObjectBindings>()
            || h.object_count.get() as usize > MAX_OBJECTS + 1
        {
            return false;
        }
        let mut left = 0_u64;
        let mut index = 0;
        while index < self.len() {
            let Some(object) = self.object(index) else {
                return false;
            };
            left += object.left_count();
            index += 1;
        }
        left == u64::from(h.left_count.get())
    }

    /// The fixed fields, as stored.
    pub const fn header(&self) -> &'a Header {
        self.header
    }

    /// Number of objects, the executable included.
    pub const fn len(&self) -> usize {
        self.header.object_count.get() as usize
    }

    /// Whether there is no object at all.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The object at `index`: 0 is the executable, then the table's objects.
    pub fn object(&self, index: usize) -> Option<Object<'a>> {
        if index >= self.len() {
            return None;
        }
        let h = self.header;
        let raw = entry::<ObjectBindings>(self.bytes, h.header_len, h.object_len, index)?;
        let residual_len = (raw.residual_count.get() as usize).checked_mul(size_of::<Rela>())?;
        let object = Object {
            bound: self.stream(raw.bound)?,
            indirect: self.stream(raw.indirect)?,
            residual: self
                .bytes
                .get(raw.residual.get() as usize..)?
                .get(..residual_len)?,
            ranges: self
                .bytes
                .get(raw.ranges.offset.get() as usize..)?
                .get(..raw.ranges.len.get() as usize)?,
            served: Served::known(h.machine.get()),
            raw,
        };
        if raw.flags & OBJECT_LEFT != 0 && object.left_count() != 0
            || object.ranges.len() > MAX_RANGES * size_of::<Range>()
        {
            return None;
        }
        Some(object)
    }

    /// A part, with [`TAIL`] bytes of whatever follows it.
    fn stream(&self, part: Part) -> Option<&'a [u8]> {
        let len = (part.len.get() as usize).checked_add(TAIL)?;
        self.bytes.get(part.offset.get() as usize..)?.get(..len)
    }
}

/// The bindings of one object.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a> {
    /// Everything, as stored.
    pub raw: &'a ObjectBindings,
    served: Served,
    bound: &'a [u8],
    indirect: &'a [u8],
    residual: &'a [u8],
    ranges: &'a [u8],
}

impl<'a> Object<'a> {
    /// The range at `index` of those that `content` is the sum of.
    pub fn range(&self, index: usize) -> Option<&'a Range> {
        view(self.ranges, index.checked_mul(size_of::<Range>())?)
    }

    /// Whether all its relocations stay with ld.so.
    pub const fn is_left(&self) -> bool {
        self.raw.flags & OBJECT_LEFT != 0
    }

    /// Number of Elf64_Rela entries that ld.so has to process.
    pub fn left_count(&self) -> u64 {
        u64::from(self.raw.indirect_count.get()) + u64::from(self.raw.residual_count.get())
    }

    /// Checks both streams without any effect: every slot and the probe lie in
    /// `writable`, every target is one of `objects`, and the counts are right.
    ///
    /// # Errors
    /// [`BindingsError::Corrupt`].
    pub fn check(&self, writable: &[Writable], objects: usize) -> Result<(), BindingsError> {
        if self.raw.flags & OBJECT_PROBE != 0 {
            let probe = u64::from(self.raw.probe.get());
            room(writable, probe).ok_or(BindingsError::Corrupt)?;
        }
        // Any bases do; only their number is checked.
        let targets = Targets::Count(objects);
        decode(self.bound, writable, &targets, |_, _| {})?;
        let count = decode(self.indirect, writable, &targets, |_, _| {})?;
        if count == u64::from(self.raw.indirect_count.get()) {
            Ok(())
        } else {
            Err(BindingsError::Corrupt)
        }
    }

    /// Calls `write(slot, value)` for each bound slot: `slot` relative to the
    /// object's load address and inside of `writable` with its 8 bytes, `value`
    /// to be stored there. `bases` are the load addresses of all objects.
    /// Call [`Object::check`] first, so that nothing is written in vain.
    ///
    /// # Errors
    /// [`BindingsError::Corrupt`], possibly after some calls.
    #[inline]
    pub fn apply(
        &self,
        writable: &[Writable],
        bases: &[u64],
        write: impl FnMut(u64, u64),
    ) -> Result<u64, BindingsError> {
        decode(self.bound, writable, &Targets::Bases(bases), write)
    }

    /// Calls `put` for each entry that ld.so has to process: IRELATIVE ones for
    /// IFUNC targets, then residual entries; [`Object::left_count`] calls at
    /// most. `base` is the object's own load address.
    ///
    /// ld.so processes IRELATIVE entries last, in this order: a resolver of the
    /// object's own may call what another library provides by an IFUNC.
    ///
    /// # Errors
    /// [`BindingsError::Corrupt`], possibly after some calls.
    pub fn left(
        &self,
        writable: &[Writable],
        base: u64,
        bases: &[u64],
        mut put: impl FnMut(Rela),
    ) -> Result<(), BindingsError> {
        let mut room = self.raw.indirect_count.get();
        let targets = Targets::Bases(bases);
        let count = decode(self.indirect, writable, &targets, |slot, resolver| {
            if let Some(rest) = room.checked_sub(1) {
                room = rest;
                put(Rela {
                    offset: Le64::new(slot),
                    info: Le64::new(u64::from(self.served.irelative())),
                    addend: Le64::new(resolver.wrapping_sub(base)),
                });
            }
        })?;
        let mut at = 0;
        while let Some(entry) = view::<Rela>(self.residual, at) {
            put(*entry);
            at += size_of::<Rela>();
        }
        if count == u64::from(self.raw.indirect_count.get()) {
            Ok(())
        } else {
            Err(BindingsError::Corrupt)
        }
    }
}

/// What the targets of runs are.
enum Targets<'a> {
    /// Their load addresses.
    Bases(&'a [u64]),
    /// How many there are.
    Count(usize),
}

impl Targets<'_> {
    fn base(&self, target: u16) -> Option<u64> {
        match self {
            _ if target == TARGET_ABSOLUTE => Some(0),
            Self::Bases(bases) => bases.get(target as usize).copied(),
            Self::Count(count) => ((target as usize) < *count).then_some(0),
        }
    }
}

/// Decodes `stream` (with its tail) and returns the number of slots.
#[inline]
fn decode(
    stream: &[u8],
    writable: &[Writable],
    targets: &Targets<'_>,
    mut write: impl FnMut(u64, u64),
) -> Result<u64, BindingsError> {
    let corrupt = BindingsError::Corrupt;
    let end = stream.len().saturating_sub(TAIL);
    let mut total = 0;
    let mut at = 0;
    while at < end {
        let run = view::<Run>(stream, at).ok_or(corrupt)?;
        at += size_of::<Run>();
        let distance_len = (run.shape & SHAPE_DISTANCE) as usize + 1;
        let offset_len = ((run.shape & SHAPE_OFFSET) >> 2) as usize + 1;
        let scale = (run.shape & SHAPE_SCALE) >> 4;
        let step = distance_len + offset_len;
        let count = run.count.get() as usize;
        // At most 8 bytes a step and 65,535 steps: no overflow.
        let steps = stream
            .get(at..at + count * step + TAIL)
            .filter(|_| at + count * step <= end && count > 0)
            .ok_or(corrupt)?;
        at += count * step;
        let base = targets.base(run.target.get()).ok_or(corrupt)?;
        let base = base.wrapping_add(u64::from(run.offset.get()));
        let mut slot = u64::from(run.first.get());
        let last = room(writable, slot).ok_or(corrupt)?;
        let distance_mask = mask(distance_len);
        let offset_mask = mask(offset_len);
        let offset_at = distance_len as u32 * 8;
        // One load a step: a step has at most 8 bytes, and the tail is there.
        let mut from = 0;
        let mut left = count;
        while left != 0 {
            let Some(word) = steps.get(from..).and_then(|s| s.first_chunk::<8>()) else {
                return Err(corrupt);
            };
            let word = u64::from_le_bytes(*word);
            slot += (word & distance_mask) << scale;
            if slot > last {
                return Err(corrupt);
            }
            write(slot, base.wrapping_add((word >> offset_at) & offset_mask));
            from += step;
            left -= 1;
        }
        total += count as u64;
    }
    Ok(total)
}

const fn mask(bytes: usize) -> u64 {
    (1 << (bytes * 8)) - 1
}

/// The highest address where a slot may begin in the segment that holds `slot`.
fn room(writable: &[Writable], slot: u64) -> Option<u64> {
    let mut segments = writable.iter();
    loop {
        let segment = segments.next()?;
        let last = segment.end.checked_sub(8)?;
        if slot >= segment.start && slot <= last {
            return Some(last);
        }
    }
}
