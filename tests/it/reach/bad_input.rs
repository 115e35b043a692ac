//! Wrong questions, and files that are not what they should be.

use std::path::PathBuf;

use super::support::{Many, ORDER, library, next, reach};
use crate::support::{Scratch, glibc_lib, indir, run};

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

/// Neither the old folder nor the new one is guessed, and no answer is one to another
/// question.
#[test]
fn a_question_about_nothing_gets_no_answer() {
    let many = Many::new();
    let indirect = many.dir.join("bin/tables.c");
    let source = "int main(void) { return 0; }";
    let program = crate::support::program::indirect(&indirect, source, &[]);
    let lib = glibc_lib("old");
    run(indir()
        .arg("update")
        .arg(&program)
        .arg("--lib-dir")
        .arg(&lib))
    .success();
    let lib = lib.display();
    let asked = |command: &[&str], replace: &str| {
        let mut asked = indir();
        asked.arg(command[0]).arg(&program).args(&command[1..]);
        run(asked.args(["--replace", replace]))
    };
    let commands: &[&[&str]] = &[&["reach"], &["why", "puts"]];
    for command in commands {
        let ran = asked(command, "/nowhere=/tmp");
        ran.exits(1)
            .err_has("no table takes anything from `/nowhere`");
        let ran = asked(command, &format!("{lib}=/nowhere"));
        ran.exits(1).err_has("there is no folder `/nowhere`");
    }
    // One that concerns nobody, beside one that does.
    for command in [&["reach"][..], &["why", "puts"]] {
        let mut asked = indir();
        asked.arg(command[0]).arg(&program).args(&command[1..]);
        let new = glibc_lib("trixie");
        let new = format!("{lib}={}", new.display());
        let ran = run(asked.args(["--replace", "/nowhere=/tmp", "--replace", &new]));
        ran.err_has("no table takes anything from `/nowhere`");
        assert_ne!(ran.code(), Some(1), "{ran}");
    }
    let json = asked(&["reach", "--json"], "/nowhere=/tmp");
    let json: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
    assert_eq!(
        json["unknown_replacements"],
        serde_json::json!(["/nowhere"])
    );
    let plain = many.dir.join("bin/plain");
    let ran = reach(
        &many.library,
        &glibc_lib("old").join("libm.so.6"),
        std::slice::from_ref(&plain),
        &[],
    );
    ran.exits(1).err_has("are not builds of one library");
    let more = ["--debug-dir", "/nowhere"];
    reach(&many.library, &many.library, &[plain], &more)
        .exits(1)
        .err_has("`--debug-dir /nowhere`: No such file");
}

/// A recorded folder that is gone is told by whoever would answer by it.
#[test]
fn a_folder_that_is_gone_is_no_answer() {
    let dir = Scratch::new();
    let folder = dir.dir("glibc");
    for entry in std::fs::read_dir(glibc_lib("old")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
        }
    }
    let source = "int main(void) { return 0; }";
    let program = crate::support::program::indirect(&dir.join("p.c"), source, &[]);
    run(indir()
        .arg("update")
        .arg(&program)
        .arg("--lib-dir")
        .arg(&folder))
    .success();
    run(indir().arg("files").arg(&program)).success();
    std::fs::rename(&folder, dir.path().join("moved")).unwrap();
    let libm = glibc_lib("old").join("libm.so.6");
    let gone = format!("{}", folder.display());
    let mut commands = [indir(), indir(), indir(), indir()];
    commands[0].arg("why").arg(&program).arg("puts");
    commands[1].arg("reach").args([&libm, &libm, &program]);
    commands[2].arg("bench").arg(&program);
    commands[3].arg("files").arg(&program);
    for command in &mut commands {
        let ran = run(command);
        ran.exits(1).err_has(&gone).err_has("indir verify");
    }
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
