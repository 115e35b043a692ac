//! What clients really bind to in one library, as ld.so decides it.
//!
//! A client is a program, a library or a plugin, with the closure that `resolve` found
//! for it. Its own references count, and those of the other objects of its closure
//! unless they are private: libraries that share a private interface are replaced
//! together. What is looked up by dlsym is in no file. This module must not read files.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::arch::Class;
use crate::resolve::addresses::lookup::{Reference, Resolution, Scope};
use crate::resolve::addresses::open::copied;
use crate::resolve::{Closure, Library};

use super::floor::{Common, remove};
use super::model::{Abi, Key, Name};
use super::private::Private;
use super::text::escape;

/// A symbol and its version; `None` for the base.
type Versioned = (Name, Option<Name>);

/// Who uses something.
#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    /// The first of them.
    path: PathBuf,
    /// All references are weak.
    weak: bool,
}

/// What clients bind to in a library that is given by some of its builds.
#[derive(Debug)]
pub struct Used<'b> {
    /// What clients know the library by.
    name: Name,
    builds: &'b [Abi],
    private: &'b Private,
    symbols: BTreeMap<Versioned, User>,
    /// Versions that must be defined, whatever has them.
    versions: BTreeMap<Name, PathBuf>,
}

/// What a client binds to and no floor of all builds has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The symbol, or the version.
    pub what: String,
    /// Who uses it.
    pub user: PathBuf,
    /// Index of the first build that lacks it; `None` if they contradict each other.
    pub build: Option<usize>,
}

/// What became of a floor that was cut to what is used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cut {
    /// The clients do not start, or not rightly, with one of the builds.
    pub lacking: Vec<Lacking>,
    /// Left out likewise, but all references are weak.
    pub weak: Vec<Lacking>,
}

impl<'b> Used<'b> {
    /// Nothing yet of the library that is called `name` (its soname, or its file's name
    /// if it has none). `builds` have their private symbols.
    pub fn new(name: &[u8], builds: &'b [Abi], private: &'b Private) -> Self {
        Self {
            name: name.to_vec(),
            builds,
            private,
            symbols: BTreeMap::new(),
            versions: BTreeMap::new(),
        }
    }

    /// Whether nothing is used.
    pub fn is_empty(&self) -> bool {
        self.symbols.is_empty()
    }

    /// Adds what `client` binds to; whether that is anything. `scope` is of the client
    /// and its `closure`.
    pub fn add(&mut self, client: (&Path, &Library), closure: &Closure, scope: &Scope) -> bool {
        let nodes = closure.nodes.iter();
        let libraries = nodes.map(|node| (&*node.path, &*node.library));
        let is_it = |library: &Library| library.soname.as_deref() == Some(&*self.name);
        let named = closure.nodes.iter().position(|node| node.name == self.name);
        let target = closure.nodes.iter().position(|node| is_it(&node.library));
        let target = target.or(named).map(|index| index + 1);
        let mut binds = false;
        for (from, (path, library)) in std::iter::once(client).chain(libraries).enumerate() {
            if Some(from) == target || is_it(library) {
                continue;
            }
            let mut uses = self.references(from, target, scope);
            // It is the named client's, or public.
            let counts =
                |name: &[u8], version: Option<&[u8]>| from == 0 || !self.is_private(name, version);
            uses.retain(|((name, version), _)| counts(name, version.as_deref()));
            let needs = library.needed_versions.iter();
            let needs = needs.filter(|need| !need.weak && *need.file == *self.name);
            let needs = needs.filter(|need| counts(b"", Some(&need.name)));
            let needs: Vec<Name> = needs.map(|need| need.name.to_vec()).collect();
            binds |= !uses.is_empty();
            for (symbol, weak) in uses {
                match self.symbols.entry(symbol) {
                    Entry::Vacant(entry) => {
                        let path = path.to_owned();
                        entry.insert(User { path, weak });
                    }
                    // Who cannot do without is told first.
                    Entry::Occupied(mut entry) if entry.get().weak && !weak => {
                        let path = path.to_owned();
                        entry.insert(User { path, weak });
                    }
                    Entry::Occupied(_) => {}
                }
            }
            for version in needs {
                let user = || path.to_owned();
                self.versions.entry(version).or_insert_with(user);
            }
        }
        binds
    }

    fn is_private(&self, name: &[u8], version: Option<&[u8]>) -> bool {
        let soname = self
            .builds
            .first()
            .and_then(|build| build.soname.as_deref());
        self.private.hides(soname, name, version)
    }

    /// What object `from` binds to in `target`, and whether weakly.
    fn references(
        &self,
        from: usize,
        target: Option<usize>,
        scope: &Scope,
    ) -> Vec<(Versioned, bool)> {
        let Some(object) = scope.objects().get(from) else {
            return Vec::new();
        };
        let mut uses = Vec::new();
        let version_in_target = |resolution| match resolution {
            Resolution::Found(definition) if Some(definition.object) == target => {
                let target = scope.objects().get(definition.object)?;
                let version = target.symbol_version(definition.symbol);
                Some(version.map(|version| version.name.to_vec()))
            }
            _ => None,
        };
        for reference in scope.references(from) {
            let file = reference.version.and_then(|version| version.file);
            if file != Some(&*self.name) && self.default_of(reference.name).is_none() {
                continue;
            }
            let resolution = scope.resolve(from, reference.symbol, reference.class);
            let version = match resolution {
                Resolution::Missing => self.unprovided(&reference),
                found => version_in_target(found),
            };
            if let Some(version) = version {
                uses.push(((reference.name.to_vec(), version), reference.weak));
            }
        }
        for symbol in copied(object) {
            let resolution = scope.resolve(from, symbol, Class::Copy);
            if let Some(version) = version_in_target(resolution)
                && let Some(name) = object.symbol_name(symbol)
            {
                uses.push(((name.to_vec(), version), false));
            }
        }
        uses
    }

    /// The version that a reference without one is given by the first build that has the
    /// symbol: the default one, or any.
    fn default_of(&self, name: &[u8]) -> Option<Option<Name>> {
        self.builds.iter().find_map(|build| {
            let key = build
                .definitions(name)
                .max_by_key(|(key, _)| key.default)?
                .0;
            Some(key.version.clone())
        })
    }

    /// The version of a symbol that nobody in the closure has: the build that is there is
    /// another one, or it is a plugin and the program loads the library.
    fn unprovided(&self, reference: &Reference<'_>) -> Option<Option<Name>> {
        match reference.version {
            Some(version) if version.file == Some(&*self.name) => Some(Some(version.name.to_vec())),
            Some(_) => None,
            None => self.default_of(reference.name),
        }
    }

    /// Takes from the common floor of all builds what is not used; with `keep_public`,
    /// only what is private besides. Other names of a used object stay: a program that
    /// has a copy of it has them too.
    pub fn cut(&self, common: &mut Common, keep_public: bool) -> Cut {
        let lists = self.missing(&common.floor);
        let floor = &mut common.floor;
        let used = |key: &Key| {
            let symbol = (key.name.clone(), key.version.clone());
            self.symbols.contains_key(&symbol)
        };
        let public = |key: &Key| !self.is_private(&key.name, key.version.as_deref());
        let mut stay: BTreeSet<Key> = floor.symbols.keys().cloned().collect();
        stay.retain(|key| used(key) || keep_public && public(key));
        for group in floor.groups().into_values() {
            if group.iter().any(|key| used(key)) {
                stay.extend(group.into_iter().filter(|key| public(key)).cloned());
            }
        }
        let doomed: Vec<Key> = floor.symbols.keys().cloned().collect();
        for key in doomed.iter().filter(|key| !stay.contains(key)) {
            remove(floor, key);
        }
        let left: BTreeSet<Name> = floor.symbols.keys().map(|key| key.name.clone()).collect();
        floor.warnings.retain(|name, _| left.contains(name));
        floor.normalise();
        floor.drop_unused_versions();
        common
            .contradicting
            .retain(|key| keep_public && public(key) && !used(key));
        lists
    }

    /// What is used and not in `floor`, and versions that not all builds define.
    fn missing(&self, floor: &Abi) -> Cut {
        let mut cut = Cut::default();
        let mut told: BTreeSet<&Name> = BTreeSet::new();
        for ((name, version), user) in &self.symbols {
            if floor.has(name, version.as_deref()) {
                continue;
            }
            let lacks = |build: &Abi| !build.has(name, version.as_deref());
            let lacking = Lacking {
                what: match version {
                    Some(version) => format!("{}@{}", escape(name), escape(version)),
                    None => escape(name),
                },
                user: user.path.clone(),
                build: self.builds.iter().position(lacks),
            };
            if user.weak {
                cut.weak.push(lacking);
            } else {
                told.extend(version);
                cut.lacking.push(lacking);
            }
        }
        for (version, path) in &self.versions {
            let lacks = |build: &Abi| !build.defines_version(version);
            let build = self.builds.iter().position(lacks);
            if build.is_some() && !told.contains(version) {
                cut.lacking.push(Lacking {
                    what: format!("version {}", escape(version)),
                    user: path.clone(),
                    build,
                });
            }
        }
        cut
    }
}
