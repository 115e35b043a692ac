//! Messages that cannot be written, pipes that are closed, and names that a shell
//! or a terminal would obey.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::program::{indirect, ordinary, table_of};
use crate::support::{Scratch, glibc_lib, indir, prefix, run, shim, system_lib};

const TRIVIAL: &str = "int main(void) { return 0; }";

fn program(tree: &Scratch) -> PathBuf {
    let exe = indirect(&tree.join("prog.c"), TRIVIAL, &[]);
    run(indir().arg("update").arg(&exe)).success();
    exe
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-c", script, "bash", env!("CARGO_BIN_EXE_indir")]);
    command
}

#[test]
fn what_cannot_be_said_changes_nothing_of_what_is_done() {
    let tree = Scratch::new();
    let exe = program(&tree);
    let exe = exe.to_str().unwrap();
    let libc = system_lib().join("libc.so.6");
    let libc = libc.to_str().unwrap();
    let shim = shim();
    for (args, prints) in [
        (&["update", exe, "--plan", "bound"][..], false),
        (&["update", exe, "--json"], true),
        (&["update", exe, "--lib-dir", "/nowhere"], false),
        (&["verify", exe], false),
        (&["verify", exe, "--json"], true),
        (&["show", exe], true),
        (&["show", exe, "--json"], true),
        (&["why", exe, "puts"], true),
        (&["abi", "dump", libc], true),
        (&["generate", "man"], true),
        (&["generate", "completions", "bash"], true),
        (&["--help"], true),
        (
            &[
                "adopt",
                "--in-place",
                "--indir-shim",
                shim.to_str().unwrap(),
                exe,
            ],
            false,
        ),
    ] {
        let ordinary = run(shell("exec \"$@\" >/dev/null 2>/dev/null").args(args));
        for (how, fails) in [
            ("exec \"$@\" >/dev/null 2>/dev/full", false),
            ("exec \"$@\" >/dev/full", prints),
            ("exec \"$@\" >&- 2>&-", false),
            ("exec \"$@\" >&- 2>/dev/full", false),
        ] {
            let ran = run(shell(how).args(args));
            let code = if fails { Some(1) } else { ordinary.code() };
            assert_eq!(ran.code(), code, "{how}: {args:?}: {ran}");
            assert!(!ran.stderr().contains("panicked"), "{how}: {ran}");
            if fails {
                ran.err_has("failed to write to standard output: No space left on device");
            }
        }
    }
}

#[test]
fn whoever_has_read_enough_is_told_nothing() {
    let tree = Scratch::new();
    let exe = program(&tree);
    let libc = system_lib().join("libc.so.6");
    for args in [
        &["abi", "dump", libc.to_str().unwrap()][..],
        &["show", exe.to_str().unwrap()],
        &["generate", "completions", "bash"],
    ] {
        let mut child = indir()
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

/// The command that a message gives, run in a shell with the prefix on PATH.
fn follow(advice: &str, folder: &Path) {
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", prefix().join("bin").display());
    let mut command = Command::new("bash");
    command
        .args(["-c", advice])
        .current_dir(folder)
        .env("PATH", path);
    run(&mut command).success();
}

fn advice(said: &str) -> String {
    let (_, command) = said.split_once("run `").expect(said);
    command.trim_end().strip_suffix('`').expect(said).to_owned()
}

#[test]
fn advice_is_one_command_whatever_the_name() {
    let tree = Scratch::new();
    for name in [
        "my dir; touch pwned; #",
        "it's $HOME",
        "e\u{1b}]0;title\u{7}",
        "a\nb",
    ] {
        let folder = tree.dir(name);
        let exe = indirect(&folder.join("prog.c"), TRIVIAL, &[]);
        let ran = run(indir().arg("verify").arg(&exe));
        ran.exits(1);
        let said = ran.stdout() + &ran.stderr();
        assert!(
            !said.contains('\u{1b}') && !said.contains('\u{7}'),
            "{said:?}"
        );
        follow(&advice(&ran.stdout()), tree.path());
        run(indir().arg("verify").arg(&exe)).success();
        assert!(!tree.join("pwned").exists());
        std::fs::remove_dir_all(folder.join(".indir")).unwrap();
        let ran = run(indir().arg("show").arg(&exe));
        assert!(!ran.stderr().contains('\u{1b}'), "{ran}");
        let said = ran.stderr();
        let (_, command) = said.split_once("(run `").expect(&said);
        follow(
            command.trim_end().strip_suffix("`)").expect(&said),
            tree.path(),
        );
        run(&mut Command::new(&exe)).success();
    }
}

/// One name before what is wrong, whoever finds it.
#[test]
fn a_wrong_command_line_is_told_like_other_errors() {
    for args in [
        &["--nothing"][..],
        &["show"],
        &["updat"],
        &["diff", "/nowhere"],
    ] {
        let ran = run(indir().args(args));
        ran.exits(2);
        assert!(ran.stderr().starts_with("indir: "), "{ran}");
        assert!(!ran.stderr().contains("error:"), "{ran}");
    }
    let ran = run(&mut indir());
    ran.exits(2).err_has("Usage: indir [OPTIONS] <COMMAND>");
    assert!(!ran.stderr().starts_with("indir: "), "{ran}");
}

/// `text` without colours, and whether it had any.
fn plain(text: &str) -> (String, bool) {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap().to_owned();
    let mut is_coloured = false;
    for part in parts {
        is_coloured = true;
        out.push_str(part.split_once('m').unwrap().1);
    }
    (out, is_coloured)
}

/// Colours say nothing that words do not.
#[test]
fn states_are_coloured_where_it_is_asked_for_or_seen() {
    let dir = Scratch::new();
    let exe = program(&dir);
    let (old, new) = (glibc_lib("old"), glibc_lib("trixie"));
    let (old, new) = (old.to_str().unwrap(), new.to_str().unwrap());
    let shim = shim();
    let ordinary = ordinary(&dir.join("q.c"), "int main(void) { return 0; }", &[]);
    let (exe, ordinary) = (exe.to_str().unwrap(), ordinary.to_str().unwrap());
    run(indir().args(["update", exe, "--lib-dir", old])).success();
    let adopted = dir.join("adopted");
    std::fs::copy(ordinary, &adopted).unwrap();
    let adopted = adopted.to_str().unwrap();
    let place = [
        "adopt",
        "--in-place",
        "--indir-shim",
        shim.to_str().unwrap(),
    ];
    run(indir().args(place).arg(adopted)).success();
    let bare = indirect(&dir.join("bare.c"), "int main(void) { return 1; }", &[]);
    let bare = bare.to_str().unwrap();
    let libc = format!("{old}/libc.so.6");
    let table = table_of(std::path::Path::new(exe));
    let last = format!("{}.last", table.display());
    run(indir().args(["update", exe, "--lib-dir", new])).success();
    let commands: &[&[&str]] = &[
        &["update", "-v", exe],
        &["update", "--dry-run", "--lib-dir", old, exe],
        &[
            "adopt",
            "--in-place",
            "--dry-run",
            "--indir-shim",
            shim.to_str().unwrap(),
            ordinary,
        ],
        &["verify", bare],
        &["status", bare],
        &["diff", &last, exe],
        &["restore", "--dry-run", adopted],
        &["reach", &libc, &libc, ordinary],
        &["bench", "--runs", "1", ordinary],
    ];
    for args in commands {
        let ran = |when: &str| {
            let ran = run(indir()
                .args(["--color", when])
                .args(*args)
                .env("NO_COLOR", "1"));
            assert!(!ran.stdout().is_empty(), "{ran}");
            plain(&ran.stdout())
        };
        let (always, never) = (ran("always"), ran("never"));
        assert!(always.1 && !never.1, "{args:?}: {always:?} {never:?}");
        // Times differ.
        assert!(
            args[0] == "bench" || always.0 == never.0,
            "{always:?} {never:?}"
        );
        assert!(!ran("auto").1, "{args:?}");
    }
    // Behind the program it is the program's own.
    let mine = run(indir().args(["bench", "--runs", "1", "true", "--color", "x"]));
    mine.success();
    run(indir().args(["status", exe, "--color", "x"])).exits(2);
    // JSON has none.
    let json = run(indir().args(["--color=always", "status", "--json", exe]));
    assert!(!plain(&json.success().stdout()).1, "{json}");
}
