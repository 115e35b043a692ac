//! Which machine a file is for: in the shim and the binder always the one that they are
//! built for, in the host's tools any that there is a shim of.

#[cfg(all(not(feature = "host"), target_arch = "aarch64"))]
use crate::arch::aarch64 as own;
#[cfg(all(not(feature = "host"), target_arch = "x86_64"))]
use crate::arch::x86_64 as own;
#[cfg(feature = "host")]
use crate::arch::{aarch64, x86_64};

/// The machine of a file that is read.
#[cfg(not(feature = "host"))]
#[derive(Clone, Copy, Debug)]
pub struct Served;

#[cfg(not(feature = "host"))]
impl Served {
    /// Whether files for this `e_machine` can be read.
    #[inline]
    pub const fn includes(machine: u16) -> bool {
        machine == own::MACHINE
    }

    /// The machine with this `e_machine`, which is included.
    #[inline]
    pub const fn known(_machine: u16) -> Self {
        Self
    }

    /// Its IRELATIVE relocation.
    #[inline]
    pub const fn irelative(self) -> u32 {
        own::R_IRELATIVE
    }
}

/// The machine of a file that is read: its `e_machine`.
#[cfg(feature = "host")]
#[derive(Clone, Copy, Debug)]
pub struct Served(u16);

#[cfg(feature = "host")]
impl Served {
    /// Whether files for this `e_machine` can be read.
    pub const fn includes(machine: u16) -> bool {
        matches!(machine, x86_64::MACHINE | aarch64::MACHINE)
    }

    /// The machine with this `e_machine`, which is included.
    pub const fn known(machine: u16) -> Self {
        Self(machine)
    }

    /// Its IRELATIVE relocation.
    pub const fn irelative(self) -> u32 {
        match self.0 {
            aarch64::MACHINE => aarch64::R_IRELATIVE,
            _ => x86_64::R_IRELATIVE,
        }
    }
}
