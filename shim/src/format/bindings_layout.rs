//! On-disk layout of the bindings file: plain little-endian structures of
//! alignment 1, like the table's.
//!
//! This file is the only description of the bytes; docs/bindings-format.md
//! explains them. A file is a [`Header`], one [`ObjectBindings`] for each
//! object of the closure (the executable first, then the table's objects in
//! their order), the streams, entries and ranges that these name, and [`TAIL`]
//! bytes: the sum of all before them.
//!
//! A stream is a sequence of runs. A run is a [`Run`], then `count` steps of
//! one size: the distance from the slot before in units of the run's scale
//! (0 for the first one), then what is added to the run's `offset`. Both have
//! the widths that the run's `shape` says.

use crate::format::layout::Identity;
use crate::format::record::{Le16, Le32, Le64, record};

/// First eight bytes of every bindings file.
pub const MAGIC: [u8; 8] = *b"INDIRBND";
/// Format version that this source reads and writes.
pub const VERSION: u16 = 3;
/// Longest bindings file that any reader accepts, in bytes.
pub const MAX_BINDINGS: usize = 64 << 20;
/// Bytes of the sum at the end ([`bindings_sum`](super::bindings_sum)). A step is
/// read as eight bytes, of which the last ones may be these.
pub const TAIL: usize = 8;
/// Up to this many bytes of an object's ranges are summed more quickly than its file
/// is looked at.
pub const SUM_UP_TO: u64 = 12 * 1024;
/// Most ranges of one object.
pub const MAX_RANGES: usize = 16;
/// What is appended to a table's path to name its bindings.
pub const SUFFIX: &str = ".bind";

/// `ObjectBindings::flags`: all relocations stay with ld.so; the entry only
/// serves to recognise the object.
pub const OBJECT_LEFT: u8 = 1;
/// `ObjectBindings::flags`: DT_JMPREL stays with ld.so, DT_PLTRELSZ must not be
/// changed.
pub const OBJECT_KEEPS_JUMP: u8 = 2;
/// `ObjectBindings::flags`: `probe` may be used.
pub const OBJECT_PROBE: u8 = 4;
/// `ObjectBindings::flags`: its file lies in a store where a path never has
/// another content: `identity` and the path of the table are enough.
pub const OBJECT_STORED: u8 = 8;

/// `Run::target`: no object, values are absolute.
pub const TARGET_ABSOLUTE: u16 = u16::MAX;

/// `Run::shape`: bits 0 and 1, bytes of a distance, less one (1 to 4 bytes).
pub const SHAPE_DISTANCE: u8 = 0b0000_0011;
/// `Run::shape`: bits 2 and 3, bytes of an offset, less one (1 to 4 bytes).
pub const SHAPE_OFFSET: u8 = 0b0000_1100;
/// `Run::shape`: bits 4 to 6, log2 of the unit of distances.
pub const SHAPE_SCALE: u8 = 0b0111_0000;

record! {
    /// A part of the file.
    pub struct Part, 8 bytes {
        /// Offset from the start of the file, in bytes.
        pub offset: Le32,
        /// Length in bytes.
        pub len: Le32,
    }
}

record! {
    /// Start of the file.
    pub struct Header, 48 bytes {
        /// [`MAGIC`].
        pub magic: [u8; 8],
        /// [`VERSION`]; a reader refuses any other.
        pub version: Le16,
        /// Size of this structure in the writer; at least the reader's.
        pub header_len: Le16,
        /// Size of [`ObjectBindings`] in the writer; at least the reader's.
        pub object_len: Le16,
        /// ELF machine (`e_machine`) of the executable.
        pub machine: Le16,
        /// Length of the whole file in bytes, the sum included.
        pub total_len: Le32,
        /// Number of objects, the executable included.
        pub object_count: Le16,
        /// Zero.
        pub reserved: Le16,
        /// `Header::digest` of the table that the bindings belong to.
        pub digest: [u8; 16],
        /// Number of slots in all `bound` streams.
        pub bound_count: Le32,
        /// Number of Elf64_Rela entries that ld.so needs of all objects together:
        /// the sum of their `indirect_count` and `residual_count`.
        pub left_count: Le32,
    }
}

record! {
    /// A file as stat(2) sees it. Nobody can give another content all of these
    /// but with the clock set back, or by writing to the device: `status`
    /// is the kernel's own.
    pub struct FileState, 32 bytes {
        /// `st_ino`. Not `st_dev`, which changes from boot to boot.
        pub inode: Le64,
        /// `st_size`, in bytes.
        pub size: Le64,
        /// `st_mtim`, in nanoseconds since 1970.
        pub changed: Le64,
        /// `st_ctim`, in nanoseconds since 1970.
        pub status: Le64,
    }
}

record! {
    /// Bytes of an object's read-only segments.
    pub struct Range, 16 bytes {
        /// Address of the first one, relative to the load address.
        pub start: Le64,
        /// How many.
        pub len: Le64,
    }
}

record! {
    /// What is known of one object.
    pub struct ObjectBindings, 126 bytes {
        /// Content of its file when the bindings were computed, as in the table;
        /// looked at if it is [`OBJECT_STORED`].
        pub identity: Identity,
        /// `OBJECT_` bits.
        pub flags: u8,
        /// Zero.
        pub reserved: u8,
        /// How many objects at the front of the closure must be the expected ones
        /// for these bindings to hold: no lookup went further.
        pub reach: Le16,
        /// Its file, if it is not [`OBJECT_STORED`]; zero for the executable.
        pub file: FileState,
        /// Sum of `ranges`, in their order, and of a library's dynamic section.
        pub content: Le64,
        /// The [`Range`]s that binding depends on: program headers, symbols, names,
        /// versions, hash table, relocations that look a symbol up.
        pub ranges: Part,
        /// Address of its dynamic section, relative to the load address: the first
        /// thing to compare, since ld.so tells it without a look at the object.
        pub dynamic: Le64,
        /// Number of RELATIVE entries at the front of its DT_RELA (DT_RELACOUNT).
        pub relative_count: Le32,
        /// Slots that the binder writes: a stream.
        pub bound: Part,
        /// Slots that hold what an IFUNC resolver returns: a stream of resolvers.
        pub indirect: Part,
        /// Number of slots in `indirect`.
        pub indirect_count: Le32,
        /// Offset of its Elf64_Rela entries that ld.so processes as they are.
        pub residual: Le32,
        /// Number of these entries.
        pub residual_count: Le32,
        /// A slot of `bound`, relative to the load address.
        pub probe: Le32,
        /// What the slot holds until the object is relocated.
        pub probe_value: Le64,
    }
}

record! {
    /// Start of a run.
    pub struct Run, 13 bytes {
        /// Index of the object that the values are addresses in, or
        /// [`TARGET_ABSOLUTE`].
        pub target: Le16,
        /// Number of slots, at least 1.
        pub count: Le16,
        /// Address of the first slot, relative to the load address.
        pub first: Le32,
        /// What is added to each value, relative to the target's load address.
        pub offset: Le32,
        /// `SHAPE_` fields.
        pub shape: u8,
    }
}

record! {
    /// An Elf64_Rela, as the gABI defines it.
    pub struct Rela, 24 bytes {
        /// `r_offset`.
        pub offset: Le64,
        /// `r_info`.
        pub info: Le64,
        /// `r_addend`.
        pub addend: Le64,
    }
}
