//! Expansion of macros, bounded: macros that multiply end it with `None`.

use super::lex::{Kind, Token};
use super::macros::{Definition, Macros};
use super::names::{self, Name, Names};

/// Deepest expansion.
const MAX_DEPTH: usize = 16;

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
                    self.budget = self.budget.checked_sub(tokens.len() - at)?;
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
