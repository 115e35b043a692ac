//! Whether the objects of a closure fit together.
//!
//! `versions` does what ld.so does before it relocates anything
//! (`_dl_check_map_versions` in glibc elf/dl-version.c): each needed version
//! must be defined by the object that provides its file. An object that defines
//! no versions at all satisfies every need, and a weak need may stay open.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::closure::Closure;
use super::library::Library;

/// Something that an object needs and its provider lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The symbol; `None` if no symbol was found to use the version.
    pub symbol: Option<String>,
    /// The version; empty for a symbol without one.
    pub version: String,
    /// Who needs it.
    pub needed_by: PathBuf,
    /// Who should provide it; `None` if any object might.
    pub provider: Option<PathBuf>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.symbol, self.version.as_str()) {
            (Some(symbol), "") => write!(f, "{symbol}")?,
            (Some(symbol), version) => write!(f, "{symbol}@{version}")?,
            (None, version) => write!(f, "version {version}")?,
        }
        write!(
            f,
            " needed by {}, not provided by ",
            self.needed_by.display()
        )?;
        match &self.provider {
            Some(provider) => write!(f, "{}", provider.display()),
            None => f.write_str("any library"),
        }
    }
}

/// The versions that the closure of `exe` lacks, in ld.so's order.
pub fn versions(exe_path: &Path, exe: &Library, closure: &Closure) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    let objects = std::iter::once((exe_path, exe)).chain(
        closure
            .nodes
            .iter()
            .map(|node| (&*node.path, &*node.library)),
    );
    for (path, object) in objects {
        for need in object.needed_versions.iter().filter(|need| !need.weak) {
            let provider = match closure.names.get(&need.file) {
                Some(Some(index)) => closure.nodes.get(*index),
                // The executable itself, or a file that nobody asked for: ld.so
                // has an assertion for the latter, and linkers never write it.
                _ => None,
            };
            let Some(provider) = provider else { continue };
            let defined = match &provider.library.defined_versions {
                Some(defined) => defined.contains(&need.name),
                None => true,
            };
            if !defined {
                report(path, object, need, &provider.path, &mut unmet);
            }
        }
    }
    unmet
}

/// Names the symbols that use a missing version.
fn report(
    path: &Path,
    object: &Library,
    need: &super::library::NeededVersion,
    provider: &Path,
    unmet: &mut Vec<Unmet>,
) {
    let symbols = users(object, &need.file, &need.name).unwrap_or_default();
    let entry = |symbol: Option<String>| Unmet {
        symbol,
        version: String::from_utf8_lossy(&need.name).into_owned(),
        needed_by: path.to_owned(),
        provider: Some(provider.to_owned()),
    };
    if symbols.is_empty() {
        unmet.push(entry(None));
    } else {
        unmet.extend(symbols.into_iter().map(|symbol| entry(Some(symbol))));
    }
}

/// The symbols of `object` that need `version` of `file`.
fn users(object: &Library, file: &[u8], version: &[u8]) -> Option<Vec<String>> {
    let elf = object.map().elf().ok()?;
    let dynamic = elf.dynamic().ok()??;
    let versions = elf.versions(&dynamic).ok()?;
    let wanted: HashSet<u16> = versions
        .needs
        .iter()
        .filter(|need| need.file == file && need.name == version)
        .map(|need| need.index)
        .collect();
    let symbols = elf.symbols(&dynamic).ok()?;
    let mut names: Vec<String> = symbols
        .iter()
        .filter(|(index, symbol)| {
            let version = versions
                .versym(*index)
                .map(|v| v & !crate::elf::VERSYM_HIDDEN);
            symbol.is_undefined() && version.is_some_and(|v| wanted.contains(&v))
        })
        .map(|(_, symbol)| String::from_utf8_lossy(symbol.name).into_owned())
        .collect();
    names.sort();
    names.dedup();
    Some(names)
}
