//! Enumerators one by one: an enum that grew differs by the new names alone.

use std::collections::HashMap;

use super::expand::Expander;
use super::expression::{self, Value};
use super::lex::{Kind, Token};
use super::macros::Macros;
use super::names::{self, Name, Names};

/// Most tokens of an enum's body.
const BUDGET: usize = 200_000;

/// One enumerator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Enumerator {
    /// Its name.
    pub(super) name: Name,
    /// What stands between name and value: attributes.
    pub(super) attributes: Vec<Name>,
    /// Its value, if it is given.
    pub(super) value: Option<Vec<Token>>,
}

/// An `enum` with a body and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Enumeration {
    /// All tokens outside of the braces.
    pub(super) frame: Vec<Name>,
    /// What is in the braces.
    pub(super) list: Vec<Enumerator>,
}

impl Enumeration {
    /// The enumeration that a declaration is, if it is one.
    pub(super) fn parse(tokens: &[Token], macros: &Macros, names: &mut Names) -> Option<Self> {
        let is_enum = |t: &&Token| t.is(names::ENUM);
        let bodies = tokens.iter().filter(|t| t.is(names::OPEN_BRACE)).count();
        if tokens.iter().filter(is_enum).count() != 1 || bodies != 1 {
            return None;
        }
        let open = tokens.iter().position(|t| t.is(names::OPEN_BRACE))?;
        let close = tokens.iter().rposition(|t| t.is(names::CLOSE_BRACE))?;
        let body = tokens.get(open + 1..close)?;
        let frame = || {
            let after = tokens.get(close + 1..).unwrap_or_default();
            tokens.get(..open).unwrap_or_default().iter().chain(after)
        };
        if frame().any(|t| t.is(names::OPEN)) {
            return None;
        }
        // Which of several definitions counts is not known.
        if body.iter().any(|t| macros.of(t.name).len() > 1) {
            return None;
        }
        let body = Expander::new(macros, names, 0, BUDGET).expand(body)?;
        let mut list = Vec::new();
        for part in parts(&body) {
            let Some((first, rest)) = part.split_first() else {
                continue;
            };
            if !first.is_name() {
                return None;
            }
            let equal = rest.iter().position(|t| t.is(names::EQUAL));
            let (attributes, value) = match equal {
                Some(at) => (rest.get(..at)?, Some(rest.get(at + 1..)?.to_vec())),
                None => (rest, None),
            };
            list.push(Enumerator {
                name: first.name,
                attributes: attributes.iter().map(|t| t.name).collect(),
                value,
            });
        }
        Some(Self {
            frame: frame().map(|t| t.name).collect(),
            list,
        })
    }

    /// What each enumerator is: its value, or what it is relative to.
    fn values(&self, names: &Names) -> HashMap<Name, (Vec<Name>, Value, i128)> {
        let mut known: HashMap<Name, i128> = HashMap::new();
        let mut found = HashMap::new();
        let (mut base, mut offset) = (Value::Known(0), 0i128);
        for item in &self.list {
            if let Some(value) = &item.value {
                let of = |name: Name| known.get(&name).copied();
                let value = expression::fold(value, names, &of);
                (base, offset) = match value {
                    Some(Value::Known(number)) => (Value::Known(0), number),
                    Some(text) => (text, 0),
                    None => (Value::Text(vec![b'?']), 0),
                };
            }
            if matches!(base, Value::Known(_)) {
                known.insert(item.name, offset);
            }
            found.insert(item.name, (item.attributes.clone(), base.clone(), offset));
            offset += 1;
        }
        found
    }

    /// The enumerators in which two enumerations of one frame differ: in one of them only,
    /// or of another value. `None` if the type may be another.
    pub(super) fn difference(&self, other: &Self, names: &Names) -> Option<Vec<Name>> {
        if self.frame != other.frame || self.has_doubles() || other.has_doubles() {
            return None;
        }
        let (mine, theirs) = (self.values(names), other.values(names));
        let size = |values: &HashMap<Name, (Vec<Name>, Value, i128)>| {
            let numbers = values.values().filter(|v| matches!(v.1, Value::Known(_)));
            let (mut low, mut high) = (0, 0);
            for (_, _, number) in numbers {
                low = low.min(*number);
                high = high.max(*number);
            }
            (
                low < 0,
                high > i128::from(i32::MAX),
                high > i128::from(u32::MAX),
                low < i128::from(i32::MIN),
            )
        };
        if size(&mine) != size(&theirs) {
            return None;
        }
        let mut differ = Vec::new();
        for (name, value) in mine.iter().chain(&theirs) {
            let (a, b) = (mine.get(name), theirs.get(name));
            if a == b {
                continue;
            }
            if !matches!(value.1, Value::Known(_)) {
                return None;
            }
            differ.push(*name);
        }
        names::sort(&mut differ);
        Some(differ)
    }

    fn has_doubles(&self) -> bool {
        let mut all: Vec<Name> = self.list.iter().map(|item| item.name).collect();
        names::sort(&mut all);
        all.len() != self.list.len()
    }
}

/// What commas outside of parentheses separate.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut parts = Vec::new();
    let (mut start, mut depth) = (0, 0i32);
    for (at, token) in tokens.iter().enumerate() {
        match token.name {
            _ if token.kind == Kind::Literal => {}
            names::OPEN | names::OPEN_SQUARE => depth += 1,
            names::CLOSE | names::CLOSE_SQUARE => depth -= 1,
            names::COMMA if depth == 0 => {
                parts.extend(tokens.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.extend(tokens.get(start..));
    parts
}
