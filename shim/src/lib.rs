//! The freestanding half of indir: the table format, the shim (PT_INTERP) and
//! the binder.
//!
//! Everything here is `no_std` and allocation-free. Hosts (the `indir` tool,
//! tests, fuzzers) use the same sources with the `host` feature, which only
//! adds derives. Nothing in this crate may panic on any input: the shim and
//! the binder run inside every program.

#![no_std]

pub mod arch;
pub mod arena;
pub mod bind;
pub mod bindings;
pub mod bindings_layout;
pub mod bytes;
pub mod elf;
pub mod exe;
mod expected;
pub mod handover;
pub mod layout;
pub mod ldso;
pub mod linkmap;
pub mod locate;
pub mod message;
pub mod note;
pub mod options;
pub mod secure;
pub mod stack;
pub mod start;
pub mod sys;
pub mod table;
pub mod vector;
