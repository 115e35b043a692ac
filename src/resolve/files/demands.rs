//! What an object asks of the process that loads it, beyond its libraries.
//!
//! Sources: gABI and the Linux gABI extension for PT_GNU_STACK and the property
//! GNU_PROPERTY_1_NEEDED; glibc elf/dl-load.c, elf/dl-protected.h, elf/dl-version.c.

use object::elf;

use crate::elf::ElfFile;

/// What an object asks of its process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demands {
    /// An executable stack: PT_GNU_STACK says so, or is not there.
    pub executable_stack: bool,
    /// DT_RELR: compact relocations, which glibc below 2.36 does not know.
    pub relr: bool,
    /// GNU_PROPERTY_1_NEEDED_INDIRECT_EXTERN_ACCESS: nobody may have copies of its
    /// data, or take a function of its own for one of its protected ones.
    pub indirect_access: bool,
}

impl Demands {
    pub(super) fn of(file: &ElfFile<'_>, relr: bool) -> Self {
        let stack = file.segment(elf::PT_GNU_STACK);
        Self {
            executable_stack: stack.is_none_or(|stack| stack.flags.0 & elf::PF_X.0 != 0),
            relr,
            indirect_access: needs_indirect_access(file).unwrap_or(false),
        }
    }
}

/// Reads the property note; `None` if there is none, or no such property.
fn needs_indirect_access(file: &ElfFile<'_>) -> Option<bool> {
    const PROPERTY: u32 = 0xb000_8000;
    const INDIRECT_EXTERN_ACCESS: u32 = 1;
    /// Header of the note and its owner `GNU`.
    const HEADER: usize = 16;
    let segment = file.segment(elf::PT_GNU_PROPERTY)?;
    let mut rest = file.segment_bytes(segment)?.get(HEADER..)?;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let word = |at: usize| {
            let bytes = head.get(at..)?.first_chunk::<4>()?;
            Some(u32::from_le_bytes(*bytes))
        };
        let (kind, len) = (word(0)?, word(4)? as usize);
        if kind == PROPERTY {
            let bits = after.get(..len)?.first_chunk::<4>()?;
            return Some(u32::from_le_bytes(*bits) & INDIRECT_EXTERN_ACCESS != 0);
        }
        rest = after.get(len.checked_next_multiple_of(8)?..)?;
    }
    None
}
