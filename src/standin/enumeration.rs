//! Enumerators one by one: an enum that grew differs by the new names alone.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::expand::Expander;
use super::expression::{self, Value};
use super::lex::{Kind, Token};
use super::macros::Macros;
use super::names::{self, ByName, Name, Names};

/// Most tokens of an enum's body.
const BUDGET: usize = 200_000;

/// What an enumerator is: its attributes, and its value, or what it is relative to.
type Enumerator = (Vec<Name>, Rc<Value>, i128);

/// An `enum` with a body and nothing else.
#[derive(Clone, Debug)]
pub(super) struct Enumeration {
    /// All tokens outside of the braces.
    frame: Vec<Name>,
    /// What is in the braces.
    values: BTreeMap<Name, Enumerator>,
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
        let mut known: ByName<i128> = ByName::default();
        let mut values = BTreeMap::new();
        let (mut base, mut offset) = (Rc::new(Value::Known(0)), 0i128);
        for part in parts(&body) {
            let Some((first, rest)) = part.split_first() else {
                continue;
            };
            if !first.is_name() {
                return None;
            }
            let equal = rest.iter().position(|t| t.is(names::EQUAL));
            let attributes = rest.get(..equal.unwrap_or(rest.len()))?;
            if let Some(at) = equal {
                let of = |name: Name| known.get(&name).copied();
                // A value that is not understood is no enumerator's own.
                let value = expression::fold(rest.get(at + 1..)?, names, &of)?;
                (base, offset) = match value {
                    Value::Known(number) => (Rc::new(Value::Known(0)), number),
                    text => (Rc::new(text), 0),
                };
            }
            if matches!(*base, Value::Known(_)) {
                known.insert(first.name, offset);
            }
            let attributes = attributes.iter().map(|t| t.name).collect();
            let value = (attributes, Rc::clone(&base), offset);
            if values.insert(first.name, value).is_some() {
                return None;
            }
            offset += 1;
        }
        Some(Self {
            frame: frame().map(|t| t.name).collect(),
            values,
        })
    }

    /// All enumerators, in an order that does not change.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        self.values.keys().copied()
    }

    /// The enumerators in which two enumerations of one frame differ: in one of them only,
    /// or of another value. `None` if the type may be another.
    pub(super) fn difference(&self, other: &Self) -> Option<Vec<Name>> {
        if self.frame != other.frame {
            return None;
        }
        let (mine, theirs) = (&self.values, &other.values);
        let size = |values: &BTreeMap<Name, Enumerator>| {
            let numbers = values.values().filter(|v| matches!(*v.1, Value::Known(_)));
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
        if size(mine) != size(theirs) {
            return None;
        }
        let mut differ = Vec::new();
        for (name, value) in mine.iter().chain(theirs) {
            let (a, b) = (mine.get(name), theirs.get(name));
            if a == b {
                continue;
            }
            if !matches!(*value.1, Value::Known(_)) {
                return None;
            }
            differ.push(*name);
        }
        names::sort(&mut differ);
        Some(differ)
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
