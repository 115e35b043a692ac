//! Why an executable cannot be made indirect.

use crate::elf::ElfError;

/// Why a file cannot be made indirect.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is not usable as ELF.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// Another architecture.
    #[error("it is for another processor architecture than those that are served")]
    Machine,
    /// Statically linked, so that there is nothing to indirect.
    #[error("it is statically linked: it loads no library, so there is nothing to make indirect")]
    Static,
    /// A shared library.
    #[error("it is a shared library, not an executable: adopt the executables that load it")]
    Library,
    /// An interpreter or a layout that cannot be handled.
    #[error("it cannot be made indirect: {0}")]
    Layout(&'static str),
}

pub(super) const OUTSIDE: AdoptError = AdoptError::Layout("a note lies outside of the file");
