//! The folders of a table's `search`.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::resolve::Closure;
use crate::table::{Inputs, SEPARATOR};

/// Longest `search` string, in bytes; what comes later is left out. A string's
/// length field allows 65,535.
const MAX_SEARCH: usize = 60_000;

/// The folders for what is asked for later: in the order in which an update
/// searches them, so that dlopen and update agree; those that only plugins
/// need come last.
pub(super) fn of_table(inputs: &Inputs, closure: &Closure, of_plugins: &[PathBuf]) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut size = 0;
    let of_closure = closure.nodes.iter().flat_map(|node| {
        let own = node.path.parent().map(Path::to_owned);
        node.variants.iter().cloned().chain(own)
    });
    let of_exe = closure
        .exe_folders
        .iter()
        .filter(|folder| folder.is_dir())
        .cloned();
    let all = inputs
        .lib_dirs
        .iter()
        .cloned()
        .chain(of_closure)
        .chain(of_exe)
        .chain(of_plugins.iter().cloned());
    all.filter(|folder| crate::table::check_folder(folder).is_ok())
        .filter(|folder| seen.insert(folder.clone()))
        .take_while(|folder| {
            size += folder.as_os_str().len() + 1;
            size <= MAX_SEARCH
        })
        .collect()
}

/// As they stand in a table.
pub(super) fn join(folders: &[PathBuf]) -> Vec<u8> {
    let folders: Vec<&[u8]> = folders
        .iter()
        .map(|folder| folder.as_os_str().as_bytes())
        .collect();
    folders.join(&SEPARATOR)
}
