//! glibc at hand, whose symbols are in libc6-dbg.

use std::path::PathBuf;

use indir::reach::{Graph, nss};
use indir::resolve::addresses::object::LoadedObject;

use super::support::{reach_json, states, text};
use crate::support::{Scratch, cache, glibc_lib, system_lib};

/// The system's libc twice, the second with `from` replaced by `to`.
fn two(dir: &Scratch, from: &[u8], to: &[u8]) -> (PathBuf, PathBuf) {
    let libc = std::fs::read(system_lib().join("libc.so.6")).unwrap();
    let old = dir.file("old/libc.so.6", &libc);
    let mut changed = libc;
    let at = changed.windows(from.len()).position(|w| w == from);
    let at = at.expect("the text is in libc");
    changed[at..at + to.len()].copy_from_slice(to);
    let new = dir.file("new/libc.so.6", changed);
    (old, new)
}

fn calling(dir: &Scratch, name: &str, body: &str) -> PathBuf {
    let source = format!(
        "#include <stdio.h>\n#include <stdlib.h>\n#include <pwd.h>\n#include <wordexp.h>\n\
         int main(int c, char **v) {{ {body} return 0; }}\n"
    );
    let file = dir.file(format!("bin/{name}.c"), source);
    let out = file.with_extension("");
    crate::support::cc(["-o", text(&out), text(&file)]);
    out
}

#[test]
fn a_part_of_libc_that_few_reach() {
    let dir = Scratch::new();
    // A message of posix/wordexp.c's shell command, and nothing else's.
    let (old, new) = two(&dir, b"/bin/sh\0", b"/bin/zh\0");
    let prints = calling(&dir, "prints", "printf(\"%d\\n\", c);");
    let runs = calling(&dir, "runs", "system(v[1]);");
    let asks = calling(&dir, "asks", "getpwuid(c);");
    let document = reach_json(&old, &new, &[prints, runs, asks], &[]);
    let found = states(&document);
    assert_eq!(found["prints"], "same", "{document:#}");
    assert_eq!(found["runs"], "affected", "{document:#}");
    assert_eq!(found["asks"], "unknown", "{document:#}");
}

#[test]
fn the_functions_that_open_modules_are_known() {
    let debug = cache().join("glibc-dbg/trixie/usr/lib/debug");
    for (folder, debug) in [
        (system_lib(), Vec::new()),
        (glibc_lib("trixie"), vec![debug]),
    ] {
        let object = LoadedObject::open(folder.join("libc.so.6")).unwrap();
        let graph = Graph::build(&object, &debug).expect("its debug symbols are installed");
        let found = nss::openers(&object, &graph);
        assert!(found.len() > 50, "{found:?}");
        let is_unknown = |name: &&String| !nss::FUNCTIONS.contains(&name.as_str());
        let unknown: Vec<_> = found.iter().filter(is_unknown).collect();
        assert!(unknown.is_empty(), "{folder:?}: {unknown:?}");
    }
}
