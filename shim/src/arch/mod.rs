//! Everything that depends on the processor, behind the same names: the entry
//! point, system calls, memory primitives and ELF constants.
//!
//! [`x86_64`] and [`aarch64`] are there for tools that read files of any machine; the
//! other names are those of the machine that this is built for. A port is a new folder
//! here; nothing else in the crate may name a machine.

pub mod aarch64;
mod served;
mod time;
pub mod x86_64;

pub use served::Served;

#[cfg(target_arch = "aarch64")]
pub use aarch64::{LDSO, LIB, MACHINE, PLATFORM, R_IRELATIVE, R_RELATIVE, system::*};
#[cfg(target_arch = "x86_64")]
pub use x86_64::{LDSO, LIB, MACHINE, PLATFORM, R_IRELATIVE, R_RELATIVE, system::*};
