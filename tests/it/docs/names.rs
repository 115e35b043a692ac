//! What the pages name is there: files, headings, subcommands, options, make targets,
//! tests, messages.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use super::{TOP, pages, read, spans, split};
use crate::support::{indir, run};

/// The targets of links.
fn links(text: &str) -> Vec<&str> {
    let ends = text.split("](").skip(1);
    ends.filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .map(|c| if c == ' ' { '-' } else { c })
        .collect::<String>();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
        .collect()
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        for link in links(&split(&text).0) {
            if link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let folder = Path::new(&page).parent().unwrap();
            let path = match file {
                "" => Path::new(TOP).join(&page),
                file => Path::new(TOP).join(folder).join(file),
            };
            let has_heading = || {
                let target = std::fs::read_to_string(&path).unwrap_or_default();
                let headings = target.lines().filter(|line| line.starts_with('#'));
                headings
                    .map(|line| anchor(line.trim_start_matches('#').trim()))
                    .any(|a| a == heading)
            };
            if !path.exists() || !heading.is_empty() && !has_heading() {
                wrong.push(format!("{page}: {link}"));
            }
        }
    }
    assert!(seen > 40, "only {seen} links were seen");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(anchor("`indir adopt --undo`"), "indir-adopt---undo");
}

/// What `--help` of a subcommand lists: subcommands and options.
fn listed(args: &[&str]) -> (BTreeSet<String>, BTreeSet<String>) {
    let help = run(indir().args(args).arg("--help"));
    let help = help.success().stdout();
    let mut section = "";
    let (mut commands, mut options) = (BTreeSet::new(), BTreeSet::new());
    for line in help.lines() {
        if !line.is_empty() && !line.starts_with(' ') {
            section = line;
        }
        let words = line.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'));
        let mut words = words.filter(|word| !word.is_empty());
        match section {
            "Commands:" if line.starts_with("  ") && !line.starts_with("   ") => {
                commands.extend(words.next().map(str::to_owned));
            }
            "Options:" if line.trim_start().starts_with('-') => {
                let names = words.take_while(|word| word.starts_with('-'));
                options.extend(names.map(str::to_owned));
            }
            _ => {}
        }
    }
    (commands, options)
}

/// The words of each call of `indir` in a span, or a line of a block.
fn calls(text: &str) -> Vec<Vec<&str>> {
    let mut calls = Vec::new();
    for command in text.split(['|', ';', '&', '(', ')', '\n']) {
        let words: Vec<&str> = command.split_whitespace().collect();
        let is_indir = |word: &&str| *word == "indir" || word.ends_with("bin/indir");
        if let Some(at) = words.iter().position(is_indir) {
            calls.push(words[at + 1..].to_vec());
        }
    }
    calls
}

#[test]
fn subcommands_and_options_exist() {
    let (mut commands, _) = listed(&[]);
    // clap's own, which knows no --help.
    assert!(commands.remove("help"));
    let mut help: BTreeMap<Vec<&str>, BTreeSet<String>> = BTreeMap::new();
    let names: Vec<&str> = commands.iter().map(String::as_str).collect();
    for &name in &names {
        help.insert(vec![name], listed(&[name]).1);
    }
    for &name in &["dump", "diff", "floor"] {
        help.insert(vec!["abi", name], listed(&["abi", name]).1);
    }
    let (mut seen, mut wrong) = (0, Vec::new());
    for page in pages() {
        let (text, blocks) = split(&read(&page));
        let blocks = blocks.iter().map(|block| block.replace("\\\n", " "));
        for code in spans(&text).into_iter().chain(blocks) {
            for call in calls(&code) {
                let Some(&first) = call.first() else { continue };
                // Messages begin with `indir:`; these are no calls either.
                let is_word = first.bytes().all(|b| b.is_ascii_lowercase());
                let in_block = code.ends_with('\n');
                if !is_word || in_block && !names.contains(&first) {
                    continue;
                }
                if !names.contains(&first) {
                    wrong.push(format!("{page}: no subcommand: indir {}", call.join(" ")));
                    continue;
                }
                seen += 1;
                let key = match call.get(1) {
                    Some(&second)
                        if first == "abi" && ["dump", "diff", "floor"].contains(&second) =>
                    {
                        vec![first, second]
                    }
                    _ => vec![first],
                };
                let end = call
                    .iter()
                    .position(|word| *word == "--" || word.starts_with('#'));
                for word in &call[..end.unwrap_or(call.len())] {
                    let option = word.trim_matches(|c| "[]…`'\",.".contains(c));
                    let option = option.split('=').next().unwrap();
                    if option.starts_with('-')
                        && option != "-"
                        && !["--help", "-h"].contains(&option)
                        && !help[&key].contains(option)
                        // What stands behind PROGRAM is the program's own.
                        && first != "bench"
                    {
                        wrong.push(format!("{page}: no {option}: indir {}", call.join(" ")));
                    }
                }
            }
        }
    }
    assert!(seen > 100, "only {seen} calls were seen");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn make_targets_exist() {
    let makefile = read("Makefile");
    let targets = makefile.lines().find_map(|l| l.strip_prefix(".PHONY:"));
    let targets: Vec<&str> = targets.unwrap().split_whitespace().collect();
    // Of other projects, whose makefiles the pages call.
    let others = ["check", "all"];
    let mut seen = 0;
    for page in pages() {
        let (text, blocks) = split(&read(&page));
        for code in spans(&text).into_iter().chain(blocks) {
            for line in code.lines() {
                let line = line.trim_start_matches("$ ");
                let Some(target) = line.strip_prefix("make ") else {
                    continue;
                };
                let target = target.split_whitespace().next().unwrap();
                if target.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
                    && !target.starts_with('-')
                {
                    let is_there = targets.contains(&target) || others.contains(&target);
                    assert!(is_there, "{page}: {line}");
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 10, "only {seen} targets were seen");
}

#[test]
fn tests_that_are_named_exist() {
    let list = run(Command::new(std::env::current_exe().unwrap()).arg("--list"));
    let list = list.success().stdout();
    let tests: Vec<&str> = list
        .lines()
        .filter_map(|l| l.strip_suffix(": test"))
        .collect();
    assert!(tests.len() > 400);
    let areas: BTreeSet<&str> = tests
        .iter()
        .filter_map(|test| test.split("::").next())
        .collect();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for page in pages() {
        let text = read(&page);
        let (text, _) = split(&text);
        for span in spans(&text) {
            // Of `cargo test --test it NAME …`, the name.
            let name = span.strip_prefix("cargo test --test it ").unwrap_or(&span);
            let name = name.split(' ').next().unwrap();
            let Some((area, _)) = name.split_once("::") else {
                continue;
            };
            let is_name = name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b));
            if !is_name || !areas.contains(area) {
                continue;
            }
            seen += 1;
            let is_test = tests.iter().any(|test| test.starts_with(name));
            if !is_test && !is_source(name) {
                wrong.push(format!("{page}: {name}"));
            }
        }
    }
    assert!(seen > 80, "only {seen} names were seen");
    assert!(wrong.is_empty(), "no such tests:\n{}", wrong.join("\n"));
}

/// Whether `name` is a module of the host, or something in one.
fn is_source(name: &str) -> bool {
    let path = name.trim_end_matches("::").replace("::", "/");
    let src = Path::new(TOP).join("src");
    let file = |path: &str| src.join(format!("{path}.rs")).exists() || src.join(path).is_dir();
    file(&path) || path.rsplit_once('/').is_some_and(|(path, _)| file(path))
}

#[test]
fn scripts_that_are_named_exist() {
    let mut seen = 0;
    for page in pages() {
        let text = read(&page);
        let words = text.split(|c: char| c.is_whitespace() || "`()[]\"',;:#".contains(c));
        for word in words {
            let word = word.trim_end_matches('.');
            let is_path = [
                "tests/scripts/",
                "tests/it/",
                "tests/programs/",
                "src/",
                "shim/",
                "share/",
                "nix/",
                "docs/",
            ]
            .iter()
            .any(|folder| word.starts_with(folder) && word.len() > folder.len());
            if is_path && !word.contains(['*', '{', '$', '…', '<']) {
                seen += 1;
                assert!(
                    Path::new(TOP).join(word).exists() || OTHERS.contains(&word),
                    "{page}: {word}"
                );
            }
        }
    }
    assert!(seen > 60, "only {seen} paths were seen");
}

/// Paths below a prefix, and in other systems.
const OTHERS: &[&str] = &["share/indir/gdb.py"];

#[test]
fn every_part_of_nix_every_page_and_every_schema_is_named() {
    let files = |folder: &str| -> Vec<String> {
        let entries = std::fs::read_dir(Path::new(TOP).join(folder)).unwrap();
        let files = entries.filter(|entry| entry.as_ref().unwrap().path().is_file());
        files
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let mut wrong = Vec::new();
    let mut look = |folder: &str, page: &str, text: &str| {
        let all = files(folder);
        assert!(all.len() > 10, "{all:?}");
        let missing = all.iter().filter(|name| !text.contains(name.as_str()));
        wrong.extend(missing.map(|name| format!("{page} does not name {folder}/{name}")));
    };
    look("nix", "docs/nix.md", &read("docs/nix.md"));
    look(
        "docs",
        "docs/README.md",
        &read("docs/README.md").replace("# ", "README.md"),
    );
    look("docs/schema", "docs/json.md", &read("docs/json.md"));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn messages_that_are_explained_are_said() {
    let guide = read("docs/guide.md");
    let (_, rest) = guide.split_once("\n## Troubleshooting").expect("a section");
    let section = rest.split("\n## ").next().unwrap();
    let mut sources = String::new();
    for folder in ["src", "shim/src"] {
        for entry in walkdir::WalkDir::new(Path::new(TOP).join(folder)) {
            let entry = entry.unwrap();
            if entry.file_type().is_file() {
                sources.push_str(&std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }
    let mut seen = 0;
    for row in section.lines().filter(|row| row.starts_with("| `")) {
        let message = row.split('`').nth(1).unwrap();
        // `…` stands for a name.
        for part in message
            .split('…')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            assert!(sources.contains(part), "nobody says {part:?}: {row}");
            seen += 1;
        }
    }
    assert!(seen > 10, "only {seen} messages were seen");
}
