//! Which address ld.so would give to a reference, once the files are known.
//!
//! `object` holds what ld.so keeps of a file, `lookup` finds symbols
//! (elf/dl-lookup.c, elf/dl-reloc.c), `relocations` sorts what asks for them,
//! `digest` sums what all that depends on, and `bindings` decides for a whole closure. Relocation types are `crate::arch`'s. How files are
//! found is not known here.

pub mod bindings;
pub mod content;
pub mod digest;
pub mod entries;
pub mod hash;
pub mod lookup;
pub mod object;
pub mod open;
pub mod plan;
pub mod relocations;
mod tables;
