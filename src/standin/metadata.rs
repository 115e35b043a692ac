//! Files that tell flags and versions: of pkg-config and CMake by key, of aclocal by
//! macro, others as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Kind, Test};
use super::names::Names;
use super::sources::spelled;
use super::tree::{File, Role, Tree};

/// Keys of pkg-config that are for people.
const FOR_PEOPLE: &[&str] = &[
    "Description",
    "URL",
    "Name",
    "License",
    "Maintainer",
    "Copyright",
];
/// What stands for a package's own version.
const OWN: &str = "\u{1}";

/// The differences of all files but headers.
pub(super) fn files(old: &Tree, new: &Tree, names: &mut Names) -> Vec<Difference> {
    let mut found = Vec::new();
    let paths: BTreeSet<&String> = old.files.keys().chain(new.files.keys()).collect();
    for path in paths {
        let (a, b) = (old.files.get(path), new.files.get(path));
        let Some(role) = b.or(a).map(|file| file.role) else {
            continue;
        };
        if role == Role::Header || a.map(|f| &f.data) == b.map(|f| &f.data) {
            continue;
        }
        let differ = match role {
            Role::Header => continue,
            Role::Linked => vec![Difference {
                kind: Kind::Library,
                test: Test::Always,
                what: format!("{path} {}", how(a, b)),
            }],
            Role::Module => module(path, a, b),
            Role::Cmake => cmake(path, a, b),
            Role::M4 => m4(path, a, b, names),
            Role::Other => vec![Difference {
                kind: Kind::File,
                test: Test::Spelled(words(base(path))),
                what: format!("{path} {}", how(a, b)),
            }],
        };
        found.extend(differ);
    }
    found
}

fn how(a: Option<&File>, b: Option<&File>) -> &'static str {
    match (a, b) {
        (None, _) => "is new",
        (_, None) => "is gone",
        _ => "is another",
    }
}

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn words(text: &str) -> Vec<String> {
    spelled(text).map(str::to_owned).collect()
}

/// What a module of pkg-config says, by key; variables begin with `$`.
fn facts(file: &File) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(&file.data).into_owned();
    let mut facts: BTreeMap<String, String> = BTreeMap::new();
    for line in text.replace("\\\n", " ").lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some(at) = line.find([':', '=']) else {
            facts.insert(format!("?{line}"), String::new());
            continue;
        };
        let (key, value) = line.split_at(at);
        let key = match value.starts_with(':') {
            true => key.trim().to_owned(),
            false => format!("${}", key.trim()),
        };
        let value = value.get(1..).unwrap_or_default();
        let value: Vec<&str> = value.split_whitespace().collect();
        facts.insert(key, value.join(" "));
    }
    facts
}

/// The modules that a module of pkg-config requires.
pub(super) fn requires(file: &File) -> Vec<String> {
    let facts = facts(file);
    let keys = ["Requires", "Requires.private", "Requires.internal"];
    let lists = keys.iter().filter_map(|key| facts.get(*key));
    lists
        .flat_map(|list| list.split([',', ' ']))
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()))
        .map(str::to_owned)
        .collect()
}

fn module(path: &str, a: Option<&File>, b: Option<&File>) -> Vec<Difference> {
    let named = words(base(path).trim_end_matches(".pc"));
    let (Some(a), Some(b)) = (a, b) else {
        return vec![Difference {
            kind: Kind::Module,
            test: Test::Spelled(named),
            what: format!("{path} {}", how(a, b)),
        }];
    };
    let (old, new) = (facts(a), facts(b));
    let version = |facts: &BTreeMap<String, String>| {
        let text = facts.get("Version").cloned().unwrap_or_default();
        // `Version: ${version}`
        let name = text
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        let value = name.and_then(|name| facts.get(&format!("${name}")));
        value.cloned().unwrap_or(text)
    };
    let (before, after) = (version(&old), version(&new));
    let mut found = Vec::new();
    if before != after {
        found.push(Difference {
            kind: Kind::Version,
            what: format!("{path} tells version {after} instead of {before}"),
            test: Test::Version {
                named: named.clone(),
                prefixes: Vec::new(),
                old: before.clone(),
                new: after.clone(),
            },
        });
    }
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for key in keys {
        if FOR_PEOPLE.contains(&key.as_str()) || key == "Version" {
            continue;
        }
        let value = |facts: &BTreeMap<String, String>, version: &str| {
            facts.get(key).map(|text| without(text, version))
        };
        if value(&old, &before) != value(&new, &after) {
            let key = key.trim_start_matches(['$', '?']);
            found.push(Difference {
                kind: Kind::Module,
                test: Test::Spelled(named.clone()),
                what: format!("{path} says something else for {key}"),
            });
        }
    }
    found
}

/// A text with another instead of the package's own version.
fn without(text: &str, version: &str) -> String {
    match version.contains('.') {
        true => text.replace(version, OWN),
        false => text.to_owned(),
    }
}

fn cmake(path: &str, a: Option<&File>, b: Option<&File>) -> Vec<Difference> {
    let mut parts = path.rsplit('/').skip(1);
    let folder = parts.next().filter(|folder| *folder != "cmake");
    let stem = base(path).trim_end_matches(".cmake");
    let ends = [
        "-config-version",
        "-config",
        "ConfigVersion",
        "Config",
        "-targets",
        "Targets",
    ];
    let stem = ends
        .iter()
        .find_map(|end| stem.strip_suffix(end))
        .unwrap_or(stem);
    let package = folder.unwrap_or(stem);
    // `Foo-1.2`
    let named = words(package);
    let changed = |what: String| Difference {
        kind: Kind::Cmake,
        test: Test::Spelled(named.clone()),
        what,
    };
    let (Some(a), Some(b)) = (a, b) else {
        return vec![changed(format!("{path} {}", how(a, b)))];
    };
    let (old, new) = (lines(a), lines(b));
    let version = |lines: &[String]| {
        let line = lines.iter().find(|line| {
            line.to_ascii_lowercase()
                .starts_with("set(package_version ")
        });
        let value = line.and_then(|line| line.split_once(' '));
        let value = value.map(|(_, value)| value.trim_end_matches(')').trim_matches(['"', ' ']));
        value.unwrap_or_default().to_owned()
    };
    let (before, after) = (version(&old), version(&new));
    let plain = |lines: &[String], version: &str| -> Vec<String> {
        lines
            .iter()
            .map(|line| major_only(&without(line, version)))
            .collect()
    };
    if plain(&old, &before) != plain(&new, &after) {
        return vec![changed(format!("{path} says something else"))];
    }
    if before == after {
        return Vec::new();
    }
    vec![Difference {
        kind: Kind::Version,
        what: format!("{path} tells version {after} instead of {before}"),
        test: Test::Version {
            named: named.clone(),
            prefixes: vec![package.to_owned()],
            old: before,
            new: after,
        },
    }]
}

/// The lines of a script of CMake without comments and indentation.
fn lines(file: &File) -> Vec<String> {
    let text = String::from_utf8_lossy(&file.data).into_owned();
    let lines = text
        .lines()
        .map(|line| line.split_once('#').map_or(line, |(line, _)| line).trim());
    lines
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// `libx.so.1.2.13` as `libx.so.1`: the rest is the file's affair.
fn major_only(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find(".so.") {
        let (head, tail) = rest.split_at(at + ".so.".len());
        let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
        out.push_str(head);
        let major = digits(tail);
        out.push_str(tail.get(..major).unwrap_or_default());
        rest = tail.get(major..).unwrap_or_default();
        while let Some(minor) = rest.strip_prefix('.').filter(|minor| digits(minor) > 0) {
            rest = minor.get(digits(minor)..).unwrap_or_default();
        }
    }
    out.push_str(rest);
    out
}

fn m4(path: &str, a: Option<&File>, b: Option<&File>, names: &mut Names) -> Vec<Difference> {
    let mut defined: BTreeSet<String> = BTreeSet::new();
    for file in [a, b].into_iter().flatten() {
        let text = String::from_utf8_lossy(&file.data);
        for call in ["AC_DEFUN", "AU_ALIAS", "m4_define", "AC_DEFUN_ONCE"] {
            for (at, _) in text.match_indices(call) {
                let rest = text.get(at + call.len()..).unwrap_or_default();
                let rest = rest.trim_start_matches(['(', '[', ' ', '\n']);
                let name: String = rest
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
                    .collect();
                if !name.is_empty() {
                    defined.insert(name);
                }
            }
        }
    }
    let what = format!("{path} {}", how(a, b));
    let of = |test| Difference {
        kind: Kind::M4,
        what: what.clone(),
        test,
    };
    if defined.is_empty() {
        return vec![of(Test::Spelled(words(base(path))))];
    }
    defined
        .iter()
        .map(|name| of(Test::Name(names.name(name.as_bytes()))))
        .collect()
}
