//! The table's bytes: golden, deterministic, compact, and safe to read whatever
//! they are.

use std::path::PathBuf;

use indir::arch::Arch;
use indir::elf::Identity;
use indir::place::hex;
use indir::table::{BuildError, Inputs, ObjectSpec, Replacement, TableSpec, arch_of, exercise};
use indir_shim::format::layout::{MAX_TABLE, OBJECT_LDSO, SEARCH_OWN};
use indir_shim::format::table::{Table, TableError};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

fn sample() -> TableSpec {
    let object = |soname: &str, path: &str, identity, flags| ObjectSpec {
        soname: soname.into(),
        path: path.into(),
        identity,
        flags,
    };
    TableSpec {
        arch: Arch::own(),
        exe_id: (1..=20).collect(),
        ldso: "/g/lib/ld-linux-x86-64.so.2".into(),
        ldso_identity: Identity::BuildId(vec![7; 20]),
        ldso_span: 0x35000,
        ldso_r_debug: 0x34118,
        objects: vec![
            object(
                "libz.so.1",
                "/z/lib/libz.so.1",
                Identity::SizeMtime(5, -6),
                0,
            ),
            object(
                "libc.so.6",
                "/g/lib/libc.so.6",
                Identity::BuildId(vec![9; 20]),
                0,
            ),
            object(
                "ld-linux-x86-64.so.2",
                "/g/lib/ld-linux-x86-64.so.2",
                Identity::BuildId(vec![7; 20]),
                OBJECT_LDSO,
            ),
        ],
        search: b"/g/lib:/z/lib".to_vec(),
        search_fixed: 6,
        flags: SEARCH_OWN,
        inputs: b"lib-dirs 1\n".to_vec(),
        abi_digest: [0xab; 32],
        binder: None,
    }
}

/// Changing this means changing the format: raise its version.
#[test]
fn golden_bytes() {
    let structures = [
        // magic
        "494e44495254424c",
        // version
        "0200",
        // header_len: 149
        "9500",
        // object_len: 35
        "2300",
        // machine: EM_X86_64
        "3e00",
        // total_len: 342
        "56010000",
        // object_count
        "0300",
        // plan: direct
        "00",
        // exe_id_len
        "14",
        // exe_id
        "0102030405060708090a0b0c0d0e0f1011121314",
        // digest
        "c3b0ac633ed64a1208b0fbe692e1803d",
        // abi_digest
        "abababababababababababababababababababababababababababababababab",
        // ldso: offset 0xfe, 27 bytes
        "fe0000001b00",
        // ldso_identity: build-id
        "01140707070707070707070707070707070707070707",
        // ldso_span
        "00500300",
        // ldso_r_debug
        "18410300",
        // search
        "3c0100000d00",
        // inputs
        "4a0100000b00",
        // binder: absent
        "000000000000",
        // flags: DT_RUNPATH
        "01",
        // search_fixed: `/g/lib`
        "0600",
        // libz.so.1: soname, the tail of its path
        "210100000900",
        // its path
        "1a0100001000",
        // its identity
        "02100500000000000000faffffffffffffff00000000",
        // its flags
        "00",
        // libc.so.6: soname, the tail of its path
        "320100000900",
        // its path
        "2b0100001000",
        // its identity
        "01140909090909090909090909090909090909090909",
        // its flags
        "00",
        // ld.so: soname, the tail of its path
        "050100001400",
        // its path
        "fe0000001b00",
        // its identity
        "01140707070707070707070707070707070707070707",
        // its flags
        "01",
    ];
    let strings = b"/g/lib/ld-linux-x86-64.so.2\0/z/lib/libz.so.1\0/g/lib/libc.so.6\0\
        /g/lib:/z/lib\0lib-dirs 1\n\0";
    let bytes = sample().to_bytes().unwrap();
    assert_eq!(hex(&bytes), structures.concat() + &hex(strings));
}

#[test]
fn the_digest_is_the_sha_256_of_the_table_without_it() {
    let mut bytes = sample().to_bytes().unwrap();
    let at = std::mem::offset_of!(indir_shim::format::layout::Header, digest);
    let digest: [u8; 16] = bytes[at..at + 16].try_into().unwrap();
    bytes[at..at + 16].fill(0);
    assert_eq!(digest, Sha256::digest(&bytes)[..16]);
    assert_eq!(sample().to_bytes(), sample().to_bytes());
}

/// The promise: 20 libraries, each in a package of its own.
#[test]
fn twenty_libraries_with_nix_length_paths_fit_in_4_kib() {
    let folder = |index: usize| {
        format!("/nix/store/{index:02}zsdvy8kx5dw3n7gj6ygp4h0qwl1f9r-libsomething-1.{index}.2/lib")
    };
    assert_eq!(folder(0).len(), 66);
    let mut spec = sample();
    spec.search_fixed = 0;
    spec.objects = (0..20)
        .map(|index| ObjectSpec {
            soname: format!("libsomething{index}.so.1").into(),
            path: format!("{}/libsomething{index}.so.1", folder(index)).into(),
            identity: Identity::BuildId(vec![index as u8; 20]),
            flags: 0,
        })
        .collect();
    spec.ldso = format!("{}/ld-linux-x86-64.so.2", folder(0)).into();
    spec.search = (0..20).map(folder).collect::<Vec<_>>().join(":").into();
    spec.inputs = b"lib-dirs 20\n".to_vec();
    let bytes = spec.to_bytes().unwrap();
    println!("{} bytes", bytes.len());
    assert!(bytes.len() <= 4096, "{} bytes", bytes.len());
    assert_eq!(
        Inputs::of(&Table::parse(&bytes).unwrap()).lib_dirs.len(),
        20
    );
}

#[test]
fn a_string_is_stored_once() {
    let bytes = sample().to_bytes().unwrap();
    let count = |needle: &[u8]| bytes.windows(needle.len()).filter(|w| *w == needle).count();
    assert_eq!(count(b"ld-linux-x86-64.so.2"), 1);
    assert_eq!(count(b"libc.so.6"), 1);
}

#[test]
fn what_does_not_fit_is_refused() {
    let with = |change: &dyn Fn(&mut TableSpec)| {
        let mut spec = sample();
        change(&mut spec);
        spec.to_bytes()
    };
    assert_eq!(with(&|s| s.exe_id.clear()), Err(BuildError::Id(0)));
    assert_eq!(with(&|s| s.exe_id = vec![0; 21]), Err(BuildError::Id(21)));
    assert!(matches!(
        with(&|s| s.ldso = "ld.so".into()),
        Err(BuildError::Relative(_))
    ));
    assert!(matches!(
        with(&|s| s.objects[0].soname.clear()),
        Err(BuildError::EmptyName(_))
    ));
    assert!(matches!(
        with(&|s| s.objects[0].soname = b"a\0b".to_vec()),
        Err(BuildError::Nul(_))
    ));
    assert_eq!(
        with(&|s| s.search = vec![b'a'; 70_000]),
        Err(BuildError::TooLong(70_000))
    );
    let many = with(&|s| s.objects = vec![s.objects[0].clone(); 3000]);
    assert_eq!(many, Err(BuildError::TooManyObjects(3000)));
    let large = with(&|s| {
        for index in 0..20 {
            let mut object = s.objects[0].clone();
            object.path = PathBuf::from(format!("/{index}{}", "x".repeat(60_000)));
            s.objects.push(object);
        }
    });
    assert_eq!(large, Err(BuildError::TooLarge));
}

#[test]
fn readers_say_what_is_wrong() {
    let bytes = sample().to_bytes().unwrap();
    let error = |bytes: &[u8]| Table::parse(bytes).err();
    assert_eq!(error(&[]), Some(TableError::Empty));
    assert_eq!(error(&[0; 8]), Some(TableError::NotATable));
    assert_eq!(error(&vec![0; MAX_TABLE + 1]), Some(TableError::TooLarge));
    for length in 1..bytes.len() {
        assert_eq!(
            error(&bytes[..length]),
            Some(TableError::Truncated),
            "{length}"
        );
    }
    let changed = |at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        error(&bytes)
    };
    assert_eq!(changed(8, 1), Some(TableError::Version));
    // EM_386. The shim, unlike the tools, reads tables for its own machine alone.
    assert_eq!(changed(14, 3), Some(TableError::Machine));
    let appended = [&bytes[..], b"x"].concat();
    assert_eq!(error(&appended), Some(TableError::Corrupt));
}

/// A newer writer of the same version may have longer structures.
#[test]
fn longer_structures_are_read() {
    let bytes = sample().to_bytes().unwrap();
    let (header, object) = (149, 35);
    let old = Table::parse(&bytes).unwrap();
    let count = old.len();
    let shift = 4 + 2 * count;
    let mut longer = bytes[..header].to_vec();
    longer.extend([0; 4]);
    for index in 0..count {
        let at = header + index * object;
        longer.extend(&bytes[at..at + object]);
        longer.extend([0; 2]);
    }
    longer.extend(&bytes[header + count * object..]);
    let put = |bytes: &mut [u8], at: usize, by: usize, width: usize| {
        let mut word = [0; 4];
        word[..width].copy_from_slice(&bytes[at..at + width]);
        let value = u32::from_le_bytes(word);
        // An absent string stays absent.
        if value != 0 {
            bytes[at..at + width].copy_from_slice(&(value + by as u32).to_le_bytes()[..width]);
        }
    };
    use indir_shim::format::layout::{Header, Object};
    use std::mem::offset_of;
    put(&mut longer, offset_of!(Header, header_len), 4, 2);
    put(&mut longer, offset_of!(Header, object_len), 2, 2);
    put(&mut longer, offset_of!(Header, total_len), shift, 4);
    for field in [
        offset_of!(Header, ldso),
        offset_of!(Header, search),
        offset_of!(Header, inputs),
    ] {
        put(&mut longer, field, shift, 4);
    }
    for index in 0..count {
        let at = header + 4 + index * (object + 2);
        put(&mut longer, at + offset_of!(Object, soname), shift, 4);
        put(&mut longer, at + offset_of!(Object, path), shift, 4);
    }
    let table = Table::parse(&longer).unwrap();
    let names = |table: &Table<'_>| -> Vec<(Vec<u8>, Vec<u8>)> {
        let pair = |o: indir_shim::format::table::ObjectRef<'_>| {
            (o.soname.to_bytes().to_vec(), o.path.to_bytes().to_vec())
        };
        table.objects().map(pair).collect()
    };
    assert_eq!(names(&table), names(&old));
    assert_eq!(table.search(), old.search());
}

#[test]
fn replacements_match_whole_components() {
    let replacement: Replacement = "/a/b=/new".parse().unwrap();
    let apply = |path: &str| replacement.apply(path.as_ref());
    assert_eq!(apply("/a/b"), Some("/new".into()));
    assert_eq!(apply("/a/b/c"), Some("/new/c".into()));
    assert_eq!(apply("/a/bc"), None);
    assert_eq!(apply("/x/a/b"), None);
    for bad in ["", "=", "/a", "a=/b", "/a=b", "/a=/b:c"] {
        assert!(bad.parse::<Replacement>().is_err(), "{bad}");
    }
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_.+-]{1,24}"
}

fn path() -> impl Strategy<Value = PathBuf> {
    proptest::collection::vec(name(), 1..5).prop_map(|parts| format!("/{}", parts.join("/")).into())
}

fn identity() -> impl Strategy<Value = Identity> {
    prop_oneof![
        Just(Identity::None),
        proptest::collection::vec(any::<u8>(), 1..=20).prop_map(Identity::BuildId),
        (any::<u64>(), any::<i64>()).prop_map(|(size, mtime)| Identity::SizeMtime(size, mtime)),
    ]
}

fn object() -> impl Strategy<Value = ObjectSpec> {
    (name(), path(), identity(), any::<u8>()).prop_map(|(soname, path, identity, flags)| {
        ObjectSpec {
            soname: soname.into(),
            path,
            identity,
            flags,
        }
    })
}

prop_compose! {
    fn spec()(
        exe_id in proptest::collection::vec(any::<u8>(), 1..=20),
        ldso in path(),
        ldso_identity in identity(),
        numbers in any::<[u32; 2]>(),
        objects in proptest::collection::vec(object(), 0..40),
        folders in proptest::collection::vec(path(), 0..20),
        abi_digest in any::<[u8; 32]>(),
        binder in proptest::option::of(path()),
        flags in any::<u8>(),
    ) -> TableSpec {
        let search: Vec<String> = folders.iter().map(|f| f.to_str().unwrap().to_owned()).collect();
        TableSpec {
            arch: Arch::own(),
            exe_id,
            ldso,
            ldso_identity,
            ldso_span: numbers[0],
            ldso_r_debug: numbers[1],
            objects,
            search: search.join(":").into(),
            search_fixed: search.first().map_or(0, |first| first.len() as u16),
            flags,
            inputs: format!("lib-dirs {}\n", search.len()).into(),
            abi_digest,
            binder,
        }
    }
}

/// What the reader sees, as a description again.
fn described(table: &Table<'_>) -> TableSpec {
    use std::os::unix::ffi::OsStrExt as _;
    let path = |text: &std::ffi::CStr| PathBuf::from(std::ffi::OsStr::from_bytes(text.to_bytes()));
    let header = table.header();
    TableSpec {
        arch: arch_of(table),
        exe_id: table.exe_id().to_vec(),
        ldso: path(table.ldso()),
        ldso_identity: Identity::from_raw(&header.ldso_identity),
        ldso_span: header.ldso_span.get(),
        ldso_r_debug: header.ldso_r_debug.get(),
        objects: table
            .objects()
            .map(|object| ObjectSpec {
                soname: object.soname.to_bytes().to_vec(),
                path: path(object.path),
                identity: Identity::from_raw(&object.raw.identity),
                flags: object.raw.flags,
            })
            .collect(),
        search: table.search().to_bytes().to_vec(),
        search_fixed: header.search_fixed.get(),
        flags: header.flags,
        inputs: table.inputs().to_bytes().to_vec(),
        abi_digest: header.abi_digest,
        binder: table.binder().map(path),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn what_was_written_is_read_back(spec in spec()) {
        let bytes = spec.to_bytes().unwrap();
        let table = Table::parse(&bytes).unwrap();
        prop_assert_eq!(described(&table), spec.clone());
        prop_assert_eq!(described(&table).to_bytes().unwrap(), bytes);
    }

    #[test]
    fn arbitrary_bytes_are_harmless(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        exercise(&bytes);
    }

    #[test]
    fn mutated_tables_are_harmless(
        spec in spec(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = spec.to_bytes().unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
            exercise(&bytes);
        }
        exercise(&bytes[..cut.index(bytes.len())]);
    }
}

/// A bounded run of what fuzz/ runs without bound: every byte of the header and
/// of the objects, set to the values that overflow arithmetic.
#[test]
fn extreme_fields_are_harmless() {
    let bytes = sample().to_bytes().unwrap();
    for at in 0..bytes.len() {
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            exercise(&changed);
            let end = (at + 4).min(changed.len());
            changed[at..end].fill(value);
            exercise(&changed);
        }
    }
    let mut note = vec![6, 0, 0, 0, 39, 0, 0, 0, 1, 0, 0, 0];
    note.extend(b"indir\0\0\0");
    note.extend([1; 20]);
    note.extend(b"$ORIGIN/.indir/$ID\0\0");
    for at in 0..note.len() {
        for value in 0..=255 {
            let mut changed = note.clone();
            changed[at] = value;
            exercise(&changed);
            exercise(&changed[..at]);
        }
    }
}
