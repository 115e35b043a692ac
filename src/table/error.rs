//! Why a description cannot become a table.

use std::path::PathBuf;

use indir_shim::format::layout::{MAX_OBJECTS, MAX_TABLE};

/// Why a description cannot become a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// A name or path holds a NUL byte.
    #[error("`{0}` holds a NUL byte")]
    Nul(String),
    /// A name, path or folder list is longer than 65,535 bytes.
    #[error("a string of {0} bytes is too long for a table")]
    TooLong(usize),
    /// More than [`MAX_OBJECTS`] libraries.
    #[error("{0} libraries are more than a table can name ({MAX_OBJECTS})")]
    TooManyObjects(usize),
    /// More than [`MAX_TABLE`] bytes.
    #[error("the table would be larger than {MAX_TABLE} bytes")]
    TooLarge,
    /// An id that is empty or longer than [`indir_shim::format::layout::ID_LEN`].
    #[error("an id of {0} bytes cannot identify an executable")]
    Id(usize),
    /// A path that has to be absolute is not.
    #[error("`{0}` is not an absolute path")]
    Relative(PathBuf),
    /// An object without a name.
    #[error("`{0}` is asked for by an empty name")]
    EmptyName(PathBuf),
}
