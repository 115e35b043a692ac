//! What the shim leaves for the binder.
//!
//! The binder is a library that ld.so loads; it shares nothing with the shim
//! but memory. The address of a [`Handover`] stands in the executable's copied
//! dynamic section under a tag of our own, which ld.so passes over
//! (elf/get-dynamic-info.h reads the tags that it knows).

use crate::arch::Page;
use crate::elf::Phdr;

/// Dynamic tag of the address; in the range for operating systems (gABI).
pub const TAG: u64 = 0x6e64_6972;

/// What the binder needs; all addresses are valid for the life of the process.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Handover {
    /// The table's bytes, checked by the shim.
    pub table: *const u8,
    /// Their number.
    pub table_len: usize,
    /// Path of the table, NUL-terminated.
    pub table_path: *const u8,
    /// Program headers of the executable.
    pub phdrs: *const Phdr,
    /// Their number.
    pub phnum: usize,
    /// Zeroed memory that is nobody else's.
    pub scratch: *mut u8,
    /// Its length in bytes.
    pub scratch_len: usize,
    /// Explain on stderr.
    pub debug: bool,
    /// AT_SECURE is set.
    pub secure: bool,
    /// The effective user.
    pub euid: u32,
    /// The owner of the table.
    pub owner: u32,
    /// What is mapped at once.
    pub page: Page,
}

/// Bytes of zeroed memory that the binder gets: addresses of all objects, and
/// about 10,000 relocations that are left for ld.so.
pub const SCRATCH: usize = 256 * 1024;
