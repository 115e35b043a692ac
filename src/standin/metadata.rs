//! Files that tell flags and versions: of pkg-config and CMake by key, of aclocal by
//! macro, others as a whole.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::{Difference, Kind, Test};
use super::names::Names;
use super::sources::spelled;
use super::tree::{File, Role, Tree};
use super::words::Words;

/// Keys of pkg-config that are for people.
const FOR_PEOPLE: &[&str] = &[
    "Description",
    "URL",
    "Name",
    "License",
    "Maintainer",
    "Copyright",
];
/// What defines a macro of m4, beside the kinds of `AC_DEFUN`.
const DEFINERS: &[&str] = &[
    "au_alias",
    "define",
    "m4_copy",
    "m4_copy_force",
    "m4_define",
    "m4_define_default",
    "m4_pushdef",
    "m4_rename",
    "m4_rename_force",
    "pushdef",
];
/// What stands for a package's own version.
const OWN: &str = "\u{1}";

/// The differences of all files but headers.
///
/// Those of CMake count if the consumer may run it.
pub(super) fn files(
    old: &Tree,
    new: &Tree,
    names: &mut Names,
    runs_cmake: bool,
) -> Vec<Difference> {
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
            Role::Cmake if !runs_cmake => continue,
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

/// Whether a source names CMake or Meson, which asks CMake for what pkg-config does not know.
pub(super) fn runs_cmake(words: &Words) -> bool {
    let tells = |text: &[u8]| {
        let text = text.to_ascii_lowercase();
        let has = |part: &str| text.windows(part.len()).any(|at| at == part.as_bytes());
        ["cmake", "find_package", "find_dependency", "meson"]
            .into_iter()
            .any(has)
    };
    let files = words.files.iter().map(String::as_bytes);
    files
        .chain(words.words.keys().map(Vec::as_slice))
        .any(tells)
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
pub(super) type Facts = BTreeMap<String, String>;

/// Reads a module of pkg-config.
pub(super) fn facts(file: &File) -> Facts {
    let text = String::from_utf8_lossy(&file.data).into_owned();
    let mut facts = Facts::new();
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

/// A value of a module with its variables, as far as they are its own.
pub(super) fn expanded(text: &str, facts: &Facts) -> String {
    /// Most variables in one another, and longest value.
    const MAX: (usize, usize) = (64, 64 << 10);
    let mut out = text.to_owned();
    for _ in 0..MAX.0 {
        let found = out.match_indices("${").find_map(|(at, _)| {
            let name = out.get(at + 2..)?.split('}').next()?;
            let value = facts.get(&format!("${name}"))?;
            Some((at..at + name.len() + 3, value))
        });
        match found {
            Some((range, value)) if out.len() < MAX.1 && out.is_char_boundary(range.end) => {
                out.replace_range(range, value);
            }
            _ => break,
        }
    }
    out
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
    // `Version: ${version}`
    let version = |facts: &Facts| facts.get("Version").map(|text| expanded(text, facts));
    let version = |facts: &Facts| version(facts).unwrap_or_default();
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
        let raw = |facts: &Facts| facts.get(key).cloned();
        let value = |facts: &Facts, version: &str| {
            raw(facts).map(|text| without(&expanded(&text, facts), version))
        };
        if raw(&old) == raw(&new) && value(&old, &before) == value(&new, &after) {
            continue;
        }
        let name = key.trim_start_matches(['$', '?']);
        let mut named = named.clone();
        if value(&old, &before) == value(&new, &after) {
            // It tells the version: to who asks for this variable.
            if !key.starts_with('$') {
                continue;
            }
            named.push(name.to_owned());
        }
        found.push(Difference {
            kind: Kind::Module,
            test: Test::Spelled(named),
            what: format!("{path} says something else for {name}"),
        });
    }
    found
}

/// A text with another instead of the package's own version, except where it is a macro's
/// value.
fn without(text: &str, version: &str) -> String {
    if !version.contains('.') {
        return text.to_owned();
    }
    let words = text.split(' ').map(|word| {
        let is_macro = word.trim_start_matches(['"', '\'', '\\']).starts_with("-D");
        match is_macro {
            true => word.to_owned(),
            false => word.replace(version, OWN),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How a source may call the package that a file of CMake belongs to: by the folder
/// and by the file, `foo-1.2` and `Foo` of `lib/cmake/foo-1.2/FooConfig.cmake`.
pub(super) fn packages(path: &str) -> Vec<&str> {
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
    let package = ends.iter().find_map(|end| stem.strip_suffix(end));
    // Another file of the package has its own name, which means nothing by itself.
    let stem = package.or(folder.is_none().then_some(stem));
    let mut all: Vec<&str> = folder.into_iter().chain(stem).collect();
    all.dedup();
    all
}

fn cmake(path: &str, a: Option<&File>, b: Option<&File>) -> Vec<Difference> {
    let packages = packages(path);
    let all = packages.iter();
    all.flat_map(|package| cmake_of(path, package, a, b))
        .collect()
}

fn cmake_of(path: &str, package: &str, a: Option<&File>, b: Option<&File>) -> Vec<Difference> {
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
    let tells = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("set(package_version ")
    };
    let version = |lines: &[String]| {
        let line = lines.iter().find(|line| tells(line));
        let value = line.and_then(|line| line.split_once(' '));
        let value = value.map(|(_, value)| value.trim_end_matches(')').trim_matches(['"', ' ']));
        value.unwrap_or_default().to_owned()
    };
    let (before, after) = (version(&old), version(&new));
    let plain = |lines: &[String], version: &str| -> Vec<String> {
        lines
            .iter()
            .map(|line| match tells(line) && line.contains(version) {
                true => line.replacen(version, OWN, 1),
                false => major_only(&without(line, version)),
            })
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
pub(super) fn lines(file: &File) -> Vec<String> {
    let text = String::from_utf8_lossy(&file.data);
    // `#[[` and `[[` may go on over lines: then nothing is taken out.
    let is_plain = !text.contains("[[") && !text.contains("[=");
    let mut in_quotes = false;
    let lines = text.lines().map(|line| {
        if !is_plain {
            return line;
        }
        let starts_in_quotes = in_quotes;
        let mut escaped = false;
        for (at, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_quotes = !in_quotes,
                b'#' if !in_quotes => {
                    let code = line.get(..at).unwrap_or(line);
                    return if starts_in_quotes { code } else { code.trim() };
                }
                _ => {}
            }
        }
        // Blanks count in quotes.
        match starts_in_quotes || in_quotes {
            true => line,
            false => line.trim(),
        }
    });
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
    let what = format!("{path} {}", how(a, b));
    let of = |test| Difference {
        kind: Kind::M4,
        what: what.clone(),
        test,
    };
    let mut defined: BTreeSet<String> = BTreeSet::new();
    for file in [a, b].into_iter().flatten() {
        match defines(&String::from_utf8_lossy(&file.data)) {
            Some(names) => defined.extend(names),
            None => return vec![of(Test::Always)],
        }
    }
    if defined.is_empty() {
        return vec![of(Test::Spelled(words(base(path))))];
    }
    defined
        .iter()
        .map(|name| of(Test::Name(names.name(name.as_bytes()))))
        .collect()
}

/// The macros that a file of aclocal defines, by `AC_DEFUN`, `AU_ALIAS`, `m4_copy` and what
/// else may; `None` if one has a name that is put together.
fn defines(text: &str) -> Option<BTreeSet<String>> {
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut defined = BTreeSet::new();
    for (at, _) in text.match_indices('(') {
        let head = text.get(..at).unwrap_or_default();
        let call = head.len() - head.trim_end_matches(in_name).len();
        let call = head
            .get(at - call..)
            .unwrap_or_default()
            .to_ascii_lowercase();
        if !DEFINERS.contains(&call.as_str()) && !call.contains("defun") {
            continue;
        }
        // Of a copy, the second one is the macro.
        let mut rest = text.get(at + 1..).unwrap_or_default();
        for argument in 0..2 {
            rest = rest.trim_start_matches(['[', ' ', '\n', '\t']);
            let length = rest.len() - rest.trim_start_matches(in_name).len();
            let (name, after) = rest.split_at(length);
            let after = after.trim_start_matches([']', ' ', '\n', '\t']);
            let ends = after.starts_with([',', ')']);
            // `$1` is in a body, which only runs for who names the macro around it.
            if argument == 0 && !ends && !after.starts_with('$') {
                return None;
            }
            if ends && !name.is_empty() {
                defined.insert(name.to_owned());
            }
            match after.strip_prefix(',') {
                Some(next) => rest = next,
                None => break,
            }
        }
    }
    Some(defined)
}
