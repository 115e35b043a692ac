//! A folder of headers, normalised: `indir stub --include`.
//!
//! Beside stubs, headers are what dependents are compiled against; see `headers` for
//! what is left out of them. Files of other kinds are copied. What nobody can include,
//! because it leads nowhere, is no file or cannot be read, stays out and is named.

use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use super::{headers, special};

/// Deepest folder below the one that is read.
const MAX_DEPTH: usize = 64;
/// Most symlinks to folders elsewhere, one below the other.
const MAX_LINKS: usize = 8;

/// Writes the headers of `folder` as the folder `output`, which must not be there yet,
/// with the comments that have one of the texts in `wanted`. Returns what stays out, and
/// why.
///
/// # Errors
/// When a folder cannot be read or something cannot be written, with the path.
pub fn write(
    folder: &Path,
    output: &Path,
    wanted: &[String],
) -> io::Result<Vec<(PathBuf, String)>> {
    let mut left_out = Vec::new();
    let was_there = output.symlink_metadata().is_ok();
    let done = tree(folder, output, 0, wanted, &mut left_out);
    if done.is_err() && !was_there {
        // What is there is ours, and nobody could use a part.
        let _ = fs::remove_dir_all(output);
    }
    done.map(|()| left_out)
}

fn tree(
    folder: &Path,
    output: &Path,
    links: usize,
    wanted: &[String],
    left_out: &mut Vec<(PathBuf, String)>,
) -> io::Result<()> {
    let root = fs::canonicalize(folder).map_err(|error| at(folder, error))?;
    if !root.is_dir() {
        return Err(at(folder, io::ErrorKind::NotADirectory.into()));
    }
    if output.symlink_metadata().is_ok() {
        return Err(at(output, io::ErrorKind::AlreadyExists.into()));
    }
    for entry in walkdir::WalkDir::new(&root)
        .sort_by_file_name()
        .max_depth(MAX_DEPTH)
    {
        crate::interrupt::check().map_err(io::Error::other)?;
        let entry = entry.map_err(io::Error::from)?;
        let relative = entry.path().strip_prefix(&root).map_err(io::Error::other)?;
        let to = if relative.as_os_str().is_empty() {
            output.to_path_buf()
        } else {
            output.join(relative)
        };
        let found = one(&root, &entry, &to).map_err(|error| at(entry.path(), error))?;
        match found {
            Found::Done => {}
            Found::Data(data) => {
                file(entry.path(), &data, &to, wanted).map_err(|error| at(entry.path(), error))?;
            }
            Found::Folder(real) => {
                if links == MAX_LINKS || root.starts_with(&real) {
                    let circle = io::Error::other("symlinks to folders in a circle");
                    return Err(at(entry.path(), circle));
                }
                tree(&real, &to, links + 1, wanted, left_out)?;
            }
            Found::Nothing(why) => left_out.push((entry.path().to_path_buf(), why)),
        }
    }
    Ok(())
}

/// What is to be done about an entry.
enum Found {
    /// Nothing more.
    Done,
    /// A file with this content.
    Data(Vec<u8>),
    /// A folder elsewhere.
    Folder(PathBuf),
    /// Nothing that could be included, and why.
    Nothing(String),
}

fn one(root: &Path, entry: &walkdir::DirEntry, to: &Path) -> io::Result<Found> {
    let (from, kind) = (entry.path(), entry.file_type());
    if kind.is_dir() {
        fs::create_dir_all(to)?;
        fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
        return Ok(Found::Done);
    }
    if kind.is_symlink() {
        let target = fs::read_link(from)?;
        let (real, metadata) = match fs::canonicalize(from).and_then(|r| Ok((r, from.metadata()?)))
        {
            Ok(found) => found,
            Err(error) => return Ok(Found::Nothing(special::dangling(&target, &error))),
        };
        if let Some(what) = special::name(metadata.file_type()) {
            return Ok(Found::Nothing(format!("leads to {what}")));
        }
        if target.is_relative() && real.starts_with(root) {
            symlink(target, to)?;
            return Ok(Found::Done);
        }
        // It leads elsewhere, which is not part of the result.
        if metadata.is_dir() {
            return Ok(Found::Folder(real));
        }
    } else if let Some(what) = special::name(kind) {
        return Ok(Found::Nothing(format!("is {what}")));
    }
    Ok(match fs::read(from) {
        Ok(data) => Found::Data(data),
        Err(error) => Found::Nothing(special::unreadable(&error)),
    })
}

fn file(from: &Path, data: &[u8], to: &Path, wanted: &[String]) -> io::Result<()> {
    let name = from.file_name().unwrap_or_default().to_string_lossy();
    let normalised = match headers::is_header(&name) {
        true => headers::normalise(data, wanted),
        false => None,
    };
    fs::write(to, normalised.as_deref().unwrap_or(data))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o644))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    let path: PathBuf = path.to_path_buf();
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
