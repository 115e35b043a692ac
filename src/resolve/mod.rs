//! What ld.so decides at start, decided from the files alone.
//!
//! Nothing here runs a program or writes a file. The rules are glibc's; each
//! file names the ones it follows: `files` finds the closure, `addresses` its
//! symbols, `check` compares versions (elf/dl-version.c) and references over both.
//! docs/closure.md argues every place where indir decides differently.

pub mod addresses;
pub mod check;
pub mod copies;
pub mod files;
pub mod unfit;
pub mod unmet;

pub use files::{Closure, Library, Node, ResolveError, Resolver, Store};
