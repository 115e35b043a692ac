//! Every rule of `indir abi diff`: the smallest change that it decides on, its
//! class, and its line in docs/stubs.md.

use std::collections::BTreeSet;

use indir::abi::Abi;
use indir::abi::diff::{Class, Rule, diff};

use crate::support::{Scratch, indir, run};

const X86: &str = "machine x86_64\n";
const DATA: &str = "symbol a object in=data size=4 align=4\n";
const LARGE: &str = "symbol a object in=data size=8 align=4\n";
const STRICT: &str = "symbol a object in=data size=4 align=8\n";
const READ_ONLY: &str = "symbol a object in=rodata size=4 align=4\n";
const GUARDED: &str = "symbol a object protected in=data size=4 align=4\n";
const APART: &str = "symbol a object in=data size=4 align=4\n\
                     symbol b object in=data size=4 align=4\n";
const TOGETHER: &str = "symbol a object in=data size=4 align=4\n\
                        symbol b object in=data size=4 align=4 alias=a\n";
const DEFAULT: &str = "version V\nsymbol f@@V function\n";
const HIDDEN: &str = "version V\nsymbol f@V function\n";

/// Old text, new text, and the rules that decide, as `abi diff` orders them.
const CASES: &[(&str, &str, &[&str])] = &[
    ("machine x86_64\n", "machine aarch64\n", &["machine"]),
    ("flags 0x1\n", "flags 0x5\n", &["machine"]),
    ("soname a.so.1\n", "soname a.so.2\n", &["soname"]),
    ("soname a.so.1\n", "", &["soname"]),
    ("symbol f function\n", "", &["symbol-removed"]),
    ("version V\n", "", &["version-removed"]),
    ("symbol a function\n", DATA, &["kind"]),
    (DATA, LARGE, &["size-grown"]),
    (LARGE, DATA, &["size-shrunk"]),
    (DATA, STRICT, &["align-grown"]),
    (STRICT, DATA, &["align-shrunk"]),
    (READ_ONLY, DATA, &["writable"]),
    (DATA, READ_ONLY, &["read-only"]),
    (DATA, GUARDED, &["protected"]),
    (GUARDED, DATA, &["unprotected"]),
    (TOGETHER, APART, &["alias-lost"]),
    (APART, TOGETHER, &["alias-gained"]),
    (
        "symbol f function other=0x80\n",
        "symbol f function\n",
        &["symbol-flags"],
    ),
    ("", "undefined x\n", &["must-provide"]),
    ("undefined x weak\n", "undefined x\n", &["must-provide"]),
    ("undefined x\n", "undefined x weak\n", &["may-provide"]),
    ("", "undefined x weak\n", &["may-provide"]),
    ("undefined x\n", "undefined x tls\n", &["kind"]),
    ("undefined x\n", "", &["need-not-provide"]),
    ("", "symbol f function\n", &["symbol-added"]),
    ("", "version V\n", &["version-added"]),
    (DEFAULT, HIDDEN, &["demoted"]),
    (HIDDEN, DEFAULT, &["promoted"]),
    (
        DEFAULT,
        "version V\nsymbol f function\n",
        &["symbol-added", "base-accepted"],
    ),
    (
        "symbol f function\n",
        DEFAULT,
        &["symbol-added", "version-added", "version-gained"],
    ),
    (
        "symbol a object weak in=data size=4 align=4\n",
        DATA,
        &["binding"],
    ),
    (
        "symbol l notype in=text\n",
        "symbol l function\n",
        &["label"],
    ),
    (
        "symbol t tls size=4 align=4\n",
        "symbol t tls size=8 align=4\n",
        &["tls-grown"],
    ),
    (
        "symbol t tls size=8 align=4\n",
        "symbol t tls size=4 align=4\n",
        &["size-shrunk"],
    ),
    ("needed a.so\n", "", &["needed"]),
    ("version V\n", "version V weak\n", &["version-node"]),
    (
        "",
        "symbol _end notype in=data size=0 align=1\n",
        &["linker-marker"],
    ),
    ("", "property no-copy-on-protected\n", &["property"]),
    ("", "warning f do not call it\n", &["warning"]),
];

fn text(body: &str) -> String {
    let machine = if body.starts_with("machine") { "" } else { X86 };
    format!("indir-abi 1\n{machine}{body}")
}

#[test]
fn each_rule_decides_on_the_smallest_change_of_its_kind() {
    let mut seen = BTreeSet::new();
    for &(old, new, rules) in CASES {
        let [from, to] = [old, new].map(|body| Abi::from_text(&text(body)).unwrap());
        let found: Vec<&str> = diff(&from, &to)
            .changes
            .iter()
            .map(|change| {
                assert_eq!(change.class, change.rule.class());
                change.rule.code()
            })
            .collect();
        assert_eq!(found, rules, "{old:?} -> {new:?}");
        seen.extend(found);
        for same in [&from, &to] {
            assert!(diff(same, same).changes.is_empty());
        }
    }
    let all: BTreeSet<&str> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(seen, all);
}

#[test]
fn the_documentation_has_every_rule_and_no_other() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/stubs.md");
    let page = std::fs::read_to_string(page).unwrap();
    let listed: Vec<&str> = page
        .lines()
        .filter(|line| {
            ["| incompatible |", "| added |", "| compatible |"]
                .iter()
                .any(|class| line.starts_with(class))
        })
        .collect();
    let line = |rule: &Rule| {
        let class = format!("{:?}", rule.class()).to_lowercase();
        format!("| {class} | `{}` | {} |", rule.code(), rule.why())
    };
    assert_eq!(listed, Rule::ALL.iter().map(line).collect::<Vec<_>>());
}

#[test]
fn exit_codes_and_json_follow_the_worst_class() {
    let scratch = Scratch::new();
    for (old, new, class, code) in [
        (DATA, DATA, Class::Equal, 0),
        ("", "symbol f function\n", Class::Added, 4),
        (DEFAULT, HIDDEN, Class::Compatible, 4),
        (DATA, LARGE, Class::Incompatible, 12),
    ] {
        let files =
            [("old.abi", old), ("new.abi", new)].map(|(name, body)| scratch.file(name, text(body)));
        run(indir().args(["abi", "diff"]).args(&files)).exits(code);
        let ran = run(indir().args(["abi", "diff", "--json"]).args(&files));
        let report: serde_json::Value = serde_json::from_str(&ran.exits(code).stdout()).unwrap();
        assert_eq!(report["class"], format!("{class:?}").to_lowercase());
        let changes = report["changes"].as_array().unwrap();
        assert_eq!(changes.is_empty(), class == Class::Equal);
        for change in changes {
            let rule = Rule::ALL.iter().find(|rule| change["rule"] == rule.code());
            assert_eq!(change["why"], rule.unwrap().why());
        }
    }
    // What clap refuses, and what cannot be read.
    let file = scratch.join("old.abi");
    run(indir().args(["abi", "diff"]).arg(&file)).exits(2);
    run(indir().args(["abi", "diff"]).arg(&file).arg("none.abi"))
        .exits(1)
        .err_is_one_line()
        .err_has("none.abi");
}
