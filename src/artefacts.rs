//! The files that are built with this executable and that `indir setup` writes.
//!
//! build.rs makes them from shim/ and linker-plugin/; the same sources give the
//! same bytes.

#[path = "../linker-plugin/src/object.rs"]
mod object;

pub use object::note_object;

/// The object whose note has the default reference.
pub fn default_note_object() -> Vec<u8> {
    note_object(indir_shim::note::DEFAULT_REFERENCE.as_bytes())
}

/// The plugin for GNU ld and gold.
pub const LINKER_PLUGIN: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libindir-ld-plugin.so"));

/// The shim: the interpreter of indirect executables.
pub const SHIM: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/ld-indir-x86-64.so.1"));

/// The binder: the library that applies bindings.
pub const BINDER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libindir-bind.so"));
