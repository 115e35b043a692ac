//! Why nothing can be proved of a library.

/// What a library lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Neither it nor a debug file has symbols of what is local to it.
    #[error("has no symbols")]
    NoSymbols,
    /// It has no section headers.
    #[error("has no section headers")]
    NoSections,
    /// DT_TEXTREL.
    #[error("has text relocations")]
    TextRelocations,
    /// Its code is not decoded.
    #[error("is for a processor whose code is not decoded: only that of x86-64 is")]
    Machine,
    /// A table contradicts itself.
    #[error("is malformed: {0}")]
    Malformed(&'static str),
    /// It has more of something than is read.
    #[error("is too large")]
    TooLarge,
}

impl Flaw {
    /// What would help, to be read after a semicolon.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NoSymbols => {
                "install its debug symbols (Debian: its -dbgsym or -dbg package), or name the folder of its .build-id with --debug-dir"
            }
            Self::NoSections => "take a build that was not processed by sstrip or the like",
            Self::TextRelocations => "build it with -fPIC",
            Self::Machine | Self::Malformed(_) | Self::TooLarge => "run the tests of what loads it",
        }
    }
}
