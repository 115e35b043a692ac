//! Pipes that are closed and disks that are full, of every command.

use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;

use crate::support::program::{indirect, ordinary};
use crate::support::{Scratch, indir, run, system_lib};

const TRIVIAL: &str = "int main(void) { return 0; }";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Data of every command goes into a pipe that nobody reads, and onto a full disk.
#[test]
fn no_command_minds_a_pipe_that_is_closed_or_a_disk_that_is_full() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("p.c"), TRIVIAL, &[]);
    run(indir().arg("update").arg(&exe)).success();
    let plain = ordinary(&dir.join("q.c"), TRIVIAL, &[]);
    let (exe, plain) = (text(&exe), text(&plain));
    let libc = system_lib().join("libc.so.6");
    let libc = text(&libc);
    let shim = crate::support::shim();
    let shim = text(&shim);
    dir.file("source/a.c", "#include <lib.h>\n");
    dir.file("tree/include/lib.h", "int lib(void);\n");
    let (source, tree, words) = (dir.join("source"), dir.join("tree"), dir.join("words"));
    let (source, tree, words) = (text(&source), text(&tree), text(&words));
    run(indir().args(["words", source, "-o", words])).success();
    let commands: &[&[&str]] = &[
        &["--help"],
        &["--version"],
        &["update", "--help"],
        &["update", "-v", exe],
        &["update", "--json", exe],
        &["update", "--undo", "--dry-run", "--json", exe],
        &[
            "adopt",
            "--in-place",
            "--dry-run",
            "--indir-shim",
            shim,
            plain,
        ],
        &[
            "adopt",
            "--in-place",
            "--dry-run",
            "--json",
            "--indir-shim",
            shim,
            plain,
        ],
        &["bench", "--runs", "1", plain],
        &["bench", "--runs", "1", "--json", plain],
        &["update", "--dry-run", "--reach", exe],
        &["seal", "--check", plain],
        &["reach", libc, libc, exe],
        &["reach", "--json", libc, libc, exe],
        &["reach", "--explain", "puts", libc, libc, exe],
        &["words", source, "-o", "/dev/stdout"],
        &["stand-in", "--explain", tree, tree, "--words", words],
        &["stand-in", "--json", tree, tree, "--words", words],
        &["show", exe],
        &["show", "--json", exe],
        &["diff", exe, exe],
        &["diff", "--json", exe, exe],
        &["status", exe],
        &["status", "--json", exe],
        &["verify", exe],
        &["verify", "--json", exe],
        &["why", exe, "puts"],
        &["why", "--json", exe, "puts"],
        &["files", exe],
        &["files", "--json", exe],
        &["restore", "--dry-run", exe],
        &["generate", "man"],
        &["generate", "completions", "zsh"],
        &["abi", "dump", libc],
        &["abi", "diff", libc, libc],
        &["abi", "diff", "--json", libc, libc],
        &["stub", libc, "-o", "/dev/stdout"],
    ];
    for command in indir::cli::Cli::command().get_subcommands() {
        // Of setup nothing is data.
        let name = command.get_name();
        assert!(
            name == "setup" || commands.iter().any(|args| args.first() == Some(&name)),
            "{name} is not tried"
        );
    }
    let prints: Vec<_> = commands
        .iter()
        .filter(|args| {
            let ran = run(indir().args(**args));
            !ran.stdout().is_empty()
        })
        .collect();
    for args in commands {
        for how in [
            "exec \"$@\" | true",
            "exec \"$@\" >/dev/full",
            "exec \"$@\" >&-",
        ] {
            let mut command = Command::new("bash");
            let script = format!("set -o pipefail; {how}");
            command.args(["-c", &script, "bash", env!("CARGO_BIN_EXE_indir")]);
            let ran = run(command.args(*args));
            assert!(!ran.stderr().contains("panicked"), "{how}: {ran}");
            assert!(ran.code().is_some_and(|code| code != 101), "{how}: {ran}");
            // Whoever asked for it does not take the lost for the whole.
            let is_lost = how.contains("/dev/full") && prints.contains(&args);
            assert!(!is_lost || ran.code() != Some(0), "{how}: {ran}");
            if how.contains("true") {
                assert!(!ran.stderr().contains("Broken pipe"), "{how}: {ran}");
            }
        }
    }
}
