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
