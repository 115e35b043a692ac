//! Every kind of finding of `indir verify`, each after a run without any.

use std::os::unix::fs::chown;
use std::path::Path;
use std::process::Command;

use indir::table::bindings_file::seal;

use super::tree::{Tree, as_user, mode};
use crate::support::program::{shared, table_of, update};
use crate::support::{Scratch, indir, need, run};

#[test]
fn bindings_that_are_missing_broken_foreign_or_wrong() {
    let tree = Tree::new();
    let mend = tree.mend_by_update();
    let bindings = tree.bindings();
    let bytes = std::fs::read(&bindings).unwrap();

    std::fs::remove_file(&bindings).unwrap();
    tree.finds(1, "missing", &bindings, &mend);
    std::fs::write(&bindings, &bytes[..bytes.len() - 1]).unwrap();
    tree.finds(1, "broken", &bindings, &mend);
    update(&tree.program, &["--plan", "bound"]);
    tree.is_well();

    // Its digest is that of another table.
    let mut other = bytes.clone();
    let at = std::mem::offset_of!(indir_shim::format::bindings_layout::Header, digest);
    other[at] ^= 1;
    seal(&mut other);
    std::fs::write(&bindings, &other).unwrap();
    tree.finds(1, "foreign", &bindings, &mend);

    // Not what was computed, with a good sum: only computing them again shows it.
    let mut wrong = bytes.clone();
    let last = wrong.len() - indir_shim::format::bindings_layout::TAIL - 2;
    wrong[last] ^= 1;
    seal(&mut wrong);
    std::fs::write(&bindings, &wrong).unwrap();
    tree.verify(&[]).success();
    let remove = format!(
        "; run `rm {} && indir update {}`",
        bindings.display(),
        tree.program.display()
    );
    tree.finds_with(&["--deep"], 1, "broken", &bindings, &remove);
    std::fs::remove_file(&bindings).unwrap();
    update(&tree.program, &["--plan", "bound"]);
    assert_eq!(std::fs::read(&bindings).unwrap(), bytes);
    tree.is_well();
}

#[test]
fn a_shim_or_a_binder_that_is_missing_or_of_another_version() {
    let tree = Tree::new();
    let prefix = tree.scratch.join("prefix");
    let mend = format!("; run `indir setup --prefix {}`", prefix.display());
    for name in ["ld-indir-x86-64.so.1", "libindir-bind.so"] {
        let file = prefix.join("lib/indir").join(name);
        let mut bytes = std::fs::read(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        tree.finds(1, "missing", &file, &mend);
        bytes.push(0);
        std::fs::write(&file, bytes).unwrap();
        tree.finds(1, "version", &file, &mend);
        run(indir().arg("setup").arg("--prefix").arg(&prefix)).success();
        tree.is_well();
    }
}

#[test]
fn a_table_that_is_stale_and_libraries_that_do_not_satisfy() {
    need("patchelf", "patchelf");
    let tree = Tree::new();
    let original = std::fs::read(&tree.program).unwrap();
    let patchelf = |args: &[&str]| {
        run(Command::new("patchelf").args(args).arg(&tree.program)).success();
    };
    // The executable needs another library.
    patchelf(&["--add-needed", "libm.so.6"]);
    let table = table_of(&tree.program);
    tree.finds(1, "stale", &table, &tree.mend_by_update());
    update(&tree.program, &["--plan", "bound"]);
    tree.is_well();
    // One that is not there.
    patchelf(&["--add-needed", "libnothere.so"]);
    tree.finds(3, "unsatisfied", &tree.program, &tree.mend_by_update());
    std::fs::write(&tree.program, &original).unwrap();
    update(&tree.program, &["--plan", "bound"]);
    tree.is_well();
    // Another interpreter: nothing mends that.
    patchelf(&["--set-interpreter", "/lib64/ld-linux-x86-64.so.2"]);
    let own = format!(", for `{}`", tree.program.display());
    tree.finds(1, "foreign", &tree.program, &own);
    std::fs::write(&tree.program, original).unwrap();

    // A search finds another file first: a library that was not there before.
    let soname = "-Wl,-soname,libnew.so";
    let folder = tree.scratch.join("lib");
    std::fs::copy(
        crate::support::system_lib().join("libm.so.6"),
        folder.join("libm.so.6"),
    )
    .unwrap();
    tree.is_well();
    let library = shared(
        &tree.scratch.join("new/new.c"),
        "void n(void) {}",
        &[soname],
    );
    std::fs::rename(library, folder.join("libc.so.6")).unwrap();
    let ran = tree.verify(&[]);
    ran.exits(3).out_has("unsatisfied `").out_has("more");
    assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
}

#[test]
fn folders_and_files_that_others_can_write() {
    let tree = Tree::new();
    let lib = tree.scratch.join("lib");
    let chmod = |file: &Path, what: &str| format!("; run `chmod {what} {}`", file.display());
    mode(&lib, 0o777);
    tree.finds(1, "unsafe", &lib, &chmod(&lib, "o-w"));
    mode(&lib, 0o1777);
    tree.finds(1, "unsafe", &lib, &chmod(&lib, "o-w"));
    mode(&lib, 0o755);
    let above = tree.scratch.path().to_owned();
    mode(&above, 0o1777);
    tree.is_well();
    mode(&above, 0o777);
    tree.finds(1, "unsafe", &above, &chmod(&above, "o-w"));
    mode(&above, 0o755);
    // What is writable for a group concerns privileged programs only.
    mode(&lib, 0o775);
    tree.is_well();

    mode(&tree.program, 0o4755);
    tree.finds(1, "unsafe", &lib, &chmod(&lib, "go-w"));
    mode(&lib, 0o755);
    tree.is_well();
    let library = lib.join("libfoo.so");
    mode(&library, 0o664);
    tree.finds(1, "unsafe", &library, &chmod(&library, "go-w"));
    mode(&library, 0o644);
    chown(&library, Some(1234), None).unwrap();
    let mend = format!("; run `chown root {}`", library.display());
    tree.finds(1, "unsafe", &library, &mend);
    chown(&library, Some(0), None).unwrap();
    chown(&lib, Some(1234), None).unwrap();
    let mend = format!("; run `chown root {}`", lib.display());
    tree.finds(1, "unsafe", &lib, &mend);
    chown(&lib, Some(0), None).unwrap();
    let table = table_of(&tree.program);
    mode(&table, 0o666);
    tree.finds(1, "unsafe", &table, &chmod(&table, "go-w"));
    mode(&table, 0o644);
    tree.is_well();
    mode(&tree.program, 0o755);
    need("setcap", "libcap2-bin");
    run(Command::new("setcap")
        .arg("cap_net_raw=ep")
        .arg(&tree.program))
    .success();
    mode(&table, 0o666);
    tree.finds(1, "unsafe", &table, &chmod(&table, "go-w"));
}

#[test]
fn files_that_the_user_may_not_read() {
    let tree = Tree::new();
    let verify = || run(as_user(&tree.scratch).arg("verify").arg(&tree.program));
    verify().success().prints("");
    let prefix = tree.scratch.join("prefix/lib/indir");
    for (file, mend) in [
        (tree.program.clone(), ""),
        (table_of(&tree.program), ""),
        (tree.bindings(), ""),
        (tree.scratch.join("lib/libfoo.so"), ""),
        (prefix.join("ld-indir-x86-64.so.1"), "indir setup"),
        (prefix.join("libindir-bind.so"), "indir setup"),
    ] {
        let before = std::fs::metadata(&file).unwrap().permissions();
        mode(&file, 0o600);
        let ran = verify();
        ran.exits(1)
            .out_has(&format!("unreadable `{}`: ", file.display()))
            .out_has(mend);
        assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
        assert_eq!(ran.stdout().contains("; run "), !mend.is_empty(), "{ran}");
        // Root may read it.
        tree.is_well();
        std::fs::set_permissions(&file, before).unwrap();
        verify().success().prints("");
    }
}

#[test]
fn what_is_no_executable_is_unusable() {
    let scratch = Scratch::new();
    let text = scratch.file("text", "no executable");
    for path in [text, scratch.join("nothing")] {
        run(indir().arg("verify").arg(&path))
            .exits(1)
            .out_has(&format!("unusable `{}`: ", path.display()));
    }
}
