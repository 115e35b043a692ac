//! Programs and libraries before and after, whatever has been over them in between.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::link::{LINKERS, facts};
use crate::support::program::{linked, refused_without_table, shared, update};
use crate::support::{Ran, Scratch, b_flag, indir, need, run};

const MAIN: &str = "#include <stdio.h>\nint f(void);\nint main(void) { printf(\"%d\\n\", f()); }\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn seal(args: &[&str]) -> Ran {
    run(indir().arg("seal").args(args))
}

/// A package with a program, a library, and a private one, all found by run paths; and
/// a library of another package.
struct Package {
    dir: Scratch,
    root: PathBuf,
    exe: PathBuf,
    lib: PathBuf,
}

impl Package {
    fn new(linker: &str) -> Self {
        let dir = Scratch::new();
        let root = dir.dir("package");
        let other = dir.dir("other/lib");
        let link = |folder: &Path, name: &str, source: &str, args: &[&str]| {
            let soname = format!("-Wl,-soname,lib{name}.so.1");
            let file = folder.join(format!("lib{name}.c"));
            let (b_flag, linker) = (b_flag(), format!("-fuse-ld={linker}"));
            let args = [args, &[&*b_flag, &*linker, &*soname]].concat();
            let out = shared(&file, source, &args);
            std::fs::rename(&out, out.with_extension("so.1")).unwrap();
            std::os::unix::fs::symlink(format!("lib{name}.so.1"), out.with_extension("so"))
                .unwrap();
            out.with_extension("so.1")
        };
        let lib = root.join("lib");
        let private = lib.join("private");
        let paths = |folders: &[&Path]| -> Vec<String> {
            let each = folders.iter().map(|f| format!("-L{}", f.display()));
            let joined: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
            each.chain([format!("-Wl,-rpath,{}", joined.join(":"))])
                .collect()
        };
        link(&other, "h", "int h(void) { return 4; }", &[]);
        link(&private, "g", "int g(void) { return 38; }", &[]);
        let own = paths(&[&other, &private]);
        let own: Vec<&str> = own
            .iter()
            .map(String::as_str)
            .chain(["-lg", "-lh"])
            .collect();
        let f = "int g(void); int h(void); int f(void) { return g() + h(); }";
        let f = link(&lib, "f", f, &own);
        let own = paths(&[&lib]);
        let mut own: Vec<&str> = own.iter().map(String::as_str).collect();
        let linker = format!("-fuse-ld={linker}");
        own.extend(["-lf", &linker]);
        let exe = linked(&root.join("bin/main.c"), MAIN, &own);
        Self {
            dir,
            root,
            exe,
            lib: f,
        }
    }

    fn other(&self) -> PathBuf {
        self.dir.join("other/lib")
    }

    /// The program prints what it should, by its table.
    #[track_caller]
    fn starts_by_its_table(&self) {
        refused_without_table(&self.exe);
        update(&self.exe, &["--lib-dir", text(&self.other())]);
        run(&mut Command::new(&self.exe)).success().prints("42\n");
    }
}

fn holds(file: &Path, what: &Path) -> bool {
    let bytes = std::fs::read(file).unwrap();
    let what = text(what).as_bytes();
    // Debug information names sources.
    let elf = goblin::elf::Elf::parse(&bytes).unwrap();
    let loads = elf.program_headers.iter().filter(|p| p.p_type == 1);
    loads
        .map(|p| &bytes[p.file_range()])
        .any(|bytes| bytes.windows(what.len()).any(|window| window == what))
}

#[test]
fn a_package_with_private_libraries() {
    for (linker, package) in LINKERS {
        need(&format!("ld.{linker}"), package);
        let package = Package::new(linker);
        run(&mut Command::new(&package.exe))
            .success()
            .prints("42\n");
        let all = ["--libraries", text(&package.root)];
        let before = facts(&package.exe);
        let checked = seal(&[&["--check"], &all[..]].concat());
        checked.exits(3).out_has(&format!(
            "{}: its run path names `{}`",
            package.lib.display(),
            package.other().display()
        ));
        checked.out_has("its note records the interpreter `/lib64/ld-linux-x86-64.so.2`");
        assert_eq!(facts(&package.exe), before);
        seal(&all).success();
        seal(&[&["--check"], &all[..]].concat())
            .success()
            .prints("");
        let after = facts(&package.exe);
        assert_eq!((after.recorded, after.id), (None, before.id), "{linker}");
        assert_eq!(after.search, ["$ORIGIN/../lib"], "{linker}");
        assert_eq!(facts(&package.lib).search, ["$ORIGIN/private"], "{linker}");
        for file in [&package.exe, &package.lib] {
            assert!(
                !holds(file, package.dir.path()),
                "{linker}: {}",
                file.display()
            );
        }
        package.starts_by_its_table();
        // Another package finds the private library through the library.
        let user = package.dir.join("user/main.c");
        let folder = format!("-L{}", package.lib.parent().unwrap().display());
        let private = format!("-Wl,-rpath-link,{}", package.other().display());
        let user = linked(&user, MAIN, &[&folder, "-lf", &private]);
        seal(&[text(&user)]).success();
        let other = package.other();
        let folders = [package.lib.parent().unwrap(), &other].map(text);
        update(&user, &["--lib-dir", folders[0], "--lib-dir", folders[1]]);
        run(&mut Command::new(&user)).success().prints("42\n");
        // A second time nothing is done, not even a file replaced.
        let inode = std::fs::metadata(&package.exe).unwrap().ino();
        seal(&all)
            .success()
            .err_has("sealed 0, sealed already 3, failed 0");
        assert_eq!(std::fs::metadata(&package.exe).unwrap().ino(), inode);
        update(&package.exe, &[]);
        run(&mut Command::new(&package.exe))
            .success()
            .prints("42\n");
    }
}

#[test]
fn whatever_has_been_over_it() {
    for (tool, package) in [
        ("patchelf", "patchelf"),
        ("chrpath", "chrpath"),
        ("cmake", "cmake"),
    ] {
        need(tool, package);
    }
    let edits: [(&str, &[&str]); 9] = [
        ("strip", &["strip"]),
        ("strip -g", &["strip", "-g"]),
        ("objcopy", &["objcopy", "--compress-debug-sections"]),
        ("shorter", &["chrpath", "-r", "/nowhere"]),
        ("chrpath -d", &["chrpath", "-d"]),
        ("patchelf shorter", &["patchelf", "--set-rpath", "/nowhere"]),
        (
            "patchelf longer",
            &[
                "patchelf",
                "--set-rpath",
                "/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere/nowhere",
            ],
        ),
        (
            "patchelf DT_RPATH",
            &["patchelf", "--force-rpath", "--set-rpath", "/nowhere:/else"],
        ),
        ("patchelf remove", &["patchelf", "--remove-rpath"]),
    ];
    for (linker, _) in LINKERS {
        for (name, edit) in edits {
            let package = Package::new(linker);
            for file in [&package.exe, &package.lib] {
                let (tool, args) = edit.split_first().unwrap();
                run(Command::new(tool).args(args).arg(file)).success();
            }
            seal(&["--libraries", text(&package.root)]).success();
            for file in [&package.exe, &package.lib] {
                let at = format!("{linker}, {name}, {}", file.display());
                let search = facts(file).search.join(":");
                assert!(
                    !search.contains("nowhere") && !search.contains("else"),
                    "{at}"
                );
                for gone in [package.dir.path(), Path::new("/nowhere")] {
                    assert!(!holds(file, gone), "{at} names {}", gone.display());
                }
            }
            // What an edit took from the library, the update must be told.
            let lib = package.lib.parent().unwrap();
            let private = lib.join("private");
            let other = package.other();
            let folders = [&other, lib, &private].map(text);
            let args: Vec<&str> = folders.iter().flat_map(|f| ["--lib-dir", f]).collect();
            refused_without_table(&package.exe);
            update(&package.exe, &args);
            run(&mut Command::new(&package.exe))
                .success()
                .prints("42\n");
        }
    }
}

#[test]
fn cmake_installs_before_and_after() {
    need("cmake", "cmake");
    let dir = Scratch::new();
    dir.file("foo.c", "int f(void) { return 42; }\n");
    dir.file("main.c", MAIN);
    dir.file(
        "CMakeLists.txt",
        "cmake_minimum_required(VERSION 3.10)\nproject(p C)\n\
         set(CMAKE_INSTALL_RPATH \"$ORIGIN/../lib\")\n\
         add_library(foo SHARED foo.c)\nadd_executable(prog main.c)\n\
         target_link_libraries(prog foo)\n\
         install(TARGETS prog foo RUNTIME DESTINATION bin LIBRARY DESTINATION lib)\n",
    );
    let (build, installed) = (dir.join("b"), dir.join("i"));
    let cmake = |args: &[&str]| {
        let mut command = Command::new("cmake");
        run(command
            .args(args)
            .env("CC", format!("cc {}", b_flag()))
            .current_dir(dir.path()))
        .success();
    };
    let prefix = format!("-DCMAKE_INSTALL_PREFIX={}", installed.display());
    cmake(&["-S", ".", "-B", "b", &prefix]);
    cmake(&["--build", "b"]);
    run(&mut Command::new(build.join("prog")))
        .success()
        .prints("42\n");
    cmake(&["--install", "b"]);
    let exe = installed.join("bin/prog");
    run(&mut Command::new(&exe)).success().prints("42\n");
    seal(&["--libraries", text(&installed)]).success();
    assert_eq!(facts(&exe).search, ["$ORIGIN/../lib"]);
    assert!(!holds(&exe, dir.path()));
    update(&exe, &[]);
    run(&mut Command::new(&exe)).success().prints("42\n");
}

#[test]
fn hard_links_stay_together() {
    let dir = Scratch::new();
    let exe = linked(
        &dir.join("p/a.c"),
        "int main(void) { return 3; }",
        &["-Wl,-rpath,/x"],
    );
    let (b, c) = (dir.join("p/b"), dir.join("c"));
    std::fs::hard_link(&exe, &b).unwrap();
    std::fs::hard_link(&exe, &c).unwrap();
    let ran = seal(&[text(&dir.join("p"))]);
    ran.exits(1)
        .err_has("3 hard links, of which 2 would be sealed");
    std::fs::remove_file(&c).unwrap();
    seal(&[text(&dir.join("p"))]).success();
    let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
    assert_eq!(inode(&exe), inode(&b));
    assert_eq!(facts(&b).search, [""; 0]);
    refused_without_table(&b);
}

#[test]
fn further_places_of_tables() {
    let dir = Scratch::new();
    let exe = linked(&dir.join("p/a.c"), "int main(void) { return 3; }", &[]);
    let tables = dir.join("tables");
    let place = format!("{}/$ID", tables.display());
    for _ in 0..2 {
        seal(&["--indir-table", &place, text(&exe)]).success();
    }
    refused_without_table(&exe);
    run(indir().args(["update", "--tables", text(&tables), text(&exe)])).success();
    assert!(!dir.join("p/.indir").exists());
    // Wherever it is copied.
    let copy = dir.dir("elsewhere").join("b");
    std::fs::copy(&exe, &copy).unwrap();
    for exe in [&exe, &copy] {
        run(&mut Command::new(exe)).exits(3);
        run(indir().arg("verify").arg(exe)).success();
        run(indir().arg("show").arg(exe))
            .success()
            .out_has(text(&tables));
    }
    let long = format!("/{}/$ID", "x".repeat(400));
    seal(&["--indir-table", &long, text(&exe)])
        .exits(1)
        .err_has("are needed");
    seal(&["--indir-table", "tables/$ID", text(&exe)])
        .exits(1)
        .err_has("give an absolute path");
}

#[test]
fn what_cannot_be_sealed() {
    let dir = Scratch::new();
    let library = shared(&dir.join("l.c"), "int f;", &[]);
    let script = dir.file("script", "#!/bin/sh\n");
    for (path, why) in [
        (text(&library), "give `--libraries` too"),
        (text(&script), "ELF"),
        ("/bin/true", "it is not indirect"),
        ("/nonexistent", "No such file"),
    ] {
        seal(&[path]).exits(1).err_has(why);
    }
    seal(&["--check", "/bin/true"]).exits(3).prints(
        "/usr/bin/true: its interpreter is `/lib64/ld-linux-x86-64.so.2`: it is not indirect\n",
    );
}
