//! A program with its libraries as one graph: what an import of one library is in another.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use object::elf;

use super::graph::{FINDERS, Graph, Kind};
use super::shared::Names;
use crate::arch::Class;
use crate::resolve::addresses::hash;
use crate::resolve::addresses::lookup::{Definition, Resolution, Scope};

/// Something that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// Index of the object in the closure, the executable's is 0; or one of the two below.
    pub(super) object: u32,
    /// Index of the atom; of an object without a graph that of the dynamic symbol.
    pub(super) atom: u32,
}

/// Nobody provides it, and its address is 0.
const NOTHING: u32 = u32::MAX;
/// Nobody provides it, and the program stops; the atom is a hash of the name.
const MISSING: u32 = u32::MAX - 1;

/// What of glibc an object can open others with.
pub(super) const OPENERS: [&[u8]; 2] = [b"dlopen", b"dlmopen"];
/// Where those are.
const GLIBC: [&[u8]; 2] = [b"libc.so.6", b"libdl.so.2"];

/// What ld.so chooses, by who asks for which symbol.
pub(super) type Choices = BTreeMap<(u32, Vec<u8>), Node>;

/// One object of a closure.
#[derive(Clone, Debug)]
pub(super) enum Part {
    /// Nothing in it leads to a change, or all of it counts as reached.
    Leaf,
    /// Its atoms.
    Graph(Arc<Graph>),
}

/// Where a reference leads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) node: Node,
    pub(super) offset: i64,
    /// The definition that ld.so would find, if it looked.
    pub(super) definition: Option<Definition>,
}

/// One side of a comparison.
pub(super) struct World<'a> {
    pub(super) scope: &'a Scope,
    pub(super) parts: Vec<Part>,
    /// How many objects are there from the start: they do not see what is opened later.
    pub(super) at_start: usize,
    /// What symbols of an object were found to be.
    pub(super) known: RefCell<HashMap<(u32, u32, Class), Target>>,
}

impl World<'_> {
    pub(super) fn graph(&self, object: u32) -> Option<&Graph> {
        match self.parts.get(object as usize)? {
            Part::Graph(graph) => Some(graph),
            Part::Leaf => None,
        }
    }

    /// The graph of a node that has one.
    pub(super) fn graph_of(&self, node: Node) -> Option<&Graph> {
        self.graph(node.object)
    }

    /// What an edge of an atom of `object` leads to.
    pub(super) fn follow(&self, object: u32, atom: u32) -> Target {
        let own = Target {
            node: Node { object, atom },
            offset: 0,
            definition: None,
        };
        let graph = self.graph(object).filter(|graph| {
            let atom = graph.atom(atom);
            atom.is_some_and(|atom| atom.kind == Kind::Import)
        });
        match graph.and_then(|graph| graph.imports.get(&atom)) {
            Some(import) => self.resolve(object, import.symbol, import.class),
            None => own,
        }
    }

    /// What symbol `symbol` of `object` is.
    pub(super) fn resolve(&self, object: u32, symbol: u32, class: Class) -> Target {
        let key = (object, symbol, class);
        if let Some(&known) = self.known.borrow().get(&key) {
            return known;
        }
        let target = self.resolve_now(object, symbol, class);
        self.known.borrow_mut().insert(key, target);
        target
    }

    fn resolve_now(&self, object: u32, symbol: u32, class: Class) -> Target {
        let nowhere = |object, atom| Target {
            node: Node { object, atom },
            offset: 0,
            definition: None,
        };
        let unseen = |definition: &Definition| {
            (object as usize) < self.at_start && definition.object >= self.at_start
        };
        match self.scope.resolve(object as usize, symbol, class) {
            Resolution::Found(definition) if unseen(&definition) => nowhere(NOTHING, 0),
            Resolution::Found(definition) => self.definition(definition),
            Resolution::Zero => nowhere(NOTHING, 0),
            Resolution::Missing => nowhere(MISSING, hash::gnu(self.symbol_name(object, symbol))),
        }
    }

    /// The node of a definition.
    pub(super) fn definition(&self, definition: Definition) -> Target {
        let object = u32::try_from(definition.object).unwrap_or(MISSING);
        let place = match self.graph(object) {
            Some(graph) => graph.exports.get(&definition.symbol).copied(),
            None => Some((definition.symbol, 0)),
        };
        let (atom, offset) = place.unwrap_or((u32::MAX, 0));
        Target {
            node: Node { object, atom },
            offset,
            definition: Some(definition),
        }
    }

    pub(super) fn symbol_name(&self, object: u32, symbol: u32) -> &[u8] {
        let object = self.scope.objects().get(object as usize);
        object
            .and_then(|object| object.symbol_name(symbol))
            .unwrap_or_default()
    }

    /// Whether `definition` is one of glibc with a name that is `meant`.
    pub(super) fn is_glibc(&self, definition: &Definition, meant: impl Fn(&[u8]) -> bool) -> bool {
        let object = self.scope.objects().get(definition.object);
        let soname = object.and_then(|object| object.soname());
        let name = object.and_then(|object| object.symbol_name(definition.symbol));
        soname.is_some_and(|soname| GLIBC.contains(&soname)) && name.is_some_and(meant)
    }

    /// The name of an object for people.
    pub(super) fn library(&self, object: u32) -> String {
        let object = self.scope.objects().get(object as usize);
        let soname = object.and_then(|object| object.soname());
        let name = soname.map(|name| String::from_utf8_lossy(name).into_owned());
        name.unwrap_or_else(|| {
            let path = object.and_then(|object| object.path().file_name());
            path.unwrap_or_default().to_string_lossy().into_owned()
        })
    }

    /// The name of a node for people.
    pub(super) fn label(&self, node: Node) -> String {
        match node.object {
            NOTHING => return "nothing".to_owned(),
            MISSING => return "a symbol that nobody provides".to_owned(),
            _ => {}
        }
        let Some(graph) = self.graph(node.object) else {
            let name = self.symbol_name(node.object, node.atom);
            return String::from_utf8_lossy(name).into_owned();
        };
        if let Some(name) = graph.name(node.atom) {
            return name.to_owned();
        }
        let Some(atom) = graph.atom(node.atom) else {
            return "something".to_owned();
        };
        match atom.kind {
            Kind::Text => self.text(node.object, atom.start, atom.end),
            Kind::Code => format!("the code at {:#x}", atom.start),
            Kind::Data => format!("the variable at {:#x}", atom.start),
            _ => format!("the constant at {:#x}", atom.start),
        }
    }

    /// The beginning of a string, quoted.
    fn text(&self, object: u32, start: u64, end: u64) -> String {
        let find = || {
            let object = self.scope.objects().get(object as usize)?;
            let elf = object.file().elf().ok()?;
            let bytes = elf.bytes_at(start)?;
            let len = usize::try_from(end.saturating_sub(start).saturating_sub(1)).ok()?;
            let text = String::from_utf8_lossy(bytes.get(..len)?).into_owned();
            let short: String = text.chars().take(40).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            Some(format!("the text \"{}{more}\"", short.escape_debug()))
        };
        find().unwrap_or_else(|| "a text".to_owned())
    }

    /// Whether the two nodes are the same thing where neither side has a graph.
    pub(super) fn is_leaf(&self, node: Node) -> bool {
        self.graph(node.object).is_none()
    }

    /// The choices of implementations that ld.so makes for what `object` asks for, by
    /// `object` and the name and version of the symbol; `chooses` has the hashes of the
    /// names of all that chooses.
    pub(super) fn choices(
        &self,
        object: u32,
        names: &Names,
        chooses: &HashSet<u32>,
        all: &mut Choices,
    ) {
        let Some(from) = self.scope.objects().get(object as usize) else {
            return;
        };
        let symbols = names.symbols.iter().zip(&names.hashes);
        for (&(symbol, class), _) in symbols.filter(|(_, hash)| chooses.contains(hash)) {
            let target = self.resolve(object, symbol, class);
            let definition = target.definition;
            let Some(definition) = definition.filter(|d| d.raw.kind() == elf::STT_GNU_IFUNC) else {
                continue;
            };
            let provider = target.node.object;
            let graph = self.graph(provider);
            let atom = graph.and_then(|graph| graph.resolver_of.get(&definition.symbol));
            if let Some(&atom) = atom {
                let mut key = from.symbol_name(symbol).unwrap_or_default().to_vec();
                if let Some(version) = from.symbol_version(symbol) {
                    key.push(b'@');
                    key.extend(version.name);
                }
                let chosen = Node {
                    object: provider,
                    atom,
                };
                all.insert((object, key), chosen);
            }
        }
    }

    /// Every definition of `name` in the closure, of whatever version, by object and
    /// version: dlsym takes the default one, and dlvsym any. Only objects that `has` says
    /// may have one are looked at.
    pub(super) fn definitions(
        &self,
        name: &[u8],
        has: impl Fn(usize) -> bool,
    ) -> BTreeMap<(usize, Vec<u8>), Definition> {
        let mut found = BTreeMap::new();
        let objects = self.scope.objects().iter().enumerate();
        for (index, object) in objects.filter(|(index, _)| has(*index)) {
            let count = u32::try_from(object.symbol_count()).unwrap_or(u32::MAX);
            for symbol in 1..count {
                let Some(raw) = object.symbol(symbol) else {
                    continue;
                };
                let local = raw.binding() == elf::STB_LOCAL;
                if local || raw.shndx == elf::SHN_UNDEF || object.symbol_name(symbol) != Some(name)
                {
                    continue;
                }
                let version = object.symbol_version(symbol);
                let version = version.map_or(Vec::new(), |version| version.name.to_vec());
                let definition = Definition {
                    object: index,
                    symbol,
                    raw,
                    ambiguous: false,
                };
                found.insert((index, version), definition);
            }
        }
        found
    }
}

/// Hashes of names that nobody may be able to reach: of functions that open objects, or
/// find symbols, by names that only a run knows.
pub(super) fn interesting(plugins_declared: bool) -> HashSet<u32> {
    let openers = OPENERS.iter().filter(|_| !plugins_declared);
    let names = openers.chain(&FINDERS).copied();
    let nss = super::nss::FUNCTIONS.iter().map(|name| name.as_bytes());
    let nss = nss.filter(|_| !plugins_declared);
    names.chain(nss).map(hash::gnu).collect()
}
