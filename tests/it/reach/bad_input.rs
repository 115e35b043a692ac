//! Wrong questions, and files that are not what they should be.

use std::path::PathBuf;

use super::support::{Many, ORDER, library, next, reach};
use crate::support::{indir, run};

#[test]
fn wrong_questions_are_told() {
    let many = Many::new();
    let plain = many.dir.join("bin/plain");
    let ran = run(indir().arg("reach").arg(&many.library));
    ran.exits(2);
    assert!(ran.stderr().contains("--replace OLD=NEW"), "{ran}");
    let ran = run(indir().arg("reach").args([&many.library, &many.library]));
    ran.exits(2).err_has("no program after");
    let ran = reach(&plain, &many.library, std::slice::from_ref(&plain), &[]);
    ran.exits(1);
    assert!(
        ran.stderr().contains("not a library with a soname"),
        "{ran}"
    );
    let nowhere = PathBuf::from("/nowhere");
    let ran = reach(&many.library, &many.library, &[plain.clone(), nowhere], &[]);
    ran.exits(1);
    assert!(
        ran.stdout()
            .ends_with("affected 0, same 1, unknown 0, failed 1\n"),
        "{ran}"
    );
    let nowhere = ["--json".to_owned(), "/nowhere".to_owned()];
    let ran = run(indir()
        .arg("reach")
        .args([&many.library, &many.library, &plain])
        .args(nowhere));
    let document: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    let failed = &document["executables"][0];
    assert_eq!(failed["path"], "/nowhere");
    assert_eq!(failed["state"], "failed");
    let more = ["--explain", "no_such_symbol"];
    let ran = reach(&many.library, &many.library, &[plain], &more);
    ran.exits(1);
    assert!(ran.stderr().contains("provides `no_such_symbol`"), "{ran}");
}

#[test]
fn damaged_libraries_make_no_panic() {
    let many = Many::new();
    let new = library(&many.dir.join("new"), &["FACTOR=5"], &ORDER);
    let good = std::fs::read(&new).unwrap();
    let references = indir::reach::exercise(&good).expect("it is not damaged yet");
    assert!(references > 50, "{references}");
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..1 + round % 7 {
            let at = next(&mut state) % bytes.len();
            bytes[at] = next(&mut state) as u8;
        }
        if round % 10 == 0 {
            bytes.truncate(next(&mut state) % good.len());
        }
        let _ = indir::reach::exercise(&bytes);
    }
}
