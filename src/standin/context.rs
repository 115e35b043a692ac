//! What the trees of a library are compared with.

use super::sources::{Index, Sources};

/// What is compared with.
pub(super) struct Context<'c> {
    pub(super) sources: &'c Sources,
    pub(super) index: &'c Index,
    /// Indices of all trees of the library, of which only one counts at a time.
    pub(super) own: &'c [usize],
    /// The new one.
    pub(super) new: usize,
}

impl Context<'_> {
    /// Whether a tree is there where that tree of the library is chosen.
    pub(super) fn in_world(&self, tree: usize, chosen: usize) -> bool {
        tree == chosen || !self.own.contains(&tree)
    }
}
