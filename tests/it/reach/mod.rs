//! `indir reach`: what a change of a library means to the programs that load it.

mod aside;
mod assembly;
mod bad_input;
mod changes;
mod closures;
mod libc;
mod links;
mod planted;
mod stepped;
mod stored;
mod support;
mod truth;
mod unknown;
mod update;
