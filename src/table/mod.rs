//! The table on the host: building, locating, reading and replacing it.
//!
//! The bytes are described by [`indir_shim::format::layout`] and read back by
//! [`indir_shim::format::table`], the same sources as the shim's; docs/table-format.md
//! explains every field. This module knows nothing of how a closure is found
//! (`resolve`) or of when a table is rewritten (`update`).

pub mod bindings;
mod bindings_harness;
mod build;
mod file;
mod harness;
mod inputs;
mod runs;
mod strings;

pub use bindings_harness::exercise_bindings;
pub use build::{BuildError, Identity, ObjectSpec, TableSpec};
pub use file::{LoadError, Place, PlaceError, TEMPORARY_SUFFIX, TableFile, Temporary, sync_folder};
pub use harness::exercise;
pub use inputs::{Chosen, Inputs, InputsError, Replacement, SEPARATOR, check_folder};

/// Hexadecimal form of an id or a digest.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
