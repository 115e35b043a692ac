//! Whether conditions tell two values of macros apart.
//!
//! Every condition in which such a macro stands, directly or through others, is expanded
//! and folded with the one value and with the other. What a consumer may define itself is
//! left unknown, and then known; if the results are equal all four ways, it cannot tell.

use std::collections::BTreeSet;

use super::compare::Values;
use super::expand::Expander;
use super::expression;
use super::lex::{self, Element, Kind, Token};
use super::macros::{Definition, Macros};
use super::names::{self, Name, NameSet, Names};
use super::reach::{Level, Reach};
use super::sources::Sources;
use super::words::Words;

/// Most tokens that a condition may become.
const BUDGET: usize = 20_000;
/// Most macros of other values that are looked into.
const MAX_VALUES: usize = 1000;

/// All conditions that a consumer meets: its own and those of what it reaches.
pub(super) fn met(
    words: &Words,
    sources: &Sources,
    reach: &Reach<'_>,
    names: &mut Names,
) -> Vec<Vec<Token>> {
    let mut all: BTreeSet<Vec<Name>> = BTreeSet::new();
    let mut list = Vec::new();
    let mut add = |tokens: Vec<Token>| {
        if all.insert(tokens.iter().map(|t| t.name).collect()) {
            list.push(tokens);
        }
    };
    for text in &words.conditions {
        // As a directive, so that it is one line.
        let line = [b"#if ".as_slice(), text].concat();
        if let Ok(items) = lex::lex(&line, names)
            && let Some(Element::Directive(_, tokens)) = items.into_iter().next().map(|i| i.element)
        {
            add(tokens);
        }
    }
    let mut files: Vec<_> = sources.headers.iter().collect();
    files.sort_by(|a, b| a.0.cmp(b.0));
    for (_, header) in files {
        let reached = header.chunks.iter().filter(|chunk| {
            chunk.names.is_empty() || chunk.names.iter().any(|&name| reach.level(name).is_some())
        });
        let contexts: BTreeSet<u32> = reached.map(|chunk| chunk.context).collect();
        for context in contexts {
            let conditions = header.contexts.get(context as usize);
            for condition in conditions.map_or(&[][..], Vec::as_slice) {
                add(condition.to_vec());
            }
        }
    }
    list
}

/// The conditions among `met` that may tell the values of `name` apart, as text; empty if
/// none does.
pub(super) fn telling(
    name: Name,
    values: &Values,
    met: &[Vec<Token>],
    (sources, reach): (&Sources, &Reach<'_>),
    names: &mut Names,
) -> Option<String> {
    if values.len() > MAX_VALUES {
        return Some("any of those of so many macros".to_owned());
    }
    let reaching = sources.macros.that_reach(&[name]);
    let changed: Vec<Name> = values.keys().copied().collect();
    let leading = sources.macros.that_reach(&changed);
    for tokens in met {
        let expression = without_defined(tokens, names);
        let expression = expression.as_slice();
        if !expression.iter().any(|t| reaching.contains(&t.name)) {
            continue;
        }
        if !same(expression, (values, &leading), sources, reach, names) {
            let texts: Vec<String> = tokens.iter().map(|t| names.shown(t.name)).collect();
            return Some(texts.join(" "));
        }
    }
    None
}

/// A condition with each `defined X` as one word: what is defined in both trees is no
/// difference, and `X` is not expanded there.
fn without_defined(tokens: &[Token], names: &mut Names) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while let Some(&token) = tokens.get(at) {
        at += 1;
        if !token.is(names::DEFINED) {
            out.push(token);
            continue;
        }
        let is = |at: usize, mark| tokens.get(at).is_some_and(|t: &Token| t.is(mark));
        let parens = is(at, names::OPEN);
        let name = tokens.get(at + usize::from(parens)).map(|t| t.name);
        let text = [
            b"defined ".as_slice(),
            name.map_or(&[][..], |name| names.text(name)),
        ]
        .concat();
        out.push(Token {
            kind: Kind::Literal,
            name: names.name(&text),
            spaced: true,
        });
        at += if parens { 3 } else { 1 };
    }
    out
}

/// Whether a condition folds to the same with both values of all macros; `leading` are
/// those in whose expansion one of these stands.
fn same(
    tokens: &[Token],
    (values, leading): (&Values, &NameSet),
    sources: &Sources,
    reach: &Reach<'_>,
    names: &mut Names,
) -> bool {
    // All macros that the condition leads to, each of one definition.
    let mut needed = NameSet::default();
    let mut todo: Vec<Name> = tokens
        .iter()
        .filter(|t| t.is_name())
        .map(|t| t.name)
        .collect();
    while let Some(name) = todo.pop() {
        if !needed.insert(name) {
            continue;
        }
        let changed = values.get(&name);
        let bodies = changed.map_or_else(Vec::new, |(a, b)| vec![a, b]);
        for definition in sources.macros.of(name).iter().chain(bodies) {
            todo.extend(
                definition
                    .body
                    .iter()
                    .filter(|t| t.is_name())
                    .map(|t| t.name),
            );
        }
    }
    // Of several definitions it is not known which one leads to what has changed.
    let unclear = |name: &Name| {
        let is_single = sources.macros.of(*name).len() < 2 && !sources.macros.has_too_many(*name);
        !is_single && !values.contains_key(name) && leading.contains(name)
    };
    if needed.iter().any(unclear) {
        return false;
    }
    let table = |new: bool| {
        let mut table = Macros::default();
        for &name in &needed {
            let changed = values.get(&name).map(|(a, b)| if new { b } else { a });
            let single: Option<&Definition> = match sources.macros.of(name) {
                [only] => Some(only),
                _ => None,
            };
            if let Some(definition) = changed.or(single) {
                table.insert(name, definition.clone());
            }
        }
        table
    };
    let (old, new) = (table(false), table(true));
    let own: Vec<Name> = needed
        .iter()
        .copied()
        .filter(|name| !values.contains_key(name) && reach.level(*name) == Some(Level::Code))
        .filter(|name| sources.macros.has(*name))
        .collect();
    if own.len() > 1
        && needed
            .iter()
            .filter(|name| values.contains_key(name))
            .count()
            > 0
    {
        // Which of them a consumer defines is not known: only as they are, or none of them.
        let functions = own.iter().all(|name| {
            sources
                .macros
                .of(*name)
                .iter()
                .all(|d| d.parameters.is_some())
        });
        if !functions {
            return false;
        }
    }
    [Vec::new(), own].iter().all(|hidden| {
        let mut fold = |macros: &Macros| {
            let mut expander = Expander::new(macros, names, 0, BUDGET);
            expander.hidden.clone_from(hidden);
            let expanded = expander.expand(tokens)?;
            expression::fold(&expanded, names, &|_| None)
        };
        let (a, b) = (fold(&old), fold(&new));
        a.is_some() && a == b
    })
}
