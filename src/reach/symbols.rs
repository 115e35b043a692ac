//! What the symbol table of a library tells: where functions and objects begin and end.
//!
//! `.dynsym` knows only what a library offers. Where its own objects end, nothing but
//! `.symtab` knows, in the file itself, or in a file that `indir-ld` wrote beside it, or
//! in a debug file by build-id; without it an address inside of an object would look like the beginning of another one.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use object::elf;
use object::endian::LittleEndian;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::flaw::Flaw;
use super::image::{Image, Region};
use crate::elf::{AsideError, MAX_ASIDE, MappedElf, TableSymbol, read_aside, table_symbols};
use crate::resolve::addresses::object::LoadedObject;

const LE: LittleEndian = LittleEndian;
/// Where distributions put debug files, as gdb looks for them.
const DEBUG_FOLDER: &str = "/usr/lib/debug";

/// Files beside a library that have its symbols.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// What `indir-ld` set aside, if that is of the library.
    aside: Option<Vec<u8>>,
    debug: Option<MappedElf>,
}

impl Sources {
    /// What `indir-ld` wrote beside a library, or by its build-id into one of `folders`;
    /// else its debug file in one of those, or in the system's.
    pub(super) fn of(object: &LoadedObject, folders: &[PathBuf]) -> Self {
        let elf = object.file().elf().ok();
        let id = elf.and_then(|elf| elf.build_id());
        let id = id.filter(|id| id.len() > 2 && id.len() <= 64);
        let Some(id) = id.map(crate::place::hex) else {
            return Self::default();
        };
        let (first, rest) = id.split_at(2);
        let below = |folder: &Path, kind: &str| {
            let name = PathBuf::from(first).join(format!("{rest}.{kind}"));
            [".build-id", ""].map(|part| folder.join(part).join(&name))
        };
        let mut beside = std::fs::canonicalize(object.path()).unwrap_or_default();
        beside.as_mut_os_string().push(".reach");
        let asides = folders.iter().flat_map(|folder| below(folder, "reach"));
        let owner = crate::place::owner_of(object.path());
        let aside = std::iter::once(beside).chain(asides).find_map(|path| {
            let bytes = crate::place::read(&path, owner, MAX_ASIDE).ok()??;
            read_aside(&bytes, object.file().bytes())
                .is_some()
                .then_some(bytes)
        });
        if aside.is_some() {
            return Self { aside, debug: None };
        }
        let system = PathBuf::from(DEBUG_FOLDER);
        let mut debug = folders.iter().chain([&system]);
        Self {
            aside: None,
            debug: debug.find_map(|folder| {
                let mut paths = below(folder, "debug").into_iter();
                paths.find_map(|path| debug_file(&path, &id))
            }),
        }
    }

    /// Whether the library or a file beside it could have symbols at all.
    pub(super) fn has_any(&self, object: &LoadedObject) -> bool {
        let own = || {
            let data = object.file().bytes();
            let header = elf::FileHeader64::<LittleEndian>::parse(data).ok()?;
            let sections = header.sections(LE, data).ok()?;
            let mut sections = sections.iter();
            Some(sections.any(|section| section.sh_type(LE) == elf::SHT_SYMTAB))
        };
        self.aside.is_some() || self.debug.is_some() || own().unwrap_or(false)
    }

    /// All bytes of them that a graph could be made from.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        let read = |file: &'_ MappedElf| {
            let data = file.bytes();
            let header = elf::FileHeader64::<LittleEndian>::parse(data).ok()?;
            let sections = header.sections(LE, data).ok()?;
            let table = sections.symbols(LE, data, elf::SHT_SYMTAB).ok()?;
            let symbols = sections.iter().nth(table.section().0)?;
            let strings = sections.iter().nth(table.string_section().0)?;
            let of = |section: &elf::SectionHeader64<LittleEndian>| section.file_range(LE);
            Some([of(symbols)?, of(strings)?])
        };
        if let Some(aside) = &self.aside {
            return vec![aside];
        }
        let Some(file) = &self.debug else {
            return Vec::new();
        };
        let part = |(offset, size): (u64, u64)| {
            let start = usize::try_from(offset).ok()?;
            let end = usize::try_from(offset.checked_add(size)?).ok()?;
            file.bytes().get(start..end)
        };
        let parts = read(file).map(|parts| parts.map(part));
        match parts {
            Some([Some(symbols), Some(strings)]) => vec![symbols, strings],
            _ => vec![file.bytes()],
        }
    }
}

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
    /// From the library itself, or the file beside it.
    ///
    /// # Errors
    /// When there are none of what is local to the library.
    pub(super) fn of(image: &Image<'_>, sources: &Sources) -> Result<Self, Flaw> {
        match Self::read(image, image.object.file().bytes()) {
            Err(Flaw::NoSymbols) => {}
            other => return other,
        }
        if let Some(aside) = &sources.aside {
            let library = image.object.file().bytes();
            let table = read_aside(aside, library).ok_or(Flaw::NoSymbols)?;
            return Self::of_table(image, &table);
        }
        let debug = sources.debug.as_ref().ok_or(Flaw::NoSymbols)?;
        Self::read(image, debug.bytes())
    }

    fn read(image: &Image<'_>, data: &[u8]) -> Result<Self, Flaw> {
        let table = table_symbols(data).map_err(|error| match error {
            AsideError::TooLarge => Flaw::TooLarge,
            AsideError::NoSections | AsideError::NoId => Flaw::NoSymbols,
            AsideError::Malformed => Flaw::Malformed("the symbol table cannot be read"),
        })?;
        Self::of_table(image, &table)
    }

    fn of_table(image: &Image<'_>, table: &[TableSymbol<'_>]) -> Result<Self, Flaw> {
        let mut symbols = Self::default();
        let mut local = false;
        let mut bounds: HashMap<&[u8], u64> = HashMap::new();
        for symbol in table {
            let (value, kind) = (symbol.value, symbol.kind);
            let Some(section) = image.at(value) else {
                continue;
            };
            let name = symbol.name;
            if matches!(kind, elf::STT_FUNC | elf::STT_OBJECT | elf::STT_GNU_IFUNC) {
                local |= symbol.local;
            }
            if name.starts_with(b"__start_") || name.starts_with(b"__stop_") {
                bounds.insert(name, value);
            }
            symbols.add(value, symbol.size, kind, section.region, section.end);
            symbols.call(value, name, symbol.local);
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
