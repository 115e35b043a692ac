//! What reaches a change is affected, and nothing else is.

use std::path::{Path, PathBuf};

use super::support::{FUNCTIONS, Many, ORDER, library, library_with, reach, reach_json};

fn built(many: &Many, name: &str, defines: &[&str]) -> PathBuf {
    library(&many.dir.join(name), defines, &ORDER)
}

#[test]
fn what_changes_nothing_affects_nobody() {
    let many = Many::new();
    // At another path, which is in its debug information.
    let longer = many.dir.join("a/much/longer/path/of/the/build");
    let other = library_with(&longer, &["-g".to_owned()], &ORDER);
    assert_ne!(read(&other), read(&many.library));
    assert_eq!(many.affected(&other), [""; 0]);
    // In other orders of the objects.
    for (name, order) in [
        ("reverse", ["d.c", "x.cc", "c.c"]),
        ("middle", ["x.cc", "c.c", "d.c"]),
    ] {
        let other = library(&many.dir.join(name), &[], &order);
        assert_ne!(read(&other), read(&many.library));
        assert_eq!(many.affected(&other), [""; 0], "{name}");
    }
    // With a function and data that nobody uses.
    let extra = built(&many, "extra", &["EXTRA"]);
    assert_ne!(read(&extra), read(&many.library));
    assert_eq!(many.affected(&extra), [""; 0]);
    let ran = reach(&many.library, &extra, &many.programs, &[]);
    ran.exits(0);
    let count = format!("affected 0, same {}, unknown 0\n", FUNCTIONS.len());
    assert!(ran.stdout().ends_with(&count), "{ran}");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

/// One change, and the functions that reach it.
const CHANGES: &[(&str, &[&str])] = &[
    // A line of code, in a function that two others call.
    ("FACTOR=5", &["helped", "switched"]),
    // A constant in code, in a pool, in a table that is also pointed into.
    ("CASE=3", &["switched"]),
    ("REAL=2.25", &["scaled"]),
    ("TABLE=67", &["table_inside", "table_read"]),
    // A letter of a text.
    ("TEXT=\"a text that is sold\"", &["told"]),
    // An entry of a table of functions.
    ("ENTRY=times", &["dispatched"]),
    // The initial values of thread-local variables.
    ("INITIAL=8", &["thread_read"]),
    // What chooses an implementation; a local one runs whenever the library is loaded.
    ("CHOICE=0", &["chosen"]),
    ("LOCAL_CHOICE=0", &FUNCTIONS),
    // A member of a set that the linker puts together.
    ("MEMBER=3", &["members"]),
    // Which of two variables is meant: for whoever does not write to them there is no
    // difference.
    ("SHARED=two", &["both"]),
    // A method that only the table of its class leads to.
    ("VIRTUAL=5", &["overridden"]),
    // The type that is caught: the code is the same.
    ("CAUGHT=long", &["caught"]),
];

#[test]
fn a_change_affects_what_reaches_it() {
    let many = Many::new();
    for (index, (change, expected)) in CHANGES.iter().enumerate() {
        let new = built(&many, &format!("new-{index}"), &[change]);
        assert_ne!(read(&new), read(&many.library), "{change}");
        let mut expected: Vec<_> = expected.iter().map(|name| (*name).to_owned()).collect();
        expected.sort();
        assert_eq!(many.affected(&new), expected, "{change}");
    }
}

#[test]
fn a_shortest_path_is_told() {
    let many = Many::new();
    let new = built(&many, "new", &["FACTOR=5"]);
    let ran = reach(&many.library, &new, &many.programs, &[]);
    ran.exits(3);
    let out = ran.stdout();
    assert!(
        out.contains("/helped  libmany.so.1: helped > helper (changed)\n"),
        "{ran}"
    );
    let count = format!("affected 2, same {}, unknown 0\n", FUNCTIONS.len() - 2);
    assert!(out.ends_with(&count), "{ran}");
    let more = ["--explain", "helped"];
    let helped: Vec<PathBuf> = vec![many.dir.join("bin/helped")];
    let ran = reach(&many.library, &new, &helped, &more);
    ran.exits(3);
    let expected = "libmany.so.1 helped\n\
        differs: libmany.so.1: helped > helper (changed)\n\
        reached 1, of which differ 1\n";
    assert_eq!(ran.stdout(), expected);
}

#[test]
fn texts_alone_are_cosmetic_and_still_affect() {
    let many = Many::new();
    let new = built(&many, "new", &["TEXT=\"a text that is sold\""]);
    let told = vec![many.dir.join("bin/told")];
    let document = reach_json(&many.library, &new, &told, &["--cosmetic"]);
    assert_eq!(document["executables"][0]["state"], "affected");
    assert_eq!(document["executables"][0]["cosmetic"], true);
    let new = built(&many, "newer", &["FACTOR=5"]);
    let helped = vec![many.dir.join("bin/helped")];
    let document = reach_json(&many.library, &new, &helped, &["--cosmetic"]);
    assert_eq!(document["executables"][0]["cosmetic"], false);
}
