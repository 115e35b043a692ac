//! The environment variables that people set for the loader, and the shim's own.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, refused_then_updated, shared, table_of};
use crate::support::{Scratch, run, system_lib};

/// `libshade.so` in `folder`, whose `shade` returns `text`.
fn shade(folder: &Path, text: &str) -> PathBuf {
    shared(
        &folder.join("libshade.so.c"),
        &format!("const char *shade(void) {{ return \"{text}\"; }}"),
        &["-Wl,-soname,libshade.so"],
    )
}

const SHOW: &str = "#include <stdio.h>\nconst char *shade(void); int main(void) { puts(shade()); }";

/// A program of `libshade.so` in lib/, and another one in other/.
struct Shaded {
    dir: Scratch,
    exe: PathBuf,
    lib: PathBuf,
    other: PathBuf,
}

impl Shaded {
    /// With the plan that `indir update` chooses.
    fn new() -> Self {
        Self::with_plan("auto")
    }

    /// One of each plan.
    fn both() -> [Self; 2] {
        ["direct", "bound"].map(Self::with_plan)
    }

    fn with_plan(plan: &str) -> Self {
        let dir = Scratch::new();
        let (lib, other) = (dir.dir("lib"), dir.dir("other"));
        shade(&lib, "table");
        shade(&other, "other");
        let folder = lib.to_str().unwrap();
        let exe = indirect(&dir.join("show.c"), SHOW, &["-L", folder, "-lshade"]);
        refused_then_updated(&exe, &["--lib-dir", folder, "--plan", plan]);
        Self {
            dir,
            exe,
            lib,
            other,
        }
    }

    fn with(&self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> crate::support::Ran {
        run(Command::new(&self.exe)
            .current_dir(self.dir.path())
            .env(name, value))
    }
}

#[test]
fn ld_library_path_overrides_the_table() {
    for shaded in Shaded::both() {
        shaded
            .with("LD_LIBRARY_PATH", "")
            .success()
            .prints("table\n");
        shaded
            .with("LD_LIBRARY_PATH", "/nonexistent")
            .success()
            .prints("table\n");
        shaded
            .with("LD_LIBRARY_PATH", &shaded.other)
            .success()
            .prints("other\n");
        let (lib, other) = (shaded.lib.display(), shaded.other.display());
        for (value, expected) in [
            (format!("{lib}:{other}"), "table\n"),
            (format!("{other}:{lib}"), "other\n"),
            (format!("/nonexistent;{other}"), "other\n"),
            (format!("{other};"), "other\n"),
            (format!(":{other}:"), "other\n"),
            (format!("{other}/"), "other\n"),
            ("other".into(), "other\n"),
            ("./other".into(), "other\n"),
            ("$ORIGIN/other".into(), "other\n"),
            ("${ORIGIN}/other".into(), "other\n"),
            ("$ORIGIN/nonexistent".into(), "table\n"),
        ] {
            shaded
                .with("LD_LIBRARY_PATH", value)
                .success()
                .prints(expected);
        }
        // An empty element is the working directory (elf/dl-load.c, fillin_rpath).
        for value in [":/nonexistent", "/nonexistent:", "/nonexistent::/", ";"] {
            run(Command::new(&shaded.exe)
                .current_dir(&shaded.other)
                .env("LD_LIBRARY_PATH", value))
            .success()
            .prints("other\n");
        }
    }
}

#[test]
fn ld_library_path_takes_effect_for_libc_and_hwcaps_folders() {
    for shaded in Shaded::both() {
        let v2 = shaded.dir.dir("capable/glibc-hwcaps/x86-64-v2");
        shade(&v2, "second level");
        shaded
            .with("LD_LIBRARY_PATH", shaded.dir.join("capable"))
            .success()
            .prints("second level\n");
        // The system's own libraries, given by another path, are still found.
        shaded
            .with(
                "LD_LIBRARY_PATH",
                format!("{}:{}", system_lib().display(), shaded.other.display()),
            )
            .success()
            .prints("other\n");
    }
}

#[test]
fn ld_library_path_serves_dlopen_and_what_plugins_need() {
    let shaded = Shaded::new();
    let dir = &shaded.dir;
    let plugins = dir.dir("plugins");
    let folder = format!("-L{}", shaded.lib.display());
    shared(
        &plugins.join("libplug.so.c"),
        "#include <stdio.h>\nconst char *shade(void); void plug(void) { puts(shade()); }",
        &[&folder, "-lshade", "-Wl,-soname,libplug.so"],
    );
    let source = "#include <dlfcn.h>\nint main(int argc, char **argv) { void *h = dlopen(argv[1], RTLD_NOW); \
                  if (!h) return 1; ((void (*)(void))dlsym(h, \"plug\"))(); }";
    let exe = indirect(&dir.join("open.c"), source, &[]);
    refused_then_updated(&exe, &["--lib-dir", shaded.lib.to_str().unwrap()]);
    let path = plugins.join("libplug.so");
    run(Command::new(&exe).arg(&path))
        .success()
        .prints("table\n");
    run(Command::new(&exe).arg("libplug.so")).exits(1);
    // The variable brings one folder; the table's still serves the rest.
    run(Command::new(&exe)
        .arg("libplug.so")
        .env("LD_LIBRARY_PATH", &plugins))
    .success()
    .prints("table\n");
    run(Command::new(&exe)
        .arg(&path)
        .env("LD_LIBRARY_PATH", &shaded.other))
    .success()
    .prints("other\n");
    run(Command::new(&exe).arg("libplug.so").env(
        "LD_LIBRARY_PATH",
        format!("{};{}", plugins.display(), shaded.other.display()),
    ))
    .success()
    .prints("other\n");
}

#[test]
fn ld_preload_interposes() {
    for shaded in Shaded::both() {
        let path = shared(
            &shaded.dir.join("preload/libpre.so.c"),
            "const char *shade(void) { return \"preloaded\"; }",
            &["-Wl,-soname,libpre.so"],
        );
        shaded
            .with("LD_PRELOAD", &path)
            .success()
            .prints("preloaded\n");
        shaded
            .with("LD_PRELOAD", shaded.other.join("libshade.so"))
            .success()
            .prints("other\n");
        let absent = shaded.with("LD_PRELOAD", "/nonexistent.so");
        absent
            .success()
            .prints("table\n")
            .err_has("cannot be preloaded");
    }
}

#[test]
fn ld_debug_and_ld_bind_now_reach_ld_so() {
    let shaded = Shaded::new();
    let debug = shaded.with("LD_DEBUG", "libs,files");
    let path = shaded.lib.join("libshade.so");
    debug
        .success()
        .prints("table\n")
        .err_has(&format!("calling init: {}", path.display()))
        .err_has("initialize program: ");
    shaded.with("LD_BIND_NOW", "1").success().prints("table\n");
    // Lazy binding stays lazy: a function that is gone and never called.
    let dir = &shaded.dir;
    let soname = "-Wl,-soname,libgone.so";
    let library = shaded.lib.join("libgone.so.c");
    shared(&library, "void gone(void) {}", &[soname]);
    let source = "void gone(void); int main(int argc, char **argv) { if (argc > 1) gone(); }";
    let folder = shaded.lib.to_str().unwrap();
    let args = ["-Wl,-z,lazy", "-L", folder, "-lgone"];
    let exe = indirect(&dir.join("lazy.c"), source, &args);
    refused_then_updated(&exe, &["--lib-dir", folder]);
    run(Command::new(&exe).arg("call").env("LD_BIND_NOW", "1")).success();
    shared(&library, "void here(void) {}", &[soname]);
    run(&mut Command::new(&exe)).success();
    for ran in [
        run(Command::new(&exe).arg("call")),
        run(Command::new(&exe).env("LD_BIND_NOW", "1")),
    ] {
        ran.exits(127).err_has("undefined symbol: gone");
    }
}

#[test]
fn the_loaded_objects_can_be_listed() {
    for shaded in Shaded::both() {
        let listed = shaded.with("LD_TRACE_LOADED_OBJECTS", "1");
        for path in [
            shaded.lib.join("libshade.so"),
            system_lib().join("libc.so.6"),
        ] {
            let name = path.file_name().unwrap().to_str().unwrap();
            let line = listed
                .stdout()
                .lines()
                .find(|line| line.contains(name))
                .map(str::to_owned);
            let line = line.unwrap_or_else(|| panic!("no {name}: {listed}"));
            let shown = line
                .split_whitespace()
                .find(|word| word.starts_with('/'))
                .unwrap();
            assert_eq!(
                std::fs::canonicalize(shown).unwrap(),
                std::fs::canonicalize(&path).unwrap()
            );
        }
        assert!(!listed.success().stdout().contains("not found"), "{listed}");
    }
}

#[test]
fn ldd_lists_a_program() {
    // ldd asks the system's ld.so, not the program's interpreter: it sees what
    // lies in the system's folders, and what LD_LIBRARY_PATH names.
    let shaded = Shaded::new();
    let listed = run(Command::new("ldd")
        .arg(&shaded.exe)
        .env("LD_LIBRARY_PATH", &shaded.lib));
    listed.success().out_has("libc.so.6 => /").out_has(&format!(
        "libshade.so => {}/libshade.so",
        shaded.lib.display()
    ));
    assert!(!listed.stdout().contains("not found"), "{listed}");
    let plain = indirect(
        &shaded.dir.join("plain.c"),
        "int main(void) { return 0; }",
        &[],
    );
    refused_then_updated(&plain, &[]);
    let listed = run(Command::new("ldd").arg(&plain));
    listed.success().out_has("libc.so.6 => /");
    assert!(!listed.stdout().contains("not found"), "{listed}");
}

#[test]
fn indir_tables_are_folders_of_tables_by_id() {
    let shaded = Shaded::new();
    let table = table_of(&shaded.exe);
    let elsewhere = shaded.dir.dir("elsewhere");
    std::fs::rename(&table, elsewhere.join(table.file_name().unwrap())).unwrap();
    let folders = [
        elsewhere.clone(),
        PathBuf::from(format!("/nonexistent::{}", elsewhere.display())),
    ];
    for folders in folders {
        shaded
            .with("INDIR_TABLES", &folders)
            .success()
            .prints("table\n");
    }
    // They come before the table beside the program.
    std::fs::write(&table, "damaged").unwrap();
    shaded.with("INDIR_TABLES", &elsewhere).success();
    shaded
        .with("INDIR_TABLES", "/nonexistent")
        .exits(127)
        .err_is_one_line()
        .err_has(&format!("(table {})", table.display()));
    // Bindings are beside the table that is used.
    std::fs::remove_file(&table).unwrap();
    let bound = Shaded::with_plan("bound");
    let table = table_of(&bound.exe);
    let elsewhere = bound.dir.dir("elsewhere");
    for name in std::fs::read_dir(table.parent().unwrap()).unwrap() {
        let name = name.unwrap();
        std::fs::rename(name.path(), elsewhere.join(name.file_name())).unwrap();
    }
    run(Command::new(&bound.exe)
        .env("INDIR_TABLES", &elsewhere)
        .env("INDIR_DEBUG", "1"))
    .success()
    .err_has("bindings applied");
}

#[test]
fn indir_debug_explains() {
    let shaded = Shaded::new();
    let table = table_of(&shaded.exe);
    shaded
        .with("INDIR_DEBUG", "1")
        .success()
        .prints("table\n")
        .err_is_one_line()
        .err_has(&format!("table {}", table.display()))
        .err_has("ld.so /");
    for off in ["", "0", "yes"] {
        let ran = shaded.with("INDIR_DEBUG", off);
        assert!(ran.success().stderr().is_empty(), "{ran}");
    }
    // In a bound plan the binder adds a line, unless it is switched off.
    let shaded = Shaded::with_plan("bound");
    shaded
        .with("INDIR_DEBUG", "1")
        .success()
        .err_has("indir: plan bound, ")
        .err_has("indir: bindings applied");
    run(Command::new(&shaded.exe)
        .env("INDIR_DEBUG", "1")
        .env("INDIR_DISABLE_BINDINGS", "1"))
    .success()
    .prints("table\n")
    .err_is_one_line()
    .err_has("indir: plan direct, ");
}
