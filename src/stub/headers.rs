//! Headers without what no compiler takes from them: comments, blank lines and
//! runs of white space. Of comments, `comments` says which tools do read.
//!
//! What is compared between two builds of a package must not change with the wording
//! of a comment. So this follows the translation phases of C and C++ as far as
//! comments are concerned, and no further: whether there is white space between two
//! tokens (`#x` shows it), what is on one line (directives end there, and `__LINE__`
//! makes names of it), and every literal stay. Where a file could be read in two ways
//! it is left as it is. This module must not touch files.

use super::comments::{Form, Place, kept};

/// File name extensions of headers; a header of C++ may have none.
const EXTENSIONS: &[&str] = &[
    "h", "hh", "hpp", "hxx", "h++", "H", "ipp", "tcc", "tpp", "inl",
];

/// Longest delimiter of a raw string, in bytes ([lex.string]).
const MAX_DELIMITER: usize = 16;

/// Whether a file of this name is read as a header.
pub fn is_header(name: &str) -> bool {
    match name.rsplit_once('.') {
        Some((_, extension)) => EXTENSIONS.contains(&extension),
        None => true,
    }
}

/// The header `data` without comments and superfluous white space, or `None` if that
/// cannot be done without a doubt: the file is to be taken as it is. Comments that tools
/// read stay, and those that have one of the texts in `wanted`.
pub fn normalise(data: &[u8], wanted: &[String]) -> Option<Vec<u8>> {
    let lone_return = |(at, &byte): (usize, &u8)| byte == b'\r' && data.get(at + 1) != Some(&b'\n');
    // A byte order mark, and the trigraph of a backslash, which some modes splice at.
    if data.starts_with(b"\xef\xbb\xbf")
        || data.contains(&0)
        || data.windows(3).any(|three| three == b"??/")
        || data.iter().enumerate().any(lone_return)
    {
        return None;
    }
    let mut lexer = Lexer {
        data,
        at: 0,
        out: Vec::with_capacity(data.len() / 2),
        wanted,
        fresh: true,
        start: true,
        head: true,
        guarded: false,
        space: false,
        line: Line::Text,
        of_version: false,
        header_name: false,
    };
    lexer.run()?;
    Some(lexer.out)
}

/// What the current line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Text,
    /// After `#`, whose directive is not yet known.
    Hash,
    /// After `define`, whose macro is not yet known.
    Define,
    /// Any directive.
    Directive,
}

struct Lexer<'a> {
    data: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Texts of comments that a user wants to keep.
    wanted: &'a [String],
    /// Nothing of the current line has been written.
    fresh: bool,
    /// No token of the current line has been written.
    start: bool,
    /// No token of any line has been written but those of directives, and no macro has
    /// been defined but the one that guards the file.
    head: bool,
    guarded: bool,
    /// White space comes before the next token.
    space: bool,
    line: Line,
    /// The line defines a macro whose name has VERSION.
    of_version: bool,
    /// A header name may come next, in which quotes and slashes mean nothing.
    header_name: bool,
}

impl Lexer<'_> {
    fn run(&mut self) -> Option<()> {
        while let Some((byte, next)) = self.byte(self.at) {
            match byte {
                b'\n' => {
                    self.at = next;
                    self.end_line()?;
                }
                _ if is_blank(byte) => {
                    self.at = next;
                    self.space = true;
                }
                b'/' if self.second(next) == Some(b'*') => self.block_comment()?,
                b'/' if self.second(next) == Some(b'/') => self.line_comment(),
                _ => self.token(byte, next)?,
            }
        }
        self.end_line()
    }

    /// The byte at `at` and where the next one is. Spliced lines are one, and a line
    /// ends in `\n` alone (phases 1 and 2; compilers allow blanks after the backslash).
    fn byte(&self, mut at: usize) -> Option<(u8, usize)> {
        loop {
            match *self.data.get(at)? {
                b'\\' => {
                    let rest = self.data.get(at + 1..)?;
                    let blanks = rest.iter().take_while(|byte| is_blank(**byte)).count();
                    match rest.get(blanks..)? {
                        [b'\n', ..] => at += blanks + 2,
                        [b'\r', b'\n', ..] => at += blanks + 3,
                        _ => return Some((b'\\', at + 1)),
                    }
                }
                // Never alone, see `normalise`.
                b'\r' => at += 1,
                byte => return Some((byte, at + 1)),
            }
        }
    }

    fn second(&self, at: usize) -> Option<u8> {
        Some(self.byte(at)?.0)
    }

    /// A backslash that now ends the line, after which came a comment or the end of
    /// the file, would splice it with the next one.
    fn end_line(&mut self) -> Option<()> {
        if !self.fresh {
            let mut back = self.out.iter().rev().skip_while(|byte| is_blank(**byte));
            if back.next() == Some(&b'\\') {
                return None;
            }
            self.out.push(b'\n');
        }
        self.fresh = true;
        self.start = true;
        self.space = false;
        self.line = Line::Text;
        self.of_version = false;
        self.header_name = false;
        Some(())
    }

    /// A comment is a space; in text also the end of a line, if it goes over one.
    fn block_comment(&mut self) -> Option<()> {
        let mut at = self.byte(self.byte(self.at)?.1)?.1;
        let mut content = Vec::new();
        loop {
            let (byte, next) = self.byte(at)?;
            at = next;
            if byte == b'*' && self.second(at) == Some(b'/') {
                self.at = self.byte(at)?.1;
                break;
            }
            content.push(byte);
        }
        self.comment(&content, Form::Block)?;
        let lines = content.contains(&b'\n');
        if lines && self.line == Line::Text {
            self.end_line()?;
        } else {
            self.space = true;
        }
        Some(())
    }

    /// To the end of the line, which is not part of it.
    fn line_comment(&mut self) {
        let mut content = Vec::new();
        while let Some((byte, next)) = self.byte(self.at) {
            if byte == b'\n' {
                break;
            }
            content.push(byte);
            self.at = next;
        }
        // Of one line, so that none is ended.
        let _ = self.comment(content.get(2..).unwrap_or_default(), Form::Line);
        self.space = true;
    }

    /// Writes what stays of a comment, behind which `at` is: each line of it on one of
    /// its own, in text, and with white space around it.
    fn comment(&mut self, content: &[u8], form: Form) -> Option<()> {
        if matches!(self.line, Line::Hash | Line::Define) {
            return Some(());
        }
        let place = Place {
            head: self.head,
            of_version: self.of_version,
            before_label: &|| self.is_before_label(),
            wanted: self.wanted,
        };
        for (at, line) in kept(content, form, &place) {
            if at > 0 && self.line == Line::Text {
                self.end_line()?;
            }
            self.space = true;
            self.separate();
            let (open, close): (&[u8], &[u8]) = match form {
                Form::Block => (b"/*", b"*/"),
                Form::Line => (b"//", b""),
            };
            self.out.extend_from_slice(open);
            self.out.extend_from_slice(&line);
            self.out.extend_from_slice(close);
        }
        Some(())
    }

    /// Whether `case`, `default` or a label comes next.
    fn is_before_label(&self) -> bool {
        let mut at = self.at;
        let mut word = Vec::new();
        while let Some((byte, next)) = self.byte(at) {
            if is_word(byte) {
                word.push(byte);
            } else if !word.is_empty() {
                break;
            } else if byte == b'/' && self.second(next) == Some(b'*') {
                let Some(end) = self.end_of_block(next) else {
                    return false;
                };
                at = end;
                continue;
            } else if byte == b'/' && self.second(next) == Some(b'/') {
                while let Some((byte, next)) = self.byte(at)
                    && byte != b'\n'
                {
                    at = next;
                }
                continue;
            } else if !is_blank(byte) && byte != b'\n' {
                return false;
            }
            at = next;
        }
        while let Some((byte, next)) = self.byte(at)
            && (is_blank(byte) || byte == b'\n')
        {
            at = next;
        }
        let colon = |at: Option<(u8, usize)>| at.filter(|next| next.0 == b':');
        let label = colon(self.byte(at)).is_some_and(|(_, next)| colon(self.byte(next)).is_none());
        word == b"case" || word == b"default" || (label && !word.is_empty())
    }

    /// Behind the block comment whose `*` is at `at`.
    fn end_of_block(&self, at: usize) -> Option<usize> {
        let mut at = self.byte(at)?.1;
        loop {
            let (byte, next) = self.byte(at)?;
            at = next;
            if byte == b'*' && self.second(at) == Some(b'/') {
                return Some(self.byte(at)?.1);
            }
        }
    }

    /// Writes what separates the next token from the last.
    fn separate(&mut self) {
        // `# define` is `#define`.
        if self.space && !self.fresh && self.line != Line::Hash {
            self.out.push(b' ');
        }
        self.space = false;
        self.fresh = false;
    }

    fn token(&mut self, byte: u8, next: usize) -> Option<()> {
        let digraph = byte == b'%' && self.second(next) == Some(b':');
        if std::mem::take(&mut self.start) && (byte == b'#' || digraph) {
            self.separate();
            self.push(byte, next);
            if digraph {
                let (byte, next) = self.byte(next)?;
                self.push(byte, next);
            }
            self.line = Line::Hash;
            return Some(());
        }
        self.head &= self.line != Line::Text;
        self.separate();
        let digit = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_digit());
        let header_name = std::mem::take(&mut self.header_name);
        match byte {
            b'<' | b'"' if header_name => self.header(byte),
            b'"' | b'\'' => self.literal(byte, next),
            b'0'..=b'9' => self.number(),
            b'.' if digit(self.second(next)) => self.number(),
            _ if is_word(byte) => return self.word(),
            _ => {
                // `__has_include (<x>)`.
                self.header_name = header_name && byte == b'(';
                self.push(byte, next);
            }
        }
        if matches!(self.line, Line::Hash | Line::Define) {
            self.line = Line::Directive;
        }
        Some(())
    }

    fn push(&mut self, byte: u8, next: usize) {
        self.out.push(byte);
        self.at = next;
    }

    /// An identifier or keyword; with what follows if it begins a raw string.
    fn word(&mut self) -> Option<()> {
        let start = self.out.len();
        while let Some((byte, next)) = self.byte(self.at) {
            if !is_word(byte) {
                break;
            }
            self.push(byte, next);
        }
        let word = self.out.get(start..)?;
        let raw = matches!(word, b"R" | b"LR" | b"uR" | b"UR" | b"u8R");
        self.header_name = match self.line {
            Line::Hash => matches!(word, b"include" | b"include_next" | b"import" | b"embed"),
            Line::Directive => {
                matches!(
                    word,
                    b"__has_include" | b"__has_include_next" | b"__has_embed"
                )
            }
            Line::Text | Line::Define => false,
        };
        let defines = self.line == Line::Hash && word == b"define";
        if defines {
            self.head &= !std::mem::replace(&mut self.guarded, true);
        }
        if self.line == Line::Define {
            let word = word.to_ascii_uppercase();
            self.of_version = word.windows(7).any(|part| part == b"VERSION");
        }
        self.line = match self.line {
            Line::Hash if defines => Line::Define,
            Line::Hash | Line::Define => Line::Directive,
            line => line,
        };
        if raw && self.second(self.at) == Some(b'"') {
            self.raw_string()?;
        }
        Some(())
    }

    /// `"delimiter( … )delimiter"`: nothing in it is changed, spliced or a comment.
    /// What looks like one and is none leaves the whole file as it is.
    fn raw_string(&mut self) -> Option<()> {
        let rest = self.data.get(self.at..)?.strip_prefix(b"\"")?;
        let open = rest
            .iter()
            .take(MAX_DELIMITER + 1)
            .position(|&byte| byte == b'(')?;
        let delimiter = rest.get(..open)?;
        if delimiter
            .iter()
            .any(|byte| matches!(byte, b' ' | b')' | b'\\' | b'\t' | b'\n' | b'"'))
        {
            return None;
        }
        let close = [b")", delimiter, b"\""].concat();
        let length = rest
            .windows(close.len())
            .position(|window| window == close)?;
        let end = self.at + 1 + length + close.len();
        self.out.extend_from_slice(self.data.get(self.at..end)?);
        self.at = end;
        Some(())
    }

    /// A preprocessing number, with the digit separators of C++14 and C23.
    fn number(&mut self) {
        let mut last = 0;
        while let Some((byte, next)) = self.byte(self.at) {
            let sign = matches!(byte, b'+' | b'-') && matches!(last, b'e' | b'E' | b'p' | b'P');
            let separator = byte == b'\'' && self.second(next).is_some_and(is_word);
            if !(is_word(byte) || byte == b'.' || sign || separator) {
                break;
            }
            self.push(byte, next);
            last = byte;
        }
    }

    /// A string or character; to the end of the line if it does not end, which
    /// compilers accept in what they skip and in `#error don't`.
    fn literal(&mut self, quote: u8, next: usize) {
        self.push(quote, next);
        let mut escaped = false;
        while let Some((byte, next)) = self.byte(self.at) {
            if byte == b'\n' {
                break;
            }
            self.push(byte, next);
            if byte == quote && !escaped {
                break;
            }
            escaped = byte == b'\\' && !escaped;
        }
    }

    /// `<name>` or `"name"` of an include: no escapes, no comments.
    fn header(&mut self, open: u8) {
        let close = if open == b'<' { b'>' } else { b'"' };
        let mut first = true;
        while let Some((byte, next)) = self.byte(self.at) {
            if byte == b'\n' {
                break;
            }
            self.push(byte, next);
            if byte == close && !first {
                break;
            }
            first = false;
        }
    }
}

/// Part of an identifier; GNU C has `$`, and other characters are beyond ASCII.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// White space within a line.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\x0b' | b'\x0c')
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
