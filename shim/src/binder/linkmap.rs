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
    /// A function that is called at every change.
    pub brk: usize,
    /// Whether the list is being changed.
    pub state: i32,
    /// Where ld.so lies.
    pub ldbase: usize,
}

/// More than any ld.so takes in memory.
const LDSO: usize = 16 << 20;

impl RDebug {
    /// Whether it is ld.so's: it tells an address of ld.so, and lies close behind. What
    /// LD_PRELOAD or LD_LIBRARY_PATH bring may have a variable of that name with
    /// anything in it, and comes first.
    pub fn is_of_ldso(&self) -> bool {
        let at = core::ptr::from_ref(self) as usize;
        self.version > 0 && self.ldbase != 0 && at.wrapping_sub(self.ldbase) < LDSO
    }
}
