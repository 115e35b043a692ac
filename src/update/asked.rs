//! What an update was asked for and cannot mean: folders that are gone, replacements
//! that no table knows or that do not hold what they replace, folders of nothing.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::error::PlanError;
use crate::arch;
use crate::elf::Root;
use crate::resolve::Closure;
use crate::table::{Inputs, Replacement, TableFile, absolute};

/// Folders below which packages have their libraries.
const DEEPER: [&str; 4] = ["lib", "lib64", "usr/lib", "usr/lib64"];

/// Replacements, and which of them some table has known.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    all: &'a [Replacement],
    known: Vec<AtomicBool>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(all: &'a [Replacement]) -> Self {
        let known = all.iter().map(|_| AtomicBool::new(false)).collect();
        Self { all, known }
    }

    /// Rewrites the folders of `inputs`, which are below `root`. One that names the new folder already was
    /// updated before.
    ///
    /// # Errors
    /// When one of the folders is not there.
    pub(super) fn replace(&self, root: &Root, inputs: &mut Inputs) -> Result<(), PlanError> {
        for (replacement, known) in self.all.iter().zip(&self.known) {
            if inputs.folders().any(|folder| {
                replacement.apply(folder).is_some() || folder.starts_with(&replacement.new)
            }) {
                known.store(true, Ordering::Relaxed);
            }
        }
        let before = inputs.lib_dirs.clone();
        inputs.replace(self.all);
        match inputs.lib_dirs.iter().find(|folder| !root.is_dir(folder)) {
            None => Ok(()),
            Some(gone) if before.contains(gone) => Err(PlanError::Gone(gone.clone())),
            Some(gone) => Err(PlanError::NoSuch(gone.clone())),
        }
    }

    /// Whether what the old table took from a replaced folder comes from the new one.
    ///
    /// # Errors
    /// Names what the new folder lacks.
    pub(super) fn check(
        &self,
        exe: &Path,
        old: Option<&TableFile>,
        closure: &Closure,
    ) -> Result<(), PlanError> {
        let table = old.and_then(|old| old.table().ok());
        let Some(table) = table.filter(|_| !self.all.is_empty()) else {
            return Ok(());
        };
        let lacks = |name: &CStr, path: &CStr| {
            let path = absolute(path.to_bytes(), exe);
            let replaced = |r: &&Replacement| r.apply(&path).is_some();
            let replacement = self.all.iter().find(replaced)?;
            let is_it = |node: &&crate::resolve::Node| *node.name == *name.to_bytes();
            let now = &closure.nodes.iter().find(is_it)?.path;
            // What a run path of a library names is not the table's to replace.
            let held = now.starts_with(&replacement.new) || now.starts_with(&replacement.old);
            (!held).then(|| {
                format!(
                    "`{}` has no {}, which came from `{}`",
                    replacement.new.display(),
                    name.to_string_lossy(),
                    replacement.old.display()
                )
            })
        };
        let lacking: Vec<String> = table
            .objects()
            .filter_map(|object| lacks(object.soname, object.path))
            .collect();
        if lacking.is_empty() {
            Ok(())
        } else {
            Err(PlanError::NotHeld(lacking))
        }
    }

    /// Those that no table knew.
    pub(super) fn unknown(&self) -> Vec<Replacement> {
        let all = self.all.iter().zip(&self.known);
        all.filter(|(_, known)| !known.load(Ordering::Relaxed))
            .map(|(replacement, _)| replacement.clone())
            .collect()
    }
}

/// A folder below `folder`, both below `root`, that holds libraries, if it holds none
/// itself.
pub(super) fn deeper(root: &Root, folder: &Path) -> Option<PathBuf> {
    let has_libraries = |folder: &Path| {
        let real = root.real(folder);
        let entries = real.and_then(std::fs::read_dir);
        let entries = entries.into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name());
        // Of glibc's package, /lib64 has a link to ld.so and nothing else.
        names.any(|name| {
            let name = name.to_string_lossy();
            name.starts_with("lib") && name.contains(".so")
        })
    };
    if has_libraries(folder) {
        return None;
    }
    let plain = DEEPER.iter().map(|rest| folder.join(rest));
    let multiarch = arch::ALL.into_iter().flat_map(|arch| {
        let usr = folder.join("usr").join(arch.lib);
        [folder.join(arch.lib), usr]
    });
    let mut places = multiarch.chain(plain);
    places.find(|place| has_libraries(place))
}
