//! A folder of headers, normalised: `indir stub --include`.
//!
//! Beside stubs, headers are what dependents are compiled against; see `headers` for
//! what is left out of them. Files of other kinds are copied.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::headers;

/// Deepest folder below the one that is read.
const MAX_DEPTH: usize = 64;
/// Most symlinks to folders elsewhere, one below the other.
const MAX_LINKS: usize = 8;

/// Writes the headers of `folder` as the folder `output`, which must not be there yet.
///
/// # Errors
/// When something cannot be read or written, with the file's path.
pub fn write(folder: &Path, output: &Path) -> io::Result<()> {
    tree(folder, output, 0)
}

fn tree(folder: &Path, output: &Path, links: usize) -> io::Result<()> {
    let root = fs::canonicalize(folder).map_err(|error| at(folder, error))?;
    if output.symlink_metadata().is_ok() {
        return Err(at(output, io::ErrorKind::AlreadyExists.into()));
    }
    for entry in walkdir::WalkDir::new(&root)
        .sort_by_file_name()
        .max_depth(MAX_DEPTH)
    {
        let entry = entry.map_err(io::Error::from)?;
        let relative = entry.path().strip_prefix(&root).map_err(io::Error::other)?;
        let to = if relative.as_os_str().is_empty() {
            output.to_path_buf()
        } else {
            output.join(relative)
        };
        one(&root, entry.path(), entry.file_type(), &to, links)
            .map_err(|error| at(entry.path(), error))?;
    }
    Ok(())
}

fn one(root: &Path, from: &Path, kind: fs::FileType, to: &Path, links: usize) -> io::Result<()> {
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        return fs::set_permissions(to, fs::Permissions::from_mode(0o755));
    }
    if kind.is_symlink() {
        let target = fs::read_link(from)?;
        let real = fs::canonicalize(from)?;
        if target.is_relative() && real.starts_with(root) {
            return symlink(target, to);
        }
        // It leads elsewhere, which is not part of the result.
        if real.is_dir() {
            if links == MAX_LINKS || root.starts_with(&real) {
                return Err(io::Error::other("symlinks to folders in a circle"));
            }
            return tree(&real, to, links + 1);
        }
    } else if !kind.is_file() {
        return Ok(());
    }
    let data = fs::read(from)?;
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let normalised = match headers::is_header(&name) {
        true => headers::normalise(&data),
        false => None,
    };
    fs::write(to, normalised.as_deref().unwrap_or(&data))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    let path: PathBuf = path.to_path_buf();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
