//! Conditions of the preprocessor in a file of any language.

use std::collections::HashSet;

use super::super::groups;
use super::super::lex::{self, Element};
use super::super::names;
use super::super::word::Word;
use super::Scan;

/// Longest condition, in bytes.
const MAX_CONDITION: usize = 4096;

impl Scan<'_> {
    /// A line of `#if` and the like, with those that it is spliced with; false if it is
    /// none. In any language: its tools may compile what they write.
    pub(super) fn condition(&mut self) -> bool {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let mut end = 0;
        while let Some(&byte) = rest.get(end).filter(|_| end <= MAX_CONDITION) {
            let before = rest.get(..end).unwrap_or_default();
            if byte == b'\n' && !before.ends_with(b"\\") && !before.ends_with(b"\\\r") {
                break;
            }
            end += 1;
        }
        let text = rest.get(..end.min(MAX_CONDITION)).unwrap_or_default();
        let word = text.get(1..).unwrap_or_default().trim_ascii_start();
        let word: Vec<u8> = word
            .iter()
            .copied()
            .take_while(u8::is_ascii_alphabetic)
            .collect();
        if !matches!(
            word.as_slice(),
            b"if" | b"ifdef" | b"ifndef" | b"elif" | b"elifdef" | b"elifndef"
        ) || end > MAX_CONDITION
        {
            return false;
        }
        // A comment may go on behind the line.
        let closed = match open_comment(text) {
            Some(at) => text.get(..at).unwrap_or_default(),
            None => text,
        };
        let mut own = self.names.take().unwrap_or_default();
        let Ok(items) = lex::lex(closed, &mut own) else {
            return false;
        };
        let Some(Element::Directive(word, tokens)) = items.first().map(|item| &item.element) else {
            return false;
        };
        let condition = groups::condition(*word, tokens);
        let texts = condition.iter().map(|t| own.text(t.name).to_vec());
        let texts: Vec<Vec<u8>> = texts.collect();
        self.names = Some(own);
        self.scanned.conditions.insert(texts.join(&b' '));
        for (token, text) in condition.iter().zip(&texts) {
            if token.kind == lex::Kind::Word && token.name != names::DEFINED {
                let found = Word {
                    in_condition: true,
                    place: (0, self.line),
                    ..Word::default()
                };
                self.insert(text, found);
            }
        }
        // What else stands there is a comment.
        let others = closed.split(|&byte| !lex::in_word(byte) || byte == b'$');
        let texts: HashSet<&[u8]> = texts.iter().map(Vec::as_slice).collect();
        for other in others.filter(|word| word.first().is_some_and(|&b| lex::starts_word(b))) {
            if !texts.contains(other) {
                let found = Word {
                    in_text: true,
                    place: (0, self.line),
                    ..Word::default()
                };
                self.insert(other, found);
            }
        }
        let lines = closed.iter().filter(|&&byte| byte == b'\n').count();
        self.line += if self.lines {
            u32::try_from(lines).unwrap_or(0)
        } else {
            0
        };
        self.at += closed.len();
        self.start = false;
        true
    }
}

/// Where a comment begins that does not end in a line of a directive.
fn open_comment(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    let find = |from: usize, end: &[u8]| {
        let rest = text.get(from..)?;
        let found = rest.windows(end.len()).position(|window| window == end)?;
        Some(from + found + end.len())
    };
    while let Some(&byte) = text.get(at) {
        at = match (byte, text.get(at + 1)) {
            // To the end of all that is spliced.
            (b'/', Some(b'/')) => return None,
            (b'/', Some(b'*')) => match find(at + 2, b"*/") {
                Some(end) => end,
                None => return Some(at),
            },
            (b'"' | b'\'', Some(_)) => find(at + 1, &[byte]).unwrap_or(at + 1),
            _ => at + 1,
        };
    }
    None
}
