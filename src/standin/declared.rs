//! What a declaration declares, and what it names otherwise.
//!
//! Told from tokens, of the declaration as it is written and as its macros make it, by each
//! of their definitions. Too many names is the safe side: a declaration that changed
//! matters to whoever names one of them. None at all means that any word may be one.

use super::lex::{Kind, Token};
use super::macros::{Expander, MAX_VARIANTS, Macros};
use super::names::{self, Name, Names};
use super::split::sort;

/// Most tokens that one declaration may become.
const BUDGET: usize = 6000;

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

/// Whether a declaration is one that only C++ has.
fn is_cxx(tokens: &[Token]) -> bool {
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
fn has_classes(tokens: &[Token]) -> bool {
    let words = [
        names::CLASS,
        names::K_VIRTUAL,
        names::K_PUBLIC,
        names::K_EXPLICIT,
    ];
    is_cxx(tokens) || tokens.iter().any(|t| words.contains(&t.name))
}

/// What the declaration `tokens` declares.
pub(super) fn declared(tokens: &[Token], macros: &Macros, names: &mut Names) -> Found {
    let mut found = Found::default();
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
    let mut at = 0;
    let mut in_value = false;
    // The last token at depth 0.
    let mut last: Option<Token> = None;
    while let Some(token) = tokens.get(at) {
        let take = |out: &mut Vec<Name>| {
            if let Some(last) = last.filter(|last| last.is_name() && !in_value) {
                out.push(last.name);
            }
        };
        match token.name {
            _ if token.kind == Kind::Literal => {}
            names::STRUCT | names::UNION | names::ENUM | names::CLASS => {
                let (end, body) = tag(tokens, at, out);
                last = None;
                at = body.unwrap_or(end);
                continue;
            }
            names::OPEN => {
                let end = closed(tokens, at);
                if !last.is_some_and(|last| last.name.is_attribute()) {
                    take(out);
                    if !in_value && is_declarator(tokens, at, end) {
                        inner(tokens.get(at + 1..end).unwrap_or_default(), out);
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
            _ => last = Some(*token),
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
fn tag(tokens: &[Token], at: usize, out: &mut Vec<Name>) -> (usize, Option<usize>) {
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
    let Some(next) = tokens.get(body) else {
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
            members(inside, out);
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
fn members(tokens: &[Token], out: &mut Vec<Name>) {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.name {
            names::STRUCT | names::UNION | names::ENUM | names::CLASS => {
                let (end, body) = tag(tokens, at, out);
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
fn inner(tokens: &[Token], out: &mut Vec<Name>) {
    let pointer = |t: &Token| t.is(names::STAR) || t.is(names::CARET) || t.is(names::AMPERSAND);
    let mut at = 0;
    let mut points = false;
    while let Some(token) = tokens.get(at) {
        let next = tokens.get(at + 1);
        if pointer(token) {
            points = true;
        } else if token.is(names::OPEN) && (points || at == 0) {
            let end = closed(tokens, at);
            return inner(tokens.get(at + 1..end).unwrap_or_default(), out);
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
        .filter(|(at, t)| !scoped.contains(at) || macros.has(t.name))
        .map(|(_, t)| t.name)
        .collect()
}

/// Where words stand that are parameters or members.
fn scoped(tokens: &[Token], macros: &Macros, names: &Names) -> Vec<usize> {
    let mut found = Vec::new();
    // Of each bracket around: whether words in it may be parameters or members.
    let mut around: Vec<bool> = Vec::new();
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
                    around.push(may && !macros.has(before.map_or(names::OPEN, |t| t.name)));
                }
                names::OPEN_SQUARE => around.push(false),
                names::OPEN_BRACE => {
                    let of_type = of_type(tokens, at);
                    in_body |= around.is_empty() && !of_type;
                    around.push(of_type);
                }
                names::CLOSE | names::CLOSE_SQUARE | names::CLOSE_BRACE => {
                    around.pop();
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
            && around.iter().all(|may| *may)
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
