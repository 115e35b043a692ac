//! What a consumer names, directly or through what it names.
//!
//! A chunk that declares a name which is reached is reached, and then all names in it.
//! Of each name it is known how: in code, in conditions only, or in comments only. In doubt
//! a name is reached.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{Chunk, Header, What};
use super::compose::Composer;
use super::names::{ByName, Name, NameSet, Names};
use super::sources::{File, Sources};
use super::words::{Files, Words};

/// How a name is reached, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// In comments and documents only.
    Text,
    /// In conditions of the preprocessor only.
    Condition,
    /// In what is compiled or run.
    Code,
}

/// Why a name is reached.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// The consumer spells it.
    Spelled,
    /// The consumer puts it together.
    Composed,
    /// What declares this name, in this header at this line, names it.
    Through(Name, File, u32),
    /// What stands around declarations in this header, at this line, names it.
    Around(File, u32),
}

/// Which names are reached.
pub(super) struct Reach<'w> {
    words: &'w Words,
    found: ByName<(Level, Why)>,
    composer: Composer,
    /// Those that headers name where they may be pasted: others are put together of these
    /// wherever they stand.
    through: NameSet,
    /// Macros in whose expansion `##` stands.
    pasting: NameSet,
}

/// After how many rounds of names that are put together of others every name counts as one.
const MAX_ROUNDS: usize = 32;

/// Chunks by what they declare.
type Index = ByName<Vec<(File, Rc<Header>, usize)>>;

impl<'w> Reach<'w> {
    /// What is spelled, without what that leads to.
    pub(super) fn seed(words: &'w Words, names: &mut Names) -> Self {
        let mut composer = Composer::new(words);
        let mut found = ByName::default();
        found.reserve(words.words.len());
        for (text, word) in &words.words {
            let level = match (word.in_code, word.in_condition) {
                (true, _) => Level::Code,
                (false, true) => Level::Condition,
                (false, false) => Level::Text,
            };
            found.insert(names.name(text), (level, Why::Spelled));
            // Nothing is put together of what is for people.
            if level > Level::Text {
                composer.add(text, &word.files);
            }
        }
        Self {
            words,
            found,
            composer,
            through: NameSet::default(),
            pasting: NameSet::default(),
        }
    }

    /// How a name is reached, if it is.
    pub(super) fn level(&self, name: Name) -> Option<Level> {
        self.found.get(&name).map(|(level, _)| *level)
    }

    /// Why a name is reached.
    pub(super) fn why(&self, name: Name) -> Option<&Why> {
        self.found.get(&name).map(|(_, why)| why)
    }

    /// Whether a consumer may put a name together from what it spells or reaches.
    pub(super) fn is_composed(&self, text: &[u8]) -> bool {
        self.composer.composes(text)
    }

    /// Whether a consumer spells a word of a file's or package's name, or may put it together.
    pub(super) fn spells(&self, word: &str, names: &Names) -> bool {
        let known = names.known(word.as_bytes());
        known.is_some_and(|name| self.level(name).is_some())
            || self.composer.composes_file(word.as_bytes())
    }

    /// That others may be put together with what a chunk names: it is a macro, or one that
    /// pastes stands in it.
    fn join(&mut self, chunk: &Chunk, level: Level, names: &Names) {
        let pastes = || chunk.uses.iter().any(|name| self.pasting.contains(name));
        if level == Level::Text || !(matches!(chunk.what, What::Macro(_)) || pastes()) {
            return;
        }
        for &name in &chunk.uses {
            if self.through.insert(name) {
                self.composer.add(names.text(name), &Files::All);
            }
        }
    }

    /// Adds a name; false if it was reached so before.
    fn add(&mut self, name: Name, level: Level, why: impl FnOnce() -> Why) -> bool {
        match self.found.get_mut(&name) {
            Some((known, _)) if *known >= level => false,
            Some((known, _)) => {
                *known = level;
                true
            }
            None => {
                self.found.insert(name, (level, why()));
                true
            }
        }
    }

    /// Follows names through all headers until nothing is added.
    pub(super) fn close(&mut self, sources: &Sources, names: &Names) {
        let index = index(sources);
        self.pasting = sources.macros.that_paste();
        let mut todo: Vec<Name> = index
            .keys()
            .filter(|n| self.found.contains_key(n))
            .copied()
            .collect();
        // In an order that does not change, for the reasons that are told.
        todo.sort_unstable_by(|a, b| b.cmp(a));
        self.around(sources, names, &mut todo);
        // Chunks by address and place, and how they were reached: once is enough.
        let mut followed: HashMap<(*const Header, usize), Level> = HashMap::new();
        let mut declared: Vec<Name> = index.keys().copied().collect();
        declared.sort_unstable();
        for round in 0.. {
            while let Some(name) = todo.pop() {
                let Some(level) = self.level(name) else {
                    continue;
                };
                let Some(chunks) = index.get(&name) else {
                    continue;
                };
                for (file, header, at) in chunks {
                    let before = followed.insert((Rc::as_ptr(header), *at), level);
                    if let Some(before) = before.filter(|before| *before >= level) {
                        followed.insert((Rc::as_ptr(header), *at), before);
                        continue;
                    }
                    if let Some(chunk) = header.chunks.get(*at) {
                        self.follow((name, names), level, (file, header, chunk), &mut todo);
                    }
                }
            }
            declared.retain(|name| !self.found.contains_key(name));
            let is_composed = |name: &Name| {
                let text = names.text(*name);
                match round {
                    0 => self.composer.composes(text),
                    _ => round >= MAX_ROUNDS || self.composer.composes_now(text),
                }
            };
            let composed: Vec<Name> = declared.iter().copied().filter(is_composed).collect();
            self.composer.settle();
            for name in composed {
                self.add(name, Level::Code, || Why::Composed);
                todo.push(name);
            }
            if todo.is_empty() {
                return;
            }
        }
    }

    /// What has no name counts for everybody who includes it, and so does what it names:
    /// macros around declarations, in pragmas and includes, and conditions of these.
    fn around(&mut self, sources: &Sources, names: &Names, todo: &mut Vec<Name>) {
        let mut files: Vec<(&File, &Rc<Header>)> = sources.headers.iter().collect();
        files.sort_by(|a, b| a.0.cmp(b.0));
        for (file, header) in files {
            for chunk in header.chunks.iter().filter(|chunk| chunk.names.is_empty()) {
                self.join(chunk, Level::Code, names);
                let conditions = header
                    .conditions(chunk)
                    .iter()
                    .flat_map(|condition| condition.iter());
                let conditions = conditions.filter(|t| t.is_name());
                let conditions = conditions.map(|t| (t.name, Level::Condition));
                let uses = chunk.uses.iter().map(|&name| (name, Level::Code));
                for (name, level) in uses.chain(conditions) {
                    if self.add(name, level, || Why::Around(file.clone(), chunk.line)) {
                        todo.push(name);
                    }
                }
            }
        }
    }

    fn follow(
        &mut self,
        (name, names): (Name, &Names),
        level: Level,
        (file, header, chunk): (&File, &Header, &Chunk),
        todo: &mut Vec<Name>,
    ) {
        self.join(chunk, level, names);
        // An enumerator leads to the type of its value, so that the others are reached
        // by their own names only.
        let through = || Why::Through(name, file.clone(), chunk.line);
        let in_condition = level.min(Level::Condition);
        let conditions = header
            .conditions(chunk)
            .iter()
            .flat_map(|condition| condition.iter());
        let conditions = conditions
            .filter(|t| t.is_name())
            .map(|t| (t.name, in_condition));
        let uses = chunk.uses.iter().map(|&name| (name, level));
        for (used, level) in uses.chain(conditions) {
            let is_own = chunk.names.binary_search(&used).is_ok();
            if is_own && matches!(chunk.what, What::Enumeration(_)) {
                continue;
            }
            if self.add(used, level, through) {
                todo.push(used);
            }
        }
    }

    /// How a name came to be reached, for people: the consumer's word first.
    pub(super) fn chain(&self, name: Name, names: &Names) -> String {
        const MOST: usize = 12;
        let mut steps = Vec::new();
        let mut at = name;
        for _ in 0..MOST {
            match self.why(at) {
                Some(Why::Through(from, file, line)) => {
                    steps.push(format!(
                        ", which names {} ({}:{line})",
                        names.shown(at),
                        file.1
                    ));
                    at = *from;
                }
                Some(Why::Around(file, line)) => {
                    steps.push(format!("{}:{line} names {}", file.1, names.shown(at)));
                    break;
                }
                Some(Why::Spelled) => {
                    let word = self.words.words.get(names.text(at));
                    let place = word.map_or_else(String::new, |word| self.words.place(word));
                    steps.push(format!("{place} names {}", names.shown(at)));
                    break;
                }
                Some(Why::Composed) | None => {
                    steps.push(format!("{} may be put together there", names.shown(at)));
                    break;
                }
            }
        }
        steps.reverse();
        steps.concat()
    }
}

fn index(sources: &Sources) -> Index {
    let mut files: Vec<(&File, &Rc<Header>)> = sources.headers.iter().collect();
    files.sort_by(|a, b| a.0.cmp(b.0));
    // A content that several trees have leads to the same.
    let mut seen = HashSet::new();
    let mut index = Index::default();
    for (file, header) in files {
        if !seen.insert(Rc::as_ptr(header)) {
            continue;
        }
        for (at, chunk) in header.chunks.iter().enumerate() {
            for &name in &chunk.names {
                let entry = index.entry(name).or_default();
                entry.push((file.clone(), Rc::clone(header), at));
            }
        }
    }
    index
}
