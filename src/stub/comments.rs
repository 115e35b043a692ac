//! Comments that tools read, and that normalised headers therefore keep.
//!
//! A compiler takes nothing from a comment, with one exception, and neither does a
//! program that is compiled; but what compiles it may: GCC's -Wimplicit-fallthrough looks
//! for a mark, checkers for words that silence them, and scripts that look for a library
//! grep its version from the head of a header. docs/stubs.md, "Headers", says what is
//! lost all the same. This module must not know where a comment ends.

/// Words by which checkers and coverage tools are told something of a line.
const READ: &[&str] = &[
    // clang-tidy, cpplint: NOLINT, NOLINTNEXTLINE, NOLINTBEGIN, NOLINTEND
    "NOLINT",
    // include-what-you-use, clangd, clang-include-cleaner
    "IWYU pragma:",
    // cppcheck
    "cppcheck-suppress",
    // clazy
    "clazy:",
    // lcov, gcov, gcovr
    "LCOV_EXCL_",
    "GCOV_EXCL_",
    "GCOVR_EXCL_",
    // Coverity
    "coverity[",
    // SonarQube
    "NOSONAR",
];

/// What comments of licences have, which say "version 2.1 of the License".
const LICENCES: &[&[u8]] = &[b"licen", b"gpl", b"either version", b"free software"];

/// How a comment is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `/* … */`
    Block,
    /// `// …`
    Line,
}

/// Where a comment stands, as far as it matters to who reads it.
pub(super) struct Place<'p> {
    /// Nothing came before it in the file but comments, directives, and one `#define`.
    pub(super) head: bool,
    /// It is on the line of a `#define` of a macro whose name has VERSION.
    pub(super) of_version: bool,
    /// Whether a label of a `switch` comes next.
    pub(super) before_label: &'p dyn Fn() -> bool,
    /// What a user wants to keep: comments with one of these texts.
    pub(super) wanted: &'p [String],
}

/// The lines of a comment that stay, each as the content of a comment of its own: with
/// the index of the line. A comment of one line stays as it is, or goes.
pub(super) fn kept(content: &[u8], form: Form, place: &Place<'_>) -> Vec<(usize, Vec<u8>)> {
    if !content.contains(&b'\n') {
        let stays = is_fallthrough(content) || is_lint(content, form) || is_read(content, place);
        return match stays {
            true => vec![(0, content.to_vec())],
            false => Vec::new(),
        };
    }
    let lines = content.split(|&byte| byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| is_read(line, place))
        .map(|(at, line)| (at, alone(line)))
        .collect()
}

/// A line of a longer comment as the content of its own: without what borders it, and
/// never a mark that GCC did not see before.
fn alone(line: &[u8]) -> Vec<u8> {
    let border = |byte: &&u8| byte.is_ascii_whitespace() || **byte == b'*';
    let start = line.iter().take_while(border).count();
    let end = line.len() - line.iter().rev().take_while(border).count();
    let text = line.get(start..end.max(start)).unwrap_or_default();
    let content = [b" ", text, b" "].concat();
    match is_fallthrough(&content) {
        true => [b"*", content.as_slice()].concat(),
        false => content,
    }
}

/// What any line of a comment may say.
fn is_read(line: &[u8], place: &Place<'_>) -> bool {
    let has = |text: &str| find(line, text.as_bytes()).is_some();
    READ.iter().any(|text| has(text))
        || place.wanted.iter().any(|text| has(text))
        || (place.head && names_version(line))
        || (place.of_version && has_dotted_number(line))
        || (mentions_fallthrough(line) && (place.before_label)())
}

/// PC-lint's `/*lint …*/` and PVS-Studio's `//-V…`, which are nothing else.
fn is_lint(content: &[u8], form: Form) -> bool {
    let number = |text: &[u8]| text.first().is_some_and(u8::is_ascii_digit);
    content.starts_with(b"lint ")
        || (form == Form::Line && content.strip_prefix(b"-V").is_some_and(number))
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len().max(1))
        .position(|window| window == wanted)
}

/// Whether a line names a release: `version 1.0.8`, `Version: 2.1`, `v2.13.9`. Scripts
/// that look for a library read that (CMake's FindBZip2, pybind11's FindCatch). What
/// licences say of theirs is none.
fn names_version(line: &[u8]) -> bool {
    if !has_dotted_number(line) {
        return false;
    }
    let lower = line.to_ascii_lowercase();
    if LICENCES.iter().any(|word| find(&lower, word).is_some()) {
        return false;
    }
    let word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    (0..lower.len()).any(|at| {
        if at > 0 && lower.get(at - 1).is_some_and(word) {
            return false;
        }
        let rest = lower.get(at..).unwrap_or_default();
        let number = match rest.strip_prefix(b"version") {
            Some(rest) => {
                let gap = |b: &&u8| b.is_ascii_whitespace() || b":=#\"'".contains(b);
                let rest = rest.get(rest.iter().take_while(gap).count()..);
                let rest = rest.unwrap_or_default();
                rest.strip_prefix(b"v").unwrap_or(rest)
            }
            None => match rest.strip_prefix(b"v") {
                Some(rest) => rest,
                None => return false,
            },
        };
        dotted_number(number)
    })
}

/// Digits, a dot, a digit.
fn dotted_number(text: &[u8]) -> bool {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0
        && text.get(digits) == Some(&b'.')
        && text.get(digits + 1).is_some_and(u8::is_ascii_digit)
}

fn has_dotted_number(line: &[u8]) -> bool {
    (0..line.len()).any(|at| dotted_number(line.get(at..).unwrap_or_default()))
}

/// What GCC takes for a mark under -Wimplicit-fallthrough=3, which -Wextra means, and
/// with it what =4 takes: the whole content of a comment (GCC's manual, "Warning
/// Options").
fn is_fallthrough(content: &[u8]) -> bool {
    const BLANK: &[u8] = b" \t";
    const AROUND: &[u8] = b" \t.!";
    if content == b"-fallthrough" || content == b"@fallthrough@" {
        return true;
    }
    if let Some(rest) = content.strip_prefix(b"lint -fallthrough") {
        return rest.iter().all(|byte| BLANK.contains(byte));
    }
    let skip = |text: &mut &[u8]| {
        let length = text.iter().take_while(|byte| AROUND.contains(byte)).count();
        *text = text.get(length..).unwrap_or_default();
    };
    let mut text = content;
    skip(&mut text);
    [upper, title, lower].iter().any(|phrase| {
        let mut rest = text;
        if !phrase(&mut rest) {
            return false;
        }
        skip(&mut rest);
        match rest {
            [] => true,
            [b'-', reason @ ..] => !reason.contains(&b'\n') && !reason.contains(&b'\r'),
            _ => false,
        }
    })
}

/// Takes the first of `words` that `text` begins with, if there is one.
fn take(text: &mut &[u8], words: &[&str]) -> bool {
    let found = words
        .iter()
        .find_map(|word| text.strip_prefix(word.as_bytes()));
    if let Some(rest) = found {
        *text = rest;
    }
    found.is_some()
}

/// `(ELSE,? |INTENTIONAL(LY)? )?FALL(S | |-)?THR(OUGH|U)`
fn upper(text: &mut &[u8]) -> bool {
    take(
        text,
        &["ELSE, ", "ELSE ", "INTENTIONAL ", "INTENTIONALLY ", ""],
    ) && take(text, &["FALL"])
        && take(text, &["S ", " ", "-", ""])
        && take(text, &["THROUGH", "THRU"])
}

/// `(Else,? |Intentional(ly)? )?Fall((s | |-)[Tt]|t)hr(ough|u)`
fn title(text: &mut &[u8]) -> bool {
    take(
        text,
        &["Else, ", "Else ", "Intentional ", "Intentionally ", ""],
    ) && take(text, &["Fall"])
        && take(text, &["s T", "s t", " T", " t", "-T", "-t", "t"])
        && take(text, &["hrough", "hru"])
}

/// `([Ee]lse,? |[Ii]ntentional(ly)? )?fall(s | |-)?thr(ough|u)`
fn lower(text: &mut &[u8]) -> bool {
    const BEFORE: &[&str] = &[
        "Else, ",
        "Else ",
        "else, ",
        "else ",
        "Intentional ",
        "Intentionally ",
        "intentional ",
        "intentionally ",
        "",
    ];
    take(text, BEFORE)
        && take(text, &["fall"])
        && take(text, &["s ", " ", "-", ""])
        && take(text, &["through", "thru"])
}

/// What GCC takes under -Wimplicit-fallthrough=2: `falls?[ \t-]*thr(ough|u)` anywhere, of
/// any case.
fn mentions_fallthrough(line: &[u8]) -> bool {
    // Most comments end here.
    if !line.windows(2).any(|two| two.eq_ignore_ascii_case(b"fa")) {
        return false;
    }
    let line = line.to_ascii_lowercase();
    (0..line.len()).any(|at| {
        let mut rest = line.get(at..).unwrap_or_default();
        if !take(&mut rest, &["falls", "fall"]) {
            return false;
        }
        while take(&mut rest, &[" ", "\t", "-"]) {}
        take(&mut rest, &["through", "thru"])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_of(content: &str, head: bool, label: bool) -> Vec<String> {
        let place = Place {
            head,
            of_version: false,
            before_label: &|| label,
            wanted: &["grepped".to_owned()],
        };
        kept(content.as_bytes(), Form::Block, &place)
            .into_iter()
            .map(|(_, line)| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn marks_of_fallthrough_are_gcc_s() {
        for mark in [
            "-fallthrough",
            "@fallthrough@",
            "lint -fallthrough",
            "lint -fallthrough \t",
            "FALLTHRU",
            " FALLTHROUGH ",
            " fall through ",
            "fallthru",
            " Falls through. ",
            " .!FALLS THROUGH!.. ",
            " FALL-THROUGH - because",
            " Fall-Through",
            " Fallthrough",
            " else, fall through ",
            " Else fall thru ",
            " ELSE, FALLTHRU",
            " intentional fall-through",
            " Intentionally falls through",
            " INTENTIONALLY FALLS THROUGH - x ",
        ] {
            assert!(is_fallthrough(mark.as_bytes()), "{mark}");
        }
        for none in [
            "",
            "-fallthrough ",
            "* fall through ",
            " falls",
            " FallThrough",
            " FALLS-THROUGH",
            " ELSE, fall through",
            " (fall through) ",
            " fall through to the next ",
            " we fall through ",
            " else,fall through",
        ] {
            assert!(!is_fallthrough(none.as_bytes()), "{none}");
        }
    }

    #[test]
    fn looser_marks_stay_before_labels() {
        for text in [
            " (Falls Through) ",
            " we FALLTHRU here ",
            "fall \t- through to 2",
        ] {
            assert_eq!(kept_of(text, false, true), [text]);
            assert_eq!(kept_of(text, false, false), [""; 0], "{text}");
        }
        assert_eq!(
            kept_of(" Done.\n * fall through\n ", false, true),
            ["* fall through "]
        );
        assert_eq!(kept_of(" Done.\n * fall through\n ", false, false), [""; 0]);
    }

    #[test]
    fn releases_are_named_in_heads() {
        for text in [
            " bzip2/libbzip2 version 1.0.8 of 13 July 2019",
            "  Catch v2.13.9",
            "@version 4.2",
            " Version: 3.1-rc",
            " stb_image - v2.28 - public domain",
            " VERSION = 1.2",
            " Some version v1.2",
        ] {
            assert_eq!(kept_of(text, true, false), [text]);
            assert_eq!(kept_of(text, false, false), [""; 0], "{text}");
        }
        for text in [
            " version 2.1 of the License, or",
            " the Apache License, Version 2.0",
            " LGPL version 2.1",
            " version 3 of it",
            " conversion 1.2",
            " $Id: a.h,v 1.5 2001/02/03",
            " draft 1.2",
            " (C) 1999",
        ] {
            assert_eq!(kept_of(text, true, false), [""; 0], "{text}");
        }
        let block = "*****\n * A library.   *\n **  libx version 1.2  **\n\t*\n more v1.3";
        assert_eq!(
            kept_of(block, true, false),
            [" libx version 1.2 ", " more v1.3 "]
        );
    }

    #[test]
    fn checkers_are_told() {
        for text in [
            " NOLINTNEXTLINE(readability-*)",
            " IWYU pragma: export",
            " cppcheck-suppress uninitvar",
            "lint -e534",
            " clazy:exclude=foo",
            " LCOV_EXCL_LINE",
            " coverity[deadcode]",
            " grepped",
        ] {
            assert_eq!(kept_of(text, false, false), [text]);
        }
        assert_eq!(kept_of(" see lint ", false, false), [""; 0]);
        let place = Place {
            head: false,
            of_version: false,
            before_label: &|| false,
            wanted: &[],
        };
        assert_eq!(kept(b"-V525", Form::Line, &place).len(), 1);
        assert_eq!(kept(b"-Very", Form::Line, &place).len(), 0);
    }
}
