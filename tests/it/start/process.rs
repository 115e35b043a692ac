//! What a process is to itself and to its children: names, environment, file
//! descriptors, ways of being executed.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use crate::support::program::{Twins, indirect, refused_then_updated};
use crate::support::{Scratch, run};

/// Says who it is; `fork` and `exec` do so from a child.
const WHO: &str = r#"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>
static int who(int argc, char **argv) {
    char exe[4096] = "";
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);
    printf("argc %d argv0 %s\n", argc, argv[0]);
    printf("exe %s\n", length < 0 ? strerror(errno) : exe);
    printf("short %s name %s\n", program_invocation_short_name, program_invocation_name);
    printf("execfn %s\n", (char *)getauxval(AT_EXECFN));
    return 0;
}
static int dump(const char *path) {
    char buffer[4096];
    int fd = open(path, O_RDONLY);
    ssize_t got;
    while ((got = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, got, stdout);
    close(fd);
    return got < 0;
}
int main(int argc, char **argv) {
    extern char **environ;
    const char *what = argc > 1 ? argv[1] : "who";
    if (!strcmp(what, "who")) return who(argc, argv);
    if (!strcmp(what, "environ")) return dump("/proc/self/environ");
    if (!strcmp(what, "variables")) { for (char **e = environ; *e; e++) puts(*e); return 0; }
    if (!strcmp(what, "cmdline")) return dump("/proc/self/cmdline");
    if (!strcmp(what, "fds")) {
        DIR *dir = opendir("/proc/self/fd");
        for (struct dirent *e; (e = readdir(dir));)
            if (e->d_name[0] != '.' && atoi(e->d_name) != dirfd(dir)) printf("%s\n", e->d_name);
        return 0;
    }
    if (!strcmp(what, "fork")) {
        fflush(stdout);
        pid_t child = fork();
        int status;
        if (child == 0) return who(argc, argv);
        return waitpid(child, &status, 0) != child || status;
    }
    if (!strcmp(what, "exec")) { execvp(argv[2], argv + 2); return 9; }
    if (!strcmp(what, "fexecve")) {
        int fd = open(argv[2], O_RDONLY | O_CLOEXEC);
        fexecve(fd, argv + 3, environ);
        return 9;
    }
    if (!strcmp(what, "gone")) {
        if (rmdir(argv[2])) return 8;
        execv(argv[3], argv + 3);
        return 9;
    }
    return 7;
}
"#;

fn who(dir: &Scratch) -> std::path::PathBuf {
    let exe = indirect(&dir.join("who.c"), WHO, &[]);
    refused_then_updated(&exe, &[]);
    exe
}

#[test]
fn names_are_those_of_the_program() {
    let dir = Scratch::new();
    let exe = who(&dir);
    let path = exe.display();
    run(Command::new(&exe).arg0("another name").arg("who"))
        .success()
        .prints(&format!(
            "argc 2 argv0 another name\nexe {path}\nshort another name name another name\nexecfn {path}\n"
        ));
    run(Command::new(&exe).arg("fork"))
        .success()
        .out_has(&format!("exe {path}\n"));
}

#[test]
fn execution_through_symlinks_and_relative_paths() {
    let dir = Scratch::new();
    let exe = who(&dir);
    let line = format!("exe {}\n", exe.display());
    let links = dir.dir("links/deep");
    std::os::unix::fs::symlink(&exe, links.join("absolute")).unwrap();
    std::os::unix::fs::symlink("../../who", links.join("relative")).unwrap();
    std::os::unix::fs::symlink("relative", links.join("twice")).unwrap();
    for name in ["absolute", "relative", "twice"] {
        run(&mut Command::new(links.join(name)))
            .success()
            .out_has(&line);
    }
    for (from, relative) in [
        ("", "./who"),
        ("links", "../who"),
        ("links/deep", "./twice"),
    ] {
        // A shell, so that execve itself gets the relative path.
        run(Command::new("sh")
            .current_dir(dir.join(from))
            .arg("-c")
            .arg(format!("exec {relative}")))
        .success()
        .out_has(&line)
        .out_has(&format!("execfn {relative}\n"));
    }
    run(Command::new("who").env("PATH", dir.path()).current_dir("/"))
        .success()
        .out_has(&line);
}

#[test]
fn a_path_with_spaces_and_odd_bytes() {
    let dir = Scratch::new();
    let odd = OsString::from_vec(b"a b/\xff $ORIGIN:;$ID 'x'\n".to_vec());
    let folder = dir.dir(&odd);
    let exe = indirect(&folder.join("the program.c"), WHO, &[]);
    refused_then_updated(&exe, &[]);
    run(&mut Command::new(&exe)).success().out_has("argc 1");
}

#[test]
fn fexecve_and_exec_from_a_deleted_folder() {
    let dir = Scratch::new();
    let exe = who(&dir);
    let line = format!("exe {}\n", exe.display());
    run(Command::new(&exe)
        .arg("fexecve")
        .arg(&exe)
        .args(["renamed", "who"]))
    .success()
    .out_has("argc 2 argv0 renamed\n")
    .out_has(&line);
    let gone = dir.dir("gone");
    run(Command::new(&exe)
        .current_dir(&gone)
        .arg("gone")
        .arg(&gone)
        .arg(&exe))
    .success()
    .out_has(&line);
    assert!(!gone.exists());
}

#[test]
fn as_the_interpreter_of_a_script() {
    let dir = Scratch::new();
    let exe = who(&dir);
    let script = dir.file("script", format!("#!{} who\n", exe.display()));
    std::fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    run(Command::new(&script).arg("last"))
        .success()
        .prints(&format!(
            "argc 4 argv0 {exe}\nexe {exe}\nshort who name {exe}\nexecfn {script}\n",
            exe = exe.display(),
            script = script.display()
        ));
}

#[test]
fn the_environment_is_as_it_was_given() {
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "who.c", WHO, &[]);
    let ordered = |exe: &Path, what: &str| {
        let mut command = Command::new(exe);
        command.arg(what).env_clear();
        command
            .env("INDIR_DEBUG", "0")
            .env("A", "1")
            .env("LD_BIND_NOW", "1");
        command.env("EMPTY", "").env("Z", "\u{fffd}=\n");
        run(&mut command).success().stdout()
    };
    for what in ["environ", "variables"] {
        let indirect = ordered(&twins.indirect, what);
        assert_eq!(indirect, ordered(&twins.ordinary, what));
        assert!(indirect.contains("LD_BIND_NOW=1"), "{indirect:?}");
    }
    run(Command::new(&twins.indirect).env_clear().arg("environ"))
        .success()
        .prints("");
    // Of children too, whether they are indirect or not.
    for child in [&twins.ordinary, &twins.indirect] {
        for what in ["environ", "variables"] {
            let through = |parent: &Path| {
                let mut command = Command::new(parent);
                command.arg("exec").arg(child).arg(what);
                run(&mut command).success().stdout()
            };
            assert_eq!(through(&twins.indirect), through(&twins.ordinary));
        }
    }
}

#[test]
fn a_very_large_environment_and_command_line() {
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "who.c", WHO, &[]);
    // Three quarters of MAX_ARG_STRLEN each; 1.5 MB in all, below the usual
    // quarter of an 8 MiB stack.
    let value = "v".repeat(96 * 1024);
    for what in ["variables", "cmdline"] {
        let ran = |exe: &Path| {
            let mut command = Command::new(exe);
            command.arg(what).env_clear();
            for index in 0..10 {
                command.env(format!("LARGE_{index}"), &value).arg(&value);
            }
            for index in 0..2000 {
                command.env(format!("I{index}"), "L").arg("");
            }
            // The command line starts with the name, which differs.
            run(command.arg0("same")).success().stdout()
        };
        let indirect = ran(&twins.indirect);
        assert!(indirect.len() > 960_000);
        assert!(indirect == ran(&twins.ordinary), "{what} differ");
    }
}

#[test]
fn no_file_descriptor_is_left_open_or_closed() {
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "who.c", WHO, &[]);
    twins.agree(&["fds"]).success().out_has("0\n1\n2\n");
    // With gaps, and with descriptors that are to be inherited.
    for redirections in [
        "5</dev/null 9</dev/null",
        "3</dev/null 5</dev/null",
        "4</dev/null",
        "3</dev/null 0<&-",
        "0<&- 2>&-",
        "0<&- 1<&- 2>&- 3</dev/null 4</dev/null 5</dev/null 1>out",
    ] {
        let fds = |exe: &Path| {
            let folder = exe.parent().unwrap();
            let script = format!("exec {redirections}; exec ./who fds");
            let mut command = Command::new("sh");
            command.current_dir(folder).arg("-c").arg(script);
            let out = run(&mut command).success().stdout();
            let file = std::fs::read_to_string(folder.join("out"));
            format!("{out}{}", file.unwrap_or_default())
        };
        let indirect = fds(&twins.indirect);
        assert!(indirect.contains('1'), "{redirections}: {indirect:?}");
        assert_eq!(indirect, fds(&twins.ordinary), "{redirections}");
    }
}

#[test]
fn exec_of_an_ordinary_program_and_back() {
    let dir = Scratch::new();
    let exe = who(&dir);
    run(Command::new(&exe).args(["exec", "sh", "-c"]).arg(format!(
        "{} exec {} who",
        exe.display(),
        exe.display()
    )))
    .success()
    .out_has(&format!("exe {}\n", exe.display()));
}
