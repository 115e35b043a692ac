//! Independent readers agree on what a library exports: goblin and abidw
//! (libabigail) for libraries of the system, abidiff for real pairs.
//!
//! `INDIR_FULL=1 cargo test --release --test it stub::oracle -- --nocapture` asks
//! both about every library under /usr/lib.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::{Elf, sym};
use rayon::prelude::*;

use super::programs::is_private;
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
            || version.is_some_and(|v| is_private(v))
            || name.starts_with("krb5int_")
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

/// Libraries of the system: the folder that programs are linked with; with
/// `INDIR_FULL` every 64-bit one under /usr/lib, plugins and all.
fn libraries() -> Vec<PathBuf> {
    let full = std::env::var_os("INDIR_FULL").is_some();
    let (root, depth) = if full {
        (Path::new("/usr/lib").to_owned(), 64)
    } else {
        (system_lib(), 1)
    };
    let files = walkdir::WalkDir::new(root)
        .max_depth(depth)
        .sort_by_file_name();
    files
        .into_iter()
        .filter_map(Result::ok)
        .filter(|f| f.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .filter(|path| path.to_string_lossy().contains(".so"))
        .filter(|path| {
            let mut start = [0; 6];
            let file = std::fs::File::open(path);
            file.and_then(|mut file| file.read_exact(&mut start))
                .is_ok()
                && start == *b"\x7fELF\x02\x01"
        })
        .collect()
}

/// The lines of `indir abi dump` that begin with `symbol`, without that word.
fn dumped(path: &Path) -> Vec<String> {
    let text = run(indir().args(["abi", "dump"]).arg(path))
        .success()
        .stdout();
    let symbols = text.lines().filter_map(|l| l.strip_prefix("symbol "));
    symbols.map(str::to_owned).collect()
}

#[test]
fn goblin_agrees_on_every_library_of_the_system() {
    let count = libraries()
        .par_iter()
        .filter(|path| {
            // Names with bytes that the text escapes are not compared, and files
            // that goblin cannot read neither.
            let Some(expected) = exported(path).filter(|e| e.iter().all(|n| n.is_ascii())) else {
                eprintln!("not compared with goblin: {}", path.display());
                return false;
            };
            let found: BTreeSet<String> = dumped(path)
                .iter()
                .map(|l| l.split(' ').next().unwrap().to_owned())
                .collect();
            let different: Vec<_> = found.symmetric_difference(&expected).take(5).collect();
            assert!(different.is_empty(), "{path:?}: {different:?}");
            true
        })
        .count();
    eprintln!("goblin agrees on {count} libraries");
    assert!(count > 100, "{count}");
}

/// `name@VERSION type size` of every export, size for data only, by abidw; or
/// why there is no answer. It reads no debug information, and passes over symbols
/// without a type, as linkers make them (`_end`).
fn abidw(path: &Path) -> Result<BTreeSet<String>, String> {
    need("abidw", "abigail-tools");
    let ran = run(Command::new("timeout")
        .args(["60", "abidw", "--no-show-locs"])
        .args(["--debug-info-dir", "/nonexistent"])
        .arg(path));
    if ran.code() != Some(0) {
        let why = ran.stderr();
        return Err(format!(
            "{:?} {}",
            ran.code(),
            why.lines().last().unwrap_or("")
        ));
    }
    let text = ran.stdout();
    let mut found = BTreeSet::new();
    for element in text.split("<elf-symbol ").skip(1) {
        let fields = element.split("/>").next().unwrap_or("");
        let field = |name: &str| {
            let from = fields.split(&format!(" {name}='")).nth(1);
            let from = from.or_else(|| fields.strip_prefix(&format!("{name}='")));
            from.and_then(|text| text.split('\'').next()).unwrap_or("")
        };
        let version = field("version");
        let private = is_private(version) || field("name").starts_with("krb5int_");
        if field("is-defined") != "yes" || private {
            continue;
        }
        let at = match field("is-default-version") {
            _ if version.is_empty() => "",
            "yes" => "@@",
            _ => "@",
        };
        let what = match field("type") {
            "func-type" | "gnu-ifunc-type" => "function".to_owned(),
            "tls-type" => format!("tls {}", sized(field("size"))),
            _ => format!("object {}", sized(field("size"))),
        };
        found.insert(format!("{}{at}{version} {what}", field("name")));
    }
    Ok(found)
}

fn sized(size: &str) -> u64 {
    size.parse().unwrap_or(0)
}

/// The same of a line of `indir abi dump`; `None` for symbols without a type.
fn typed(line: &str) -> Option<String> {
    let mut fields = line.split(' ');
    let (name, kind) = (fields.next()?, fields.next()?);
    match kind {
        "function" => Some(format!("{name} function")),
        "notype" => None,
        _ => {
            let size = fields.find_map(|f| f.strip_prefix("size="));
            Some(format!("{name} {kind} {}", sized(size.unwrap_or(""))))
        }
    }
}

#[test]
fn abidw_agrees_on_the_libraries_of_the_system() {
    let all = libraries();
    let step = if std::env::var_os("INDIR_FULL").is_some() {
        1
    } else {
        (all.len() / 80).max(1)
    };
    let chosen: Vec<&PathBuf> = all.iter().step_by(step).collect();
    let (mut silent, mut different) = (Vec::new(), Vec::new());
    let results: Vec<_> = chosen.par_iter().map(|path| (path, abidw(path))).collect();
    for (path, answer) in results {
        match answer {
            Err(why) => silent.push(format!("{}: {why}", path.display())),
            Ok(expected) => {
                let found: BTreeSet<String> =
                    dumped(path).iter().filter_map(|l| typed(l)).collect();
                let few: Vec<_> = found.symmetric_difference(&expected).take(5).collect();
                if !few.is_empty() {
                    different.push(format!("{}: {few:?}", path.display()));
                }
            }
        }
    }
    eprintln!(
        "abidw agrees on {} of {} libraries; no answer for {}:\n{}",
        chosen.len() - silent.len() - different.len(),
        chosen.len(),
        silent.len(),
        silent.join("\n")
    );
    assert!(different.is_empty(), "{}", different.join("\n"));
    assert!(silent.len() * 10 < chosen.len(), "{}", silent.join("\n"));
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
