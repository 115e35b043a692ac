//! Who uses which bytes of a dynamic string table.
//!
//! Linkers merge tails: a run path may lie within another string, and another string
//! within it. Only bytes that nobody else refers to may change.

use object::elf::{self, DynamicTag};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use crate::elf::{Dynamic, ElfError, ElfFile};

const LE: LittleEndian = LittleEndian;
const SYMBOL_LEN: usize = 24;

/// Entries whose value is an offset into the string table, the run paths not counted.
const STRING_TAGS: [DynamicTag; 7] = [
    elf::DT_NEEDED,
    elf::DT_SONAME,
    elf::DT_AUXILIARY,
    elf::DT_FILTER,
    elf::DT_AUDIT,
    elf::DT_DEPAUDIT,
    elf::DT_CONFIG,
];

/// Those that name other files.
pub(super) const NAMING_TAGS: [DynamicTag; 6] = [
    elf::DT_NEEDED,
    elf::DT_AUXILIARY,
    elf::DT_FILTER,
    elf::DT_AUDIT,
    elf::DT_DEPAUDIT,
    elf::DT_CONFIG,
];

/// The bytes of a string table that somebody refers to.
#[derive(Clone, Debug)]
pub(super) struct Used {
    /// One for each byte.
    marks: Vec<bool>,
}

impl Used {
    /// Everything but the run paths. `None` if that cannot be told: the length of the
    /// symbol table is not known.
    ///
    /// # Errors
    /// When what refers to strings is malformed.
    pub(super) fn by_others(
        file: &ElfFile<'_>,
        dynamic: &Dynamic<'_>,
    ) -> Result<Option<Self>, ElfError> {
        let strings = dynamic.strings;
        let mut used = Self {
            marks: vec![false; strings.len()],
        };
        // Symbols without a name, and references that are absent, share this one.
        used.mark(strings, 0);
        for &(tag, value) in &dynamic.entries {
            if STRING_TAGS.contains(&tag) {
                used.mark(strings, value);
            }
        }
        let versions = file.versions(dynamic)?;
        let defs = versions.defs.iter();
        let defs = defs.flat_map(|def| def.parents.iter().copied().chain([def.name]));
        let needs = versions.needs.iter();
        let needs = needs.flat_map(|need| [need.file, need.name]);
        for name in defs.chain(needs) {
            let at = name.as_ptr().addr().wrapping_sub(strings.as_ptr().addr());
            used.mark(strings, at as u64);
        }
        let Some(symbols) = symbols(file, dynamic) else {
            return Ok(None);
        };
        for symbol in symbols.chunks_exact(SYMBOL_LEN) {
            let name = symbol.first_chunk().copied().map_or(0, u32::from_le_bytes);
            used.mark(strings, name.into());
        }
        Ok(Some(used))
    }

    /// Marks the string at `offset`, with its NUL.
    pub(super) fn mark(&mut self, strings: &[u8], offset: u64) {
        let Ok(from) = usize::try_from(offset) else {
            return;
        };
        let bytes = strings.get(from..).unwrap_or_default();
        let marks = self.marks.get_mut(from..).unwrap_or_default();
        for (byte, mark) in bytes.iter().zip(marks) {
            // From a byte that is used on, the rest of its string is.
            if std::mem::replace(mark, true) || *byte == 0 {
                break;
            }
        }
    }

    /// How many bytes from `offset` on nobody uses.
    pub(super) fn free_from(&self, offset: u64) -> usize {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        let marks = self.marks.get(from..).unwrap_or_default();
        marks.iter().take_while(|&&used| !used).count()
    }

    /// Every run of bytes that nobody uses: offset, length.
    pub(super) fn free(&self) -> Vec<(usize, usize)> {
        let mut runs = Vec::new();
        let mut at = 0;
        for run in self.marks.chunk_by(|a, b| a == b) {
            if run.first() == Some(&false) {
                runs.push((at, run.len()));
            }
            at += run.len();
        }
        runs
    }
}

/// The symbol table, or more: what lies behind it marks too many bytes, not too few.
/// DT_GNU_HASH does not tell its length where an executable defines nothing.
fn symbols<'a>(file: &ElfFile<'a>, dynamic: &Dynamic<'a>) -> Option<&'a [u8]> {
    let Some(at) = dynamic.value(elf::DT_SYMTAB) else {
        return Some(&[]);
    };
    let all = file.bytes_at(at)?;
    let strings = dynamic.value(elf::DT_STRTAB).unwrap_or(0);
    let len = section_len(file, at).or_else(|| strings.checked_sub(at))?;
    let known = file.symbols(dynamic).ok()?.len().checked_mul(SYMBOL_LEN)?;
    let len = usize::try_from(len).ok()?.max(known);
    all.get(..len.min(all.len()))
}

/// Length of the SHT_DYNSYM section at address `at`.
fn section_len(file: &ElfFile<'_>, at: u64) -> Option<u64> {
    let header = elf::FileHeader64::<LittleEndian>::parse(file.data()).ok()?;
    let table = header.sections(LE, file.data()).ok()?;
    let symbols = |s: &&elf::SectionHeader64<LittleEndian>| {
        s.sh_type(LE) == elf::SHT_DYNSYM && s.sh_addr(LE) == at
    };
    let section = table.iter().find(symbols)?;
    Some(section.sh_size(LE))
}
