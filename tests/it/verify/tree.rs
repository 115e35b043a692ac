//! A program with everything that `indir verify` looks at, to be damaged.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect_with, refused_then_updated, shared, table_of};
use crate::support::{Ran, Scratch, indir, run};

const CALLER: &str = "int foo(void); int main(void) { return foo() - 1; }";
pub(super) const CALLED: &str = "int foo(void) { return 1; }";

/// A program with a prefix and a library of its own, and a bound table.
pub(super) struct Tree {
    pub(super) scratch: Scratch,
    pub(super) program: PathBuf,
}

impl Tree {
    pub(super) fn new() -> Self {
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

    pub(super) fn verify(&self, args: &[&str]) -> Ran {
        run(indir().arg("verify").args(args).arg(&self.program))
    }

    #[track_caller]
    pub(super) fn is_well(&self) {
        self.verify(&["--deep"]).success().prints("");
    }

    /// Exactly one finding, with `code` and the command that mends it.
    #[track_caller]
    pub(super) fn finds(&self, code: i32, kind: &str, file: &Path, mend: &str) {
        self.finds_with(&[], code, kind, file, mend);
    }

    #[track_caller]
    pub(super) fn finds_with(&self, args: &[&str], code: i32, kind: &str, file: &Path, mend: &str) {
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

    pub(super) fn mend_by_update(&self) -> String {
        format!("; run `indir update {}`", self.program.display())
    }

    pub(super) fn bindings(&self) -> PathBuf {
        let mut name = table_of(&self.program).into_os_string();
        name.push(".bind");
        name.into()
    }
}

pub(super) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// `indir`, run by a user who is not root.
pub(super) fn as_user(scratch: &Scratch) -> Command {
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
