//! `indir verify` finds what does not fit between a table and its files.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::{Ran, Scratch, b_flag, cc, indir, run};

/// An indirect program with a library beside it, and its table.
struct Tree {
    scratch: Scratch,
    program: PathBuf,
    library: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let scratch = Scratch::new();
        let (program, library) = (scratch.join("prog"), scratch.dir("lib").join("libfoo.so"));
        let tree = Self {
            scratch,
            program,
            library,
        };
        tree.build_library(1);
        let main = tree
            .scratch
            .file("main.c", "int foo(void); int main(void) { return foo(); }");
        let search = format!("-L{}", text(&tree.scratch.join("lib")));
        cc([
            &b_flag(),
            "-o",
            text(&tree.program),
            text(&main),
            &search,
            "-lfoo",
        ]);
        let update = run(indir()
            .arg("update")
            .arg(&tree.program)
            .arg("--lib-dir")
            .arg(tree.scratch.join("lib")));
        update.exits(0);
        tree.verify()
            .exits(0)
            .prints("")
            .err_has("verified 1, wrong 0");
        tree
    }

    fn build_library(&self, value: u8) {
        let source = self
            .scratch
            .file("foo.c", format!("int foo(void) {{ return {value}; }}"));
        let _ = std::fs::remove_file(&self.library);
        cc(["-shared", "-fPIC", "-o", text(&self.library), text(&source)]);
    }

    fn table(&self) -> PathBuf {
        let mut files = std::fs::read_dir(self.scratch.join(".indir")).unwrap();
        files.next().unwrap().unwrap().path()
    }

    fn verify(&self) -> Ran {
        run(indir().arg("verify").arg(&self.program))
    }

    #[track_caller]
    fn finds(&self, kind: &str, file: &Path) {
        let ran = self.verify();
        ran.exits(1)
            .out_has(&format!("{kind} `{}`: ", file.display()));
        assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn libraries_that_are_missing_replaced_or_unusable_are_found() {
    let tree = Tree::new();
    tree.build_library(2);
    tree.finds("replaced", &tree.library);
    std::fs::write(&tree.library, "no library").unwrap();
    tree.finds("unusable", &tree.library);
    std::fs::remove_file(&tree.library).unwrap();
    tree.finds("missing", &tree.library);
    tree.build_library(1);
    tree.verify().exits(0);
}

#[test]
fn tables_that_are_missing_truncated_or_foreign_are_found() {
    let tree = Tree::new();
    let table = tree.table();
    let bytes = std::fs::read(&table).unwrap();
    for length in 0..bytes.len() {
        std::fs::write(&table, &bytes[..length]).unwrap();
        if length % 16 == 0 {
            tree.finds("broken", &table);
        }
        assert!(indir_shim::format::table::Table::parse(&bytes[..length]).is_err());
    }
    let mut other = bytes.clone();
    let id = std::mem::offset_of!(indir_shim::format::layout::Header, exe_id);
    other[id] ^= 1;
    std::fs::write(&table, &other).unwrap();
    tree.finds("foreign", &table);
    std::fs::remove_file(&table).unwrap();
    tree.finds("missing", &table);
    std::fs::write(&table, &bytes).unwrap();
    tree.verify().exits(0);
}

#[test]
fn what_a_setuid_program_must_not_trust_is_found() {
    let tree = Tree::new();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap()
    };
    mode(&tree.table(), 0o666);
    tree.verify()
        .exits(1)
        .out_has("others than its owner may write it");
    mode(&tree.program, 0o4755);
    let ran = tree.verify();
    ran.exits(1)
        .out_has(&format!("unsafe `{}`", text(&tree.table())));
    mode(&tree.program, 0o755);
    mode(&tree.table(), 0o644);
    mode(&tree.library, 0o777);
    mode(&tree.program, 0o2755);
    tree.verify()
        .exits(1)
        .out_has(&format!("unsafe `{}`", text(&tree.library)));
}

#[test]
fn a_folder_is_verified_whole_and_json_says_the_same() {
    let tree = Tree::new();
    for index in 0..3 {
        let folder = tree.scratch.dir(format!("more/{index}"));
        std::fs::copy(&tree.program, folder.join("prog")).unwrap();
    }
    let ran = run(indir().args(["verify", "--json", text(tree.scratch.path())]));
    ran.exits(1);
    let document: serde_json::Value = serde_json::from_str(&ran.stdout()).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["verified"], 4);
    assert_eq!(document["wrong"], 3);
    assert_eq!(document["executables"][1]["findings"][0]["kind"], "missing");
    let nothing = tree.scratch.file("text", "words");
    run(indir().args(["verify", text(&nothing)]))
        .exits(1)
        .out_has("not an ELF file");
}

#[test]
fn why_names_who_provides_a_symbol_to_whom() {
    let tree = Tree::new();
    let why = |symbol: &str| run(indir().arg("why").arg(&tree.program).arg(symbol));
    let (program, library) = (text(&tree.program), text(&tree.library));
    let ran = why("foo");
    ran.exits(0).prints(&format!(
        "foo wanted by {program} => {library}\nfoo offered by {library}\n"
    ));
    let ran = why("__libc_start_main@GLIBC_2.34");
    ran.exits(0).out_has(&format!(
        "__libc_start_main@GLIBC_2.34 wanted by {program} => "
    ));
    ran.out_has("__libc_start_main@@GLIBC_2.34 offered by ");
    assert!(!ran.stdout().contains("GLIBC_2.2.5"), "{ran}");
    why("no_such_symbol").exits(1).err_is_one_line();
}
