//! On-disk layout of the table: plain little-endian structures of alignment 1.
//!
//! This file is the only description of the bytes; the host writes them through
//! `zerocopy`, readers cast (see `record`). docs/table-format.md explains
//! the fields and the rule for old and new readers and writers.

use crate::format::record::{Le16, Le32, record};

/// First eight bytes of every table.
pub const MAGIC: [u8; 8] = *b"INDIRTBL";
/// Format version that this source reads and writes.
pub const VERSION: u16 = 2;
/// Longest table that any reader accepts, in bytes.
pub const MAX_TABLE: usize = 1024 * 1024;
/// Most objects that a table may name.
pub const MAX_OBJECTS: usize = 2048;
/// Bytes kept of a build-id: all of a SHA-1 one, the start of a longer one.
pub const ID_LEN: usize = 20;

/// `Header::plan`: paths only.
pub const PLAN_DIRECT: u8 = 0;
/// `Header::plan`: paths and bindings.
pub const PLAN_BOUND: u8 = 1;

/// `Object::flags`: this is ld.so itself; it is named by its own path.
pub const OBJECT_LDSO: u8 = 1;
/// `Object::flags`: ld.so shall search by soname, because a glibc-hwcaps
/// variant may suit the processor better than the file at `path`.
pub const OBJECT_SEARCH: u8 = 2;
/// `Object::flags`: DT_RPATH of the executable named it, so that LD_LIBRARY_PATH
/// does not replace it.
pub const OBJECT_FIXED: u8 = 4;
/// `Object::flags`: it belongs to the build of glibc that ld.so is of, and
/// LD_LIBRARY_PATH replaces it only together with that ld.so.
pub const OBJECT_GLIBC: u8 = 8;

/// `Header::flags`: `search` becomes DT_RUNPATH, which what is loaded later does
/// not inherit, instead of DT_RPATH.
pub const SEARCH_OWN: u8 = 1;

/// `Identity::kind`: nothing is known.
pub const IDENTITY_NONE: u8 = 0;
/// `Identity::kind`: `bytes` is the GNU build-id.
pub const IDENTITY_BUILD_ID: u8 = 1;
/// `Identity::kind`: size (8 bytes) and mtime in nanoseconds (8 bytes).
pub const IDENTITY_SIZE_MTIME: u8 = 2;

record! {
    /// A NUL-terminated string: offset from the start of the table, and length in
    /// bytes without the NUL. An absent string has offset 0.
    pub struct Str, 6 bytes {
        /// Offset from the start of the table, in bytes; 0 if absent.
        pub offset: Le32,
        /// Length in bytes, without the terminating NUL.
        pub len: Le16,
    }
}

record! {
    /// What identifies a file's content without reading it.
    pub struct Identity, 22 bytes {
        /// One of the `IDENTITY_` constants.
        pub kind: u8,
        /// Used bytes of `bytes`.
        pub len: u8,
        /// See `kind`; unused bytes are zero.
        pub bytes: [u8; ID_LEN],
    }
}

record! {
    /// One object of the closure, in ld.so's breadth-first order.
    pub struct Object, 35 bytes {
        /// Name under which the closure asks for it (a DT_NEEDED string).
        pub soname: Str,
        /// Path of the file that provides it: absolute, or beginning with
        /// `$ORIGIN/`, which stands for the executable's folder.
        pub path: Str,
        /// Content of that file when the table was written.
        pub identity: Identity,
        /// `OBJECT_` bits.
        pub flags: u8,
    }
}

record! {
    /// Start of the table.
    pub struct Header, 149 bytes {
        /// [`MAGIC`].
        pub magic: [u8; 8],
        /// [`VERSION`]; a reader refuses any other.
        pub version: Le16,
        /// Size of this structure in the writer; at least the reader's.
        pub header_len: Le16,
        /// Size of [`Object`] in the writer; at least the reader's.
        pub object_len: Le16,
        /// ELF machine (`e_machine`) of the executable.
        pub machine: Le16,
        /// Length of the whole table in bytes.
        pub total_len: Le32,
        /// Number of objects; they follow the header immediately.
        pub object_count: Le16,
        /// One of the `PLAN_` constants.
        pub plan: u8,
        /// Used bytes of `exe_id`.
        pub exe_id_len: u8,
        /// Id of the executable that the table is for (see `note`).
        pub exe_id: [u8; ID_LEN],
        /// SHA-256 of the table with this field zero, cut to 16 bytes. Bindings
        /// repeat it; the shim does not compute it.
        pub digest: [u8; 16],
        /// SHA-256 of the sorted list of what the closure needs of its libraries.
        pub abi_digest: [u8; 32],
        /// Path of ld.so, as an object's.
        pub ldso: Str,
        /// Content of ld.so when the table was written.
        pub ldso_identity: Identity,
        /// Address space that ld.so's PT_LOAD segments span, in bytes.
        pub ldso_span: Le32,
        /// Offset of `_r_debug` from ld.so's load address; 0 if unknown.
        pub ldso_r_debug: Le32,
        /// Folders for libraries that are asked for later, joined by `:` (DT_RPATH,
        /// or DT_RUNPATH with [`SEARCH_OWN`]).
        pub search: Str,
        /// The search inputs that made the table, for `indir update` to repeat.
        pub inputs: Str,
        /// Absolute path of the binder; absent in a direct plan.
        pub binder: Str,
        /// `SEARCH_` bits.
        pub flags: u8,
        /// How many bytes of `search` LD_LIBRARY_PATH comes behind: whole folders.
        pub search_fixed: Le16,
    }
}
