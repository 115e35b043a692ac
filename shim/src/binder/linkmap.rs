//! The public part of ld.so's view of the process (glibc elf/link.h).

use core::ffi::c_char;

use crate::elf::Dyn;

/// `struct link_map`, its public fields.
#[repr(C)]
pub struct LinkMap {
    /// Load bias.
    pub addr: usize,
    /// Absolute path, or the name under which it was found.
    pub name: *const c_char,
    /// Its dynamic section.
    pub dynamic: *mut Dyn,
    /// The next object.
    pub next: *const LinkMap,
    /// The object before.
    pub prev: *const LinkMap,
}

/// `struct r_debug`, as far as it is used.
#[repr(C)]
pub struct RDebug {
    /// Version of the protocol, at least 1.
    pub version: i32,
    /// The first object: the executable.
    pub map: *const LinkMap,
}
