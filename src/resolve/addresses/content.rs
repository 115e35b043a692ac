//! What binding depends on in one object; `digest` works it out.

/// Parts of an object and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Addresses relative to the load address, and lengths in bytes; sorted.
    pub ranges: Vec<(u64, u64)>,
    /// Sum of the bytes of all ranges.
    pub sum: u64,
}
