//! All definitions of macros in the headers at hand, and what macros stand for.
//!
//! A macro may be defined in several ways, of which a compiler sees one; all are kept, up
//! to a limit. Expansion is bounded: macros that multiply end it with `None`.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use super::lex::{Element, Item, Kind, Token};
use super::names::{self, Name, Names};

/// Most definitions of one macro that are told apart.
pub(super) const MAX_VARIANTS: usize = 8;
/// Deepest expansion.
const MAX_DEPTH: usize = 16;

/// One `#define`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Definition {
    /// Its parameters, if it is like a function; `...` is the last as a name.
    pub(super) parameters: Option<Vec<Name>>,
    /// What it stands for.
    pub(super) body: Vec<Token>,
}

impl Definition {
    /// What follows `#define`.
    pub(super) fn parse(tokens: &[Token]) -> Option<(Name, Self)> {
        let (name, rest) = tokens.split_first()?;
        if name.kind != Kind::Word {
            return None;
        }
        let has_parameters = rest.first().is_some_and(|t| t.is(names::OPEN) && !t.spaced);
        let (parameters, body) = if has_parameters {
            let end = rest.iter().position(|t| t.is(names::CLOSE))?;
            let inner = rest.get(1..end)?;
            let list = inner.iter().filter(|t| !t.is(names::COMMA));
            (Some(list.map(|t| t.name).collect()), rest.get(end + 1..)?)
        } else {
            (None, rest)
        };
        let body = body.to_vec();
        Some((name.name, Self { parameters, body }))
    }

    /// The index of a parameter; `__VA_ARGS__` and `...` are one.
    fn parameter(&self, name: Name) -> Option<usize> {
        let list = self.parameters.as_ref()?;
        let rest = (name == names::VA_ARGS).then_some(names::ELLIPSIS);
        list.iter().position(|&p| p == name || Some(p) == rest)
    }
}

/// What a macro that stands where a declaration may begin does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// It opens a brace.
    Opener,
    /// It closes one.
    Closer,
    /// It is whole declarations.
    Complete,
    /// It speaks to the compiler only.
    Pragma,
    /// It is part of a declaration, or nothing.
    Part,
}

/// Definitions by name.
#[derive(Debug, Default)]
pub(super) struct Macros {
    table: HashMap<Name, Vec<Definition>>,
    /// Those with more definitions than are kept.
    many: HashSet<Name>,
    classes: RefCell<HashMap<Name, Option<Class>>>,
}

impl Macros {
    /// Adds all definitions of a header.
    pub(super) fn collect(&mut self, items: &[Item]) {
        for item in items {
            let Element::Directive(names::DEFINE, tokens) = &item.element else {
                continue;
            };
            if let Some((name, definition)) = Definition::parse(tokens) {
                let known = self.table.entry(name).or_default();
                if known.contains(&definition) {
                    continue;
                }
                if known.len() < MAX_VARIANTS {
                    known.push(definition);
                } else {
                    self.many.insert(name);
                }
                self.classes.borrow_mut().clear();
            }
        }
    }

    /// Adds a definition.
    pub(super) fn insert(&mut self, name: Name, definition: Definition) {
        self.table.entry(name).or_default().push(definition);
    }

    /// The definitions of `name`.
    pub(super) fn of(&self, name: Name) -> &[Definition] {
        self.table.get(&name).map_or(&[], Vec::as_slice)
    }

    /// Whether `name` is a macro anywhere.
    pub(super) fn has(&self, name: Name) -> bool {
        self.table.contains_key(&name)
    }

    /// Whether not all definitions of `name` are kept.
    pub(super) fn has_too_many(&self, name: Name) -> bool {
        self.many.contains(&name)
    }

    /// The macros in whose expansion one of `from` stands, and `from`.
    pub(super) fn that_reach(&self, from: &[Name]) -> HashSet<Name> {
        let mut users: HashMap<Name, Vec<Name>> = HashMap::new();
        for (&name, definitions) in &self.table {
            for token in definitions.iter().flat_map(|d| &d.body) {
                if token.is_name() {
                    users.entry(token.name).or_default().push(name);
                }
            }
        }
        let mut found: HashSet<Name> = from.iter().copied().collect();
        let mut todo = from.to_vec();
        while let Some(name) = todo.pop() {
            for &user in users.get(&name).map_or(&[][..], Vec::as_slice) {
                if found.insert(user) {
                    todo.push(user);
                }
            }
        }
        found
    }

    /// What `name` does where a declaration may begin; `None` if it is no macro.
    pub(super) fn class(&self, name: Name) -> Option<Class> {
        self.class_within(name, 0)
    }

    fn class_within(&self, name: Name, depth: usize) -> Option<Class> {
        if let Some(&class) = self.classes.borrow().get(&name) {
            return class;
        }
        let definitions = self.of(name);
        if definitions.is_empty() || depth > 4 {
            return None;
        }
        // Against circles; what it is in the end is told below.
        self.classes.borrow_mut().insert(name, Some(Class::Part));
        let classes = definitions
            .iter()
            .map(|d| self.class_of_body(&d.body, depth));
        let class = classes.min();
        self.classes.borrow_mut().insert(name, class);
        class
    }

    fn class_of_body(&self, body: &[Token], depth: usize) -> Class {
        let (mut braces, mut lowest, mut parens) = (0i32, 0i32, 0i32);
        let mut ends = false;
        for token in body {
            match token.name {
                names::OPEN_BRACE => braces += 1,
                names::CLOSE_BRACE => {
                    braces -= 1;
                    lowest = lowest.min(braces);
                }
                names::OPEN | names::OPEN_SQUARE => parens += 1,
                names::CLOSE | names::CLOSE_SQUARE => parens -= 1,
                names::SEMICOLON if braces == 0 && parens == 0 => ends = true,
                _ => {}
            }
        }
        if braces > 0 {
            return Class::Opener;
        }
        if lowest < 0 {
            return Class::Closer;
        }
        if ends || body.last().is_some_and(|t| t.is(names::CLOSE_BRACE)) {
            return Class::Complete;
        }
        let first = body.iter().find(|t| t.kind == Kind::Word);
        if first.is_some_and(|t| matches!(t.name, names::PRAGMA_ | names::PRAGMA__)) {
            return Class::Pragma;
        }
        let words = body.iter().filter(|t| t.is_name());
        let inner: Vec<_> = words
            .filter_map(|t| self.class_within(t.name, depth + 1))
            .collect();
        match inner.iter().min() {
            Some(&class @ (Class::Opener | Class::Closer | Class::Complete)) => class,
            Some(Class::Pragma) if inner.len() == body.len() => Class::Pragma,
            _ => Class::Part,
        }
    }

    /// Whether a macro's body has one of the words that begin a type with members.
    pub(super) fn opens_type(&self, name: Name) -> bool {
        let types = [names::STRUCT, names::UNION, names::CLASS, names::ENUM];
        let mut bodies = self.of(name).iter().flat_map(|d| &d.body);
        bodies.any(|t| types.contains(&t.name))
    }
}

/// One expansion, or several with one budget.
pub(super) struct Expander<'m> {
    macros: &'m Macros,
    names: &'m mut Names,
    /// Which definition of macros that have several.
    variant: usize,
    /// Macros that stay as they are.
    pub(super) hidden: Vec<Name>,
    /// Tokens that may still be made.
    budget: usize,
    /// Words that `##` made on the way.
    pub(super) pasted: Vec<Name>,
}

impl<'m> Expander<'m> {
    /// An expansion by definition `variant` of each macro, of at most `budget` tokens.
    pub(super) fn new(
        macros: &'m Macros,
        names: &'m mut Names,
        variant: usize,
        budget: usize,
    ) -> Self {
        Self {
            macros,
            names,
            variant,
            hidden: Vec::new(),
            budget,
            pasted: Vec::new(),
        }
    }

    /// What `tokens` stand for, or `None` if that is too much.
    pub(super) fn expand(&mut self, tokens: &[Token]) -> Option<Vec<Token>> {
        self.within(tokens, 0)
    }

    fn within(&mut self, tokens: &[Token], depth: usize) -> Option<Vec<Token>> {
        let mut out = Vec::with_capacity(tokens.len());
        let mut at = 0;
        while let Some(&token) = tokens.get(at) {
            at += 1;
            self.budget = self.budget.checked_sub(1)?;
            let macros = self.macros;
            let definitions = macros.of(token.name);
            let definition = definitions.get(self.variant).or_else(|| definitions.last());
            let Some(definition) = definition
                .filter(|_| token.kind == Kind::Word && !self.hidden.contains(&token.name))
            else {
                out.push(token);
                continue;
            };
            let body = if definition.parameters.is_some() {
                if !tokens.get(at).is_some_and(|t| t.is(names::OPEN)) {
                    out.push(token);
                    continue;
                }
                let Some((arguments, end)) = arguments(tokens, at, definition) else {
                    out.push(token);
                    continue;
                };
                at = end;
                self.substitute(definition, &arguments, depth)?
            } else {
                self.paste(definition.body.clone())
            };
            if depth >= MAX_DEPTH {
                return None;
            }
            self.hidden.push(token.name);
            let inner = self.within(&body, depth + 1);
            self.hidden.pop();
            out.extend(inner?);
        }
        Some(out)
    }

    fn substitute(
        &mut self,
        definition: &Definition,
        arguments: &[Vec<Token>],
        depth: usize,
    ) -> Option<Vec<Token>> {
        let body = &definition.body;
        let mut out = Vec::with_capacity(body.len());
        for (at, token) in body.iter().enumerate() {
            let before = at.checked_sub(1).and_then(|at| body.get(at));
            let is = |token: Option<&Token>, mark| token.is_some_and(|t| t.is(mark));
            let index = definition.parameter(token.name);
            let Some(index) = index.filter(|_| token.kind == Kind::Word) else {
                // `#` before a parameter goes with it.
                if !token.is(names::HASH) {
                    out.push(*token);
                }
                continue;
            };
            let argument = arguments.get(index).map_or(&[][..], Vec::as_slice);
            self.budget = self.budget.checked_sub(argument.len())?;
            if is(before, names::HASH) {
                out.push(Token {
                    kind: Kind::Literal,
                    name: names::TEXT,
                    spaced: true,
                });
            } else if is(before, names::PASTE) || is(body.get(at + 1), names::PASTE) {
                out.extend(argument);
            } else if depth < MAX_DEPTH {
                out.extend(self.within(argument, depth + 1)?);
            } else {
                return None;
            }
        }
        Some(self.paste(out))
    }

    /// Joins what stands around `##`.
    fn paste(&mut self, tokens: Vec<Token>) -> Vec<Token> {
        if !tokens.iter().any(|t| t.is(names::PASTE)) {
            return tokens;
        }
        let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
        let mut joins = false;
        for token in tokens {
            if token.is(names::PASTE) {
                joins = true;
                continue;
            }
            match out.last_mut() {
                Some(last) if joins && last.kind != Kind::Mark => {
                    let mut text = self.names.text(last.name).to_vec();
                    text.extend(self.names.text(token.name));
                    last.name = self.names.name(&text);
                    if last.kind == Kind::Word {
                        self.pasted.push(last.name);
                    }
                }
                _ => out.push(token),
            }
            joins = false;
        }
        out
    }
}

/// The arguments of a call whose parenthesis is at `open`, and where it ends.
fn arguments(
    tokens: &[Token],
    open: usize,
    definition: &Definition,
) -> Option<(Vec<Vec<Token>>, usize)> {
    let parameters = definition.parameters.as_ref()?;
    let is_variadic = parameters.last() == Some(&names::ELLIPSIS);
    let mut list: Vec<Vec<Token>> = vec![Vec::new()];
    let mut depth = 0usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.name {
            names::OPEN if token.kind == Kind::Mark => {
                depth += 1;
                if depth == 1 {
                    continue;
                }
            }
            names::CLOSE if token.kind == Kind::Mark => {
                depth -= 1;
                if depth == 0 {
                    return Some((list, at + 1));
                }
            }
            names::COMMA if depth == 1 && !(is_variadic && list.len() == parameters.len()) => {
                list.push(Vec::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = list.last_mut() {
            last.push(*token);
        }
    }
    None
}
