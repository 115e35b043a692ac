//! Headers without what no compiler takes from them: comments, blank lines and
//! runs of white space.
//!
//! What is compared between two builds of a package must not change with the wording
//! of a comment. So this follows the translation phases of C and C++ as far as
//! comments are concerned, and no further: whether there is white space between two
//! tokens (`#x` shows it), what is on one line (directives end there, and `__LINE__`
//! makes names of it), and every literal stay. Where a file could be read in two ways
//! it is left as it is. This module must not touch files.

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
/// cannot be done without a doubt: the file is to be taken as it is.
pub fn normalise(data: &[u8]) -> Option<Vec<u8>> {
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
        fresh: true,
        space: false,
        line: Line::Text,
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
    /// Any directive.
    Directive,
}

struct Lexer<'a> {
    data: &'a [u8],
    at: usize,
    out: Vec<u8>,
    /// Nothing of the current line has been written.
    fresh: bool,
    /// White space comes before the next token.
    space: bool,
    line: Line,
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
                b'/' if self.second(next) == Some(b'/') => {
                    self.space = true;
                    while let Some((byte, next)) = self.byte(self.at) {
                        if byte == b'\n' {
                            break;
                        }
                        self.at = next;
                    }
                }
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
        self.space = false;
        self.line = Line::Text;
        self.header_name = false;
        Some(())
    }

    /// A comment is a space; in text also the end of a line, if it goes over one.
    fn block_comment(&mut self) -> Option<()> {
        let mut at = self.byte(self.byte(self.at)?.1)?.1;
        let mut lines = false;
        loop {
            let (byte, next) = self.byte(at)?;
            at = next;
            lines |= byte == b'\n';
            if byte == b'*' && self.second(at) == Some(b'/') {
                self.at = self.byte(at)?.1;
                break;
            }
        }
        if lines && self.line == Line::Text {
            self.end_line()?;
        } else {
            self.space = true;
        }
        Some(())
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
        if self.fresh && (byte == b'#' || digraph) {
            self.separate();
            self.push(byte, next);
            if digraph {
                let (byte, next) = self.byte(next)?;
                self.push(byte, next);
            }
            self.line = Line::Hash;
            return Some(());
        }
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
        if self.line == Line::Hash {
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
            Line::Text => false,
        };
        if self.line == Line::Hash {
            self.line = Line::Directive;
        }
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn gives(from: &str, to: &str) {
        let got = normalise(from.as_bytes()).expect("a header that is understood");
        assert_eq!(String::from_utf8_lossy(&got), to);
        assert_eq!(normalise(&got).as_deref(), Some(&*got), "twice is once");
    }

    #[test]
    fn comments_and_blank_lines_go() {
        gives(
            "/* a */\n\n  int  x ; // b\n\tint/**/y;\n",
            "int x ;\nint y;\n",
        );
        gives("int a; /* one\ntwo */ int b;", "int a;\nint b;\n");
        gives("int a; // on \\\n and on\nint b;\r\n", "int a;\nint b;\n");
        gives("#if 1 /* one\ntwo */ && 2\n", "#if 1 && 2\n");
    }

    #[test]
    fn what_white_space_tells_stays() {
        gives("#  define  F(x)  #x\n", "#define F(x) #x\n");
        gives(
            "#define G (x)\n#define H/**/(x)\n",
            "#define G (x)\n#define H (x)\n",
        );
        gives(
            "#define L a \\\n  b\nA(1)\nA(2)\n",
            "#define L a b\nA(1)\nA(2)\n",
        );
        gives("a+b; a + b;\n", "a+b; a + b;\n");
    }

    #[test]
    fn literals_stay() {
        gives(
            "char *s = \"/*  no  */ // \\\" \";",
            "char *s = \"/*  no  */ // \\\" \";\n",
        );
        gives("int c = '\"'; // x\n", "int c = '\"';\n");
        gives(
            "auto r = R\"x( /* \\\n  )y\" )x\";  // c\n",
            "auto r = R\"x( /* \\\n  )y\" )x\";\n",
        );
        gives("long n = 1'000'000; // '\n", "long n = 1'000'000;\n");
        gives("double d = 1.e+5;  /* . */", "double d = 1.e+5;\n");
        gives(
            "#error  don't /* go\nint x;\n",
            "#error don't /* go\nint x;\n",
        );
    }

    #[test]
    fn names_of_headers_stay() {
        gives("#include <a//b.h> // c\n", "#include <a//b.h>\n");
        gives("# include \"a\\\"  /* c */\n", "#include \"a\\\"\n");
        gives(
            "#if __has_include ( <x/*y> ) // z\n",
            "#if __has_include ( <x/*y> )\n",
        );
        gives("x < y // z\n", "x < y\n");
    }

    #[test]
    fn what_is_not_understood_is_left_alone() {
        for text in [
            "int x; /* no end",
            "??/\n",
            "a\rb",
            "R\"x(",
            "\u{feff}int x;",
            "\0",
            "\\",
            "#define A b \\ /* c */\nint x;\n",
            "#define A b \\ // c\nint x;\n",
        ] {
            assert_eq!(normalise(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn twice_is_once(text in "[a-bR0'\"/*\\\\ \n#<>().%:]{0,40}") {
            if let Some(once) = normalise(text.as_bytes()) {
                let again = normalise(&once);
                prop_assert_eq!(again.as_deref(), Some(&*once), "{:?}", text);
            }
        }

        #[test]
        fn any_bytes_do(bytes: Vec<u8>) {
            let _ = normalise(&bytes);
        }
    }
}
