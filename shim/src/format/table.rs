//! Bounds-checked reader of a table, shared by the shim and the host tools.
//!
//! A [`Table`] can only be made from bytes that were checked whole: every
//! string lies inside and ends in NUL, every object is present. It never
//! allocates and never panics.

use crate::bytes::text;
use crate::format::layout::{
    Header, MAGIC, MAX_OBJECTS, MAX_TABLE, Object, PLAN_BOUND, Str, VERSION,
};
use crate::format::record::{entry, file_header, header};
use core::ffi::CStr;

/// Why bytes are not a usable table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// No bytes at all.
    Empty,
    /// Shorter than its header says, or than a header.
    Truncated,
    /// Longer than [`MAX_TABLE`].
    TooLarge,
    /// The first bytes are not [`MAGIC`].
    NotATable,
    /// Another format version.
    Version,
    /// For another machine.
    Machine,
    /// An offset, a count or a string contradicts the rest.
    Corrupt,
}

impl TableError {
    /// What to tell a user; no trailing full stop.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Empty => "the table is empty",
            Self::Truncated => "the table is truncated",
            Self::TooLarge => "the table is too large",
            Self::NotATable => "the file is not a table",
            Self::Version => "the table has another format version",
            Self::Machine => "the table is for another architecture",
            Self::Corrupt => "the table is corrupt",
        }
    }
}

file_header! {
    Header: MAGIC, VERSION, at most MAX_TABLE bytes, else TableError::NotATable
}

/// A checked table.
#[derive(Clone, Copy, Debug)]
pub struct Table<'a> {
    bytes: &'a [u8],
    header: &'a Header,
}

/// One object of the closure.
#[derive(Clone, Copy, Debug)]
pub struct ObjectRef<'a> {
    /// Name under which it is asked for.
    pub soname: &'a CStr,
    /// Absolute path of the file.
    pub path: &'a CStr,
    /// Everything else, as stored.
    pub raw: &'a Object,
}

impl<'a> Table<'a> {
    /// Checks `bytes` whole.
    ///
    /// # Errors
    /// Says what is wrong first; bytes after `total_len` are refused, so that a
    /// table that was appended to is noticed.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, TableError> {
        if bytes.is_empty() {
            return Err(TableError::Empty);
        }
        let header = header::<Header>(bytes)?;
        let table = Table { bytes, header };
        if table.is_consistent() {
            Ok(table)
        } else {
            Err(TableError::Corrupt)
        }
    }

    fn is_consistent(&self) -> bool {
        let h = self.header;
        if (h.header_len.get() as usize) < size_of::<Header>()
            || (h.object_len.get() as usize) < size_of::<Object>()
            || h.object_count.get() as usize > MAX_OBJECTS
            || h.exe_id_len == 0
            || h.exe_id_len as usize > h.exe_id.len()
            || h.plan > PLAN_BOUND
            || self.exe_id().is_empty()
        {
            return false;
        }
        let scanned = |s: Str| self.raw_string(s).and_then(text);
        let absolute = |s: Str| {
            scanned(s).is_some_and(|s| {
                matches!(
                    s.to_bytes(),
                    [b'/', ..] | [b'$', b'O', b'R', b'I', b'G', b'I', b'N', b'/', ..]
                )
            })
        };
        let optional = |s: Str| s.offset.get() == 0 || scanned(s).is_some();
        if !absolute(h.ldso)
            || !optional(h.search)
            || !self.search_is_consistent()
            || !optional(h.inputs)
            || !(absolute(h.binder) || (h.plan != PLAN_BOUND && h.binder.offset.get() == 0))
        {
            return false;
        }
        let mut index = 0;
        while index < self.len() {
            match self.raw_object(index) {
                Some(raw) if absolute(raw.path) && raw.soname.len.get() != 0 => {
                    if scanned(raw.soname).is_none() {
                        return false;
                    }
                }
                _ => return false,
            }
            index += 1;
        }
        true
    }

    /// What LD_LIBRARY_PATH comes behind ends where a folder ends.
    fn search_is_consistent(&self) -> bool {
        let fixed = self.header.search_fixed.get() as usize;
        let search = self.raw_string(self.header.search).unwrap_or(b"\0");
        fixed == 0 || matches!(search.get(fixed), Some(b':' | 0))
    }

    /// The string that `s` names, with its NUL; `None` if absent or outside of
    /// the table.
    fn raw_string(&self, s: Str) -> Option<&'a [u8]> {
        let offset = s.offset.get() as usize;
        if offset == 0 {
            return None;
        }
        self.bytes.get(offset..)?.get(..s.len.get() as usize + 1)
    }

    /// The string that `s`, a field of this table, names.
    fn string(&self, s: Str) -> Option<&'a CStr> {
        let with_nul = self.raw_string(s)?;
        #[expect(unsafe_code, reason = "strings are scanned once, in `is_consistent`")]
        // SAFETY: `parse` made sure that every string of the table has its only
        // NUL at its end, and the bytes are borrowed since.
        Some(unsafe { CStr::from_bytes_with_nul_unchecked(with_nul) })
    }

    /// All bytes.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The fixed fields, as stored.
    pub const fn header(&self) -> &'a Header {
        self.header
    }

    /// Number of objects in the closure, without the executable.
    pub const fn len(&self) -> usize {
        self.header.object_count.get() as usize
    }

    /// Whether the executable needs no library.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn raw_object(&self, index: usize) -> Option<&'a Object> {
        let h = self.header;
        entry(self.bytes, h.header_len, h.object_len, index)
    }

    /// The object at `index` of ld.so's breadth-first order.
    pub fn object(&self, index: usize) -> Option<ObjectRef<'a>> {
        if index >= self.len() {
            return None;
        }
        let raw = self.raw_object(index)?;
        Some(ObjectRef {
            soname: self.string(raw.soname)?,
            path: self.string(raw.path)?,
            raw,
        })
    }

    /// All objects, in ld.so's breadth-first order.
    pub fn objects(&self) -> impl Iterator<Item = ObjectRef<'a>> + use<'a> {
        let table = *self;
        (0..table.len()).filter_map(move |index| table.object(index))
    }

    /// Id of the executable that the table is for.
    pub fn exe_id(&self) -> &'a [u8] {
        self.header
            .exe_id
            .get(..self.header.exe_id_len as usize)
            .unwrap_or(&[])
    }

    /// Absolute path of ld.so.
    pub fn ldso(&self) -> &'a CStr {
        self.string(self.header.ldso).unwrap_or(c"")
    }

    /// Folders to search for what is asked for later, joined by `:`.
    pub fn search(&self) -> &'a CStr {
        self.string(self.header.search).unwrap_or(c"")
    }

    /// The inputs that made the table, in the form of docs/table-format.md.
    pub fn inputs(&self) -> &'a CStr {
        self.string(self.header.inputs).unwrap_or(c"")
    }

    /// Absolute path of the binder, in a bound plan.
    pub fn binder(&self) -> Option<&'a CStr> {
        self.string(self.header.binder)
    }
}
