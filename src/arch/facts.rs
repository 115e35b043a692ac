//! What has to be known of a machine.

use object::elf::{DynamicTag, Machine};

use super::relocation::Relocations;

/// A text that the shim knows as bytes.
pub(super) const fn text(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("names of files are ASCII"),
    }
}

/// The first of several with a NUL between.
pub(super) const fn first(bytes: &'static [u8]) -> &'static str {
    let mut rest = bytes;
    let mut len = 0;
    while let [byte, more @ ..] = rest {
        if *byte == 0 {
            break;
        }
        len += 1;
        rest = more;
    }
    text(bytes.split_at(len).0)
}

/// The facts of one machine.
#[derive(Debug)]
pub struct Arch {
    /// `e_machine`.
    pub machine: Machine,
    /// What it is called in messages.
    pub name: &'static str,
    /// Name of glibc's ld.so, its soname too.
    pub ldso: &'static str,
    /// The interpreter of the psABI, where distributions have ld.so.
    pub interpreter: &'static str,
    /// File name of the shim.
    pub shim: &'static str,
    /// File name of the binder, which lies beside the shim.
    pub binder: &'static str,
    /// File name of the object with the usual note, which lies beside the shim.
    pub note_object: &'static str,
    /// What linkers call it (`-m`).
    pub emulations: &'static [&'static str],
    /// What `$LIB` stands for in Debian's multiarch glibc.
    pub lib: &'static str,
    /// What `$PLATFORM` stands for.
    pub platform: &'static str,
    /// Folders that ld.so searches last: those of Debian's multiarch glibc and of
    /// upstream's.
    pub folders: &'static [&'static str],
    /// Folders under `glibc-hwcaps`, for some processors only.
    pub hwcaps: &'static [&'static str],
    /// Flags of /etc/ld.so.cache, the best first (glibc sysdeps/generic/ldconfig.h).
    pub cache_flags: &'static [u32],
    /// Largest page that kernels for it map by, in bytes: the alignment of segments.
    pub page: u64,
    /// The earliest symbol version of its glibc.
    pub first_version: &'static str,
    /// The instruction that stops whoever comes to it.
    pub trap: &'static [u8],
    /// Its relocation types.
    pub relocations: Relocations,
    /// A dynamic tag, and a bit of `st_other`: in an object with the tag, functions
    /// with the bit are never bound late.
    pub eager: Option<(DynamicTag, u8)>,
}
