//! Macros and pragmas that stand alone where a declaration may begin.

use super::extent::Form;
use super::lex::{Item, Token, token};
use super::macros::{Class, Macros};
use super::names::{self, Names};

/// What stands alone from `start` on, before `end`: where it ends, and what it is.
pub(super) fn alone(
    items: &[Item],
    (start, end): (usize, usize),
    macros: &Macros,
    names: &Names,
) -> Option<(usize, Form)> {
    let first = token(items, start, end)?;
    if first.is(names::PRAGMA_) || first.is(names::PRAGMA__) {
        let after = closed(items, start + 1, end)?;
        return Some((after, Form::Directive(first.name)));
    }
    if !first.is_name() {
        return None;
    }
    let class = match macros.class(first.name) {
        Some(Class::Part) => return None,
        Some(class) => class,
        None => {
            // Of a package that is not at hand.
            let text = names.text(first.name);
            let upper = text
                .iter()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_');
            let has = |part: &[u8]| text.windows(part.len()).any(|w| w == part);
            if !upper || !(has(b"BEGIN") || has(b"END")) {
                return None;
            }
            Class::Opener
        }
    };
    if class == Class::Opener && macros.opens_type(first.name) {
        return None;
    }
    let mut after = start + 1;
    let definitions = macros.of(first.name);
    let is_function = definitions.iter().any(|d| d.parameters.is_some());
    if is_function || definitions.is_empty() {
        match token(items, after, end) {
            Some(open) if open.is(names::OPEN) => after = closed(items, after, end)?,
            _ if is_function && class == Class::Complete => return None,
            _ => {}
        }
        if is(items, after, end, names::OPEN_BRACE) {
            return None;
        }
    }
    if is(items, after, end, names::SEMICOLON) {
        after += 1;
    }
    let form = match class {
        Class::Complete => Form::Declaration,
        Class::Pragma => Form::Directive(names::PRAGMA_),
        _ => Form::Structure,
    };
    Some((after, form))
}

fn is(items: &[Item], at: usize, end: usize, mark: names::Name) -> bool {
    token(items, at, end).is_some_and(|t: &Token| t.is(mark))
}

/// Behind the parenthesis that closes the one at `at`.
fn closed(items: &[Item], at: usize, end: usize) -> Option<usize> {
    let mut depth = 0usize;
    for at in at..end {
        let token = token(items, at, end)?;
        if token.is(names::OPEN) {
            depth += 1;
        } else if token.is(names::CLOSE) {
            depth = depth.checked_sub(1)?;
            if depth == 0 {
                return Some(at + 1);
            }
        } else if depth == 0 {
            return None;
        }
    }
    None
}
