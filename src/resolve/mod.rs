//! What ld.so decides at start, decided from the files alone.
//!
//! Nothing here runs a program or writes a file. The rules are glibc's
//! (elf/dl-load.c, elf/dl-lookup.c, elf/dl-reloc.c); each file names the ones
//! it follows.

pub mod hash;
pub mod lookup;
pub mod object;
pub mod x86_64;
