//! Whose tables count, and what a start says and needs besides.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, table_of, update};
use crate::support::users::{Ground, NOBODY, give, set_mode as mode};
use crate::support::{Ran, Scratch, cc, need, run};

const SHOW: &str = "#include <stdio.h>\nconst char *shade(void);\n\
                    int main(void) { puts(shade()); return 0; }\n";

fn as_user(uid: u32, exe: &Path) -> Ran {
    let mut command = Command::new(need("setpriv", "util-linux"));
    command.arg(format!("--reuid={uid}"));
    command.arg(format!("--regid={uid}")).arg("--clear-groups");
    run(command.arg(exe))
}

/// A program with its library and table in `ground`, and the table of the
/// same program for a library that says something else.
struct Forged {
    exe: PathBuf,
    table: PathBuf,
    forged: Vec<u8>,
}

impl Forged {
    fn new(ground: &Path) -> Self {
        let library = |name: &str| {
            let folder = ground.join(name);
            std::fs::create_dir(&folder).unwrap();
            let source = folder.join("shade.c");
            let text = format!("const char *shade(void) {{ return \"{name}\"; }}\n");
            std::fs::write(&source, text).unwrap();
            let out = folder.join("libshade.so");
            cc([
                "-shared".as_ref(),
                "-fPIC".as_ref(),
                "-Wl,-soname,libshade.so".as_ref(),
                source.as_os_str(),
                "-o".as_ref(),
                out.as_os_str(),
            ]);
            folder
        };
        let (good, evil) = (library("good"), library("evil"));
        let bin = ground.join("bin");
        std::fs::create_dir(&bin).unwrap();
        let link = good.join("libshade.so");
        let exe = indirect(&bin.join("show.c"), SHOW, &[link.to_str().unwrap()]);
        update(&exe, &["--lib-dir", evil.to_str().unwrap()]);
        let table = table_of(&exe);
        let forged = std::fs::read(&table).unwrap();
        update(&exe, &["--lib-dir", good.to_str().unwrap()]);
        Self { exe, table, forged }
    }
}

#[test]
fn a_table_counts_by_its_owner_and_its_mode() {
    let ground = Ground::new();
    let program = Forged::new(ground.path());
    let (exe, table) = (&program.exe, &program.table);
    run(&mut Command::new(exe)).success().prints("good\n");
    as_user(NOBODY, exe).success().prints("good\n");
    let refused = |ran: &Ran, what: &str| {
        ran.exits(127).prints("").err_is_one_line();
        ran.err_has("the table does not count: ").err_has(what);
        ran.err_has(&format!("(table {})", table.display()));
    };
    // Somebody else's: neither root nor a third user obeys it, but its owner does.
    give(table, NOBODY);
    let run_as_root = || run(&mut Command::new(exe));
    refused(&run_as_root(), "(its owner is user 65534)");
    refused(&as_user(12345, exe), "(its owner is user 65534)");
    as_user(NOBODY, exe).success().prints("good\n");
    // The owner of the executable decides for everybody.
    give(exe, NOBODY);
    run_as_root().success().prints("good\n");
    as_user(12345, exe).success().prints("good\n");
    give(table, 0);
    as_user(12345, exe).success().prints("good\n");
    // Whom others can write to is nobody's.
    for writable in [0o664, 0o646, 0o666] {
        mode(table, writable);
        refused(&run_as_root(), "others than its owner may write it");
        refused(&as_user(NOBODY, exe), "others than its owner may write it");
    }
    mode(table, 0o644);
    as_user(NOBODY, exe).success();
    // No FIFO or device stops it.
    std::fs::remove_file(table).unwrap();
    nix::unistd::mkfifo(table, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    refused(&run_as_root(), "it is not a regular file");
    std::fs::remove_file(table).unwrap();
    std::os::unix::fs::symlink("/dev/zero", table).unwrap();
    refused(&run_as_root(), "it is not a regular file");
}

#[test]
fn what_others_plant_in_a_shared_folder_neither_steers_nor_blocks() {
    let ground = Ground::new();
    let program = Forged::new(ground.path());
    let bin = program.exe.parent().unwrap();
    let folder = program.table.parent().unwrap();
    mode(bin, 0o1777);
    // The table in `.indir.UID` is the program's.
    let own = bin.join(".indir.0");
    std::fs::rename(folder, &own).unwrap();
    run(&mut Command::new(&program.exe))
        .success()
        .prints("good\n");
    std::fs::create_dir(folder).unwrap();
    std::fs::write(&program.table, &program.forged).unwrap();
    give(folder, NOBODY);
    give(&program.table, NOBODY);
    let good = || {
        run(&mut Command::new(&program.exe))
            .success()
            .prints("good\n");
        as_user(12345, &program.exe).success().prints("good\n");
    };
    good();
    std::fs::remove_file(&program.table).unwrap();
    nix::unistd::mkfifo(&program.table, nix::sys::stat::Mode::S_IRWXU).unwrap();
    give(&program.table, NOBODY);
    good();
    mode(folder, 0o700);
    good();
    // In a folder that is its owner's alone the same is an error.
    mode(bin, 0o755);
    run(&mut Command::new(&program.exe))
        .exits(127)
        .err_is_one_line();
}

#[test]
fn four_descriptors_are_enough_and_too_few_are_told() {
    let dir = Scratch::new();
    let exe = indirect(
        &dir.join("hello.c"),
        "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n",
        &[],
    );
    for plan in ["direct", "bound"] {
        update(&exe, &["--plan", plan]);
        let limited = |limit: u32| {
            run(Command::new("sh")
                .arg("-c")
                .arg(format!("ulimit -n {limit}; exec \"$0\""))
                .arg(&exe))
        };
        limited(4).success().prints("hello\n");
        limited(3)
            .exits(127)
            .err_is_one_line()
            .err_has("too many open files");
    }
}

#[test]
fn advice_can_be_pasted() {
    let dir = Scratch::new();
    for (name, quoted) in [
        ("my dir; touch pwned; #", "'{}'"),
        ("e\u{1b}]0;title\u{7}", "$'{}'"),
    ] {
        let folder = dir.dir(name);
        let exe = indirect(
            &folder.join("prog.c"),
            "int main(void) { return 0; }\n",
            &[],
        );
        update(&exe, &[]);
        std::fs::write(table_of(&exe), "damaged").unwrap();
        let ran = run(&mut Command::new(&exe));
        let path = exe
            .to_str()
            .unwrap()
            .replace('\u{1b}', "\\033")
            .replace('\u{7}', "\\007");
        ran.exits(127).err_is_one_line();
        ran.err_has(&format!(
            "run `indir update {}`",
            quoted.replace("{}", &path)
        ));
        assert!(!ran.stderr().contains('\u{1b}'), "{ran}");
    }
}
