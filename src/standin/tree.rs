//! A tree that consumers are compiled against: headers, pkg-config and CMake files,
//! macros of aclocal, scripts, stubs of libraries.
//!
//! Only regular files and symlinks to them; sizes are capped, and what goes beyond is an
//! error, for which the caller takes the new tree.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::abi::{self, Abi, Finder};

/// Most bytes of all files of a tree that are compared as text.
const MAX_TREE: u64 = 1 << 30;
/// Most files.
const MAX_FILES: usize = 500_000;
/// Deepest folder.
const MAX_DEPTH: usize = 64;

/// Extensions of headers outside of folders called `include`.
const HEADERS: &[&str] = &[
    "h", "hh", "hpp", "hxx", "h++", "H", "ipp", "tcc", "tpp", "inl",
];
/// Folders of a folder `share` from which nothing is compiled.
const UNREAD: &[&str] = &["doc", "man", "info", "locale", "lintian"];

/// Where a library is: its folder, and its soname.
pub type Place = (String, Vec<u8>);

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// For `#include`.
    Header,
    /// For pkg-config.
    Module,
    /// For CMake.
    Cmake,
    /// For aclocal.
    M4,
    /// A program that tells flags, or anything else that is named to be used.
    Other,
    /// For the linker: objects, archives, scripts.
    Linked,
}

/// A file of a tree.
#[derive(Clone, Debug)]
pub struct File {
    /// What it is for.
    pub role: Role,
    /// Its content.
    pub data: Rc<[u8]>,
}

/// A tree.
#[derive(Debug)]
pub struct Tree {
    /// Where it is.
    pub path: PathBuf,
    /// Files by path from it.
    pub files: BTreeMap<String, File>,
    /// Libraries.
    pub libraries: BTreeMap<Place, Abi>,
    /// What `-lx` finds, by the path of the link.
    pub links: BTreeMap<String, Place>,
}

impl Tree {
    /// Reads a tree.
    ///
    /// # Errors
    /// When a file cannot be read or there is too much, with the path.
    pub fn read(path: &Path) -> io::Result<Self> {
        let at = |path: &Path, error: io::Error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        };
        // A tree may be a link to one: the choice of an earlier run.
        let root = path.canonicalize().map_err(|error| at(path, error))?;
        if !root.is_dir() {
            return Err(at(path, io::ErrorKind::NotADirectory.into()));
        }
        let mut tree = Self {
            path: path.to_owned(),
            files: BTreeMap::new(),
            libraries: BTreeMap::new(),
            links: BTreeMap::new(),
        };
        let mut left = MAX_TREE;
        let walk = walkdir::WalkDir::new(&root)
            .follow_links(true)
            .max_depth(MAX_DEPTH + 1)
            .sort_by_file_name();
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                // A dangling link is for nobody; a circle is for nobody's good.
                Err(error) if error.loop_ancestor().is_none() && is_link(error.path()) => continue,
                Err(error) => return Err(error.into()),
            };
            if entry.depth() > MAX_DEPTH {
                return Err(at(path, io::Error::other("more than 64 folders in a row")));
            }
            if !entry.file_type().is_file() {
                continue;
            }
            let relative = entry.path().strip_prefix(&root).map_err(io::Error::other)?;
            let Some(name) = relative.to_str() else {
                let error = io::Error::other("its name is no UTF-8");
                return Err(at(entry.path(), error));
            };
            if is_unread(name) {
                continue;
            }
            if tree.files.len() > MAX_FILES {
                return Err(at(path, io::Error::other("more than 500,000 files")));
            }
            tree.file(entry.path(), name.to_owned(), &mut left)
                .map_err(|error| at(entry.path(), error))?;
        }
        Ok(tree)
    }

    fn file(&mut self, path: &Path, name: String, left: &mut u64) -> io::Result<()> {
        let base = name.rsplit('/').next().unwrap_or(&name).to_owned();
        let size = path.metadata()?.len();
        *left = left
            .checked_sub(size)
            .ok_or_else(|| io::Error::other("the tree has more than 1 GiB"))?;
        let data = std::fs::read(path)?;
        let is_shared = base.ends_with(".so") || base.contains(".so.");
        if is_shared && data.starts_with(b"\x7fELF") {
            let loaded = abi::load(path, &Finder::new(Vec::new()));
            let abi = loaded
                .map_err(|error| io::Error::other(error.reason()))?
                .abi;
            let soname = abi
                .soname
                .clone()
                .unwrap_or_else(|| base.clone().into_bytes());
            let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
            let place = (folder.to_owned(), soname);
            // Another one of the same soname is compared as a whole.
            let known = self
                .libraries
                .entry(place.clone())
                .or_insert_with(|| abi.clone());
            if *known == abi {
                if base.ends_with(".so") {
                    self.links.insert(name, place);
                }
                return Ok(());
            }
        }
        let role = role(&name, &base, is_shared);
        let data = data.into();
        self.files.insert(name, File { role, data });
        Ok(())
    }
}

/// Whether a file is for people alone.
fn is_unread(name: &str) -> bool {
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    let mut pairs = parts.iter().zip(parts.iter().skip(1));
    let unread = pairs.any(|(folder, inner)| *folder == "share" && UNREAD.contains(inner));
    unread && !parts.contains(&"include")
}

fn is_link(path: Option<&Path>) -> bool {
    path.and_then(|path| path.symlink_metadata().ok())
        .is_some_and(|found| found.is_symlink())
}

fn role(name: &str, base: &str, is_shared: bool) -> Role {
    let extension = base.rsplit_once('.').map_or("", |(_, extension)| extension);
    if is_shared || matches!(extension, "a" | "o") {
        return Role::Linked;
    }
    if name
        .split('/')
        .rev()
        .skip(1)
        .any(|folder| folder == "include")
    {
        return Role::Header;
    }
    match extension {
        "pc" => Role::Module,
        "cmake" => Role::Cmake,
        "m4" => Role::M4,
        _ if HEADERS.contains(&extension) => Role::Header,
        _ => Role::Other,
    }
}
