//! Headers of several trees: which of them a consumer may include, each cut once however
//! many trees have it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{Header, Target};
use super::lex::{self, Element, Item};
use super::macros::Macros;
use super::names::{self, Name, Names};
use super::split;
use super::target::{asked, target, written};
use super::tree::{Role, Tree};
use super::whole::unread;

/// A header of a tree: index of the tree, path in it.
pub(super) type File = (usize, Rc<str>);

/// Headers that may be included, cut.
pub(super) struct Sources {
    /// Of each such header, the cut of its content.
    pub(super) headers: HashMap<File, Rc<Header>>,
    /// Which headers each of these includes, among all trees.
    pub(super) includes: HashMap<File, Vec<File>>,
    /// Macros of all of them.
    pub(super) macros: Macros,
}

/// Where headers are by the last part of their path.
pub(super) struct Index {
    by_base: HashMap<Box<str>, Vec<File>>,
}

impl Index {
    /// The headers of all trees.
    pub(super) fn new(trees: &[Tree]) -> Self {
        let mut by_base: HashMap<Box<str>, Vec<File>> = HashMap::new();
        for (at, tree) in trees.iter().enumerate() {
            for (path, file) in &tree.files {
                if file.role == Role::Header {
                    let base = path.rsplit('/').next().unwrap_or(path);
                    let file: File = (at, path.as_str().into());
                    by_base.entry(base.into()).or_default().push(file);
                }
            }
        }
        Self { by_base }
    }

    /// All headers by the last part of their path.
    pub(super) fn bases(&self) -> impl Iterator<Item = (&str, &[File])> {
        self.by_base
            .iter()
            .map(|(base, files)| (base.as_ref(), files.as_slice()))
    }

    /// The headers that an include in `from` may mean, whatever folders are searched.
    pub(super) fn find(&self, from: &File, target: &Target) -> Vec<File> {
        let path = String::from_utf8_lossy(&target.path);
        let mut parts: Vec<&str> = Vec::new();
        for part in path.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    parts.pop();
                }
                part => parts.push(part),
            }
        }
        let wanted = parts.join("/");
        let Some(base) = parts.last() else {
            return Vec::new();
        };
        let candidates = self.by_base.get(*base).map_or(&[][..], Vec::as_slice);
        if target.quoted
            && let Some((folder, _)) = from.1.rsplit_once('/')
        {
            let beside = format!("{folder}/{wanted}");
            let beside = candidates.iter().find(|f| f.0 == from.0 && *f.1 == *beside);
            if let Some(beside) = beside {
                return vec![beside.clone()];
            }
        }
        let ends = |path: &str| {
            path.strip_suffix(&*wanted)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        candidates
            .iter()
            .filter(|file| ends(&file.1))
            .cloned()
            .collect()
    }
}

/// What a content is before it can be cut.
enum Content {
    Items(Vec<Item>),
    Unreadable(&'static str, Rc<[u8]>),
}

impl Sources {
    /// Cuts the headers of `trees` that `roots` reach.
    pub(super) fn read(trees: &[Tree], index: &Index, roots: Vec<File>, names: &mut Names) -> Self {
        // Equal contents are one.
        let mut numbers: HashMap<Rc<[u8]>, usize> = HashMap::new();
        let mut contents: Vec<Content> = Vec::new();
        let mut content_of: HashMap<File, usize> = HashMap::new();
        let mut includes: HashMap<File, Vec<File>> = HashMap::new();
        let mut todo = roots;
        let mut seen: HashSet<File> = todo.iter().cloned().collect();
        while let Some(file) = todo.pop() {
            let Some(data) = data(trees, &file) else {
                continue;
            };
            let number = *numbers.entry(Rc::clone(data)).or_insert_with(|| {
                contents.push(match lex::lex(data, names) {
                    Ok(items) => Content::Items(items),
                    Err(why) => Content::Unreadable(why, Rc::clone(data)),
                });
                contents.len() - 1
            });
            let targets = contents.get(number).map(|content| targets(content, names));
            let found: BTreeSet<File> = targets
                .iter()
                .flatten()
                .flat_map(|target| index.find(&file, target))
                .filter(|found| *found != file)
                .collect();
            for found in &found {
                if seen.insert(found.clone()) {
                    todo.push(found.clone());
                }
            }
            content_of.insert(file.clone(), number);
            includes.insert(file, found.into_iter().collect());
        }
        let mut macros = Macros::default();
        // In an order that does not change, so that limits do the same.
        let mut files: Vec<(&File, usize)> = content_of.iter().map(|(f, at)| (f, *at)).collect();
        files.sort_unstable();
        let mut collected = HashSet::new();
        for (_, number) in &files {
            if let Some(Content::Items(items)) = contents.get(*number)
                && collected.insert(*number)
            {
                macros.collect(items);
            }
        }
        let lined = macros.that_reach(&[names::LINE]);
        let cut: Vec<Rc<Header>> = contents
            .iter()
            .map(|content| {
                Rc::new(match content {
                    Content::Items(items) => split::split(items, &macros, names, &lined),
                    Content::Unreadable(why, data) => unread(data, names, why),
                })
            })
            .collect();
        let header = |(file, number): (&File, usize)| {
            let header = cut.get(number)?;
            Some((file.clone(), Rc::clone(header)))
        };
        let headers = files.iter().copied().filter_map(header).collect();
        Self {
            headers,
            includes,
            macros,
        }
    }

    /// The headers of one tree.
    pub(super) fn of_tree(&self, tree: usize) -> impl Iterator<Item = (&File, &Rc<Header>)> {
        self.headers.iter().filter(move |(file, _)| file.0 == tree)
    }
}

fn data<'t>(trees: &'t [Tree], file: &File) -> Option<&'t Rc<[u8]>> {
    Some(&trees.get(file.0)?.files.get(&*file.1)?.data)
}

/// Headers that a content includes or asks for, or that its macros name for others.
fn targets(content: &Content, names: &Names) -> Vec<Target> {
    let Content::Items(items) = content else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for item in items {
        let Element::Directive(word, tokens) = &item.element else {
            continue;
        };
        if *word == names::DEFINE {
            let body = super::macros::Definition::parse(tokens).map(|(_, d)| d.body);
            found.extend(body.and_then(|body| written(&body, names)));
        } else {
            found.extend(target(*word, tokens, names));
        }
        found.extend(asked(tokens, names));
    }
    found
}

/// The words of the last part of a path, by which a consumer spells it.
pub(super) fn spelled(base: &str) -> impl Iterator<Item = &str> {
    let words = base.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.bytes().next().is_some_and(|b| !b.is_ascii_digit()))
}

/// The names of all chunks of a header.
pub(super) fn declares(header: &Header) -> impl Iterator<Item = Name> {
    header
        .chunks
        .iter()
        .flat_map(|chunk| chunk.names.iter().copied())
}
