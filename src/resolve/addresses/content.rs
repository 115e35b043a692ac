//! What binding depends on in one object; `digest` works it out.

/// Parts of an object and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Addresses relative to the load address, and lengths in bytes; sorted.
    pub ranges: Vec<(u64, u64)>,
    /// Sum of the bytes of all ranges.
    pub sum: u64,
    /// The same continued with the dynamic section.
    pub whole: u64,
}

impl Content {
    /// What bindings hold of the object at `index` of a closure. The executable comes first,
    /// of whose dynamic section ld.so has a copy with other needs.
    pub const fn at(&self, index: usize) -> u64 {
        if index == 0 { self.sum } else { self.whole }
    }
}
