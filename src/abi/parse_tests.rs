//! `parse(print(x)) == x`, and what the parser refuses.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::model::*;
use super::super::text::HEADER;
use super::TextError;

fn name() -> impl Strategy<Value = Name> {
    prop_oneof![
        4 => "[a-z_]{1,6}".prop_map(String::into_bytes),
        1 => vec(1u8..=255, 1..8),
    ]
}

fn symbol() -> impl Strategy<Value = Symbol> {
    let kind = prop_oneof![
        Just((Kind::Function, Place::Text)),
        Just((Kind::NoType, Place::Text)),
        Just((Kind::NoType, Place::Data)),
        Just((Kind::Tls, Place::Tls)),
        Just((Kind::Object, Place::Rodata)),
        Just((Kind::Object, Place::Relro)),
        Just((Kind::Object, Place::Data)),
        any::<u64>().prop_map(|v| (Kind::Object, Place::Absolute(v))),
    ];
    let binding = prop_oneof![
        Just(Binding::Global),
        Just(Binding::Weak),
        Just(Binding::Unique)
    ];
    (
        kind,
        binding,
        any::<bool>(),
        any::<u8>(),
        0u64..5000,
        0u32..=16,
    )
        .prop_map(|((kind, place), binding, protected, other, size, align)| {
            let code = place == Place::Text;
            let bare = code || matches!(place, Place::Absolute(_));
            Symbol {
                kind,
                binding: if code && binding == Binding::Weak {
                    Binding::Global
                } else {
                    binding
                },
                protected,
                other: other & !3,
                place,
                size: if code { 0 } else { size },
                align: if bare { 0 } else { 1 << align },
                alias: None,
            }
        })
}

prop_compose! {
    /// Any ABI that the reader could make.
    pub(crate) fn any_abi()(
        soname in proptest::option::of(name()),
        needed in vec(name(), 0..4),
        versions in btree_map(name(), (any::<bool>(), vec(name(), 0..3)), 0..4),
        undefined in btree_map(name(), (any::<bool>(), any::<bool>()), 0..4),
        symbols in vec((name(), 0usize..8, any::<bool>(), symbol()), 0..24),
        joins in vec((0usize..24, 0usize..24), 0..6),
        warnings in btree_map(name(), vec(1u8..=255, 0..40), 0..3),
        no_copy_on_protected in any::<bool>(),
        needed_1 in any::<u32>(),
        flags in any::<u32>(),
    ) -> Abi {
        let versions: std::collections::BTreeMap<Name, VersionNode> = versions
            .into_iter()
            .map(|(name, (weak, mut parents))| {
                parents.sort();
                parents.dedup();
                (name, VersionNode { weak, parents })
            })
            .collect();
        let list: Vec<Name> = versions.keys().cloned().collect();
        let mut abi = Abi {
            machine: 62,
            flags,
            soname,
            needed,
            properties: Properties { no_copy_on_protected, needed_1 },
            versions,
            undefined: undefined
                .into_iter()
                .map(|(name, (weak, tls))| (name, Undefined { weak, tls }))
                .collect(),
            warnings,
            ..Abi::default()
        };
        for (name, version, default, symbol) in symbols {
            let key = Key { name, version: list.get(version).cloned(), default };
            abi.symbols.insert(key, symbol);
        }
        let keys: Vec<Key> = abi.symbols.keys().cloned().collect();
        for (one, other) in joins {
            let (Some(one), Some(other)) = (keys.get(one.min(other)), keys.get(one.max(other))) else {
                continue;
            };
            let leader = abi.symbols[one].clone();
            let follower = abi.symbols[other].clone();
            let apart = one != other && leader.alias.is_none() && follower.alias.is_none();
            let leads = |key| abi.symbols.values().any(|s| s.alias.as_ref() == Some(key));
            let data = leader.align > 0 && leader.size > 0 && follower.size > 0;
            if apart && data && leader.place == follower.place && !leads(other) {
                abi.symbols.get_mut(other).unwrap().alias = Some(one.clone());
            }
        }
        abi.normalise();
        abi
    }
}

proptest! {
    #[test]
    fn printing_and_parsing_are_inverse(abi in any_abi()) {
        let text = abi.to_text();
        prop_assert_eq!(Abi::from_text(&text), Ok(abi));
    }

    #[test]
    fn the_order_of_lines_is_free(abi in any_abi(), seed in any::<u64>()) {
        let text = abi.to_text();
        let mut lines: Vec<&str> = text.lines().skip(1).collect();
        lines.sort_by_key(|line| {
            line.bytes().fold(seed, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x100_0000_01b3))
        });
        let shuffled = format!("{HEADER}\n{}\n", lines.join("\n"));
        prop_assert_eq!(Abi::from_text(&shuffled), Ok(abi));
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in "[ -~\n]{0,200}") {
        let _ = Abi::from_text(&text);
        let _ = Abi::from_text(&format!("{HEADER}\nmachine x86_64\n{text}"));
    }
}

fn refusal(body: &str) -> TextError {
    Abi::from_text(&format!("{HEADER}\nmachine x86_64\n{body}\n")).unwrap_err()
}

#[test]
fn errors_name_the_line() {
    let bad = refusal("version V1\nsymbol a@@V1 object size=4 align=4");
    assert_eq!((bad.line, bad.what.as_str()), (4, "`in=` is missing"));
    assert_eq!(refusal("symbol a function\nsymbol a function").line, 4);
    assert!(
        refusal("symbol a@@V1 function")
            .what
            .contains("without a `version` line")
    );
    assert!(refusal("<<<<<<< HEAD").what.contains("unknown keyword"));
    assert!(
        refusal("symbol a object in=data size=4 align=3")
            .what
            .contains("power of two")
    );
    let newer = Abi::from_text("indir-abi 2\n").unwrap_err();
    assert!(newer.what.contains("newer"));
}
