//! The rules of the search for libraries, each on a small tree: what `indir`
//! finds is what ld.so finds.

use std::path::PathBuf;

use indir::resolve::{Library, Resolver, Store};

use super::closure::{closure, compare};
use crate::support::{Scratch, cc};

/// A small tree of libraries and a program.
struct Fixture(Scratch);

impl Fixture {
    fn new() -> Self {
        Self(Scratch::new())
    }

    /// Links `DIR/NAME` (a library, unless it is called `prog`) against the
    /// others in `needs`; what is said after the sources overrides.
    fn link(&self, file: &str, needs: &[&str], flags: &[&str]) -> PathBuf {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let is_program = name == "prog";
        let symbol = file.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
        let text = if is_program {
            "int main(void) { return 0; }".to_owned()
        } else {
            format!("int {symbol};")
        };
        let source = self.0.file(format!("{symbol}.c"), text);
        let mut command: Vec<String> = vec!["-Wl,--no-as-needed".into(), "-o".into()];
        command.push(path.to_str().unwrap().into());
        command.push(source.to_str().unwrap().into());
        if !is_program {
            command.extend(["-shared".into(), "-fPIC".into()]);
        }
        if !is_program && !flags.contains(&NO_SONAME) {
            command.push(format!("-Wl,-soname,{name}"));
        }
        command.extend(needs.iter().map(|need| self.path(need)));
        command.push("-Wl,--allow-shlib-undefined,--unresolved-symbols=ignore-all".into());
        command.extend(
            flags
                .iter()
                .map(|flag| flag.replace("@", self.0.path().to_str().unwrap())),
        );
        cc(command);
        path
    }

    fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    /// The closure of `prog` without libc and ld.so, relative to the tree,
    /// after comparing it with what ld.so says.
    #[track_caller]
    fn closure(&self) -> Vec<String> {
        let program = self.0.join("prog");
        assert_eq!(compare(&program), Ok(true));
        let system = |path: &PathBuf| path.starts_with(self.0.path());
        let own = closure(&program, &[]).unwrap().into_iter().filter(system);
        own.map(|path| {
            path.strip_prefix(self.0.path())
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .collect()
    }

    /// What indir says of `prog`, whose closure ld.so cannot load either.
    #[track_caller]
    fn error(&self) -> String {
        let program = self.0.join("prog");
        assert_eq!(compare(&program), Ok(false));
        closure(&program, &[]).unwrap_err()
    }
}

/// Leaves DT_SONAME out (and says nothing new to the linker).
const NO_SONAME: &str = "-Wl,-z,relro";
const RPATH: &str = "-Wl,--disable-new-dtags,-rpath,";
const RUNPATH: &str = "-Wl,--enable-new-dtags,-rpath,";

fn flag(kind: &str, folders: &str) -> String {
    format!("{kind}{folders}")
}

#[test]
fn rpath_serves_the_needs_of_needs_and_runpath_does_not() {
    let tree = Fixture::new();
    tree.link("a/libtwo.so", &[], &[]);
    tree.link("a/libone.so", &["a/libtwo.so"], &[]);
    tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    assert_eq!(tree.closure(), ["a/libone.so", "a/libtwo.so"]);
    tree.link("prog", &["a/libone.so"], &[&flag(RUNPATH, "@/a")]);
    let error = tree.error();
    assert!(
        error.contains("`libtwo.so`, needed by") && error.contains("a/libone.so`"),
        "{error}"
    );
}

#[test]
fn an_object_with_runpath_asks_no_rpath() {
    let tree = Fixture::new();
    tree.link("a/libtwo.so", &[], &[]);
    tree.link("a/libone.so", &["a/libtwo.so"], &[&flag(RUNPATH, "@/b")]);
    tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    tree.error();
    tree.link("b/libtwo.so", &[], &[]);
    assert_eq!(tree.closure(), ["a/libone.so", "b/libtwo.so"]);
}

#[test]
fn the_nearest_rpath_wins() {
    let tree = Fixture::new();
    tree.link("a/libtwo.so", &[], &[]);
    tree.link("b/libtwo.so", &[], &[]);
    tree.link("a/libone.so", &["a/libtwo.so"], &[&flag(RPATH, "@/b")]);
    tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    assert_eq!(tree.closure(), ["a/libone.so", "b/libtwo.so"]);
}

#[test]
fn origin_is_the_folder_of_the_object_as_it_was_found() {
    let tree = Fixture::new();
    tree.link("real/deep/libtwo.so", &[], &[]);
    tree.link(
        "real/libone.so",
        &["real/deep/libtwo.so"],
        &[&flag(RUNPATH, "${ORIGIN}/deep")],
    );
    std::os::unix::fs::symlink("real", tree.0.join("link")).unwrap();
    tree.link(
        "prog",
        &["real/libone.so"],
        &[&flag(RUNPATH, "/none:$ORIGIN/./link/")],
    );
    assert_eq!(
        tree.closure(),
        ["./link/libone.so", "./link/deep/libtwo.so"].map(|p| p.trim_start_matches("./"))
    );
}

#[test]
fn lib_and_platform_tokens_expand() {
    let tree = Fixture::new();
    tree.link("lib/x86_64-linux-gnu/libone.so", &[], &[]);
    tree.link("x86_64/libtwo.so", &[], &[]);
    let needs = ["lib/x86_64-linux-gnu/libone.so", "x86_64/libtwo.so"];
    tree.link("prog", &needs, &[&flag(RUNPATH, "@/$LIB:@/${PLATFORM}")]);
    let resolved = closure(&tree.0.join("prog"), &[]).unwrap();
    assert_eq!(resolved[0], tree.0.join(needs[0]));
    // ld.so up to 2.36 has another $PLATFORM on some processors.
    assert_eq!(resolved[1], tree.0.join(needs[1]));
}

#[test]
fn one_file_by_two_names_is_one_object() {
    let tree = Fixture::new();
    tree.link("a/libone.so", &[], &["-Wl,-soname,libname1.so"]);
    let one = tree.0.join("a/libone.so");
    std::fs::hard_link(&one, tree.0.join("a/libname1.so")).unwrap();
    tree.link("a/libtwo.so", &[], &["-Wl,-soname,libname2.so"]);
    tree.link("a/libuser.so", &["a/libone.so", "a/libtwo.so"], &[]);
    // libname2.so is libone.so's file: asked for by another name.
    std::fs::hard_link(&one, tree.0.join("a/libname2.so")).unwrap();
    tree.link("prog", &["a/libuser.so"], &[&flag(RPATH, "@/a")]);
    assert_eq!(tree.closure(), ["a/libuser.so", "a/libname1.so"]);
}

#[test]
fn a_loaded_soname_satisfies_a_need() {
    let tree = Fixture::new();
    tree.link("a/libone.so", &[], &["-Wl,-soname,libone.so.1"]);
    tree.link("b/libone.so.1", &[], &[]);
    tree.link("b/libuser.so", &["b/libone.so.1"], &[]);
    // A library without soname is asked for by the path it was linked by.
    tree.link("c/libplain.so", &["a/libone.so"], &[NO_SONAME]);
    std::fs::rename(tree.0.join("a/libone.so"), tree.0.join("a/libone.so.1")).unwrap();
    let flags = [flag(RPATH, "@/a:@/b")];
    tree.link("prog", &["c/libplain.so", "b/libuser.so"], &[&flags[0]]);
    assert_eq!(
        tree.closure(),
        ["c/libplain.so", "b/libuser.so", "a/libone.so.1"]
    );
}

#[test]
fn a_relative_name_is_refused() {
    let tree = Fixture::new();
    tree.link("c/libplain.so", &[], &["-Wl,-soname,c/libplain.so"]);
    tree.link("prog", &["c/libplain.so"], &[]);
    let error = closure(&tree.0.join("prog"), &[]).unwrap_err();
    assert!(
        error.contains("`c/libplain.so`, which depends on the current folder"),
        "{error}"
    );
}

#[test]
fn libraries_may_need_each_other() {
    let tree = Fixture::new();
    tree.link("a/libtwo.so", &[], &[]);
    tree.link("a/libone.so", &["a/libtwo.so"], &[]);
    tree.link("a/libtwo.so", &["a/libone.so"], &[]);
    tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    assert_eq!(tree.closure(), ["a/libone.so", "a/libtwo.so"]);
}

#[test]
fn files_of_another_class_or_machine_are_passed_over() {
    let tree = Fixture::new();
    let good = tree.link("good/libone.so", &[], &[]);
    let bytes = std::fs::read(&good).unwrap();
    let patched = |name: &str, at: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = value;
        tree.0.file(name, bytes)
    };
    patched("class/libone.so", 4, 1);
    patched("machine/libone.so", 18, 183);
    std::fs::create_dir_all(tree.0.join("file")).unwrap();
    let folders = flag(RUNPATH, "@/none:@/file:@/class:@/machine:@/good");
    tree.link("prog", &["good/libone.so"], &[&folders]);
    assert_eq!(tree.closure(), ["good/libone.so"]);
    std::fs::remove_file(&good).unwrap();
    let error = tree.error();
    assert!(
        error.contains("class/libone.so`: not a 64-bit little-endian ELF file"),
        "{error}"
    );
    assert!(
        error.contains("machine/libone.so`: for another processor"),
        "{error}"
    );
}

#[test]
fn a_file_that_is_not_elf_ends_the_search() {
    let tree = Fixture::new();
    tree.link("good/libone.so", &[], &[]);
    tree.0.file(
        "text/libone.so",
        "GROUP ( libtwo.so ) and so on, longer than an ELF header has to be",
    );
    tree.link(
        "prog",
        &["good/libone.so"],
        &[&flag(RUNPATH, "@/text:@/good")],
    );
    let error = tree.error();
    assert!(
        error.contains("text/libone.so`") && error.contains("linker script"),
        "{error}"
    );
}

#[test]
fn filters_come_before_what_they_filter() {
    let tree = Fixture::new();
    tree.link("a/libdeep.so", &[], &[]);
    tree.link("a/libaux.so", &["a/libdeep.so"], &[]);
    tree.link("a/libfilter.so", &["a/libdeep.so"], &[]);
    tree.link(
        "a/libone.so",
        &[],
        &["-Wl,-f,libaux.so", "-Wl,-f,libmissing.so"],
    );
    tree.link("a/libtwo.so", &[], &["-Wl,-F,libfilter.so"]);
    tree.link("a/libend.so", &[], &[]);
    let needs = ["a/libone.so", "a/libtwo.so", "a/libend.so"];
    tree.link("prog", &needs, &[&flag(RPATH, "@/a")]);
    assert_eq!(tree.closure().len(), 6);
    tree.link("a/libtwo.so", &[], &["-Wl,-F,libmissing.so"]);
    tree.error();
}

#[test]
fn a_hwcaps_variant_is_noticed_and_the_common_file_named() {
    let tree = Fixture::new();
    tree.link("a/libone.so", &[], &[]);
    tree.link("a/glibc-hwcaps/x86-64-v2/libone.so", &[], &[]);
    tree.link("b/libtwo.so", &[], &[]);
    let program = tree.link(
        "prog",
        &["a/libone.so", "b/libtwo.so"],
        &[&flag(RPATH, "@/a:@/b")],
    );
    // ld.so prints the variant on every processor of the last fifteen years.
    assert_eq!(tree.closure(), ["a/libone.so", "b/libtwo.so"]);
    let store = Store::default();
    let exe = Library::open(&program).unwrap();
    let closure = Resolver::new(&store, &[]).resolve(&program, &exe).unwrap();
    assert_eq!(closure.nodes[0].variants, [tree.0.join("a")]);
    assert!(closure.nodes[1].variants.is_empty());
}

#[test]
fn the_callers_folders_win_over_everything() {
    let tree = Fixture::new();
    tree.link("a/libtwo.so", &[], &[]);
    tree.link("a/libone.so", &["a/libtwo.so"], &[&flag(RPATH, "@/a")]);
    let program = tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    let two = tree.link("new/libtwo.so", &[], &[]);
    let resolved = closure(&program, &[tree.0.join("none"), tree.0.join("new")]).unwrap();
    assert_eq!(resolved[0], tree.0.join("a/libone.so"));
    assert_eq!(resolved[2], two);
    let libc = resolved
        .iter()
        .find(|path| path.ends_with("libc.so.6"))
        .unwrap();
    assert_eq!(
        resolved.last().unwrap(),
        &libc.with_file_name("ld-linux-x86-64.so.2")
    );
}

#[test]
fn an_executable_is_no_library() {
    let tree = Fixture::new();
    tree.link("a/libone.so", &[], &[]);
    tree.link("prog", &["a/libone.so"], &[&flag(RPATH, "@/a")]);
    let source = tree.0.file("main.c", "int main(void) { return 0; }");
    let target = tree.path("a/libone.so");
    cc(["-no-pie", "-o", &target, source.to_str().unwrap()]);
    let error = tree.error();
    assert!(error.contains("an executable, not a library"), "{error}");
}
