//! Static archives that go beside stubs, rewritten deterministically.
//!
//! GNU format: no times, owners or modes, members normalised, a symbol index.
//! This module must not touch files.

use object::elf;
use object::endian::LittleEndian;
use object::read::archive::ArchiveFile;
use object::read::elf::{FileHeader as _, Sym as _};

use super::objects;

/// Most members of an archive that goes beside stubs.
const MAX_MEMBERS: usize = 1 << 16;

/// Why an archive cannot be rewritten.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is malformed.
    #[error("malformed archive: {0}")]
    Malformed(#[from] object::read::Error),
    /// It names its members instead of holding them.
    #[error("a thin archive; its members lie elsewhere")]
    Thin,
    /// Sizes do not fit the format.
    #[error("too large for an archive")]
    Large,
}

/// Whether `data` is an archive.
pub fn is_archive(data: &[u8]) -> bool {
    data.starts_with(b"!<arch>\n") || data.starts_with(b"!<thin>\n")
}

/// A rewritten archive.
#[derive(Debug)]
pub struct Archive {
    /// The new archive.
    pub bytes: Vec<u8>,
    /// Members that could not be normalised and are as they were, and why.
    pub kept: Vec<String>,
}

/// Rewrites an archive.
///
/// # Errors
/// When it is malformed.
pub fn normalise(data: &[u8]) -> Result<Archive, ArchiveError> {
    if data.starts_with(b"!<thin>\n") {
        return Err(ArchiveError::Thin);
    }
    let archive = ArchiveFile::parse(data)?;
    let mut members: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut kept = Vec::new();
    for member in archive.members() {
        let member = member?;
        let content = member.data(data)?;
        let name = member.name().to_vec();
        let normal = match objects::is_relocatable(content) {
            true => objects::normalise(content),
            false => Ok(content.to_vec()),
        };
        let content = normal.unwrap_or_else(|error| {
            kept.push(format!(
                "member {}: {error}",
                String::from_utf8_lossy(&name)
            ));
            content.to_vec()
        });
        if members.len() >= MAX_MEMBERS {
            return Err(ArchiveError::Large);
        }
        members.push((name, content));
    }
    let bytes = write(&members).ok_or(ArchiveError::Large)?;
    Ok(Archive { bytes, kept })
}

/// The archive of `members`; `None` when something does not fit.
fn write(members: &[(Vec<u8>, Vec<u8>)]) -> Option<Vec<u8>> {
    let mut long_names = Vec::new();
    let mut names = Vec::new();
    for (name, _) in members {
        if name.len() < 16 && !name.contains(&b'/') {
            names.push([name.as_slice(), b"/"].concat());
        } else {
            names.push(format!("/{}", long_names.len()).into_bytes());
            long_names.extend_from_slice(name);
            long_names.extend_from_slice(b"/\n");
        }
    }
    let symbols: Vec<Vec<Vec<u8>>> = members.iter().map(|m| exported(&m.1)).collect();
    let count: usize = symbols.iter().map(Vec::len).sum();
    let text: usize = symbols.iter().flatten().map(|s| s.len() + 1).sum();
    let even = |len: usize| len.next_multiple_of(2);
    let index_len = 4 + 4 * count + text;
    let mut at = 8;
    if count > 0 {
        at += 60 + even(index_len);
    }
    if !long_names.is_empty() {
        at += 60 + even(long_names.len());
    }
    let mut index = u32::try_from(count).ok()?.to_be_bytes().to_vec();
    for ((_, content), symbols) in members.iter().zip(&symbols) {
        for _ in symbols {
            index.extend_from_slice(&u32::try_from(at).ok()?.to_be_bytes());
        }
        at += 60 + even(content.len());
    }
    for symbol in symbols.iter().flatten() {
        index.extend_from_slice(symbol);
        index.push(0);
    }
    let mut out = b"!<arch>\n".to_vec();
    if count > 0 {
        member(&mut out, b"/", &index)?;
    }
    if !long_names.is_empty() {
        member(&mut out, b"//", &long_names)?;
    }
    for (name, (_, content)) in names.iter().zip(members) {
        member(&mut out, name, content)?;
    }
    Some(out)
}

fn member(out: &mut Vec<u8>, name: &[u8], content: &[u8]) -> Option<()> {
    let size = content.len().to_string();
    if name.len() > 16 || size.len() > 10 {
        return None;
    }
    let mut header = [b' '; 60];
    header[..name.len()].copy_from_slice(name);
    // Time, owner, group; the mode of a plain file, as `ar D` writes it.
    header[16] = b'0';
    header[28] = b'0';
    header[34] = b'0';
    header[40..43].copy_from_slice(b"644");
    header[48..48 + size.len()].copy_from_slice(size.as_bytes());
    header[58..].copy_from_slice(b"`\n");
    out.extend_from_slice(&header);
    out.extend_from_slice(content);
    if content.len() % 2 == 1 {
        out.push(b'\n');
    }
    Some(())
}

/// Names that the index lists: defined, common and not local.
fn exported(object: &[u8]) -> Vec<Vec<u8>> {
    const LE: LittleEndian = LittleEndian;
    let read = || -> object::read::Result<Vec<Vec<u8>>> {
        let header = elf::FileHeader64::<LittleEndian>::parse(object)?;
        let sections = header.sections(LE, object)?;
        let symbols = sections.symbols(LE, object, elf::SHT_SYMTAB)?;
        let mut names = Vec::new();
        for symbol in symbols.iter() {
            let local = symbol.st_bind() == elf::STB_LOCAL;
            if !local && !symbol.is_undefined(LE) {
                names.push(symbols.symbol_name(LE, symbol)?.to_vec());
            }
        }
        Ok(names)
    };
    if objects::is_relocatable(object) {
        read().unwrap_or_default()
    } else {
        Vec::new()
    }
}
