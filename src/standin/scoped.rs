//! What a declaration names, without what is scoped to it.

use super::lex::{Kind, Token};
use super::macros::Macros;
use super::names::{self, Name, Names};

/// Whether a declaration is one that only C++ has.
pub(super) fn is_cxx(tokens: &[Token]) -> bool {
    let words = [
        names::TEMPLATE,
        names::OPERATOR,
        names::NAMESPACE,
        names::USING,
        names::FRIEND,
        names::CONCEPT,
        names::SCOPE,
    ];
    tokens
        .iter()
        .any(|t| t.kind != Kind::Literal && words.contains(&t.name))
}

/// Whether scopes are other than in C.
pub(super) fn has_classes(tokens: &[Token]) -> bool {
    let words = [
        names::CLASS,
        names::K_VIRTUAL,
        names::K_PUBLIC,
        names::K_EXPLICIT,
    ];
    is_cxx(tokens) || tokens.iter().any(|t| words.contains(&t.name))
}

/// What a declaration names, without what is scoped to it: parameters and members. A word
/// that is a macro anywhere counts in any case.
pub(super) fn uses(tokens: &[Token], macros: &Macros, names: &Names) -> Vec<Name> {
    let all = || tokens.iter().filter(|t| t.is_name()).map(|t| t.name);
    if has_classes(tokens) {
        return all().collect();
    }
    let scoped = scoped(tokens, macros, names);
    let words = tokens.iter().enumerate().filter(|(_, t)| t.is_name());
    words
        .filter(|(at, t)| scoped.binary_search(at).is_err() || macros.has(t.name))
        .map(|(_, t)| t.name)
        .collect()
}

/// Where words stand that are parameters or members, in order.
fn scoped(tokens: &[Token], macros: &Macros, names: &Names) -> Vec<usize> {
    let mut found = Vec::new();
    // Of each bracket around: whether words in it may be parameters or members.
    let mut around: Vec<bool> = Vec::new();
    let mut refusals = 0usize;
    let mut in_body = false;
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| tokens.get(at));
        if token.kind == Kind::Mark {
            match token.name {
                names::OPEN => {
                    let may = before.is_some_and(|t| {
                        !t.name.is_attribute() && (t.kind == Kind::Word || t.is(names::CLOSE))
                            || t.is(names::OPEN)
                            || t.is(names::STAR)
                    });
                    let may = may && !macros.has(before.map_or(names::OPEN, |t| t.name));
                    refusals += usize::from(!may);
                    around.push(may);
                }
                names::OPEN_SQUARE => {
                    refusals += 1;
                    around.push(false);
                }
                names::OPEN_BRACE => {
                    let of_type = of_type(tokens, at);
                    in_body |= around.is_empty() && !of_type;
                    refusals += usize::from(!of_type);
                    around.push(of_type);
                }
                names::CLOSE | names::CLOSE_SQUARE | names::CLOSE_BRACE => {
                    refusals -= usize::from(around.pop() == Some(false));
                }
                _ => {}
            }
            continue;
        }
        if !token.is_name() {
            continue;
        }
        let Some(before) = before else { continue };
        if before.is(names::ARROW) || before.is(names::DOT) {
            found.push(at);
            continue;
        }
        let ends = [
            names::COMMA,
            names::CLOSE,
            names::OPEN_SQUARE,
            names::SEMICOLON,
            names::COLON,
        ];
        let ends = tokens
            .get(at + 1)
            .is_some_and(|t| ends.iter().any(|&mark| t.is(mark)));
        if !in_body
            && ends
            && !around.is_empty()
            && refusals == 0
            && (before.is(names::STAR) || is_type(before, macros, names))
        {
            found.push(at);
        }
    }
    found
}

/// Whether the brace at `at` holds members.
fn of_type(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default();
    let words = before
        .iter()
        .rev()
        .take_while(|t| t.kind == Kind::Word)
        .take(4);
    let mut words = words.map(|t| t.name);
    words.any(|name| matches!(name, names::STRUCT | names::UNION))
}

/// Whether what follows the token is no type any more.
fn is_type(token: &Token, macros: &Macros, names: &Names) -> bool {
    if token.kind != Kind::Word || macros.has(token.name) {
        return false;
    }
    if token.name.is_keyword() {
        return matches!(
            token.name,
            names::K_CHAR
                | names::K_DOUBLE
                | names::K_FLOAT
                | names::K_INT
                | names::K_LONG
                | names::K_SHORT
                | names::K_SIGNED
                | names::K_UNSIGNED
                | names::K_BOOL
                | names::K_VA_LIST
        );
    }
    // What begins so may be an attribute of a compiler.
    let text = names.text(token.name);
    !text.starts_with(b"__") || text.ends_with(b"_t")
}
