//! `indir update` over files and folders: what it writes, what it leaves alone,
//! and what it says about things that are no indirect executables.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Ran, Scratch, b_flag, cc, indir, run};

/// One small indirect program, linked once per test run.
fn program(tree: &Scratch, name: &str) -> PathBuf {
    let path = tree.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let source = tree.file("main.c", "int main(void) { return 0; }");
    cc([
        &b_flag(),
        "-o",
        path.to_str().unwrap(),
        source.to_str().unwrap(),
    ]);
    path
}

/// A program that needs `lib/libfoo.so`.
fn with_foo(tree: &Scratch, main: &Path) -> PathBuf {
    let program = tree.join("prog");
    let search = format!("-L{}", text(&tree.join("lib")));
    cc([
        &b_flag(),
        "-o",
        text(&program),
        text(main),
        &search,
        "-lfoo",
    ]);
    program
}

/// `count` copies of one program, each in its own folder, without tables.
fn copies(tree: &Scratch, count: usize) -> PathBuf {
    let original = program(tree, "original/prog");
    let root = tree.dir("root");
    for index in 0..count {
        let folder = tree.dir(format!("root/{index}"));
        std::fs::copy(&original, folder.join("prog")).unwrap();
    }
    root
}

fn update(args: &[&str]) -> Ran {
    run(indir().arg("update").args(args))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Every file below `root/*/.indir`.
/// What is in folders of tables, but for what is kept for `update --undo`.
fn in_table_folders(root: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let tables = folders.filter_map(|folder| std::fs::read_dir(folder.join(".indir")).ok());
    let files = tables.flatten().map(|entry| entry.unwrap().path());
    let is_kept = |file: &PathBuf| {
        let name = file.to_str().unwrap();
        name.ends_with(".last") || name.ends_with(".last.bind")
    };
    files.filter(|file| !is_kept(file)).collect()
}

/// A folder with the system's libc.so.6 and ld.so, so that tables differ.
fn another_glibc(tree: &Scratch, name: &str) -> PathBuf {
    let folder = tree.dir(name);
    for file in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        std::fs::copy(crate::support::system_lib().join(file), folder.join(file)).unwrap();
    }
    folder
}

#[test]
fn a_folder_means_every_indirect_executable_in_it() {
    let tree = Scratch::new();
    let root = copies(&tree, 5);
    tree.file("root/readme", "text");
    std::fs::copy("/bin/sh", tree.join("root/sh")).unwrap();
    let root = text(&root);
    let dry = update(&["--dry-run", root]);
    dry.exits(0)
        .err_has("would update 5, current 0, refused 0, failed 0");
    assert!(in_table_folders(Path::new(root)).is_empty());
    update(&[root])
        .exits(0)
        .err_has("updated 5, current 0, refused 0, failed 0");
    update(&[root, "-j", "1"])
        .exits(0)
        .err_has("updated 0, current 5, refused 0, failed 0");
    assert_eq!(in_table_folders(Path::new(root)).len(), 5);
    let ran = update(&["--json", root]);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["current"], 5);
    assert_eq!(document["executables"].as_array().unwrap().len(), 5);
    assert_eq!(document["executables"][0]["state"], "current");
    assert_eq!(document["executables"][0]["libraries"], 2);
}

#[test]
fn an_update_repeats_the_folders_of_the_last_and_replace_rewrites_them() {
    let tree = Scratch::new();
    let program = program(&tree, "bin/prog");
    let program = text(&program);
    let old = another_glibc(&tree, "glibc-1/lib");
    another_glibc(&tree, "glibc-2/lib");
    another_glibc(&tree, "glibc-12/lib");
    update(&[program, "--lib-dir", text(&old)]).exits(0);
    update(&[program]).exits(0).err_has("current 1");
    let ldso = || {
        let shown = run(indir().args(["show", "--json", program]));
        let document: serde_json::Value = serde_json::from_str(&shown.stdout()).unwrap();
        document["ldso"]["path"].as_str().unwrap().to_owned()
    };
    let in_tree = |folder: &str| text(&tree.join(folder)).to_owned();
    assert_eq!(ldso(), in_tree("glibc-1/lib/ld-linux-x86-64.so.2"));
    let replace = |old: &str, new: &str| format!("--replace={}={}", in_tree(old), in_tree(new));
    // Whole components only: `glibc` is no prefix of `glibc-1`.
    update(&[program, &replace("glibc", "glibc-2")])
        .exits(1)
        .err_has("no table takes anything from")
        .err_has("current 1");
    update(&[program, &replace("glibc-1", "glibc-2")])
        .exits(0)
        .err_has("updated 1");
    assert_eq!(ldso(), in_tree("glibc-2/lib/ld-linux-x86-64.so.2"));
    let twice = [
        replace("none", "glibc-1"),
        replace("glibc-2/lib", "glibc-12/lib"),
    ];
    update(&[program, &twice[0], &twice[1]])
        .exits(0)
        .err_has("updated 1");
    assert_eq!(ldso(), in_tree("glibc-12/lib/ld-linux-x86-64.so.2"));
    run(&mut Command::new(program)).exits(0);
}

#[test]
fn folders_that_rpath_cannot_express_are_refused() {
    let tree = Scratch::new();
    let program = program(&tree, "prog");
    for name in ["a:b", "a\nb", "a$b"] {
        let folder = tree.dir(name);
        let ran = update(&[text(&program), "--lib-dir", text(&folder)]);
        ran.exits(1).err_has("which DT_RPATH cannot express");
    }
    let ran = update(&[text(&program), "--lib-dir", "/nonexistent/folder"]);
    ran.exits(1)
        .err_has("`--lib-dir /nonexistent/folder`")
        .err_is_one_line();
    update(&[text(&program), "--replace", "/a"])
        .exits(2)
        .err_has("OLD=NEW");
    update(&[text(&program), "--replace", "a=/b"])
        .exits(2)
        .err_has("OLD=NEW");
}

/// The one line about `path`; the sum follows it.
#[track_caller]
fn fails(path: &Path, reason: &str) {
    let ran = update(&[text(path)]);
    ran.exits(1)
        .err_has(reason)
        .err_has(&format!("`{}`", path.display()));
    ran.err_has("updated 0, current 0, refused 0, failed 1");
    assert_eq!(ran.stderr().lines().count(), 2, "{ran}");
}

#[test]
fn bad_input_gets_one_line_each() {
    let tree = Scratch::new();
    fails(&tree.file("text", "words"), "not an ELF file");
    fails(
        &tree.file("script", "#!/bin/sh\n"),
        "a script, not an ELF file",
    );
    fails(&tree.file("empty", ""), "not an ELF file");
    fails(&tree.join("missing"), "No such file or directory");
    fails(&tree.dir("folder"), "no indirect executable in this folder");
    let sh = std::fs::read("/bin/sh").unwrap();
    fails(&tree.file("ordinary", &sh), "run `indir adopt` on it");
    let with = |name: &str, at: usize, value: u8| {
        let mut bytes = sh.clone();
        bytes[at] = value;
        tree.file(name, bytes)
    };
    fails(&with("narrow", 4, 1), "not a 64-bit little-endian ELF file");
    fails(&with("arm", 18, 40), "for another processor architecture");
    fails(&tree.file("short", &sh[..100]), "malformed ELF file");
    let library = crate::support::system_lib().join("libm.so.6");
    fails(&library, "not a dynamically linked executable");
}

#[test]
fn an_unreadable_executable_is_named() {
    let tree = Scratch::new();
    let program = program(&tree, "prog");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o0)).unwrap();
    let mut command = indir();
    command.arg("update").arg(&program);
    // root reads everything: drop to another user, who must get at the files.
    if nix::unistd::geteuid().is_root() {
        command = Command::new("setpriv");
        let flags = [
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--ambient-caps=-all",
        ];
        command
            .args(flags)
            .arg(env!("CARGO_BIN_EXE_indir"))
            .arg("update")
            .arg(&program);
    }
    run(&mut command)
        .exits(1)
        .err_has("Permission denied")
        .err_has("`");
}

#[test]
fn a_library_that_does_not_serve_is_named_with_who_needs_it() {
    let tree = Scratch::new();
    let source = tree.file("foo.c", "int foo;");
    let folder = tree.dir("lib");
    let library = folder.join("libfoo.so");
    cc(["-shared", "-o", text(&library), text(&source)]);
    let main = tree.file("main.c", "extern int foo; int main(void) { return foo; }");
    let program = with_foo(&tree, &main);
    update(&[text(&program), "--lib-dir", text(&folder)]).success();
    std::fs::remove_file(&library).unwrap();
    fails(&program, "`libfoo.so`, needed by");
    let ran = update(&[text(&program)]);
    ran.err_has(&format!("looked in {}", text(&folder)))
        .err_has("`--lib-dir`");
    std::fs::write(&library, "INPUT ( libbar.so )").unwrap();
    fails(&program, "cannot be used: a linker script, not an ELF file");
    let mut narrow = std::fs::read("/bin/sh").unwrap();
    narrow[4] = 1;
    std::fs::write(&library, narrow).unwrap();
    fails(&program, "not a 64-bit little-endian ELF file");
}

#[test]
fn a_folder_without_ld_so_falls_back_to_the_ordinary_one_and_junk_is_named() {
    let tree = Scratch::new();
    let program = program(&tree, "prog");
    let folder = another_glibc(&tree, "glibc");
    std::fs::write(folder.join("ld-linux-x86-64.so.2"), b"not ELF at all").unwrap();
    let ran = update(&[text(&program), "--lib-dir", text(&folder)]);
    ran.exits(1)
        .err_has("ld-linux-x86-64.so.2`")
        .err_has("not an ELF file");
}

/// glibc's own choice between processors stays glibc's.
#[test]
fn a_library_with_a_hwcaps_variant_is_left_to_ld_so() {
    let tree = Scratch::new();
    let main = tree.file("main.c", "int foo(void); int main(void) { return foo(); }");
    let build = |folder: &str, value: u8| {
        let source = tree.file("foo.c", format!("int foo(void) {{ return {value}; }}"));
        let path = tree.dir(folder).join("libfoo.so");
        cc([
            "-shared",
            "-fPIC",
            "-Wl,-soname,libfoo.so",
            "-o",
            text(&path),
            text(&source),
        ]);
    };
    build("lib", 1);
    build("lib/glibc-hwcaps/x86-64-v2", 2);
    let program = with_foo(&tree, &main);
    update(&[text(&program), "--lib-dir", text(&tree.join("lib"))]).exits(0);
    run(indir().args(["show", text(&program)]))
        .exits(0)
        .out_has("hwcaps");
    // Every processor that these tests run on has x86-64-v2 (SSE4.2).
    run(&mut Command::new(&program)).exits(2);
}

#[test]
fn a_killed_run_leaves_every_table_old_or_new_and_the_next_one_cleans_up() {
    const COPIES: usize = 64;
    let tree = Scratch::new();
    let root = copies(&tree, COPIES);
    let folders = [another_glibc(&tree, "one"), another_glibc(&tree, "two")];
    let known: Vec<Vec<u8>> = folders
        .iter()
        .map(|folder| {
            update(&[text(&root), "--lib-dir", text(folder)]).exits(0);
            let tables = in_table_folders(&root);
            assert_eq!(tables.len(), COPIES);
            let first = std::fs::read(&tables[0]).unwrap();
            assert!(
                tables
                    .iter()
                    .all(|table| std::fs::read(table).unwrap() == first)
            );
            first
        })
        .collect();
    let mut killed = 0;
    let mut mixed = 0;
    for round in 0..60 {
        let folder = &folders[round % 2];
        let mut child = indir()
            .args(["update", text(&root), "--lib-dir", text(folder)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(500 * round as u64));
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        let mut counts = [0, 0];
        for file in in_table_folders(&root) {
            if file.extension().is_some_and(|extension| extension == "tmp") {
                continue;
            }
            let bytes = std::fs::read(&file).unwrap();
            let which = known.iter().position(|known| *known == bytes);
            counts[which.expect("a table that is neither old nor new")] += 1;
        }
        assert_eq!(counts[0] + counts[1], COPIES);
        mixed += usize::from(counts[0] > 0 && counts[1] > 0);
    }
    println!("{killed} of 60 runs killed, {mixed} with tables of both kinds");
    assert!(
        killed > 0,
        "no run was killed: the delays are too long for this machine"
    );
    update(&[text(&root)]).exits(0);
    let left = in_table_folders(&root);
    assert_eq!(left.len(), COPIES, "temporaries are left: {left:?}");
}

/// Deterministic stand-in for a kill between writing and renaming.
#[test]
fn temporaries_of_a_dead_process_are_removed_and_those_of_a_living_one_are_not() {
    let tree = Scratch::new();
    let root = copies(&tree, 1);
    update(&[text(&root)]).exits(0);
    let table = in_table_folders(&root).remove(0);
    let name = table.file_name().unwrap().to_str().unwrap().to_owned();
    let dead = table.with_file_name(format!(".{name}.indir-0123456789abcdef.tmp"));
    let living = table.with_file_name(format!(".{name}.bind.indir-fedcba9876543210.tmp"));
    for file in [&dead, &living] {
        std::fs::write(file, "half a table").unwrap();
    }
    let open = std::fs::File::open(&living).unwrap();
    open.lock().unwrap();
    run(indir().arg("verify").arg(&root))
        .exits(0)
        .out_has(&format!("orphan `{}`", text(&dead)));
    let lib = another_glibc(&tree, "glibc");
    update(&[text(&root), "--lib-dir", text(&lib), "--dry-run"]).exits(0);
    assert!(dead.exists() && living.exists());
    update(&[text(&root), "--lib-dir", text(&lib)]).exits(0);
    assert!(!dead.exists() && living.exists());
    drop(open);
    update(&[text(&root), "--lib-dir", text(&tree.path().join("lib"))]).exits(1);
    update(&[text(&root), "--plan", "bound"]).exits(0);
    assert!(!living.exists());
}

#[test]
fn no_file_of_others_is_removed() {
    let tree = Scratch::new();
    let root = copies(&tree, 1);
    update(&[text(&root)]).exits(0);
    let table = in_table_folders(&root).remove(0);
    let name = table.file_name().unwrap().to_str().unwrap().to_owned();
    let tables = table.parent().unwrap();
    let foreign = [
        root.join("docs/.thesis.2024.1.tmp"),
        root.join(".db.999999.7.tmp"),
        root.join("docs/.x.tmp"),
        // The name is ours, the folder is not.
        root.join(format!("docs/.{name}.indir-0123456789abcdef.tmp")),
        tables.join(format!(".{name}.4194305.0.tmp")),
        tables.join(".thesis.indir-0123456789abcdef.tmp"),
        // An id, but no table.
        tables.join("cafe"),
        tables.join("cafe.bind"),
        tables.join("readme"),
    ];
    for file in &foreign {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "precious").unwrap();
    }
    let lib = another_glibc(&tree, "glibc");
    for args in [
        &["--dry-run"][..],
        &[],
        &["--lib-dir", text(&lib)],
        &["--prune"],
        &["--plan", "bound", "--prune"],
    ] {
        update(&[&[text(&root)], args].concat()).exits(0);
        for file in &foreign {
            assert!(file.exists(), "{args:?}: {}", file.display());
        }
    }
}

#[test]
fn a_plan_that_was_asked_for_is_kept_until_another_is() {
    let tree = Scratch::new();
    let source = "int main(void) { return 0; }";
    let exe = crate::support::program::indirect(&tree.join("bin/small.c"), source, &[]);
    let plan = |args: &[&str]| {
        update(&[&[text(&exe)], args].concat()).success();
        let shown = run(indir().arg("show").arg(&exe).arg("--json"));
        let shown: serde_json::Value = serde_json::from_str(&shown.success().stdout()).unwrap();
        let bindings = in_table_folders(tree.path()).len() == 2;
        assert_eq!(shown["plan"] == "bound", bindings, "{shown}");
        (shown["plan"].clone(), shown["plan_asked"].clone())
    };
    // Too small for bindings to pay.
    assert_eq!(plan(&[]), ("direct".into(), false.into()));
    let bound = ("bound".into(), true.into());
    assert_eq!(plan(&["--plan", "bound"]), bound);
    assert_eq!(plan(&[]), bound);
    update(&[text(&exe)]).success().err_has("current 1");
    run(indir().arg("verify").arg(&exe)).success();
    assert_eq!(plan(&["--lib-dir", text(tree.path())]), bound);
    assert_eq!(plan(&["--plan", "direct"]), ("direct".into(), true.into()));
    assert_eq!(plan(&[]), ("direct".into(), true.into()));
    assert_eq!(plan(&["--plan", "auto"]), ("direct".into(), false.into()));
}
