//! Paths in tables: `$ORIGIN/…` lies below the folder of the executable.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// Where `path`, as a table of the executable at `exe` says it, lies.
pub fn absolute(path: &[u8], exe: &Path) -> PathBuf {
    let below = path
        .strip_prefix(b"$ORIGIN")
        .filter(|rest| rest.is_empty() || rest.starts_with(b"/"));
    let Some(below) = below else {
        return PathBuf::from(OsStr::from_bytes(path));
    };
    let mut all = exe
        .parent()
        .unwrap_or(Path::new("/"))
        .as_os_str()
        .to_owned();
    if all == "/" && !below.is_empty() {
        all.clear();
    }
    all.push(OsStr::from_bytes(below));
    all.into()
}

#[cfg(test)]
mod tests {
    use super::absolute;
    use std::path::Path;

    #[test]
    fn origin_is_the_folder_of_the_executable() {
        for (text, exe, expected) in [
            ("/a/b", "/bin/p", "/a/b"),
            ("$ORIGIN/../lib/x", "/b/bin/p", "/b/bin/../lib/x"),
            ("$ORIGIN", "/b/p", "/b"),
            ("$ORIGIN/x", "/p", "/x"),
            ("$ORIGINAL/x", "/b/p", "$ORIGINAL/x"),
        ] {
            assert_eq!(
                absolute(text.as_bytes(), Path::new(exe)),
                Path::new(expected)
            );
        }
    }
}
