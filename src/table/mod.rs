//! The table on the host: building and reading it.
//!
//! The bytes are described by [`indir_shim::format::layout`] and read back by
//! [`indir_shim::format::table`], the same sources as the shim's; docs/table-format.md
//! explains every field. This module knows nothing of how a closure is found
//! (`resolve`), of where tables lie (`place`) or of when one is rewritten (`update`).

mod binder_harness;
pub mod bindings;
pub mod bindings_file;
mod bindings_harness;
mod build;
mod error;
mod file;
mod harness;
mod inputs;
mod kept;
mod paths;
mod runs;
mod strings;

pub use binder_harness::{Bound, as_written, bindings_for_the_binder, exercise_binder};
pub use bindings_harness::exercise_bindings;
pub use build::{ObjectSpec, TableSpec};
pub use error::BuildError;
pub use file::{LoadError, TableFile, arch_of};
pub use harness::exercise;
pub use inputs::{Chosen, Inputs, InputsError, Replacement, SEPARATOR, check_folder};
pub use kept::{Kept, Run};
pub use paths::absolute;
