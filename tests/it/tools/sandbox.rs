//! Sandboxes: bubblewrap, chroot, namespaces, mounts that forbid writing or
//! executing, and filters of system calls.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{Twins, ordinary};
use crate::support::subject::{PRINTS, Subject, Way};
use crate::support::{Ran, Scratch, cc, need, prefix, run};

/// bubblewrap with the machine's /usr and the test's own folders, all read-only.
fn bwrap(subject: &Subject, args: &[&str]) -> Ran {
    let mut command = Command::new(need("bwrap", "bubblewrap"));
    command.args(["--unshare-all", "--ro-bind", "/usr", "/usr"]);
    for name in ["bin", "lib", "lib64"] {
        command.args(["--symlink", &format!("usr/{name}"), &format!("/{name}")]);
    }
    for folder in [subject.dir.path(), prefix()] {
        command.arg("--ro-bind").arg(folder).arg(folder);
    }
    run(command.args(args))
}

#[test]
fn bubblewrap_with_and_without_proc() {
    let subject = Subject::with_another_glibc();
    for way in subject.ways() {
        let folder = way.exe.parent().unwrap().to_str().unwrap();
        let exe = way.exe.to_str().unwrap();
        let path = format!("{folder}:/usr/bin");
        let proc = ["--proc", "/proc", "--dev", "/dev"];
        let relative = format!("../{}/subject", folder.rsplit('/').next().unwrap());
        // Without /proc there is only the name that execve was given.
        for lines in [
            vec![exe],
            vec!["--chdir", folder, "./subject"],
            vec!["--chdir", folder, &relative],
            vec!["--chdir", "/", &exe[1..]],
            vec!["--setenv", "PATH", &path, "subject"],
            vec!["--chdir", folder, "sh", "-c", "./subject"],
        ] {
            for proc in [&proc[..], &[]] {
                let ran = bwrap(&subject, &[proc, &lines].concat());
                assert!(ran.code() == Some(0), "{}: {ran}", way.name);
                ran.prints(PRINTS);
            }
        }
    }
}

/// Copies `file` to the same path below `root`.
fn into(root: &Path, file: &Path) {
    let to = root.join(file.strip_prefix("/").unwrap());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    std::fs::copy(file, to).unwrap();
}

#[test]
fn chroot_with_shim_table_and_libraries_only() {
    let chroot = need("chroot", "coreutils");
    let subject = Subject::with_another_glibc();
    for way in &subject.indirect {
        let root = subject.dir.dir(format!("root of {}", way.name));
        let table = way.exe.parent().unwrap().join(".indir");
        for entry in std::fs::read_dir(table).unwrap() {
            into(&root, &entry.unwrap().path());
        }
        into(&root, &way.exe);
        into(&root, &subject.lib.join("libsubject.so"));
        for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
            into(&root, &way.libc.join(name));
        }
        for name in ["ld-indir-x86-64.so.1", "libindir-bind.so"] {
            into(&root, &prefix().join("lib/indir").join(name));
        }
        let start = |exe: &Path| {
            let mut command = Command::new(&chroot);
            command.arg(&root).arg(exe).env("INDIR_DEBUG", "1");
            run(&mut command)
        };
        let relative = way.exe.strip_prefix("/").unwrap();
        for exe in [way.exe.as_path(), relative] {
            let ran = start(exe);
            ran.success().prints(PRINTS);
            let applied = ran.stderr().contains("indir: bindings applied");
            assert_eq!(applied, way.bound, "{}: {ran}", way.name);
        }
        // What is missing there is told with its path there.
        let library = subject.lib.join("libsubject.so");
        std::fs::remove_file(root.join(library.strip_prefix("/").unwrap())).unwrap();
        start(&way.exe)
            .exits(127)
            .err_is_one_line()
            .err_has(&format!("{}: no such file", library.display()));
    }
}

/// A shell of its own namespaces, in which it is root and may mount.
fn unshared(script: &str, args: &[&Path]) -> Ran {
    let mut command = Command::new(need("unshare", "util-linux"));
    command.args(["-Urm", "sh", "-ec", script]);
    run(command.args(args))
}

#[test]
fn namespaces_of_its_own() {
    let subject = Subject::new();
    for way in subject.ways() {
        for script in [
            "exec $0",
            "mount -t tmpfs t /mnt; cd /mnt; exec $0",
            "exec unshare -pf --mount-proc $0",
        ] {
            let ran = unshared(script, &[&way.exe]);
            assert!(ran.code() == Some(0), "{}: {ran}", way.name);
            ran.prints(PRINTS);
        }
    }
}

#[test]
fn a_noexec_mount_of_libraries_is_refused_as_ld_so_does() {
    let subject = Subject::with_another_glibc();
    let mount = "mount -t tmpfs t /mnt; cp -r $1/. /mnt; mount --bind /mnt $1; mount -o remount,bind,noexec $1; exec $0";
    for way in subject.ways() {
        let ran = unshared(mount, &[&way.exe, &subject.lib]);
        ran.exits(127).prints("").err_is_one_line();
        ran.err_has("libsubject.so: failed to map segment from shared object");
    }
    // Of ld.so itself the kernel would say nothing; the shim does.
    for way in &subject.indirect[3..] {
        let ran = unshared(mount, &[&way.exe, &way.libc]);
        ran.exits(127).prints("").err_is_one_line();
        let ldso = way.libc.join("ld-linux-x86-64.so.2");
        ran.err_has(&format!("ld.so {}: ", ldso.display()));
    }
    // A table is data.
    let way = subject.way("bound");
    let table = way.exe.parent().unwrap().join(".indir");
    unshared(mount, &[&way.exe, &table])
        .success()
        .prints(PRINTS);
}

#[test]
fn everything_on_a_read_only_mount() {
    let subject = Subject::with_another_glibc();
    let mount = "mount --bind $1 $1; mount -o remount,bind,ro $1; exec $0";
    for way in subject.ways() {
        unshared(mount, &[&way.exe, subject.dir.path()])
            .success()
            .prints(PRINTS);
    }
    // There an update says so in one line, and the table stays.
    let way = subject.way("direct");
    let update = "mount --bind $1 $1; mount -o remount,bind,ro $1; exec $2 update $0 --plan bound";
    let indir = Path::new(env!("CARGO_BIN_EXE_indir"));
    unshared(update, &[&way.exe, subject.dir.path(), indir])
        .exits(1)
        .err_has("Read-only file system");
    run(&mut Command::new(&way.exe)).success().prints(PRINTS);
}

/// `filter NUMBER ERRNO PROGRAM…`: the system call fails with that error from
/// here on; the program itself goes on when it is `-`, and opens a file.
const FILTER: &str = r#"
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, atoi(argv[1]), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | atoi(argv[2])),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {4, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return 9;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter)) return 8;
    if (!strcmp(argv[3], "-")) return puts(open("/dev/null", O_RDONLY) < 0 ? strerror(errno) : "opened") < 0;
    execv(argv[3], argv + 3);
    return 7;
}
"#;

const EPERM: &str = "1";
const ENOSYS: &str = "38";

fn filter(dir: &Scratch) -> PathBuf {
    ordinary(&dir.join("filter.c"), FILTER, &[])
}

#[test]
fn a_filter_of_what_ld_so_does_not_use_lets_programs_start() {
    let subject = Subject::new();
    let filter = filter(&subject.dir);
    // open, access, readlink, close_range, rseq, lseek: ld.so either does
    // without or goes on when they fail; so does the shim.
    for call in ["2", "21", "89", "436", "334", "8"] {
        for error in [EPERM, ENOSYS] {
            for way in subject.ways() {
                let ran = run(Command::new(&filter).args([call, error]).arg(&way.exe));
                assert!(ran.code() == Some(0), "call {call}, {}: {ran}", way.name);
                ran.prints(PRINTS);
            }
        }
    }
    // LD_LIBRARY_PATH is obeyed where its folders cannot be asked.
    let other = subject.dir.dir("other");
    let library = other.join("libsubject.so");
    std::fs::copy(subject.lib.join("libsubject.so"), &library).unwrap();
    for way in subject.ways() {
        let ran = run(Command::new(&filter)
            .args(["21", EPERM])
            .arg(&way.exe)
            .env("LD_LIBRARY_PATH", &other)
            .env("LD_DEBUG", "files"));
        ran.success()
            .prints(PRINTS)
            .err_has(&format!("calling init: {}", library.display()));
    }
}

#[test]
fn a_filter_that_forbids_openat_is_told_in_one_line() {
    let subject = Subject::new();
    let filter = filter(&subject.dir);
    for error in [EPERM, ENOSYS] {
        let openat = |way: &Way| run(Command::new(&filter).args(["257", error]).arg(&way.exe));
        // ld.so cannot start it either.
        openat(&subject.ordinary).exits(127).prints("");
        for way in &subject.indirect {
            openat(way)
                .exits(127)
                .prints("")
                .err_is_one_line()
                .err_has(&format!(
                    "indir: {}: the table cannot be read",
                    way.exe.display()
                ))
                .err_has("a sandbox forbids it");
        }
    }
}

/// System calls that a start makes, by name.
fn calls(exe: &Path) -> BTreeSet<String> {
    let ran = run(Command::new(need("strace", "strace")).arg(exe));
    let err = ran.success().stderr();
    let names = err.lines().filter_map(|line| line.split_once('('));
    names.map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn lists_of_allowed_system_calls_need_these_more() {
    // docs/loader-contract.md has the list, for filters that kill.
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "true.c", "int main(void) { return 0; }", &[]);
    let ordinary = calls(&twins.ordinary);
    assert!(ordinary.contains("openat") && ordinary.contains("access"));
    for (exe, expected) in [
        (
            &twins.indirect,
            &["close_range", "fstat", "lseek", "readlink"][..],
        ),
        (
            &twins.bound,
            &[
                "close_range",
                "fstat",
                "lseek",
                "readlink",
                "rt_sigprocmask",
            ],
        ),
    ] {
        let calls = calls(exe);
        let more: Vec<&str> = calls.difference(&ordinary).map(String::as_str).collect();
        assert_eq!(more, expected);
    }
}

#[test]
fn a_program_forbids_itself_to_open_files() {
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "filter.c", FILTER, &["-Wl,-z,lazy"]);
    twins
        .agree(&["257", EPERM, "-"])
        .success()
        .prints("Operation not permitted\n");
}

#[test]
fn a_library_may_be_preloaded_into_a_sandbox() {
    // As `libfakeroot` and crash handlers are: by LD_PRELOAD, from elsewhere.
    let subject = Subject::new();
    let library = subject.dir.join("handler.so");
    let source = subject.dir.file(
        "handler.c",
        "#include <signal.h>\n#include <unistd.h>\n\
         static void caught(int n) { write(2, \"caught\\n\", 7); signal(n, SIG_DFL); }\n\
         __attribute__((constructor)) static void up(void) { signal(SIGABRT, caught); }\n",
    );
    cc([
        "-shared".as_ref(),
        "-fPIC".as_ref(),
        "-o".as_ref(),
        library.as_os_str(),
        source.as_os_str(),
    ]);
    let library = library.to_str().unwrap();
    for way in subject.ways() {
        let exe = way.exe.to_str().unwrap();
        let script = "LD_PRELOAD=$0 exec $1 abort";
        let ran = bwrap(&subject, &["sh", "-c", script, library, exe]);
        assert_ne!(ran.code(), Some(0), "{}: {ran}", way.name);
        ran.prints("").err_has("caught\n");
    }
}

#[test]
fn fakeroot_deceives_it() {
    // By LD_PRELOAD and LD_LIBRARY_PATH together, as packages are built.
    let fakeroot = need("fakeroot", "fakeroot");
    let dir = Scratch::new();
    let source = "#include <stdio.h>\n#include <sys/stat.h>\n#include <unistd.h>\n\
                  int main(int argc, char **argv) { struct stat s; chown(argv[1], 7, 8); stat(argv[1], &s); \
                  printf(\"%d %d %d\\n\", getuid(), s.st_uid, s.st_gid); }";
    let twins = Twins::new(&dir, "owner.c", source, &[]);
    let file = dir.file("owned", "");
    // In a namespace in which we are nobody and may not really give it away.
    for exe in [&twins.ordinary, &twins.indirect, &twins.bound] {
        let mut command = Command::new(need("unshare", "util-linux"));
        command.arg("--user");
        let as_nobody = |command: &mut Command| run(command.arg(exe).arg(&file));
        let plain = as_nobody(&mut command);
        assert!(!plain.success().stdout().ends_with(" 7 8\n"), "{plain}");
        let mut command = Command::new(need("unshare", "util-linux"));
        as_nobody(command.arg("--user").arg(&fakeroot))
            .success()
            .prints("0 7 8\n");
    }
}
