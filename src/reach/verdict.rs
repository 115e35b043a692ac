//! What is found of a program.

use std::path::PathBuf;

use super::pair::{Difference, Doubt, Step};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing that it can run or read of its libraries differs. With the sum of it,
    /// unless it loads nothing that differs at all.
    Same(Option<String>),
    /// It reaches what differs.
    Affected {
        /// What, and how.
        difference: Difference,
        /// It would not without numbers of lines and texts; `None` if nobody asked.
        cosmetic: Option<bool>,
    },
    /// That cannot be told.
    Unknown(Doubt),
}

/// What is reached from a symbol.
#[derive(Clone, Debug, Default)]
pub struct Explained {
    /// Library and name of each function and object that has a name, sorted.
    pub reached: Vec<Step>,
    /// What differs.
    pub differences: Vec<Difference>,
    /// What cannot be told.
    pub doubts: Vec<Doubt>,
}

/// What there is in a library, and what of it a program reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extents {
    /// The file.
    pub library: PathBuf,
    /// First address, the one behind the last, and whether it is reached: sorted, in the
    /// file's own numbering.
    pub pieces: Vec<(u64, u64, bool)>,
}

pub(super) fn affected(difference: Difference) -> Verdict {
    Verdict::Affected {
        difference,
        cosmetic: None,
    }
}
