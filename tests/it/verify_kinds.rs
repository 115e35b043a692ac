//! Every kind of finding of `indir verify`, each after a run without any; and
//! `indir update --prune`.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect_with, refused_then_updated, shared, table_of, update};
use crate::support::{Ran, Scratch, indir, need, run};

const CALLER: &str = "int foo(void); int main(void) { return foo() - 1; }";
const CALLED: &str = "int foo(void) { return 1; }";

/// A program with a prefix and a library of its own, and a bound table.
struct Tree {
    scratch: Scratch,
    program: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let scratch = Scratch::new();
        let prefix = scratch.join("prefix");
        run(indir().arg("setup").arg("--prefix").arg(&prefix)).success();
        let library = shared(&scratch.join("lib/foo.c"), CALLED, &[]);
        std::fs::rename(library, scratch.join("lib/libfoo.so")).unwrap();
        let b_flag = format!("-B{}", prefix.join("libexec/indir").display());
        let search = format!("-L{}", scratch.join("lib").display());
        let source = scratch.join("bin/program.c");
        let program = indirect_with(&b_flag, &source, CALLER, &[&search, "-lfoo"]);
        let lib = scratch.join("lib");
        let args = ["--lib-dir", lib.to_str().unwrap(), "--plan", "bound"];
        refused_then_updated(&program, &args);
        let tree = Self { scratch, program };
        tree.is_well();
        run(&mut Command::new(&tree.program)).success();
        tree
    }

    fn verify(&self, args: &[&str]) -> Ran {
        run(indir().arg("verify").args(args).arg(&self.program))
    }

    #[track_caller]
    fn is_well(&self) {
        self.verify(&["--deep"]).success().prints("");
    }

    /// Exactly one finding, with `code` and the command that mends it.
    #[track_caller]
    fn finds(&self, code: i32, kind: &str, file: &Path, mend: &str) {
        self.finds_with(&[], code, kind, file, mend);
    }

    #[track_caller]
    fn finds_with(&self, args: &[&str], code: i32, kind: &str, file: &Path, mend: &str) {
        let ran = self.verify(args);
        ran.exits(code)
            .out_has(&format!("{kind} `{}`: ", file.display()))
            .out_has(&format!(", for `{}`", self.program.display()));
        assert!(
            ran.stdout().ends_with(&format!("{mend}\n")),
            "{mend}: {ran}"
        );
        assert_eq!(ran.stdout().lines().count(), 1, "{ran}");
    }

    fn mend_by_update(&self) -> String {
        format!("; run `indir update {}`", self.program.display())
    }

    fn bindings(&self) -> PathBuf {
        let mut name = table_of(&self.program).into_os_string();
        name.push(".bind");
        name.into()
    }
}

fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

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
    std::fs::write(&bindings, &other).unwrap();
    tree.finds(1, "foreign", &bindings, &mend);

    // A slot that is another: only computing them again shows it.
    let mut wrong = bytes.clone();
    let last = wrong.len() - 2;
    wrong[last] ^= 1;
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
        std::fs::write(tables.join(name), "of nobody").unwrap();
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
    std::fs::write(tables.join(id), "of nobody").unwrap();
    mode(&hidden, 0o711);
    mode(&folder, 0o777);
    mode(&tables, 0o777);
    let user = |args: &[&str]| run(as_user(&tree.scratch).args(args).arg(&folder));
    user(&["update", "--prune"]).err_has("pruned 0");
    assert!(tables.join(id).exists());
    mode(&hidden, 0o755);
    user(&["update", "--prune"]).err_has("pruned 1");
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

/// `indir`, run by a user who is not root.
fn as_user(scratch: &Scratch) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid=1234", "--regid=1234", "--clear-groups"]);
    command.arg(copy_of_indir(scratch));
    command
}

/// Where other users can run it.
fn copy_of_indir(scratch: &Scratch) -> PathBuf {
    let copy = scratch.join("indir");
    if !copy.exists() {
        // A descriptor of ours for writing could be in another test's child.
        run(Command::new("cp")
            .arg(env!("CARGO_BIN_EXE_indir"))
            .arg(&copy))
        .success();
    }
    let mut folder = Some(scratch.path());
    mode(scratch.path(), 0o755);
    while let Some(path) = folder.filter(|path| *path != Path::new("/")) {
        let rights = std::fs::metadata(path).unwrap().permissions().mode();
        assert!(rights & 0o001 != 0, "{} cannot be entered", path.display());
        folder = path.parent();
    }
    copy
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
