//! What a file is that is no shared library, and what to name instead of it.
//!
//! Programs look like libraries to a reader of dynamic sections: a PIE is ET_DYN, and
//! the copies that a program has of a library's objects bear versions that it does not
//! define. This module must not search for other files; it only looks whether a shared
//! library lies beside its archive.

use std::path::Path;

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use crate::elf::{Dynamic, ElfError, ElfFile};
use crate::shell::quoted;

/// Most bytes of a linker script that are looked at for the library that it names.
const MAX_SCRIPT: usize = 64 * 1024;

/// What a file is, instead of a shared library.
#[derive(Debug)]
pub struct Other {
    /// What it is, with its article.
    pub what: &'static str,
    /// What to do instead.
    pub instead: String,
}

impl Other {
    fn new(what: &'static str, instead: impl Into<String>) -> Self {
        let instead = instead.into();
        Self { what, instead }
    }

    /// What the file at `path` is by its first bytes; `None` if it may be ELF.
    pub(super) fn of_bytes(path: &Path, data: &[u8]) -> Option<Self> {
        if data.starts_with(b"!<arch>\ndebian-binary") {
            let unpack = format!("dpkg-deb -x {} DIR", quoted(path));
            let instead = format!("unpack it (`{unpack}`) and name a library in it");
            return Some(Self::new("a Debian package", instead));
        }
        if !data.starts_with(b"!<arch>\n") && !data.starts_with(b"!<thin>\n") {
            return None;
        }
        let library = path.with_extension("so");
        Some(Self::new(
            "a static archive",
            match library.is_file() {
                true => format!("name the library (`{}`)", library.display()),
                false => "name the shared library of that name".into(),
            },
        ))
    }

    /// What the file at `path` is that could not be read for `error`, if that tells.
    pub(super) fn of_error(error: &ElfError, data: &[u8]) -> Option<Self> {
        match error {
            ElfError::Io(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
                let instead = "name a library in it, or use `indir stub --tree` for all of it";
                Some(Self::new("a directory", instead))
            }
            ElfError::Text("linker script") => {
                let named = match library_of_script(data) {
                    Some(name) => format!("name the library that it names (`{name}`)"),
                    None => "name the library that it names".into(),
                };
                let instead = format!("{named}, or use `indir stub --tree` for a whole folder");
                Some(Self::new("a linker script", instead))
            }
            ElfError::Type => match data.get(16..18)?.try_into().map(u16::from_le_bytes) {
                Ok(kind) if kind == elf::ET_REL.0 => {
                    let instead = "name the library that it is linked into";
                    Some(Self::new("a relocatable object", instead))
                }
                Ok(kind) if kind == elf::ET_CORE.0 => {
                    Some(Self::new("a core dump", "name a library"))
                }
                _ => None,
            },
            _ => None,
        }
    }

    /// What the ELF file at `path` is; `None` if it may be a library.
    pub(super) fn of_elf(path: &Path, file: &ElfFile<'_>) -> Option<Self> {
        if is_debug_file(file) {
            let instead = "name the library that it was split from";
            return Some(Self::new("a file of debug information", instead));
        }
        let dynamic = file.dynamic().ok()?;
        if !is_program(file, dynamic.as_ref()) {
            return None;
        }
        if dynamic.is_none_or(|d| d.needed.is_empty()) {
            return Some(Self::new("a statically linked program", "name a library"));
        }
        let lists = match file.notes().reference {
            Some(_) => "indir show",
            None => "ldd",
        };
        let instead = format!(
            "name one of the libraries that it needs (`{lists} {}` lists them)",
            quoted(path)
        );
        Some(Self::new("a program", instead))
    }
}

/// By the rules of elfutils' `elfclassify --executable`: linkers mark PIEs since 2016;
/// before, a program had no soname, but an interpreter or DT_DEBUG.
fn is_program(file: &ElfFile<'_>, dynamic: Option<&Dynamic<'_>>) -> bool {
    if file.kind() == elf::ET_EXEC {
        return true;
    }
    let Some(dynamic) = dynamic else {
        return file.interpreter().is_some();
    };
    let flags = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0);
    flags & elf::DF_1_PIE.0 != 0
        || dynamic.soname.is_none()
            && (file.interpreter().is_some() || dynamic.value(elf::DT_DEBUG).is_some())
}

/// Whether the dynamic section was left in the file that this one was split from.
fn is_debug_file(file: &ElfFile<'_>) -> bool {
    const LE: LittleEndian = LittleEndian;
    let Some(dynamic) = file.segment(elf::PT_DYNAMIC) else {
        return false;
    };
    let data = file.data();
    let header = elf::FileHeader64::<LittleEndian>::parse(data);
    let Ok(sections) = header.and_then(|header| header.sections(LE, data)) else {
        return false;
    };
    sections.iter().any(|section| {
        section.sh_type(LE) == elf::SHT_NOBITS
            && section.sh_flags(LE).0 & elf::SHF_TLS.0 == 0
            && section.sh_addr(LE) == dynamic.vaddr
            && section.sh_size(LE) == dynamic.memsz
    })
}

/// The first library that a linker script names, `-lNAME` as its file.
fn library_of_script(data: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(&data[..data.len().min(MAX_SCRIPT)]);
    let words = || text.split(|c: char| c.is_whitespace() || "(),".contains(c));
    let file = words().find(|word| word.contains(".so"));
    let option = || words().find_map(|word| word.strip_prefix("-l"));
    file.map(str::to_owned)
        .or_else(|| option().map(|name| format!("lib{name}.so")))
}
