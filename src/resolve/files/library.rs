//! What resolution needs to know of one file, read once.
//!
//! Facts are owned, so that a library can be shared by every executable of a
//! run and by every thread; the mapping is kept for the symbol tables.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use object::elf;
use sha2::{Digest as _, Sha256};

use super::demands::Demands;
use crate::arch::Arch;
use crate::elf::{ElfError, ElfFile, Identity, MappedElf, Search};
use crate::resolve::addresses::object::LoadedObject;

/// Most DT_NEEDED entries of one object that are followed.
const MAX_NEEDS: usize = 4096;
/// Type of the `indir` note that marks an ABI stub.
const STUB_NOTE_TYPE: u32 = 2;

/// How an object asks for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// DT_NEEDED.
    Needed,
    /// DT_AUXILIARY: comes before the object that asks, and may be missing.
    Auxiliary,
    /// DT_FILTER: comes before the object that asks.
    Filter,
}

/// A version that must be defined by a file (one `vernaux`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NeededVersion {
    /// soname of the file.
    pub file: Box<[u8]>,
    /// The version.
    pub name: Box<[u8]>,
    /// VER_FLG_WEAK: may be missing.
    pub weak: bool,
}

/// Facts about an ELF object.
#[derive(Debug)]
pub struct Library {
    map: MappedElf,
    /// Its machine.
    pub arch: &'static Arch,
    /// Device and inode.
    pub file_id: (u64, u64),
    /// DT_SONAME.
    pub soname: Option<Box<[u8]>>,
    /// Its needs in the order of the dynamic section.
    pub needs: Vec<(NeedKind, Box<[u8]>)>,
    /// DT_RUNPATH, or else DT_RPATH.
    pub search: Option<(Search, Box<[u8]>)>,
    /// DF_1_NODEFLIB: the default folders are not searched for its needs.
    pub no_default_folders: bool,
    /// Whether it has a dynamic section.
    pub dynamic: bool,
    /// ET_EXEC or DF_1_PIE: an executable, which ld.so does not load as a library.
    pub is_executable: bool,
    /// What interprets it where no table does: what its `indir` note recorded,
    /// or, without that note, PT_INTERP.
    pub interpreter: Option<Box<[u8]>>,
    /// What it asks of its process beyond libraries.
    pub demands: Demands,
    /// Versions that it needs.
    pub needed_versions: Vec<NeededVersion>,
    /// Versions that it defines; `None` without DT_VERDEF.
    pub defined_versions: Option<Vec<Box<[u8]>>>,
    /// What identifies its content.
    pub identity: Identity,
    loaded: OnceLock<Result<Arc<LoadedObject>, String>>,
    needs_digest: OnceLock<[u8; 32]>,
    ldso_facts: OnceLock<Result<LdsoFacts, &'static str>>,
}

/// What the shim has to know of an ld.so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LdsoFacts {
    /// Address space that its PT_LOAD segments span, in bytes.
    pub span: u32,
    /// Offset of `_r_debug` from its lowest page; 0 if it exports none.
    pub r_debug: u32,
}

impl Library {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// When it is not a well-formed ELF object for a machine that is served.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, LibraryError> {
        let map = MappedElf::open(path)?;
        Self::from_map(map)
    }

    /// Reads a mapped file.
    ///
    /// # Errors
    /// When it is not a well-formed ELF object for a machine that is served.
    pub fn from_map(map: MappedElf) -> Result<Self, LibraryError> {
        let elf = map.elf()?;
        let arch = Arch::of(elf.machine()).ok_or(ElfError::Machine)?;
        if is_stub(&elf) {
            return Err(LibraryError::Stub);
        }
        let file_id = (map.metadata().dev(), map.metadata().ino());
        let identity = Identity::of(elf.build_id(), map.metadata());
        let mut facts = Facts::default();
        if let Some(dynamic) = elf.dynamic()? {
            facts = Facts::read(&elf, &dynamic)?;
        }
        let is_executable = elf.kind() == elf::ET_EXEC || facts.pie;
        let interpreter = elf.interpreter().and_then(|own| {
            let notes = elf.notes();
            match notes.reference {
                Some(_) => notes.interpreter.map(|path| path.to_bytes().into()),
                None => Some(own.into()),
            }
        });
        let demands = Demands::of(&elf, facts.relr);
        drop(elf);
        Ok(Self {
            map,
            arch,
            file_id,
            soname: facts.soname,
            needs: facts.needs,
            search: facts.search,
            no_default_folders: facts.no_default_folders,
            dynamic: facts.dynamic,
            is_executable,
            interpreter,
            demands,
            needed_versions: facts.needed_versions,
            defined_versions: facts.defined_versions,
            identity,
            loaded: OnceLock::new(),
            needs_digest: OnceLock::new(),
            ldso_facts: OnceLock::new(),
        })
    }

    /// The mapped file, under the path by which it was first found.
    pub fn map(&self) -> &MappedElf {
        &self.map
    }

    /// SHA-256 of the sorted list of what it needs: for each undefined symbol
    /// that is not weak `file NUL symbol NUL version NUL`, file and version
    /// empty if it names none. Computed once.
    pub fn needs_digest(&self) -> [u8; 32] {
        *self.needs_digest.get_or_init(|| {
            // A file that cannot be read a second time needs nothing.
            let needs = needed_symbols(&self.map).unwrap_or_default();
            let mut hash = Sha256::new();
            needs.iter().flatten().for_each(|part| {
                hash.update(part);
                hash.update([0]);
            });
            hash.finalize().into()
        })
    }

    /// The symbols that it needs with `version`, of whichever file, sorted.
    pub fn users_of(&self, version: &str) -> Vec<String> {
        let needs = needed_symbols(&self.map).unwrap_or_default();
        let users = needs
            .iter()
            .filter(|[_, _, needed]| needed == version.as_bytes());
        let mut users: Vec<String> = users
            .map(|[_, symbol, _]| String::from_utf8_lossy(symbol).into_owned())
            .collect();
        users.dedup();
        users
    }

    /// Its symbol and relocation tables. Parsed once.
    ///
    /// # Errors
    /// Says what is wrong with them.
    pub fn loaded(&self) -> Result<Arc<LoadedObject>, String> {
        let load = || {
            LoadedObject::new(self.map.clone())
                .map(Arc::new)
                .map_err(|e| e.to_string())
        };
        self.loaded.get_or_init(load).clone()
    }

    /// What the shim has to know of it, if this is ld.so. Computed once.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn ldso_facts(&self) -> Result<LdsoFacts, &'static str> {
        *self.ldso_facts.get_or_init(|| ldso_facts(&self.map))
    }

    /// Whether this is ld.so.
    pub fn is_ldso(&self) -> bool {
        self.soname.as_deref() == Some(self.arch.ldso.as_bytes())
    }
}

/// Why a file does not serve.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// See [`ElfError`].
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// A link-time stub, which cannot be loaded.
    #[error("an ABI stub, which cannot be loaded")]
    Stub,
}

impl From<std::io::Error> for LibraryError {
    fn from(error: std::io::Error) -> Self {
        Self::Elf(error.into())
    }
}

#[derive(Default)]
struct Facts {
    soname: Option<Box<[u8]>>,
    needs: Vec<(NeedKind, Box<[u8]>)>,
    search: Option<(Search, Box<[u8]>)>,
    no_default_folders: bool,
    dynamic: bool,
    pie: bool,
    relr: bool,
    needed_versions: Vec<NeededVersion>,
    defined_versions: Option<Vec<Box<[u8]>>>,
}

impl Facts {
    fn read<'a>(elf: &ElfFile<'a>, dynamic: &crate::elf::Dynamic<'a>) -> Result<Self, ElfError> {
        let mut needs = Vec::new();
        for &(tag, value) in &dynamic.entries {
            let kind = match tag {
                elf::DT_NEEDED => NeedKind::Needed,
                elf::DT_AUXILIARY => NeedKind::Auxiliary,
                elf::DT_FILTER => NeedKind::Filter,
                _ => continue,
            };
            needs.push((kind, dynamic.string(value)?.into()));
            if needs.len() > MAX_NEEDS {
                return Err(ElfError::Malformed("too many DT_NEEDED entries"));
            }
        }
        let versions = elf.versions(dynamic)?;
        let needed_versions = versions
            .needs
            .iter()
            .map(|need| NeededVersion {
                file: need.file.into(),
                name: need.name.into(),
                weak: need.flags & elf::VER_FLG_WEAK.0 != 0,
            })
            .collect();
        let defined_versions = dynamic
            .value(elf::DT_VERDEF)
            .map(|_| versions.defs.iter().map(|def| def.name.into()).collect());
        let flags_1 = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0);
        Ok(Self {
            soname: dynamic.soname.map(Into::into),
            needs,
            search: dynamic.search().map(|(kind, list)| (kind, list.into())),
            no_default_folders: flags_1 & elf::DF_1_NODEFLIB.0 != 0,
            dynamic: true,
            pie: flags_1 & elf::DF_1_PIE.0 != 0,
            relr: dynamic.value(elf::DT_RELR).is_some(),
            needed_versions,
            defined_versions,
        })
    }
}

/// Whether a note with owner `indir` and [`STUB_NOTE_TYPE`] marks the file.
fn is_stub(elf: &ElfFile<'_>) -> bool {
    elf.segments()
        .iter()
        .filter(|s| s.kind == elf::PT_NOTE)
        .filter_map(|s| elf.segment_bytes(s))
        .any(|notes| has_note(notes, STUB_NOTE_TYPE))
}

/// Looks for an `indir` note of type `kind`; owner `indir` and its NUL take 6
/// bytes, so that the description follows at 20 with either alignment.
fn has_note(notes: &[u8], kind: u32) -> bool {
    let word = |at: usize| {
        let bytes = notes.get(at..)?.first_chunk::<4>()?;
        Some(u32::from_le_bytes(*bytes))
    };
    let mut at = 0;
    while let (Some(name_len), Some(desc_len), Some(found)) = (word(at), word(at + 4), word(at + 8))
    {
        let (name_len, desc_len) = (name_len as usize, desc_len as usize);
        let owner = notes.get(at + 12..).and_then(|rest| rest.get(..name_len));
        if found == kind && owner == Some(indir_shim::format::note::OWNER) {
            return true;
        }
        let next = name_len
            .checked_next_multiple_of(4)
            .and_then(|len| len.checked_add(desc_len)?.checked_next_multiple_of(4))
            .and_then(|len| len.checked_add(at + 12));
        match next {
            Some(next) if next > at => at = next,
            _ => return false,
        }
    }
    false
}

/// File, symbol and version of every undefined symbol that is not weak, sorted.
fn needed_symbols(map: &MappedElf) -> Result<Vec<[Vec<u8>; 3]>, ElfError> {
    let elf = map.elf()?;
    let Some(dynamic) = elf.dynamic()? else {
        return Ok(Vec::new());
    };
    let versions = elf.versions(&dynamic)?;
    let mut needs: Vec<_> = elf
        .symbols(&dynamic)?
        .iter()
        .filter(|(_, symbol)| symbol.is_undefined() && symbol.binding() != elf::STB_WEAK)
        .map(|(index, symbol)| {
            let need = versions
                .versym(index)
                .and_then(|version| versions.need(version));
            let (file, version) = need.map_or((&[][..], &[][..]), |need| (need.file, need.name));
            [file.to_vec(), symbol.name.to_vec(), version.to_vec()]
        })
        .collect();
    needs.sort_unstable();
    needs.dedup();
    Ok(needs)
}

fn ldso_facts(map: &MappedElf) -> Result<LdsoFacts, &'static str> {
    let elf = map.elf().map_err(|_| "not an ELF file")?;
    let (start, span) = elf.load_span().ok_or("no PT_LOAD segment")?;
    if elf.kind() != elf::ET_DYN || elf.interpreter().is_some() {
        return Err("not a shared object without interpreter");
    }
    let dynamic = elf.dynamic().ok().flatten().ok_or("no dynamic section")?;
    let symbols = elf
        .symbols(&dynamic)
        .map_err(|_| "its symbol table is malformed")?;
    let r_debug = symbols
        .iter()
        .find(|(_, symbol)| symbol.name == b"_r_debug" && !symbol.is_undefined())
        .and_then(|(_, symbol)| u32::try_from(symbol.value.checked_sub(start)?).ok());
    Ok(LdsoFacts {
        span: u32::try_from(span).map_err(|_| "it spans more than 4 GiB")?,
        r_debug: r_debug.unwrap_or(0),
    })
}
