//! Comparison and floors over ABIs of any shape.

use proptest::prelude::*;

use super::super::diff::{Class, Rule, diff};
use super::super::model::*;
use super::super::parse::tests::any_abi;
use super::{check, common};

proptest! {
    #[test]
    fn nothing_changed_is_equal(abi in any_abi()) {
        prop_assert_eq!(diff(&abi, &abi).class(), Class::Equal);
    }

    #[test]
    fn different_abis_differ(a in any_abi(), b in any_abi()) {
        prop_assert_eq!(diff(&a, &b).changes.is_empty(), a == b);
    }

    #[test]
    fn every_build_satisfies_the_common_floor(a in any_abi(), b in any_abi(), c in any_abi()) {
        let builds = family(a, [b, c]);
        let floor = common(&builds).unwrap().floor;
        for build in &builds {
            prop_assert_eq!(check(&floor, build), vec![]);
        }
        prop_assert_eq!(super::Abi::from_text(&floor.to_text()), Ok(floor));
    }

    #[test]
    fn the_floor_of_one_build_is_that_build(mut abi in any_abi()) {
        // Of two defaults of one name a floor can keep only one.
        let mut seen = std::collections::BTreeSet::new();
        abi.symbols.retain(|key, symbol| symbol.alias.is_none() && seen.insert(key.name.clone()));
        for symbol in abi.symbols.values_mut() {
            symbol.alias = None;
        }
        abi.drop_unused_versions();
        let once = common(std::slice::from_ref(&abi)).unwrap().floor;
        let twice = common(&[abi.clone(), abi.clone()]).unwrap().floor;
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(once, abi);
    }

    #[test]
    fn what_all_builds_have_is_in_the_floor(mut a in any_abi(), grown in any_abi()) {
        // No linker makes both `name@V` and `name@@V`.
        let keys: Vec<Key> = a.symbols.keys().cloned().collect();
        let twice = |key: &Key| keys.contains(&Key { default: !key.default, ..key.clone() });
        a.symbols.retain(|key, symbol| symbol.alias.is_none() && !twice(key));
        for symbol in a.symbols.values_mut() {
            symbol.alias = None;
        }
        let mut b = a.clone();
        for (key, symbol) in grown.symbols {
            let taken = a.symbols.keys().any(|k| k.name == key.name);
            let known = key.version.as_ref().is_none_or(|v| b.versions.contains_key(v));
            if !taken && known {
                b.symbols.insert(key, Symbol { alias: None, ..symbol });
            }
        }
        prop_assert_eq!(check(&a, &b), vec![]);
        let floor = common(&[b, a.clone()]).unwrap().floor;
        for key in a.symbols.keys() {
            let there = [true, false].iter().any(|&default| {
                floor.symbols.contains_key(&Key { default, ..key.clone() })
            });
            prop_assert!(there, "{}", key.display());
        }
    }
}

/// As the reader of libraries leaves it.
fn read(mut abi: Abi) -> Abi {
    abi.drop_unused_versions();
    abi
}

/// The names of the versions, and what each inherits from.
fn versions(abi: &Abi) -> Vec<(String, Vec<String>)> {
    let text = |name: &Name| String::from_utf8_lossy(name).into_owned();
    let parents = |node: &VersionNode| node.parents.iter().map(text).collect();
    let nodes = abi.versions.iter();
    nodes
        .map(|(name, node)| (text(name), parents(node)))
        .collect()
}

#[test]
fn versions_that_no_symbol_has_do_not_count() {
    let parse =
        |body: &str| read(Abi::from_text(&format!("indir-abi 1\nmachine x86_64\n{body}")).unwrap());
    let old =
        parse("version V1\nversion V3 parent=V1\nsymbol f@@V1 function\nsymbol g@@V3 function\n");
    let new = parse(
        "version V1\nversion V2 parent=V1 parent=OWN\nversion OWN parent=V2\n\
         version V3 parent=V2\nversion V4 parent=V3\n\
         symbol f@@V1 function\nsymbol g@@V3 function\n",
    );
    assert_eq!(old.to_text(), new.to_text());
    assert_eq!(diff(&old, &new).changes, []);
    assert_eq!(
        versions(&new),
        [("V1".into(), vec![]), ("V3".into(), vec!["V1".to_owned()])]
    );
    // Marks of glibc, which linkers make programs need, stay.
    let marked = parse("version GLIBC_ABI_DT_RELR\nversion GLIBC_ABIX\nversion GLIBC_2.36\n");
    assert_eq!(versions(&marked), [("GLIBC_ABI_DT_RELR".into(), vec![])]);
    // A client of an older build that needs an empty version may be served by what
    // has no version, and the node is not missing to a text that names it.
    let explicit =
        Abi::from_text("indir-abi 1\nmachine x86_64\nversion V1\nsymbol f@@V1 function\n");
    let moved = parse("version V1\nsymbol f function\n");
    assert!(moved.versions.is_empty());
    assert_eq!(check(&explicit.unwrap(), &moved), []);
}

#[test]
fn marks_of_linkers_are_nobody_s() {
    let mark = "in=data size=0 align=1";
    let of = |name: &str, rest: &str| abi(&format!("symbol {name} {rest}"));
    for name in [
        "_end",
        "end",
        "_edata",
        "edata",
        "__bss_start",
        "_etext",
        "__end__",
    ] {
        let (with, without) = (of(name, &format!("notype {mark}")), abi(""));
        let number = of(name, "notype in=absolute value=0x1234 size=0");
        for (old, new) in [
            (&with, &without),
            (&without, &with),
            (&with, &number),
            (&number, &with),
        ] {
            let found = diff(old, new);
            assert_eq!(found.class(), Class::Compatible, "{name}");
            assert!(
                found.changes.iter().all(|c| c.rule == Rule::LinkerMarker),
                "{name}"
            );
        }
        assert_eq!(diff(&with, &with).changes, []);
        let floor = common(&[with.clone(), number.clone()]).unwrap();
        assert_eq!(floor.contradicting, [], "{name}");
    }
    assert_eq!(
        diff(&of("_init", "function"), &abi("")).class(),
        Class::Compatible
    );
    // Whoever is called like one and is none.
    for (name, rest) in [
        ("end", "function"),
        ("end", "object in=data size=8 align=8"),
        ("_ending", "notype in=data size=0 align=1"),
        ("__start_names", "notype in=data size=0 align=1"),
        ("_init", "object in=data size=0 align=1"),
    ] {
        assert_eq!(
            diff(&of(name, rest), &abi("")).class(),
            Class::Incompatible,
            "{name} {rest}"
        );
    }
    // A version that has nothing else is not missed.
    let versioned = Abi::from_text(
        "indir-abi 1\nmachine x86_64\nsoname l.so\nversion V9\nsymbol _end@@V9 notype in=data size=0 align=1\n",
    );
    assert_eq!(check(&versioned.unwrap(), &abi("")), []);
}

#[test]
fn alignment_is_a_matter_of_size_and_section() {
    for (size, section, align) in [
        (0, 64, 1),
        (4, 1, 4),
        (8, 64, 8),
        (12, 64, 16),
        (100, 64, 32),
        (480, 64, 32),
        (64, 32, 32),
        (64, 64, 64),
        (64, 4096, 64),
        (192, 4096, 64),
        (4096, 64, 64),
        (1 << 20, 1 << 20, MAX_ALIGN),
    ] {
        assert_eq!(object_align(size, section), align, "{size} in {section}");
    }
}

/// Builds of one library: same soname and machine.
fn family(first: Abi, others: [Abi; 2]) -> Vec<Abi> {
    let mut builds = vec![first];
    for undefined in builds[0].undefined.values_mut() {
        undefined.tls = false;
    }
    for mut other in others {
        other.soname.clone_from(&builds[0].soname);
        other.machine = builds[0].machine;
        other.flags = builds[0].flags;
        for undefined in other.undefined.values_mut() {
            undefined.tls = false;
        }
        builds.push(other);
    }
    builds
}

fn abi(lines: &str) -> Abi {
    Abi::from_text(&format!(
        "indir-abi 1\nmachine x86_64\nsoname l.so\nversion V1\nversion V2\n{lines}\n"
    ))
    .unwrap()
}

/// The rules that decided from `old` to `new`.
fn rules(old: &str, new: &str) -> Vec<Rule> {
    diff(&abi(old), &abi(new))
        .changes
        .into_iter()
        .map(|c| c.rule)
        .collect()
}

#[test]
fn each_rule_decides_where_ld_so_would() {
    let data = |rest: &str| format!("symbol d object {rest}");
    for (old, new, expected) in [
        ("symbol f@@V1 function", "", vec![Rule::SymbolRemoved]),
        ("", "symbol f@@V1 function", vec![Rule::SymbolAdded]),
        (
            "symbol f@@V1 function",
            "symbol f@V1 function\nsymbol f@@V2 function",
            vec![Rule::SymbolAdded, Rule::Demoted],
        ),
        (
            "symbol f@V1 function",
            "symbol f@@V1 function",
            vec![Rule::Promoted],
        ),
        (
            "symbol f@@V1 function",
            "symbol f function",
            vec![Rule::SymbolAdded, Rule::BaseAccepted],
        ),
        (
            "symbol f function",
            "symbol f@@V1 function",
            vec![Rule::SymbolAdded, Rule::VersionGained],
        ),
        (
            "symbol f@@V1 function",
            "symbol f@@V2 function",
            vec![Rule::SymbolAdded, Rule::SymbolRemoved],
        ),
        (
            "symbol f function",
            "symbol f object in=data size=4 align=4",
            vec![Rule::Kind],
        ),
        (
            "symbol f notype in=text",
            "symbol f function",
            vec![Rule::Label],
        ),
        ("undefined u", "", vec![Rule::NeedNotProvide]),
        ("", "undefined u", vec![Rule::MustProvide]),
        ("", "undefined u weak", vec![Rule::MayProvide]),
        ("undefined u weak", "undefined u", vec![Rule::MustProvide]),
        (
            "needed a.so",
            "needed b.so",
            vec![Rule::Needed, Rule::Needed],
        ),
    ] {
        assert_eq!(rules(old, new), expected, "{old} -> {new}");
    }
    for (old, new, expected) in [
        (
            "in=data size=4 align=4",
            "in=data size=8 align=8",
            vec![Rule::SizeGrown, Rule::AlignGrown],
        ),
        (
            "in=data size=8 align=8",
            "in=data size=4 align=4",
            vec![Rule::AlignShrunk, Rule::SizeShrunk],
        ),
        (
            "in=rodata size=4 align=4",
            "in=data size=4 align=4",
            vec![Rule::Writable],
        ),
        (
            "in=data size=4 align=4",
            "in=relro size=4 align=4",
            vec![Rule::ReadOnly],
        ),
        (
            "in=rodata size=4 align=4",
            "in=relro size=4 align=4",
            vec![Rule::ReadOnly],
        ),
        (
            "weak in=data size=4 align=4",
            "in=data size=4 align=4",
            vec![Rule::Binding],
        ),
        (
            "in=data size=4 align=4",
            "protected in=data size=4 align=4",
            vec![Rule::Protected],
        ),
        (
            "protected in=data size=4 align=4",
            "in=data size=4 align=4",
            vec![Rule::Unprotected],
        ),
        (
            "in=absolute value=0x1 size=0",
            "in=absolute value=0x2 size=0",
            vec![Rule::Kind],
        ),
    ] {
        assert_eq!(rules(&data(old), &data(new)), expected, "{old} -> {new}");
    }
}

#[test]
fn aliases_are_part_of_the_abi() {
    let apart = "symbol a object in=data size=4 align=4\nsymbol b object in=data size=4 align=4";
    let joined = format!("{apart} alias=a");
    assert_eq!(rules(&joined, apart), [Rule::AliasLost]);
    assert_eq!(rules(apart, &joined), [Rule::AliasGained]);
    let common = common(&[abi(apart), abi(&joined)]).unwrap();
    assert!(check(&common.floor, &abi(apart)).is_empty());
    assert!(check(&common.floor, &abi(&joined)).is_empty());
    let contradicting: Vec<String> = common.contradicting.iter().map(Key::display).collect();
    assert_eq!(contradicting, ["b"]);
}

#[test]
fn the_floor_s_default_is_a_common_one() {
    let old = abi("symbol f@@V1 function");
    let new = abi("symbol f@V1 function\nsymbol f@@V2 function");
    for builds in [[old.clone(), new.clone()], [new, old]] {
        let floor = common(&builds).unwrap().floor;
        let symbols: Vec<String> = floor.symbols.keys().map(Key::display).collect();
        assert_eq!(symbols, ["f@@V1"]);
    }
}
