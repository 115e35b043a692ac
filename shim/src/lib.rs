//! The freestanding half of indir: the file formats, the shim (PT_INTERP) and
//! the binder.
//!
//! Everything here is `no_std` and allocation-free. Hosts (the `indir` tool,
//! tests, fuzzers) use the same sources with the `host` feature, which only
//! adds derives. Nothing in this crate may panic on any input: the shim and
//! the binder run inside every program.
//!
//! Imports point down: [`interp`] and [`binder`] know nothing of each other but
//! [`handover`], both use [`format`], and all use the rest; at the bottom is
//! [`arch`].

#![no_std]

pub mod arch;
pub mod binder;
pub mod bytes;
pub mod elf;
pub mod format;
pub mod handover;
pub mod interp;
pub mod message;
pub mod quote;
pub mod secure;
pub mod sys;
pub mod trust;
