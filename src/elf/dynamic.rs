//! The dynamic section (gABI chapter 5, "Dynamic Section").

use object::elf::{self, DynamicTag};

use super::{ElfError, ElfFile};

/// Most dynamic entries read, a bound against absurd files.
const MAX_ENTRIES: usize = 1 << 20;

/// Which tag asks for a folder list, since ld.so treats the two differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Search {
    /// DT_RPATH: also for the needs of needs, and before LD_LIBRARY_PATH.
    Rpath,
    /// DT_RUNPATH: for the object's own needs only, after LD_LIBRARY_PATH.
    Runpath,
}

/// Decoded dynamic section; strings still borrow from the file.
#[derive(Clone, Debug, Default)]
pub struct Dynamic<'a> {
    /// All entries before DT_NULL, as (tag, value).
    pub entries: Vec<(DynamicTag, u64)>,
    /// The dynamic string table.
    pub strings: &'a [u8],
    /// DT_NEEDED, in order.
    pub needed: Vec<&'a [u8]>,
    /// DT_SONAME.
    pub soname: Option<&'a [u8]>,
    /// DT_RPATH; ld.so ignores it when DT_RUNPATH is there.
    pub rpath: Option<&'a [u8]>,
    /// DT_RUNPATH.
    pub runpath: Option<&'a [u8]>,
}

impl<'a> ElfFile<'a> {
    /// The dynamic section.
    ///
    /// # Errors
    /// When PT_DYNAMIC or a string that it names lies outside of the file.
    /// A file without PT_DYNAMIC is `Ok(None)`.
    pub fn dynamic(&self) -> Result<Option<Dynamic<'a>>, ElfError> {
        Dynamic::read(self)
    }
}

impl<'a> Dynamic<'a> {
    fn read(file: &ElfFile<'a>) -> Result<Option<Self>, ElfError> {
        let Some(segment) = file.segment(elf::PT_DYNAMIC) else {
            return Ok(None);
        };
        // ld.so reads it where it is mapped, not where p_offset says.
        let bytes = file
            .bytes_at(segment.vaddr)
            .ok_or(ElfError::Malformed("PT_DYNAMIC lies outside of the file"))?;
        let mut entries = Vec::new();
        for pair in bytes.chunks_exact(16).take(MAX_ENTRIES) {
            let word =
                |at: usize| u64::from_le_bytes(pair[at..at + 8].try_into().unwrap_or_default());
            match word(0) {
                0 => break,
                tag => entries.push((DynamicTag(tag as i64), word(8))),
            }
        }
        let mut dynamic = Self {
            entries,
            ..Self::default()
        };
        if let Some(at) = dynamic.value(elf::DT_STRTAB) {
            let all = file
                .bytes_at(at)
                .ok_or(ElfError::Malformed("DT_STRTAB lies outside of the file"))?;
            let size = dynamic.value(elf::DT_STRSZ).unwrap_or(all.len() as u64);
            dynamic.strings = all
                .get(..usize::try_from(size).unwrap_or(usize::MAX))
                .ok_or(ElfError::Malformed("DT_STRSZ goes beyond the file"))?;
        }
        for &(tag, value) in &dynamic.entries {
            let slot = match tag {
                elf::DT_NEEDED => {
                    dynamic.needed.push(string(dynamic.strings, value)?);
                    continue;
                }
                elf::DT_SONAME => &mut dynamic.soname,
                elf::DT_RPATH => &mut dynamic.rpath,
                elf::DT_RUNPATH => &mut dynamic.runpath,
                _ => continue,
            };
            *slot = Some(string(dynamic.strings, value)?);
        }
        Ok(Some(dynamic))
    }

    /// Value of the last entry with `tag`; ld.so's l_info keeps the last too.
    pub fn value(&self, tag: DynamicTag) -> Option<u64> {
        self.entries.iter().rev().find(|e| e.0 == tag).map(|e| e.1)
    }

    /// The NUL-terminated string at `offset` of the string table, without NUL.
    ///
    /// # Errors
    /// When it starts outside of the table or does not end in it.
    pub fn string(&self, offset: u64) -> Result<&'a [u8], ElfError> {
        string(self.strings, offset)
    }

    /// The folder list that ld.so uses for this object's needs.
    pub fn search(&self) -> Option<(Search, &'a [u8])> {
        match (self.runpath, self.rpath) {
            (Some(path), _) => Some((Search::Runpath, path)),
            (None, Some(path)) => Some((Search::Rpath, path)),
            (None, None) => None,
        }
    }
}

fn string(strings: &[u8], offset: u64) -> Result<&[u8], ElfError> {
    let tail = usize::try_from(offset)
        .ok()
        .and_then(|at| strings.get(at..))
        .ok_or(ElfError::Malformed("a name lies outside of DT_STRTAB"))?;
    let len = tail
        .iter()
        .position(|&b| b == 0)
        .ok_or(ElfError::Malformed("a name in DT_STRTAB does not end"))?;
    Ok(&tail[..len])
}
