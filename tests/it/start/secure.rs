//! AT_SECURE: a setuid-root program that another user runs.
//!
//! These tests have to be root, and need a file system on which setuid works
//! and whose folders are root's alone up to the top: /var/tmp, or the folder
//! that INDIR_SETUID_DIR names.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::table::TableFile;
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{Gid, Uid, chown};

use crate::support::program::{indirect_with, shared, table_of, update};
use crate::support::{Ran, indir, need, run};

/// Nobody's user and group.
const NOBODY: u32 = 65_534;

/// A folder whose parents are root's alone, with a prefix of its own in it.
pub(super) struct Ground(tempfile::TempDir);

impl Ground {
    pub(super) fn new() -> Self {
        let base = std::env::var_os("INDIR_SETUID_DIR").map_or("/var/tmp".into(), PathBuf::from);
        assert!(
            Uid::effective().is_root(),
            "the tests of setuid programs have to be root: run the tests as root"
        );
        assert!(
            !statvfs(&base).unwrap().flags().contains(FsFlags::ST_NOSUID),
            "{} is mounted nosuid: name another folder in INDIR_SETUID_DIR",
            base.display()
        );
        let dir = tempfile::Builder::new()
            .prefix("indir-")
            .tempdir_in(base)
            .unwrap();
        mode(dir.path(), 0o755);
        let ground = Self(dir);
        run(indir()
            .arg("setup")
            .arg("--prefix")
            .arg(ground.join("prefix")))
        .success();
        ground
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(super) fn dir(&self, name: &str) -> PathBuf {
        let path = self.join(name);
        std::fs::create_dir_all(&path).unwrap();
        path
    }
}

pub(super) fn mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

pub(super) fn give_to_nobody(path: &Path) {
    chown(
        path,
        Some(Uid::from_raw(NOBODY)),
        Some(Gid::from_raw(NOBODY)),
    )
    .unwrap();
}

/// Says whose it is and what `shade` of libshade.so says.
const SOURCE: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <unistd.h>
const char *shade(void);
int main(int argc, char **argv) {
    printf("%d %d %lu %s\n", getuid(), geteuid(), getauxval(AT_SECURE), shade());
    if (argc > 1) puts(dlopen(argv[1], RTLD_NOW) ? "opened" : "not found");
}
"#;

/// A setuid-root program with its table, and one library in lib/.
pub(super) struct Setuid {
    pub(super) ground: Ground,
    pub(super) exe: PathBuf,
    pub(super) lib: PathBuf,
}

impl Setuid {
    pub(super) fn new() -> Self {
        let ground = Ground::new();
        let lib = ground.dir("lib");
        shade(&lib, "root's");
        let folder = lib.to_str().unwrap();
        let b = format!("-B{}", ground.join("prefix/libexec/indir").display());
        let args = ["-L", folder, "-lshade"];
        let exe = indirect_with(&b, &ground.join("bin/program.c"), SOURCE, &args);
        update(&exe, &["--lib-dir", folder]);
        mode(&exe, 0o4755);
        Self { ground, exe, lib }
    }
}

pub(super) fn shade(folder: &Path, text: &str) -> PathBuf {
    shared(
        &folder.join("libshade.so.c"),
        &format!("const char *shade(void) {{ return \"{text}\"; }}"),
        &["-Wl,-soname,libshade.so"],
    )
}

/// `exe` as nobody runs it, with these variables.
pub(super) fn as_nobody(exe: &Path, args: &[&str], env: &[(&str, &str)]) -> Ran {
    let mut command = Command::new(need("setpriv", "util-linux"));
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "env"]);
    command.args(env.iter().map(|(name, value)| format!("{name}={value}")));
    run(command.arg(exe).args(args))
}

#[track_caller]
pub(super) fn distrusted(ran: &Ran, exe: &Path, what: &str) {
    ran.exits(127).prints("").err_is_one_line();
    ran.err_has(&format!("indir: {}: ", exe.display()))
        .err_has(what)
        .err_has(&format!("as root, run `indir verify {}`", exe.display()));
}

pub(super) const GOOD: &str = "65534 0 1 root's\n";

#[test]
fn a_setuid_program_runs_for_another_user() {
    let setuid = Setuid::new();
    as_nobody(&setuid.exe, &[], &[]).success().prints(GOOD);
    // Root's own run is not privileged.
    run(&mut Command::new(&setuid.exe))
        .success()
        .prints("0 0 0 root's\n");
    // Folders of the table serve dlopen still.
    as_nobody(&setuid.exe, &["libshade.so"], &[])
        .success()
        .out_has("opened");
    update(&setuid.exe, &["--plan", "bound"]);
    as_nobody(&setuid.exe, &[], &[]).success().prints(GOOD);
    let binder = setuid.ground.join("prefix/lib/indir/libindir-bind.so");
    mode(&binder, 0o777);
    let what = format!("not trusted: {}: others than root", binder.display());
    distrusted(&as_nobody(&setuid.exe, &[], &[]), &setuid.exe, &what);
}

#[test]
fn its_environment_is_ignored() {
    let setuid = Setuid::new();
    let evil = setuid.ground.dir("evil");
    let library = shade(&evil, "evil");
    give_to_nobody(&evil);
    let forged = evil.join("tables");
    std::fs::create_dir(&forged).unwrap();
    let table = table_of(&setuid.exe);
    std::fs::write(forged.join(table.file_name().unwrap()), "damaged").unwrap();
    let (evil, library, forged) = (
        evil.to_str().unwrap(),
        library.to_str().unwrap(),
        forged.to_str().unwrap(),
    );
    for variable in [
        ("INDIR_TABLES", forged),
        ("INDIR_DEBUG", "1"),
        ("INDIR_DISABLE_BINDINGS", "1"),
        ("LD_LIBRARY_PATH", evil),
        ("LD_DEBUG", "all"),
        ("LD_ORIGIN_PATH", evil),
        ("LD_AUDIT", library),
    ] {
        let ran = as_nobody(&setuid.exe, &[], &[variable]);
        // `env` itself obeys what is meant for ordinary programs.
        assert!(
            ran.success().stdout().ends_with(GOOD),
            "{variable:?}: {ran}"
        );
        assert!(!ran.stderr().contains("indir: "), "{variable:?}: {ran}");
    }
    as_nobody(&setuid.exe, &["libevil.so"], &[("LD_LIBRARY_PATH", evil)])
        .success()
        .out_has("not found");
    let ran = as_nobody(&setuid.exe, &[], &[("LD_PRELOAD", library)]);
    assert!(ran.success().stdout().ends_with(GOOD), "{ran}");
}

#[test]
fn a_hard_link_with_a_forged_table_is_refused() {
    let setuid = Setuid::new();
    let home = setuid.ground.dir("home");
    let link = home.join("innocent");
    // As root: protected_hardlinks would not let nobody, other systems would.
    std::fs::hard_link(&setuid.exe, &link).unwrap();
    let evil = setuid.ground.dir("home/evil");
    shade(&evil, "evil");
    update(&link, &["--lib-dir", evil.to_str().unwrap()]);
    let forged = table_of(&link);
    assert_ne!(forged, table_of(&setuid.exe));
    for path in [&home, &home.join(".indir"), &forged, &evil] {
        give_to_nobody(path);
    }
    assert_eq!(std::fs::metadata(&link).unwrap().mode() & 0o7777, 0o4755);
    let what = "others than root can write to a folder of its path";
    distrusted(&as_nobody(&link, &[], &[]), &link, what);
    // Nor through a symbolic link to it, nor with only the folder changed.
    let symlink = home.join("symlink");
    std::os::unix::fs::symlink(&link, &symlink).unwrap();
    distrusted(&as_nobody(&symlink, &[], &[]), &link, what);
    chown(&forged, Some(Uid::from_raw(0)), None).unwrap();
    chown(&home.join(".indir"), Some(Uid::from_raw(0)), None).unwrap();
    distrusted(&as_nobody(&link, &[], &[]), &link, what);
    // The program in its place goes on working.
    as_nobody(&setuid.exe, &[], &[]).success().prints(GOOD);
}

#[test]
fn what_others_can_write_is_refused() {
    let setuid = Setuid::new();
    let exe = &setuid.exe;
    let table = table_of(exe);
    let library = setuid.lib.join("libshade.so");
    let folder = "others than root can write to a folder of its path";
    for (path, what) in [
        (
            &table,
            "the table is not trusted: others than root can write to it",
        ),
        (&library, "others than root can write to it"),
        (&setuid.lib, folder),
        (&table.parent().unwrap().to_owned(), folder),
        (&exe.parent().unwrap().to_owned(), folder),
    ] {
        let before = std::fs::metadata(path).unwrap().mode() & 0o7777;
        for writable in [before | 0o020, before | 0o002] {
            mode(path, writable);
            distrusted(&as_nobody(exe, &[], &[]), exe, what);
        }
        mode(path, before);
        as_nobody(exe, &[], &[]).success().prints(GOOD);

        give_to_nobody(path);
        let ran = as_nobody(exe, &[], &[]);
        let owner = if path.is_dir() {
            folder
        } else {
            "it does not belong to root"
        };
        distrusted(&ran, exe, owner);
        chown(path, Some(Uid::from_raw(0)), Some(Gid::from_raw(0))).unwrap();
    }
    // The line names the library.
    mode(&library, 0o666);
    as_nobody(exe, &[], &[]).err_has(&format!("not trusted: {}: ", library.display()));
    // A sticky folder that all can write to does for its subfolders only.
    mode(&library, 0o755);
    mode(&setuid.lib, 0o1777);
    distrusted(&as_nobody(exe, &[], &[]), exe, folder);
}

#[test]
fn folders_to_search_have_to_be_trusted_too() {
    let setuid = Setuid::new();
    let open = setuid.ground.dir("open");
    let folders = [open.to_str().unwrap(), setuid.lib.to_str().unwrap()];
    update(
        &setuid.exe,
        &["--lib-dir", folders[0], "--lib-dir", folders[1]],
    );
    as_nobody(&setuid.exe, &[], &[]).success().prints(GOOD);
    mode(&open, 0o777);
    let ran = as_nobody(&setuid.exe, &["libevil.so"], &[]);
    let what = format!(
        "not trusted: {}: others than root can write",
        open.display()
    );
    distrusted(&ran, &setuid.exe, &what);
}

#[test]
fn a_missing_table_or_library_is_told_apart() {
    let setuid = Setuid::new();
    let (exe, table) = (&setuid.exe, table_of(&setuid.exe));
    let bytes = std::fs::read(&table).unwrap();
    assert!(TableFile::new(bytes.clone()).is_ok());
    std::fs::remove_file(&table).unwrap();
    distrusted(&as_nobody(exe, &[], &[]), exe, "no such file");
    std::fs::write(&table, &bytes[..bytes.len() - 1]).unwrap();
    distrusted(&as_nobody(exe, &[], &[]), exe, "the table is truncated");
    std::fs::write(&table, &bytes).unwrap();
    as_nobody(exe, &[], &[]).success();
    std::fs::remove_file(setuid.lib.join("libshade.so")).unwrap();
    distrusted(&as_nobody(exe, &[], &[]), exe, "libshade.so: no such file");
}

#[test]
fn capabilities_count_as_privileges() {
    let setuid = Setuid::new();
    // setgid alone is AT_SECURE, as are file capabilities.
    mode(&setuid.exe, 0o2755);
    let forged = setuid.ground.join("forged");
    std::fs::create_dir(&forged).unwrap();
    let table = table_of(&setuid.exe);
    std::fs::write(forged.join(table.file_name().unwrap()), "damaged").unwrap();
    let forged = [("INDIR_TABLES", forged.to_str().unwrap())];
    as_nobody(&setuid.exe, &[], &forged)
        .success()
        .prints("65534 65534 1 root's\n");
    mode(&setuid.exe, 0o755);
    as_nobody(&setuid.exe, &[], &forged).exits(127);
}

#[test]
fn file_capabilities_are_granted_and_privileged() {
    let ground = Ground::new();
    let b = format!("-B{}", ground.join("prefix/libexec/indir").display());
    let source = "#include <netinet/in.h>\n#include <stdio.h>\n#include <sys/auxv.h>\n#include <unistd.h>\n\
                  int main(void) { int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP); \
                  printf(\"%d %lu %s\\n\", getuid(), getauxval(AT_SECURE), raw < 0 ? \"none\" : \"raw\"); }";
    let setcap = need("setcap", "libcap2-bin");
    let exe = indirect_with(&b, &ground.join("bin/ping.c"), source, &[]);
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        run(Command::new(&setcap).arg("-r").arg(&exe));
        as_nobody(&exe, &[], &[]).success().prints("65534 0 none\n");
        run(Command::new(&setcap).arg("cap_net_raw+ep").arg(&exe)).success();
        as_nobody(&exe, &[], &[]).success().prints("65534 1 raw\n");
        // The capability stays with the file when the table is written again,
        update(&exe, &["--plan", "auto"]);
        update(&exe, &["--plan", plan]);
        // and nothing of the environment counts.
        for variable in [
            ("INDIR_DISABLE_BINDINGS", "1"),
            ("LD_PRELOAD", "/nonexistent"),
        ] {
            let ran = as_nobody(&exe, &[], &[variable]);
            assert!(ran.success().stdout().ends_with("65534 1 raw\n"), "{ran}");
        }
    }
    // What is not root's alone is refused to it as to a setuid program.
    let table = table_of(&exe);
    mode(&table, 0o666);
    distrusted(
        &as_nobody(&exe, &[], &[]),
        &exe,
        "others than root can write to it",
    );
}
