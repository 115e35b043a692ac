//! What ld.so decides at start, decided from the files alone.
//!
//! Nothing here runs a program or writes a file. The rules are glibc's; each
//! file names the ones it follows: `closure` walks the needs (elf/dl-deps.c),
//! `search` finds a name (elf/dl-load.c), `ldcache` reads /etc/ld.so.cache
//! (elf/dl-cache.c), `check` compares versions (elf/dl-version.c), `lookup`
//! finds symbols (elf/dl-lookup.c, elf/dl-reloc.c). docs/closure.md argues every
//! place where indir decides differently.

pub mod bindings;
pub mod check;
pub mod closure;
pub mod copies;
pub mod error;
pub mod hash;
pub mod ldcache;
pub mod library;
pub mod lookup;
pub mod object;
pub mod plugins;
pub mod relocations;
pub mod search;
pub mod store;
mod tables;
mod tokens;
pub mod x86_64;

pub use closure::{Closure, Node, Resolver};
pub use error::ResolveError;
pub use library::Library;
pub use store::Store;
