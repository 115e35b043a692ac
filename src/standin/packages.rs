//! Which packages a consumer names, and those that these need, by pkg-config and CMake.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::metadata;
use super::sources::spelled;
use super::tree::{File, Role, Tree};

/// Longest call of CMake's that is looked into, in bytes.
const MAX_CALL: usize = 64 << 10;

/// What packages say of others.
#[derive(Debug, Default)]
pub(super) struct Packages {
    /// Those that are named or needed, by their words.
    named: HashSet<String>,
    /// The versions that are asked for by these.
    pub(super) versions: BTreeSet<String>,
}

/// What one package needs.
#[derive(Default)]
struct Needs {
    packages: BTreeSet<String>,
    versions: BTreeSet<String>,
}

impl Packages {
    /// The packages of all trees that are named by `is_spelled` words.
    pub(super) fn new(trees: &[Tree], is_spelled: &dyn Fn(&str) -> bool) -> Self {
        let mut needs: BTreeMap<String, Needs> = BTreeMap::new();
        for (path, file) in trees.iter().flat_map(|tree| &tree.files) {
            let packages = match file.role {
                Role::Module => {
                    let base = path.rsplit('/').next().unwrap_or(path);
                    vec![base.trim_end_matches(".pc")]
                }
                Role::Cmake => metadata::packages(path),
                _ => continue,
            };
            for package in packages {
                let needs = needs.entry(package.to_owned()).or_default();
                match file.role {
                    Role::Module => needs.of_module(file),
                    _ => needs.of_cmake(file),
                }
            }
        }
        let is_named = |package: &&String| spelled(package).all(is_spelled);
        let mut todo: Vec<String> = needs.keys().filter(is_named).cloned().collect();
        let mut found = Self::default();
        let mut seen: HashSet<String> = HashSet::new();
        while let Some(package) = todo.pop() {
            if !seen.insert(package.clone()) {
                continue;
            }
            found.named.insert(key(spelled(&package)));
            if let Some(needs) = needs.get(&package) {
                todo.extend(needs.packages.iter().cloned());
                found.versions.extend(needs.versions.iter().cloned());
            }
        }
        found
    }

    /// Whether a package is named or needed whose name has these words.
    pub(super) fn has(&self, words: &[String]) -> bool {
        self.named.contains(&key(words.iter().map(String::as_str)))
    }
}

fn key<'w>(words: impl Iterator<Item = &'w str>) -> String {
    words.collect::<Vec<_>>().join("-")
}

impl Needs {
    fn of_module(&mut self, file: &File) {
        let facts = metadata::facts(file);
        for key in ["Requires", "Requires.private", "Requires.internal"] {
            let Some(list) = facts.get(key) else { continue };
            for word in metadata::expanded(list, &facts).split([',', ' ', '<', '>', '=', '!']) {
                self.word(word);
            }
        }
    }

    fn of_cmake(&mut self, file: &File) {
        // All arguments: too many packages do no harm.
        const CALLS: &[&str] = &[
            "find_dependency",
            "find_package",
            "pkg_check_modules",
            "pkg_search_module",
        ];
        let text = metadata::lines(file).join("\n");
        let lower = text.to_ascii_lowercase();
        for call in CALLS {
            for (at, _) in lower.match_indices(call) {
                let rest = text.get(at + call.len()..).unwrap_or_default();
                let Some(list) = rest.trim_start().strip_prefix('(') else {
                    continue;
                };
                // A call without an end is none.
                let Some(end) = list.bytes().take(MAX_CALL).position(|b| b == b')') else {
                    continue;
                };
                let list = list.get(..end).unwrap_or_default();
                let words = list.split(|c: char| c.is_whitespace() || "\"<>=;".contains(c));
                words.for_each(|word| self.word(word));
            }
        }
    }

    /// A package or a version.
    fn word(&mut self, word: &str) {
        match word.chars().next() {
            Some(first) if first.is_ascii_digit() => {
                let ends = word.split("...").map(str::to_owned);
                self.versions.extend(ends);
            }
            Some(first) if first.is_ascii_alphabetic() => {
                self.packages.insert(word.to_owned());
            }
            _ => {}
        }
    }
}
