//! What the symbol table of a library tells: where functions and objects begin and end.
//!
//! `.dynsym` knows only what a library offers. Where its own objects end, nothing but
//! `.symtab` knows, in the file itself or in a debug file by build-id; without it an
//! address inside of an object would look like the beginning of another one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _, Sym as _};

use super::flaw::Flaw;
use super::image::{Image, Region};
use crate::elf::MappedElf;

const LE: LittleEndian = LittleEndian;
/// Most symbols of one library.
const MAX_SYMBOLS: usize = 32 << 20;
/// Where distributions put debug files, as gdb looks for them.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// The symbols of a library by what they are.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    /// Named functions: address and size (0 if the table does not say).
    pub(super) functions: Vec<(u64, u64)>,
    /// Objects with a size, and linker sets as a whole: start and end, those that
    /// overlap joined, by address. Constants whose size nobody says reach to the next
    /// symbol: hand-written code takes addresses inside of them.
    pub(super) objects: Vec<(u64, u64)>,
    /// Those constants: start, and the end of the section.
    unsized_constants: Vec<(u64, u64)>,
    /// Where anything begins that is no function.
    pub(super) labels: Vec<u64>,
    /// The name of what is at an address.
    pub(super) names: HashMap<u64, Box<str>>,
}

impl Symbols {
    /// From the library itself, or a debug file in one of `folders` or the system's.
    ///
    /// # Errors
    /// When there are none of what is local to the library.
    pub(super) fn of(image: &Image<'_>, folders: &[PathBuf]) -> Result<Self, Flaw> {
        match Self::read(image, image.object.file().bytes()) {
            Err(Flaw::NoSymbols) => {}
            other => return other,
        }
        let elf = image.object.file().elf().map_err(|_| Flaw::NoSymbols)?;
        let id = elf.build_id().filter(|id| id.len() > 2 && id.len() <= 64);
        let id = crate::place::hex(id.ok_or(Flaw::NoSymbols)?);
        let (first, rest) = id.split_at(2);
        let name = PathBuf::from(first).join(format!("{rest}.debug"));
        let system = PathBuf::from(DEBUG_FOLDER);
        for folder in folders.iter().chain([&system]) {
            for below in [".build-id", ""] {
                let path = folder.join(below).join(&name);
                if let Some(file) = debug_file(&path, &id) {
                    return Self::read(image, file.bytes());
                }
            }
        }
        Err(Flaw::NoSymbols)
    }

    fn read(image: &Image<'_>, data: &[u8]) -> Result<Self, Flaw> {
        let header = elf::FileHeader64::<LittleEndian>::parse(data);
        let header = header.map_err(|_| Flaw::NoSymbols)?;
        let sections = header.sections(LE, data).map_err(|_| Flaw::NoSymbols)?;
        let bad = Flaw::Malformed("the symbol table cannot be read");
        let table = sections.symbols(LE, data, elf::SHT_SYMTAB);
        let table = table.map_err(|_| bad)?;
        if table.len() > MAX_SYMBOLS {
            return Err(Flaw::TooLarge);
        }
        let mut symbols = Self::default();
        let mut local = false;
        let mut bounds: HashMap<&[u8], u64> = HashMap::new();
        for symbol in table.iter() {
            let shndx = symbol.st_shndx(LE);
            let (value, size, kind) = (symbol.st_value(LE), symbol.st_size(LE), symbol.st_type());
            let special = shndx == elf::SHN_UNDEF || shndx == elf::SHN_ABS;
            if special || matches!(kind, elf::STT_SECTION | elf::STT_FILE | elf::STT_TLS) {
                continue;
            }
            let Some(section) = image.at(value) else {
                continue;
            };
            let Ok(name) = table.symbol_name(LE, symbol) else {
                continue;
            };
            if matches!(kind, elf::STT_FUNC | elf::STT_OBJECT | elf::STT_GNU_IFUNC) {
                local |= symbol.st_bind() == elf::STB_LOCAL;
            }
            if name.starts_with(b"__start_") || name.starts_with(b"__stop_") {
                bounds.insert(name, value);
            }
            symbols.add(value, size, kind, section.region, section.end);
            symbols.call(value, name, symbol.st_bind() == elf::STB_LOCAL);
        }
        if !local {
            return Err(Flaw::NoSymbols);
        }
        symbols.add_sets(image, &bounds);
        symbols.sort();
        Ok(symbols)
    }

    fn add(&mut self, value: u64, size: u64, kind: elf::SymbolType, region: Region, limit: u64) {
        if matches!(kind, elf::STT_FUNC | elf::STT_GNU_IFUNC) {
            if region == Region::Code {
                self.functions.push((value, size));
            }
            return;
        }
        self.labels.push(value);
        if kind == elf::STT_OBJECT && size > 0 {
            let end = value.saturating_add(size).min(limit);
            self.objects.push((value, end));
        } else if region == Region::Constant {
            self.unsized_constants.push((value, limit));
        }
    }

    /// Names what is at `value`; a global name is preferred.
    fn call(&mut self, value: u64, name: &[u8], local: bool) {
        if name.is_empty() || local && self.names.contains_key(&value) {
            return;
        }
        let name = name.split(|&b| b == b'@').next().unwrap_or(name);
        let name = String::from_utf8_lossy(name).into_owned();
        self.names.insert(value, name.into());
    }

    /// What lies between `__start_X` and `__stop_X` is walked through as one array.
    fn add_sets(&mut self, image: &Image<'_>, bounds: &HashMap<&[u8], u64>) {
        for (name, &at) in bounds {
            let set = name
                .strip_prefix(b"__start_")
                .or_else(|| name.strip_prefix(b"__stop_"));
            let section = set.and_then(|set| image.section(set));
            if let Some(section) = section {
                self.objects.push((section.start, section.end));
            } else if let Some(section) = image.at(at) {
                // A set without its section: all that could be meant.
                self.objects.push((section.start, section.end));
            }
        }
    }

    fn sort(&mut self) {
        self.functions
            .sort_unstable_by_key(|f| (f.0, std::cmp::Reverse(f.1)));
        self.functions.dedup_by_key(|f| f.0);
        self.labels.sort_unstable();
        self.labels.dedup();
        self.objects.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::with_capacity(self.objects.len());
        for &(start, end) in &self.objects {
            match joined.last_mut() {
                Some(last) if start < last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        self.objects = joined;
        let mut more = Vec::new();
        for &(start, limit) in &self.unsized_constants {
            if self.object_at(start).is_none() {
                let label = self.labels.partition_point(|&label| label <= start);
                let end = self.labels.get(label).copied().unwrap_or(limit);
                more.push((start, end.min(limit)));
            }
        }
        self.objects.extend(more);
        self.objects.sort_unstable();
        self.objects.dedup();
    }

    /// The object that holds `address`.
    pub(super) fn object_at(&self, address: u64) -> Option<(u64, u64)> {
        let index = self.objects.partition_point(|o| o.0 <= address);
        let object = *self.objects.get(index.checked_sub(1)?)?;
        (address < object.1).then_some(object)
    }
}

/// The debug file at `path`, if it is one of the library with this build-id.
fn debug_file(path: &Path, id: &str) -> Option<MappedElf> {
    let file = MappedElf::open(path).ok()?;
    let data = file.bytes();
    let header = elf::FileHeader64::<LittleEndian>::parse(data).ok()?;
    let sections = header.sections(LE, data).ok()?;
    let mut notes = sections.iter().filter(|s| s.sh_type(LE) == elf::SHT_NOTE);
    let matches = notes.any(|section| {
        let note = section.data(LE, data).unwrap_or_default();
        note.get(16..)
            .is_some_and(|own| crate::place::hex(own) == id)
    });
    matches.then_some(file)
}
