//! What a header is cut into.

use std::rc::Rc;

use sha2::{Digest as _, Sha256};

use super::enumeration::Enumeration;
use super::lex::Token;
use super::macros::Definition;
use super::names::{Name, Names};

/// Tells chunks apart: half a SHA-256 of tokens and conditions.
pub(super) type Key = [u8; 16];

/// What a chunk is.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// `#define`.
    Macro(Definition),
    /// `#undef`.
    Undef,
    /// `#include` and the like.
    Include,
    /// A declaration or definition whose names are known.
    Declaration,
    /// One of nothing but an `enum`.
    Enumeration(Enumeration),
    /// What is around others: it has no name.
    Structure,
    /// What speaks to the compiler or stops it, by the word of the directive.
    Directive(Name),
    /// What could not be understood: it may declare every word in it.
    Unknown,
}

/// What an `#include` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// The path as it is written.
    pub(super) path: Vec<u8>,
    /// Whether the folder of the header comes first.
    pub(super) quoted: bool,
}

/// A part of a header that is compared as one.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// What it is.
    pub(super) what: What,
    /// Equal for equal tokens under equal conditions.
    pub(super) key: Key,
    /// What it declares or defines, sorted.
    pub(super) names: Vec<Name>,
    /// What it names otherwise, sorted.
    pub(super) uses: Vec<Name>,
    /// Index of the conditions around it.
    pub(super) context: u32,
    /// Line, from 1.
    pub(super) line: u32,
    /// Headers that it includes.
    pub(super) includes: Vec<Target>,
}

/// A condition around chunks: an expression of `#if`, which has to hold or not.
pub(super) type Condition = Rc<[Token]>;

/// A header.
#[derive(Clone, Debug, Default)]
pub(super) struct Header {
    /// Its parts in order.
    pub(super) chunks: Vec<Chunk>,
    /// Conditions around chunks; the first is none.
    pub(super) contexts: Vec<Vec<Condition>>,
    /// Of each of these, what tells it from others.
    pub(super) context_keys: Vec<Key>,
    /// Why it could not be cut: then it has one chunk, and differs as a whole.
    pub(super) whole: Option<&'static str>,
}

impl Header {
    /// The conditions around a chunk.
    pub(super) fn conditions(&self, chunk: &Chunk) -> &[Condition] {
        let conditions = self.contexts.get(chunk.context as usize);
        conditions.map_or(&[], Vec::as_slice)
    }

    /// Equal for equal conditions around a chunk.
    pub(super) fn context(&self, chunk: &Chunk) -> Option<&Key> {
        self.context_keys.get(chunk.context as usize)
    }
}

/// Feeds a digest with tokens; whether white space comes before one counts if asked.
pub(super) fn feed(out: &mut Vec<u8>, tokens: &[Token], names: &Names, spaces: bool) {
    for (at, token) in tokens.iter().enumerate() {
        let gap = spaces && at > 0 && token.spaced;
        out.push(if gap { 2 } else { 1 });
        out.extend_from_slice(names.text(token.name));
        out.push(0);
    }
}

/// The key of what was fed.
pub(super) fn key(fed: &[u8]) -> Key {
    let digest = Sha256::digest(fed);
    let mut key = Key::default();
    for (to, from) in key.iter_mut().zip(digest.iter()) {
        *to = *from;
    }
    key
}
