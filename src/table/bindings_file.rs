//! Bindings as a file: its sum, reading it, and comparing it with the objects that
//! it was made for. What binds what is not asked here.

use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use fs_err as fs;
use indir_shim::format::bindings::Bindings;
use indir_shim::format::bindings_layout::{
    FileState, Header, MAX_BINDINGS, OBJECT_STORED, ObjectBindings, TAIL,
};
use indir_shim::format::bindings_sum::sum;
use indir_shim::format::record::Le64;

use crate::resolve::addresses::object::LoadedObject;

/// Folders in which a path never has another content.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// How an object differs from the one that bindings were made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// None.
    None,
    /// Another file with the same content: a start has to read it to see that.
    File,
    /// Another content.
    Content,
}

/// Reads the bindings at `path`: at most one byte more than any reader accepts.
///
/// # Errors
/// When it is no regular file or cannot be read.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut options = std::fs::OpenOptions::new();
    // A FIFO does not wait for a writer.
    options
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = fs::File::from_parts(options.open(path)?, path);
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    let mut bytes = Vec::new();
    if metadata.len() > MAX_BINDINGS as u64 {
        bytes.resize(MAX_BINDINGS + 1, 0);
        return Ok(bytes);
    }
    file.take(MAX_BINDINGS as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes the sum of all but the last [`TAIL`] bytes into those.
pub fn seal(bytes: &mut [u8]) {
    if let Some((rest, tail)) = bytes.split_last_chunk_mut::<TAIL>() {
        *tail = sum(0, rest).to_le_bytes();
    }
}

/// The state of a file, as the binder compares it.
pub fn state_of(metadata: &std::fs::Metadata) -> FileState {
    let nanos = |seconds: i64, rest: i64| {
        let nanos = seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        Le64::new(nanos as u64)
    };
    FileState {
        inode: Le64::new(metadata.ino()),
        size: Le64::new(metadata.len()),
        changed: nanos(metadata.mtime(), metadata.mtime_nsec()),
        status: nanos(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Whether a path of a table is one of a store, and so is what it leads to.
pub fn is_stored(path: &Path) -> bool {
    let inside = |path: &Path| STORES.iter().any(|store| path.starts_with(store));
    inside(path) && std::fs::canonicalize(path).is_ok_and(|path| inside(&path))
}

/// Compares object `index` of `bindings` with the one that is there now.
pub fn compare(bindings: &Bindings<'_>, index: usize, object: &LoadedObject) -> Difference {
    let Some(bound) = bindings.object(index) else {
        return Difference::Content;
    };
    if object.content().at(index) != bound.raw.content.get() {
        return Difference::Content;
    }
    let is_own = index == 0 || bound.raw.flags & OBJECT_STORED != 0;
    if is_own || bound.raw.file == state_of(object.file().metadata()) {
        Difference::None
    } else {
        Difference::File
    }
}

/// Whether two files say the same of objects with the same content.
pub fn bind_the_same(a: &[u8], b: &[u8]) -> bool {
    without_files(a) == without_files(b)
}

/// The file without what tells other copies of the same objects apart.
fn without_files(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes
        .get(..bytes.len().saturating_sub(TAIL))
        .unwrap_or(&[])
        .to_vec();
    let count = indir_shim::format::record::view::<Header>(&bytes, 0)
        .map_or(0, |header| usize::from(header.object_count.get()));
    let at = |index: usize| size_of::<Header>() + index * size_of::<ObjectBindings>();
    for index in 0..count {
        let start = at(index) + std::mem::offset_of!(ObjectBindings, file);
        if let Some(state) = bytes.get_mut(start..start + size_of::<FileState>()) {
            state.fill(0);
        }
    }
    bytes
}
