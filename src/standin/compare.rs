//! The headers of two trees as differences by name.
//!
//! Of each header that both have, the longest sequence of chunks that is in both stays;
//! all others differ, moved ones too.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{Chunk, Header, What};
use super::context::Context;
use super::difference::{Difference, Kind, Test};
use super::includes;
use super::macros::Definition;
use super::names::{ByName, Name, Names};
use super::sequence::{Lone, keep, lone};
use super::sources::{File, declares, spelled};

/// Macros that stand for another text in each tree.
pub(super) type Values = ByName<(Definition, Definition)>;

/// The differences of the headers of tree `old` and the new one.
pub(super) fn headers(
    context: &Context<'_>,
    old: usize,
    names: &mut Names,
) -> (Vec<Difference>, Values) {
    let new = context.new;
    let of = |tree: usize| -> HashMap<Rc<str>, &Rc<Header>> {
        let headers = context.sources.of_tree(tree);
        headers
            .map(|(file, header)| (Rc::clone(&file.1), header))
            .collect()
    };
    let (before, after) = (of(old), of(new));
    let paths: BTreeSet<&Rc<str>> = before.keys().chain(after.keys()).collect();
    let counts = |headers: &HashMap<Rc<str>, &Rc<Header>>| {
        let mut counts: ByName<usize> = ByName::default();
        // Copies of a header are one.
        let mut seen = HashSet::new();
        let once = headers
            .values()
            .filter(|header| seen.insert(Rc::as_ptr(header)));
        for name in once.flat_map(|header| declares(header)) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    };
    let mut comparison = Comparison {
        context,
        old,
        plain: None,
        counts: (counts(&before), counts(&after)),
        names,
        found: Vec::new(),
        values: Values::default(),
    };
    for path in paths {
        let (a, b) = (before.get(path).copied(), after.get(path).copied());
        if let (Some(a), Some(b)) = (a, b)
            && Rc::ptr_eq(a, b)
        {
            continue;
        }
        match (a, b) {
            (Some(a), Some(b)) => comparison.header(path, a, b),
            (Some(only), None) => comparison.one_sided(path, only, false),
            (None, Some(only)) => comparison.one_sided(path, only, true),
            (None, None) => {}
        }
    }
    (comparison.found, comparison.values)
}

/// Most enums that one is compared with.
const MAX_SHARED: usize = 1000;

struct Comparison<'c> {
    context: &'c Context<'c>,
    old: usize,
    /// A header, and what it includes plainly.
    plain: Option<(File, HashSet<File>)>,
    /// How many chunks declare a name, in each tree.
    counts: (ByName<usize>, ByName<usize>),
    names: &'c mut Names,
    found: Vec<Difference>,
    values: Values,
}

impl Comparison<'_> {
    fn header(&mut self, path: &Rc<str>, old: &Header, new: &Header) {
        if let Some(why) = old.whole.or(new.whole) {
            self.push(Kind::Header, Test::Always, format!("{path} {why}"));
            return;
        }
        let (mut gone, mut come) = lone(old, new);
        self.enumerations((old, new), path, &mut gone, &mut come);
        self.macros((old, new), path, &mut gone, &mut come);
        for (list, header, is_new) in [(gone, old, false), (come, new, true)] {
            for (chunk, _) in list {
                self.chunk(path, header, chunk, is_new);
            }
        }
    }

    /// A header of one tree counts for who spells it, and by its names for who reaches it;
    /// what includes it differs itself, by what stands around them too.
    fn one_sided(&mut self, path: &Rc<str>, header: &Header, is_new: bool) {
        if let Some(why) = header.whole {
            self.push(Kind::Header, Test::Always, format!("{path} {why}"));
            return;
        }
        let how = if is_new { "is new" } else { "is gone" };
        let base = path.rsplit('/').next().unwrap_or(path);
        let words = spelled(base).map(str::to_owned).collect();
        self.push(Kind::Header, Test::Spelled(words), format!("{path} {how}"));
        for chunk in &header.chunks {
            let is_own = matches!(
                chunk.what,
                What::Include | What::Structure | What::Directive(_)
            );
            if !is_own {
                self.chunk(path, header, chunk, is_new);
            }
        }
    }

    fn push(&mut self, kind: Kind, test: Test, what: String) {
        self.found.push(Difference { kind, what, test });
    }

    /// Enums of one frame differ by enumerators.
    fn enumerations(
        &mut self,
        (before, after): (&Header, &Header),
        path: &str,
        gone: &mut Vec<Lone<'_>>,
        come: &mut Vec<Lone<'_>>,
    ) {
        let by_name = by_name(come, |chunk| match &chunk.what {
            What::Enumeration(list) => list.names().collect(),
            _ => Vec::new(),
        });
        let mut pairs = Pairs::default();
        for (at, (old, place)) in gone.iter().enumerate() {
            let What::Enumeration(one) = &old.what else {
                continue;
            };
            // Those that share an enumerator, of which there are few.
            let shared = one.names().filter_map(|name| by_name.get(&name));
            let shared: BTreeSet<usize> = shared.flatten().copied().take(MAX_SHARED).collect();
            let found = shared.into_iter().filter_map(|with| {
                let (new, other) = come.get(with)?;
                let at_one_place = place == other && before.context(old) == after.context(new);
                match &new.what {
                    What::Enumeration(two) if at_one_place => {
                        Some((with, new.line, one.difference(two)?))
                    }
                    _ => None,
                }
            });
            // Of several without a name, the one that is least different.
            let best = found.min_by_key(|(_, _, differ)| differ.len());
            let Some((with, line, differ)) = best.filter(|best| !pairs.new.contains(&best.0))
            else {
                continue;
            };
            pairs.add(at, with);
            for name in differ {
                let how = self.how(name);
                let what = format!("{} {how} ({path}:{line})", self.names.shown(name));
                self.push(Kind::Enumerator, Test::Name(name), what);
            }
        }
        pairs.take_out(gone, come);
    }

    /// Macros that are defined once, at the same place, as something else.
    fn macros(
        &mut self,
        (before, after): (&Header, &Header),
        path: &str,
        gone: &mut Vec<Lone<'_>>,
        come: &mut Vec<Lone<'_>>,
    ) {
        let by_name = by_name(come, |chunk| match &chunk.what {
            What::Macro(_) => chunk.names.clone(),
            _ => Vec::new(),
        });
        let mut pairs = Pairs::default();
        for (at, (old, place)) in gone.iter().enumerate() {
            let (What::Macro(one), Some(&name)) = (&old.what, old.names.first()) else {
                continue;
            };
            let once = |counts: &ByName<usize>| counts.get(&name) == Some(&1);
            if !once(&self.counts.0) || !once(&self.counts.1) {
                continue;
            }
            let with = by_name.get(&name).and_then(|all| all.first().copied());
            let Some((with, (new, other))) = with.and_then(|with| Some((with, come.get(with)?)))
            else {
                continue;
            };
            let at_one_place = place == other && before.context(old) == after.context(new);
            let What::Macro(two) = &new.what else {
                continue;
            };
            if !at_one_place || one.parameters != two.parameters {
                continue;
            }
            let line = new.line;
            self.values.insert(name, (one.clone(), two.clone()));
            pairs.add(at, with);
            let what = format!(
                "{} has another value ({path}:{line})",
                self.names.shown(name)
            );
            self.push(Kind::Macro, Test::Value(name), what);
        }
        pairs.take_out(gone, come);
    }

    fn include(&mut self, path: &Rc<str>, chunk: (&Header, &Chunk), is_new: bool) {
        let (old, new) = (self.old, self.context.new);
        let (mine, other) = if is_new { (new, old) } else { (old, new) };
        let counterpart: File = (other, Rc::clone(path));
        let (_, there) = match self.plain.take() {
            Some(known) if known.0 == counterpart => self.plain.insert(known),
            _ => {
                let there = includes::plain(self.context, &counterpart, other);
                self.plain.insert((counterpart, there))
            }
        };
        let file: File = (mine, Rc::clone(path));
        let found = includes::differ(self.context, (&file, other), there, chunk, self.names);
        self.found.extend(found);
    }

    fn how(&self, name: Name) -> &'static str {
        match (
            self.counts.0.contains_key(&name),
            self.counts.1.contains_key(&name),
        ) {
            (false, _) => "is new",
            (_, false) => "is gone",
            _ => "is another",
        }
    }

    fn chunk(&mut self, path: &Rc<str>, header: &Header, chunk: &Chunk, is_new: bool) {
        let line = chunk.line;
        let kind = match chunk.what {
            What::Structure | What::Directive(_) => {
                let what = format!("a directive or brace of {path}:{line}, in one tree only");
                return self.push(Kind::Directive, Test::Always, what);
            }
            What::Include => return self.include(path, (header, chunk), is_new),
            What::Macro(_) | What::Undef => Kind::Macro,
            _ => Kind::Declaration,
        };
        if chunk.names.is_empty() {
            let what = format!("what {path}:{line} declares is not clear");
            return self.push(Kind::Declaration, Test::Always, what);
        }
        for &name in &chunk.names {
            let what = format!(
                "{} {} ({path}:{line})",
                self.names.shown(name),
                self.how(name)
            );
            self.push(kind, Test::Name(name), what);
        }
    }
}

/// Which chunks have which of these names.
fn by_name(list: &[Lone<'_>], names: impl Fn(&Chunk) -> Vec<Name>) -> ByName<Vec<usize>> {
    let mut found: ByName<Vec<usize>> = ByName::default();
    for (at, (chunk, _)) in list.iter().enumerate() {
        for name in names(chunk) {
            found.entry(name).or_default().push(at);
        }
    }
    found
}

/// Places of chunks of which one became the other.
#[derive(Default)]
struct Pairs {
    old: HashSet<usize>,
    new: HashSet<usize>,
}

impl Pairs {
    fn add(&mut self, old: usize, new: usize) {
        self.old.insert(old);
        self.new.insert(new);
    }

    fn take_out(&self, gone: &mut Vec<Lone<'_>>, come: &mut Vec<Lone<'_>>) {
        keep(gone, &self.old);
        keep(come, &self.new);
    }
}
