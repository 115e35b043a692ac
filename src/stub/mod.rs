//! Stubs: linkable, unloadable shared objects that are a function of an ABI.
//!
//! Written straight to ELF, without assembler or linker. The bytes depend on
//! the [`Abi`](crate::abi::Abi) alone: no paths, no times, no tool versions.
//! docs/stubs.md describes what is inside and how linkers take it. Only
//! `tree` and `include` read files.

pub mod archive;
mod comments;
mod file;
mod harness;
pub mod headers;
mod image;
pub mod include;
mod layout;
pub mod objects;
pub mod script;
mod special;
mod symbols;
mod tables;
pub mod tree;
mod write;

pub use file::replace;
pub use harness::exercise;
pub use write::{NOT_LOADABLE, StubError, stub};
