//! A word of a source: where it stands, and how it may be part of a name.

/// Longest word that is written down, in bytes. What is longer is data; a name of a header
/// that is longer counts as reached.
pub(super) const MAX_WORD: usize = 256;

/// In how many files a word may stand, of which it is known which.
const MAX_FILES: usize = 64;

/// The files in which a word stands as code, by index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// These, sorted.
    Some(Vec<u32>),
    /// Too many to be told, or unknown ones.
    All,
}

impl Default for Files {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

impl Files {
    /// Adds those of another.
    pub(super) fn merge(&mut self, other: Self) {
        let (Self::Some(files), Self::Some(more)) = (&mut *self, other) else {
            *self = Self::All;
            return;
        };
        files.extend(more);
        files.sort_unstable();
        files.dedup();
        if files.len() > MAX_FILES {
            *self = Self::All;
        }
    }

    /// Those behind `offset` others.
    pub(super) fn moved(self, offset: u32) -> Self {
        match self {
            Self::Some(files) => {
                let files = files.into_iter().map(|file| file.saturating_add(offset));
                Self::Some(files.collect())
            }
            Self::All => Self::All,
        }
    }
}

/// Where a word stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// In what is compiled or run, outside of conditions.
    pub in_code: bool,
    /// In a condition of the preprocessor.
    pub in_condition: bool,
    /// In a comment of C or a document.
    pub in_text: bool,
    /// Where it stands first, in code if it does: index of the file, line from 1.
    pub place: (u32, u32),
    /// All files in which it stands in code or a condition; also all, if what it is joined
    /// with may stand in another one.
    pub files: Files,
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
        let rank = |word: &Self| (word.in_code, word.in_condition);
        if rank(&found) > rank(self) {
            self.place = found.place;
        }
        self.in_code |= found.in_code;
        self.in_condition |= found.in_condition;
        self.in_text |= found.in_text;
        self.files.merge(found.files);
    }
}
