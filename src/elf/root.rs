//! The root that absolute paths are below: that of this system, or another folder.
//!
//! A system image, or what a cross compiler links against, lies in some folder, and
//! what its programs and tables name are paths of that system. Symbolic links in it are
//! followed as they will be there, so that none leads out of it. Nothing is written here.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Most symbolic links on one way, as in Linux.
const MAX_LINKS: usize = 40;

/// The root of the paths of programs and tables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Root(Option<PathBuf>);

impl Root {
    /// The folder `folder`.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn new(folder: &Path) -> io::Result<Self> {
        let folder = std::fs::canonicalize(folder)?;
        if !folder.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self((folder != Path::new("/")).then_some(folder)))
    }

    /// The folder, unless it is the root of this system.
    pub fn folder(&self) -> Option<&Path> {
        self.0.as_deref()
    }

    /// Where the file is that is at `path` in it, and may be missing. A path that is not
    /// absolute is not in it, and stays.
    ///
    /// # Errors
    /// When there are too many symbolic links on the way.
    pub fn real<'p>(&self, path: &'p Path) -> io::Result<Cow<'p, Path>> {
        match &self.0 {
            Some(root) if path.is_absolute() => follow(root, path).map(Cow::Owned),
            _ => Ok(Cow::Borrowed(path)),
        }
    }

    /// The path in it, free of symbolic links, of what is at `path` in it.
    ///
    /// # Errors
    /// When there is nothing.
    pub fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        let real = self.real(path)?;
        let real = std::fs::canonicalize(&*real)?;
        self.inside(&real)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// The path in it of the file at `real`, which is free of symbolic links; `None` if
    /// it lies outside.
    pub fn inside(&self, real: &Path) -> Option<PathBuf> {
        match &self.0 {
            Some(root) => Some(Path::new("/").join(real.strip_prefix(root).ok()?)),
            None => Some(real.to_owned()),
        }
    }

    /// Whether there is a folder at `path` in it.
    pub fn is_dir(&self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.is_dir())
    }

    /// Whether there is a regular file at `path` in it.
    pub fn is_file(&self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.is_file())
    }

    /// Whether there is anything at `path` in it.
    pub fn exists(&self, path: &Path) -> bool {
        self.real(path).is_ok_and(|path| path.exists())
    }
}

/// Walks `path` below `root`, link by link.
fn follow(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut at = root.to_owned();
    // What is still to be walked, the next part last.
    let mut rest: Vec<OsString> = Vec::new();
    push(&mut rest, path);
    let mut links = 0;
    while let Some(part) = rest.pop() {
        if part == ".." {
            if at != root {
                at.pop();
            }
            continue;
        }
        at.push(&part);
        let Ok(target) = std::fs::read_link(&at) else {
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        if target.is_absolute() {
            at = root.to_owned();
        } else {
            at.pop();
        }
        push(&mut rest, &target);
    }
    Ok(at)
}

/// Puts the parts of `path` before what is in `rest`.
fn push(rest: &mut Vec<OsString>, path: &Path) {
    let parts = path.components().rev();
    rest.extend(parts.filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_inside() {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(top.join("usr/lib/a")).unwrap();
        std::fs::write(top.join("usr/lib/a/x"), "").unwrap();
        for (target, link) in [
            ("usr/lib", "lib"),
            ("/usr/lib/a", "absolute"),
            ("../../../../usr/lib", "usr/up"),
            ("loop", "loop"),
            ("/etc/passwd", "out"),
        ] {
            symlink(target, top.join(link)).unwrap();
        }
        let root = Root::new(&top).unwrap();
        let real = |path: &str| root.real(Path::new(path)).unwrap().into_owned();
        for path in ["/lib/a/x", "/absolute/x", "/usr/up/a/x", "/../lib/./a/x"] {
            assert_eq!(real(path), top.join("usr/lib/a/x"), "{path}");
            let canonical = root.canonical(Path::new(path)).unwrap();
            assert_eq!(canonical, Path::new("/usr/lib/a/x"));
        }
        assert_eq!(real("/out"), top.join("etc/passwd"));
        assert!(!root.exists(Path::new("/out")));
        assert_eq!(real("/lib/none/y"), top.join("usr/lib/none/y"));
        let error = root.real(Path::new("/loop/x")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        let own = Root::new(Path::new("/")).unwrap();
        assert_eq!(own, Root::default());
        assert_eq!(own.real(Path::new("/lib")).unwrap(), Path::new("/lib"));
    }
}
