//! A word of a source: where it stands, and how it may be part of a name.

/// Longest word that is written down, in bytes. What is longer is data; a name of a header
/// that is longer counts as reached.
pub(super) const MAX_WORD: usize = 256;

/// Where a word stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// In what is compiled or run, outside of conditions.
    pub in_code: bool,
    /// In a condition of the preprocessor.
    pub in_condition: bool,
    /// In a comment of C or a document.
    pub in_text: bool,
    /// Where it stands first, in code if it does: index of the file, line from 1.
    pub place: (u32, u32),
}

/// A name that is put together: text around a hole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    /// Text before the hole.
    pub prefix: Vec<u8>,
    /// Text behind it.
    pub suffix: Vec<u8>,
}

impl Word {
    pub(super) fn merge(&mut self, found: Self) {
        if found.in_code && !self.in_code {
            self.place = found.place;
        }
        self.in_code |= found.in_code;
        self.in_condition |= found.in_condition;
        self.in_text |= found.in_text;
    }
}
