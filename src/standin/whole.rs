//! Headers that are not cut: one chunk that may declare, and does use, every word.

use super::chunk::{self, Chunk, Header, What};
use super::lex::{self, Element, Item};
use super::names::{Names, sort};
use super::target::target;

/// A header as one chunk.
pub(super) fn whole(items: &[Item], names: &Names, why: &'static str) -> Header {
    let mut words = Vec::new();
    let mut fed = Vec::new();
    let mut includes = Vec::new();
    for item in items {
        let tokens = match &item.element {
            Element::Token(token) => std::slice::from_ref(token),
            Element::Directive(word, tokens) => {
                fed.extend_from_slice(names.text(*word));
                includes.extend(target(*word, tokens, names));
                tokens.as_slice()
            }
        };
        chunk::feed(&mut fed, tokens, names, true);
        words.extend(tokens.iter().filter(|t| t.is_name()).map(|t| t.name));
    }
    sort(&mut words);
    Header {
        chunks: vec![Chunk {
            what: What::Unknown,
            key: chunk::key(&fed),
            names: words.clone(),
            uses: words,
            context: 0,
            line: 1,
            includes,
        }],
        contexts: vec![Vec::new()],
        context_keys: vec![chunk::Key::default()],
        whole: Some(why),
    }
}

/// A header that cannot even be read as tokens: its words count all the same.
pub(super) fn unread(data: &[u8], names: &mut Names, why: &'static str) -> Header {
    let mut words = Vec::new();
    let data = data
        .get(..data.len().min(lex::MAX_HEADER))
        .unwrap_or_default();
    for word in data.split(|&byte| !lex::in_word(byte)) {
        if word.first().is_some_and(|&byte| lex::starts_word(byte)) {
            words.push(names.name(word));
        }
    }
    words.retain(|name| !name.is_keyword());
    sort(&mut words);
    let mut header = whole(&[], names, why);
    if let Some(chunk) = header.chunks.first_mut() {
        chunk.key = chunk::key(data);
        chunk.names.clone_from(&words);
        chunk.uses = words;
    }
    header
}
