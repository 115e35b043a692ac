//! What changed between two builds of a library, and whether clients of the
//! old one can run with the new one.
//!
//! The rules are ld.so's (glibc elf/dl-lookup.c, elf/dl-version.c,
//! elf/dl-reloc.c and the copy relocation of each machine), not a matter of
//! taste; `rules` lists them. This module must not read files.

use std::collections::BTreeMap;

use serde::Serialize;

use super::marker::is_marker;
use super::model::{Abi, Key, Kind, Name, Place, Symbol};
pub use super::rules::{Class, Rule};
use super::text::{escape, kind_name};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Change {
    /// How much it matters.
    pub class: Class,
    /// The rule that says so.
    pub rule: Rule,
    /// What it is about: a symbol, a version, …
    pub subject: String,
    /// From what to what; may be empty.
    pub detail: String,
}

/// All changes from one ABI to another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diff {
    /// Sorted: by class, the worst last, then by rule and subject.
    pub changes: Vec<Change>,
}

impl Diff {
    /// The worst class.
    pub fn class(&self) -> Class {
        self.changes
            .iter()
            .map(|c| c.class)
            .max()
            .unwrap_or(Class::Equal)
    }

    /// The incompatible changes.
    pub fn incompatible(&self) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(|c| c.class == Class::Incompatible)
    }

    fn push(&mut self, rule: Rule, subject: impl Into<String>, detail: impl Into<String>) {
        self.changes.push(Change {
            class: rule.class(),
            rule,
            subject: subject.into(),
            detail: detail.into(),
        });
    }
}

/// Compares `old` with `new`, from the point of view of clients of `old`.
pub fn diff(old: &Abi, new: &Abi) -> Diff {
    let mut diff = Diff::default();
    header(old, new, &mut diff);
    versions(old, new, &mut diff);
    undefined(old, new, &mut diff);
    let mut pairs: BTreeMap<&Key, &Key> = BTreeMap::new();
    for (key, symbol) in &old.symbols {
        if is_marker(&key.name, symbol) {
            mark(key, symbol, new, &mut diff);
            continue;
        }
        let Some((found, other, rule)) = serve(key, new) else {
            diff.push(Rule::SymbolRemoved, key.display(), "");
            continue;
        };
        pairs.insert(key, found);
        if let Some(rule) = rule {
            diff.push(rule, key.display(), format!("now {}", found.display()));
        }
        compare(key, symbol, other, &mut diff);
    }
    for (key, symbol) in &new.symbols {
        let known = |default| {
            let same = Key {
                default,
                ..key.clone()
            };
            old.symbols.contains_key(&same)
        };
        if known(true) || known(false) {
            continue;
        }
        if is_marker(&key.name, symbol) {
            diff.push(Rule::LinkerMarker, key.display(), "now there");
        } else {
            diff.push(Rule::SymbolAdded, key.display(), "");
        }
    }
    aliases(old, new, &pairs, &mut diff);
    diff.changes.sort();
    diff
}

/// What became of a mark, to which no client is bound.
fn mark(key: &Key, symbol: &Symbol, new: &Abi, diff: &mut Diff) {
    match serve(key, new) {
        None => diff.push(Rule::LinkerMarker, key.display(), "no longer there"),
        Some((found, other, _)) if (found, other) != (key, symbol) => {
            diff.push(Rule::LinkerMarker, key.display(), "another one now");
        }
        Some(_) => {}
    }
}

/// The symbol of `abi` that ld.so gives to a client that was linked against
/// `key`, and the rule if it is another one (do_lookup_x and check_match in
/// glibc elf/dl-lookup.c).
pub(super) fn serve<'a>(key: &Key, abi: &'a Abi) -> Option<(&'a Key, &'a Symbol, Option<Rule>)> {
    let find = |wanted: &dyn Fn(&Key) -> bool| {
        let mut all: Vec<_> = abi.definitions(&key.name).filter(|d| wanted(d.0)).collect();
        // No linker makes both `name@V` and `name@@V`, but a file may.
        all.sort_by_key(|d| (d.0.default != key.default, !d.0.default));
        all.into_iter().next()
    };
    if let Some((found, symbol)) = find(&|other| other.version == key.version) {
        let rule = match (key.default, found.default) {
            (true, false) => Some(Rule::Demoted),
            (false, true) => Some(Rule::Promoted),
            _ => None,
        };
        return Some((found, symbol, rule));
    }
    let (found, rule) = match &key.version {
        Some(version) if abi.defines_version(version) => (
            find(&|other| other.version.is_none() && other.default),
            Rule::BaseAccepted,
        ),
        Some(_) => (None, Rule::BaseAccepted),
        None => (find(&|other| other.default), Rule::VersionGained),
    };
    found.map(|(found, symbol)| (found, symbol, Some(rule)))
}

fn show(name: Option<&Name>) -> String {
    name.map_or_else(|| "none".to_owned(), |name| escape(name))
}

fn header(old: &Abi, new: &Abi, diff: &mut Diff) {
    if (old.machine, old.flags) != (new.machine, new.flags) {
        let text = |abi: &Abi| {
            format!(
                "{} {:#x}",
                super::text::machine_name(abi.machine),
                abi.flags
            )
        };
        diff.push(
            Rule::Machine,
            "machine",
            format!("{} -> {}", text(old), text(new)),
        );
    }
    if old.soname != new.soname {
        let (from, to) = (show(old.soname.as_ref()), show(new.soname.as_ref()));
        diff.push(Rule::Soname, "soname", format!("{from} -> {to}"));
    }
    for name in old.needed.iter().filter(|n| !new.needed.contains(n)) {
        diff.push(Rule::Needed, escape(name), "no longer needed");
    }
    for name in new.needed.iter().filter(|n| !old.needed.contains(n)) {
        diff.push(Rule::Needed, escape(name), "now needed");
    }
    if old.properties != new.properties {
        let detail = format!("{:?} -> {:?}", old.properties, new.properties);
        diff.push(Rule::Property, "properties", detail);
    }
    for name in old.warnings.keys().chain(
        new.warnings
            .keys()
            .filter(|n| !old.warnings.contains_key(*n)),
    ) {
        if old.warnings.get(name) != new.warnings.get(name) {
            diff.push(Rule::Warning, escape(name), "");
        }
    }
}

/// Whether a client that needs `version` is bound to nothing of it.
fn has_only_markers(abi: &Abi, version: &Name) -> bool {
    let mut of_version = abi
        .symbols
        .iter()
        .filter(|(key, _)| key.version.as_ref() == Some(version))
        .peekable();
    of_version.peek().is_some() && of_version.all(|(key, symbol)| is_marker(&key.name, symbol))
}

fn versions(old: &Abi, new: &Abi, diff: &mut Diff) {
    for (name, node) in &old.versions {
        match new.versions.get(name) {
            None if new.unused.contains(name) => {}
            None if has_only_markers(old, name) => diff.push(Rule::LinkerMarker, escape(name), ""),
            None => diff.push(Rule::VersionRemoved, escape(name), ""),
            Some(other) if other != node => diff.push(Rule::VersionNode, escape(name), ""),
            Some(_) => {}
        }
    }
    for name in new
        .versions
        .keys()
        .filter(|n| !old.versions.contains_key(*n))
    {
        diff.push(Rule::VersionAdded, escape(name), "");
    }
}

fn undefined(old: &Abi, new: &Abi, diff: &mut Diff) {
    for (name, now) in &new.undefined {
        let rule = match old.undefined.get(name) {
            Some(was) if was.tls != now.tls => Rule::Kind,
            Some(was) if was.weak == now.weak => continue,
            Some(_) | None if now.weak => Rule::MayProvide,
            _ => Rule::MustProvide,
        };
        diff.push(rule, escape(name), "");
    }
    for name in old
        .undefined
        .keys()
        .filter(|n| !new.undefined.contains_key(*n))
    {
        diff.push(Rule::NeedNotProvide, escape(name), "");
    }
}

/// Groups within which a change of type or place does not change how a symbol
/// is reached.
fn reach(symbol: &Symbol) -> u8 {
    match symbol.place {
        Place::Text => 0,
        Place::Rodata | Place::Relro | Place::Data => 1,
        Place::Tls => 2,
        Place::Absolute(_) => 3,
    }
}

fn place_name(place: Place) -> String {
    match place {
        Place::Text => "code".into(),
        Place::Rodata => "read-only data".into(),
        Place::Relro => "read-only data after relocation".into(),
        Place::Data => "writable data".into(),
        Place::Tls => "thread-local data".into(),
        Place::Absolute(value) => format!("the number {value:#x}"),
    }
}

fn compare(key: &Key, old: &Symbol, new: &Symbol, diff: &mut Diff) {
    let subject = key.display();
    let places = || format!("{} -> {}", place_name(old.place), place_name(new.place));
    let absolute = matches!(old.place, Place::Absolute(_));
    if reach(old) != reach(new) || (absolute && old.place != new.place) {
        diff.push(Rule::Kind, subject, places());
        return;
    }
    if old.kind != new.kind {
        let labelled = old.kind == Kind::NoType || new.kind == Kind::NoType;
        let rule = if labelled { Rule::Label } else { Rule::Kind };
        let detail = format!("{} -> {}", kind_name(old.kind), kind_name(new.kind));
        diff.push(rule, subject.as_str(), detail);
    }
    let sizes = format!("{} -> {} bytes", old.size, new.size);
    let tls = old.place == Place::Tls;
    // An object without size can be neither copied nor measured.
    match new.size.cmp(&old.size) {
        _ if old.size == 0 || absolute => {}
        std::cmp::Ordering::Equal => {}
        std::cmp::Ordering::Greater if tls => diff.push(Rule::TlsGrown, subject.as_str(), sizes),
        std::cmp::Ordering::Greater => diff.push(Rule::SizeGrown, subject.as_str(), sizes),
        std::cmp::Ordering::Less => diff.push(Rule::SizeShrunk, subject.as_str(), sizes),
    }
    if old.align != new.align && old.is_data() {
        let rule = if new.align > old.align {
            Rule::AlignGrown
        } else {
            Rule::AlignShrunk
        };
        diff.push(
            rule,
            subject.as_str(),
            format!("{} -> {} bytes", old.align, new.align),
        );
    }
    if old.place != new.place {
        let rule = if new.place == Place::Data {
            Rule::Writable
        } else {
            Rule::ReadOnly
        };
        diff.push(rule, subject.as_str(), places());
    }
    if old.binding != new.binding {
        let detail = format!("{:?} -> {:?}", old.binding, new.binding).to_lowercase();
        diff.push(Rule::Binding, subject.as_str(), detail);
    }
    if old.protected != new.protected {
        let rule = if new.protected && new.is_data() {
            Rule::Protected
        } else {
            Rule::Unprotected
        };
        diff.push(rule, subject.as_str(), "");
    }
    if old.other != new.other {
        diff.push(
            Rule::SymbolFlags,
            subject,
            format!("{:#x} -> {:#x}", old.other, new.other),
        );
    }
}

/// The leader of the group of `key`: itself if it is alone.
fn leader<'a>(abi: &'a Abi, key: &'a Key) -> &'a Key {
    abi.symbols
        .get(key)
        .and_then(|s| s.alias.as_ref())
        .unwrap_or(key)
}

fn aliases(old: &Abi, new: &Abi, pairs: &BTreeMap<&Key, &Key>, diff: &mut Diff) {
    // Old names by the group that they are in now.
    let mut joined: BTreeMap<&Key, &Key> = BTreeMap::new();
    for (key, found) in pairs {
        let before = leader(old, key);
        let Some(symbol) = old.symbols.get(*key).filter(|s| s.is_data() && s.size > 0) else {
            continue;
        };
        let after = leader(new, found);
        if symbol.alias.is_some()
            && let Some(served) = pairs.get(before)
            && leader(new, served) != after
        {
            diff.push(
                Rule::AliasLost,
                key.display(),
                format!("was {}", before.display()),
            );
        }
        match joined.get(after) {
            Some(other) if leader(old, other) != before => {
                diff.push(
                    Rule::AliasGained,
                    key.display(),
                    format!("now {}", other.display()),
                );
            }
            Some(_) => {}
            None => {
                joined.insert(after, key);
            }
        }
    }
}
