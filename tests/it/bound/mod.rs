//! The binder: what it binds, and what real ld.so finds afterwards.

mod binder;
mod damaged;
mod identity;
mod ifunc;
mod mutated;
mod oracle;
mod programs;
mod world;
