//! Facts read from ELF files: what the link editor and the loader would see.
//!
//! Everything comes from program headers and dynamic tags, not from section
//! headers, which may be stripped (`sections` holds the two facts that only they
//! know, for whoever can do without). Files are untrusted: every offset is
//! checked, sizes are capped, and nothing here panics. This module must not
//! interpret the facts; that is `resolve`'s and `abi`'s work.
//!
//! Sources: gABI chapters 4 and 5; glibc elf/dl-load.c and elf/dl-lookup.c for
//! how tags without a size (DT_SYMTAB) are bounded.

mod aside;
mod bus;
mod dynamic;
mod file;
mod identity;
mod mapped;
mod open;
mod privileged;
mod root;
mod sections;
mod symbols;
mod versions;

pub use aside::{AsideError, MAX_ASIDE, TableSymbol, read_aside, set_aside, table_symbols};
pub use dynamic::{Dynamic, Search};
pub use file::{ElfError, ElfFile, Segment};
pub use identity::Identity;
pub use mapped::{MAX_FILE, MappedElf, take_cut_short};
pub use open::{open_regular, read_open, read_regular};
pub use privileged::is_privileged;
pub use root::Root;
pub use sections::{ORDINARY_ALIGN, Sections};
pub use symbols::{Symbol, Symbols};
pub use versions::{VERSYM_HIDDEN, VersionDef, VersionNeed, Versions};
