//! Help, manual pages and completions: every command has an example in each.

use std::process::Command;

use clap::CommandFactory as _;

use crate::support::{Scratch, indir, need, run};

/// Every subcommand as the words that call it, `indir` itself as none.
fn subcommands() -> Vec<Vec<String>> {
    let mut root = indir::cli::Cli::command().disable_help_subcommand(true);
    root.build();
    let mut found = vec![Vec::new()];
    let mut left = vec![(Vec::new(), root)];
    while let Some((words, command)) = left.pop() {
        for sub in command.get_subcommands() {
            let mut words: Vec<String> = words.clone();
            words.push(sub.get_name().to_owned());
            found.push(words.clone());
            left.push((words, sub.clone()));
        }
    }
    found
}

#[test]
fn every_help_has_an_example() {
    let all = subcommands();
    assert!(all.len() > 2, "{all:?}");
    for words in all {
        let help = run(indir().args(&words).arg("--help"));
        help.success().out_has("Usage: ").out_has("\nExample");
    }
}

#[test]
fn every_command_has_a_page_with_an_example() {
    let scratch = Scratch::new();
    run(indir()
        .args(["generate", "man", "--out-dir"])
        .arg(scratch.path()))
    .success()
    .prints("");
    for words in subcommands() {
        let name = [vec!["indir".to_owned()], words.clone()].concat().join("-");
        let page = std::fs::read_to_string(scratch.join(format!("{name}.1"))).unwrap();
        assert!(page.contains(".SH EXAMPLES"), "{name}: {page}");
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
        run(indir().args(["generate", "man"]).args(&words))
            .success()
            .prints(&page);
    }
}

#[test]
fn unknown_page_is_refused_in_one_line() {
    run(indir().args(["generate", "man", "no-such-command"]))
        .exits(1)
        .err_is_one_line()
        .err_has("no manual page `indir-no-such-command`");
}

#[test]
fn bash_completes_subcommands() {
    need("bash", "bash");
    let script = "set -eu
        eval \"$(\"$0\" generate completions bash)\"
        COMP_WORDS=(indir gen) COMP_CWORD=1
        _indir indir gen indir
        echo \"${COMPREPLY[@]}\"";
    run(Command::new("bash")
        .args(["-c", script])
        .arg(env!("CARGO_BIN_EXE_indir")))
    .success()
    .prints("generate\n");
}

/// Folders, files and programs are offered; only what is none of them is not.
#[test]
fn completions_know_what_a_value_is() {
    let script = run(indir().args(["generate", "completions", "zsh"]));
    let script = script.success().stdout();
    let others = [
        "OLD=NEW",
        "N",
        "REF",
        "PID",
        "PATTERN",
        "TEXT",
        "SYMBOL[@VERSION]",
        "symbol",
        "subcommand",
    ];
    let mut wrong = Vec::new();
    for line in script.lines() {
        let Some((value, _)) = line.split_once(":_default'") else {
            continue;
        };
        let name = value.rsplit(':').next().unwrap();
        if !others.contains(&name.split(" -- ").next().unwrap()) {
            wrong.push(line);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for kind in [
        ":DIR:_files -/'",
        ":FILE:_files'",
        ":TREE:_files -/'",
        ":_cmdambivalent'",
    ] {
        assert!(script.contains(kind), "no {kind}");
    }
}

#[test]
fn setup_installs_pages_and_completions() {
    let scratch = Scratch::new();
    run(indir().args(["setup", "--prefix"]).arg(scratch.path())).success();
    for file in [
        "man/man1/indir.1",
        "man/man1/indir-setup.1",
        "bash-completion/completions/indir",
        "zsh/site-functions/_indir",
        "fish/vendor_completions.d/indir.fish",
    ] {
        let path = scratch.join("share").join(file);
        assert!(
            path.metadata().is_ok_and(|m| m.len() > 0),
            "{}",
            path.display()
        );
    }
}

/// A setup that was killed before it renamed a link left one that nobody can lock.
#[test]
fn setup_removes_links_that_a_killed_one_left() {
    let scratch = Scratch::new();
    let setup = || run(indir().args(["setup", "--prefix"]).arg(scratch.path()));
    setup().success();
    let bin = scratch.path().join("bin");
    let left = bin.join(".indir-ld.indir-0123456789abcdef.tmp");
    std::os::unix::fs::symlink("indir", &left).unwrap();
    let foreign = bin.join(".other.indir-0123456789abcdef.tmp");
    std::os::unix::fs::symlink("indir", &foreign).unwrap();
    setup().success();
    assert!(left.symlink_metadata().is_err());
    foreign.symlink_metadata().unwrap();
}

#[test]
fn every_page_says_how_it_ends_what_it_obeys_and_where_files_are() {
    let scratch = Scratch::new();
    run(indir()
        .args(["generate", "man", "--out-dir"])
        .arg(scratch.path()))
    .success();
    let mut pages = 0;
    for entry in std::fs::read_dir(scratch.path()).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        // Readers without UTF-8 would see something else.
        assert!(page.is_ascii(), "{}", path.display());
        let mut sections = vec!["EXAMPLES", "ENVIRONMENT", "FILES", "SEE ALSO"];
        if !path.ends_with("indir.7") {
            sections.extend(["EXIT STATUS", "SYNOPSIS"]);
        }
        for section in sections {
            let head = |line: &&str| line.trim_start_matches(".SH ").trim_matches('"') == section;
            let heads = page.lines().filter(|line| line.starts_with(".SH"));
            assert_eq!(
                heads.filter(head).count(),
                1,
                "{}: {section}",
                path.display()
            );
        }
        pages += 1;
    }
    assert_eq!(
        pages,
        subcommands().len() + 2,
        "indir-ld(1) and indir(7) are more"
    );
    for (words, title) in [("ld", "indir-ld"), ("7", "indir")] {
        run(indir().args(["generate", "man", words]))
            .success()
            .out_has(&format!(".TH {title} "));
    }
}

/// The page of the words and the moments says what each command is for.
#[test]
fn every_command_is_named_where_one_looks_for_it() {
    let page = run(indir().args(["generate", "man", "7"]));
    let page = page.success().stdout().replace("\\-", "-");
    for words in subcommands().iter().filter(|words| words.len() == 1) {
        let name = format!("indir-{}(1)", words[0]);
        assert!(page.contains(&name), "{name} is not in indir(7)");
    }
}

/// Every variable that the sources name is in the pages.
#[test]
fn every_variable_is_explained() {
    let page = run(indir().args(["generate", "man", "7"]))
        .success()
        .stdout();
    let top = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seen = std::collections::BTreeSet::new();
    for folder in ["src", "shim/src"] {
        for entry in walkdir::WalkDir::new(top.join(folder)) {
            let entry = entry.unwrap();
            if entry.file_type().is_dir() {
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            for rest in text.split("\"INDIR_").skip(1) {
                let is_name = |c: &char| c.is_ascii_uppercase() || *c == '_';
                let name: String = rest.chars().take_while(is_name).collect();
                // A prefix of all of them is none.
                if !name.is_empty() {
                    seen.insert(format!("INDIR_{name}"));
                }
            }
        }
    }
    assert!(seen.len() >= 4, "{seen:?}");
    for name in seen {
        assert!(page.contains(&name), "{name} is in no page");
    }
}

#[test]
fn the_linker_lists_its_own_options() {
    let ld = crate::support::prefix().join("bin/indir-ld");
    let help = run(Command::new(&ld).arg("--indir-help"));
    for option in [
        "--indir-shim=",
        "--indir-table=",
        "--indir-off",
        "INDIR_LD",
        "Example",
    ] {
        help.success().out_has(option);
    }
    // All else is the real linker's.
    let help = run(Command::new(&ld).arg("--help"));
    help.success().out_has("--no-undefined");
    assert!(!help.stdout().contains("--indir-"), "{help}");
}
