//! Symbol versions: DT_VERSYM, DT_VERDEF, DT_VERNEED (the GNU extension that
//! Solaris began; LSB Core, "Symbol Versioning").

use object::elf;

use super::{Dynamic, ElfError, ElfFile};

/// Most names in the definitions of one file; chains may overlap, so the size
/// of the file is no bound.
const MAX_NAMES: usize = 1 << 17;

/// The bit of a version index that makes a definition non-default (`@`).
pub const VERSYM_HIDDEN: u16 = 0x8000;

/// A version that the object defines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionDef<'a> {
    /// `vd_ndx`, without the hidden bit.
    pub index: u16,
    /// `vd_flags`: VER_FLG_BASE, VER_FLG_WEAK.
    pub flags: u16,
    /// Its name.
    pub name: &'a [u8],
    /// The versions that it inherits from.
    pub parents: Vec<&'a [u8]>,
}

/// A version that the object needs of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionNeed<'a> {
    /// `vna_other`: the index that symbols refer to it by.
    pub index: u16,
    /// `vna_flags`: VER_FLG_WEAK.
    pub flags: u16,
    /// Whether `vna_other` has the hidden bit: the need is not satisfied by a
    /// definition without version.
    pub hidden: bool,
    /// `vn_file`: soname of the file.
    pub file: &'a [u8],
    /// Its name.
    pub name: &'a [u8],
}

/// All version facts of one object.
#[derive(Clone, Debug, Default)]
pub struct Versions<'a> {
    versym: &'a [u8],
    /// DT_VERDEF, in file order.
    pub defs: Vec<VersionDef<'a>>,
    /// DT_VERNEED, in file order.
    pub needs: Vec<VersionNeed<'a>>,
}

impl<'a> ElfFile<'a> {
    /// Version definitions and needs.
    ///
    /// # Errors
    /// When a chain leaves the file or does not end.
    pub fn versions(&self, dynamic: &Dynamic<'a>) -> Result<Versions<'a>, ElfError> {
        Versions::read(self, dynamic)
    }
}

impl<'a> Versions<'a> {
    fn read(file: &ElfFile<'a>, dynamic: &Dynamic<'a>) -> Result<Self, ElfError> {
        let mut versions = Self::default();
        if let Some(at) = dynamic.value(elf::DT_VERSYM) {
            versions.versym = file
                .bytes_at(at)
                .ok_or(ElfError::Malformed("DT_VERSYM lies outside of the file"))?;
        }
        if let Some(at) = dynamic.value(elf::DT_VERDEF) {
            let bytes = file
                .bytes_at(at)
                .ok_or(ElfError::Malformed("DT_VERDEF lies outside of the file"))?;
            versions.defs = read_defs(bytes, dynamic)?;
        }
        if let Some(at) = dynamic.value(elf::DT_VERNEED) {
            let bytes = file
                .bytes_at(at)
                .ok_or(ElfError::Malformed("DT_VERNEED lies outside of the file"))?;
            versions.needs = read_needs(bytes, dynamic)?;
        }
        Ok(versions)
    }

    /// Whether the object has DT_VERSYM.
    pub fn has_versym(&self) -> bool {
        !self.versym.is_empty()
    }

    /// Raw version index of symbol `index`, hidden bit included.
    pub fn versym(&self, index: usize) -> Option<u16> {
        let at = index.checked_mul(2)?;
        Some(u16::from_le_bytes(*self.versym.get(at..)?.first_chunk()?))
    }

    /// The defined version with this index (hidden bit ignored).
    pub fn def(&self, index: u16) -> Option<&VersionDef<'a>> {
        let index = index & !VERSYM_HIDDEN;
        self.defs.iter().find(|d| d.index == index)
    }

    /// The needed version with this index (hidden bit ignored).
    pub fn need(&self, index: u16) -> Option<&VersionNeed<'a>> {
        let index = index & !VERSYM_HIDDEN;
        self.needs.iter().find(|n| n.index == index)
    }
}

const BAD_DEF: ElfError = ElfError::Malformed("DT_VERDEF is inconsistent");
const BAD_NEED: ElfError = ElfError::Malformed("DT_VERNEED is inconsistent");

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// Follows a `*_next` chain from `at`; every step moves forward, so it ends.
fn step(at: usize, next: u32) -> Option<usize> {
    if next == 0 {
        None
    } else {
        at.checked_add(next as usize)
    }
}

fn read_defs<'a>(bytes: &'a [u8], dynamic: &Dynamic<'a>) -> Result<Vec<VersionDef<'a>>, ElfError> {
    let mut defs = Vec::new();
    let mut total = 0;
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let count = half(bytes, at + 6).ok_or(BAD_DEF)?;
        total += usize::from(count);
        let mut aux = at.checked_add(word(bytes, at + 12).ok_or(BAD_DEF)? as usize);
        let mut names = Vec::new();
        for _ in 0..count {
            let here = aux.ok_or(BAD_DEF)?;
            let name = word(bytes, here).ok_or(BAD_DEF)?;
            names.push(dynamic.string(u64::from(name))?);
            aux = step(here, word(bytes, here + 4).ok_or(BAD_DEF)?);
        }
        if names.is_empty() || total > MAX_NAMES {
            return Err(BAD_DEF);
        }
        defs.push(VersionDef {
            index: half(bytes, at + 4).ok_or(BAD_DEF)? & !VERSYM_HIDDEN,
            flags: half(bytes, at + 2).ok_or(BAD_DEF)?,
            name: names.remove(0),
            parents: names,
        });
        cursor = step(at, word(bytes, at + 16).ok_or(BAD_DEF)?);
    }
    Ok(defs)
}

fn read_needs<'a>(
    bytes: &'a [u8],
    dynamic: &Dynamic<'a>,
) -> Result<Vec<VersionNeed<'a>>, ElfError> {
    let mut needs = Vec::new();
    let mut cursor = Some(0);
    while let Some(at) = cursor {
        let count = half(bytes, at + 2).ok_or(BAD_NEED)?;
        let file = dynamic.string(u64::from(word(bytes, at + 4).ok_or(BAD_NEED)?))?;
        let mut aux = at.checked_add(word(bytes, at + 8).ok_or(BAD_NEED)? as usize);
        for _ in 0..count {
            let here = aux.ok_or(BAD_NEED)?;
            let name = word(bytes, here + 8).ok_or(BAD_NEED)?;
            let other = half(bytes, here + 6).ok_or(BAD_NEED)?;
            needs.push(VersionNeed {
                index: other & !VERSYM_HIDDEN,
                hidden: other & VERSYM_HIDDEN != 0,
                flags: half(bytes, here + 4).ok_or(BAD_NEED)?,
                file,
                name: dynamic.string(u64::from(name))?,
            });
            aux = step(here, word(bytes, here + 12).ok_or(BAD_NEED)?);
        }
        if needs.len() > usize::from(u16::MAX) {
            return Err(BAD_NEED);
        }
        cursor = step(at, word(bytes, at + 12).ok_or(BAD_NEED)?);
    }
    Ok(needs)
}
