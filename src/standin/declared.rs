//! What a declaration declares.
//!
//! Told from tokens, of the declaration as it is written and as its macros make it, by each
//! of their definitions. Too many names is the safe side: a declaration that changed
//! matters to whoever names one of them. None at all means that any word may be one.

use super::expand::Expander;
use super::lex::{Kind, Token};
use super::macros::{MAX_VARIANTS, Macros};
use super::names::{self, Name, Names, sort};
use super::scoped::{has_classes, is_cxx};

/// Most tokens that one declaration may become.
const BUDGET: usize = 6000;
/// Most tokens of a declaration that is looked into.
const MAX_TOKENS: usize = 20_000;
/// Deepest nesting of types and declarators that is followed; below, every word may be
/// declared.
const MAX_NESTING: usize = 50;

/// What was found of a declaration.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What it declares, sorted; empty if that is not clear.
    pub(super) names: Vec<Name>,
    /// Words that its macros make of others.
    pub(super) pasted: Vec<Name>,
    /// Whether it is as in C.
    pub(super) is_plain: bool,
}

/// What the declaration `tokens` declares.
pub(super) fn declared(tokens: &[Token], macros: &Macros, names: &mut Names) -> Found {
    let mut found = Found::default();
    if tokens.len() > MAX_TOKENS {
        return found;
    }
    // A class has its name, and what is in it is its own; all else of C++ may add to
    // names that it mentions.
    let of_class = tokens
        .first()
        .is_some_and(|t| t.is(names::CLASS) || t.is(names::STRUCT))
        && tokens
            .get(2)
            .is_some_and(|t| t.is(names::OPEN_BRACE) || t.is(names::COLON));
    let unclear = is_cxx(tokens) && !of_class;
    let mut raw = Vec::new();
    candidates(tokens, &mut raw);
    let known = tokens.iter().filter(|t| t.is_name()).map(|t| t.name);
    let known: Vec<Name> = known.filter(|&name| macros.has(name)).collect();
    let loud = known.iter().any(|&name| !macros.is_quiet(name));
    let variants = known
        .iter()
        .map(|&name| macros.of(name).len())
        .max()
        .unwrap_or(0);
    found.is_plain = !unclear && !has_classes(tokens);
    found.names = raw
        .iter()
        .copied()
        .filter(|&name| !macros.has(name))
        .collect();
    for &name in &raw {
        // `#define stat64 stat`, `#define f(x) f_impl(x)`
        let mut definitions = macros.of(name).iter();
        if definitions.any(|d| renames(&d.body, d.parameters.is_some()))
            && follows_type(tokens, name)
        {
            found.names.push(name);
        }
    }
    let too_many = known.iter().any(|&name| macros.has_too_many(name));
    let renaming = known.iter().copied().filter(|&name| {
        macros
            .of(name)
            .iter()
            .any(|d| renames(&d.body, false) && d.parameters.is_none())
    });
    let renaming: Vec<Name> = renaming.collect();
    let mut clear = !too_many;
    // Of what is quiet, one definition does for all.
    let variants = if loud { variants } else { variants.min(1) };
    for variant in 0..variants.min(MAX_VARIANTS) {
        for hides in [true, false] {
            if hides && renaming.is_empty() {
                continue;
            }
            let mut expander = Expander::new(macros, names, variant, BUDGET);
            if hides {
                expander.hidden.clone_from(&renaming);
            }
            let expanded = expander.expand(tokens);
            found.pasted.append(&mut expander.pasted);
            match expanded {
                Some(expanded) => {
                    candidates(&expanded, &mut found.names);
                    clear &= !is_cxx(&expanded) || of_class;
                }
                None => clear = false,
            }
        }
    }
    found.names.retain(|name| !name.is_keyword());
    if unclear || !clear {
        found.names.clear();
    }
    sort(&mut found.names);
    sort(&mut found.pasted);
    found
}

/// Whether a macro stands for another name of the same thing.
fn renames(body: &[Token], is_function: bool) -> bool {
    is_function || matches!(body, [token] if token.is_name())
}

/// Whether `name` is the first that a parenthesis follows, and a type comes before it.
fn follows_type(tokens: &[Token], name: Name) -> bool {
    let open = tokens.iter().position(|t| t.is(names::OPEN));
    let at = match open {
        Some(open) => open.checked_sub(1),
        None => tokens.iter().rposition(|t| t.name == name),
    };
    at.is_some_and(|at| at > 0 && tokens.get(at).is_some_and(|t| t.name == name))
}

/// Adds all words that may be declared by `tokens`: tags, enumerators, declarators.
fn candidates(tokens: &[Token], out: &mut Vec<Name>) {
    let depth = 0;
    let mut at = 0;
    let mut in_value = false;
    // The last token at depth 0.
    let mut last: Option<Token> = None;
    // Behind the body of a type, where names in a row are one that is declared, and macros.
    let mut behind_body = false;
    while let Some(token) = tokens.get(at) {
        let take = |out: &mut Vec<Name>| {
            if let Some(last) = last.filter(|last| last.is_name() && !in_value) {
                out.push(last.name);
            }
        };
        match token.name {
            _ if token.kind == Kind::Literal => {}
            names::STRUCT | names::UNION | names::ENUM | names::CLASS => {
                let (end, body) = tag(tokens, at, depth, out);
                last = None;
                behind_body |= body.is_some();
                at = body.unwrap_or(end);
                continue;
            }
            _ if token.name.is_attribute() && token.kind == Kind::Word => {
                take(out);
                last = Some(*token);
            }
            names::OPEN => {
                let end = closed(tokens, at);
                if !last.is_some_and(|last| last.name.is_attribute()) {
                    take(out);
                    if !in_value && is_declarator(tokens, at, end) {
                        inner(tokens.get(at + 1..end).unwrap_or_default(), depth + 1, out);
                    }
                }
                // Tags that are declared among parameters.
                at = end;
                last = tokens.get(end).copied();
            }
            names::OPEN_SQUARE => {
                take(out);
                at = closed(tokens, at);
                last = tokens.get(at).copied();
            }
            names::OPEN_BRACE => {
                // A body or a value.
                take(out);
                at = closed(tokens, at);
                last = None;
                in_value = false;
            }
            names::EQUAL | names::COMMA | names::SEMICOLON | names::COLON => {
                take(out);
                in_value = token.name == names::EQUAL;
                last = None;
            }
            _ => {
                if behind_body && token.is_name() {
                    take(out);
                }
                last = Some(*token);
            }
        }
        at += 1;
    }
    if let Some(last) = last.filter(|last| last.is_name() && !in_value) {
        out.push(last.name);
    }
}

/// The index of what closes the bracket at `at`, or the last.
fn closed(tokens: &[Token], at: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(at) {
        if token.kind == Kind::Literal {
            continue;
        }
        match token.name {
            names::OPEN | names::OPEN_SQUARE | names::OPEN_BRACE => depth += 1,
            names::CLOSE | names::CLOSE_SQUARE | names::CLOSE_BRACE => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return index;
                }
            }
            _ => {}
        }
    }
    tokens.len()
}

/// The word at `at` begins a type: adds its tag if it is declared here, and what its body
/// declares. Returns where what follows begins, without and with a body.
fn tag(tokens: &[Token], at: usize, depth: usize, out: &mut Vec<Name>) -> (usize, Option<usize>) {
    let is_enum = tokens.get(at).is_some_and(|t| t.is(names::ENUM));
    let mut at = at + 1;
    let mut words = Vec::new();
    loop {
        match tokens.get(at) {
            Some(t) if t.is(names::CLASS) || t.is(names::STRUCT) => at += 1,
            Some(t) if t.name.is_attribute() && t.kind == Kind::Word => {
                at += 1;
                if tokens.get(at).is_some_and(|t| t.is(names::OPEN)) {
                    at = closed(tokens, at) + 1;
                }
            }
            Some(t) if t.is(names::OPEN_SQUARE) && words.is_empty() => at = closed(tokens, at) + 1,
            Some(t) if t.is_name() => {
                words.push(t.name);
                at += 1;
            }
            _ => break,
        }
    }
    let mut body = at;
    if tokens.get(at).is_some_and(|t| t.is(names::COLON)) {
        // Bases, or the type of an enum.
        let rest = tokens.get(at..).unwrap_or_default();
        let ends = |t: &Token| t.is(names::OPEN_BRACE) || t.is(names::SEMICOLON);
        body = at + rest.iter().position(ends).unwrap_or(rest.len());
    }
    let next = tokens.get(body);
    // A member, whose name is none outside.
    if depth > 0 && words.len() > 1 && !next.is_some_and(|t| t.is(names::OPEN_BRACE)) {
        return (at, None);
    }
    let Some(next) = next else {
        out.extend(words);
        return (at, None);
    };
    if next.is(names::OPEN_BRACE) {
        out.extend(words);
        let end = closed(tokens, body);
        let inside = tokens.get(body + 1..end).unwrap_or_default();
        if is_enum {
            enumerators(inside, out);
        } else {
            members(inside, depth + 1, out);
        }
        return (at, Some(end + 1));
    }
    if next.is(names::SEMICOLON) {
        out.extend(words);
        return (body, None);
    }
    // `struct tag name` uses the tag.
    if words.len() > 1 {
        out.extend(words.iter().skip(1));
    }
    (at, None)
}

/// Types that are declared among members are declared outside, in C.
fn members(tokens: &[Token], depth: usize, out: &mut Vec<Name>) {
    if depth > MAX_NESTING {
        return all(tokens, out);
    }
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.name {
            names::STRUCT | names::UNION | names::ENUM | names::CLASS => {
                let (end, body) = tag(tokens, at, depth, out);
                at = body.unwrap_or(end);
            }
            _ => at += 1,
        }
    }
}

fn enumerators(tokens: &[Token], out: &mut Vec<Name>) {
    let mut starts = true;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if starts && token.is_name() {
            out.push(token.name);
            starts = false;
        } else if token.is(names::OPEN) || token.is(names::OPEN_BRACE) {
            at = closed(tokens, at);
        } else if token.is(names::COMMA) {
            starts = true;
        }
        at += 1;
    }
}

/// Whether the parenthesis from `at` to `end` is one around a declarator, not one of
/// parameters: `(*name)…` or `(X *name)(…)`, `(name)(…)`.
fn is_declarator(tokens: &[Token], at: usize, end: usize) -> bool {
    let points = tokens
        .get(at + 1)
        .is_some_and(|t| t.is(names::STAR) || t.is(names::CARET));
    let goes_on = |t: &Token| t.is(names::OPEN) || t.is(names::OPEN_SQUARE);
    points || tokens.get(end + 1).is_some_and(goes_on)
}

/// The name in `(*name)(…)`, `(*name[2])(…)`, `(*(*name)(…))(…)` or `(name)(…)`.
fn inner(tokens: &[Token], depth: usize, out: &mut Vec<Name>) {
    if depth > MAX_NESTING {
        return all(tokens, out);
    }
    let pointer = |t: &Token| t.is(names::STAR) || t.is(names::CARET) || t.is(names::AMPERSAND);
    let mut at = 0;
    let mut points = false;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        if pointer(token) {
            points = true;
        } else if token.is(names::OPEN) && (points || at == 0) {
            let end = closed(tokens, at);
            return inner(tokens.get(at + 1..end).unwrap_or_default(), depth + 1, out);
        } else if token.is_name() {
            // A calling convention before the star, or a qualifier after it.
            if !points && next.is_some_and(pointer) && at == 0 {
                at += 1;
                continue;
            }
            if points || tokens.len() == 1 {
                out.push(token.name);
                if next.is_some_and(Token::is_name) {
                    at += 1;
                    continue;
                }
            }
            return;
        } else if !token.name.is_qualifier() {
            return;
        }
        at += 1;
    }
}

/// Adds every word.
fn all(tokens: &[Token], out: &mut Vec<Name>) {
    out.extend(tokens.iter().filter(|t| t.is_name()).map(|t| t.name));
}
