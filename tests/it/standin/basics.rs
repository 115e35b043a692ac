//! The command line: links, history, reasons, several libraries.

use crate::support::{Scratch, indir, run};

use super::support::{report, tree, words};

const ONE: &str = "int lib_one(void);\n";
const TWO: &str = "int lib_one(void);\nint lib_two(void);\n";
const THREE: &str = "int lib_one(void);\nint lib_two(void);\nint lib_three(void);\n";

fn trees(scratch: &Scratch) {
    for (name, text) in [("1", ONE), ("2", TWO), ("3", THREE)] {
        tree(scratch, name, &[("include/lib.h", text)]);
    }
}

#[test]
fn the_earliest_tree_that_fits_is_linked_to() {
    let scratch = Scratch::new();
    trees(&scratch);
    for (used, chosen) in [("one", "1"), ("two", "2"), ("three", "3")] {
        let text = format!("#include <lib.h>\nint a(void) {{ return lib_{used}(); }}\n");
        let words = words(&scratch, used, &[("a.c", &text)]);
        let link = scratch.join(format!("{used}.link"));
        let choose = || {
            run(indir().arg("stand-in").arg("--words").arg(&words).args([
                "--history".as_ref(),
                scratch.join("1").as_os_str(),
                "--history".as_ref(),
                scratch.join("2").as_os_str(),
                "--new".as_ref(),
                scratch.join("3").as_os_str(),
                "-o".as_ref(),
                link.as_os_str(),
            ]))
            .success()
            .prints("");
            std::fs::read_link(&link).unwrap()
        };
        assert_eq!(choose(), scratch.join(chosen));
        // Another time, over what is there.
        assert_eq!(choose(), scratch.join(chosen));
    }
}

#[test]
fn what_is_no_symlink_is_not_replaced() {
    let scratch = Scratch::new();
    trees(&scratch);
    let words = words(&scratch, "s", &[("a.c", "int a;\n")]);
    let file = scratch.file("link", "mine\n");
    let new = scratch.join("3");
    let mut command = indir();
    command
        .arg("stand-in")
        .arg("--words")
        .arg(&words)
        .arg("--new")
        .arg(&new)
        .arg("-o")
        .arg(&file);
    run(&mut command)
        .exits(1)
        .err_is_one_line()
        .err_has("no symlink");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine\n");
}

#[test]
fn nothing_is_written_if_one_link_cannot_be() {
    let scratch = Scratch::new();
    trees(&scratch);
    let words = words(&scratch, "s", &[("a.c", "int a;\n")]);
    let (tree, link) = (scratch.join("1"), scratch.join("link"));
    let refused = |second: &std::path::Path, why: &str| {
        let mut command = indir();
        command.arg("stand-in").arg("--words").arg(&words);
        for link in [link.as_path(), second] {
            command.arg("--new").arg(&tree).arg("-o").arg(link);
        }
        run(&mut command).exits(1).err_is_one_line().err_has(why);
    };
    refused(&scratch.file("file", "mine\n"), "no symlink");
    refused(&scratch.join("none/link"), "none/link");
    // The same, by another path.
    refused(&scratch.join("1/../link"), "same -o");
    assert!(link.symlink_metadata().is_err());
}

#[test]
fn people_are_told_why() {
    let scratch = Scratch::new();
    trees(&scratch);
    let text = "#include <lib.h>\n\nint a(void) { return lib_two(); }\n";
    let words = words(&scratch, "s", &[("src/a.c", text)]);
    let explain = |old: &str, new: &str| {
        let mut command = indir();
        command
            .args(["stand-in", "--explain"])
            .arg(scratch.join(old))
            .arg(scratch.join(new));
        run(command.arg("--words").arg(&words)).success().stdout()
    };
    let told = explain("1", "2");
    assert!(
        told.contains("lib_two is new (include/lib.h:2); src/a.c:3 names lib_two"),
        "{told}"
    );
    assert!(told.ends_with("2: the new tree\n"), "{told}");
    let told = explain("2", "3");
    assert!(
        told.contains("; 1 difference, which is not reached\n"),
        "{told}"
    );
    let other = scratch.file(
        "4/include/lib.h",
        "int lib_one(void);\nint lib_two(void);\n\nint b;\nint c;\n",
    );
    assert!(other.exists());
    let told = explain("2", "4");
    assert!(
        told.contains("; 2 differences, none of which is reached\n"),
        "{told}"
    );
    let told = explain("2", "2");
    assert!(told.contains("it is the same"), "{told}");
}

#[test]
fn usage_that_makes_no_sense_is_told() {
    let scratch = Scratch::new();
    trees(&scratch);
    let words = words(&scratch, "s", &[("a.c", "int a;\n")]);
    let tree = scratch.join("1");
    let stand_in = |args: &[&std::ffi::OsStr]| {
        run(indir()
            .arg("stand-in")
            .arg("--words")
            .arg(&words)
            .args(args))
    };
    stand_in(&["--history".as_ref(), tree.as_os_str()])
        .exits(2)
        .err_has("--new");
    let two = [
        "--new".as_ref(),
        tree.as_os_str(),
        "-o".as_ref(),
        "a".as_ref(),
        "-o".as_ref(),
        "b".as_ref(),
    ];
    stand_in(&two).exits(2).err_has("in the same order");
    stand_in(&["--new".as_ref(), tree.as_os_str()])
        .exits(2)
        .err_has("nothing to do");
    let mut command = indir();
    command.arg("stand-in").args([&tree, &tree]);
    run(command.arg("--words").arg(&words))
        .exits(2)
        .err_is_one_line()
        .err_has("nothing to do: give --explain");
    // Whatever follows --words is one of its files.
    stand_in(&[tree.as_os_str(), tree.as_os_str()])
        .exits(2)
        .err_has("before --words");
    stand_in(&["--explain".as_ref()])
        .exits(2)
        .err_has("no library is given");
    let other = scratch.file("other", "not words\n");
    let mut command = indir();
    command
        .arg("stand-in")
        .arg("--words")
        .arg(&other)
        .arg("--explain")
        .arg(&tree)
        .arg(&tree);
    run(&mut command)
        .exits(1)
        .err_is_one_line()
        .err_has("other:1")
        .err_has("indir words");
    let mut command = indir();
    command
        .arg("stand-in")
        .arg("--words")
        .arg(&words)
        .arg("--explain")
        .arg(&tree);
    run(command.arg(scratch.join("nowhere")))
        .exits(1)
        .err_is_one_line()
        .err_has("nowhere");
}

#[test]
fn a_tree_of_one_library_that_names_what_is_new_in_another() {
    let scratch = Scratch::new();
    let low = |name: &str, more: &str| {
        let text = format!("typedef int low_type;\nint low_call(void);\n{more}");
        tree(&scratch, name, &[("include/low.h", &text)])
    };
    let high = |name: &str, more: &str| {
        let text = format!("#include <low.h>\nlow_type high_call(void);\n{more}");
        tree(&scratch, name, &[("include/high.h", &text)])
    };
    let (low_1, low_2) = (low("low-1", ""), low("low-2", "typedef long low_fresh;\n"));
    let high_1 = high("high-1", "");
    let high_2 = high("high-2", "low_fresh high_fresh(void);\n");
    let choice = |used: &str| {
        let text = format!("#include <high.h>\nint a(void) {{ return {used}; }}\n");
        let words = words(&scratch, used.trim_end_matches("()"), &[("a.c", &text)]);
        let args = [
            "--history".as_ref(),
            low_1.as_path(),
            "--new".as_ref(),
            &low_2,
            "--history".as_ref(),
            &high_1,
            "--new".as_ref(),
            &high_2,
        ];
        let report = report(&args, &words);
        report
            .iter()
            .map(|r| r["stands_in"].as_bool().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(choice("high_call()"), [true, true]);
    // It reaches what is new below.
    assert_eq!(choice("high_fresh()"), [false, false]);
    // Alone, the lower library has nothing that the consumer names; but the tree of the
    // other would not compile with the earlier one.
    let text = "#include <high.h>\nint a(void) { return high_call(); }\n";
    let words = words(&scratch, "only", &[("a.c", text)]);
    let args = [
        "--history".as_ref(),
        low_1.as_path(),
        "--new".as_ref(),
        &low_2,
        "--new".as_ref(),
        &high_2,
    ];
    let told = report(&args, &words);
    assert_eq!(told[0]["stands_in"], false, "{told:#?}");
    assert_eq!(
        told[0]["passed"][0]["reasons"][0]["kind"], "sibling",
        "{told:#?}"
    );
}

#[test]
fn what_another_library_includes_is_followed() {
    let scratch = Scratch::new();
    let old = tree(&scratch, "old", &[("include/low.h", "#define LOW 1\n")]);
    let new = tree(&scratch, "new", &[("include/low.h", "#define LOW 2\n")]);
    let high = "#include <low.h>\nstatic inline int high(void) { return LOW; }\n";
    let high = tree(&scratch, "high", &[("include/high.h", high)]);
    let text = "#include <high.h>\nint a(void) { return high(); }\n";
    let words = words(&scratch, "s", &[("a.c", text)]);
    let report = report(&[&old, &new, "--with".as_ref(), &high], &words);
    assert_eq!(report[0]["stands_in"], false, "{report:#?}");
    let how = report[0]["passed"][0]["reasons"][0]["how"]
        .as_str()
        .unwrap();
    assert_eq!(how, "a.c:1 names high, which names LOW (include/high.h:2)");
}
