//! Cuts a header into chunks: macros, declarations, and what is around them.
//!
//! By tokens alone, so that it holds whatever macros are defined: a group of the
//! preprocessor that begins or ends inside a declaration is part of it. Every token is in
//! some chunk; where it is not clear what one declares, it declares every word in it.

use std::collections::HashMap;
use std::rc::Rc;

use super::alone::alone;
use super::chunk::{self, Chunk, Condition, Header, Key, Target, What};
use super::declared;
use super::enumeration::Enumeration;
use super::extent::{self, Form};
use super::groups::{self, Groups};
use super::lex::{Element, Item, Token, token};
use super::macros::{Class, Definition, Macros};
use super::names::{self, Name, NameSet, Names, sort};
use super::scoped;
use super::target::{target, written};
use super::whole::whole;

/// Most conditions around parts of a header, counted for each branch.
const MAX_CONDITIONS: usize = 2_000_000;

/// Cuts the header that has these items. `lined` are the macros that tell lines.
pub(super) fn split(items: &[Item], macros: &Macros, names: &mut Names, lined: &NameSet) -> Header {
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
            context_keys: vec![Key::default()],
            ..Header::default()
        },
        seen: HashMap::new(),
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

struct Splitter<'s> {
    items: &'s [Item],
    groups: &'s Groups,
    macros: &'s Macros,
    names: &'s mut Names,
    lined: &'s NameSet,
    header: Header,
    /// How many groups of a condition were met that change what they ask for.
    seen: HashMap<Key, u8>,
    /// How many conditions all contexts have.
    conditions: usize,
}

impl Splitter<'_> {
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
                            self.header.context_keys.truncate(before.1);
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
        let mut fed = *self.header.context_keys.get(context as usize)?;
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
                let condition: Condition = condition.into();
                here.0.push(Rc::clone(&condition));
                conditions.push(condition);
            }
            // What comes in no branch needs no context.
            if at + 1 < end {
                let inner = u32::try_from(self.header.contexts.len()).ok()?;
                self.header.contexts.push(here.0);
                self.header.context_keys.push(here.1);
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
                    let own = definition.parameters.iter().flatten();
                    let own: NameSet = own.copied().collect();
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
            names::PRAGMA if of_header(tokens, self.names) => What::Structure,
            _ => What::Directive(word),
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
        if let Some(more) = self.header.context_keys.get(context as usize) {
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
        let mut what = match form {
            Form::Directive(word) => What::Directive(word),
            _ => What::Structure,
        };
        if matches!(form, Form::Structure | Form::Directive(_)) {
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
        let alone = alone(self.items, (start, end), self.macros, self.names);
        let (after, form) = match alone {
            Some(alone) => alone,
            None => extent::extent(
                self.items,
                self.groups,
                (start, end),
                &|name| self.macros.class(name),
                self.opens_type(start, end),
            )?,
        };
        self.chunk((start, after), form, context);
        Some(after)
    }

    /// Whether a macro that opens a type with members begins here.
    fn opens_type(&self, start: usize, end: usize) -> bool {
        token(self.items, start, end).is_some_and(|t| {
            self.macros.class(t.name) == Some(Class::Opener) && self.macros.opens_type(t.name)
        })
    }
}

/// Whether a pragma is about its header alone: `once`, `GCC system_header`.
fn of_header(tokens: &[Token], names: &Names) -> bool {
    let texts: Vec<&[u8]> = tokens.iter().map(|t| names.text(t.name)).collect();
    matches!(texts.as_slice(), [b"once"] | [b"GCC", b"system_header"])
}
