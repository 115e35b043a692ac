//! Names and versions that are nobody's ABI: what packages export for their own parts.
//!
//! Libraries that share such a name are built and replaced together, as glibc's are
//! that share GLIBC_PRIVATE, so that a change in it breaks nobody. Upstream says so in
//! the name itself; where it does not, or does not mean it, users add patterns. This
//! module must not know files; docs/stubs.md, "Private interfaces", argues the table.

use std::fmt;
use std::str::FromStr;

/// What is private unless a user says otherwise.
const PRIVATE: &[&str] = &[
    // Version nodes that say so, with the release (LIBDBUS_PRIVATE_1.14.10,
    // NETTLE_INTERNAL_8_6, GNUTLS_PRIVATE_3_4) or without (TIRPC_PRIVATE).
    "@PRIVATE",
    "@PRIVATE_*",
    "@*_PRIVATE",
    "@*_PRIVATE_*",
    "@INTERNAL",
    "@INTERNAL_*",
    "@*_INTERNAL",
    "@*_INTERNAL_*",
    // MIT Kerberos exports these for its own libraries, under its public version.
    "krb5int_*",
];

/// What is not, although a pattern above has it.
const PUBLIC: &[&str] = &[
    // Other packages are built against Qt's private headers, as distributions expect.
    "@Qt_*_PRIVATE_API",
];

/// A set of symbols: `[SONAME:][NAME][@VERSION]`, where `*` stands for any bytes and `?`
/// for one. What is left out may be anything; a symbol without version has an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    soname: Option<Vec<u8>>,
    name: Option<Vec<u8>>,
    version: Option<Vec<u8>>,
}

/// Why a text is no [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It would hold everything.
    #[error("it names neither a symbol nor a version: write NAME, NAME@VERSION or @VERSION")]
    Everything,
    /// A name has no white space, and a version no second `@`.
    #[error(
        "a symbol is written [SONAME:]NAME, NAME@VERSION or @VERSION, where `*` and `?` stand for anything"
    )]
    Form,
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        let (soname, symbol) = match text.split_once(':') {
            Some((soname, symbol)) if !soname.is_empty() => (Some(soname), symbol),
            Some(_) => return Err(PatternError::Form),
            None => (None, text),
        };
        let (name, version) = match symbol.split_once('@') {
            // The default version of a name is written with two.
            Some((name, version)) => (name, Some(version.strip_prefix('@').unwrap_or(version))),
            None => (symbol, None),
        };
        if text.contains(|c: char| c.is_whitespace() || c.is_control())
            || symbol.contains(':')
            || version.is_some_and(|version| version.contains('@'))
        {
            return Err(PatternError::Form);
        }
        let anything = |part: &str| part.bytes().all(|byte| byte == b'*');
        if anything(name) && version.is_none_or(anything) {
            return Err(PatternError::Everything);
        }
        let part = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        Ok(Self {
            soname: soname.and_then(part),
            name: part(name),
            version: version.and_then(part),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |part: &Option<Vec<u8>>| {
            String::from_utf8_lossy(part.as_deref().unwrap_or_default()).into_owned()
        };
        if self.soname.is_some() {
            write!(f, "{}:", text(&self.soname))?;
        }
        f.write_str(&text(&self.name))?;
        if self.version.is_some() {
            write!(f, "@{}", text(&self.version))?;
        }
        Ok(())
    }
}

impl Pattern {
    fn has(&self, soname: Option<&[u8]>, name: &[u8], version: Option<&[u8]>) -> bool {
        let fits = |part: &Option<Vec<u8>>, text: &[u8]| match part {
            Some(pattern) => matches(pattern, text),
            None => true,
        };
        fits(&self.version, version.unwrap_or_default())
            && fits(&self.name, name)
            && fits(&self.soname, soname.unwrap_or_default())
    }
}

/// Whether `text` as a whole is what `pattern` describes. One `*` at a time is tried
/// again, so that the time is bounded by the product of both lengths.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut again: Option<(usize, usize)> = None;
    while let Some(&byte) = text.get(from) {
        match pattern.get(at) {
            Some(b'*') => {
                again = Some((at + 1, from));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => {
                at += 1;
                from += 1;
            }
            _ => match &mut again {
                Some((star, start)) => {
                    *start += 1;
                    (at, from) = (*star, *start);
                }
                None => return false,
            },
        }
    }
    pattern
        .get(at..)
        .is_some_and(|rest| rest.iter().all(|&byte| byte == b'*'))
}

/// Which symbols of libraries are private.
#[derive(Clone, Debug)]
pub struct Private {
    private: Vec<Pattern>,
    public: Vec<Pattern>,
    /// Public whatever `private` says, because it is built in like that.
    except: Vec<Pattern>,
    built_in: Vec<Pattern>,
}

impl Default for Private {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Private {
    /// The built-in table with a user's own patterns: what `public` has is public, else
    /// what `private` has is private, else the built-in table decides.
    pub fn new(private: Vec<Pattern>, public: Vec<Pattern>) -> Self {
        let built_in = |list: &[&str]| list.iter().filter_map(|text| text.parse().ok()).collect();
        Self {
            private,
            public,
            except: built_in(PUBLIC),
            built_in: built_in(PRIVATE),
        }
    }

    /// Whether `name` with `version` (`None` for the base) is private to the package of
    /// the library `soname`.
    pub fn hides(&self, soname: Option<&[u8]>, name: &[u8], version: Option<&[u8]>) -> bool {
        let any = |list: &[Pattern]| list.iter().any(|p| p.has(soname, name, version));
        if any(&self.public) {
            return false;
        }
        any(&self.private) || (any(&self.built_in) && !any(&self.except))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_is_well_formed() {
        let table = Private::default();
        assert_eq!(table.built_in.len(), PRIVATE.len());
        assert_eq!(table.except.len(), PUBLIC.len());
    }

    #[test]
    fn what_says_that_it_is_private_is() {
        let hides = |name: &str, version: &str| {
            let version = (!version.is_empty()).then_some(version.as_bytes());
            Private::default().hides(Some(b"l.so.1"), name.as_bytes(), version)
        };
        for version in [
            "GLIBC_PRIVATE",
            "LIBDBUS_PRIVATE_1.14.10",
            "NETTLE_INTERNAL_8_6",
            "PRIVATE",
            "TIRPC_PRIVATE",
            "KSBA_PRIVATE_TESTS",
        ] {
            assert!(hides("f", version), "{version}");
        }
        for version in [
            "",
            "V1",
            "GLIBC_2.2.5",
            "APTPRIVATE_0.0",
            "Qt_5_PRIVATE_API",
            "PRIVATEER_1",
        ] {
            assert!(!hides("f", version), "{version}");
        }
        assert!(hides("krb5int_utf8_next", "krb5support_0_MIT"));
        assert!(!hides("krb5_internal", "krb5_3_MIT"));
    }

    #[test]
    fn patterns_are_globs() {
        for (pattern, text, fits) in [
            ("a*", "a", true),
            ("a*", "ba", false),
            ("*a*b", "xaabb", true),
            ("*a*b", "xaabc", false),
            ("a?c", "abc", true),
            ("a?", "a", false),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                fits,
                "{pattern} {text}"
            );
        }
        // Would take for ever if all ways were tried.
        assert!(!matches(&b"*a".repeat(40), &b"a".repeat(30)));
    }

    #[test]
    fn a_user_s_patterns_come_first() {
        let parse = |list: &[&str]| list.iter().map(|text| text.parse().unwrap()).collect();
        let table = Private::new(
            parse(&["libcups.so.*:_cups*", "f@V1", "@OWN_*"]),
            parse(&["@FOO_PRIVATE_2", "_cupsKept"]),
        );
        let hides = |soname: &str, name: &str, version: Option<&str>| {
            table.hides(
                Some(soname.as_bytes()),
                name.as_bytes(),
                version.map(str::as_bytes),
            )
        };
        assert!(hides("libcups.so.2", "_cups_strlcpy", None));
        assert!(!hides("libcups.so.2", "_cupsKept", None));
        assert!(!hides("libx.so.2", "_cups_strlcpy", None));
        assert!(hides("libx.so.2", "f", Some("V1")));
        assert!(!hides("libx.so.2", "f", Some("V2")));
        assert!(!hides("libx.so.2", "f", None));
        assert!(hides("libx.so.2", "g", Some("OWN_1")));
        assert!(hides("libx.so.2", "g", Some("FOO_PRIVATE_1")));
        assert!(!hides("libx.so.2", "g", Some("FOO_PRIVATE_2")));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in ["", "*", "@", "*@*", "l.so.1:", "l.so.1:*"] {
            assert_eq!(
                text.parse::<Pattern>(),
                Err(PatternError::Everything),
                "{text}"
            );
        }
        for text in ["a b", ":f", "a:b:c", "f@V1@V2", "f\n"] {
            assert_eq!(text.parse::<Pattern>(), Err(PatternError::Form), "{text}");
        }
        for text in ["f", "f@V1", "@V1", "l.so.1:f*@V?"] {
            assert_eq!(text.parse::<Pattern>().unwrap().to_string(), text);
        }
        assert_eq!("f@@V1".parse::<Pattern>().unwrap().to_string(), "f@V1");
    }
}
