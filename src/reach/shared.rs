//! What is worked out once of a file, however many programs load it.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use object::elf;

use super::flaw::Flaw;
use super::graph::{Graph, Lookup};
use super::same::is_same;
use super::stored::{self, Stored};
use super::symbols::Sources;
use crate::arch::Class;
use crate::arch::x86_64;
use crate::resolve::Library;
use crate::resolve::addresses::hash;
use crate::resolve::addresses::object::LoadedObject;

/// Device and inode.
type Id = (u64, u64);
/// A value that is made once, by whoever asks first.
type Cell<T> = Arc<OnceLock<T>>;
/// Such values by what they are of.
type Table<K, T> = Mutex<HashMap<K, Cell<T>>>;

/// What a library asks others for and offers them, by hashes of names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Symbols that relocations look up, with how; each once, in the order of the file.
    pub(super) symbols: Vec<(u32, Class)>,
    /// Hashes of the names of those, in the same order.
    pub(super) hashes: Vec<u32>,
    /// Hashes of the names of those.
    pub(super) wants: HashSet<u32>,
    /// Hashes of the names of what it defines.
    pub(super) offers: HashSet<u32>,
    /// Of those, of what chooses an implementation.
    pub(super) chooses: HashSet<u32>,
}

/// Graphs and names of the libraries of a run.
#[derive(Debug, Default)]
pub struct Shared {
    debug_folders: Vec<PathBuf>,
    stored: Option<Stored>,
    graphs: Table<Id, Result<Arc<Graph>, Flaw>>,
    names: Table<Id, Arc<Names>>,
    lookups: Table<Id, Lookup>,
    pairs: Table<(Id, Id), bool>,
}

fn once<K: std::hash::Hash + Eq, T: Clone>(
    table: &Table<K, T>,
    key: K,
    make: impl FnOnce() -> T,
) -> T {
    let cell = {
        let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
        table.entry(key).or_default().clone()
    };
    cell.get_or_init(make).clone()
}

impl Shared {
    /// Debug files are looked for in `debug_folders`, then in the system's; graphs are
    /// kept in `stored`.
    pub fn new(debug_folders: Vec<PathBuf>, stored: Option<Stored>) -> Self {
        Self {
            debug_folders,
            stored,
            ..Self::default()
        }
    }

    /// Whether a graph could not be kept for later runs.
    pub fn has_failed_to_store(&self) -> bool {
        self.stored.as_ref().is_some_and(Stored::has_failed)
    }

    /// The graph of a library.
    ///
    /// # Errors
    /// When nothing can be proved of it.
    pub fn graph(&self, library: &Library) -> Result<Arc<Graph>, Flaw> {
        once(&self.graphs, library.file_id, || {
            let object = library.loaded().map_err(|_| UNREADABLE)?;
            let sources = Sources::of(&object, &self.debug_folders);
            let build = || Graph::build_with(&object, &sources);
            let graph = match &self.stored {
                // Nothing is kept of what cannot be read, and nothing summed up for it.
                Some(stored) if sources.has_any(&object) => {
                    let key = stored::key(object.file().bytes(), &sources.parts());
                    stored.get(&key, build)
                }
                _ => build(),
            };
            graph.map(Arc::new)
        })
    }

    pub(super) fn names(&self, library: &Library) -> Arc<Names> {
        once(&self.names, library.file_id, || {
            let object = library.loaded();
            Arc::new(object.map_or_else(|_| Names::default(), |object| Names::of(&object)))
        })
    }

    /// Names that an executable gives to dlsym, as far as that can be told without
    /// symbols.
    pub(super) fn lookups(&self, library: &Library) -> Lookup {
        once(&self.lookups, library.file_id, || {
            let object = library.loaded().ok()?;
            Graph::lookups_without_symbols(&object)
        })
    }

    /// Whether two files are the same once they are loaded.
    pub(super) fn is_same(&self, old: &Library, new: &Library) -> bool {
        old.file_id == new.file_id
            || once(&self.pairs, (old.file_id, new.file_id), || {
                is_same(old, new)
            })
    }
}

const UNREADABLE: Flaw = Flaw::Malformed("its symbol tables cannot be read");

impl Names {
    fn of(object: &LoadedObject) -> Self {
        let mut names = Self::default();
        let mut seen = HashSet::new();
        for entry in object.relocations().chain(object.jump_relocations()) {
            if entry.symbol == 0 || !x86_64::uses_symbol(entry.kind) {
                continue;
            }
            let class = x86_64::class(entry.kind);
            if seen.insert((entry.symbol, class)) {
                names.symbols.push((entry.symbol, class));
                let name = object.symbol_name(entry.symbol).unwrap_or_default();
                let hash = hash::gnu(name);
                names.hashes.push(hash);
                names.wants.insert(hash);
            }
        }
        let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
        for symbol in 1..count {
            let Some(raw) = object.symbol(symbol) else {
                continue;
            };
            if raw.shndx != elf::SHN_UNDEF && raw.binding() != elf::STB_LOCAL {
                let name = object.symbol_name(symbol).unwrap_or_default();
                let hash = hash::gnu(name);
                names.offers.insert(hash);
                if raw.kind() == elf::STT_GNU_IFUNC {
                    names.chooses.insert(hash);
                }
            }
        }
        names
    }
}
