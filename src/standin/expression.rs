//! Expressions of conditions and enumerators, folded as far as their parts are known.
//!
//! Two expressions that fold to the same cannot be told apart, whatever the unknown parts
//! are. In doubt a part stays unknown: what C computes modulo a power of two is not folded.

use super::lex::{Kind, Token};
use super::names::{self, Name, Names};

/// Deepest nesting of an expression.
const MAX_DEPTH: usize = 100;
/// Longest text that an expression folds to, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// What an expression folds to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number.
    Known(i128),
    /// A text with all known parts folded.
    Text(Vec<u8>),
}

impl Value {
    /// A text of these parts, unless it is too long.
    fn of(parts: &[&[u8]]) -> Option<Self> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        (length <= MAX_TEXT).then(|| Self::Text(parts.concat()))
    }

    fn text(&self) -> Vec<u8> {
        match self {
            Self::Known(number) => number.to_string().into_bytes(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Folds an expression in which `value` knows some words; `None` if it is none.
pub(super) fn fold(
    tokens: &[Token],
    names: &Names,
    value: &dyn Fn(Name) -> Option<i128>,
) -> Option<Value> {
    let mut parser = Parser {
        tokens,
        at: 0,
        names,
        value,
        depth: 0,
    };
    let folded = parser.ternary()?;
    (parser.at == tokens.len()).then_some(folded)
}

struct Parser<'p> {
    tokens: &'p [Token],
    at: usize,
    names: &'p Names,
    value: &'p dyn Fn(Name) -> Option<i128>,
    depth: usize,
}

/// Operators of two operands, those that bind least first.
const LEVELS: &[&[&[u8]]] = &[
    &[b"||"],
    &[b"&&"],
    &[b"|"],
    &[b"^"],
    &[b"&"],
    &[b"==", b"!="],
    &[b"<", b">", b"<=", b">="],
    &[b"<<", b">>"],
    &[b"+", b"-"],
    &[b"*", b"/", b"%"],
];

impl Parser<'_> {
    fn peek(&self) -> &[u8] {
        match self.tokens.get(self.at) {
            Some(token) if token.kind == Kind::Mark => self.names.text(token.name),
            _ => b"",
        }
    }

    fn eat(&mut self, mark: &[u8]) -> bool {
        let is = self.peek() == mark;
        self.at += usize::from(is);
        is
    }

    fn ternary(&mut self) -> Option<Value> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let condition = self.level(0)?;
        let folded = if self.eat(b"?") {
            let yes = self.ternary()?;
            if !self.eat(b":") {
                return None;
            }
            let no = self.ternary()?;
            match condition {
                Value::Known(0) => no,
                Value::Known(_) => yes,
                Value::Text(text) => {
                    Value::of(&[b"(", &text, b" ? ", &yes.text(), b" : ", &no.text(), b")"])?
                }
            }
        } else {
            condition
        };
        self.depth -= 1;
        Some(folded)
    }

    fn level(&mut self, level: usize) -> Option<Value> {
        let Some(operators) = LEVELS.get(level) else {
            return self.unary();
        };
        let mut left = self.level(level + 1)?;
        while let Some(operator) = operators.iter().copied().find(|o| self.peek() == *o) {
            self.at += 1;
            let right = self.level(level + 1)?;
            left = binary(operator, left, right)?;
        }
        Some(left)
    }

    fn unary(&mut self) -> Option<Value> {
        for operator in [b"!".as_slice(), b"-", b"+", b"~"] {
            if self.eat(operator) {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return None;
                }
                let operand = self.unary()?;
                self.depth -= 1;
                return Some(match (operator, operand) {
                    (b"!", Value::Known(number)) => Value::Known(i128::from(number == 0)),
                    (b"-", Value::Known(number)) => Value::Known(-number),
                    (b"+", Value::Known(number)) => Value::Known(number),
                    (operator, operand) => Value::of(&[operator, &operand.text()])?,
                });
            }
        }
        self.primary()
    }

    fn primary(&mut self) -> Option<Value> {
        if self.eat(b"(") {
            let inner = self.ternary()?;
            return self.eat(b")").then_some(inner);
        }
        let token = *self.tokens.get(self.at)?;
        self.at += 1;
        let text = self.names.text(token.name);
        match token.kind {
            Kind::Mark => None,
            Kind::Literal => Some(Value::Text(text.to_vec())),
            Kind::Number => Some(match number(text) {
                Some(number) => Value::Known(number),
                None => Value::Text(text.to_vec()),
            }),
            Kind::Word if token.name == names::DEFINED => {
                let parens = self.eat(b"(");
                let name = self.tokens.get(self.at)?;
                self.at += 1;
                if parens && !self.eat(b")") {
                    return None;
                }
                Value::of(&[b"defined ", self.names.text(name.name)])
            }
            Kind::Word => {
                if let Some(number) = (self.value)(token.name) {
                    return Some(Value::Known(number));
                }
                let mut out = text.to_vec();
                if self.peek() == b"(" {
                    self.call(&mut out)?;
                }
                Value::of(&[&out])
            }
        }
    }

    /// What stands in the parentheses of a macro that is not known, as it is.
    fn call(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let mut depth = 0usize;
        loop {
            let token = self.tokens.get(self.at)?;
            self.at += 1;
            out.push(b' ');
            out.extend_from_slice(self.names.text(token.name));
            if token.is(names::OPEN) {
                depth += 1;
            } else if token.is(names::CLOSE) {
                depth -= 1;
                if depth == 0 {
                    return Some(());
                }
            }
        }
    }
}

fn binary(operator: &[u8], left: Value, right: Value) -> Option<Value> {
    use Value::{Known, Text};
    // One side may decide.
    match (operator, &left, &right) {
        (b"&&", Known(0), _) | (b"&&", _, Known(0)) => return Some(Known(0)),
        (b"||", Known(number), _) | (b"||", _, Known(number)) if *number != 0 => {
            return Some(Known(1));
        }
        (b"&&" | b"||", Known(_), Text(text)) | (b"&&" | b"||", Text(text), Known(_)) => {
            return Value::of(&[b"!!", text]);
        }
        _ => {}
    }
    let text = || {
        Value::of(&[
            b"(",
            &left.text(),
            b" ",
            operator,
            b" ",
            &right.text(),
            b")",
        ])
    };
    let (Known(a), Known(b)) = (&left, &right) else {
        return text();
    };
    let (a, b) = (*a, *b);
    let truth = |is: bool| Some(i128::from(is));
    // Negative numbers are large ones beside what is unsigned.
    let plain = a >= 0 && b >= 0;
    let folded = match operator {
        b"||" => truth(a != 0 || b != 0),
        b"&&" => truth(a != 0 && b != 0),
        b"==" => truth(a == b),
        b"!=" => truth(a != b),
        b"<" if plain => truth(a < b),
        b">" if plain => truth(a > b),
        b"<=" if plain => truth(a <= b),
        b">=" if plain => truth(a >= b),
        b"|" if plain => Some(a | b),
        b"^" if plain => Some(a ^ b),
        b"&" if plain => Some(a & b),
        b"<<" if plain && b < 63 => a.checked_shl(u32::try_from(b).unwrap_or(127)),
        b">>" if plain && b < 64 => Some(a >> b),
        b"+" => a.checked_add(b),
        b"-" => a.checked_sub(b),
        b"*" => a.checked_mul(b),
        b"/" if plain && b != 0 => Some(a / b),
        b"%" if plain && b != 0 => Some(a % b),
        _ => None,
    };
    match folded {
        // What no type of 64 bits changes.
        Some(number) if i64::try_from(number).is_ok() => Some(Known(number)),
        _ => text(),
    }
}

/// The value of an integer; none of other numbers, and none that needs an unsigned type.
fn number(text: &[u8]) -> Option<i128> {
    let text: String = text
        .iter()
        .filter(|b| **b != b'\'')
        .map(|&b| char::from(b))
        .collect();
    let lower = text.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, lower.get(2..)?),
        [b'0', b'b', ..] => (2, lower.get(2..)?),
        [b'0', _, ..] => (8, lower.get(1..)?),
        _ => (10, lower.as_str()),
    };
    let digits = digits.trim_end_matches(['u', 'l', 'z']);
    let digits = if digits.is_empty() && radix == 8 {
        "0"
    } else {
        digits
    };
    let number = i128::from_str_radix(digits, radix).ok()?;
    i64::try_from(number).ok().map(i128::from)
}
