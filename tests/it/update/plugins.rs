//! `--plugin-dir` and `--scan-plugins`: what a table learns of objects that a
//! program opens while it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, refused_then_updated, shared, table_of};
use crate::support::{Ran, Scratch, glibc_lib, indir, run};

/// Opens each argument, by path, and prints what its `plug` returns.
pub(crate) const OPENER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        void *handle = dlopen(argv[i], RTLD_NOW);
        if (!handle) { printf("%s\n", dlerror()); return 1; }
        printf("%d\n", ((int (*)(void))dlsym(handle, "plug"))());
    }
}
"#;

const PLUG: &str = "int deep(void); int plug(void) { return 40 + deep(); }";

/// `libdeep.so` in `folder`, whose `deep` returns `value`; `version` names the
/// version of `deep`, if it is to have one.
pub(crate) fn deep(folder: &Path, value: i32, version: &str) {
    let source = format!("int deep(void) {{ return {value}; }}");
    let mut args = vec!["-Wl,-soname,libdeep.so".to_owned()];
    fs::create_dir_all(folder).unwrap();
    if !version.is_empty() {
        let script = folder.join("versions.map");
        fs::write(&script, format!("{version} {{ global: deep; }};")).unwrap();
        args.push(format!("-Wl,--version-script,{}", script.display()));
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    shared(&folder.join("libdeep.so.c"), &source, &args);
}

/// `plug.so` in `folder`, which needs the libdeep.so of `lib`.
pub(crate) fn plug(folder: &Path, lib: &Path, more: &[&str]) -> PathBuf {
    let search = format!("-L{}", lib.display());
    let args = [&[search.as_str(), "-ldeep"], more].concat();
    shared(&folder.join("plug.so.c"), PLUG, &args)
}

pub(crate) fn update(exe: &Path, args: &[&str]) -> Ran {
    run(indir().arg("update").arg(exe).args(args))
}

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn show(exe: &Path) -> serde_json::Value {
    let shown = run(indir().arg("show").arg(exe).arg("--json"));
    serde_json::from_str(&shown.success().stdout()).unwrap()
}

pub(crate) fn opens(exe: &Path, plugin: &Path, value: &str) {
    run(Command::new(exe).arg(plugin)).success().prints(value);
}

#[test]
fn needs_of_plugins_are_found_in_the_folders_of_plugins() {
    let dir = Scratch::new();
    let plugins = dir.dir("plugins");
    deep(&plugins.join("private"), 2, "");
    let path = plug(&plugins, &plugins.join("private"), &[]);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    refused_then_updated(&exe, &[]);
    let plain = fs::read(table_of(&exe)).unwrap();
    // The failure before the success: nobody knows where libdeep.so is.
    run(Command::new(&exe).arg(&path))
        .exits(1)
        .out_has("libdeep.so: cannot open shared object file");

    let ran = update(&exe, &["--plugin-dir", text(&plugins), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.success().stdout()).unwrap();
    let known = &report["executables"][0]["plugins"];
    assert_eq!(known.as_array().unwrap().len(), 2, "{report}");
    assert_eq!(known[0]["path"], text(&path), "{report}");
    assert_eq!(
        known[0]["libraries"][0],
        text(&plugins.join("private/libdeep.so")),
        "{report}"
    );
    assert_eq!(known[0]["missing"], serde_json::json!([]), "{report}");
    opens(&exe, &path, "42\n");

    // A later update knows the folder still, and finds nothing to do.
    update(&exe, &[]).success().err_has("current 1");
    let shown = show(&exe);
    assert_eq!(shown["plugin_dirs"][0], text(&plugins), "{shown}");
    let search = shown["search"].as_array().unwrap();
    assert_eq!(
        search.last().unwrap(),
        text(&plugins.join("private")),
        "folders of plugins come last: {shown}"
    );

    // --replace moves it, as it moves a --lib-dir.
    let moved = dir.join("moved");
    fs::rename(&plugins, &moved).unwrap();
    update(&exe, &[])
        .exits(1)
        .err_has("plugins`: ")
        .err_has("`--no-plugins`");
    let replace = format!("{}={}", plugins.display(), moved.display());
    update(&exe, &["--replace", &replace]).success();
    opens(&exe, &moved.join("plug.so"), "42\n");

    update(&exe, &["--no-plugins"]).success();
    assert!(plain == fs::read(table_of(&exe)).unwrap());
}

#[test]
fn folders_that_another_ld_so_does_not_know_are_added() {
    let dir = Scratch::new();
    let plugins = dir.dir("plugins");
    let source =
        "unsigned long zlibCompileFlags(void); int plug(void) { return zlibCompileFlags() != 0; }";
    let path = shared(&plugins.join("plug.so.c"), source, &["-l:libz.so.1"]);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    let sid = glibc_lib("sid");
    refused_then_updated(&exe, &["--lib-dir", text(&sid)]);
    let folders = |shown: serde_json::Value| -> Vec<String> {
        let search = shown["search"].as_array().unwrap().iter();
        search
            .map(|folder| folder.as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(folders(show(&exe)), [text(&sid)]);
    update(&exe, &["--plugin-dir", text(&plugins)]).success();
    let search = folders(show(&exe));
    assert_eq!(search.len(), 2, "{search:?}");
    assert!(
        Path::new(&search[1]).join("libz.so.1").exists(),
        "{search:?}"
    );
    // With ld.so's cache out of the way, the table alone leads to libz.so.1.
    let ran = run(Command::new(&exe).arg(&path).env("LD_DEBUG", "libs"));
    ran.success().prints("1\n");
    let found = format!("trying file={}/libz.so.1", search[1]);
    assert!(ran.stderr().contains(&found), "{ran}");
    assert!(!ran.stderr().contains("search cache="), "{ran}");
}

#[test]
fn a_version_that_a_plugin_would_miss_is_refused() {
    let dir = Scratch::new();
    let (old, new, plugins) = (dir.join("old"), dir.join("new"), dir.dir("plugins"));
    deep(&old, 2, "DEEP_1");
    deep(&new, 3, "DEEP_2");
    let path = plug(&plugins, &old, &[]);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    let plugin_dir = ["--plugin-dir", text(&plugins)];
    refused_then_updated(
        &exe,
        &[&["--lib-dir", text(&old)], &plugin_dir[..]].concat(),
    );
    opens(&exe, &path, "42\n");
    let before = fs::read(table_of(&exe)).unwrap();
    let line = format!(
        "deep@DEEP_1 needed by {}, not provided by {}",
        path.display(),
        new.join("libdeep.so").display()
    );
    let replace = format!("{}={}", old.display(), new.display());
    update(&exe, &["--replace", &replace])
        .exits(3)
        .err_has(&line);
    assert!(before == fs::read(table_of(&exe)).unwrap());
    opens(&exe, &path, "42\n");
    // Told at adoption as well.
    let twin = crate::support::program::ordinary(&dir.join("twin.c"), OPENER, &[]);
    let adopted = dir.join("adopted");
    run(indir()
        .args(["adopt", "--indir-shim"])
        .arg(crate::support::shim())
        .args(["--lib-dir", text(&new), "-o", text(&adopted)])
        .args(plugin_dir)
        .arg(&twin))
    .exits(3)
    .err_has(&line);
    assert!(!adopted.exists());
}

#[test]
fn a_plugin_that_was_never_complete_is_worth_a_warning_and_a_lost_one_a_refusal() {
    let dir = Scratch::new();
    let (lib, empty, plugins) = (dir.join("lib"), dir.dir("empty"), dir.dir("plugins"));
    deep(&lib, 2, "");
    let path = plug(&plugins, &lib, &[]);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    let plugin_dir = ["--plugin-dir", text(&plugins)];
    let warning = format!(
        "warning: the plugin `{}` is not complete: `libdeep.so`",
        path.display()
    );
    update(&exe, &plugin_dir).success().err_has(&warning);
    update(&exe, &["--lib-dir", text(&lib)]).success();
    opens(&exe, &path, "42\n");
    update(&exe, &["--lib-dir", text(&empty)])
        .exits(3)
        .err_has("the libraries do not satisfy its plugins")
        .err_has(&format!(
            "`libdeep.so`, needed by `{}`, is not found",
            path.display()
        ));
    opens(&exe, &path, "42\n");
    // Who wants that says so.
    update(&exe, &["--lib-dir", text(&empty), "--no-plugins"]).success();
}

#[test]
fn a_plugin_with_a_runpath_is_held_against_what_its_runpath_leads_to() {
    let dir = Scratch::new();
    let (one, two, plugins) = (dir.join("one"), dir.join("two"), dir.dir("plugins"));
    deep(&one, 1, "DEEP_1");
    deep(&two, 2, "DEEP_2");
    let runpath = |folder: &Path| format!("-Wl,--enable-new-dtags,-rpath,{}", folder.display());
    let path = plug(&plugins, &one, &[&runpath(&one)]);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    // ld.so does not ask a DT_RPATH for it, whatever the table says.
    let args = ["--lib-dir", text(&two), "--plugin-dir", text(&plugins)];
    refused_then_updated(&exe, &args);
    opens(&exe, &path, "41\n");
    // If the RUNPATH leads to a library that does not fit, no table helps or
    // harms: that is told.
    fs::copy(two.join("libdeep.so"), one.join("libdeep.so")).unwrap();
    run(Command::new(&exe).arg(&path))
        .exits(1)
        .out_has("version `DEEP_1' not found");
    update(&exe, &[])
        .success()
        .err_has("is not complete: deep@DEEP_1 needed by");
}

#[test]
fn what_a_plugin_takes_from_the_program_or_from_others_is_no_miss() {
    let dir = Scratch::new();
    let plugins = dir.dir("plugins");
    let source = "int host(void); int other(void); int plug(void) { return host(); }
        int call(void) { return other(); }";
    let path = shared(&plugins.join("plug.so.c"), source, &["-Wl,-z,lazy"]);
    let opener = OPENER
        .replace("RTLD_NOW", "RTLD_LAZY")
        .replace("int main", "int host(void) { return 7; } int main");
    let exe = indirect(&dir.join("open.c"), &opener, &["-Wl,--export-dynamic"]);
    let ran = update(&exe, &["--plugin-dir", text(&plugins)]);
    assert_eq!(
        ran.success().stderr(),
        "updated 1, current 0, refused 0, failed 0\n"
    );
    opens(&exe, &path, "7\n");
}

#[test]
fn a_scan_finds_plugins_of_the_package_and_of_its_libraries() {
    let dir = Scratch::new();
    let (app, dep) = (dir.dir("app"), dir.dir("dep"));
    // dep/lib/libown.so is a library of the program; its package has a plugin,
    // and the program's own has one too. What only they need is beside them.
    let own = "int own(void) { return 5; }";
    shared(
        &dep.join("lib/libown.so.c"),
        own,
        &["-Wl,-soname,libown.so"],
    );
    deep(&app.join("lib/app/private"), 2, "");
    let first = plug(&app.join("lib/app"), &app.join("lib/app/private"), &[]);
    let near = "int near(void) { return 9; }";
    shared(
        &dep.join("lib/dep/libnear.so.c"),
        near,
        &["-Wl,-soname,libnear.so"],
    );
    let search = format!("-L{}", dep.join("lib/dep").display());
    let second = "int near(void); int plug(void) { return near(); }";
    let second = shared(
        &dep.join("lib/dep/second.so.c"),
        second,
        &[&search, "-lnear"],
    );
    let opener = format!("int own(void); int (*keep)(void) = own;\n{OPENER}");
    let lib = dep.join("lib");
    let args = ["-L", text(&lib), "-lown"];
    let exe = indirect(&app.join("bin/open.c"), &opener, &args);
    refused_then_updated(&exe, &["--lib-dir", text(&lib)]);
    run(Command::new(&exe).args([&first, &second])).exits(1);
    update(&exe, &["--scan-plugins"]).success();
    run(Command::new(&exe).args([&first, &second]))
        .success()
        .prints("42\n9\n");
    assert_eq!(show(&exe)["scan_plugins"], true);
    update(&exe, &[]).success().err_has("current 1");
}

#[test]
fn a_folder_of_plugins_is_read_with_care() {
    let dir = Scratch::new();
    let plugins = dir.dir("plugins");
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    update(&exe, &["--plugin-dir", text(&dir.join("none"))])
        .exits(1)
        .err_has("`--plugin-dir ")
        .err_is_one_line();
    // A loop of links, a damaged object, text, an executable, a foreign object.
    std::os::unix::fs::symlink("..", plugins.join("loop")).unwrap();
    dir.file("plugins/broken.so", b"\x7fELF\x02\x01\x01nonsense");
    dir.file("plugins/text.so", "INPUT ( /nowhere )");
    fs::copy(&exe, plugins.join("program")).unwrap();
    fs::copy("/proc/self/exe", plugins.join("test")).unwrap();
    let ran = update(&exe, &["--plugin-dir", text(&plugins), "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.success().stdout()).unwrap();
    assert_eq!(
        report["executables"][0]["plugins"],
        serde_json::json!([]),
        "{report}"
    );
}
