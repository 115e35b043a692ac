//! What an update is asked for.

use std::path::PathBuf;

use crate::elf::Root;
use crate::table::Replacement;

/// Which of the two plans tables are to hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// Bound where it makes the program start faster.
    Auto,
    /// Paths only.
    #[default]
    Direct,
    /// Paths and bindings.
    Bound,
}

/// How tables are to be made.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The plan that is asked for, which later updates keep; [`Kind::Auto`] makes
    /// them choose. `None` repeats the table's own.
    pub asked: Option<Kind>,
    /// The root of all paths of programs and tables.
    pub root: Root,
    /// Which plan if nobody has asked for one.
    pub kind: Kind,
    /// Folders to search before all others; `None` repeats the table's own.
    pub lib_dirs: Option<Vec<PathBuf>>,
    /// Folders that `$ORIGIN` named where the executable came from; `None`
    /// repeats the table's own.
    pub origin_dirs: Option<Vec<PathBuf>>,
    /// The folder of the tables, by id; `None` leaves each beside its executable.
    pub tables: Option<PathBuf>,
    /// Rewrites the folders.
    pub replacements: Vec<Replacement>,
    /// Folders of plugins; `None` repeats the table's own.
    pub plugin_dirs: Option<Vec<PathBuf>>,
    /// The executable will be privileged, whatever its mode is now.
    pub privileged: bool,
    /// Whether to look for plugins in the packages of the closure; `None`
    /// repeats what the table says.
    pub scan_plugins: Option<bool>,
}
