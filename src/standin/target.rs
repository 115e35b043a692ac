//! What an `#include` names.

use super::chunk::Target;
use super::lex::{Kind, Token};
use super::names::{self, Name, Names};

/// What an `#include` names, if it is written out.
pub(super) fn target(word: Name, tokens: &[Token], names: &Names) -> Option<Target> {
    let includes = [
        names::INCLUDE,
        names::INCLUDE_NEXT,
        names::IMPORT,
        names::EMBED,
    ];
    if !includes.contains(&word) {
        return None;
    }
    written(tokens, names)
}

/// The header that tokens name: `<…>` or `"…"`.
pub(super) fn written(tokens: &[Token], names: &Names) -> Option<Target> {
    let first = tokens.first()?;
    if first.kind == Kind::Literal {
        let path = names
            .text(first.name)
            .strip_prefix(b"\"")?
            .strip_suffix(b"\"")?;
        let path = path.to_vec();
        return Some(Target { path, quoted: true });
    }
    let end = tokens.iter().position(|t| t.is(names::GREATER))?;
    if !first.is(names::LESS) {
        return None;
    }
    let inner = tokens.get(1..end)?;
    let path = inner.iter().flat_map(|t| names.text(t.name)).copied();
    Some(Target {
        path: path.collect(),
        quoted: false,
    })
}

/// The headers for which tokens ask by `__has_include` and the like, as the lexer has it.
pub(super) fn asked(tokens: &[Token], names: &Names) -> Vec<Target> {
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let text = names.text(token.name);
        if token.kind != Kind::Word || !text.starts_with(b"__has_include") {
            continue;
        }
        let rest = tokens.get(at + 1..).unwrap_or_default();
        let inner = rest.iter().take_while(|t| !t.is(names::CLOSE));
        let inner =
            inner.filter(|t| !(t.is(names::OPEN) || t.is(names::LESS) || t.is(names::GREATER)));
        let path: Vec<u8> = inner.flat_map(|t| names.text(t.name)).copied().collect();
        found.push(Target {
            path,
            quoted: false,
        });
    }
    found
}
