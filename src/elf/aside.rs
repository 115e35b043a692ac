//! Symbols of a library in a file of their own, written when it is linked: `NAME.reach`.
//!
//! It holds what `.symtab` says before `strip` takes that away, and which library it is
//! of: the build-id, and a sum over what no later tool may change, code and where
//! sections lie. (`strip`, and edits of run paths and needs, leave those.)

use object::elf::{self, SymbolType};
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};
use sha2::{Digest as _, Sha256};

use super::ElfFile;

const LE: LittleEndian = LittleEndian;
const MAGIC: &[u8; 8] = b"INDIRSY\x01";
/// Bytes of a sum.
const SUM: usize = 32;
/// Most symbols of one library.
const MAX_SYMBOLS: usize = 32 << 20;
/// Largest file of symbols, in bytes.
pub const MAX_ASIDE: u64 = 2 << 30;

/// A symbol with an address in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSymbol<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its address in the file's own numbering.
    pub value: u64,
    /// Its size in bytes, 0 if the table does not say.
    pub size: u64,
    /// Function, object, or neither.
    pub kind: SymbolType,
    /// STB_LOCAL.
    pub local: bool,
}

/// Why a table of symbols cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AsideError {
    /// There are no section headers.
    NoSections,
    /// The table contradicts itself.
    Malformed,
    /// It has more symbols than are read.
    TooLarge,
    /// There is no build-id.
    NoId,
}

/// The symbols of the `.symtab` in `data`, a library or its debug file, that have an
/// address; none without a `.symtab`.
///
/// # Errors
/// When they cannot be read.
pub fn table_symbols(data: &[u8]) -> Result<Vec<TableSymbol<'_>>, AsideError> {
    let header = elf::FileHeader64::<LittleEndian>::parse(data);
    let header = header.map_err(|_| AsideError::NoSections)?;
    let sections = header.sections(LE, data);
    let sections = sections.map_err(|_| AsideError::NoSections)?;
    let table = sections.symbols(LE, data, elf::SHT_SYMTAB);
    let table = table.map_err(|_| AsideError::Malformed)?;
    if table.len() > MAX_SYMBOLS {
        return Err(AsideError::TooLarge);
    }
    let symbols = table.iter().filter_map(|symbol| {
        let (shndx, kind) = (symbol.st_shndx(LE), symbol.st_type());
        let special = shndx == elf::SHN_UNDEF || shndx == elf::SHN_ABS;
        if special || matches!(kind, elf::STT_SECTION | elf::STT_FILE | elf::STT_TLS) {
            return None;
        }
        Some(TableSymbol {
            name: table.symbol_name(LE, symbol).ok()?,
            value: symbol.st_value(LE),
            size: symbol.st_size(LE),
            kind,
            local: symbol.st_bind() == elf::STB_LOCAL,
        })
    });
    Ok(symbols.collect())
}

/// The build-id of a library, and the sum over what stays as it is.
fn identity(library: &[u8]) -> Result<(&[u8], [u8; SUM]), AsideError> {
    let file = ElfFile::parse(library).map_err(|_| AsideError::Malformed)?;
    let id = file.build_id().filter(|id| id.len() > 2 && id.len() <= 64);
    let id = id.ok_or(AsideError::NoId)?;
    let header = elf::FileHeader64::<LittleEndian>::parse(library);
    let header = header.map_err(|_| AsideError::NoSections)?;
    let sections = header.sections(LE, library);
    let sections = sections.map_err(|_| AsideError::NoSections)?;
    let mut sum = Sha256::new();
    for section in sections.iter() {
        let flags = section.sh_flags(LE).0;
        let kind = section.sh_type(LE);
        if flags & elf::SHF_ALLOC.0 == 0 || kind != elf::SHT_PROGBITS && kind != elf::SHT_NOBITS {
            continue;
        }
        sum.update(section.sh_addr(LE).to_le_bytes());
        sum.update(section.sh_size(LE).to_le_bytes());
        if flags & elf::SHF_EXECINSTR.0 != 0 {
            let bytes = section.data(LE, library);
            sum.update(bytes.map_err(|_| AsideError::Malformed)?);
        }
    }
    Ok((id, sum.finalize().into()))
}

/// The file of the symbols of a library; `None` without any of what is local to it.
///
/// # Errors
/// When it has no build-id, or its symbols cannot be read.
pub fn set_aside(library: &[u8]) -> Result<Option<Vec<u8>>, AsideError> {
    let symbols = table_symbols(library)?;
    if !symbols.iter().any(|symbol| symbol.local) {
        return Ok(None);
    }
    let (id, sum) = identity(library)?;
    let mut out = MAGIC.to_vec();
    out.push(u8::try_from(id.len()).unwrap_or(0));
    out.extend(id);
    out.extend(sum);
    out.extend((symbols.len() as u32).to_le_bytes());
    for symbol in symbols {
        out.extend(symbol.value.to_le_bytes());
        out.extend(symbol.size.to_le_bytes());
        out.extend([symbol.kind.0, u8::from(symbol.local)]);
        let len = u32::try_from(symbol.name.len()).unwrap_or(0);
        out.extend(len.to_le_bytes());
        out.extend(symbol.name.get(..len as usize).unwrap_or_default());
    }
    let whole: [u8; SUM] = Sha256::digest(&out).into();
    out.extend(whole);
    Ok(Some(out))
}

/// The symbols of the file `aside`, if that is whole and of this library.
pub fn read_aside<'a>(aside: &'a [u8], library: &[u8]) -> Option<Vec<TableSymbol<'a>>> {
    let (bytes, whole) = aside.split_last_chunk::<SUM>()?;
    let real: [u8; SUM] = Sha256::digest(bytes).into();
    let (len, rest) = bytes.strip_prefix(MAGIC)?.split_first()?;
    let (own_id, rest) = rest.split_at_checked(usize::from(*len))?;
    let (own_sum, mut rest) = rest.split_first_chunk::<SUM>()?;
    let (id, sum) = identity(library).ok()?;
    if real != *whole || own_id != id || *own_sum != sum {
        return None;
    }
    let mut take = |len: usize| {
        let (taken, more) = rest.split_at_checked(len)?;
        rest = more;
        Some(taken)
    };
    let count = u32::from_le_bytes(*take(4)?.first_chunk()?) as usize;
    let mut symbols = Vec::new();
    for _ in 0..count.min(MAX_SYMBOLS) {
        let value = u64::from_le_bytes(*take(8)?.first_chunk()?);
        let size = u64::from_le_bytes(*take(8)?.first_chunk()?);
        let kind = SymbolType(*take(1)?.first()?);
        let local = *take(1)?.first()? != 0;
        let len = u32::from_le_bytes(*take(4)?.first_chunk()?) as usize;
        let name = take(len)?;
        symbols.push(TableSymbol {
            name,
            value,
            size,
            kind,
            local,
        });
    }
    (rest.is_empty() && symbols.len() == count).then_some(symbols)
}
