//! Imports point down only: no circle between files, no room above its users.
//!
//! Every `crate::`, `super::` and child path of `src/` and `shim/src/` counts, in
//! `use` lines and in code, tests included; a re-export stands for the file that
//! it names. A `mod.rs` is above the files that it re-exports.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

/// The rooms of `src/`, the highest first; those of one line do not know each other.
const HOST: &[&[&str]] = &[
    &["cli"],
    &["link", "bench", "stub", "standin", "seal", "reach"],
    &["status"],
    &["adopt", "verify"],
    &["update"],
    &["table", "abi"],
    &["resolve"],
    &["resolve::files"],
    &["resolve::addresses"],
    &["place"],
    &["elf"],
    &["exit", "artefacts", "interrupt", "say", "shell"],
    &["arch"],
];

/// The rooms of `shim/src/`; the empty name stands for what is in no other.
const SHIM: &[&[&str]] = &[&["binder", "interp"], &["format"], &[""], &["arch"]];

#[test]
fn imports_of_the_host_point_down() {
    let files = sources("src");
    assert!(files.len() > 100, "only {} files", files.len());
    let (edges, faults) = check(&files, HOST);
    assert!(edges > 300, "only {edges} imports were seen");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn imports_of_the_shim_point_down() {
    let files = sources("shim/src");
    assert!(files.len() > 20, "only {} files", files.len());
    let (edges, faults) = check(&files, SHIM);
    assert!(edges > 50, "only {edges} imports were seen");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What `check` says of `files`, without the count.
fn faults(files: &[(&str, &str)], order: &[&[&str]]) -> Vec<String> {
    let own = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
    check(&files.iter().map(own).collect::<Vec<_>>(), order).1
}

#[test]
fn a_planted_circle_is_found() {
    let top = ("high/mod.rs", "mod a; mod b; mod c;\npub use c::Thing;");
    let down = ("high/a.rs", "use super::b::{self, Other};\n// super::c\n");
    let far = ("high/b.rs", "use crate::low::Thing as Other;");
    let low = (
        "low.rs",
        "pub struct Thing; const TEXT: &str = \"crate::high::a\";",
    );
    let fine = ("high/c.rs", "pub struct Thing;");
    let order: &[&[&str]] = &[&["high"], &["low"]];
    assert_eq!(faults(&[top, down, far, low, fine], order), [""; 0]);

    // By a `use`, by a path in code, and by a name that is re-exported.
    let circle = ["circle: high/a.rs -> high/b.rs -> high/a.rs"];
    for back in [
        "use crate::low::Thing as Other;\nuse super::a::x;",
        "fn f() { crate::high::a::x() }",
        "mod tests { use super::super::a::*; }",
    ] {
        assert_eq!(
            faults(&[top, down, ("high/b.rs", back), low, fine], order),
            circle
        );
    }
    let user = ("high/c.rs", "use super::a::x;");
    let by_export = ("high/b.rs", "use super::Thing;");
    let circle = ["circle: high/a.rs -> high/b.rs -> high/c.rs -> high/a.rs"];
    assert_eq!(faults(&[top, down, by_export, low, user], order), circle);

    // What a mod.rs has of its own is above the files that it names.
    let own = ("high/c.rs", "use super::Own; pub struct Thing;");
    let circle = ["circle: high/mod.rs -> high/c.rs -> high/mod.rs"];
    assert_eq!(faults(&[top, down, far, low, own], order), circle);
}

#[test]
fn an_import_that_points_up_is_found() {
    let high = ("high/mod.rs", "pub mod inner;");
    let inner = ("high/inner.rs", "pub struct Thing;");
    let low = ("low.rs", "use crate::{high::inner::Thing, other};");
    let other = ("other.rs", "");
    let order: &[&[&str]] = &[&["high"], &["low", "other"]];
    let up = [
        "up: low.rs imports high/inner.rs",
        "up: low.rs imports other.rs",
    ];
    assert_eq!(faults(&[high, inner, low, other], order), up);
    // A room within a room.
    let order: &[&[&str]] = &[&["high::inner"], &["high"], &["low"]];
    let up = ["up: high/mod.rs imports high/inner.rs"];
    let high = ("high/mod.rs", "pub mod inner;\nuse inner::Thing;");
    assert_eq!(faults(&[high, inner], order), up);
    let nowhere = ["in no room: low.rs"];
    let low = ("low.rs", "use crate::high::inner::Thing;");
    assert_eq!(faults(&[high, inner, low], &[&["high"]]), nowhere);
}

/// Path from the root of the crate and text of every file.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(&root).unwrap().display().to_string();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

/// Names of modules from the root of the crate.
type Module = Vec<String>;

/// The imports of `files`, how many there are, and what is wrong with them.
fn check(files: &[(String, String)], order: &[&[&str]]) -> (usize, Vec<String>) {
    let mut module_of: Vec<Module> = files.iter().map(|(path, _)| module(path)).collect();
    for (index, (_, text)) in files.iter().enumerate() {
        // `#[path = "x_tests.rs"] mod tests;`
        let lines = || text.lines().map(str::trim);
        for (attribute, declared) in lines().zip(lines().skip(1)) {
            let file = attribute
                .strip_prefix("#[path = \"")
                .and_then(|a| a.strip_suffix("\"]"));
            let name = declared
                .trim_start_matches("pub(crate) ")
                .strip_prefix("mod ");
            if let Some((file, name)) = file.zip(name.and_then(|name| name.strip_suffix(';'))) {
                let path = Path::new(&files[index].0)
                    .with_file_name(file)
                    .display()
                    .to_string();
                if let Some(at) = files.iter().position(|(other, _)| *other == path) {
                    module_of[at] = [&*module_of[index], &[name.to_owned()]].concat();
                }
            }
        }
    }
    let parsed = files
        .iter()
        .zip(&module_of)
        .map(|((_, text), module)| parse(text, module));
    let parsed: Vec<Parsed> = parsed.collect();
    let by_module = module_of.iter().cloned().zip(0..).collect();
    let crate_ = Crate {
        parsed: &parsed,
        by_module,
    };
    let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (from, file) in parsed.iter().enumerate() {
        let targets = file.paths.iter().filter_map(|path| crate_.file_of(path, 0));
        let targets = targets.filter(|&to| to != from && !module_of[to].is_empty());
        edges.extend(targets.map(|to| (from, to)));
    }
    edges.retain(|&(from, _)| !module_of[from].is_empty());
    let name = |index: usize| files[index].0.as_str();

    let mut faults = BTreeSet::new();
    for &(from, to) in &edges {
        let rooms = (room(&module_of[from], order), room(&module_of[to], order));
        match rooms {
            (Some((high, of_high)), Some((low, of_low))) => {
                if high > low || high == low && of_high != of_low {
                    faults.insert(format!("up: {} imports {}", name(from), name(to)));
                }
            }
            (None, _) => drop(faults.insert(format!("in no room: {}", name(from)))),
            (_, None) => drop(faults.insert(format!("in no room: {}", name(to)))),
        }
        if let Some(mut circle) = way(&edges, to, from) {
            let first = circle
                .iter()
                .enumerate()
                .min_by_key(|(_, file)| **file)
                .unwrap()
                .0;
            circle.rotate_left(first);
            circle.push(circle[0]);
            let names: Vec<&str> = circle.into_iter().map(name).collect();
            faults.insert(format!("circle: {}", names.join(" -> ")));
        }
    }
    (edges.len(), faults.into_iter().collect())
}

/// The shortest way along `edges`, both ends included.
fn way(edges: &BTreeSet<(usize, usize)>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before = BTreeMap::from([(from, from)]);
    let mut queue = VecDeque::from([from]);
    while let Some(at) = queue.pop_front() {
        if at == to {
            let mut way = vec![to];
            while way[way.len() - 1] != from {
                way.push(before[&way[way.len() - 1]]);
            }
            way.reverse();
            return Some(way);
        }
        for &(_, next) in edges.range((at, 0)..(at + 1, 0)) {
            before.entry(next).or_insert_with(|| {
                queue.push_back(next);
                at
            });
        }
    }
    None
}

/// Line in `order` and name of the innermost room that a module is in.
fn room<'a>(module: &[String], order: &[&[&'a str]]) -> Option<(usize, &'a str)> {
    let lines = order.iter().enumerate();
    let rooms = lines.flat_map(|(line, rooms)| rooms.iter().map(move |room| (line, *room)));
    let module = module.join("::");
    let is_within = |room: &str| {
        let rest = module.strip_prefix(room);
        room.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    };
    rooms
        .filter(|(_, room)| is_within(room))
        .max_by_key(|(_, room)| room.len())
}

fn module(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let mut names: Module = path.split('/').map(str::to_owned).collect();
    if names
        .last()
        .is_some_and(|name| ["mod", "lib", "main"].contains(&name.as_str()))
    {
        names.pop();
    }
    names
}

struct Crate<'a> {
    parsed: &'a [Parsed],
    by_module: BTreeMap<Module, usize>,
}

impl Crate<'_> {
    /// The file that an absolute path ends in, re-exports followed.
    fn file_of(&self, path: &[String], depth: usize) -> Option<usize> {
        let longest = (0..=path.len())
            .rev()
            .find(|&len| self.by_module.contains_key(&path[..len]))?;
        let file = self.by_module[&path[..longest]];
        let exported = path
            .get(longest)
            .and_then(|name| self.parsed[file].exports.get(name));
        match exported {
            Some(target) if depth < 8 => {
                self.file_of(&[target, &path[longest + 1..]].concat(), depth + 1)
            }
            _ => Some(file),
        }
    }
}

/// What a file names, as paths from the root of the crate.
struct Parsed {
    paths: Vec<Module>,
    exports: BTreeMap<String, Module>,
}

fn parse(text: &str, module: &[String]) -> Parsed {
    let tokens = tokens(text);
    let token = |at: usize| tokens.get(at).map_or("", String::as_str);
    let mut parsed = Parsed {
        paths: Vec::new(),
        exports: BTreeMap::new(),
    };
    let declared = (0..tokens.len()).filter(|&at| token(at) == "mod" && token(at + 2) == ";");
    let children: BTreeSet<&str> = declared.map(|at| token(at + 1)).collect();
    // Inline modules, with how deep in braces each begins.
    let mut inner: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    let mut at = 0;
    while at < tokens.len() {
        let here: Module = module
            .iter()
            .chain(inner.iter().map(|(name, _)| name))
            .cloned()
            .collect();
        let absolute = |path: &[String]| -> Option<Module> {
            let mut base = match path.first()?.as_str() {
                "crate" => Module::new(),
                "super" | "self" => here.clone(),
                child if children.contains(child) && inner.is_empty() => here.clone(),
                _ => return None,
            };
            let rest = usize::from(matches!(path[0].as_str(), "crate" | "self"));
            for name in &path[rest..] {
                match name.as_str() {
                    "super" => drop(base.pop()),
                    "self" | "*" => {}
                    name => base.push(name.to_owned()),
                }
            }
            Some(base)
        };
        match token(at) {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                inner.pop_if(|(_, from)| *from == depth);
            }
            "mod" if token(at + 2) == "{" => inner.push((token(at + 1).to_owned(), depth)),
            "use" => {
                let is_export = at > 0 && token(at - 1) == "pub" && inner.is_empty();
                at += 1;
                let mut all = Vec::new();
                tree(&tokens, &mut at, &[], &mut all);
                for (path, name) in all {
                    if let Some(target) = absolute(&path) {
                        if is_export {
                            parsed.exports.insert(name, target.clone());
                        }
                        parsed.paths.push(target);
                    }
                }
                continue;
            }
            _ if token(at + 1) == "::" && (at == 0 || token(at - 1) != "::") => {
                let mut path = vec![token(at).to_owned()];
                while token(at + 1) == "::" && is_name(token(at + 2)) {
                    path.push(token(at + 2).to_owned());
                    at += 2;
                }
                parsed.paths.extend(absolute(&path));
            }
            _ => {}
        }
        at += 1;
    }
    parsed
}

/// The paths of a `use`, and the name that each is known by.
fn tree(tokens: &[String], at: &mut usize, front: &[String], all: &mut Vec<(Module, String)>) {
    let mut path = front.to_vec();
    while let Some(token) = tokens.get(*at) {
        match token.as_str() {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| token != "}") {
                    tree(tokens, at, &path, all);
                    if tokens.get(*at).is_some_and(|token| token == ",") {
                        *at += 1;
                    }
                }
                *at += 1;
                return;
            }
            "::" => *at += 1,
            "as" => {
                all.push((path, tokens.get(*at + 1).cloned().unwrap_or_default()));
                *at += 2;
                return;
            }
            token if is_name(token) || token == "*" => {
                path.push(token.to_owned());
                *at += 1;
            }
            _ => break,
        }
    }
    let name = path.last().cloned().unwrap_or_default();
    all.push((path, name));
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Names and punctuation, without comments, literals and `(…)` behind `pub`.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at_is = |at: usize, what: &str| {
        what.chars()
            .enumerate()
            .all(|(i, c)| chars.get(at + i) == Some(&c))
    };
    let mut tokens: Vec<String> = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let is_word = |at: usize| {
            chars
                .get(at)
                .is_some_and(|c| c.is_alphanumeric() || *c == '_')
        };
        if at_is(at, "//") {
            while chars.get(at).is_some_and(|c| *c != '\n') {
                at += 1;
            }
        } else if at_is(at, "/*") {
            while at < chars.len() && !at_is(at, "*/") {
                at += 1;
            }
            at += 2;
        } else if c == '"' {
            at += 1;
            while chars.get(at).is_some_and(|c| *c != '"') {
                at += if chars[at] == '\\' { 2 } else { 1 };
            }
            at += 1;
        } else if c == '\'' {
            // A character, or else a lifetime.
            if chars.get(at + 1) == Some(&'\\') {
                at += 3;
                while chars.get(at).is_some_and(|c| *c != '\'') {
                    at += 1;
                }
                at += 1;
            } else {
                at += if chars.get(at + 2) == Some(&'\'') {
                    3
                } else {
                    1
                };
            }
        } else if is_word(at) {
            let from = at;
            while is_word(at) {
                at += 1;
            }
            let word: String = chars[from..at].iter().collect();
            let hashes = chars[at..].iter().take_while(|c| **c == '#').count();
            if ["r", "br", "cr"].contains(&&*word) && chars.get(at + hashes) == Some(&'"') {
                let end = format!("\"{}", "#".repeat(hashes));
                at += hashes + 1;
                while at < chars.len() && !at_is(at, &end) {
                    at += 1;
                }
                at += end.len();
            } else if word == "pub" && chars.get(at) == Some(&'(') {
                while chars.get(at).is_some_and(|c| *c != ')') {
                    at += 1;
                }
                at += 1;
                tokens.push(word);
            } else {
                tokens.push(word);
            }
        } else if at_is(at, "::") {
            tokens.push("::".to_owned());
            at += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
            at += 1;
        }
    }
    tokens
}
