//! `indir verify` of folders, `indir update --prune`, and `indir why` of other folders.

use std::path::Path;

use super::tree::{CALLED, Tree, as_user, mode};
use crate::support::program::{shared, table_of, update};
use crate::support::{indir, run};

#[test]
fn orphans_are_listed_and_pruned() {
    let tree = Tree::new();
    let folder = tree.scratch.join("bin");
    let tables = table_of(&tree.program).parent().unwrap().to_owned();
    let verify = || run(indir().arg("verify").arg("-j1").arg(tree.scratch.path()));
    verify().success().prints("");
    let id = "00112233445566778899aabbccddeeff00112233";
    let orphans = [
        id.to_owned(),
        format!("{id}.bind"),
        format!("{id}.0123456789abcdef.undo"),
    ];
    for name in &orphans {
        std::fs::write(tables.join(name), "INDIR, of nobody").unwrap();
    }
    // Not ours: left alone.
    std::fs::write(tables.join("notes.txt"), "of somebody").unwrap();
    let ran = verify();
    ran.success();
    for name in &orphans {
        ran.out_has(&format!("orphan `{}`: ", tables.join(name).display()));
    }
    assert_eq!(ran.stdout().lines().count(), 3, "{ran}");
    let json = run(indir().args(["verify", "--json"]).arg(&folder));
    let document: serde_json::Value = serde_json::from_str(&json.success().stdout()).unwrap();
    assert_eq!(document["orphans"].as_array().unwrap().len(), 3);

    let prune = |args: &[&str]| {
        run(indir()
            .args(["update", "--prune", "--plan", "bound"])
            .args(args)
            .arg(&folder))
    };
    prune(&["--dry-run"]).success().err_has("would prune 3");
    assert_eq!(verify().stdout().lines().count(), 3);
    prune(&[])
        .success()
        .err_has("pruned 3")
        .err_has("current 1");
    verify().success().prints("");
    assert!(tables.join("notes.txt").exists());
    tree.is_well();

    // An executable that cannot be read may be whose table it is.
    let hidden = folder.join("hidden");
    std::fs::copy(&tree.program, &hidden).unwrap();
    std::fs::write(tables.join(id), "INDIR, of nobody").unwrap();
    mode(&hidden, 0o711);
    mode(&folder, 0o777);
    mode(&tables, 0o777);
    let user = |args: &[&str]| run(as_user(&tree.scratch).args(args).arg(&folder));
    user(&["update", "--prune"]).err_has("pruned 0");
    assert!(tables.join(id).exists());
    mode(&hidden, 0o755);
    user(&["update", "--prune"]).err_has("pruned 1");
}

/// What many executables share is said once; JSON says it for each.
#[test]
fn a_folder_of_programs_with_one_fault() {
    let tree = Tree::new();
    for index in 0..20 {
        let folder = tree.scratch.dir(format!("more/{index}"));
        let copy = folder.join("program");
        std::fs::copy(&tree.program, &copy).unwrap();
        let lib = tree.scratch.join("lib");
        update(&copy, &["--lib-dir", lib.to_str().unwrap()]);
    }
    let verify = |args: &[&str]| run(indir().arg("verify").args(args).arg(tree.scratch.path()));
    verify(&["-j", "3"])
        .success()
        .prints("")
        .err_has("verified 21, wrong 0");
    std::fs::remove_file(tree.scratch.join("lib/libfoo.so")).unwrap();
    let ran = verify(&["-j", "3"]);
    ran.exits(1)
        .out_has("and 20 more")
        .err_has("verified 21, wrong 21");
    assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
    let json = verify(&["--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.exits(1).stdout()).unwrap();
    let executables = document["executables"].as_array().unwrap();
    assert_eq!(executables.len(), 21);
    for one in executables {
        assert_eq!(one["findings"][0]["kind"], "missing", "{one}");
        let mend = one["findings"][0]["mend"].as_str().unwrap();
        assert_eq!(
            mend,
            format!("indir update {}", one["path"].as_str().unwrap())
        );
    }
}

#[test]
fn why_says_what_another_folder_would_change() {
    let tree = Tree::new();
    let (lib, new) = (tree.scratch.join("lib"), tree.scratch.dir("new"));
    let library = shared(&new.join("foo.c"), CALLED, &[]);
    std::fs::rename(library, new.join("libfoo.so")).unwrap();
    let program = tree.program.display();
    let why = |symbol: &str, args: &[&str]| {
        run(indir().arg("why").arg(&tree.program).arg(symbol).args(args))
    };
    let replace = format!("{}={}", lib.display(), new.display());
    why("foo", &["--replace", &replace])
        .success()
        .prints(&format!(
            "foo wanted by {program} => {old}, then {new}\n\
         foo offered by {old}, then not\n\
         foo then offered by {new}\n",
            old = lib.join("libfoo.so").display(),
            new = new.join("libfoo.so").display()
        ));
    let json = why("foo", &["--json", "--lib-dir", new.to_str().unwrap()]);
    let document: serde_json::Value = serde_json::from_str(&json.success().stdout()).unwrap();
    assert_eq!(document["version"], 1);
    let provider = |at: &str| {
        document[at]["wants"][0]["provider"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(Path::new(&provider("now")), lib.join("libfoo.so"));
    assert_eq!(Path::new(&provider("then")), new.join("libfoo.so"));
    let json = why("foo", &["--json"]);
    let document: serde_json::Value = serde_json::from_str(&json.stdout()).unwrap();
    assert!(document["then"].is_null());

    // The new one has lost it.
    let library = shared(&new.join("foo.c"), "int bar(void) { return 1; }", &[]);
    std::fs::rename(library, new.join("libfoo.so")).unwrap();
    why("foo", &["--replace", &replace])
        .exits(3)
        .out_has(", then nobody\n");
}
