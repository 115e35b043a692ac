//! The words of one file.
//!
//! Any bytes: text of any language, and the strings of executables. What is asked of
//! languages is only where C has comments and conditions, and how names are put together.

mod condition;

use std::collections::{BTreeSet, HashMap};

use super::asks;
use super::holes;
use super::lex;
use super::names::Names;
use super::style::{Style, style};
use super::word::{Files, MAX_WORD, Pattern, Word};

/// Shortest run of printable bytes that counts as text in a binary file.
const MIN_STRING: usize = 4;
/// Longest name of the ends of a raw string (C++, lex.string).
const MAX_DELIMITER: usize = 16;

/// What was found in one file.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// Words; of `place` only the line is set.
    pub(super) words: HashMap<Vec<u8>, Word>,
    /// Conditions of the preprocessor.
    pub(super) conditions: BTreeSet<Vec<u8>>,
    /// Names that are put together.
    pub(super) patterns: BTreeSet<Pattern>,
    /// Numbers of versions.
    pub(super) versions: BTreeSet<String>,
    /// Ways to ask for versions of modules.
    pub(super) asks: BTreeSet<Vec<u8>>,
    /// Whether a macro pastes words.
    pub(super) pastes: bool,
}

/// The words of a file with these bytes.
pub(super) fn scan(path: &str, data: &[u8]) -> Scanned {
    let mut scanned = Scanned::default();
    let head = data.get(..data.len().min(8192)).unwrap_or_default();
    if head.contains(&0) {
        for text in data.split(|byte| !(byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))) {
            if text.len() >= MIN_STRING {
                run(&mut scanned, text, Style::default(), 1);
            }
        }
    } else {
        run(&mut scanned, data, style(path), 0);
    }
    scanned
}

/// `line`: 1 if the text is part of a file without lines.
fn run(scanned: &mut Scanned, data: &[u8], style: Style, line: u32) {
    let mut scan = Scan {
        scanned,
        data,
        at: 0,
        line: 1,
        lines: line == 0,
        style,
        in_text: style.is_document,
        in_string: false,
        raw: None,
        start: true,
        names: None,
    };
    scan.run();
}

struct Scan<'s> {
    scanned: &'s mut Scanned,
    data: &'s [u8],
    at: usize,
    line: u32,
    lines: bool,
    style: Style,
    /// In what is for people.
    in_text: bool,
    /// In a string of C.
    in_string: bool,
    /// What ends that string before its quote: it is a raw one of C++.
    raw: Option<Vec<u8>>,
    /// Nothing but blanks was met on the line.
    start: bool,
    /// Of conditions that were met before.
    names: Option<Names>,
}

impl Scan<'_> {
    fn peek(&self, ahead: usize) -> u8 {
        self.data.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn run(&mut self) {
        while let Some(&byte) = self.data.get(self.at) {
            match byte {
                b'\n' => {
                    self.line += u32::from(self.lines);
                    self.at += 1;
                    // A string ends where its line does, as far as quotes go.
                    self.in_string &= self.raw.is_some();
                    self.start = true;
                    continue;
                }
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                b'#' if self.start && self.condition() => continue,
                b'/' if self.style.is_c && !self.in_string && self.peek(1) == b'/' => {
                    self.comment(b"\n");
                    continue;
                }
                b'/' if self.style.is_c && !self.in_string && self.peek(1) == b'*' => {
                    self.comment(b"*/");
                    continue;
                }
                b'\\' if self.style.is_c && self.in_string && self.raw.is_none() => {
                    // The letter is none of a word; behind an end of the line the string
                    // goes on.
                    self.at += 2;
                    if self.peek_back() == b'\r' && self.peek(0) == b'\n' {
                        self.at += 1;
                    }
                    self.line += u32::from(self.lines && self.peek_back() == b'\n');
                    continue;
                }
                b'"' if self.style.is_c => {
                    self.quote();
                    self.at += 1;
                }
                b'\'' if self.style.is_c && !self.in_string => self.character(),
                b'#' if self.peek(1) == b'#' && !self.in_text => {
                    self.scanned.pastes |= self.style.is_c || self.pastes();
                    self.at += 2;
                }
                b'0'..=b'9' => self.number(),
                b'$' => {
                    self.dollars(self.at);
                    self.at += 1;
                }
                _ if lex::starts_word(byte) => self.word(),
                _ => self.at += 1,
            }
            self.start = false;
        }
    }

    /// A quote of C: one that begins a string or ends it.
    fn quote(&mut self) {
        let before = self.data.get(..self.at).unwrap_or_default();
        if let Some(end) = &self.raw {
            if before.ends_with(end) {
                (self.raw, self.in_string) = (None, false);
            }
            return;
        }
        self.in_string = !self.in_string;
        if self.in_string && before.ends_with(b"R") {
            let rest = self.data.get(self.at + 1..).unwrap_or_default();
            let name = rest.iter().take(MAX_DELIMITER + 1).position(|&b| b == b'(');
            let name = name.and_then(|len| rest.get(..len));
            self.raw = name.map(|name| [b")", name].concat());
        }
    }

    /// Whether `##` stands between two words, as in C that something else writes: comments
    /// of scripts begin so, and `${x##*/}` is another thing.
    fn pastes(&self) -> bool {
        let before = self.data.get(..self.at).unwrap_or_default();
        let after = self.data.get(self.at + 2..).unwrap_or_default();
        let blank = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\\' | b'\r' | b'\n');
        let is_word = |byte: &u8| lex::in_word(*byte) || *byte == b')';
        let line = before.iter().rev().take_while(|byte| **byte != b'\n');
        line.clone().find(blank).is_some_and(is_word)
            && after
                .iter()
                .find(blank)
                .is_some_and(|byte| lex::in_word(*byte))
    }

    fn peek_back(&self) -> u8 {
        let last = self.at.checked_sub(1);
        last.and_then(|at| self.data.get(at)).copied().unwrap_or(0)
    }

    /// `'x'` of C, so that `'"'` opens no string; what is longer is text.
    fn character(&mut self) {
        let end = match (self.peek(1), self.peek(2), self.peek(3)) {
            (b'\\', _, b'\'') => 4,
            (_, b'\'', _) => 3,
            _ => 1,
        };
        self.at += end;
    }

    /// What is between here and `end` is for people.
    fn comment(&mut self, end: &[u8]) {
        let before = std::mem::replace(&mut self.in_text, true);
        self.at += 2;
        while self.at < self.data.len() {
            let rest = self.data.get(self.at..).unwrap_or_default();
            if rest.starts_with(end) {
                break;
            }
            match self.peek(0) {
                b'\\' if self.peek(1) == b'\n' => {
                    self.line += u32::from(self.lines);
                    self.at += 2;
                }
                b'\n' => {
                    self.line += u32::from(self.lines);
                    self.at += 1;
                }
                b'0'..=b'9' => self.number(),
                byte if lex::starts_word(byte) && byte != b'$' => self.word(),
                _ => self.at += 1,
            }
        }
        // The end of a line is the caller's.
        if end.len() > 1 {
            self.at += end.len();
        }
        self.in_text = before;
    }

    fn insert(&mut self, text: &[u8], found: Word) {
        if let Some(known) = self.scanned.words.get_mut(text) {
            known.merge(found);
        } else if text.len() <= MAX_WORD {
            self.scanned.words.insert(text.to_vec(), found);
        }
    }

    /// How a word is found here.
    fn here(&self) -> Word {
        Word {
            in_code: !self.in_text,
            in_text: self.in_text,
            place: (0, self.line),
            ..Word::default()
        }
    }

    /// A word with dollars, which compilers allow in names; its parts are words too.
    fn dollars(&mut self, start: usize) {
        let data = self.data;
        let before = start.checked_sub(1).and_then(|at| data.get(at));
        if before.is_some_and(|&byte| lex::in_word(byte)) {
            return;
        }
        let rest = data.get(start..).unwrap_or_default();
        let in_word = |byte: &&u8| lex::in_word(**byte);
        let length = rest.iter().take(MAX_WORD + 1).take_while(in_word).count();
        if length > 1 {
            self.insert(rest.get(..length).unwrap_or_default(), self.here());
        }
    }

    fn word(&mut self) {
        let start = self.at;
        while lex::in_word(self.peek(0)) && self.peek(0) != b'$' {
            self.at += 1;
        }
        if self.peek(0) == b'$' {
            self.dollars(start);
        }
        let found = self.here();
        let data = self.data;
        let text = data.get(start..self.at).unwrap_or_default();
        // `%sname` and `\nname` begin with a letter that is none of the name.
        let before = start.checked_sub(1).and_then(|at| data.get(at));
        if matches!(before, Some(b'%' | b'\\')) && text.len() > 1 {
            self.insert(text.get(1..).unwrap_or_default(), found.clone());
        }
        let files = match holes::is_loose(data, start, self.at, self.style.is_c) {
            true => Files::All,
            false => Files::default(),
        };
        self.insert(text, Word { files, ..found });
        if self.in_text || text.len() > MAX_WORD {
            return;
        }
        let around = holes::around(data, start, self.at, self.style.is_c, self.style.is_python);
        if around.before || around.after {
            let text = match around.before && matches!(before, Some(b'%')) {
                true => text.get(1..).unwrap_or_default(),
                false => text,
            };
            let part = |is: bool| if is { text.to_vec() } else { Vec::new() };
            self.scanned.patterns.insert(Pattern {
                prefix: part(around.after),
                suffix: part(around.before),
            });
        }
        match text {
            b"modversion" => {
                self.scanned.asks.insert(b"modversion".to_vec());
            }
            b"version"
                if self
                    .data
                    .get(self.at..)
                    .unwrap_or_default()
                    .starts_with(b"()") =>
            {
                // `meson.version()` is the tool's own.
                let own = data.get(..start).unwrap_or_default().ends_with(b"meson.");
                if !own {
                    self.scanned.asks.insert(b"version()".to_vec());
                }
            }
            _ => self.call(text),
        }
    }

    /// Commands of CMake, whatever their case, that ask for versions.
    fn call(&mut self, name: &[u8]) {
        let rest = self.data.get(self.at..).unwrap_or_default();
        let is = |command: &[u8]| name.eq_ignore_ascii_case(command);
        if is(b"pkg_check_modules") || is(b"pkg_search_module") {
            if self.style.is_m4 && name.first().is_some_and(u8::is_ascii_uppercase) {
                return;
            }
            let prefixes = asks::prefixes(rest).into_iter();
            let prefixes = prefixes.map(|prefix| [b"prefix ", prefix].concat());
            self.scanned.asks.extend(prefixes);
        } else if is(b"find_package") || is(b"find_dependency") {
            self.scanned.versions.extend(asks::wanted(rest));
        }
    }

    /// A number; one with dots, or one that is compared with, may be a version.
    fn number(&mut self) {
        let start = self.at;
        let before = start
            .checked_sub(1)
            .and_then(|at| self.data.get(at))
            .copied();
        let mut dots = 0;
        loop {
            match self.peek(0) {
                b'0'..=b'9' => {}
                b'.' if self.peek(1).is_ascii_digit() => dots += 1,
                _ => break,
            }
            self.at += 1;
        }
        let text = self.data.get(start..self.at).unwrap_or_default();
        let is_part = before.is_some_and(|byte| byte == b'.' || lex::in_word(byte));
        let compared = || asks::compares(self.data.get(..start).unwrap_or_default());
        let counts = match self.style.is_c {
            true => dots > 1 || (dots == 1 && self.in_string),
            false => dots > 0 || compared(),
        };
        if !self.style.is_document && counts && asks::may_be(text) && !is_part {
            let text = String::from_utf8_lossy(text).into_owned();
            self.scanned.versions.insert(text);
        }
        // `$1name` goes on with a word, `0x1f` does not.
        if !matches!(before, Some(b'$' | b'\\' | b'%')) {
            while lex::in_word(self.peek(0)) && self.peek(0) != b'$' {
                self.at += 1;
            }
        }
    }
}
