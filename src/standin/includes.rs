//! An include that is in one tree only: by what it brings that was not there.

use std::collections::{BTreeSet, HashSet};

use super::chunk::{Chunk, Header, Key, Target, What};
use super::context::Context;
use super::difference::{Difference, Kind, Test};
use super::names::{self, Name, Names};
use super::sources::{File, declares};

/// What differs by an include of the header `file` that the header of the same path in tree
/// `other` does not have; `there` is what that one includes plainly.
pub(super) fn differ(
    context: &Context<'_>,
    (file, other): (&File, usize),
    there: &HashSet<File>,
    (header, chunk): (&Header, &Chunk),
    names: &mut Names,
) -> Vec<Difference> {
    let (mine, path, line) = (file.0, &file.1, chunk.line);
    let of = |test, what| Difference {
        kind: Kind::Include,
        what,
        test,
    };
    let always = |what| vec![of(Test::Always, what)];
    let Some(target) = chunk.includes.first() else {
        return always(format!(
            "an include of {path}:{line} names its header by a macro"
        ));
    };
    let shown = String::from_utf8_lossy(&target.path).into_owned();
    let is_new = context.new == mine;
    let how = if is_new { "comes" } else { "goes" };
    let counterpart: File = (other, std::rc::Rc::clone(path));
    let found = context.index.find(file, target);
    let found: Vec<File> = found
        .into_iter()
        .filter(|f| context.in_world(f.0, mine))
        .collect();
    let brought: Vec<Name> = if found.is_empty() {
        let wanted = (target, header.context(chunk));
        if includes_plainly(context, there, &counterpart, wanted) {
            return Vec::new();
        }
        let Some(words) = builtin(&target.path) else {
            return always(format!(
                "{path}:{line} includes {shown}, which is in no tree"
            ));
        };
        words
            .iter()
            .map(|word| names.name(word.as_bytes()))
            .collect()
    } else {
        let mut fresh: Vec<File> = fresh(context, found, there, (mine, other));
        fresh.sort();
        let errors = errors(context, there);
        for file in &fresh {
            let chunks = context.sources.headers.get(file);
            let mut chunks = chunks.into_iter().flat_map(|header| &header.chunks);
            if let Some(chunk) = chunks.find(|chunk| speaks(chunk, &errors)) {
                return always(format!(
                    "a directive of {}:{} {how} with an include of {shown} ({path}:{line})",
                    file.1, chunk.line
                ));
            }
        }
        let headers = fresh
            .iter()
            .filter_map(|file| context.sources.headers.get(file));
        let brought: BTreeSet<Name> = headers.flat_map(|header| declares(header)).collect();
        brought.into_iter().collect()
    };
    let brought = brought.into_iter().map(|name| {
        let what = format!(
            "{} {how} with an include of {shown} ({path}:{line})",
            names.shown(name)
        );
        of(Test::Name(name), what)
    });
    brought.collect()
}

/// The headers of tree `mine` that `found` lead to and that are not `there`, in tree
/// `other`. What those lead to is there as well, whether under a condition or not.
fn fresh(
    context: &Context<'_>,
    found: Vec<File>,
    there: &HashSet<File>,
    (mine, other): (usize, usize),
) -> Vec<File> {
    let known: HashSet<(usize, &str)> = there
        .iter()
        .map(|f| (if f.0 == other { mine } else { f.0 }, &*f.1))
        .collect();
    let is_fresh =
        |file: &File| context.in_world(file.0, mine) && !known.contains(&(file.0, &*file.1));
    let mut todo = found;
    todo.retain(is_fresh);
    let mut fresh: HashSet<File> = todo.iter().cloned().collect();
    while let Some(file) = todo.pop() {
        let next = context.sources.includes.get(&file);
        for next in next.into_iter().flatten().filter(|file| is_fresh(file)) {
            if fresh.insert(next.clone()) {
                todo.push(next.clone());
            }
        }
    }
    fresh.into_iter().collect()
}

/// The headers that a file of a tree includes under no condition, directly or through them.
pub(super) fn plain(context: &Context<'_>, from: &File, tree: usize) -> HashSet<File> {
    let mut seen = HashSet::from([from.clone()]);
    let mut todo = vec![from.clone()];
    while let Some(file) = todo.pop() {
        let Some(header) = context.sources.headers.get(&file) else {
            continue;
        };
        for chunk in plain_includes(header) {
            let targets = chunk.includes.iter();
            for next in targets.flat_map(|t| context.index.find(&file, t)) {
                if context.in_world(next.0, tree) && seen.insert(next.clone()) {
                    todo.push(next);
                }
            }
        }
    }
    seen
}

/// Whether a file includes a target, which is in no tree, under no condition or under
/// these.
fn includes_plainly(
    context: &Context<'_>,
    plain: &HashSet<File>,
    from: &File,
    (target, conditions): (&Target, Option<&Key>),
) -> bool {
    let of = |file: &File| context.sources.headers.get(file);
    let same = |chunk: &Chunk| chunk.includes.iter().any(|t| t.path == target.path);
    let mut all = plain
        .iter()
        .filter_map(of)
        .flat_map(|header| plain_includes(header));
    all.any(same)
        || of(from).is_some_and(|there| {
            let mut chunks = there.chunks.iter();
            chunks.any(|chunk| same(chunk) && there.context(chunk) == conditions)
        })
}

fn plain_includes(header: &Header) -> impl Iterator<Item = &Chunk> {
    let plain =
        |chunk: &&Chunk| matches!(chunk.what, What::Include) && header.conditions(chunk).is_empty();
    header.chunks.iter().filter(plain)
}

/// What stops the compiler in these headers, under which conditions: the consumer, which was
/// compiled with them, does not meet these.
fn errors(context: &Context<'_>, files: &HashSet<File>) -> HashSet<Key> {
    let headers = files
        .iter()
        .filter_map(|file| context.sources.headers.get(file));
    let errors = headers
        .flat_map(|header| &header.chunks)
        .filter(|chunk| stops(chunk));
    errors.map(|chunk| chunk.key).collect()
}

/// Whether a chunk is an error, or a warning, which may be one.
fn stops(chunk: &Chunk) -> bool {
    matches!(chunk.what, What::Directive(names::ERROR | names::WARNING))
}

/// Whether a chunk of a header says something to the compiler for all that follows.
fn speaks(chunk: &Chunk, errors: &HashSet<Key>) -> bool {
    match chunk.what {
        What::Directive(_) => !(stops(chunk) && errors.contains(&chunk.key)),
        _ => false,
    }
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
