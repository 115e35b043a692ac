//! Which folders of a run path a sealed file may go on naming: those of its own package.
//!
//! A folder that lies in the package is where it keeps private libraries; update looks
//! there for the package itself and for whoever depends on it, as ld.so would. It stays,
//! relative to the file wherever there is room, so that the package may move. All other
//! folders hold builds of other packages, and it is the table's affair which.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::table::SEPARATOR;

/// Names of folders whose parent is the package, when only a file was given.
const KNOWN: [&str; 5] = ["bin", "sbin", "lib", "lib64", "libexec"];

/// Where a file lies in its package.
#[derive(Clone, Debug)]
pub(super) struct Package {
    /// The folder of the file, without symlinks.
    folder: PathBuf,
    /// The root of the package, without symlinks, and as it was given.
    roots: Vec<PathBuf>,
    /// Further folders of the package, each without symlinks and as it was given.
    others: Vec<PathBuf>,
}

/// A folder that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    /// As it was.
    old: Vec<u8>,
    /// As it should be.
    new: Vec<u8>,
}

impl Package {
    /// For a file at `path`, which is absolute and free of symlinks, below the folder
    /// `root`; without one, the package is where programs and libraries usually lie. The
    /// folders `others` belong to it too.
    pub(super) fn of(path: &Path, root: Option<&Path>, others: &[PathBuf]) -> Self {
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let roots = match root {
            Some(root) => both(root),
            None => {
                let known = folder
                    .file_name()
                    .is_some_and(|name| KNOWN.iter().any(|k| name == *k));
                let parent = folder.parent().filter(|_| known);
                vec![parent.unwrap_or(&folder).to_owned()]
            }
        };
        let others = others.iter().flat_map(|other| both(other)).collect();
        Self {
            folder,
            roots,
            others,
        }
    }

    /// The lists that may stand for the run path `list`, the best first; all are empty
    /// if no folder of it stays.
    pub(super) fn lists(&self, list: &[u8]) -> [Vec<u8>; 2] {
        let mut kept: Vec<Kept> = Vec::new();
        for folder in list.split(|&byte| byte == SEPARATOR) {
            if let Some(new) = self.keep(folder)
                && kept.iter().all(|known| known.new != new)
            {
                let old = folder.to_vec();
                kept.push(Kept { old, new });
            }
        }
        let join = |pick: fn(&Kept) -> &[u8]| {
            let all: Vec<&[u8]> = kept.iter().map(pick).collect();
            all.join(&SEPARATOR)
        };
        [join(|kept| &kept.new), join(|kept| &kept.old)]
    }

    /// Whether `folder` may be named.
    pub(super) fn is_own(&self, folder: &[u8]) -> bool {
        self.keep(folder).is_some()
    }

    /// How `folder` is named if it stays.
    fn keep(&self, folder: &[u8]) -> Option<Vec<u8>> {
        for token in [&b"$ORIGIN"[..], b"${ORIGIN}"] {
            let Some(rest) = folder.strip_prefix(token) else {
                continue;
            };
            if !rest.is_empty() && !rest.starts_with(b"/") {
                continue;
            }
            let below = self.folder.as_os_str().as_bytes();
            let path = normal(Path::new(OsStr::from_bytes(&[below, rest].concat())));
            return self.holds(&path).then(|| folder.to_vec());
        }
        if !folder.starts_with(b"/") || folder.contains(&b'$') {
            return None;
        }
        let path = normal(Path::new(OsStr::from_bytes(folder)));
        if let Some(below) = self.below_root(&path) {
            return Some(self.relative(&below));
        }
        if self.is_of_others(&path) {
            return Some(path.into_os_string().into_encoded_bytes());
        }
        // A package that lies below another root until it is installed.
        let staged = self.roots.first()?.join(path.strip_prefix("/").ok()?);
        (staged != path && staged.is_dir()).then(|| self.relative(&staged))
    }

    fn holds(&self, path: &Path) -> bool {
        self.below_root(path).is_some() || self.is_of_others(path)
    }

    fn is_of_others(&self, path: &Path) -> bool {
        self.others.iter().any(|other| path.starts_with(other))
    }

    /// `path` below the first of the roots, if it lies below any.
    fn below_root(&self, path: &Path) -> Option<PathBuf> {
        let first = self.roots.first()?;
        let rest = self
            .roots
            .iter()
            .find_map(|root| path.strip_prefix(root).ok())?;
        Some(first.join(rest))
    }

    /// `path`, which lies in the package, from the folder of the file on.
    fn relative(&self, path: &Path) -> Vec<u8> {
        let mut common = self.folder.as_path();
        let mut out = b"$ORIGIN".to_vec();
        while path.strip_prefix(common).is_err() {
            out.extend_from_slice(b"/..");
            common = common.parent().unwrap_or(Path::new("/"));
        }
        let rest = path.strip_prefix(common).unwrap_or(Path::new(""));
        if !rest.as_os_str().is_empty() {
            out.push(b'/');
            out.extend_from_slice(rest.as_os_str().as_bytes());
        }
        out
    }
}

/// `folder` without symlinks, and as it was given.
fn both(folder: &Path) -> Vec<PathBuf> {
    let real = std::fs::canonicalize(folder).ok();
    let given = std::path::absolute(folder).ok();
    let given = given.map(|path| normal(&path));
    real.into_iter().chain(given).collect()
}

/// `path`, which is absolute, without `.`, `..` and doubled slashes.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(package: &Package, list: &str) -> String {
        String::from_utf8(package.lists(list.as_bytes())[0].clone()).unwrap()
    }

    #[test]
    fn only_folders_of_the_package_stay() {
        let package = Package {
            folder: "/p/bin".into(),
            roots: vec!["/p".into(), "/link".into()],
            others: vec!["/o".into()],
        };
        for (old, new) in [
            ("", ""),
            ("/q/lib", ""),
            ("/p2/lib", ""),
            ("/p/lib:/q/lib", "$ORIGIN/../lib"),
            ("/link/lib/x/../private/", "$ORIGIN/../lib/private"),
            ("/p/../q/lib", ""),
            ("/o/lib/../x:/other", "/o/x"),
            ("$ORIGIN/../../o/lib", "$ORIGIN/../../o/lib"),
            ("/p/bin::.:lib", "$ORIGIN"),
            ("$ORIGIN/../lib:${ORIGIN}/x", "$ORIGIN/../lib:${ORIGIN}/x"),
            ("$ORIGIN/../../q/lib:$ORIGINAL", ""),
            ("/p/$LIB", ""),
        ] {
            assert_eq!(list(&package, old), new, "{old}");
        }
        assert_eq!(package.lists(b"/q:/p/lib")[1], b"/p/lib");
    }

    #[test]
    fn a_file_alone() {
        for (file, root) in [
            ("/p/bin/x", "/p"),
            ("/p/x/lib64/y.so", "/p/x"),
            ("/tmp/build/x", "/tmp/build"),
        ] {
            let package = Package::of(Path::new(file), None, &[]);
            assert_eq!(package.roots, [Path::new(root)], "{file}");
        }
    }
}
