//! Trees, sources and the choice between them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::{Scratch, indir, run};

/// Writes the words of a source with these files.
pub(super) fn words(scratch: &Scratch, name: &str, files: &[(&str, &str)]) -> PathBuf {
    for (path, text) in files {
        scratch.file(Path::new(name).join(path), text);
    }
    let out = scratch.join(format!("{name}.words"));
    run(indir()
        .arg("words")
        .arg(scratch.join(name))
        .arg("-o")
        .arg(&out))
    .success();
    out
}

/// A tree with these files.
pub(super) fn tree(scratch: &Scratch, name: &str, files: &[(&str, &str)]) -> PathBuf {
    let root = scratch.dir(name);
    for (path, text) in files {
        scratch.file(Path::new(name).join(path), text);
    }
    root
}

/// What `indir stand-in --json` says of each library.
pub(super) fn report(args: &[&Path], words: &Path) -> Vec<Value> {
    // Whatever follows --words is one of its files.
    let mut command = indir();
    command.args(["stand-in", "--json"]).args(args);
    let ran = run(command.arg("--words").arg(words));
    let document: Value = serde_json::from_str(&ran.success().stdout()).unwrap();
    document["libraries"].as_array().unwrap().clone()
}

/// Whether the earlier of two trees stands in, and the report.
pub(super) fn stands_in(old: &Path, new: &Path, words: &Path) -> (bool, Value) {
    let report = report(&[old, new], words).remove(0);
    (report["stands_in"].as_bool().unwrap(), report)
}

/// Asserts what is chosen for a consumer of one C file, with the kinds of reasons.
pub(super) fn decides(old: &str, new: &str, consumer: &str, kinds: &[&str]) {
    let scratch = Scratch::new();
    let (a, b) = (
        tree(&scratch, "old", &[("include/lib.h", old)]),
        tree(&scratch, "new", &[("include/lib.h", new)]),
    );
    let words = words(&scratch, "source", &[("main.c", consumer)]);
    let (stands, report) = stands_in(&a, &b, &words);
    let mut found: Vec<String> = Vec::new();
    for passed in report["passed"].as_array().unwrap() {
        for reason in passed["reasons"].as_array().unwrap() {
            found.push(reason["kind"].as_str().unwrap().to_owned());
        }
    }
    found.sort();
    found.dedup();
    assert_eq!(found, kinds, "{report:#}");
    assert_eq!(stands, kinds.is_empty(), "{report:#}");
}
