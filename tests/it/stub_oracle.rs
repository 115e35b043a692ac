//! Independent readers agree on what a library exports: goblin for every
//! library of the system, abidiff (libabigail) for real pairs.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use goblin::elf::{Elf, sym};

use crate::support::{debian_lib, glibc_lib, indir, need, run, system_lib};

/// `name`, `name@VERSION` or `name@@VERSION` of every export, by goblin.
fn exported(path: &Path) -> Option<BTreeSet<String>> {
    let data = std::fs::read(path).ok()?;
    let elf = Elf::parse(&data).ok()?;
    let mut versions = std::collections::BTreeMap::new();
    for def in elf.verdef.iter().flat_map(|v| v.iter()) {
        let name = def
            .iter()
            .next()
            .and_then(|aux| elf.dynstrtab.get_at(aux.vda_name))?;
        if def.vd_flags & 1 == 0 {
            versions.insert(def.vd_ndx, name.to_owned());
        }
    }
    let mut found = BTreeSet::new();
    for (at, symbol) in elf.dynsyms.iter().enumerate() {
        let raw = elf
            .versym
            .as_ref()
            .and_then(|v| v.get_at(at))
            .map_or(1, |v| v.vs_val);
        let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or("");
        let version = versions.get(&(raw & 0x7fff));
        let marker = symbol.st_shndx == 0xfff1 && version.is_some_and(|v| v == name);
        let local = symbol.st_bind() == sym::STB_LOCAL || raw & 0x7fff == 0;
        let hidden = matches!(symbol.st_visibility(), sym::STV_HIDDEN | sym::STV_INTERNAL);
        if symbol.st_shndx == 0
            || name.is_empty()
            || marker
            || local
            || hidden
            || version.is_some_and(|v| v == "GLIBC_PRIVATE")
        {
            continue;
        }
        let at = if raw & 0x8000 != 0 { "@" } else { "@@" };
        found.insert(match version {
            Some(version) => format!("{name}{at}{version}"),
            None if raw & 0x8000 != 0 => format!("{name}@"),
            None => name.to_owned(),
        });
    }
    Some(found)
}

#[test]
fn goblin_agrees_on_every_library_of_the_system() {
    let mut count = 0;
    for entry in std::fs::read_dir(system_lib()).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if !entry.file_type().unwrap().is_file() || !path.to_string_lossy().contains(".so") {
            continue;
        }
        // Names with bytes that the text escapes are not compared.
        let Some(expected) = exported(&path).filter(|e| e.iter().all(|n| n.is_ascii())) else {
            continue;
        };
        let text = run(indir().args(["abi", "dump"]).arg(&path))
            .success()
            .stdout();
        let symbols = text.lines().filter_map(|l| l.strip_prefix("symbol "));
        let found: BTreeSet<String> = symbols
            .map(|l| l.split(' ').next().unwrap().to_owned())
            .collect();
        let different: Vec<_> = found.symmetric_difference(&expected).take(5).collect();
        assert!(different.is_empty(), "{path:?}: {different:?}");
        count += 1;
    }
    assert!(count > 100, "{count}");
}

/// The symbols that abidiff's report lists as added and removed, but for
/// GLIBC_PRIVATE ones, which are nobody's ABI here.
fn abidiff(old: &Path, new: &Path) -> (BTreeSet<String>, BTreeSet<String>) {
    need("abidiff", "abigail-tools");
    let report = run(Command::new("abidiff").arg(old).arg(new)).stdout();
    let (mut added, mut removed) = (BTreeSet::new(), BTreeSet::new());
    for line in report.lines() {
        let line = line.trim();
        let Some((mark, rest)) = line.split_once(' ') else {
            continue;
        };
        let name = rest.split([' ', ',']).next().unwrap_or("").to_owned();
        match mark {
            _ if name.contains("GLIBC_PRIVATE") => {}
            "[A]" => drop(added.insert(name)),
            "[D]" => drop(removed.insert(name)),
            _ => {}
        }
    }
    (added, removed)
}

/// What `indir abi diff` and abidiff say is added and removed must be the same.
fn agree(old: &Path, new: &Path) {
    let what = format!("{} -> {}", old.display(), new.display());
    let ran = run(indir().args(["abi", "diff", "--json"]).arg(old).arg(new));
    let report: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    let changes = report["changes"].as_array().unwrap();
    let subjects = |rule: &str| -> BTreeSet<String> {
        let wanted = changes.iter().filter(|c| c["rule"] == rule);
        wanted
            .map(|c| c["subject"].as_str().unwrap().to_owned())
            .collect()
    };
    let (added, removed) = abidiff(old, new);
    assert_eq!(subjects("symbol-removed"), removed, "{what}");
    // abidiff passes over a new version of a name that it knew, ours is
    // a version that older libraries do not have.
    let bare = |s: &str| s.split('@').next().unwrap().to_owned();
    let demoted: BTreeSet<String> = subjects("demoted").iter().map(|s| bare(s)).collect();
    let ours: BTreeSet<String> = subjects("symbol-added");
    let missed: Vec<_> = added.difference(&ours).collect();
    assert!(missed.is_empty(), "{what}: {missed:?}");
    for extra in ours.difference(&added) {
        assert!(demoted.contains(&bare(extra)), "{what}: {extra}");
    }
}

#[test]
fn abidiff_agrees_on_real_pairs() {
    for (old, new) in [("old", "bookworm"), ("old", "trixie"), ("trixie", "old")] {
        for name in ["libc.so.6", "libm.so.6"] {
            agree(&glibc_lib(old).join(name), &glibc_lib(new).join(name));
        }
    }
    for (package, soname) in [
        ("libexpat1", "libexpat.so.1"),
        ("libxml2", "libxml2.so.2"),
        ("libssl3", "libcrypto.so.3"),
        ("libssl3", "libssl.so.3"),
        ("libcurl4", "libcurl.so.4"),
    ] {
        let build = |name| debian_lib(package, name, soname);
        agree(&build("old"), &build("new"));
        agree(&build("new"), &build("old"));
    }
}
