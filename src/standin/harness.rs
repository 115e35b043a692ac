//! What the fuzzer and the tests do with arbitrary bytes.

use super::lex::{self, Element, Kind};
use super::macros::Macros;
use super::names::{self, NameSet, Names};
use super::scan;
use super::split;
use super::whole::unread;
use super::words::Words;

/// Cuts `data` as a header and reads its words, and those back from their text.
///
/// # Panics
/// When a token is in no chunk, or words change on their way through their text: a
/// mistake in this crate.
pub fn exercise(data: &[u8]) {
    for name in ["x.c", "configure", "x.py", "README"] {
        let mut words = Words::default();
        let added = words.add(name, scan::scan(name, data));
        assert!(added.is_ok(), "one file has too many words: {added:?}");
        let again = Words::from_text(&words.to_text());
        assert_eq!(again.as_ref(), Ok(&words), "words of {name}");
    }
    let _ = Words::from_text(data);
    let mut names = Names::default();
    let Ok(items) = lex::lex(data, &mut names) else {
        let header = unread(data, &mut names, "");
        assert_eq!(header.chunks.len(), 1, "an unread header is one chunk");
        return;
    };
    let mut macros = Macros::default();
    macros.collect(&items);
    let lined = macros.that_reach(&[names::LINE]);
    let header = split::split(&items, &macros, &mut names, &lined);
    let named = header
        .chunks
        .iter()
        .flat_map(|c| c.names.iter().chain(&c.uses));
    let named: NameSet = named.copied().collect();
    // Every word outside of brackets is in some chunk; within, it may be scoped.
    let (mut depth, mut after_dot) = (0i64, false);
    for item in &items {
        let Element::Token(token) = &item.element else {
            continue;
        };
        if token.kind == Kind::Mark {
            match names.text(token.name) {
                b"(" | b"[" | b"{" => depth += 1,
                b")" | b"]" | b"}" => depth = (depth - 1).max(0),
                _ => {}
            }
        } else if token.is_name() && depth == 0 && !after_dot {
            assert!(named.contains(&token.name), "{}", names.shown(token.name));
        }
        after_dot = token.is(names::DOT) || token.is(names::ARROW);
    }
    // The same twice.
    let again = split::split(&items, &macros, &mut names, &lined);
    let keys =
        |header: &super::chunk::Header| -> Vec<_> { header.chunks.iter().map(|c| c.key).collect() };
    assert_eq!(keys(&header), keys(&again), "cut twice");
}
