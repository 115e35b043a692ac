//! The binder's work: applies the bindings file while ld.so relocates.
//! [`bind::run`] is the way in.
//!
//! Nothing here may use the shim's start, which is over; what the shim says is
//! in a [`Handover`](crate::handover::Handover).

pub mod bind;
mod expected;
pub mod linkmap;
