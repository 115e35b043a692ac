//! What differs between machines: everything that the host's tools have to know of a
//! processor, of its psABI, and of glibc's port to it.
//!
//! A file a machine; nothing outside of folders called `arch` may name one
//! (`tests/it/system/machines.rs`). docs/porting.md has the list of what a new one needs.
//! The shim and the binder have theirs in `shim/src/arch`, what goes into a link in
//! `linker-plugin/src/arch`.

pub mod aarch64;
mod facts;
pub mod relocation;
pub mod x86_64;

use object::elf::Machine;

pub use facts::Arch;
pub use relocation::{Class, Kind, Relocations};

/// Every machine that is served.
pub static ALL: [&Arch; 2] = [&x86_64::ARCH, &aarch64::ARCH];

impl Arch {
    /// The one with this `e_machine`, if it is served.
    pub fn of(machine: Machine) -> Option<&'static Self> {
        ALL.into_iter().find(|arch| arch.machine == machine)
    }

    /// The one that this runs on.
    pub fn own() -> &'static Self {
        let own = Self::of(Machine(indir_shim::arch::MACHINE));
        own.unwrap_or(&x86_64::ARCH)
    }

    /// The one whose ld.so of glibc is called `name`.
    pub fn of_ldso(name: &[u8]) -> Option<&'static Self> {
        ALL.into_iter().find(|arch| arch.ldso.as_bytes() == name)
    }

    /// The one whose shim is called `name`.
    pub fn of_shim(name: &[u8]) -> Option<&'static Self> {
        ALL.into_iter().find(|arch| arch.shim.as_bytes() == name)
    }

    /// Which of [`ALL`] it is.
    pub fn index(&self) -> usize {
        let is_it = |arch: &&Self| arch.machine == self.machine;
        ALL.iter().position(is_it).unwrap_or(0)
    }
}

impl PartialEq for Arch {
    fn eq(&self, other: &Self) -> bool {
        self.machine == other.machine
    }
}

impl Eq for Arch {}

impl Default for &'static Arch {
    fn default() -> Self {
        Arch::own()
    }
}
