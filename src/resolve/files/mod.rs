//! Which files ld.so would load: needs, search, and what it finds.
//!
//! `closure` walks the needs (elf/dl-deps.c), `search` finds a name
//! (elf/dl-load.c), `ldcache` reads /etc/ld.so.cache (elf/dl-cache.c). Of a
//! symbol nothing is known here.

pub mod closure;
mod demands;
pub mod error;
mod find;
mod interpreter;
pub mod ldcache;
pub mod library;
pub mod plugins;
pub mod search;
pub mod store;
mod tokens;

pub use closure::{Closure, Node, Resolver};
pub use error::ResolveError;
pub use interpreter::glibc_build;
pub use library::Library;
pub use store::Store;
