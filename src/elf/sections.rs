//! What only section headers know, as far as a file still has them.
//!
//! Two facts that linkers take from there and that program headers do not
//! tell: how strictly the section around an address is aligned (the bound of a
//! copy relocation's alignment), and GNU ld's `.gnu.warning.SYMBOL` texts.
//! Section headers may be stripped or nonsense: then there are none, which is
//! never an error. Nothing else may be taken from here.

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::ElfFile;

/// Alignment up to which size alone decides, in bytes: what the x86-64 psABI
/// and GCC give to large objects of ordinary types.
pub const ORDINARY_ALIGN: u64 = 32;
const LE: LittleEndian = LittleEndian;
/// GNU ld's prefix of sections that hold a warning for users of a symbol.
const WARNING: &[u8] = b".gnu.warning.";
/// Longest warning that is kept, in bytes.
const MAX_WARNING: usize = 4096;

/// One allocated section: where it is and how it is aligned.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u64,
    end: u64,
    align: u64,
    tls: bool,
}

/// Section facts of one file.
#[derive(Clone, Debug, Default)]
pub struct Sections<'a> {
    spans: Vec<Span>,
    /// (symbol, text) of every `.gnu.warning.` section, in file order.
    pub warnings: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> ElfFile<'a> {
    /// What section headers add, if there are any.
    pub fn sections(&self) -> Sections<'a> {
        Sections::read(self)
    }
}

impl<'a> Sections<'a> {
    fn read(file: &ElfFile<'a>) -> Self {
        let mut found = Self::default();
        let data = file.data();
        let Ok(header) = elf::FileHeader64::<LittleEndian>::parse(data) else {
            return found;
        };
        let Ok(table) = header.sections(LE, data) else {
            return found;
        };
        for section in table.iter() {
            let flags = section.sh_flags(LE);
            if flags.0 & elf::SHF_ALLOC.0 != 0 {
                found.spans.push(Span {
                    start: section.sh_addr(LE),
                    end: section.sh_addr(LE).saturating_add(section.sh_size(LE)),
                    align: section.sh_addralign(LE),
                    tls: flags.0 & elf::SHF_TLS.0 != 0,
                });
                continue;
            }
            let Ok(name) = table.section_name(LE, section) else {
                continue;
            };
            if let Some(symbol) = name.strip_prefix(WARNING)
                && let Ok(text) = section.data(LE, data)
                && !symbol.is_empty()
                && text.len() <= MAX_WARNING
            {
                let end = text.iter().position(|&b| b == 0).unwrap_or(text.len());
                found
                    .warnings
                    .push((symbol, text.get(..end).unwrap_or(text)));
            }
        }
        found.spans.sort_by_key(|s| s.start);
        found
    }

    /// The alignment in bytes that address and section both show, at least 1: the
    /// bound that link editors use for the copy of an object. 1 if no section
    /// header tells.
    pub fn shown_align(&self, address: u64) -> u64 {
        let section = self.align_at(address).unwrap_or(1).max(1);
        let section = section.checked_next_power_of_two().unwrap_or(1);
        match address {
            0 => 1,
            address => (1 << address.trailing_zeros()).min(section),
        }
    }

    /// The alignment in bytes of the section that holds `address`, whatever the address
    /// shows: at least 1, and 1 if no section header tells.
    pub fn section_align(&self, address: u64) -> u64 {
        let section = self.align_at(address).unwrap_or(1);
        if section.is_power_of_two() {
            section
        } else {
            1
        }
    }

    /// `sh_addralign` of the non-TLS section that holds `address`.
    fn align_at(&self, address: u64) -> Option<u64> {
        let upto = self.spans.partition_point(|s| s.start <= address);
        self.spans
            .get(..upto)?
            .iter()
            .rev()
            // .tbss overlaps what follows it; a few steps back are enough.
            .take(4)
            .find(|s| !s.tls && address < s.end)
            .map(|s| s.align)
    }
}
