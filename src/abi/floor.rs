//! Floors: a pinned ABI that newer libraries must be supersets of.
//!
//! A stub that is cut from a floor does not change when the library grows, so
//! nothing is rebuilt. [`check`] is what makes that safe; [`common`] computes
//! the greatest floor that several builds satisfy. This module must not read
//! files.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{Change, diff};
use super::marker::is_marker;
use super::model::{Abi, Binding, Key, Kind, Name, Place, Symbol, Undefined, VersionNode};
use super::text::escape;

/// What of `floor` the library `abi` does not satisfy; empty if all is well.
pub fn check(floor: &Abi, abi: &Abi) -> Vec<Change> {
    let diff = diff(floor, abi);
    diff.incompatible().cloned().collect()
}

/// Why builds have no common floor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FloorError {
    /// There is no build.
    #[error("no library is given")]
    Empty,
    /// They are not builds of one library.
    #[error("build {index} has another {what} than the first")]
    Different {
        /// Which build, from 1.
        index: usize,
        /// Soname or machine.
        what: &'static str,
    },
    /// A symbol that clients provide is thread-local for some builds only.
    #[error("the builds disagree whether `{0}`, which clients provide, is thread-local")]
    Undefined(String),
}

/// A common floor and the names that had to be left out of it because builds
/// contradict each other in them (not because a build lacks them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// The floor.
    pub floor: Abi,
    /// Symbols that no floor could hold.
    pub contradicting: Vec<Key>,
}

/// The greatest common floor of `builds`: every one of them satisfies it, and
/// nothing that all of them agree on is left out.
///
/// # Errors
/// When they are not builds of one library.
pub fn common(builds: &[Abi]) -> Result<Common, FloorError> {
    let (first, rest) = builds.split_first().ok_or(FloorError::Empty)?;
    for (index, build) in rest.iter().enumerate() {
        let different = |what| FloorError::Different {
            index: index + 2,
            what,
        };
        if build.soname != first.soname {
            return Err(different("soname"));
        }
        if (build.machine, build.flags) != (first.machine, first.flags) {
            return Err(different("machine"));
        }
    }
    let all = |wanted: &dyn Fn(&Abi) -> bool| builds.iter().all(wanted);
    let mut properties = first.properties;
    for build in rest {
        properties.no_copy_on_protected |= build.properties.no_copy_on_protected;
        properties.needed_1 |= build.properties.needed_1;
    }
    let mut floor = Abi {
        machine: first.machine,
        flags: first.flags,
        soname: first.soname.clone(),
        needed: first.needed.clone(),
        properties,
        versions: versions(first, builds),
        unused: BTreeSet::new(),
        undefined: undefined(builds)?,
        symbols: BTreeMap::new(),
        warnings: first.warnings.clone(),
    };
    floor
        .needed
        .retain(|name| all(&|b| b.needed.contains(name)));
    floor
        .warnings
        .retain(|name, text| all(&|b| b.warnings.get(name) == Some(text)));

    let mut contradicting = BTreeSet::new();
    let names: BTreeSet<&Name> = first.symbols.keys().map(|k| &k.name).collect();
    for name in names {
        merge_name(name, builds, &mut floor, &mut contradicting);
    }
    join_aliases(builds, &mut floor);
    drop_contradictions(builds, &mut floor, &mut contradicting);
    floor.normalise();
    floor.drop_unused_versions();
    Ok(Common {
        floor,
        contradicting: contradicting.into_iter().collect(),
    })
}

fn versions(first: &Abi, builds: &[Abi]) -> BTreeMap<Name, VersionNode> {
    let mut common = BTreeMap::new();
    'versions: for (name, node) in &first.versions {
        let mut merged = node.clone();
        for build in builds {
            let Some(other) = build.versions.get(name) else {
                continue 'versions;
            };
            merged.weak &= other.weak;
            merged.parents.retain(|p| other.parents.contains(p));
        }
        common.insert(name.clone(), merged);
    }
    common
}

/// Clients must provide what any of the builds asks for.
fn undefined(builds: &[Abi]) -> Result<BTreeMap<Name, Undefined>, FloorError> {
    let mut union: BTreeMap<Name, Undefined> = BTreeMap::new();
    for (name, undefined) in builds.iter().flat_map(|b| &b.undefined) {
        let known = union.entry(name.clone()).or_insert(*undefined);
        if known.tls != undefined.tls {
            return Err(FloorError::Undefined(escape(name)));
        }
        known.weak &= undefined.weak;
    }
    Ok(union)
}

/// Adds the versions of `name` that every build has. The default is one that
/// is the default somewhere; if builds disagree, the one of the latest version
/// in the order of their names, which no order of builds changes.
fn merge_name(name: &[u8], builds: &[Abi], floor: &mut Abi, contradicting: &mut BTreeSet<Key>) {
    let of = |build: &Abi, version: &Option<Name>| -> Option<(bool, Symbol)> {
        let mut found: Vec<_> = build
            .definitions(name)
            .filter(|d| d.0.version == *version)
            .collect();
        found.sort_by_key(|d| !d.0.default);
        found
            .first()
            .map(|(key, symbol)| (key.default, (*symbol).clone()))
    };
    let Some(first) = builds.first() else { return };
    let versions: BTreeSet<Option<Name>> = first
        .definitions(name)
        .map(|d| d.0.version.clone())
        .collect();
    let mut kept: Vec<(Option<Name>, bool, Symbol)> = Vec::new();
    for version in versions {
        let found: Vec<_> = builds.iter().filter_map(|b| of(b, &version)).collect();
        if found.len() < builds.len() {
            continue;
        }
        let default = found.iter().any(|f| f.0);
        match merge(found.iter().map(|f| &f.1)) {
            Some(symbol) => kept.push((version, default, symbol)),
            None if found.iter().all(|f| is_marker(name, &f.1)) => {}
            None => {
                let key = Key {
                    name: name.to_vec(),
                    version,
                    default,
                };
                contradicting.insert(key);
            }
        }
    }
    let candidates = kept.iter().filter(|k| k.1).map(|k| k.0.clone());
    let best = candidates.max_by(|a, b| natural(a.as_deref()).cmp(&natural(b.as_deref())));
    for (version, default, symbol) in kept {
        let default = default && best.as_ref() == Some(&version);
        let key = Key {
            name: name.to_vec(),
            version,
            default,
        };
        floor.symbols.insert(key, symbol);
    }
}

/// Splits a version into text and numbers, so that 2.10 comes after 2.9.
fn natural(version: Option<&[u8]>) -> Vec<(Vec<u8>, u64)> {
    let mut parts = vec![(Vec::new(), 0u64)];
    let mut digits = false;
    for &byte in version.unwrap_or_default() {
        if byte.is_ascii_digit() {
            if let Some((_, number)) = parts.last_mut() {
                *number = number
                    .saturating_mul(10)
                    .saturating_add(u64::from(byte - b'0'));
            }
            digits = true;
            continue;
        }
        if digits {
            parts.push((Vec::new(), 0));
            digits = false;
        }
        if let Some((text, _)) = parts.last_mut() {
            text.push(byte);
        }
    }
    parts
}

/// The symbol that clients of all of `builds` can be linked against, without
/// aliases.
fn merge<'a>(mut builds: impl Iterator<Item = &'a Symbol>) -> Option<Symbol> {
    let mut merged = builds.next()?.clone();
    merged.alias = None;
    for other in builds {
        let tls = merged.place == Place::Tls && other.place == Place::Tls;
        if merged.other != other.other || (merged.size != other.size && !tls) {
            return None;
        }
        merged.size = merged.size.min(other.size);
        merged.place = match (merged.place, other.place) {
            (a, b) if a == b => a,
            (a, b) if merged.is_data() && other.is_data() => a.max(b),
            _ => return None,
        };
        merged.kind = match (merged.kind, other.kind) {
            (a, b) if a == b => a,
            (Kind::NoType, kind) | (kind, Kind::NoType) => kind,
            _ => return None,
        };
        merged.binding = if merged.binding == other.binding {
            merged.binding
        } else {
            Binding::Global
        };
        merged.protected |= other.protected;
        merged.align = merged.align.max(other.align);
    }
    Some(merged)
}

/// Symbols that share an address in every build share one in the floor.
fn join_aliases(builds: &[Abi], floor: &mut Abi) {
    let mut groups: BTreeMap<Vec<Option<Key>>, Vec<Key>> = BTreeMap::new();
    for (key, symbol) in &floor.symbols {
        if symbol.align == 0 || symbol.size == 0 {
            continue;
        }
        let leaders = builds.iter().map(|build| {
            let found = build
                .definitions(&key.name)
                .filter(|d| d.0.version == key.version);
            let (found, symbol) = found.max_by_key(|d| d.0.default)?;
            Some(symbol.alias.clone().unwrap_or_else(|| found.clone()))
        });
        groups
            .entry(leaders.collect())
            .or_default()
            .push(key.clone());
    }
    for members in groups.into_values() {
        let Some((leader, rest)) = members.split_first() else {
            continue;
        };
        for key in rest {
            if let Some(symbol) = floor.symbols.get_mut(key) {
                symbol.alias = Some(leader.clone());
            }
        }
    }
    floor.normalise();
}

/// Leaves out what some build still does not satisfy: names that are aliases
/// in one build and not in another. Each round takes symbols away, so it ends.
fn drop_contradictions(builds: &[Abi], floor: &mut Abi, contradicting: &mut BTreeSet<Key>) {
    loop {
        let bad: BTreeSet<String> = builds
            .iter()
            .flat_map(|build| check(floor, build))
            .map(|change| change.subject)
            .collect();
        let before = floor.symbols.len();
        let doomed: Vec<Key> = floor
            .symbols
            .keys()
            .filter(|k| bad.contains(&k.display()))
            .cloned()
            .collect();
        for key in doomed {
            remove(floor, &key);
            contradicting.insert(key);
        }
        if floor.symbols.len() == before {
            return;
        }
    }
}

/// Removes a symbol; the aliases that it led get a new leader.
pub(super) fn remove(abi: &mut Abi, key: &Key) {
    abi.symbols.remove(key);
    let orphans: Vec<Key> = abi
        .symbols
        .iter()
        .filter(|(_, symbol)| symbol.alias.as_ref() == Some(key))
        .map(|(key, _)| key.clone())
        .collect();
    let Some((leader, rest)) = orphans.split_first() else {
        return;
    };
    if let Some(symbol) = abi.symbols.get_mut(leader) {
        symbol.alias = None;
    }
    for key in rest {
        if let Some(symbol) = abi.symbols.get_mut(key) {
            symbol.alias = Some(leader.clone());
        }
    }
}

#[cfg(test)]
#[path = "floor_tests.rs"]
mod tests;
