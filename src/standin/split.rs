//! Cuts a header into chunks: macros, declarations, and what is around them.
//!
//! By tokens alone, so that it holds whatever macros are defined: a group of the
//! preprocessor that begins or ends inside a declaration is part of it. Every token is in
//! some chunk; where it is not clear what one declares, it declares every word in it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::chunk::{self, Chunk, Condition, Header, Key, Target, What};
use super::declared;
use super::enumeration::Enumeration;
use super::groups::{self, Groups};
use super::lex::{Element, Item, Token};
use super::macros::{Class, Definition, Macros};
use super::names::{self, Name, Names, sort};
use super::scoped;
use super::target::{target, written};
use super::whole::whole;

/// Most conditions around parts of a header, counted for each branch.
const MAX_CONDITIONS: usize = 2_000_000;

/// Cuts the header that has these items. `lined` are the macros that tell lines.
pub(super) fn split(
    items: &[Item],
    macros: &Macros,
    names: &mut Names,
    lined: &HashSet<Name>,
) -> Header {
    let groups = match groups::groups(items) {
        Ok(groups) => groups,
        Err(why) => return whole(items, names, why),
    };
    let guard = groups::guard(items, &groups);
    let mut splitter = Splitter {
        items,
        groups: &groups,
        macros,
        names,
        lined,
        header: Header {
            contexts: vec![Vec::new()],
            ..Header::default()
        },
        seen: HashMap::new(),
        context_keys: vec![Key::default()],
        conditions: 0,
    };
    let range = match guard {
        Some(_) => (1, items.len() - 1),
        None => (0, items.len()),
    };
    if let Err(from) = splitter.items(range, 0) {
        splitter.chunk((from, range.1), Form::Unknown, 0);
    }
    if splitter.conditions > MAX_CONDITIONS {
        return whole(items, splitter.names, "has too many conditions");
    }
    splitter.header
}

/// What the splitter knows of a chunk that it has found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Declaration,
    Structure,
    Unknown,
}

struct Splitter<'s> {
    items: &'s [Item],
    groups: &'s Groups,
    macros: &'s Macros,
    names: &'s mut Names,
    lined: &'s HashSet<Name>,
    header: Header,
    /// How many groups of a condition were met that change what they ask for.
    seen: HashMap<Key, u8>,
    /// What each context adds to the keys of its chunks.
    context_keys: Vec<Key>,
    /// How many conditions all contexts have.
    conditions: usize,
}

impl Splitter<'_> {
    fn token(&self, at: usize, end: usize) -> Option<Token> {
        match &self.items.get(at).filter(|_| at < end)?.element {
            Element::Token(token) => Some(*token),
            Element::Directive(..) => None,
        }
    }

    /// Cuts a range under one context.
    ///
    /// # Errors
    /// Where a declaration begins that does not end in the range.
    fn items(&mut self, (start, end): (usize, usize), context: u32) -> Result<(), usize> {
        let mut at = start;
        while at < end {
            let Some(item) = self.items.get(at) else {
                break;
            };
            match &item.element {
                Element::Directive(names::IF | names::IFDEF | names::IFNDEF, _) => {
                    let before = (self.header.chunks.len(), self.header.contexts.len());
                    at = match self.group(at, context) {
                        Some(after) => after,
                        None => {
                            self.header.chunks.truncate(before.0);
                            self.header.contexts.truncate(before.1);
                            self.context_keys.truncate(before.1);
                            self.declaration((at, end), context).ok_or(at)?
                        }
                    };
                }
                Element::Directive(word, tokens) => {
                    self.directive(item, *word, tokens, context);
                    at += 1;
                }
                Element::Token(token) if token.is(names::SEMICOLON) => at += 1,
                Element::Token(token) if token.is(names::CLOSE_BRACE) => {
                    self.chunk((at, at + 1), Form::Structure, context);
                    at += 1;
                }
                Element::Token(_) => at = self.declaration((at, end), context).ok_or(at)?,
            }
        }
        Ok(())
    }

    /// Cuts each branch of a group; returns where it ends, or `None` if a declaration
    /// does not end in its branch.
    fn group(&mut self, start: usize, context: u32) -> Option<usize> {
        let group = self.groups.get(&start)?.clone();
        let mut ordinal = 0;
        if groups::changes_itself(self.items, &group) {
            let mut fed = Vec::new();
            if let Some(Element::Directive(word, tokens)) =
                self.items.get(start).map(|item| &item.element)
            {
                chunk::feed(
                    &mut fed,
                    &groups::condition(*word, tokens),
                    self.names,
                    false,
                );
            }
            let seen = self.seen.entry(chunk::key(&fed)).or_default();
            ordinal = *seen;
            *seen = seen.saturating_add(1);
        }
        let mut conditions = self.header.contexts.get(context as usize)?.clone();
        let mut fed = *self.context_keys.get(context as usize)?;
        for branch in group.windows(2) {
            let [at, end] = *branch else { continue };
            let Element::Directive(word, tokens) = &self.items.get(at)?.element else {
                continue;
            };
            let condition = groups::condition(*word, tokens);
            self.conditions += conditions.len() + 1;
            if self.conditions > MAX_CONDITIONS {
                return None;
            }
            let mut here = (conditions.clone(), fed);
            if !condition.is_empty() {
                let step = |kind: u8| {
                    let mut text = fed.to_vec();
                    text.extend([kind, ordinal]);
                    chunk::feed(&mut text, &condition, self.names, false);
                    chunk::key(&text)
                };
                let (holds, fails) = (step(3), step(4));
                here.1 = holds;
                fed = fails;
                let tokens: Rc<[Token]> = condition.into();
                here.0.push(Condition {
                    tokens: Rc::clone(&tokens),
                    holds: true,
                });
                conditions.push(Condition {
                    tokens,
                    holds: false,
                });
            }
            // What comes in no branch needs no context.
            if at + 1 < end {
                let inner = u32::try_from(self.header.contexts.len()).ok()?;
                self.header.contexts.push(here.0);
                self.context_keys.push(here.1);
                self.items((at + 1, end), inner).ok()?;
            }
        }
        group.last().map(|&end| end + 1)
    }

    fn directive(&mut self, item: &Item, word: Name, tokens: &[Token], context: u32) {
        let mut words: Vec<Name> = tokens
            .iter()
            .filter(|t| t.is_name())
            .map(|t| t.name)
            .collect();
        let first = tokens.first().map(|t| t.name);
        let mut declared = Vec::new();
        let what = match word {
            names::DEFINE => match Definition::parse(tokens) {
                Some((name, definition)) => {
                    declared.push(name);
                    let own = definition.parameters.clone().unwrap_or_default();
                    let body = definition.body.iter().filter(|t| t.is_name());
                    words = body
                        .map(|t| t.name)
                        .filter(|name| !own.contains(name))
                        .collect();
                    What::Macro(definition)
                }
                None => What::Unknown,
            },
            names::UNDEF => {
                declared.extend(first);
                words.clear();
                What::Undef
            }
            names::INCLUDE | names::INCLUDE_NEXT | names::IMPORT => {
                if target(word, tokens, self.names).is_some() {
                    words.clear();
                }
                What::Include
            }
            _ => What::Structure,
        };
        if matches!(what, What::Unknown) {
            declared.clone_from(&words);
        }
        let mut includes: Vec<Target> = target(word, tokens, self.names).into_iter().collect();
        // A macro may name a header for others to include.
        if let What::Macro(definition) = &what {
            includes.extend(written(&definition.body, self.names));
        }
        let mut fed = self.names.text(word).to_vec();
        fed.push(0);
        chunk::feed(&mut fed, tokens, self.names, true);
        self.push(what, fed, declared, words, context, item.line, includes);
    }

    #[expect(clippy::too_many_arguments, reason = "they are the parts of a chunk")]
    fn push(
        &mut self,
        what: What,
        mut fed: Vec<u8>,
        mut declared: Vec<Name>,
        mut uses: Vec<Name>,
        context: u32,
        line: u32,
        includes: Vec<Target>,
    ) {
        if let Some(more) = self.context_keys.get(context as usize) {
            fed.push(5);
            fed.extend(more);
        }
        sort(&mut declared);
        sort(&mut uses);
        self.header.chunks.push(Chunk {
            what,
            key: chunk::key(&fed),
            names: declared,
            uses,
            context,
            line,
            includes,
        });
    }

    /// Makes a chunk of a range of items, with the groups in it.
    fn chunk(&mut self, (start, end): (usize, usize), form: Form, context: u32) {
        let items = self.items.get(start..end).unwrap_or_default();
        let has_groups = items.iter().any(|item| {
            matches!(
                &item.element,
                Element::Directive(names::IF | names::IFDEF | names::IFNDEF, _)
            )
        });
        let line = items.first().map_or(1, |item| item.line);
        let mut fed = vec![6];
        let mut tokens = Vec::new();
        let (mut declared, mut uses, mut includes) = (Vec::new(), Vec::new(), Vec::new());
        let mut apart = Vec::new();
        for item in items {
            match &item.element {
                Element::Token(token) => {
                    chunk::feed(&mut fed, std::slice::from_ref(token), self.names, false);
                    tokens.push(*token);
                }
                Element::Directive(word @ (names::DEFINE | names::UNDEF), rest) if !has_groups => {
                    apart.push((item, *word, rest));
                }
                Element::Directive(word, rest) => {
                    fed.push(7);
                    fed.extend_from_slice(self.names.text(*word));
                    chunk::feed(&mut fed, rest, self.names, true);
                    uses.extend(rest.iter().filter(|t| t.is_name()).map(|t| t.name));
                    includes.extend(target(*word, rest, self.names));
                    if matches!(*word, names::DEFINE | names::UNDEF) {
                        declared.extend(rest.first().map(|t| t.name));
                    }
                }
            }
        }
        let mut what = What::Structure;
        if form == Form::Structure {
            uses.extend(tokens.iter().filter(|t| t.is_name()).map(|t| t.name));
        } else {
            let found = declared::declared(&tokens, self.macros, self.names);
            uses.extend(scoped::uses(&tokens, self.macros, self.names));
            uses.extend(&found.pasted);
            if form == Form::Unknown || found.names.is_empty() {
                declared.extend(tokens.iter().filter(|t| t.is_name()).map(|t| t.name));
                what = What::Unknown;
            } else {
                declared.extend(&found.names);
                let plain = found.is_plain && !has_groups && includes.is_empty();
                what = match plain.then(|| Enumeration::parse(&tokens, self.macros, self.names)) {
                    Some(Some(list)) => What::Enumeration(list),
                    _ => What::Declaration,
                };
            }
            // Where code that tells its line stands is part of it.
            let has_body = tokens.iter().any(|t| t.is(names::OPEN_BRACE));
            if has_body && tokens.iter().any(|t| self.lined.contains(&t.name)) {
                fed.extend_from_slice(&line.to_le_bytes());
            }
        }
        self.push(what, fed, declared, uses, context, line, includes);
        for (item, word, rest) in apart {
            self.directive(item, word, rest, context);
        }
    }

    /// Makes a chunk of the declaration that begins at `start`, of which `end` is the
    /// last that may be part; returns where it ends.
    fn declaration(&mut self, (start, end): (usize, usize), context: u32) -> Option<usize> {
        if let Some(after) = self.alone((start, end), context) {
            return Some(after);
        }
        let (after, form) = super::extent::extent(
            self.items,
            self.groups,
            (start, end),
            &|name| self.macros.class(name),
            self.opens_type(start, end),
        )?;
        let form = match form {
            super::extent::Form::Declaration => Form::Declaration,
            super::extent::Form::Structure => Form::Structure,
        };
        self.chunk((start, after), form, context);
        Some(after)
    }

    /// Whether a macro that opens a type with members begins here.
    fn opens_type(&self, start: usize, end: usize) -> bool {
        self.token(start, end).is_some_and(|t| {
            self.macros.class(t.name) == Some(Class::Opener) && self.macros.opens_type(t.name)
        })
    }

    /// A macro that stands alone where a declaration may begin.
    fn alone(&mut self, (start, end): (usize, usize), context: u32) -> Option<usize> {
        let first = self.token(start, end).filter(Token::is_name)?;
        let class = match self.macros.class(first.name) {
            Some(Class::Part) => return None,
            Some(class) => class,
            None => {
                // Of a package that is not at hand.
                let text = self.names.text(first.name);
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
        if class == Class::Opener && self.macros.opens_type(first.name) {
            return None;
        }
        let mut after = start + 1;
        let mut definitions = self.macros.of(first.name).iter();
        let is_function = definitions.any(|d| d.parameters.is_some());
        if is_function || definitions.len() == 0 {
            match self.token(after, end) {
                Some(open) if open.is(names::OPEN) => after = self.closed(after, end)?,
                _ if is_function && class == Class::Complete => return None,
                _ => {}
            }
            if self
                .token(after, end)
                .is_some_and(|t| t.is(names::OPEN_BRACE))
            {
                return None;
            }
        }
        if self
            .token(after, end)
            .is_some_and(|t| t.is(names::SEMICOLON))
        {
            after += 1;
        }
        let form = match class {
            Class::Complete => Form::Declaration,
            _ => Form::Structure,
        };
        self.chunk((start, after), form, context);
        Some(after)
    }

    /// Behind the parenthesis that closes the one at `at`.
    fn closed(&self, at: usize, end: usize) -> Option<usize> {
        let mut depth = 0usize;
        for at in at..end {
            let token = self.token(at, end)?;
            if token.is(names::OPEN) {
                depth += 1;
            } else if token.is(names::CLOSE) {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
        }
        None
    }
}
