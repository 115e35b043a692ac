//! A header as tokens and directives, as phases 1 to 3 of translation leave them.
//!
//! The same whatever macros are defined. What cannot be read without a doubt is an
//! error: such a header is compared as a whole. This module must not read files.

use super::names::{self, Name, Names};

/// Longest header that is read, in bytes.
pub(super) const MAX_HEADER: usize = 8 << 20;

/// Longest delimiter of a raw string ([lex.string]).
const MAX_DELIMITER: usize = 16;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Identifier or keyword.
    Word,
    /// Preprocessing number.
    Number,
    /// String or character.
    Literal,
    /// Anything else.
    Mark,
}

/// A token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// What it is.
    pub(super) kind: Kind,
    /// Its text.
    pub(super) name: Name,
    /// Whether white space comes before it.
    pub(super) spaced: bool,
}

impl Token {
    /// Whether it is this mark.
    pub(super) fn is(&self, mark: Name) -> bool {
        self.name == mark && self.kind != Kind::Literal
    }

    /// Whether it is a word that is no keyword.
    pub(super) fn is_name(&self) -> bool {
        self.kind == Kind::Word && !self.name.is_keyword()
    }
}

/// A token outside of directives, or a directive.
#[derive(Clone, Debug)]
pub(super) enum Element {
    /// A token.
    Token(Token),
    /// A directive: its word, and what follows.
    Directive(Name, Vec<Token>),
}

/// What stands on a line.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Line of the file, from 1.
    pub(super) line: u32,
    /// What it is.
    pub(super) element: Element,
}

/// The token at `at`, if there is one before `end` that is in no directive.
pub(super) fn token(items: &[Item], at: usize, end: usize) -> Option<&Token> {
    match &items.get(at).filter(|_| at < end)?.element {
        Element::Token(token) => Some(token),
        Element::Directive(..) => None,
    }
}

/// Whether a word can begin with `byte`.
pub(super) fn starts_word(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Whether `byte` can be in a word.
pub(super) fn in_word(byte: u8) -> bool {
    starts_word(byte) || byte.is_ascii_digit()
}

/// The longest marks come first.
const MARKS: &[&[u8]] = &[
    b"...", b"<<=", b">>=", b"->*", b"<=>", b"##", b"::", b"->", b"<<", b">>", b"<=", b">=", b"==",
    b"!=", b"&&", b"||", b"+=", b"-=", b"*=", b"/=", b"%=", b"&=", b"|=", b"^=", b"++", b"--",
    b".*",
];

/// The tokens of a header.
///
/// # Errors
/// Why it is no text that all compilers read alike.
pub(super) fn lex(data: &[u8], names: &mut Names) -> Result<Vec<Item>, &'static str> {
    if data.len() > MAX_HEADER {
        return Err("is larger than 8 MiB");
    }
    if data.contains(&0) {
        return Err("is binary");
    }
    if data
        .windows(3)
        .any(|three| matches!(three, b"??/" | b"??="))
    {
        return Err("has trigraphs");
    }
    let (text, splices) = splice(data);
    let mut lexer = Lexer {
        text: &text,
        splices: &splices,
        at: 0,
        line: 1,
        spaced: false,
        start: true,
        directive: None,
        items: Vec::with_capacity(text.len() / 6),
    };
    lexer.run(names)?;
    Ok(lexer.items)
}

/// The text without spliced lines (phase 2), and where lines were spliced.
fn splice(data: &[u8]) -> (Vec<u8>, Vec<usize>) {
    let mut text = Vec::with_capacity(data.len());
    let mut splices = Vec::new();
    let mut at = 0;
    while let Some(&byte) = data.get(at) {
        let rest = data.get(at + 1..).unwrap_or_default();
        if byte == b'\\' {
            // Compilers allow blanks after the backslash.
            let blanks = rest
                .iter()
                .take_while(|b| matches!(b, b' ' | b'\t' | b'\r'));
            let blanks = blanks.count();
            if rest.get(blanks) == Some(&b'\n') {
                splices.push(text.len());
                at += blanks + 2;
                continue;
            }
        }
        if !(byte == b'\r' && rest.first() == Some(&b'\n')) {
            text.push(byte);
        }
        at += 1;
    }
    (text, splices)
}

struct Lexer<'t> {
    text: &'t [u8],
    splices: &'t [usize],
    at: usize,
    line: u32,
    spaced: bool,
    /// No token of the line was met.
    start: bool,
    /// The directive of the line, with the line where it began.
    directive: Option<(u32, Vec<Token>)>,
    items: Vec<Item>,
}

impl Lexer<'_> {
    fn run(&mut self, names: &mut Names) -> Result<(), &'static str> {
        while let Some(&byte) = self.text.get(self.at) {
            while self.splices.first().is_some_and(|&at| at <= self.at) {
                self.line += 1;
                self.splices = self.splices.get(1..).unwrap_or_default();
            }
            match byte {
                b'\n' => {
                    self.end_line(names);
                    self.line += 1;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {
                    self.spaced = true;
                    self.at += 1;
                }
                b'/' if self.peek(1) == Some(b'/') => {
                    while self.peek(0).is_some_and(|byte| byte != b'\n') {
                        self.at += 1;
                    }
                    self.spaced = true;
                }
                b'/' if self.peek(1) == Some(b'*') => self.comment()?,
                _ => self.token(byte, names)?,
            }
        }
        self.end_line(names);
        Ok(())
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    fn end_line(&mut self, names: &mut Names) {
        self.start = true;
        self.spaced = true;
        let Some((line, mut tokens)) = self.directive.take() else {
            return;
        };
        let word = match tokens.first() {
            // `#` alone is nothing.
            None => return,
            Some(word) => match names.text(word.name) {
                // Not the keywords.
                b"if" => names::IF,
                b"else" => names::ELSE,
                _ => word.name,
            },
        };
        tokens.remove(0);
        self.items.push(Item {
            line,
            element: Element::Directive(word, unquoted(tokens, names)),
        });
    }

    fn comment(&mut self) -> Result<(), &'static str> {
        self.at += 2;
        loop {
            match self.peek(0) {
                None => return Err("has a comment without an end"),
                Some(b'*') if self.peek(1) == Some(b'/') => break,
                Some(b'\n') => self.line += 1,
                Some(_) => {}
            }
            self.at += 1;
        }
        self.at += 2;
        self.spaced = true;
        Ok(())
    }

    fn token(&mut self, byte: u8, names: &mut Names) -> Result<(), &'static str> {
        let (start, line) = (self.at, self.line);
        let kind = if starts_word(byte) {
            while self.peek(0).is_some_and(in_word) {
                self.at += 1;
            }
            let word = self.text.get(start..self.at).unwrap_or_default();
            match (word, self.peek(0)) {
                (b"R" | b"LR" | b"uR" | b"UR" | b"u8R", Some(b'"')) => {
                    self.raw_string()?;
                    Kind::Literal
                }
                (b"L" | b"u" | b"U" | b"u8", Some(quote @ (b'"' | b'\''))) => {
                    self.literal(quote);
                    Kind::Literal
                }
                _ => Kind::Word,
            }
        } else if byte == b'"' || byte == b'\'' {
            self.literal(byte);
            Kind::Literal
        } else if byte.is_ascii_digit()
            || (byte == b'.' && self.peek(1).is_some_and(|next| next.is_ascii_digit()))
        {
            self.number();
            Kind::Number
        } else {
            let rest = self.text.get(start..).unwrap_or_default();
            let mark = MARKS.iter().find(|mark| rest.starts_with(mark));
            self.at += mark.map_or(1, |mark| mark.len());
            Kind::Mark
        };
        let text = self.text.get(start..self.at).unwrap_or_default();
        let token = Token {
            kind,
            name: names.name(match text {
                b"%:" => b"#",
                text => text,
            }),
            spaced: std::mem::take(&mut self.spaced),
        };
        let start = std::mem::take(&mut self.start);
        if let Some((_, tokens)) = &mut self.directive {
            tokens.push(token);
        } else if start && token.is(names::HASH) {
            self.directive = Some((line, Vec::new()));
        } else {
            self.items.push(Item {
                line,
                element: Element::Token(token),
            });
        }
        Ok(())
    }

    /// To the closing quote, or to the end of the line.
    fn literal(&mut self, quote: u8) {
        self.at += 1;
        while let Some(byte) = self.peek(0) {
            match byte {
                b'\n' => return,
                b'\\' if self.peek(1).is_some_and(|next| next != b'\n') => self.at += 2,
                _ => {
                    self.at += 1;
                    if byte == quote {
                        return;
                    }
                }
            }
        }
    }

    fn raw_string(&mut self) -> Result<(), &'static str> {
        const WHY: &str = "has a raw string that may be read in two ways";
        if !self.splices.is_empty() {
            return Err(WHY);
        }
        let rest = self.text.get(self.at + 1..).unwrap_or_default();
        let open = rest.iter().take(MAX_DELIMITER + 1).position(|&b| b == b'(');
        let open = open.ok_or(WHY)?;
        let close = [b")", rest.get(..open).unwrap_or_default(), b"\""].concat();
        let end = rest
            .windows(close.len())
            .position(|window| window == close)
            .ok_or(WHY)?;
        let lines = rest.iter().take(end).filter(|&&byte| byte == b'\n').count();
        self.line += u32::try_from(lines).unwrap_or(0);
        self.at += 1 + end + close.len();
        Ok(())
    }

    fn number(&mut self) {
        let mut last = 0;
        while let Some(byte) = self.peek(0) {
            let sign = matches!(byte, b'+' | b'-') && matches!(last, b'e' | b'E' | b'p' | b'P');
            let separator = byte == b'\'' && self.peek(1).is_some_and(in_word);
            if !(in_word(byte) || byte == b'.' || sign || separator) {
                return;
            }
            last = byte;
            self.at += 1;
        }
    }
}

/// What `__has_include("x.h")` and the like ask for, as words: whether that header is there
/// counts as for `<x.h>`.
fn unquoted(tokens: Vec<Token>, names: &mut Names) -> Vec<Token> {
    let asks = |t: &Token| t.kind == Kind::Word && names.text(t.name).starts_with(b"__has_");
    if !tokens.iter().any(asks) {
        return tokens;
    }
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let asks = |t: &Token| names.text(t.name).starts_with(b"__has_");
        let asked = at.checked_sub(2).and_then(|at| tokens.get(at));
        let text = names.text(token.name);
        let path = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\""));
        let Some(path) = path.filter(|_| asked.is_some_and(asks)) else {
            out.push(*token);
            continue;
        };
        let path = path.to_vec();
        for part in path.chunk_by(|a, b| in_word(*a) && in_word(*b)) {
            let kind = match part.first() {
                Some(&first) if starts_word(first) => Kind::Word,
                Some(&first) if in_word(first) => Kind::Number,
                _ => Kind::Mark,
            };
            out.push(Token {
                kind,
                name: names.name(part),
                spaced: false,
            });
        }
    }
    out
}
