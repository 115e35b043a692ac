//! Which directives of a header belong together, and under which conditions.

use std::collections::HashMap;

use super::lex::{Element, Item, Kind, Token};
use super::names::{self, Name, NameSet};

/// Deepest nesting of groups.
const MAX_NESTING: usize = 200;

/// Where the branches of each group begin and where it ends: the index of `#if`, then of
/// each `#elif` and `#else`, then of `#endif`.
pub(super) type Groups = HashMap<usize, Vec<usize>>;

/// The groups of a header.
///
/// # Errors
/// When they are not balanced, or too deep.
pub(super) fn groups(items: &[Item]) -> Result<Groups, &'static str> {
    const UNBALANCED: &str = "has unbalanced groups of the preprocessor";
    let mut found = Groups::new();
    let mut open: Vec<Vec<usize>> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let Element::Directive(word, _) = &item.element else {
            continue;
        };
        match *word {
            names::IF | names::IFDEF | names::IFNDEF => {
                if open.len() == MAX_NESTING {
                    return Err("has groups of the preprocessor that are nested too deep");
                }
                open.push(vec![at]);
            }
            names::ELIF | names::ELIFDEF | names::ELIFNDEF | names::ELSE => {
                open.last_mut().ok_or(UNBALANCED)?.push(at);
            }
            names::ENDIF => {
                let mut group = open.pop().ok_or(UNBALANCED)?;
                group.push(at);
                let first = group.first().copied().ok_or(UNBALANCED)?;
                found.insert(first, group);
            }
            _ => {}
        }
    }
    match open.is_empty() {
        true => Ok(found),
        false => Err(UNBALANCED),
    }
}

/// The condition of a directive, as that of `#if`; none of `#else`.
pub(super) fn condition(word: Name, tokens: &[Token]) -> Vec<Token> {
    let mark = |kind, name| Token {
        kind,
        name,
        spaced: true,
    };
    let defined = || mark(Kind::Word, names::DEFINED);
    let first = tokens.first().copied();
    match word {
        names::IFDEF | names::ELIFDEF => first.into_iter().fold(vec![defined()], push),
        names::IFNDEF | names::ELIFNDEF => {
            let not = vec![mark(Kind::Mark, names::NOT), defined()];
            first.into_iter().fold(not, push)
        }
        names::ELSE => Vec::new(),
        _ => tokens.to_vec(),
    }
}

fn push(mut list: Vec<Token>, token: Token) -> Vec<Token> {
    list.push(Token {
        spaced: true,
        ..token
    });
    list
}

/// The macro that guards the whole header against being included twice.
pub(super) fn guard(items: &[Item], groups: &Groups) -> Option<Name> {
    let first = match &items.first()?.element {
        Element::Directive(word @ (names::IFNDEF | names::IF), tokens) => {
            let condition = condition(*word, tokens);
            let mut parts = condition.iter().filter(|t| {
                let parens = t.is(names::OPEN) || t.is(names::CLOSE);
                !parens
            });
            let not = parts.next().is_some_and(|t| t.is(names::NOT));
            let defined = parts.next().is_some_and(|t| t.is(names::DEFINED));
            let name = parts.next()?;
            (not && defined && parts.next().is_none()).then_some(name.name)?
        }
        _ => return None,
    };
    let group = groups.get(&0)?;
    if group.len() != 2 || group.last() != Some(&(items.len() - 1)) {
        return None;
    }
    // Most define it at once, but glibc's stdlib.h only after an include.
    let mut depth = 0usize;
    for item in items.get(1..items.len() - 1)? {
        match &item.element {
            Element::Directive(names::IF | names::IFDEF | names::IFNDEF, _) => depth += 1,
            Element::Directive(names::ENDIF, _) => depth = depth.saturating_sub(1),
            Element::Directive(names::DEFINE, tokens)
                if depth == 0 && tokens.first().is_some_and(|t| t.name == first) =>
            {
                return Some(first);
            }
            _ => {}
        }
    }
    None
}

/// Whether the group that begins at `start` defines what it asks for, so that a second
/// one of the same condition is another.
pub(super) fn changes_itself(items: &[Item], group: &[usize]) -> bool {
    let (Some(&start), Some(&end)) = (group.first(), group.last()) else {
        return false;
    };
    let conditions = group.iter().filter_map(|&at| items.get(at));
    let asked: NameSet = conditions
        .flat_map(|item| match &item.element {
            Element::Directive(_, tokens) => tokens.as_slice(),
            Element::Token(_) => &[],
        })
        .map(|t| t.name)
        .collect();
    let within = items.get(start..end).unwrap_or_default();
    within.iter().any(|item| match &item.element {
        Element::Directive(names::DEFINE | names::UNDEF, tokens) => {
            tokens.first().is_some_and(|t| asked.contains(&t.name))
        }
        _ => false,
    })
}
