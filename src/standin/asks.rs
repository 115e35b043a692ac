//! How a source asks for versions of packages.

use super::lex;
use super::word::MAX_WORD;

/// Longest version.
const MAX_VERSION: usize = 24;
/// Longest call that is looked into, in bytes.
const MAX_CALL: usize = 1024;

/// How variables begin that a call of CMake's `pkg_check_modules` sets, of which `rest`
/// follows the name; none if it is no call.
pub(super) fn prefixes(rest: &[u8]) -> Vec<&[u8]> {
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"(") else {
        return Vec::new();
    };
    let rest = rest.trim_ascii_start();
    let in_name = |byte: &&u8| lex::in_word(**byte) && **byte != b'$';
    let length = rest.iter().take(MAX_WORD).take_while(in_name).count();
    let (prefix, rest) = rest.split_at(length);
    // Of `PC_${x}` they are spelled `PC_${x}_VERSION`: what follows begins so.
    match rest.first() {
        Some(b'$') => vec![prefix, b"_"],
        _ => vec![prefix],
    }
}

/// The versions that a call of CMake's `find_package` wants, of which `rest` follows the
/// name: one, or the ends of a range.
pub(super) fn wanted(rest: &[u8]) -> Vec<String> {
    let Some(rest) = rest.trim_ascii_start().strip_prefix(b"(") else {
        return Vec::new();
    };
    let rest = rest.get(..rest.len().min(MAX_CALL)).unwrap_or_default();
    let list = rest.split(|&byte| byte == b')').next().unwrap_or_default();
    let text = String::from_utf8_lossy(list);
    let words = text.split_whitespace().skip(1);
    let ends = words.flat_map(|word| word.trim_matches('"').split("..."));
    let ends = ends.map(|end| end.trim_start_matches('<'));
    let is_version = |end: &&str| {
        end.starts_with(|c: char| c.is_ascii_digit())
            && end.bytes().all(|b| b.is_ascii_digit() || b == b'.')
            && may_be(end.as_bytes())
    };
    ends.filter(is_version).map(str::to_owned).collect()
}

/// Whether what comes before a number compares a version with it: `>= 4`,
/// `--atleast-version 4`, `version: '4'`.
pub(super) fn compares(before: &[u8]) -> bool {
    let before = before.trim_ascii_end();
    let unquoted = before
        .strip_suffix(b"'")
        .or_else(|| before.strip_suffix(b"\""));
    let before = unquoted.unwrap_or(before).trim_ascii_end();
    if matches!(before.last(), Some(b'<' | b'>' | b'=')) {
        return true;
    }
    let before = before.strip_suffix(b":").unwrap_or(before).trim_ascii_end();
    let word = before.get(before.len().saturating_sub(b"version".len())..);
    word.is_some_and(|word| word.eq_ignore_ascii_case(b"version"))
}

/// Whether a text is short enough for a version.
pub(super) fn may_be(version: &[u8]) -> bool {
    version.len() < MAX_VERSION
}
