//! What a consumer names, directly or through what it names.
//!
//! A chunk that declares a name which is reached is reached, and then all names in it.
//! Of each name it is known how: in code, in conditions only, or in comments only. In doubt
//! a name is reached.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{Chunk, Header, What};
use super::names::{Name, Names};
use super::sources::{File, Sources};
use super::words::Words;

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
    found: HashMap<Name, (Level, Why)>,
    /// Texts around holes.
    prefixes: HashSet<&'w [u8]>,
    suffixes: HashSet<&'w [u8]>,
    /// Text on both sides of a hole.
    middles: Vec<&'w [u8]>,
    /// Shortest text that counts as part of a name that is put together.
    min_part: usize,
}

/// Shortest text beside a hole that says enough by itself.
const MIN_LITERAL: usize = 4;

/// Chunks by what they declare.
type Index = HashMap<Name, Vec<(File, Rc<Header>, usize)>>;

impl<'w> Reach<'w> {
    /// What is spelled, without what that leads to.
    pub(super) fn seed(words: &'w Words, names: &mut Names) -> Self {
        let mut found = HashMap::with_capacity(words.words.len());
        for (text, word) in &words.words {
            let level = match (word.in_code, word.in_condition) {
                (true, _) => Level::Code,
                (false, true) => Level::Condition,
                (false, false) => Level::Text,
            };
            found.insert(names.name(text), (level, Why::Spelled));
        }
        let long = |text: &&[u8]| text.len() >= MIN_LITERAL;
        let patterns = || words.patterns.iter();
        let one_sided = |a: &[u8], b: &[u8]| b.is_empty() && !a.is_empty();
        Self {
            words,
            found,
            prefixes: patterns()
                .filter(|p| one_sided(&p.prefix, &p.suffix))
                .map(|p| p.prefix.as_slice())
                .filter(long)
                .collect(),
            suffixes: patterns()
                .filter(|p| one_sided(&p.suffix, &p.prefix))
                .map(|p| p.suffix.as_slice())
                .filter(long)
                .collect(),
            middles: patterns()
                .filter(|p| !p.prefix.is_empty() && p.prefix == p.suffix)
                .map(|p| p.prefix.as_slice())
                .filter(long)
                .collect(),
            min_part: if words.pastes { 1 } else { 2 },
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
    pub(super) fn is_composed(&self, text: &[u8], names: &Names) -> bool {
        let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default();
        let length = text.len();
        for at in 1..length {
            if self.prefixes.contains(part(0, at)) || self.suffixes.contains(part(at, length)) {
                return true;
            }
        }
        let has = |middle: &&[u8]| text.windows(middle.len()).any(|window| window == *middle);
        if self.middles.iter().any(has) {
            return true;
        }
        let is_part = |from: usize, to: usize| {
            let text = part(from, to);
            let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
            let word = || {
                let known = names.known(text);
                text.len() >= self.min_part
                    && known.is_some_and(|name| self.found.contains_key(&name))
            };
            digits || word()
        };
        let firsts: Vec<usize> = (1..length).filter(|&at| is_part(0, at)).collect();
        if firsts.is_empty() {
            return false;
        }
        let lasts: Vec<usize> = (1..length).filter(|&at| is_part(at, length)).collect();
        firsts.iter().any(|&first| {
            lasts
                .iter()
                .any(|&last| first == last || (first < last && is_part(first, last)))
        })
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
        let mut todo: Vec<Name> = index
            .keys()
            .filter(|n| self.found.contains_key(n))
            .copied()
            .collect();
        // In an order that does not change, for the reasons that are told.
        todo.sort_by(|a, b| names.text(*a).cmp(names.text(*b)));
        todo.reverse();
        self.around(sources, &mut todo);
        // Chunks by address and place, and how they were reached: once is enough.
        let mut followed: HashMap<(*const Header, usize), Level> = HashMap::new();
        let mut declared: Vec<Name> = index.keys().copied().collect();
        declared.sort_by(|a, b| names.text(*a).cmp(names.text(*b)));
        loop {
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
                        self.follow(name, level, (file, header, chunk), &mut todo);
                    }
                }
            }
            let composed = declared.iter().copied().filter(|name| {
                !self.found.contains_key(name) && self.is_composed(names.text(*name), names)
            });
            let composed: Vec<Name> = composed.collect();
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
    fn around(&mut self, sources: &Sources, todo: &mut Vec<Name>) {
        let mut files: Vec<(&File, &Rc<Header>)> = sources.headers.iter().collect();
        files.sort_by(|a, b| a.0.cmp(b.0));
        for (file, header) in files {
            for chunk in header.chunks.iter().filter(|chunk| chunk.names.is_empty()) {
                let conditions = header
                    .conditions(chunk)
                    .iter()
                    .flat_map(|c| c.tokens.iter());
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
        name: Name,
        level: Level,
        (file, header, chunk): (&File, &Header, &Chunk),
        todo: &mut Vec<Name>,
    ) {
        // An enumerator leads to the type of its value, so that the others are reached
        // by their own names only.
        let through = || Why::Through(name, file.clone(), chunk.line);
        let in_condition = level.min(Level::Condition);
        let conditions = header
            .conditions(chunk)
            .iter()
            .flat_map(|c| c.tokens.iter());
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
    let mut index = Index::new();
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
