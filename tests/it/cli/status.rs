//! `indir status`, and the lists of `indir update`.

use std::path::Path;
use std::process::Command;

use crate::support::program::{indirect, table_of};
use crate::support::{Scratch, glibc_lib, indir, run};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const SOURCE: &str = "int main(void) { return 0; }";

#[test]
fn programs_are_counted_by_glibc_plan_and_state() {
    let dir = Scratch::new();
    let program = |name: &str| indirect(&dir.join(format!("{name}.c")), SOURCE, &[]);
    let (a, b, c) = (program("a"), program("b"), program("c"));
    let (bare, sealed, broken) = (program("bare"), program("sealed"), program("broken"));
    let trixie = glibc_lib("trixie");
    let update = |args: &[&str]| {
        run(indir().arg("update").args(args)).success();
    };
    update(&["--plan", "direct", text(&a)]);
    update(&[
        "--plan",
        "bound",
        "--lib-dir",
        text(&trixie),
        text(&b),
        text(&c),
    ]);
    update(&[text(&broken)]);
    std::fs::write(table_of(&broken), "INDIRTBL").unwrap();
    // `indirect` seals, as the tests of starts by tables want it.
    let ordinary = dir.join("ordinary");
    let b_flag = crate::support::b_flag();
    crate::support::cc([&b_flag, "-o", text(&ordinary), text(&dir.join("a.c"))]);
    run(indir().arg("seal").arg(&sealed)).success();

    let ran = run(indir().args(["status", "--json"]).arg(dir.path()));
    let document: serde_json::Value = serde_json::from_str(&ran.exits(1).stdout()).unwrap();
    assert_eq!(document["version"], 1);
    assert_eq!(document["programs"], 6, "{document:#}");
    let of = |lib: &Path| {
        let ldso = lib.join("ld-linux-x86-64.so.2");
        let all = document["glibcs"].as_array().unwrap();
        let found = all.iter().find(|on| on["ldso"] == text(&ldso));
        found.unwrap_or_else(|| panic!("{document:#}")).clone()
    };
    let on = of(&trixie);
    assert_eq!((&on["direct"], &on["bound"]), (&0.into(), &2.into()));
    assert!(
        on["build"]
            .as_str()
            .unwrap()
            .contains("release version 2.41"),
        "{on}"
    );
    assert_eq!(document["glibcs"].as_array().unwrap().len(), 2);
    assert_eq!(document["ordinary"], serde_json::json!([text(&ordinary)]));
    let mut without = [text(&bare), text(&sealed)];
    without.sort_unstable();
    assert_eq!(document["sealed"], serde_json::json!(without));
    assert_eq!(document["wrong"], serde_json::json!([text(&broken)]));
    assert_eq!(document["failed"], serde_json::json!([]));

    let ran = run(indir().arg("status").arg(dir.path()));
    ran.exits(1)
        .out_has("     6 indirect programs")
        .out_has("     2 on ")
        .out_has("0 direct, 2 bound")
        .out_has("     1 wrong: run `indir verify`");
    run(indir().arg("status").args([&a, &b])).exits(0);
}

#[test]
fn an_update_lists_what_it_changes() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("p.c"), SOURCE, &[]);
    let trixie = glibc_lib("trixie");
    let update = |args: &[&str]| run(indir().args(["update", text(&exe)]).args(args));
    let first = format!("changes {}: new: direct, ", text(&exe));
    update(&["--dry-run"]).exits(0).out_has(&first);
    assert!(!table_of(&exe).exists());
    update(&["-v"]).exits(0).out_has(&first);
    update(&[]).exits(0).prints("");
    update(&["--dry-run"]).exits(0).prints("");
    update(&["-v"])
        .exits(0)
        .out_has(&format!("current {}: direct, ", text(&exe)));
    let new = ["-v", "--plan", "bound", "--lib-dir", text(&trixie)];
    update(&new)
        .exits(0)
        .out_has("direct -> bound, ")
        .out_has(&format!(" -> {}, with {}", text(&trixie), text(&trixie)));
    // Quiet, but for what is refused.
    let quiet = update(&[
        "-q",
        "--lib-dir",
        text(dir.path()),
        "--lib-dir",
        text(&trixie),
    ]);
    quiet.exits(0).prints("");
    assert!(quiet.stderr().is_empty(), "{quiet}");
    let nowhere = dir.path().join("nowhere");
    let gone = format!("{}={}", text(&trixie), text(&nowhere));
    update(&["-q", "--replace", &gone])
        .exits(3)
        .err_is_one_line();
    run(&mut Command::new(&exe)).exits(0);
}
