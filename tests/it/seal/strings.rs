//! Strings that share bytes with the run path: linkers merge tails.

use std::process::Command;

use crate::support::link::{LINKERS, facts};
use crate::support::program::shared;
use crate::support::{Scratch, indir, run};

/// Names of the dynamic symbols.
fn symbols(path: &std::path::Path) -> Vec<String> {
    let data = std::fs::read(path).unwrap();
    let elf = goblin::elf::Elf::parse(&data).unwrap();
    let names = elf
        .dynsyms
        .iter()
        .map(|s| elf.dynstrtab.get_at(s.st_name).unwrap().to_owned());
    names.collect()
}

#[test]
fn a_symbol_that_ends_the_run_path_keeps_its_name() {
    let dir = Scratch::new();
    let mut merged = 0;
    for (linker, _) in LINKERS {
        let source = "int private_folder; int folder; int longer_folder(void) { return 1; }";
        let args = [
            "-O2",
            &format!("-fuse-ld={linker}"),
            "-Wl,-O2,-s",
            "-Wl,-rpath,/nowhere/private_folder",
            "-Wl,-soname,folder",
        ];
        let library = shared(&dir.join(format!("{linker}.c")), source, &args);
        let before = symbols(&library);
        let bytes = std::fs::read(&library).unwrap();
        let count = |bytes: &[u8]| bytes.windows(8).filter(|w| w == b"_folder\0").count();
        merged += usize::from(count(&bytes) <= 2);
        run(indir().args(["seal", "--libraries"]).arg(&library)).success();
        assert_eq!(symbols(&library), before, "{linker}");
        assert_eq!(facts(&library).search, [""; 0], "{linker}");
        let bytes = std::fs::read(&library).unwrap();
        assert!(!bytes.windows(9).any(|w| w == b"/nowhere/"), "{linker}");
        // dlopen finds all it needs in it.
        let source = format!(
            "#include <dlfcn.h>\nint main(void) {{ void *l = dlopen(\"{}\", 2);\n\
             return !(l && dlsym(l, \"private_folder\") && dlsym(l, \"folder\")); }}",
            library.display()
        );
        let user = crate::support::program::ordinary(&dir.join("user.c"), &source, &[]);
        run(&mut Command::new(&user)).success();
    }
    assert!(merged > 0, "some linker must merge");
}

#[test]
fn a_run_path_that_is_the_tail_of_another_string_leaves_it_alone() {
    let dir = Scratch::new();
    for (linker, _) in LINKERS {
        // A soname that ends as the run path does.
        let args = [
            &*format!("-fuse-ld={linker}"),
            "-Wl,-O2",
            "-Wl,-rpath,/tail/folder",
            "-Wl,-soname,name/tail/folder",
        ];
        let library = shared(&dir.join(format!("{linker}.c")), "int f;", &args);
        run(indir().args(["seal", "--libraries"]).arg(&library)).success();
        assert_eq!(facts(&library).search, [""; 0], "{linker}");
        let data = std::fs::read(&library).unwrap();
        let elf = goblin::elf::Elf::parse(&data).unwrap();
        assert_eq!(elf.soname, Some("name/tail/folder"), "{linker}");
    }
}
