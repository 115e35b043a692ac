//! All definitions of macros in the headers at hand, and what macros stand for.
//!
//! A macro may be defined in several ways, of which a compiler sees one; all are kept, up
//! to a limit.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use super::lex::{Element, Item, Kind, Token};
use super::names::{self, ByName, Name, NameSet};

/// Most definitions of one macro that are told apart.
pub(super) const MAX_VARIANTS: usize = 8;

/// Most parameters of a macro that is one.
const MAX_PARAMETERS: usize = 1000;

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
            let list: Vec<Name> = list.map(|t| t.name).collect();
            if list.len() > MAX_PARAMETERS {
                return None;
            }
            (Some(list), rest.get(end + 1..)?)
        } else {
            (None, rest)
        };
        let body = body.to_vec();
        Some((name.name, Self { parameters, body }))
    }

    /// The index of a parameter; `__VA_ARGS__` and `...` are one.
    pub(super) fn parameter(&self, name: Name) -> Option<usize> {
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
    table: ByName<Vec<Definition>>,
    /// Of those with more definitions than are kept, the names in the others.
    many: ByName<NameSet>,
    /// What was told of macros, at each depth: near the deepest one less is seen.
    classes: RefCell<HashMap<(Name, usize), Option<Class>>>,
    quiet: RefCell<HashMap<(Name, usize), bool>>,
    users: OnceCell<ByName<Vec<Name>>>,
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
                    let body = definition.body.iter().filter(|t| t.is_name());
                    let others = self.many.entry(name).or_default();
                    others.extend(body.map(|t| t.name));
                }
                self.forget();
            }
        }
    }

    /// Adds a definition.
    pub(super) fn insert(&mut self, name: Name, definition: Definition) {
        self.table.entry(name).or_default().push(definition);
        self.forget();
    }

    /// What was told of fewer definitions.
    fn forget(&mut self) {
        self.classes.get_mut().clear();
        self.quiet.get_mut().clear();
        self.users.take();
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
        self.many.contains_key(&name)
    }

    /// In the definitions of which macros a name stands.
    fn users(&self) -> ByName<Vec<Name>> {
        let mut users: ByName<Vec<Name>> = ByName::default();
        for (&name, definitions) in &self.table {
            for token in definitions.iter().flat_map(|d| &d.body) {
                if token.is_name() {
                    users.entry(token.name).or_default().push(name);
                }
            }
        }
        for (&name, others) in &self.many {
            for &other in others {
                users.entry(other).or_default().push(name);
            }
        }
        users
    }

    /// The macros in whose expansion one of `from` stands, and `from`.
    pub(super) fn that_reach(&self, from: &[Name]) -> NameSet {
        let users = self.users.get_or_init(|| self.users());
        let mut found: NameSet = from.iter().copied().collect();
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

    /// The macros in whose expansion `##` stands, or of which not all definitions are kept.
    pub(super) fn that_paste(&self) -> NameSet {
        let pastes = |d: &Definition| d.body.iter().any(|t| t.is(names::PASTE));
        let own = self.table.iter().filter(|(_, all)| all.iter().any(pastes));
        let from: Vec<Name> = own
            .map(|(name, _)| *name)
            .chain(self.many.keys().copied())
            .collect();
        self.that_reach(&from)
    }

    /// What `name` does where a declaration may begin; `None` if it is no macro.
    pub(super) fn class(&self, name: Name) -> Option<Class> {
        self.class_within(name, 0)
    }

    fn class_within(&self, name: Name, depth: usize) -> Option<Class> {
        if let Some(&class) = self.classes.borrow().get(&(name, depth)) {
            return class;
        }
        let definitions = self.of(name);
        if definitions.is_empty() || depth > 4 {
            return None;
        }
        let classes = definitions
            .iter()
            .map(|d| self.class_of_body(&d.body, depth));
        let class = classes.min();
        self.classes.borrow_mut().insert((name, depth), class);
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

    /// Whether a macro stands for attributes and keywords alone, by each of its
    /// definitions: then it declares nothing, and which of them counts does not matter.
    pub(super) fn is_quiet(&self, name: Name) -> bool {
        self.is_quiet_within(name, 0)
    }

    fn is_quiet_within(&self, name: Name, depth: usize) -> bool {
        if let Some(&quiet) = self.quiet.borrow().get(&(name, depth)) {
            return quiet;
        }
        if depth > 8 || self.has_too_many(name) || !self.has(name) {
            return false;
        }
        let quiet = self.of(name).iter().all(|d| self.is_quiet_body(d, depth));
        self.quiet.borrow_mut().insert((name, depth), quiet);
        quiet
    }

    fn is_quiet_body(&self, definition: &Definition, depth: usize) -> bool {
        let mut parens = 0usize;
        let mut takes_parens = false;
        for token in &definition.body {
            match token.name {
                _ if token.kind == Kind::Literal || token.kind == Kind::Number => {}
                names::OPEN if parens > 0 || takes_parens => parens += 1,
                names::CLOSE if parens > 0 => parens -= 1,
                names::PASTE | names::HASH => return false,
                _ if parens > 0 => {}
                name if token.kind == Kind::Word => {
                    let is_type = matches!(
                        name,
                        names::STRUCT | names::UNION | names::ENUM | names::CLASS
                    );
                    if is_type || !(name.is_keyword() || self.is_quiet_within(name, depth + 1)) {
                        return false;
                    }
                    takes_parens = name.is_attribute() || !name.is_keyword();
                    continue;
                }
                _ => return false,
            }
            takes_parens = false;
        }
        parens == 0
    }

    /// Whether a macro's body has one of the words that begin a type with members.
    pub(super) fn opens_type(&self, name: Name) -> bool {
        let types = [names::STRUCT, names::UNION, names::CLASS, names::ENUM];
        let mut bodies = self.of(name).iter().flat_map(|d| &d.body);
        bodies.any(|t| types.contains(&t.name))
    }
}
