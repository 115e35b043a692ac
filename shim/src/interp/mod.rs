//! The shim's work: the start of an indirect executable, from the kernel's jump
//! to ld.so's entry point. [`start::start`] is the way in.
//!
//! Nothing here may use the binder; what it is told is a
//! [`Handover`](crate::handover::Handover).

pub mod arena;
pub mod check;
pub mod context;
pub mod exe;
pub mod find;
pub mod ldso;
pub mod library_path;
pub mod locate;
pub mod needs;
pub mod options;
pub mod stack;
pub mod start;
pub mod vector;
