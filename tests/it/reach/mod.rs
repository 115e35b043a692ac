//! `indir reach`: what a change of a library means to the programs that load it.

mod assembly;
mod bad_input;
mod changes;
mod closures;
mod libc;
mod planted;
mod support;
mod truth;
mod unknown;
