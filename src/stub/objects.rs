//! Relocatable objects that compilers link in (crt1.o, members of
//! libc_nonshared.a), without what changes from build to build.
//!
//! Debug information, comments and source file names go; code, data, symbols
//! and GNU properties stay. This module must not touch files.

use object::build::elf::Builder;
use object::elf;

/// Why an object cannot be normalised.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ObjectError(#[from] object::build::Error);

/// Sections that say how an object was built, not what it does.
fn is_chaff(name: &[u8]) -> bool {
    let name = name.strip_prefix(b".rela").unwrap_or(name);
    let prefixes: [&[u8]; 5] = [
        b".debug",
        b".comment",
        b".stab",
        b".gnu.build.attributes",
        b".note.gnu.build-id",
    ];
    prefixes.iter().any(|prefix| name.starts_with(prefix)) || name == b".gnu_debuglink"
}

/// Whether `data` is a 64-bit little-endian relocatable object.
pub fn is_relocatable(data: &[u8]) -> bool {
    data.starts_with(&elf::ELFMAG)
        && data.get(4) == Some(&elf::ELFCLASS64.0)
        && data.get(5) == Some(&elf::ELFDATA2LSB.0)
        && data.get(16..18) == Some(&elf::ET_REL.0.to_le_bytes()[..])
}

/// Rewrites a relocatable object without debug information, comments and
/// source file names.
///
/// # Errors
/// When it is malformed.
pub fn normalise(data: &[u8]) -> Result<Vec<u8>, ObjectError> {
    let mut builder = Builder::read(data)?;
    for section in builder.sections.iter_mut() {
        section.delete = is_chaff(&section.name);
    }
    for symbol in builder.symbols.iter_mut() {
        symbol.delete = symbol.st_type() == elf::STT_FILE;
    }
    builder.delete_orphans();
    let mut out = Vec::new();
    builder.write(&mut out)?;
    Ok(out)
}
