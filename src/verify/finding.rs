//! What is found wrong with an executable, and how it is told.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, eaccess};

use crate::shell::quoted;

/// What kind of thing is wrong: one word, for programs that read JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A file is not there.
    Missing,
    /// A file cannot be looked at.
    Unreadable,
    /// A table, or bindings, that are damaged.
    Broken,
    /// A table of another executable, bindings of another table, an interpreter
    /// that is no shim.
    Foreign,
    /// A library is not the one that the table was made for.
    Replaced,
    /// A file is not what it should be.
    Unusable,
    /// An update would write something else.
    Stale,
    /// The libraries do not satisfy the program.
    Unsatisfied,
    /// The shim or the binder is not that of this `indir`.
    Version,
    /// Others can decide what the program runs.
    Unsafe,
}

impl Kind {
    /// What a file is that could not be used.
    pub(super) fn of_useless(path: &Path) -> Self {
        match eaccess(path, AccessFlags::R_OK) {
            Err(Errno::EACCES) => Self::Unreadable,
            _ => Self::Unusable,
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unreadable => "unreadable",
            Self::Broken => "broken",
            Self::Foreign => "foreign",
            Self::Replaced => "replaced",
            Self::Unusable => "unusable",
            Self::Stale => "stale",
            Self::Unsatisfied => "unsatisfied",
            Self::Version => "version",
            Self::Unsafe => "unsafe",
        }
    }
}

/// Something wrong with an executable, its table, or a file that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of thing.
    pub kind: Kind,
    /// The file that it is about.
    pub file: PathBuf,
    /// What is wrong, for people; one line.
    pub why: String,
    /// The command that mends it, if there is one.
    pub mend: Option<String>,
}

/// The findings of one executable while they are made.
pub(super) struct Findings<'a> {
    pub(super) exe: &'a Path,
    /// The folder of `--sysroot`.
    pub(super) root: Option<&'a Path>,
    pub(super) all: Vec<Finding>,
}

impl Findings<'_> {
    /// `indir update` of the executable, with `options`, each with a space behind it.
    pub(super) fn updated_with(&self, options: &str) -> String {
        let exe = quoted(self.exe);
        match self.root {
            Some(root) => format!("indir update --sysroot {} {options}{exe}", quoted(root)),
            None => format!("indir update {options}{exe}"),
        }
    }

    /// What `indir update` mends.
    pub(super) fn update(&mut self, kind: Kind, file: &Path, why: impl Into<String>) {
        let mend = self.updated_with("");
        self.push(kind, file, why, Some(mend));
    }

    pub(super) fn push(
        &mut self,
        kind: Kind,
        file: &Path,
        why: impl Into<String>,
        mend: Option<String>,
    ) {
        self.all.push(Finding {
            kind,
            file: file.to_owned(),
            why: why.into(),
            mend,
        });
    }
}
