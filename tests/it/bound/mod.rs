//! The binder: what it binds, and what real ld.so finds afterwards.

mod binder;
mod identity;
mod oracle;
mod programs;
mod world;
