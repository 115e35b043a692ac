//! Which undefined symbols of a library its own closure provides.
//!
//! Only references without a version are looked up: a version need names its
//! file. The closure is searched as ld.so would without an environment: the
//! folders given, each object's DT_RUNPATH or DT_RPATH, its own folder, the
//! system's. This module must not decide anything else.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use std::ffi::OsStr;

use object::elf::{self, Machine};

use crate::arch::Arch;
use crate::elf::{ElfFile, MappedElf, Root};
use crate::resolve::addresses::hash;

use super::model::{Name, Undefined};
use super::private::Private;

/// Most libraries in one closure.
const MAX_CLOSURE: usize = 4096;
/// Where libraries are found, with those already opened, and how they are read.
#[derive(Debug, Default)]
pub struct Finder {
    /// Folders that come first.
    pub folders: Vec<PathBuf>,
    /// Whether the system's folders come last.
    pub system: bool,
    /// The root of the system's folders.
    pub root: Root,
    /// What is left out of the ABI of a library.
    pub private: Private,
    open: Mutex<BTreeMap<PathBuf, Option<Arc<MappedElf>>>>,
}

impl Finder {
    /// A finder over `folders` and the system's folders.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self {
            folders,
            system: true,
            root: Root::default(),
            private: Private::default(),
            open: Mutex::default(),
        }
    }

    fn map(&self, path: &Path) -> Option<Arc<MappedElf>> {
        if let Some(known) = self.open.lock().ok()?.get(path) {
            return known.clone();
        }
        let opened = MappedElf::open(path).ok();
        // A stub's own needs are as good as the library's; anything else that
        // is no ELF file (a linker script) is passed over.
        let usable = opened.filter(|file| file.elf().is_ok()).map(Arc::new);
        self.open
            .lock()
            .ok()?
            .insert(path.to_owned(), usable.clone());
        usable
    }

    fn find(
        &self,
        name: &[u8],
        own: &[PathBuf],
        machine: u16,
    ) -> Option<(PathBuf, Arc<MappedElf>)> {
        let name = Path::new(OsStr::from_bytes(name));
        let arch = Arch::of(Machine(machine)).filter(|_| self.system);
        let system = arch.map_or(&[][..], |arch| arch.folders);
        // Links of a system lead to where they will lead there.
        let system = system.iter().filter_map(|folder| {
            let path = Path::new(folder).join(name);
            Some(self.root.real(&path).ok()?.into_owned())
        });
        let others = self
            .folders
            .iter()
            .chain(own)
            .map(|folder| folder.join(name));
        others.chain(system).find_map(|path| {
            let file = self.map(&path)?;
            let same = file.elf().is_ok_and(|elf| elf.machine().0 == machine);
            same.then_some((path, file))
        })
    }

    /// Removes from `undefined` what the closure of the library at `path`
    /// provides. Returns the needed libraries that were not found: with one
    /// missing nobody can tell, so everything is taken as provided.
    pub fn remove_provided(
        &self,
        path: &Path,
        elf: &ElfFile<'_>,
        undefined: &mut BTreeMap<Name, Undefined>,
    ) -> Vec<Name> {
        let mut missing = Vec::new();
        if undefined.is_empty() {
            return missing;
        }
        let mut seen: HashSet<Name> = HashSet::new();
        let mut queue = VecDeque::new();
        enqueue(&self.root, path, elf, &mut seen, &mut queue);
        let mut files = 0;
        while let Some((name, own)) = queue.pop_front() {
            let Some((path, file)) = self.find(&name, &own, elf.machine().0) else {
                missing.push(name);
                continue;
            };
            files += 1;
            let Ok(found) = file.elf() else { continue };
            if let Some(defines) = Definitions::new(&found) {
                undefined.retain(|name, _| !defines.contains(name));
            }
            if undefined.is_empty() || files > MAX_CLOSURE {
                return missing;
            }
            enqueue(&self.root, &path, &found, &mut seen, &mut queue);
        }
        if !missing.is_empty() {
            undefined.retain(|_, u| u.weak);
        }
        missing
    }
}

fn enqueue(
    root: &Root,
    path: &Path,
    elf: &ElfFile<'_>,
    seen: &mut HashSet<Name>,
    queue: &mut VecDeque<(Name, Arc<Vec<PathBuf>>)>,
) {
    let Ok(Some(dynamic)) = elf.dynamic() else {
        return;
    };
    let real = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let origin = real.parent().unwrap_or(Path::new("/")).to_owned();
    let mut own = Vec::new();
    if let Some((_, list)) = dynamic.search() {
        for folder in list.split(|&b| b == b':').filter(|f| !f.is_empty()) {
            let text = String::from_utf8_lossy(folder);
            // What is named from the root is below ours; the library's folder is known.
            if let Ok(folder) = root.real(Path::new(&*text)) {
                let text = folder.to_string_lossy().replace("${ORIGIN}", "$ORIGIN");
                let text = text.replace("$ORIGIN", &origin.to_string_lossy());
                own.push(PathBuf::from(text));
            }
        }
    }
    own.push(origin);
    if let Some(folder) = path.parent() {
        own.push(folder.to_owned());
    }
    let own = Arc::new(own);
    for name in &dynamic.needed {
        if seen.insert(name.to_vec()) {
            queue.push_back((name.to_vec(), own.clone()));
        }
    }
}

/// The exported names of one file.
enum Definitions<'a> {
    /// DT_GNU_HASH, and the file to read symbols from.
    Hashed(Hashed<'a>),
    /// A file without it: all names.
    Listed(HashSet<&'a [u8]>),
}

struct Hashed<'a> {
    table: &'a [u8],
    buckets: usize,
    offset: usize,
    bloom: usize,
    shift: u32,
    symbols: crate::elf::Symbols<'a>,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

impl<'a> Definitions<'a> {
    fn new(elf: &ElfFile<'a>) -> Option<Self> {
        let dynamic = elf.dynamic().ok()??;
        let symbols = elf.symbols(&dynamic).ok()?;
        let table = dynamic
            .value(elf::DT_GNU_HASH)
            .and_then(|at| elf.bytes_at(at));
        let hashed = table.and_then(|table| {
            Some(Hashed {
                table,
                buckets: word(table, 0)? as usize,
                offset: word(table, 4)? as usize,
                bloom: word(table, 8)? as usize,
                shift: word(table, 12)?,
                symbols,
            })
        });
        Some(match hashed.filter(|h| h.buckets > 0 && h.bloom > 0) {
            Some(hashed) => Self::Hashed(hashed),
            None => {
                let defined = symbols.iter().map(|s| s.1).filter(|s| !s.is_undefined());
                Self::Listed(defined.map(|s| s.name).collect())
            }
        })
    }

    fn contains(&self, name: &[u8]) -> bool {
        match self {
            Self::Hashed(hashed) => hashed.contains(name).unwrap_or(false),
            Self::Listed(names) => names.contains(name),
        }
    }
}

impl Hashed<'_> {
    /// glibc elf/dl-lookup.c, do_lookup_x; `None` when the table is cut short.
    fn contains(&self, name: &[u8]) -> Option<bool> {
        let hash = hash::gnu(name);
        let filter_at = 16 + (hash as usize / 64 % self.bloom).checked_mul(8)?;
        let filter = u64::from_le_bytes(*self.table.get(filter_at..)?.first_chunk()?);
        let second = hash.checked_shr(self.shift).unwrap_or(0);
        if filter >> (hash % 64) & filter >> (second % 64) & 1 == 0 {
            return Some(false);
        }
        let buckets_at = self.bloom.checked_mul(8)?.checked_add(16)?;
        let chains_at = self.buckets.checked_mul(4)?.checked_add(buckets_at)?;
        let bucket = hash as usize % self.buckets;
        let mut index = word(self.table, buckets_at + bucket * 4)? as usize;
        if index < self.offset {
            return Some(false);
        }
        loop {
            let at = (index - self.offset)
                .checked_mul(4)?
                .checked_add(chains_at)?;
            let entry = word(self.table, at)?;
            if entry | 1 == hash | 1 {
                let symbol = self.symbols.get(index)?;
                if symbol.name == name && !symbol.is_undefined() {
                    return Some(true);
                }
            }
            if entry & 1 == 1 {
                return Some(false);
            }
            index += 1;
        }
    }
}
