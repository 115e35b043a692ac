//! The libraries of two trees as differences by symbol.

use std::collections::BTreeSet;

use crate::abi::{Abi, floor};

use super::difference::{Difference, Kind, Test};
use super::lex;
use super::names::{Name, Names};
use super::sources::spelled;
use super::tree::Tree;

/// The differences of the libraries, and whether the new ones satisfy the old ones.
pub(super) fn libraries(old: &Tree, new: &Tree, names: &mut Names) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut push = |kind, test, what: String| found.push(Difference { kind, what, test });
    for (place, before) in &old.libraries {
        let shown = String::from_utf8_lossy(&place.1);
        let Some(after) = new.libraries.get(place) else {
            push(
                Kind::Floor,
                Test::Always,
                format!("there is no {shown} any more"),
            );
            continue;
        };
        if before == after {
            continue;
        }
        if let Some(lost) = floor::check(before, after).first() {
            let gap = if lost.detail.is_empty() { "" } else { ": " };
            let what = format!(
                "{shown} does not satisfy the earlier one: {}{gap}{} [{}]",
                lost.subject,
                lost.detail,
                lost.rule.code()
            );
            push(Kind::Floor, Test::Always, what);
            continue;
        }
        if (before.machine, before.flags) != (after.machine, after.flags)
            || before.properties != after.properties
        {
            push(
                Kind::Library,
                Test::Always,
                format!("{shown} is of another kind"),
            );
        }
        for (name, is_new) in symbols(before, after) {
            let how = if is_new { "is new" } else { "is another" };
            let what = format!("{} {how} in {shown}", String::from_utf8_lossy(&name));
            if name.starts_with(b"_Z") {
                // A script may ask for it as the linker knows it.
                push(Kind::Symbol, Test::Name(names.name(&name)), what.clone());
            }
            push(Kind::Symbol, test(&name, names), what);
        }
    }
    for (link, place) in &old.links {
        let there = new.links.get(link);
        if there != Some(place) && new.libraries.contains_key(place) {
            push(
                Kind::Library,
                Test::Always,
                format!("{link} leads elsewhere"),
            );
        }
    }
    for link in new
        .links
        .keys()
        .filter(|link| !old.links.contains_key(*link))
    {
        let base = link.rsplit('/').next().unwrap_or(link);
        let stem = base.trim_end_matches(".so");
        let stem = stem.strip_prefix("lib").unwrap_or(stem);
        let words: Vec<String> = spelled(stem).map(str::to_owned).collect();
        // `-lx` is one word.
        let mut flag = words.clone();
        if let Some(first) = flag.first_mut() {
            first.insert(0, 'l');
        }
        for words in [words, flag] {
            let what = format!("{link} is new");
            push(Kind::Library, Test::Spelled(words), what);
        }
    }
    found
}

/// Names of symbols that are not the same in both, and whether the first has none.
fn symbols(old: &Abi, new: &Abi) -> BTreeSet<(Vec<u8>, bool)> {
    let mut differ = BTreeSet::new();
    for (key, symbol) in &new.symbols {
        if old.symbols.get(key) != Some(symbol) {
            let is_new = old.definitions(&key.name).next().is_none();
            differ.insert((key.name.clone(), is_new));
        }
    }
    for key in old
        .symbols
        .keys()
        .filter(|key| !new.symbols.contains_key(*key))
    {
        differ.insert((key.name.clone(), false));
    }
    let clients = old
        .undefined
        .iter()
        .filter(|(n, u)| new.undefined.get(*n) != Some(u));
    let others = new
        .undefined
        .iter()
        .filter(|(n, u)| old.undefined.get(*n) != Some(u));
    differ.extend(clients.chain(others).map(|(name, _)| (name.clone(), false)));
    let warnings = old.warnings.keys().chain(new.warnings.keys());
    for name in warnings {
        if old.warnings.get(name) != new.warnings.get(name) {
            differ.insert((name.clone(), false));
        }
    }
    differ
}

/// Who names a symbol: who names all identifiers of a C++ one.
fn test(symbol: &[u8], names: &mut Names) -> Test {
    let Some(mangled) = symbol.strip_prefix(b"_Z") else {
        return Test::Name(names.name(symbol));
    };
    let parts: Vec<Name> = identifiers(mangled).map(|part| names.name(part)).collect();
    match parts.is_empty() {
        true => Test::Always,
        false => Test::Names(parts),
    }
}

/// The identifiers that a mangled name without `_Z` begins with (Itanium C++ ABI, 5.1): the
/// scopes of an entity and its name, as far as nothing else comes before. Behind them come
/// types, which need not be spelled, and digits that may be part of anything.
fn identifiers(mangled: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = mangled;
    // A table of virtual functions, a type and its name.
    if let [b'T', b'V' | b'I' | b'S', after @ ..] = rest {
        rest = after;
    }
    let nested = rest.strip_prefix(b"N");
    rest = nested.unwrap_or(rest);
    while let [b'r' | b'V' | b'K' | b'R' | b'O', after @ ..] = rest {
        rest = after;
    }
    // `std::`
    rest = rest.strip_prefix(b"St").unwrap_or(rest);
    let all = std::iter::from_fn(move || {
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (length, after) = rest.split_at(digits);
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        let (word, after) = after.split_at_checked(length)?;
        rest = after;
        let is_word = !word.is_empty() && word.iter().all(|&byte| lex::in_word(byte));
        is_word.then_some(word)
    });
    all.take(if nested.is_some() { usize::MAX } else { 1 })
}
