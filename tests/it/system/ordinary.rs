//! What was written for ordinary programs finds one: programs without a table that
//! start copies of themselves, and what builds and tests programs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::link::{LINKERS, facts};
use crate::support::program::{linked, ordinary, table_of};
use crate::support::{Ran, Scratch, b_flag, need, run, shim};

/// Starts its own executable a second time from somewhere else.
const AGAIN: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
extern char **environ;
int main(int argc, char **argv) {
    if (getenv("AGAIN")) { puts("again"); return 0; }
    char *how = argv[1], name[64];
    int self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out = -1;
    struct stat st;
    fstat(self, &st);
    if (!strcmp(how, "memory")) out = memfd_create("self", MFD_CLOEXEC);
    if (!strcmp(how, "nameless")) out = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0700);
    if (!strcmp(how, "copy")) out = open("copy", O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, 0700);
    if (!strcmp(how, "mount")) out = syscall(SYS_open_tree, self, "", 0x1000 | 1 | O_CLOEXEC);
    if (out < 0) { perror(how); return 1; }
    if (strcmp(how, "mount")) {
        sendfile(out, self, 0, st.st_size);
        snprintf(name, sizeof name, "/proc/self/fd/%d", out);
        int again = open(name, O_RDONLY | O_CLOEXEC);
        close(out);
        out = again;
    }
    setenv("AGAIN", "1", 1);
    fexecve(out, argv, environ);
    perror("exec");
    return 1;
}
"#;

#[test]
fn programs_that_start_a_copy_of_themselves() {
    let dir = Scratch::new();
    let plain = ordinary(&dir.join("plain.c"), AGAIN, &[]);
    let linked = linked(&dir.join("linked.c"), AGAIN, &[]);
    let adopted = dir.join("adopted");
    adopt([Path::new("-o"), &adopted, &plain]).success();
    assert!(table_of(&adopted).exists());
    for how in ["memory", "nameless", "copy", "mount"] {
        for exe in [&plain, &linked, &adopted] {
            let again = dir.dir("cwd");
            let mut command = Command::new(exe);
            run(command.arg(how).current_dir(&again))
                .success()
                .prints("again\n");
        }
    }
    // By another name in another folder.
    for exe in [&linked, &adopted] {
        let (hard, copy) = (dir.dir("other").join("hard"), dir.join("other/copy"));
        let _ = std::fs::remove_file(&hard);
        std::fs::hard_link(exe, &hard).unwrap();
        std::fs::copy(exe, &copy).unwrap();
        for exe in [&hard, &copy] {
            run(Command::new(exe).env("AGAIN", "1"))
                .success()
                .prints("again\n");
        }
    }
}

/// A copy of a program of Debian that is indirect, with a table.
fn adopted(dir: &Scratch, name: &str, package: &str) -> PathBuf {
    let out = dir.dir("bin").join(name);
    need(name, package);
    // Not what a version manager puts before it.
    let folders = ["/usr/bin", "/usr/sbin", "/bin"].map(Path::new);
    let found = folders
        .iter()
        .map(|f| f.join(name))
        .find(|file| file.exists());
    let file = found.unwrap_or_else(|| panic!("apt-get install {package}"));
    adopt([Path::new("-o"), &out, &file]).success();
    out
}

#[test]
fn runtimes_of_containers_seal_themselves_in_memory() {
    let dir = Scratch::new();
    for name in ["runc", "crun"] {
        let exe = adopted(&dir, name, name);
        let args = |command: &mut Command| run(command.arg("--version"));
        let plain = args(&mut Command::new(need(name, name)));
        args(&mut Command::new(&exe))
            .success()
            .prints(&plain.stdout());
    }
}

/// What stands in a bundle's config.json for one process without a terminal, in
/// namespaces of its own.
const BUNDLE: &str = r#"{
    "ociVersion": "1.0.2",
    "process": {
        "user": { "uid": 0, "gid": 0 },
        "args": ["/say", "inside"],
        "env": ["PATH=/"],
        "cwd": "/",
        "noNewPrivileges": true
    },
    "root": { "path": "rootfs", "readonly": true },
    "hostname": "box",
    "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
    "linux": {
        "namespaces": [
            { "type": "pid" }, { "type": "ipc" }, { "type": "uts" }, { "type": "mount" }
        ]
    }
}"#;

#[test]
fn an_adopted_runtime_runs_a_container() {
    let dir = Scratch::new();
    dir.file("bundle/config.json", BUNDLE);
    dir.dir("bundle/rootfs/proc");
    let say = "#include <stdio.h>\n#include <unistd.h>\n\
        int main(int n, char **v) { char name[65]; gethostname(name, 65);\
        return printf(\"%s %s %d\\n\", v[1], name, getpid()) < 0; }\n";
    let say = dir.file("say.c", say);
    let static_program = dir.join("bundle/rootfs/say");
    run(Command::new("cc")
        .args(["-static", "-o"])
        .args([&static_program, &say]))
    .success();
    for exe in [need("runc", "runc"), adopted(&dir, "runc", "runc")] {
        run(Command::new(exe)
            .arg("--root")
            .arg(dir.join("state"))
            .args(["run", "--bundle"])
            .arg(dir.join("bundle"))
            .arg(format!("indir-{}", std::process::id())))
        .success()
        .prints("inside box 1\n");
    }
}

#[test]
fn what_begins_with_a_copy_of_an_adopted_program() {
    let dir = Scratch::new();
    let sbcl = adopted(&dir, "sbcl", "sbcl");
    let image = dir.join("image");
    let save = format!("(save-lisp-and-die \"{}\" :executable t)", image.display());
    run(Command::new(&sbcl)
        .args(["--non-interactive", "--eval", &save])
        .env("SBCL_HOME", "/usr/lib/sbcl"))
    .success();
    run(Command::new(&image).arg("--version"))
        .success()
        .out_has("SBCL");

    let python = adopted(&dir, "python3", "python3");
    let venv = dir.join("venv");
    run(Command::new(&python)
        .args(["-m", "venv", "--copies", "--without-pip"])
        .arg(&venv))
    .success();
    run(Command::new(venv.join("bin/python3")).args(["-c", "import ssl; print(6 * 7)"]))
        .success()
        .prints("42\n");
}

#[test]
fn proot_loads_the_shim() {
    need("proot", "proot");
    let dir = Scratch::new();
    let exe = adopted(&dir, "true", "coreutils");
    for exe in [Path::new("/usr/bin/true"), &exe] {
        run(Command::new("proot").arg(exe).arg("--version"))
            .success()
            .out_has("coreutils");
    }
    // It maps what a segment has in the file, which must be there.
    let bytes = std::fs::read(shim()).unwrap();
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    for segment in &elf.program_headers {
        assert!(segment.p_offset + segment.p_filesz <= bytes.len() as u64);
        assert!(segment.p_type != 1 || segment.p_offset < bytes.len() as u64);
    }
}

/// Runs the same with the ordinary linker and with ours.
fn both(mut each: impl FnMut(&str) -> Ran) -> [Ran; 2] {
    [each(""), each(&b_flag())]
}

#[test]
fn a_library_of_a_library_by_its_run_path() {
    for (linker, package) in LINKERS {
        need(&format!("ld.{linker}"), package);
        let dir = Scratch::new();
        let script = dir.file(
            "build",
            "set -e; rm -rf foo bar prog; mkdir foo bar\n\
             echo 'int foo(void){return 7;}' >foo.c\n\
             echo 'int foo(void);int bar(void){return foo()+1;}' >bar.c\n\
             printf '#include <stdio.h>\\nint bar(void);int main(){printf(\"%%d\\\\n\",bar());}\\n' >main.c\n\
             $CC -shared -fPIC foo.c -Wl,-soname,libfoo.so.1 -o foo/libfoo.so.1\n\
             ln -s libfoo.so.1 foo/libfoo.so\n\
             $CC -shared -fPIC bar.c -Lfoo -lfoo -Wl,-rpath,$PWD/foo -o bar/libbar.so\n\
             $CC main.c -Lbar -lbar -Wl,-rpath,$PWD/bar -o prog; ./prog\n\
             $CC main.c bar/libbar.so -Wl,-rpath-link,foo -o prog; LD_LIBRARY_PATH=bar ./prog\n",
        );
        let [plain, ours] = both(|b| {
            let mut sh = Command::new("sh");
            sh.arg("-x").arg(&script).current_dir(dir.path());
            run(sh.env("CC", format!("cc {b} -fuse-ld={linker}")))
        });
        // GNU ld reads run paths, mold and gold ask for no more: all four link.
        assert_eq!(ours.stdout(), plain.stdout(), "{linker}: {ours}");
        assert_eq!(ours.code(), plain.code(), "{linker}: {ours}");
        assert!(plain.stdout().starts_with("8\n"), "{plain}");
        assert!(!dir.join(".indir").exists());
    }
}

#[test]
fn cargo_builds_runs_and_tests() {
    let dir = Scratch::new();
    dir.file(
        "Cargo.toml",
        "[package]\nname = \"x\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n",
    );
    dir.file(
        "build.rs",
        "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); }\n",
    );
    dir.file(
        "src/main.rs",
        "fn main() { println!(\"hi\"); }\n#[test] fn unit() {}\n",
    );
    dir.file(
        "tests/starts.rs",
        "#[test] fn starts() { let exe = env!(\"CARGO_BIN_EXE_x\");\n\
         assert!(std::process::Command::new(exe).status().unwrap().success()); }\n",
    );
    let cargo = |args: &[&str]| {
        run(Command::new(env!("CARGO"))
            .args(args)
            .args(["--offline", "--quiet"])
            .current_dir(dir.path())
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("CARGO_ENCODED_RUSTFLAGS")
            .env(
                "RUSTFLAGS",
                format!("-C linker-features=-lld -C link-arg={}", b_flag()),
            ))
    };
    cargo(&["build"]).success();
    cargo(&["run"]).success().prints("hi\n");
    let tested = cargo(&["test"]);
    tested.success();
    assert_eq!(tested.stdout().matches("1 passed").count(), 2, "{tested}");
    let exe = dir.join("target/debug/x");
    assert_eq!(facts(&exe).interpreter.as_deref(), shim().to_str());
    // A table, and cargo goes on.
    run(crate::support::indir().arg("update").arg(&exe)).success();
    cargo(&["run"]).success().prints("hi\n");
    cargo(&["test"]).success();
}

#[test]
fn libtool_finds_out_the_same_and_its_programs_run() {
    for (tool, package) in [
        ("autoreconf", "autoconf"),
        ("automake", "automake"),
        ("libtoolize", "libtool"),
    ] {
        need(tool, package);
    }
    let dir = Scratch::new();
    dir.file(
        "configure.ac",
        "AC_INIT([p],[1])\nAC_CONFIG_AUX_DIR([a])\nAM_INIT_AUTOMAKE([foreign])\n\
         AC_PROG_CC\nLT_INIT\nAC_CONFIG_FILES([Makefile])\nAC_OUTPUT\n",
    );
    dir.file(
        "Makefile.am",
        "lib_LTLIBRARIES = libf.la libg.la\nlibf_la_SOURCES = f.c\nlibg_la_SOURCES = g.c\n\
         libg_la_LIBADD = libf.la\nbin_PROGRAMS = p\np_SOURCES = t.c\np_LDADD = libg.la\n\
         check_PROGRAMS = t\nt_SOURCES = t.c\nt_LDADD = libg.la\nTESTS = t\n\
         installcheck-local:\n\t$(bindir)/p\n",
    );
    dir.file("f.c", "int f(void) { return 1; }\n");
    dir.file("g.c", "int f(void); int g(void) { return f() - 1; }\n");
    dir.file(
        "t.c",
        "#include <stdio.h>\nint g(void);\n\
         int main(int c, char **v) { return c != 1 || g(); }\n",
    );
    run(Command::new("autoreconf")
        .arg("-fi")
        .current_dir(dir.path()))
    .success();
    let built = |name: &str, b: &str| {
        let folder = dir.dir(name);
        let script = "../configure --prefix=$PWD/i \"CC=cc $B\" && make && make check \
            && make install && make installcheck && ./p && i/bin/p";
        run(Command::new("sh")
            .args(["-c", script])
            .env("B", b)
            .current_dir(&folder))
        .success();
        let libtool = std::fs::read_to_string(folder.join("libtool")).unwrap();
        let keys = ["fast_install=", "shlibpath_overrides_runpath=", "hardcode_"];
        let lines = libtool
            .lines()
            .filter(|line| keys.iter().any(|key| line.starts_with(key)));
        let lines: Vec<String> = lines.map(str::to_owned).collect();
        (lines, facts(&folder.join("i/bin/p")))
    };
    let plain = built("plain", "");
    let ours = built("indir", &b_flag());
    assert_eq!(ours.0, plain.0);
    assert_eq!(ours.1.interpreter.as_deref(), shim().to_str());
    let search = plain.1.search.join(":").replace("/plain/", "/indir/");
    assert_eq!(ours.1.search.join(":"), search);
}
