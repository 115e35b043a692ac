//! `indir bench`: what it measures, prints and draws. Nothing here depends on
//! how long anything takes.

use std::process::Command;

use serde_json::Value;

use crate::support::program::{indirect, ordinary, update};
use crate::support::{Ran, Scratch, indir, need, run};

const PROGRAM: &str = "int main(int argc, char **argv) { return argc; }";

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.success().stdout()).unwrap()
}

fn names(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap().iter();
    list.map(|way| way["name"].as_str().unwrap()).collect()
}

const WAYS: [&str; 4] = ["ordinary, lazy", "ordinary, eager", "direct", "bound"];

#[track_caller]
fn assert_document(document: &Value, runs: usize) {
    assert_eq!(document["version"], 1);
    assert_eq!(document["runs"], runs);
    assert_eq!(names(&document["ways"]), WAYS);
    assert_eq!(document["missing"].as_array().unwrap().len(), 0);
    for way in document["ways"].as_array().unwrap() {
        let samples = way["wall_ms_samples"].as_array().unwrap();
        assert_eq!(samples.len(), runs, "{way}");
        let wall = |key: &str| way["wall_ms"][key].as_f64().unwrap();
        assert!(wall("lower_quartile") <= wall("median"), "{way}");
        assert!(wall("median") <= wall("upper_quartile"), "{way}");
        assert!(wall("median") > 0.0);
        for key in ["page_faults", "system_calls", "private_dirty_kib"] {
            assert!(way[key].as_f64().unwrap() > 5.0, "{key} of {way}");
        }
        assert!(way["symbol_lookups"].as_u64().is_some(), "{way}");
    }
    let ratios = document["ratios"].as_array().unwrap();
    assert_eq!(ratios.len(), 4);
    for ratio in ratios {
        let interval = ratio["interval"].as_array().unwrap();
        let (low, high) = (interval[0].as_f64().unwrap(), interval[1].as_f64().unwrap());
        let excludes_one = low > 1.0 || high < 1.0;
        assert_eq!(ratio["real"].as_bool().unwrap(), excludes_one, "{ratio}");
    }
}

/// The bound plan must look up less; that is what is being measured.
fn lookups(document: &Value, way: usize) -> u64 {
    document["ways"][way]["symbol_lookups"].as_u64().unwrap()
}

#[test]
fn an_ordinary_program_that_finds_a_library_beside_itself() {
    let dir = Scratch::new();
    let functions: String = (0..300)
        .map(|n| format!("int f{n}(void) {{ return {n}; }}\n"))
        .collect();
    let library = dir.file("lib/libmany.c", functions);
    let so = library.with_extension("so");
    run(Command::new("cc")
        .args(["-shared", "-fPIC", "-Wl,-soname,libmany.so", "-o"])
        .arg(&so)
        .arg(&library))
    .success();
    let declared: String = (0..300).map(|n| format!("int f{n}(void);\n")).collect();
    let list: String = (0..300).map(|n| format!("f{n},")).collect();
    let source = format!(
        "{declared} int (*all[])(void) = {{ {list} }};\n int main(void) {{ return all[7](); }}"
    );
    let link = format!("-L{}", dir.join("lib").display());
    let args = [
        &link,
        "-lmany",
        "-Wl,-rpath,$ORIGIN/lib",
        "-Wl,--disable-new-dtags",
        "-pie",
    ];
    let exe = ordinary(&dir.join("many.c"), &source, &args);
    run(&mut Command::new(&exe)).exits(7);
    let before = std::fs::read(&exe).unwrap();

    let document = json(&run(indir()
        .args(["bench", "--runs", "4", "--json"])
        .arg(&exe)));
    assert_document(&document, 4);
    assert!(lookups(&document, 1) >= 300, "{document}");
    assert!(
        lookups(&document, 3) + 250 < lookups(&document, 1),
        "{document}"
    );
    assert_eq!(std::fs::read(&exe).unwrap(), before);
    assert!(!dir.join(".indir").exists(), "a table beside the original");
}

#[test]
fn an_indirect_program_and_its_arguments() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("program.c"), PROGRAM, &[]);
    update(&exe, &[]);
    let document = json(&run(indir()
        .args(["bench", "--runs", "3", "--json"])
        .arg(&exe)
        .args(["--version", "-x"])));
    assert_document(&document, 3);
    assert_eq!(
        document["arguments"],
        serde_json::json!(["--version", "-x"])
    );

    std::fs::remove_dir_all(dir.join(".indir")).unwrap();
    run(indir().args(["bench", "--runs", "3"]).arg(&exe))
        .exits(1)
        .err_is_one_line()
        .err_has("indir update");
}

#[test]
fn table_and_picture() {
    need("python3", "python3");
    let dir = Scratch::new();
    let exe = ordinary(&dir.join("a & b.c"), PROGRAM, &[]);
    let svg = dir.join("picture.svg");
    let mut command = indir();
    command
        .args(["bench", "--runs", "5", "--plot"])
        .arg(&svg)
        .arg(&exe);
    let ran = run(command.arg("<&\">"));
    ran.success();
    for way in WAYS {
        ran.out_has(way);
    }
    ran.out_has("median ms").out_has("bound / ordinary, eager");
    assert!(!ran.stdout().contains('\x1b'), "colours in a pipe: {ran}");
    let parse = "import sys, xml.dom.minidom as d; d.parse(sys.argv[1])";
    run(Command::new("python3").args(["-c", parse]).arg(&svg)).success();
    let picture = std::fs::read_to_string(&svg).unwrap();
    assert_eq!(picture.matches("<circle").count(), 5 * WAYS.len());
    for way in WAYS {
        assert!(picture.contains(&format!(">{way}</text>")), "{way}");
    }
}

#[test]
fn what_cannot_be_measured_is_told_in_one_line() {
    let dir = Scratch::new();
    let fixed = ordinary(&dir.join("fixed.c"), PROGRAM, &["-static"]);
    let cases: [(&[&str], &str); 3] = [
        (&["no-such-program-anywhere"], "not on PATH"),
        (&[fixed.to_str().unwrap()], "statically linked"),
        (&["--plot", "x.png", "true"], "only SVG"),
    ];
    for (args, why) in cases {
        run(indir().arg("bench").args(args))
            .exits(1)
            .prints("")
            .err_is_one_line()
            .err_has(why);
    }
    run(indir().args(["bench", "--runs", "0", "true"])).exits(2);
}
