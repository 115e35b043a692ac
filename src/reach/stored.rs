//! Graphs as files: derived, and made anew whenever one does not fit.
//!
//! A file is named by a sum of all that a graph is made from: the library, what has its
//! symbols, and the version of the analysis. It says that sum itself, ends with one of
//! its own bytes, and every index in it is checked, so that a damaged file is as good as
//! none. Only files of root and of the user count, which nobody else may write (the rule
//! of tables): whoever could write one could have anything called the same.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use super::graph::{ANALYSIS, Atom, Graph, Import, Kind, Lookup, NO_NAME};
use crate::arch::Class;
use crate::place::{self, Folder, Temporary};

const MAGIC: &[u8; 8] = b"INDIRGR\x01";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 2 << 30;
/// Bytes of a sum.
const SUM: usize = 32;
/// What a graph is made from.
pub(super) type Key = [u8; SUM];

/// The key of a library's graph: of all of its bytes, and of what has its symbols
/// besides.
pub(super) fn key(library: &[u8], symbols: &[&[u8]]) -> Key {
    let mut sum = Sha256::new();
    sum.update(MAGIC);
    sum.update(ANALYSIS.to_le_bytes());
    sum.update(env!("CARGO_PKG_VERSION"));
    for part in std::iter::once(&library).chain(symbols) {
        sum.update((part.len() as u64).to_le_bytes());
        sum.update(part);
    }
    sum.finalize().into()
}

/// The folder of the graphs of earlier runs.
#[derive(Debug)]
pub struct Stored {
    path: PathBuf,
    folder: Arc<Folder>,
    failed: AtomicBool,
}

impl Stored {
    /// The graphs in the folder at `path`, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let path = std::fs::canonicalize(path)?;
        let folder = Arc::new(Folder::open(&path)?);
        Ok(Self {
            path,
            folder,
            failed: AtomicBool::new(false),
        })
    }

    /// Whether a graph could not be kept; the answers are right all the same.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// The graph with this key, of an earlier run or as `build` makes it.
    pub(super) fn get<E>(
        &self,
        key: &Key,
        build: impl FnOnce() -> Result<Graph, E>,
    ) -> Result<Graph, E> {
        let name = format!("{}.graph", place::hex(key));
        let own = nix::unistd::geteuid().as_raw();
        let bytes = place::read(&self.path.join(&name), own, MAX_FILE);
        if let Some(graph) = bytes.ok().flatten().and_then(|bytes| decode(&bytes, key)) {
            return Ok(graph);
        }
        let graph = build()?;
        if self.write(OsStr::new(&name), &encode(&graph, key)).is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        Ok(graph)
    }

    /// What a power cut leaves of it does not have its sum, so that nothing is synced.
    fn write(&self, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
        let file = Temporary::write(&self.folder, name, bytes, false)?;
        file.publish(nix::unistd::getegid().as_raw(), 0o644)
    }
}

/// What the atoms of a file are, by their number.
const KINDS: [Kind; 9] = [
    Kind::Code,
    Kind::CodeData,
    Kind::Text,
    Kind::Constant,
    Kind::Data,
    Kind::Tls,
    Kind::Lsda,
    Kind::Import,
    Kind::Made,
];
const CLASSES: [Class; 3] = [Class::Data, Class::Plt, Class::Copy];

fn number<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let index = all.iter().position(|other| other == one);
    index
        .and_then(|at| u8::try_from(at).ok())
        .unwrap_or(u8::MAX)
}

struct Writer(Vec<u8>);

impl Writer {
    fn count(&mut self, count: usize) {
        self.word(u32::try_from(count).unwrap_or(u32::MAX));
    }

    fn word(&mut self, word: u32) {
        self.0.extend(word.to_le_bytes());
    }

    fn long(&mut self, long: u64) {
        self.0.extend(long.to_le_bytes());
    }

    fn text(&mut self, text: &[u8]) {
        self.count(text.len());
        self.0.extend(text);
    }
}

fn sorted<T>(map: &HashMap<u32, T>) -> Vec<(u32, &T)> {
    let mut all: Vec<_> = map.iter().map(|(key, value)| (*key, value)).collect();
    all.sort_unstable_by_key(|entry| entry.0);
    all
}

/// The file of a graph.
pub(super) fn encode(graph: &Graph, key: &Key) -> Vec<u8> {
    let mut out = Writer(MAGIC.to_vec());
    out.0.extend(key);
    out.word(graph.constructors);
    out.count(graph.atoms.len());
    for atom in &graph.atoms {
        out.0.extend([number(&KINDS, &atom.kind), atom.flags]);
        out.0.extend(atom.hash);
        out.long(atom.loose);
        out.long(atom.start);
        out.long(atom.end);
        out.word(atom.name);
        out.word(atom.first);
    }
    out.count(graph.edges.len());
    graph.edges.iter().for_each(|edge| out.word(*edge));
    out.count(graph.names.len());
    graph
        .names
        .iter()
        .for_each(|name| out.text(name.as_bytes()));
    out.count(graph.imports.len());
    for (atom, import) in sorted(&graph.imports) {
        out.word(atom);
        out.word(import.symbol);
        out.0.push(number(&CLASSES, &import.class));
    }
    out.count(graph.exports.len());
    for (symbol, (atom, offset)) in sorted(&graph.exports) {
        out.word(symbol);
        out.word(*atom);
        out.long(*offset as u64);
    }
    out.count(graph.resolver_of.len());
    for (symbol, atom) in sorted(&graph.resolver_of) {
        out.word(symbol);
        out.word(*atom);
    }
    out.count(graph.lookups.len());
    for (atom, names) in sorted(&graph.lookups) {
        out.word(atom);
        out.count(names.as_ref().map_or(usize::MAX, Vec::len));
        names.iter().flatten().for_each(|name| out.text(name));
    }
    let sum: [u8; SUM] = Sha256::digest(&out.0).into();
    out.0.extend(sum);
    out.0
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn word(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(*self.take(4)?.first_chunk()?))
    }

    fn long(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(*self.take(8)?.first_chunk()?))
    }

    /// How many things follow, each of at least `size` bytes.
    fn count(&mut self, size: usize) -> Option<usize> {
        let count = usize::try_from(self.word()?).ok()?;
        (count.checked_mul(size)? <= self.0.len()).then_some(count)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let len = self.count(1)?;
        self.take(len)
    }
}

/// The graph of a file that is whole and of this key.
pub(super) fn decode(file: &[u8], key: &Key) -> Option<Graph> {
    let (bytes, sum) = file.split_last_chunk::<SUM>()?;
    let real: [u8; SUM] = Sha256::digest(bytes).into();
    let rest = bytes.strip_prefix(MAGIC)?.strip_prefix(key)?;
    (real == *sum).then(|| parse(rest)).flatten()
}

/// What lies between key and sum, every index checked.
fn parse(bytes: &[u8]) -> Option<Graph> {
    let mut file = Reader(bytes);
    let constructors = file.word()?;
    let count = file.count(50)?;
    let atom = |index: u32| ((index as usize) < count).then_some(index);
    let mut graph = Graph {
        constructors: atom(constructors)?,
        ..Graph::default()
    };
    graph.atoms.reserve_exact(count);
    let mut before = 0;
    for _ in 0..count {
        let kind = *KINDS.get(usize::from(file.byte()?))?;
        let flags = file.byte()?;
        let hash = *file.take(16)?.first_chunk()?;
        let (loose, start, end) = (file.long()?, file.long()?, file.long()?);
        let (name, first) = (file.word()?, file.word()?);
        if first < before {
            return None;
        }
        before = first;
        graph.atoms.push(Atom {
            kind,
            flags,
            hash,
            loose,
            start,
            end,
            name,
            first,
        });
    }
    let edges = file.count(4)?;
    if before as usize > edges {
        return None;
    }
    graph.edges.reserve_exact(edges);
    for _ in 0..edges {
        graph.edges.push(atom(file.word()?)?);
    }
    let names = file.count(4)?;
    graph.names.reserve_exact(names);
    for _ in 0..names {
        graph
            .names
            .push(std::str::from_utf8(file.text()?).ok()?.into());
    }
    let named = |atom: &Atom| atom.name == NO_NAME || (atom.name as usize) < names;
    if !graph.atoms.iter().all(named) {
        return None;
    }
    for _ in 0..file.count(9)? {
        let (id, symbol) = (atom(file.word()?)?, file.word()?);
        let class = *CLASSES.get(usize::from(file.byte()?))?;
        graph.imports.insert(id, Import { symbol, class });
    }
    for _ in 0..file.count(16)? {
        let (symbol, id) = (file.word()?, atom(file.word()?)?);
        graph.exports.insert(symbol, (id, file.long()? as i64));
    }
    for _ in 0..file.count(8)? {
        let (symbol, id) = (file.word()?, atom(file.word()?)?);
        graph.resolver_of.insert(symbol, id);
    }
    for _ in 0..file.count(8)? {
        let id = atom(file.word()?)?;
        let lookup: Lookup = if file.0.first_chunk() == Some(&u32::MAX.to_le_bytes()) {
            file.word()?;
            None
        } else {
            let mut names = Vec::new();
            for _ in 0..file.count(4)? {
                names.push(file.text()?.into());
            }
            Some(names)
        };
        graph.lookups.insert(id, lookup);
    }
    file.0.is_empty().then_some(graph)
}

/// Reads `data` as a file of a graph whose sum fits, for fuzzing and for tests: nothing
/// may panic. `None` if it is none.
pub fn exercise_stored(data: &[u8]) -> Option<usize> {
    let graph = parse(data.get(MAGIC.len() + SUM..data.len().checked_sub(SUM)?)?)?;
    let edges = (0..graph.len()).map(|atom| graph.edges(atom as u32).len());
    let again = encode(&graph, &[0; SUM]);
    assert!(
        decode(&again, &[0; SUM]).is_some(),
        "it is read as it was written"
    );
    Some(edges.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let stored = Stored::open(dir.path()).unwrap();
        let key = key(b"a library", &[]);
        let made = || Graph {
            atoms: vec![],
            constructors: 0,
            ..Graph::default()
        };
        // A graph without anything is none: it has no constructors either.
        assert!(stored.get(&key, || Ok::<_, ()>(made())).is_ok());
        assert!(stored.get(&key, || Err(())).is_err());
        let mut graph = made();
        graph.atoms.push(Atom {
            kind: Kind::Made,
            flags: 0,
            hash: [7; 16],
            loose: 1,
            start: 0,
            end: 0,
            name: NO_NAME,
            first: 0,
        });
        graph.lookups.insert(0, None);
        assert!(stored.get(&key, || Ok::<_, ()>(graph)).is_ok());
        let again = stored.get(&key, || Err(())).unwrap();
        assert_eq!(again.atoms[0].hash, [7; 16]);
        assert_eq!(again.lookups.get(&0), Some(&None));
        assert!(!stored.has_failed());
    }
}
