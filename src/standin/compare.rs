//! The headers of two trees as differences by name.
//!
//! Of each header that both have, the longest sequence of chunks that is in both stays;
//! all others differ, moved ones too.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{Chunk, Header, Target, What};
use super::difference::{Difference, Kind, Test};
use super::macros::Definition;
use super::names::{Name, Names};
use super::sequence::{Lone, keep, lone};
use super::sources::{File, Index, Sources, declares, spelled};

/// What is compared with.
pub(super) struct Context<'c> {
    pub(super) sources: &'c Sources,
    pub(super) index: &'c Index,
    /// Indices of all trees of the library, of which only one counts at a time.
    pub(super) own: &'c [usize],
}

/// Macros that stand for another text in each tree.
pub(super) type Values = HashMap<Name, (Definition, Definition)>;

/// The differences of the headers of trees `old` and `new`.
pub(super) fn headers(
    context: &Context<'_>,
    (old, new): (usize, usize),
    names: &mut Names,
) -> (Vec<Difference>, Values) {
    let of = |tree: usize| -> HashMap<Rc<str>, &Rc<Header>> {
        let headers = context.sources.of_tree(tree);
        headers
            .map(|(file, header)| (Rc::clone(&file.1), header))
            .collect()
    };
    let (before, after) = (of(old), of(new));
    let paths: BTreeSet<&Rc<str>> = before.keys().chain(after.keys()).collect();
    let counts = |headers: &HashMap<Rc<str>, &Rc<Header>>| {
        let mut counts: HashMap<Name, usize> = HashMap::new();
        for name in headers.values().flat_map(|header| declares(header)) {
            *counts.entry(name).or_default() += 1;
        }
        counts
    };
    let empty = Rc::new(Header::default());
    let mut comparison = Comparison {
        context,
        trees: (old, new),
        counts: (counts(&before), counts(&after)),
        names,
        found: Vec::new(),
        values: Values::new(),
    };
    for path in paths {
        let (a, b) = (before.get(path).copied(), after.get(path).copied());
        if let (Some(a), Some(b)) = (a, b)
            && Rc::ptr_eq(a, b)
        {
            continue;
        }
        comparison.header(path, a.unwrap_or(&empty), b.unwrap_or(&empty));
    }
    (comparison.found, comparison.values)
}

/// Most enums that one is compared with.
const MAX_SHARED: usize = 1000;

struct Comparison<'c> {
    context: &'c Context<'c>,
    trees: (usize, usize),
    /// How many chunks declare a name, in each tree.
    counts: (HashMap<Name, usize>, HashMap<Name, usize>),
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
        if old.chunks.is_empty() || new.chunks.is_empty() {
            return self.one_sided(path, old, new);
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
    /// what includes it differs itself.
    fn one_sided(&mut self, path: &Rc<str>, old: &Header, new: &Header) {
        let (header, how) = match new.chunks.is_empty() {
            true => (old, "is gone"),
            false => (new, "is new"),
        };
        let base = path.rsplit('/').next().unwrap_or(path);
        let words = spelled(base).map(str::to_owned).collect();
        self.push(Kind::Header, Test::Spelled(words), format!("{path} {how}"));
        let pack = self.names.name(b"pack");
        for chunk in &header.chunks {
            let is_pack = chunk.uses.contains(&pack);
            if !matches!(chunk.what, What::Include)
                && (!matches!(chunk.what, What::Structure) || is_pack)
            {
                self.chunk(path, header, chunk, !new.chunks.is_empty());
            }
        }
    }

    fn push(&mut self, kind: Kind, test: Test, what: String) {
        self.found.push(Difference { kind, what, test });
    }

    /// Enums of one frame differ by enumerators.
    fn enumerations(
        &mut self,
        (one, other): (&Header, &Header),
        path: &str,
        gone: &mut Vec<Lone<'_>>,
        come: &mut Vec<Lone<'_>>,
    ) {
        let mut by_name: HashMap<Name, Vec<usize>> = HashMap::new();
        for (at, (new, _)) in come.iter().enumerate() {
            if let What::Enumeration(after) = &new.what {
                for item in &after.list {
                    by_name.entry(item.name).or_default().push(at);
                }
            }
        }
        let mut pairs = Vec::new();
        for (a, (old, place)) in gone.iter().enumerate() {
            let What::Enumeration(before) = &old.what else {
                continue;
            };
            let wanted = conditions(one, old);
            // Those that share an enumerator, of which there are few.
            let shared = before
                .list
                .iter()
                .filter_map(|item| by_name.get(&item.name));
            let shared: BTreeSet<usize> = shared.flatten().copied().take(MAX_SHARED).collect();
            let found = shared.into_iter().filter_map(|b| {
                let (new, at) = come.get(b)?;
                match &new.what {
                    What::Enumeration(after) if place == at && conditions(other, new) == wanted => {
                        Some((b, new.line, before.difference(after, self.names)?))
                    }
                    _ => None,
                }
            });
            // Of several without a name, the one that is least different.
            let best = found.min_by_key(|(_, _, differ)| differ.len());
            if let Some((b, line, differ)) = best
                && !pairs.iter().any(|(_, other, _, _)| *other == b)
            {
                pairs.push((a, b, line, differ));
            }
        }
        for (_, _, line, differ) in &pairs {
            for &name in differ {
                let how = self.how(name);
                let what = format!("{} {how} ({path}:{line})", self.names.shown(name));
                self.push(Kind::Enumerator, Test::Name(name), what);
            }
        }
        let (a, b): (HashSet<usize>, HashSet<usize>) = pairs.iter().map(|p| (p.0, p.1)).unzip();
        keep(gone, &a);
        keep(come, &b);
    }

    /// Macros that are defined once, at the same place, as something else.
    fn macros(
        &mut self,
        (before, after): (&Header, &Header),
        path: &str,
        gone: &mut Vec<Lone<'_>>,
        come: &mut Vec<Lone<'_>>,
    ) {
        let mut by_name: HashMap<Name, Vec<usize>> = HashMap::new();
        for (at, (new, _)) in come.iter().enumerate() {
            if let (What::Macro(_), Some(&name)) = (&new.what, new.names.first()) {
                by_name.entry(name).or_default().push(at);
            }
        }
        let (mut a, mut b) = (HashSet::new(), HashSet::new());
        for (at, (old, place)) in gone.iter().enumerate() {
            let (What::Macro(one), Some(&name)) = (&old.what, old.names.first()) else {
                continue;
            };
            let once = |counts: &HashMap<Name, usize>| counts.get(&name) == Some(&1);
            if !once(&self.counts.0) || !once(&self.counts.1) {
                continue;
            }
            // It is defined once.
            let Some(&[found]) = by_name.get(&name).map(Vec::as_slice) else {
                continue;
            };
            let Some((new, other)) = come.get(found) else {
                continue;
            };
            if place != other || conditions(before, old) != conditions(after, new) {
                continue;
            }
            let What::Macro(two) = &new.what else {
                continue;
            };
            if one.parameters != two.parameters {
                continue;
            }
            let line = new.line;
            self.values.insert(name, (one.clone(), two.clone()));
            a.insert(at);
            b.insert(found);
            let what = format!(
                "{} has another value ({path}:{line})",
                self.names.shown(name)
            );
            self.push(Kind::Macro, Test::Value(name), what);
        }
        keep(gone, &a);
        keep(come, &b);
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
            What::Structure => {
                let what = format!("a directive or brace of {path}:{line}, in one tree only");
                return self.push(Kind::Directive, Test::Always, what);
            }
            What::Include => return self.include(path, header, chunk, is_new),
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

    /// An include in one tree only differs by what it brings that was not there.
    fn include(&mut self, path: &Rc<str>, header: &Header, chunk: &Chunk, is_new: bool) {
        let line = chunk.line;
        let (mine, other) = match is_new {
            true => (self.trees.1, self.trees.0),
            false => (self.trees.0, self.trees.1),
        };
        let Some(target) = chunk.includes.first() else {
            let what = format!("an include of {path}:{line} names its header by a macro");
            return self.push(Kind::Include, Test::Always, what);
        };
        let shown = String::from_utf8_lossy(&target.path).into_owned();
        let own = self.context.own;
        let in_world = |tree: usize, of: usize| tree == of || !own.contains(&tree);
        let file: File = (mine, Rc::clone(path));
        let counterpart: File = (other, Rc::clone(path));
        let found = self.context.index.find(&file, target);
        let found: Vec<File> = found.into_iter().filter(|f| in_world(f.0, mine)).collect();
        let brought: Vec<Name> = if found.is_empty() {
            if self.includes_plainly(&counterpart, other, target, header, chunk) {
                return;
            }
            let Some(words) = builtin(&target.path) else {
                let what = format!("{path}:{line} includes {shown}, which is in no tree");
                return self.push(Kind::Include, Test::Always, what);
            };
            words
                .iter()
                .map(|word| self.names.name(word.as_bytes()))
                .collect()
        } else {
            let there = self.plain(&counterpart, &|tree| in_world(tree, other));
            let there: HashSet<(usize, &str)> = there
                .iter()
                .map(|f| (if f.0 == other { mine } else { f.0 }, &*f.1))
                .collect();
            let reached = self
                .context
                .sources
                .reached(found, &|tree| in_world(tree, mine));
            let fresh = reached.iter().filter(|f| !there.contains(&(f.0, &*f.1)));
            let headers = fresh.filter_map(|f| self.context.sources.headers.get(f));
            let brought: BTreeSet<Name> = headers.flat_map(|header| declares(header)).collect();
            brought.into_iter().collect()
        };
        for name in brought {
            let how = if is_new { "comes" } else { "goes" };
            let what = format!(
                "{} {how} with an include of {shown} ({path}:{line})",
                self.names.shown(name)
            );
            self.push(Kind::Include, Test::Name(name), what);
        }
    }

    /// The headers that a file includes under no condition, directly or through them.
    fn plain(&self, from: &File, counts: &dyn Fn(usize) -> bool) -> HashSet<File> {
        let mut seen = HashSet::from([from.clone()]);
        let mut todo = vec![from.clone()];
        while let Some(file) = todo.pop() {
            let Some(header) = self.context.sources.headers.get(&file) else {
                continue;
            };
            for chunk in plain_includes(header) {
                for next in chunk
                    .includes
                    .iter()
                    .flat_map(|t| self.context.index.find(&file, t))
                {
                    if counts(next.0) && seen.insert(next.clone()) {
                        todo.push(next);
                    }
                }
            }
        }
        seen
    }

    /// Whether a file includes `target`, which is in no tree, under no condition or that
    /// of `chunk`.
    fn includes_plainly(
        &self,
        from: &File,
        tree: usize,
        target: &Target,
        header: &Header,
        chunk: &Chunk,
    ) -> bool {
        let own = self.context.own;
        let files = self.plain(from, &|other| other == tree || !own.contains(&other));
        let headers = files
            .iter()
            .filter_map(|f| self.context.sources.headers.get(f));
        let mut plain = headers.flat_map(|header| plain_includes(header));
        let same = |c: &Chunk| c.includes.iter().any(|t| t.path == target.path);
        plain.any(same)
            || self.context.sources.headers.get(from).is_some_and(|there| {
                let wanted = conditions(header, chunk);
                let mut chunks = there.chunks.iter();
                chunks.any(|c| same(c) && conditions(there, c) == wanted)
            })
    }
}

fn plain_includes(header: &Header) -> impl Iterator<Item = &Chunk> {
    let plain =
        |chunk: &&Chunk| matches!(chunk.what, What::Include) && header.conditions(chunk).is_empty();
    header.chunks.iter().filter(plain)
}

fn conditions(header: &Header, chunk: &Chunk) -> Vec<(Vec<Name>, bool)> {
    let list = header.conditions(chunk).iter();
    list.map(|c| (c.tokens.iter().map(|t| t.name).collect(), c.holds))
        .collect()
}

/// What headers declare that come with the compiler.
fn builtin(path: &[u8]) -> Option<&'static [&'static str]> {
    Some(match path {
        b"stddef.h" => &[
            "size_t",
            "ptrdiff_t",
            "wchar_t",
            "max_align_t",
            "NULL",
            "offsetof",
            "nullptr_t",
        ],
        b"stdbool.h" => &["bool", "true", "false", "__bool_true_false_are_defined"],
        b"stdarg.h" => &[
            "va_list",
            "va_start",
            "va_end",
            "va_arg",
            "va_copy",
            "__gnuc_va_list",
        ],
        b"stdalign.h" => &[
            "alignas",
            "alignof",
            "__alignas_is_defined",
            "__alignof_is_defined",
        ],
        b"stdnoreturn.h" => &["noreturn"],
        _ => return None,
    })
}
