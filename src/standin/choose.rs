//! The choice: of each library of a consumer the earliest tree that the consumer cannot
//! tell from the new one.

use std::rc::Rc;

use super::chunk::Header;
use super::compare::{self, Values};
use super::conditions;
use super::context::Context;
use super::difference::{Difference, Kind, Test};
use super::lex::Token;
use super::metadata;
use super::names::{Name, NameSet, Names};
use super::packages::Packages;
use super::reach::{Level, Reach};
use super::sources::{File, Index, Sources, declares, spelled};
use super::symbols;
use super::tree::Tree;
use super::words::{Word, Words};

/// A library: indices of its trees.
#[derive(Clone, Debug)]
pub struct Library {
    /// Earlier ones, the earliest first.
    pub history: Vec<usize>,
    /// The new one.
    pub new: usize,
}

/// Why an earlier tree does not stand in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    /// What differs.
    pub kind: Kind,
    /// The difference.
    pub what: String,
    /// How the consumer comes to it; empty if it counts for everybody.
    pub how: String,
}

/// The choice for a library.
#[derive(Clone, Debug)]
pub struct Choice {
    /// The index of the tree.
    pub tree: usize,
    /// Of each earlier tree that was considered: why it does not stand in.
    pub passed: Vec<(usize, Vec<Reason>)>,
    /// How many differences the chosen tree has from the new one, none of which is reached.
    pub unseen: usize,
}

/// Everything that a choice needs.
pub struct Chooser<'c> {
    trees: &'c [Tree],
    words: &'c Words,
    names: Names,
    index: Index,
    sources: Sources,
    reach: Reach<'c>,
    met: Vec<Vec<Token>>,
    packages: Packages,
    /// Words in code that tell a version: in small letters, as they are, and where.
    variables: Vec<(Vec<u8>, &'c [u8], &'c Word)>,
    /// Whether the consumer may run CMake.
    runs_cmake: bool,
}

impl<'c> Chooser<'c> {
    /// Reads what the consumer with these words reaches in `trees`.
    pub fn new(trees: &'c [Tree], words: &'c Words) -> Self {
        let mut names = Names::default();
        let index = Index::new(trees);
        let mut reach = Reach::seed(words, &mut names);
        let mut roots: Vec<File> = Vec::new();
        for (base, files) in index.bases() {
            if spelled(base).all(|word| reach.spells(word, &names)) {
                roots.extend_from_slice(files);
            }
        }
        roots.sort();
        let sources = Sources::read(trees, &index, roots, &mut names);
        reach.close(&sources, &names);
        let met = conditions::met(words, &sources, &reach, &mut names);
        let packages = Packages::new(trees, &|word| reach.spells(word, &names));
        let variables = words.words.iter().filter(|(_, word)| word.in_code);
        let variables = variables
            .map(|(text, word)| (text.to_ascii_lowercase(), text.as_slice(), word))
            .filter(|(lower, ..)| lower.windows(7).any(|part| part == b"version"))
            .collect();
        Self {
            trees,
            words,
            names,
            index,
            sources,
            reach,
            met,
            packages,
            variables,
            runs_cmake: metadata::runs_cmake(words),
        }
    }

    /// Chooses for libraries that are used together.
    pub fn choose(&mut self, libraries: &[Library]) -> Vec<Choice> {
        let mut choices: Vec<Choice> = Vec::new();
        for library in libraries {
            let choice = self.alone(library, 0, Vec::new());
            choices.push(choice);
        }
        // A tree that is chosen may name what is new in another library. Every round takes
        // a later tree, so it ends.
        loop {
            let mut moved = false;
            for (at, library) in libraries.iter().enumerate() {
                let Some(choice) = choices.get(at).cloned() else {
                    continue;
                };
                let Some(reason) = self.missed(library, &choice, &choices) else {
                    continue;
                };
                let next = library.history.iter().position(|&t| t == choice.tree);
                let mut passed = choice.passed;
                passed.push((choice.tree, vec![reason]));
                let from = next.map_or(library.history.len(), |next| next + 1);
                let choice = self.alone(library, from, passed);
                if let Some(place) = choices.get_mut(at) {
                    *place = choice;
                }
                moved = true;
            }
            if !moved {
                return choices;
            }
        }
    }

    /// The choice for one library, from the given place of its history on.
    fn alone(
        &mut self,
        library: &Library,
        from: usize,
        passed: Vec<(usize, Vec<Reason>)>,
    ) -> Choice {
        let mut passed = passed;
        for &old in library.history.iter().skip(from) {
            let (reasons, count) = self.tell(library, old);
            if reasons.is_empty() {
                return Choice {
                    tree: old,
                    passed,
                    unseen: count,
                };
            }
            passed.push((old, reasons));
        }
        Choice {
            tree: library.new,
            passed,
            unseen: 0,
        }
    }

    /// Why the consumer can tell tree `old` from the new one, and how many differences
    /// there are.
    fn tell(&mut self, library: &Library, old: usize) -> (Vec<Reason>, usize) {
        let (Some(before), Some(after)) = (self.trees.get(old), self.trees.get(library.new)) else {
            return (Vec::new(), 0);
        };
        let mut own = library.history.clone();
        own.push(library.new);
        let context = Context {
            sources: &self.sources,
            index: &self.index,
            own: &own,
            new: library.new,
        };
        let (mut all, values) = compare::headers(&context, old, &mut self.names);
        all.extend(metadata::files(
            before,
            after,
            &mut self.names,
            self.runs_cmake,
        ));
        all.extend(symbols::libraries(before, after, &mut self.names));
        let mut reasons = Vec::new();
        for difference in &all {
            if let Some(how) = self.counts(difference, &values) {
                reasons.push(Reason {
                    kind: difference.kind,
                    what: difference.what.clone(),
                    how,
                });
            }
        }
        reasons.sort();
        reasons.dedup();
        (reasons, all.len())
    }

    /// How the consumer comes to a difference; `None` if it does not.
    fn counts(&mut self, difference: &Difference, values: &Values) -> Option<String> {
        match &difference.test {
            Test::Always => Some(String::new()),
            Test::Name(name) => self.named(*name),
            Test::Names(all) => {
                let mut chains = all.iter().map(|name| self.named(*name));
                let first = chains.next().flatten()?;
                chains.all(|chain| chain.is_some()).then_some(first)
            }
            Test::Value(name) => match self.reach.level(*name) {
                None => self.named(*name),
                Some(Level::Code) => Some(self.reach.chain(*name, &self.names)),
                Some(_) => {
                    let world = (&self.sources, &self.reach);
                    let telling =
                        conditions::telling(*name, values, &self.met, world, &mut self.names)?;
                    Some(format!("the condition `{telling}` may tell the two apart"))
                }
            },
            Test::Spelled(words) => self.spells(words).then(|| {
                let first = words
                    .first()
                    .and_then(|word| self.names.known(word.as_bytes()));
                first.map_or_else(String::new, |name| self.reach.chain(name, &self.names))
            }),
            Test::Version {
                named,
                prefixes,
                old,
                new,
            } => match self.spells(named) {
                true => self.asks(prefixes, old, new),
                false => None,
            },
        }
    }

    /// How a consumer asks for a version of a package, or compares with one between the two.
    fn asks(&self, prefixes: &[String], old: &str, new: &str) -> Option<String> {
        let words = self.words;
        let asked = |text: &[u8]| words.asks.contains(text);
        if asked(b"modversion") || asked(b"version()") {
            return Some("the version is asked for (modversion, version())".to_owned());
        }
        let prefixes = prefixes.iter().map(|prefix| prefix.as_bytes());
        let asked = words.asks.iter();
        let asked = asked.filter_map(|ask| ask.strip_prefix(b"prefix ".as_slice()));
        let starts: Vec<Vec<u8>> = prefixes
            .chain(asked)
            .map(<[u8]>::to_ascii_lowercase)
            .collect();
        let mut variables = self.variables.iter();
        let begins = |text: &[u8]| starts.iter().any(|start| text.starts_with(start));
        if let Some((_, text, word)) = variables.find(|(lower, ..)| begins(lower)) {
            let name = String::from_utf8_lossy(text);
            return Some(format!("{} names {name}", words.place(word)));
        }
        let (Some(a), Some(b)) = (parts(old), parts(new)) else {
            return Some("the versions cannot be compared".to_owned());
        };
        let (low, high) = if a < b { (a, b) } else { (b, a) };
        let mut versions = words.versions.iter().chain(&self.packages.versions);
        let between = versions.find(|text| {
            parts(text).is_some_and(|version| {
                // `1.2` is compared with what begins so, too.
                let cut =
                    |of: &Vec<u64>| of.iter().take(version.len()).copied().collect::<Vec<_>>();
                (low <= version && version <= high)
                    || (cut(&low) != cut(&high) && cut(&low) <= version && version <= cut(&high))
            })
        });
        between.map(|version| format!("something is compared with version {version}"))
    }

    fn named(&self, name: Name) -> Option<String> {
        let is_reached =
            self.reach.level(name).is_some() || self.reach.is_composed(self.names.text(name));
        is_reached.then(|| self.reach.chain(name, &self.names))
    }

    fn spells(&self, words: &[String]) -> bool {
        let spelled = |word: &String| self.reach.spells(word, &self.names);
        words.iter().all(spelled) || self.packages.has(words)
    }

    /// Something that is new in a library since the tree chosen for it, and that a tree
    /// chosen for another library names where the consumer may include it.
    fn missed(&self, library: &Library, choice: &Choice, choices: &[Choice]) -> Option<Reason> {
        if choice.tree == library.new {
            return None;
        }
        let of = |tree: usize| -> NameSet {
            let headers = self.sources.of_tree(tree);
            headers.flat_map(|(_, header)| declares(header)).collect()
        };
        let (before, after) = (of(choice.tree), of(library.new));
        for other in choices.iter().filter(|other| other.tree != choice.tree) {
            let mut headers: Vec<(&File, &Rc<Header>)> = self.sources.of_tree(other.tree).collect();
            headers.sort_by(|a, b| a.0.cmp(b.0));
            let own = of(other.tree);
            for (file, header) in headers {
                for chunk in &header.chunks {
                    let new = chunk.uses.iter().find(|name| {
                        after.contains(name) && !before.contains(name) && !own.contains(name)
                    });
                    if let Some(name) = new {
                        let name = self.names.shown(*name);
                        return Some(Reason {
                            kind: Kind::Sibling,
                            what: format!("{name} is new"),
                            how: format!(
                                "{}:{} of another library names {name}",
                                file.1, chunk.line
                            ),
                        });
                    }
                }
            }
        }
        None
    }
}

fn parts(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|part| part.parse().ok()).collect()
}
