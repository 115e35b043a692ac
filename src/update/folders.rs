//! The folders of a table's `search`.
//!
//! Where a program runs with the glibc of an ordinary start and no `--lib-dir`, ld.so
//! finds what is asked for later by the executable's own run path alone, as ever.
//! Elsewhere the folders of the closure follow, so that dlopen and update agree.

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::layout::SEARCH_OWN;
use indir_shim::format::table::Table;

use crate::elf::Search as Tag;
use crate::resolve::Closure;
use crate::table::{Inputs, SEPARATOR, absolute};

/// Longest `search` string, in bytes; what comes later is left out. A string's
/// length field allows 65,535.
const MAX_SEARCH: usize = 60_000;

/// Where what is asked for later is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Folders {
    /// As they stand in the table.
    pub(super) text: Vec<u8>,
    /// How many bytes of that LD_LIBRARY_PATH comes behind.
    pub(super) fixed: u16,
    /// They are the executable's DT_RUNPATH: nothing inherits them.
    pub(super) own: bool,
    /// ld.so and its search are those of an ordinary start.
    pub(super) is_ordinary: bool,
    /// Where they are, in order.
    pub(super) paths: Vec<PathBuf>,
}

impl Folders {
    /// What opened objects ask; `None` if they do not ask the table.
    pub(super) fn inherited(&self) -> Option<&[PathBuf]> {
        (!self.own).then_some(&self.paths)
    }

    fn push(&mut self, path: &Path, text: &Path) -> bool {
        let text = text.as_os_str().as_bytes();
        if self.text.len() + text.len() + 1 > MAX_SEARCH {
            return false;
        }
        if !self.text.is_empty() {
            self.text.push(SEPARATOR);
        }
        self.text.extend(text);
        self.paths.push(path.to_owned());
        true
    }
}

/// The folders for what is asked for later: those given, the executable's own run
/// path, then, unless ld.so itself searches as ever, the closure's; those that only
/// plugins need come last.
pub(super) fn of_table(inputs: &Inputs, closure: &Closure, of_plugins: &[PathBuf]) -> Folders {
    let is_ordinary = inputs.lib_dirs.is_empty() && closure.is_ordinary;
    let alone = is_ordinary && of_plugins.is_empty();
    let is_rpath = closure.exe_search == Some(Tag::Rpath);
    let mut folders = Folders {
        own: alone && !is_rpath,
        is_ordinary,
        ..Folders::default()
    };
    let of_exe = closure.exe_folders.iter().map(|folder| {
        let text = folder.relative.as_ref().unwrap_or(&folder.path);
        (folder.path.clone(), text.clone())
    });
    let of_closure = closure.nodes.iter().flat_map(|node| {
        let home = |path: &Path| path.parent().map(Path::to_owned);
        let own = home(&node.path);
        let variants = node
            .variants
            .iter()
            .filter(|&folder| Some(folder) != own.as_ref());
        let variants: Vec<_> = variants
            .map(|folder| (folder.clone(), folder.clone()))
            .collect();
        let text = node.relative.as_deref().and_then(home);
        let own = own.map(|path| (path.clone(), text.unwrap_or(path)));
        variants.into_iter().chain(own)
    });
    let same = |folder: &PathBuf| (folder.clone(), folder.clone());
    let first = inputs.lib_dirs.iter().map(same).chain(of_exe);
    let later = of_closure.filter(|_| !alone);
    let later = later.chain(of_plugins.iter().map(same));
    let mut seen = HashSet::new();
    for (path, text) in first {
        if is_expressible(&text) && seen.insert(text.clone()) && !folders.push(&path, &text) {
            break;
        }
    }
    if is_rpath {
        folders.fixed = u16::try_from(folders.text.len()).unwrap_or(0);
    }
    for (path, text) in later {
        if is_expressible(&text) && seen.insert(text.clone()) && !folders.push(&path, &text) {
            break;
        }
    }
    folders
}

/// Whether a run path can say it: `$ORIGIN` means there what it means here.
fn is_expressible(text: &Path) -> bool {
    let below = text.strip_prefix("$ORIGIN").unwrap_or(text);
    crate::table::check_folder(below).is_ok()
}

/// The folders of `table`, which is that of the executable at `exe`, if what is
/// opened asks them.
pub(super) fn inherited_of(table: &Table<'_>, exe: &Path) -> Option<Vec<PathBuf>> {
    if table.header().flags & SEARCH_OWN != 0 {
        return None;
    }
    let folders = table.search().to_bytes().split(|&b| b == SEPARATOR);
    let folders = folders.filter(|folder| !folder.is_empty());
    Some(folders.map(|folder| absolute(folder, exe)).collect())
}
