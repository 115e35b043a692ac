//! `indir verify` of tables that were told where plugins are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, refused_then_updated, shared};
use crate::support::{Ran, Scratch, indir, run};
use crate::update::plugins::{OPENER, deep, opens, plug, text, update};

/// A program, a plugin beside a folder of its own, and the library that this needs.
struct Tree {
    dir: Scratch,
    exe: PathBuf,
    plugin: PathBuf,
    lib: PathBuf,
}

impl Tree {
    fn new(version: &str) -> Self {
        let dir = Scratch::new();
        let (lib, plugins) = (dir.join("lib"), dir.dir("plugins"));
        deep(&lib, 2, version);
        let plugin = plug(&plugins, &lib, &[]);
        let exe = indirect(&dir.join("bin/open.c"), OPENER, &[]);
        let args = ["--lib-dir", text(&lib), "--plugin-dir", text(&plugins)];
        refused_then_updated(&exe, &args);
        opens(&exe, &plugin, "42\n");
        let tree = Self {
            exe,
            plugin,
            lib,
            dir,
        };
        tree.verify(&["--deep"]).success().prints("");
        tree
    }

    fn verify(&self, args: &[&str]) -> Ran {
        run(indir().arg("verify").arg(&self.exe).args(args))
    }

    /// Exactly one finding, as text and as JSON.
    #[track_caller]
    fn finds(&self, code: i32, kind: &str, file: &Path, why: &str, mend: Option<&str>) {
        let mend_text = mend.map_or_else(String::new, |mend| format!("; run `{mend}`"));
        let line = format!(
            "{kind} `{}`: {why}, for `{}`{mend_text}\n",
            file.display(),
            self.exe.display()
        );
        self.verify(&[]).exits(code).prints(&line);
        let ran = self.verify(&["--json"]);
        let report: serde_json::Value = serde_json::from_str(&ran.exits(code).stdout()).unwrap();
        let findings = &report["executables"][0]["findings"];
        assert_eq!(
            findings,
            &serde_json::json!([{ "kind": kind, "file": file, "message": why, "mend": mend }])
        );
    }
}

#[test]
fn a_plugin_whose_library_is_gone_is_found() {
    let tree = Tree::new("");
    fs::remove_file(tree.lib.join("libdeep.so")).unwrap();
    run(Command::new(&tree.exe).arg(&tree.plugin)).exits(1);
    let ran = tree.verify(&[]);
    ran.exits(3)
        .out_has(&format!(
            "unsatisfied `{}`: the plugin is not complete any more: `libdeep.so`, needed by `{}`, is not found",
            tree.plugin.display(),
            tree.plugin.display()
        ))
        .out_has(&format!(", for `{}`\n", tree.exe.display()));
    assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
    // What an update told of is known.
    update(&tree.exe, &[])
        .success()
        .err_has("is not complete: `libdeep.so`");
    tree.verify(&[]).success().prints("");
    // And it is no news when it is complete again, but an update would say so.
    deep(&tree.lib, 2, "");
    opens(&tree.exe, &tree.plugin, "42\n");
    tree.verify(&[]).exits(1).out_has("stale `");
    update(&tree.exe, &[]).success();
    tree.verify(&[]).success().prints("");
}

#[test]
fn a_version_that_a_plugin_does_not_get_any_more_is_found() {
    let tree = Tree::new("DEEP_1");
    deep(&tree.lib, 3, "DEEP_2");
    run(Command::new(&tree.exe).arg(&tree.plugin)).exits(1);
    let why = format!(
        "deep@DEEP_1 needed by {}, not provided by {}",
        tree.plugin.display(),
        tree.lib.join("libdeep.so").display()
    );
    let mend = format!("indir update {}", tree.exe.display());
    tree.finds(3, "unsatisfied", &tree.exe, &why, Some(&mend));
}

#[test]
fn a_folder_of_plugins_that_is_gone_is_found() {
    let tree = Tree::new("");
    let plugins = tree.dir.join("plugins");
    fs::rename(&plugins, tree.dir.join("moved")).unwrap();
    let mend = format!("indir update --plugin-dir DIR {}", tree.exe.display());
    let why = "there is no such folder of plugins";
    tree.finds(1, "missing", &plugins, why, Some(&mend));
}

#[test]
fn a_new_plugin_whose_library_the_table_does_not_know_is_found() {
    let tree = Tree::new("");
    let folder = tree.dir.join("plugins/later");
    shared(
        &folder.join("libnear.so.c"),
        "int near(void) { return 9; }",
        &["-Wl,-soname,libnear.so"],
    );
    tree.verify(&[]).success().prints("");
    let search = format!("-L{}", folder.display());
    let source = "int near(void); int plug(void) { return near(); }";
    let file = tree.dir.join("plugins/second.so.c");
    let second = shared(&file, source, &[&search, "-lnear"]);
    run(Command::new(&tree.exe).arg(&second)).exits(1);
    let mend = format!("indir update {}", tree.exe.display());
    let why = format!(
        "the plugin needs `libnear.so`, and the table does not know of `{}`",
        folder.display()
    );
    tree.finds(1, "stale", &second, &why, Some(&mend));
    update(&tree.exe, &[]).success();
    opens(&tree.exe, &second, "9\n");
    tree.verify(&[]).success().prints("");
    // One that nobody can open is told of at once, whoever put it there.
    let broken = tree.dir.join("plugins/third.so.c");
    let broken = shared(
        &broken,
        source,
        &[&search, "-lnear", "-Wl,-soname,third.so"],
    );
    fs::remove_file(folder.join("libnear.so")).unwrap();
    let ran = tree.verify(&[]);
    for plugin in [&second, &broken] {
        let begin = format!(
            "unsatisfied `{}`: the plugin is not complete any more",
            plugin.display()
        );
        ran.exits(3).out_has(&begin);
    }
}
