//! Where a declaration ends: at a semicolon or the end of a body outside of all braces.
//!
//! Groups of the preprocessor inside it belong to it; where their branches disagree, the
//! first one says how deep it goes on.

use super::groups::Groups;
use super::lex::{self, Element, Item, Kind, Token};
use super::macros::Class;
use super::names::{self, Name};

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A declaration or definition.
    Declaration,
    /// `extern "C" {`, `namespace x {`, macros that stand alone.
    Structure,
    /// A pragma, by its word.
    Directive(Name),
    /// What may declare every word in it.
    Unknown,
}

/// How deep in brackets, and whether the declaration could end.
type Reached = (u32, bool);

struct Scan<'s> {
    items: &'s [Item],
    start: usize,
    end: usize,
    depth: u32,
    /// A parenthesis was met that may be one of parameters.
    has_parens: bool,
    /// A word was met that begins a type with members, after which none was.
    has_type: bool,
    has_value: bool,
    last: Option<Name>,
    /// The declaration could end here.
    done: bool,
}

/// Where the declaration that begins at `start` ends, before `end`; `None` if it does not.
/// `in_type` says that its first macro opened one.
pub(super) fn extent(
    items: &[Item],
    groups: &Groups,
    (start, end): (usize, usize),
    class: &dyn Fn(Name) -> Option<Class>,
    in_type: bool,
) -> Option<(usize, Form)> {
    let mut scan = Scan {
        items,
        start,
        end,
        depth: u32::from(in_type),
        has_parens: false,
        has_type: in_type,
        has_value: false,
        last: None,
        done: false,
    };
    // Of each group around: the depth at its beginning, and after its first branch.
    let mut around: Vec<(Reached, Option<Reached>)> = Vec::new();
    let mut at = start;
    while at < end {
        match &items.get(at)?.element {
            Element::Directive(word, _) => {
                match *word {
                    names::IF | names::IFDEF | names::IFNDEF => {
                        // Known to be balanced.
                        groups.get(&at)?;
                        around.push(((scan.depth, scan.done), None));
                    }
                    names::ELIF | names::ELIFDEF | names::ELIFNDEF | names::ELSE => {
                        let (before, first) = around.last_mut()?;
                        first.get_or_insert((scan.depth, scan.done));
                        (scan.depth, scan.done) = *before;
                    }
                    names::ENDIF => {
                        let (_, first) = around.pop()?;
                        (scan.depth, scan.done) = first.unwrap_or((scan.depth, scan.done));
                        if scan.done && around.is_empty() && scan.depth == 0 {
                            return Some((at + 1, Form::Declaration));
                        }
                    }
                    _ => {}
                }
            }
            Element::Token(token) => {
                if let Some(found) = scan.step(at, token, around.is_empty()) {
                    return Some(found);
                }
            }
        }
        at += 1;
    }
    let macros_only = scan.depth == 0 && around.is_empty() && scan.is_macros(end, class);
    macros_only.then_some((end, Form::Structure))
}

impl Scan<'_> {
    fn token(&self, at: usize) -> Option<&Token> {
        lex::token(self.items, at, self.end)
    }

    fn is(&self, at: usize, mark: Name) -> bool {
        self.token(at).is_some_and(|t| t.is(mark))
    }

    /// One token; `outside` says that it is in no group.
    fn step(&mut self, at: usize, token: &Token, outside: bool) -> Option<(usize, Form)> {
        let last = self.last.replace(token.name);
        if token.kind == Kind::Literal {
            return None;
        }
        match token.name {
            names::OPEN | names::OPEN_SQUARE | names::OPEN_BRACE => {
                let is_attribute = last.is_some_and(Name::is_attribute);
                if token.name == names::OPEN && self.depth == 0 && !is_attribute {
                    self.has_parens = true;
                }
                if token.name == names::OPEN_BRACE && self.depth == 0 && outside && self.opens(at) {
                    return Some((at + 1, Form::Structure));
                }
                self.depth += 1;
                self.done = false;
            }
            names::CLOSE | names::CLOSE_SQUARE | names::CLOSE_BRACE => {
                if self.depth == 0 {
                    // Closes what began before: a brace that a macro opened, or a mistake.
                    let after = if at > self.start { at } else { at + 1 };
                    return outside.then_some((after, Form::Structure));
                }
                self.depth -= 1;
                if token.name == names::CLOSE_BRACE && self.depth == 0 {
                    return self.body(at, outside);
                }
            }
            names::SEMICOLON if self.depth == 0 => {
                self.done = true;
                return outside.then_some((at + 1, Form::Declaration));
            }
            name if self.depth == 0 => {
                self.done = false;
                match name {
                    names::STRUCT | names::UNION | names::ENUM | names::CLASS => {
                        self.has_type = true;
                        self.has_parens = false;
                    }
                    names::EQUAL if last != Some(names::OPERATOR) => self.has_value = true,
                    _ => {}
                }
            }
            _ => {}
        }
        None
    }

    /// Whether the brace at `at` is one around declarations.
    fn opens(&self, at: usize) -> bool {
        let is = |ahead, word| self.is(self.start + ahead, word);
        let linkage = is(0, names::EXTERN)
            && at == self.start + 2
            && self.token(at - 1).is_some_and(|t| t.kind == Kind::Literal);
        linkage || is(0, names::NAMESPACE) || (is(0, names::INLINE) && is(1, names::NAMESPACE))
    }

    /// After the brace at `at` that closes the outermost: the end, if it is one of a body.
    fn body(&mut self, at: usize, outside: bool) -> Option<(usize, Form)> {
        if (self.has_type && !self.has_parens) || self.has_value {
            return None;
        }
        let mut after = at + 1;
        if self.is(after, names::SEMICOLON) {
            after += 1;
        } else {
            let goes_on = [
                names::OPEN_BRACE,
                names::COMMA,
                names::COLON,
                names::STAR,
                names::EQUAL,
            ];
            if goes_on.iter().any(|&mark| self.is(after, mark)) {
                return None;
            }
        }
        self.done = true;
        outside.then_some((after, Form::Declaration))
    }

    /// Whether all from the start to `end` are macros that stand alone.
    fn is_macros(&self, end: usize, class: &dyn Fn(Name) -> Option<Class>) -> bool {
        let mut at = self.start;
        let mut count = 0;
        while at < end {
            let Some(token) = self.token(at) else {
                return false;
            };
            let is_part = class(token.name) == Some(Class::Part);
            if !token.is_name() || (is_part && end - self.start == 1) {
                return false;
            }
            at += 1;
            count += 1;
            if self.is(at, names::OPEN) {
                let mut depth = 0;
                while at < end {
                    if self.is(at, names::OPEN) {
                        depth += 1;
                    } else if self.is(at, names::CLOSE) {
                        depth -= 1;
                    }
                    at += 1;
                    if depth == 0 {
                        break;
                    }
                }
            }
        }
        count > 0
    }
}
