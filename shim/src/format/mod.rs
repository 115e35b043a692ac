//! The files that the host writes and the shim and the binder read, and the
//! notes of executables: layouts and bounds-checked readers.
//!
//! Host, shim and binder share these sources, so that they cannot disagree.
//! Nothing here may know of a start or of binding, or make a system call.

pub mod bindings;
pub mod bindings_layout;
pub mod bindings_sum;
pub mod layout;
pub mod note;
pub mod record;
pub mod table;
