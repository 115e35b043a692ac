//! Everything that depends on the processor, behind the same names: the entry
//! point, system calls, memory primitives and ELF constants.
//!
//! A port is a new folder here; nothing else in the crate may name a machine.

#[cfg(target_arch = "x86_64")]
#[path = "x86_64/mod.rs"]
mod machine;

pub use machine::*;
