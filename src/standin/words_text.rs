//! The file of words: text, sorted, a line each.
//!
//! ```text
//! indir words 2
//! f src/main.c
//! c OPENSSL_VERSION_NUMBER >= 0x30000000L
//! n 1.2.11
//! p SSL_CTX_*
//! a modversion
//! # words paste: ##
//! w 1 0:12 deflateInit
//! w 1 0:17,3 BUFSIZE
//! ```
//!
//! Of a word: 1 in code, 2 in conditions, 4 in comments and documents, summed; the file's
//! index and line; the other files with it in code, of which `*` are too many; the word.
//! Everything read is checked.

use super::word::{Files, Pattern, Word};
use super::words::Words;

/// The first line.
const HEAD: &[u8] = b"indir words 2";

impl Words {
    /// The text.
    pub fn to_text(&self) -> Vec<u8> {
        let mut out = HEAD.to_vec();
        out.push(b'\n');
        let mut line = |parts: &[&[u8]]| {
            let start = out.len();
            out.extend(parts.concat());
            // A name of a file may have any byte.
            for byte in out.iter_mut().skip(start).filter(|byte| **byte == b'\n') {
                *byte = b'?';
            }
            out.push(b'\n');
        };
        if self.pastes {
            line(&[b"a ##"]);
        }
        for ask in &self.asks {
            line(&[b"a ", ask]);
        }
        for condition in &self.conditions {
            line(&[b"c ", condition]);
        }
        for file in &self.files {
            line(&[b"f ", file.as_bytes()]);
        }
        for version in &self.versions {
            line(&[b"n ", version.as_bytes()]);
        }
        for Pattern { prefix, suffix } in &self.patterns {
            line(&[b"p ", prefix, b"*", suffix]);
        }
        for (text, word) in &self.words {
            let bits = u8::from(word.in_code)
                + 2 * u8::from(word.in_condition)
                + 4 * u8::from(word.in_text);
            let mut head = format!("w {bits} {}:{}", word.place.0, word.place.1);
            match &word.files {
                Files::Some(files) => {
                    let others = files.iter().filter(|file| **file != word.place.0);
                    others.for_each(|file| head.push_str(&format!(",{file}")));
                }
                Files::All => head.push_str(",*"),
            }
            head.push(' ');
            line(&[head.as_bytes(), text]);
        }
        out
    }

    /// Reads such a text.
    ///
    /// # Errors
    /// The line, from 1, that is none of one, or that has one word too many.
    pub fn from_text(text: &[u8]) -> Result<Self, usize> {
        let mut words = Self::default();
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        for (at, line) in text.split(|&byte| byte == b'\n').enumerate() {
            let number = at + 1;
            if at == 0 {
                if line != HEAD {
                    return Err(number);
                }
                continue;
            }
            let (kind, rest) = line.split_at_checked(2).ok_or(number)?;
            let string = || String::from_utf8_lossy(rest).into_owned();
            match kind {
                b"a " if rest == b"##" => words.pastes = true,
                b"a " => {
                    words.asks.insert(rest.to_vec());
                }
                b"c " => {
                    words.conditions.insert(rest.to_vec());
                }
                b"f " => words.files.push(string()),
                b"n " => {
                    words.versions.insert(string());
                }
                b"p " => {
                    let hole = rest.iter().position(|&b| b == b'*').ok_or(number)?;
                    words.patterns.insert(Pattern {
                        prefix: rest.get(..hole).unwrap_or_default().to_vec(),
                        suffix: rest.get(hole + 1..).unwrap_or_default().to_vec(),
                    });
                }
                b"w " => {
                    let (text, word) = word(rest).ok_or(number)?;
                    words.merge(text, word).map_err(|_| number)?;
                }
                _ => return Err(number),
            }
        }
        Ok(words)
    }
}

fn word(rest: &[u8]) -> Option<(Vec<u8>, Word)> {
    let mut parts = rest.splitn(3, |&byte| byte == b' ');
    let [bits] = parts.next()? else { return None };
    let bits = bits
        .checked_sub(b'0')
        .filter(|bits| (1..8).contains(bits))?;
    let mut places = std::str::from_utf8(parts.next()?).ok()?.split(',');
    let (file, line) = places.next()?.split_once(':')?;
    let file: u32 = file.parse().ok()?;
    // Its first place is one in code, if there is any.
    let mut files = Files::Some(if bits & 3 == 0 {
        Vec::new()
    } else {
        vec![file]
    });
    for other in places {
        files.merge(match other {
            "*" => Files::All,
            other => Files::Some(vec![other.parse().ok()?]),
        });
    }
    let text = parts.next().filter(|text| !text.is_empty())?;
    let word = Word {
        in_code: bits & 1 != 0,
        in_condition: bits & 2 != 0,
        in_text: bits & 4 != 0,
        place: (file, line.parse().ok()?),
        files,
    };
    Some((text.to_vec(), word))
}
