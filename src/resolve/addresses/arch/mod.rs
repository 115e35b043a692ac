//! What is particular to a machine.

pub mod x86_64;
