//! What ld.so accepts, or stops at, although every symbol is there: objects that do
//! not go into one process.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::files::closure::Closure;
use super::files::library::Library;

/// Sonames of C libraries that are not glibc's: musl's, Android's, FreeBSD's.
const OTHER_LIBC: [&[u8]; 2] = [b"libc.musl-", b"ld-musl-"];

/// Objects that do not go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// DT_RELR in an object whose needs do not say so (elf/dl-version.c).
    Relr(PathBuf),
    /// Two files with one DT_SONAME, each with state of its own.
    Twice {
        /// The soname.
        soname: String,
        /// The one that the name means, and the other.
        files: [PathBuf; 2],
        /// Who asks for the other.
        needed_by: PathBuf,
    },
    /// A second C library.
    OtherLibc {
        /// The library.
        file: PathBuf,
        /// Who asks for it.
        needed_by: PathBuf,
    },
}

impl Unfit {
    /// Whether ld.so refuses to start the program.
    pub fn is_fatal(&self) -> bool {
        matches!(self, Self::Relr(_))
    }

    /// Whether `other` is the same fault, of other files maybe.
    pub fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Relr(a), Self::Relr(b)) => a.file_name() == b.file_name(),
            (Self::Twice { soname: a, .. }, Self::Twice { soname: b, .. }) => a == b,
            (Self::OtherLibc { file: a, .. }, Self::OtherLibc { file: b, .. }) => {
                a.file_name() == b.file_name()
            }
            _ => false,
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Relr(file) => write!(
                f,
                "{} has DT_RELR without needing GLIBC_ABI_DT_RELR, which glibc refuses to load: link it again with `-z pack-relative-relocs`",
                file.display()
            ),
            Self::Twice {
                soname,
                files: [first, second],
                needed_by,
            } => write!(
                f,
                "{soname} would be loaded twice: {} and {}, which {} needs",
                first.display(),
                second.display(),
                needed_by.display()
            ),
            Self::OtherLibc { file, needed_by } => write!(
                f,
                "{}, which {} needs, is another C library than glibc: both cannot be in one process",
                file.display(),
                needed_by.display()
            ),
        }
    }
}

/// Everything of that kind in the closure of `exe`, in ld.so's order.
pub fn unfit(exe_path: &Path, exe: &Library, closure: &Closure) -> Vec<Unfit> {
    let mut all = Vec::new();
    if lacks_relr_need(exe) {
        all.push(Unfit::Relr(exe_path.to_owned()));
    }
    let mut known: HashMap<&[u8], &Path> = HashMap::new();
    for node in &closure.nodes {
        let library = &node.library;
        let needed_by = || {
            let loader = node.loader.and_then(|index| closure.nodes.get(index));
            loader.map_or(exe_path, |loader| &loader.path).to_owned()
        };
        if lacks_relr_need(library) {
            all.push(Unfit::Relr(node.path.clone()));
        }
        // musl's has no DT_SONAME everywhere.
        let soname = library.soname.as_deref();
        if soname.is_some_and(is_other_libc) || is_other_libc(&node.name) {
            all.push(Unfit::OtherLibc {
                file: node.path.clone(),
                needed_by: needed_by(),
            });
        }
        let Some(soname) = soname else {
            continue;
        };
        match known.get(soname) {
            Some(first) => all.push(Unfit::Twice {
                soname: String::from_utf8_lossy(soname).into_owned(),
                files: [(*first).to_owned(), node.path.clone()],
                needed_by: needed_by(),
            }),
            None => {
                known.insert(soname, &node.path);
            }
        }
    }
    all
}

/// A glibc from 2.36 on wants the need of a version, so that older ones, which do
/// not know DT_RELR, refuse the object.
fn lacks_relr_need(object: &Library) -> bool {
    let of_libc = || {
        object
            .needed_versions
            .iter()
            .filter(|need| &*need.file == b"libc.so.6")
    };
    let is_glibc = || {
        let defined = object.defined_versions.iter().flatten();
        defined.into_iter().any(|name| &**name == b"GLIBC_PRIVATE")
    };
    object.demands.relr
        && of_libc().next().is_some()
        && !of_libc().any(|need| &*need.name == b"GLIBC_ABI_DT_RELR")
        && !is_glibc()
}

fn is_other_libc(soname: &[u8]) -> bool {
    // glibc's own `libc.so` is a linker script.
    soname.starts_with(b"libc.so") && soname != b"libc.so.6"
        || OTHER_LIBC.iter().any(|other| soname.starts_with(other))
}
