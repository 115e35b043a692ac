//! What a link for one machine or another needs to know; a file a machine.
//!
//! The linker wrapper and the linker plugin compile these same files, and the plugin is
//! built without dependencies, so nothing but `std` may be used here.

mod aarch64;
mod x86_64;

/// The facts of one machine.
#[derive(Debug)]
pub struct Machine {
    /// `e_machine`.
    pub number: u16,
    /// Name of glibc's ld.so.
    pub ldso: &'static [u8],
    /// The interpreter of the psABI, where distributions have ld.so.
    pub interpreter: &'static [u8],
    /// Entries of `.note.gnu.property`, as type and 32 bits: what an object without
    /// code says so that it takes no property from an executable. A linker keeps those
    /// of protection only if all inputs have them.
    pub properties: &'static [(u32, u32)],
}

/// Every machine that is served.
pub static ALL: [&Machine; 2] = [&x86_64::MACHINE, &aarch64::MACHINE];

/// The one that this runs on.
#[cfg(target_arch = "aarch64")]
pub static OWN: &Machine = &aarch64::MACHINE;
/// The one that this runs on.
#[cfg(not(target_arch = "aarch64"))]
pub static OWN: &Machine = &x86_64::MACHINE;

impl Machine {
    /// The one whose `e_machine` is `number`.
    pub fn of(number: u16) -> Option<&'static Self> {
        ALL.into_iter().find(|machine| machine.number == number)
    }

    /// The one whose ld.so is called as the file at `interpreter`.
    pub fn of_interpreter(interpreter: &[u8]) -> Option<&'static Self> {
        let name = interpreter.rsplit(|&byte| byte == b'/').next()?;
        ALL.into_iter().find(|machine| machine.ldso == name)
    }
}
