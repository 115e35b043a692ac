//! Stubs that came to where real libraries belong: an indirect program says so
//! and does not run, and no table is made to name one.

use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;
use indir::place::Place;
use indir::table::TableSpec;

use crate::support::program::{
    indirect, refused, refused_then_updated, shared, table_line, table_of, update,
};
use crate::support::{Scratch, glibc_lib, indir, loader, run};

const LOADED: &str = "indir ABI stub, for linking only";
const NAMED: &str = "an ABI stub, which cannot be loaded";

/// `library` becomes its own stub, as a file that was replaced.
fn become_stub(library: &Path) {
    let stub = library.with_extension("stub");
    run(indir().arg("stub").arg(library).arg("-o").arg(&stub)).success();
    std::fs::rename(stub, library).unwrap();
}

/// A program that ends with the code 3 of its library, lib/libthree.so.
fn three(dir: &Scratch, plan: &str) -> (PathBuf, PathBuf) {
    let lib = dir.dir("lib");
    let library = shared(
        &lib.join("libthree.so.c"),
        "int three(void) { return 3; }\n",
        &["-Wl,-soname,libthree.so"],
    );
    let exe = indirect(
        &dir.join("program.c"),
        "int three(void);\nint main(void) { return three(); }\n",
        &["-lthree", &format!("-L{}", lib.display())],
    );
    let folder = lib.to_str().unwrap();
    refused_then_updated(&exe, &["--lib-dir", folder, "--plan", plan]);
    run(&mut Command::new(&exe)).exits(3);
    (exe, library)
}

#[test]
fn a_library_that_became_its_stub_is_refused_at_start_and_by_update() {
    for plan in ["direct", "bound"] {
        let dir = Scratch::new();
        let (exe, library) = three(&dir, plan);
        let real = std::fs::read(&library).unwrap();
        let table = std::fs::read(table_of(&exe)).unwrap();
        become_stub(&library);
        run(&mut Command::new(&exe))
            .exits(1)
            .prints("")
            .err_is_one_line()
            .err_has(LOADED)
            .err_has(library.to_str().unwrap());
        run(indir().arg("verify").arg(&exe))
            .exits(1)
            .out_has(library.to_str().unwrap())
            .out_has(NAMED);
        run(indir().arg("update").arg(&exe))
            .exits(1)
            .err_has(library.to_str().unwrap())
            .err_has(NAMED);
        assert_eq!(std::fs::read(table_of(&exe)).unwrap(), table);

        std::fs::write(&library, real).unwrap();
        run(&mut Command::new(&exe)).exits(3);
    }
}

#[test]
fn libc_that_became_its_stub_is_refused() {
    let dir = Scratch::new();
    let (exe, _) = three(&dir, "direct");
    let libc = dir.dir("glibc").join("libc.so.6");
    let real = glibc_lib("bookworm");
    for name in ["libc.so.6", "ld-linux-x86-64.so.2"] {
        std::fs::copy(real.join(name), dir.join("glibc").join(name)).unwrap();
    }
    let folders = ["glibc", "lib"].map(|name| dir.join(name).to_str().unwrap().to_owned());
    update(&exe, &["--lib-dir", &folders[0], "--lib-dir", &folders[1]]);
    run(&mut Command::new(&exe)).exits(3);
    become_stub(&libc);
    run(&mut Command::new(&exe)).exits(1).err_has(LOADED);
}

#[test]
fn the_shim_names_an_ld_so_that_is_a_stub() {
    let dir = Scratch::new();
    let (exe, _) = three(&dir, "direct");
    let ldso = loader(&dir.dir("glibc"));
    std::fs::copy(loader(&glibc_lib("bookworm")), &ldso).unwrap();
    become_stub(&ldso);
    let map = MappedElf::open(&exe).unwrap();
    let spec = TableSpec {
        exe_id: Place::of(&exe, &map.elf().unwrap().notes()).unwrap().id,
        ldso: ldso.clone(),
        ..TableSpec::default()
    };
    std::fs::write(table_of(&exe), spec.to_bytes().unwrap()).unwrap();
    let what = format!("ld.so {}: it is an ABI stub", ldso.display());
    refused(&run(&mut Command::new(&exe)), &table_line(&exe, &what));
}

#[test]
fn a_folder_of_stubs_provides_nothing() {
    let dir = Scratch::new();
    let (exe, library) = three(&dir, "direct");
    let before = std::fs::read(table_of(&exe)).unwrap();
    let stubs = dir.dir("stubs");
    for real in [
        library.clone(),
        glibc_lib("bookworm").join("libc.so.6"),
        loader(&glibc_lib("bookworm")),
    ] {
        let stub = stubs.join(real.file_name().unwrap());
        run(indir().arg("stub").arg(&real).arg("-o").arg(stub)).success();
    }
    let folder = stubs.to_str().unwrap();
    // Found nowhere else: the file that would have been it is named.
    run(indir().arg("update").arg(&exe).args(["--lib-dir", folder]))
        .exits(1)
        .err_has(stubs.join("libthree.so").to_str().unwrap())
        .err_has(NAMED);
    assert_eq!(std::fs::read(table_of(&exe)).unwrap(), before);
    // Found behind it: as if the folder were empty.
    let lib = library.parent().unwrap().to_str().unwrap();
    update(&exe, &["--lib-dir", folder, "--lib-dir", lib]);
    let table = String::from_utf8_lossy(&std::fs::read(table_of(&exe)).unwrap()).into_owned();
    assert!(table.contains(library.to_str().unwrap()));
    assert!(!table.contains("stubs/lib"), "{table}");
    assert!(!table.contains("stubs/ld-"), "{table}");
    run(&mut Command::new(&exe)).exits(3);
}
