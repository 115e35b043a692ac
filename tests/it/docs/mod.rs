//! The pages: what they show is run, and what they name is there.

mod figures;
mod names;
mod pages;
mod pictures;

use std::path::{Path, PathBuf};

const TOP: &str = env!("CARGO_MANIFEST_DIR");

/// A page, by its path from the top.
fn read(page: &str) -> String {
    std::fs::read_to_string(Path::new(TOP).join(page))
        .unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every page for users and contributors, by its path from the top.
fn pages() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for entry in std::fs::read_dir(Path::new(TOP).join("docs")).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(format!("docs/{}", path.file_name().unwrap().display()));
        }
    }
    pages.sort();
    assert!(pages.len() > 15, "{pages:?}");
    pages
}

/// The text of a page outside of its fenced blocks, and the blocks.
fn split(page: &str) -> (String, Vec<String>) {
    let (mut text, mut blocks, mut fenced) = (String::new(), Vec::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
            if fenced {
                blocks.push(String::new());
            }
            continue;
        }
        let to = match blocks.last_mut() {
            Some(block) if fenced => block,
            _ => &mut text,
        };
        to.push_str(line);
        to.push('\n');
    }
    assert!(!fenced, "a block without an end");
    (text, blocks)
}

/// What stands between backticks outside of blocks, each as one line.
fn spans(text: &str) -> Vec<String> {
    let mut spans = Vec::new();
    // A span does not go beyond its paragraph, or row of a table.
    for paragraph in text
        .split("\n\n")
        .flat_map(|paragraph| paragraph.split("\n|"))
    {
        let parts = paragraph.split('`').skip(1).step_by(2);
        spans.extend(parts.map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    spans
}

#[test]
fn spans_and_blocks_are_told_apart() {
    let (text, blocks) = split("a `b\nc` d\n```sh\n`x`\n```\n| `e` |\n| ` |\n\n`f`\n");
    assert_eq!(blocks, ["`x`\n"]);
    assert_eq!(spans(&text), ["b c", "e", "|", "f"]);
}
