//! The content of a file, at hand as bytes.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{Mmap, UncheckedAdvice};

use super::bus;
use super::file::{ElfError, ElfFile};
use super::open::{open_regular, read_open};

/// Largest file that is read, in bytes: a few times the largest known library.
/// Of a larger one not a byte is looked at.
pub const MAX_FILE: u64 = 4 << 30;

/// Largest file that is read instead of mapped, in bytes. Unmapping interrupts
/// every processor that runs one of our threads, which costs more than copying
/// a small file; of a large one only a part is looked at.
const READ_UP_TO: u64 = 128 * 1024;

/// Files that were cut short while they were mapped.
static CUT_SHORT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Takes the list of files that were cut short while they were read, whose
/// content counts for nothing.
pub fn take_cut_short() -> Vec<PathBuf> {
    let mut list = CUT_SHORT.lock().unwrap_or_else(PoisonError::into_inner);
    let mut all = std::mem::take(&mut *list);
    all.sort();
    all.dedup();
    all
}

/// A file's content, mapped or read.
#[derive(Clone, Debug)]
enum Content {
    Mapped(Arc<Mapping>),
    Read(Arc<[u8]>),
}

/// A mapping whose damage is told when it goes.
#[derive(Debug)]
struct Mapping {
    map: Mmap,
    path: PathBuf,
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if bus::is_damaged(&self.map) {
            bus::forget(&self.map);
            let mut list = CUT_SHORT.lock().unwrap_or_else(PoisonError::into_inner);
            list.push(std::mem::take(&mut self.path));
        }
    }
}

/// A file whose content is at hand, with its path.
#[derive(Clone, Debug)]
pub struct MappedElf {
    path: PathBuf,
    content: Content,
    metadata: std::fs::Metadata,
}

impl MappedElf {
    /// Maps the file at `path` read-only.
    ///
    /// # Errors
    /// When it cannot be opened or mapped, is no regular file, or is too large.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ElfError> {
        let path = path.into();
        let (file, metadata) = open_regular(&path)?;
        Self::new(path, file, metadata)
    }

    /// Maps the regular file `file` that is, or will be, at `path`.
    ///
    /// # Errors
    /// When it cannot be read or mapped, or is too large.
    pub fn of_file(path: PathBuf, file: &File) -> Result<Self, ElfError> {
        use std::io::Seek as _;
        let metadata = file.metadata()?;
        let mut file = file.try_clone()?;
        file.rewind()?;
        Self::new(path, file, metadata)
    }

    fn new(path: PathBuf, file: File, metadata: std::fs::Metadata) -> Result<Self, ElfError> {
        if metadata.len() == 0 {
            return Err(ElfError::NotElf);
        }
        if metadata.len() > MAX_FILE {
            return Err(ElfError::Malformed("the file is too large"));
        }
        let content = if metadata.len() <= READ_UP_TO {
            let bytes = read_open(file, &metadata, READ_UP_TO)?;
            Content::Read(bytes.into())
        } else {
            bus::guard();
            #[expect(unsafe_code, reason = "memmap2 cannot know who else writes the file")]
            // SAFETY: what others do to the file shows in the mapping. All bytes
            // are untrusted, and read through bounds checks; where the file is
            // cut short `bus` puts zeros; what is computed from a file that
            // changed meanwhile is thrown away (`is_unchanged`).
            let map = unsafe { Mmap::map(&file)? };
            Content::Mapped(Arc::new(Mapping {
                map,
                path: path.clone(),
            }))
        };
        Ok(Self {
            path,
            content,
            metadata,
        })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Mapped(mapping) => &mapping.map,
            Content::Read(bytes) => bytes,
        }
    }

    /// Gives the memory back that holds the bytes in `range`; they are read again when
    /// they are looked at again.
    pub fn release(&self, range: Range<usize>) {
        let Content::Mapped(mapping) = &self.content else {
            return;
        };
        let end = range.end.min(mapping.map.len());
        let len = end.saturating_sub(range.start);
        if len == 0 || bus::is_damaged(&mapping.map) {
            return;
        }
        #[expect(
            unsafe_code,
            reason = "memmap2 cannot know that the mapping is never written"
        )]
        // SAFETY: nobody writes to the mapping, so that what is dropped is in the file,
        // and comes from there again.
        let released = unsafe {
            let advice = UncheckedAdvice::DontNeed;
            mapping.map.unchecked_advise_range(advice, range.start, len)
        };
        // Memory that is not given back is no harm.
        drop(released);
    }

    /// `stat` of the open file.
    pub fn metadata(&self) -> &std::fs::Metadata {
        &self.metadata
    }

    /// Whether nobody has written to the file since it was opened, as far as its
    /// times tell. A file that another has replaced is unchanged.
    pub fn is_unchanged(&self) -> bool {
        if let Content::Mapped(mapping) = &self.content
            && bus::is_damaged(&mapping.map)
        {
            return false;
        }
        let then = &self.metadata;
        let Ok(now) = std::fs::metadata(&self.path) else {
            return true;
        };
        (now.dev(), now.ino()) != (then.dev(), then.ino())
            || (now.len(), now.mtime(), now.mtime_nsec())
                == (then.len(), then.mtime(), then.mtime_nsec())
    }

    /// Parses it.
    ///
    /// # Errors
    /// See [`ElfFile::parse`].
    pub fn elf(&self) -> Result<ElfFile<'_>, ElfError> {
        ElfFile::parse(self.bytes())
    }
}
