//! Awkward objects under the oracle of `oracle`: one program that uses every
//! rule of symbol lookup, made by every linker in every mode, and run under
//! several releases of ld.so; and special cases that need a construction.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use indir::arch::Class;
use indir::resolve::addresses::bindings::bind;
use indir::resolve::addresses::lookup::{Resolution, Scope};
use indir::resolve::addresses::object::LoadedObject;
use indir::resolve::addresses::plan::Refusal;

use super::oracle::{Counts, Outcome, compare};
use crate::support::traced::Libraries;
use crate::support::{Scratch, cc, cxx, glibc_lib, loader, need, run};

/// A library that has, defines and refers to everything.
const LIBRARY: &str = r#"
#include <stdint.h>
#include <string.h>
int shared_data = 1;                       /* copied by non-PIE executables */
int *address_of_data(void) { return &shared_data; }
int interposed(void) { return 1; }         /* the executable has one too */
int (*pointer_to_interposed)(void) = interposed;
__attribute__((visibility("protected"))) int guarded(void) { return 2; }
int (*pointer_to_guarded)(void) = guarded;
__attribute__((visibility("hidden"))) int hidden(void) { return 3; }
int (*pointer_to_hidden)(void) = hidden;
extern int nowhere(void) __attribute__((weak));
int (*pointer_to_nowhere)(void) = nowhere;
int has_nowhere(void) { return nowhere != 0; }
extern char absolute[];                    /* --defsym */
char *pointer_to_absolute = absolute;
static int one(void) { return 1; }
static int (*choose(void))(void) { return one; }
int chosen(void) __attribute__((ifunc("choose")));
int (*pointer_to_chosen)(void) = chosen;
int call_chosen(void) { return chosen(); }
struct { char c; void *p; } __attribute__((packed)) packed = { 0, &shared_data };
int array[10];
int *inside = &array[7];
void *far_inside = (char *)array + 0x1234;
extern __thread int of_executable;
__thread int own_tls = 4;
int tls(void) { return own_tls + of_executable; }
size_t length(const char *s) { return strlen(s) + interposed() + guarded(); }
int old_one(void) { return 10; }
int new_one(void) { return 20; }
__asm__(".symver old_one,versioned@V1");
__asm__(".symver new_one,versioned@@V2");
"#;

const SCRIPT: &str = "V1 { global: versioned; };\nV2 { global: *; } V1;\n";

const PROGRAM: &str = r#"
#include <stdio.h>
#include <string.h>
extern int shared_data, *address_of_data(void), interposed(void), guarded(void);
extern int chosen(void), call_chosen(void), has_nowhere(void), tls(void);
extern int (*pointer_to_interposed)(void), (*pointer_to_guarded)(void);
extern int versioned(void);
extern size_t length(const char *);
__thread int of_executable = 5;
int interposed(void) { return 100; }
#ifdef FIXED            /* linkers refuse a fixed address of a protected function */
int (*table[])(void) = { interposed, chosen, versioned };
#else
int (*table[])(void) = { guarded, chosen, versioned };
#endif
int main(void) {
#ifdef STOP
    __asm__("int3");
#endif
    return !(&shared_data == address_of_data() && pointer_to_interposed() == 100
             && length("abc") == 3 + 100 + 2 && call_chosen() == 1 && !has_nowhere()
             && tls() == 9 && table[1]() == 1 && table[2] == versioned && versioned() == 20);
}
"#;

/// Builds library and program with the same linker flags.
pub(crate) fn build(scratch: &Scratch, name: &str, compile: &[&str], link: &[&str]) -> PathBuf {
    let folder = scratch.dir(name);
    let library = scratch.file(format!("{name}/lib.c"), LIBRARY);
    let script = scratch.file(format!("{name}/lib.map"), SCRIPT);
    let program = scratch.file(format!("{name}/main.c"), PROGRAM);
    let words = |all: &[&str]| all.iter().map(OsString::from).collect::<Vec<_>>();
    let mut args = words(&["-O1", "-fPIC", "-shared", "-Wl,-soname,libcase.so"]);
    args.push("-Wl,--defsym=absolute=0x1234".into());
    args.push(format!("-Wl,--version-script={}", script.display()).into());
    args.extend(words(link));
    args.extend([
        library.into(),
        "-o".into(),
        folder.join("libcase.so").into(),
    ]);
    cc(args);
    let mut args = words(&["-O1"]);
    args.extend(words(compile));
    args.extend(words(link));
    let exe = folder.join("main");
    args.extend([program.into(), folder.join("libcase.so").into()]);
    args.push(format!("-Wl,-rpath,{}", folder.display()).into());
    args.extend(["-o".into(), exe.clone().into()]);
    cc(args);
    exe
}

/// Compares, and runs the program too, since its own checks know better.
fn holds(exe: &Path) -> Counts {
    match compare(exe, &Libraries::default()) {
        Ok(Outcome::Compared(counts)) => counts,
        Ok(Outcome::DoesNotStart) => panic!("{} does not start", exe.display()),
        Err(message) => panic!("{message}"),
    }
}

#[test]
fn every_linker_and_mode() {
    need("ld.gold", "binutils");
    need("ld.lld", "lld");
    need("mold", "mold");
    let scratch = Scratch::new();
    let modes: [(&str, &[&str], &[&str]); 4] = [
        ("pie", &["-fPIE", "-pie"], &["-Wl,-z,lazy"]),
        ("now", &["-fPIE", "-pie"], &["-Wl,-z,now,-z,relro"]),
        (
            "fixed",
            &["-fno-pie", "-no-pie", "-DFIXED"],
            &["-Wl,-z,lazy,-z,norelro"],
        ),
        (
            "sysv",
            &["-fno-pie", "-no-pie", "-DFIXED"],
            &["-Wl,--hash-style=sysv"],
        ),
    ];
    for linker in ["bfd", "gold", "lld", "mold"] {
        for (mode, compile, link) in modes {
            let select = format!("-fuse-ld={linker}");
            let mut link = link.to_vec();
            link.push(&select);
            let exe = build(&scratch, &format!("{linker}-{mode}"), compile, &link);
            run(&mut std::process::Command::new(&exe)).success();
            let counts = holds(&exe);
            // gold gives such an executable no IFUNC slot but those of lazy calls.
            let all_lazy = mode == "fixed" || (linker, mode) == ("gold", "sysv");
            assert!(
                counts.bound > 30 && (counts.indirect > 0 || all_lazy),
                "{linker} {mode}: {counts:?}"
            );
            // The library calls its own IFUNC.
            assert_eq!(counts.refused, 0, "{linker} {mode}");
            match (linker, mode) {
                (_, "now") => assert_eq!(counts.kept_lazy, 0, "{linker}"),
                // mold binds calls within a library at once.
                ("mold", _) => {}
                _ => assert_ne!(counts.kept_lazy, 0, "{linker} {mode}"),
            }
        }
    }
}

#[test]
fn relative_relocations_in_every_form() {
    let scratch = Scratch::new();
    let forms: [(&str, &[&str]); 4] = [
        ("relr", &["-Wl,-z,pack-relative-relocs"]),
        ("uncounted", &["-Wl,-z,nocombreloc"]),
        ("symbolic", &["-Wl,-Bsymbolic"]),
        ("tlsdesc", &["-mtls-dialect=gnu2"]),
    ];
    for (name, link) in forms {
        let exe = build(&scratch, name, &["-fPIE", "-pie"], link);
        assert_eq!(holds(&exe).refused, 0, "{name}");
    }
}

#[test]
fn other_releases_of_the_loader() {
    let scratch = Scratch::new();
    for release in ["old", "trixie", "sid"] {
        let lib = glibc_lib(release);
        let interpreter = format!("-Wl,--dynamic-linker={}", loader(&lib).display());
        let rpath = format!("-Wl,-rpath,{}", lib.display());
        let modes: [(&str, &[&str]); 2] = [
            ("pie", &["-fPIE", "-pie"]),
            ("fixed", &["-fno-pie", "-no-pie", "-DFIXED"]),
        ];
        for (mode, compile) in modes {
            let name = format!("{release}-{mode}");
            let exe = build(&scratch, &name, compile, &[&interpreter, &rpath]);
            run(&mut std::process::Command::new(&exe)).success();
            assert!(holds(&exe).bound > 30, "{name}");
        }
    }
}

/// The first version's definition serves whoever was linked before there were
/// versions, and an unversioned library serves whoever asks for a version.
#[test]
fn versions_that_came_and_went() {
    let scratch = Scratch::new();
    let plain = scratch.file("plain.c", "int versioned(void) { return 1; }\n");
    let both = scratch.file(
        "both.c",
        "int a(void) { return 10; }\nint b(void) { return 20; }\n\
         __asm__(\".symver a,versioned@V1\");\n__asm__(\".symver b,versioned@@V2\");\n",
    );
    let script = scratch.file("map", "V1 { global: versioned; local: *; };\nV2 { } V1;\n");
    let main = scratch.file(
        "main.c",
        "int versioned(void);\nint main(void) { return versioned(); }\n",
    );
    let shared = |source: &Path, out: &Path, script: Option<&Path>| {
        let mut args: Vec<OsString> = vec!["-shared".into(), "-fPIC".into()];
        args.extend(script.map(|s| format!("-Wl,--version-script={}", s.display()).into()));
        args.extend([
            format!("-Wl,-soname,{}", out.file_name().unwrap().display()).into(),
            source.into(),
            "-o".into(),
            out.into(),
        ]);
        cc(args);
    };
    let link = |name: &str, libraries: &[&Path]| {
        let exe = scratch.join(name);
        let rpath = format!("-Wl,--no-as-needed,-rpath,{}", scratch.path().display());
        let mut args: Vec<OsString> = vec![rpath.into(), main.clone().into()];
        args.extend(libraries.iter().map(OsString::from));
        args.extend(["-o".into(), exe.clone().into()]);
        cc(args);
        exe
    };
    let library = scratch.join("libv.so");
    shared(&plain, &library, None);
    let before = link("before", &[&library]);
    shared(&both, &library, Some(&script));
    run(&mut std::process::Command::new(&before)).exits(10);
    holds(&before);
    let after = link("after", &[&library]);
    run(&mut std::process::Command::new(&after)).exits(20);
    holds(&after);
    // Another library gets the symbol, without versions, and comes first.
    let other = scratch.join("libother.so");
    let empty = scratch.file("empty.c", "int other;\n");
    shared(&empty, &other, None);
    let interposed = link("interposed", &[&other, &library]);
    shared(&plain, &other, None);
    run(&mut std::process::Command::new(&interposed)).exits(1);
    holds(&interposed);
}

#[test]
fn unique_symbols_that_are_found_twice_are_left_to_the_loader() {
    let scratch = Scratch::new();
    let header = "template <class T> struct Once { static int value; };\n\
                  template <class T> int Once<T>::value = 7;\n";
    let source = |name: &str| {
        let body = format!("{header}int *{name}() {{ return &Once<int>::value; }}\n");
        scratch.file(format!("{name}.cc"), body)
    };
    let library = |name: &str, extra: &str| {
        let out = scratch.join(format!("lib{name}.so"));
        cxx([
            "-shared".as_ref(),
            "-fPIC".as_ref(),
            extra.as_ref(),
            source(name).as_os_str(),
            "-o".as_ref(),
            out.as_os_str(),
        ]);
        out
    };
    let first = library("first", "-O1");
    let second = library("second", "-O1");
    let inward = library("inward", "-Wl,-Bsymbolic");
    let main = scratch.file(
        "main.cc",
        "int *first(), *second(), *inward();\n\
         int main() { return first() != second() || first() != inward(); }\n",
    );
    let link = |name: &str, libraries: &[&PathBuf], define: &str| {
        let exe = scratch.join(name);
        let mut args: Vec<OsString> = vec![define.into(), main.clone().into()];
        args.extend(libraries.iter().map(OsString::from));
        args.push(format!("-Wl,-rpath,{}", scratch.path().display()).into());
        args.extend(["-o".into(), exe.clone().into()]);
        cxx(args);
        exe
    };
    // Without the library that looks into itself, one reference is left, for
    // ld.so's table; with it, all three are.
    let two = link("two", &[&first, &second], "-Dinward=first");
    let three = link("three", &[&first, &second, &inward], "-O0");
    run(&mut std::process::Command::new(&three)).success();
    let unique = |exe: &Path, libraries: &[&PathBuf]| {
        holds(exe);
        let mut paths = vec![exe.to_owned()];
        paths.extend(libraries.iter().map(|p| (*p).clone()));
        let open = |path: PathBuf| Arc::new(LoadedObject::open(path).unwrap());
        let scope = Scope::new(paths.into_iter().map(open).collect());
        let bindings = bind(&scope);
        let objects = scope.objects().iter().zip(&bindings.objects);
        objects
            .flat_map(|(object, bound)| bound.residual.iter().map(move |r| (object, r.symbol)))
            .filter(|(object, symbol)| {
                object
                    .symbol_name(*symbol)
                    .is_some_and(|n| n == b"_ZN4OnceIiE5valueE")
            })
            .count()
    };
    assert_eq!(unique(&two, &[&first, &second]), 1);
    assert_eq!(unique(&three, &[&first, &second, &inward]), 3);
}

#[test]
fn a_function_that_is_nowhere_keeps_late_binding() {
    let scratch = Scratch::new();
    let library = scratch.file(
        "lib.c",
        "int nowhere(void);\nint called(void) { return 3; }\n\
         int never(void) { return nowhere() + called(); }\n",
    );
    let main = scratch.file(
        "main.c",
        "int called(void);\nint main(void) { return called(); }\n",
    );
    for (name, flags, keeps) in [("lazy", "-Wl,-z,lazy", true), ("now", "-Wl,-z,now", false)] {
        let out = scratch.join(format!("lib{name}.so"));
        cc([
            "-shared".as_ref(),
            "-fPIC".as_ref(),
            flags.as_ref(),
            library.as_os_str(),
            "-o".as_ref(),
            out.as_os_str(),
        ]);
        let exe = scratch.join(name);
        cc([
            main.as_os_str(),
            out.as_ref(),
            "-Wl,-z,lazy".as_ref(),
            "-Wl,--allow-shlib-undefined".as_ref(),
            "-o".as_ref(),
            exe.as_ref(),
        ]);
        let paths = [exe.clone(), out, "/lib/x86_64-linux-gnu/libc.so.6".into()];
        let open = |path: PathBuf| Arc::new(LoadedObject::open(path).unwrap());
        let scope = Scope::new(paths.into_iter().map(open).collect());
        let bindings = bind(&scope);
        let object = &bindings.objects[1];
        let missing: Vec<_> = scope
            .references(1)
            .into_iter()
            .filter(|r| scope.resolve(1, r.symbol, r.class) == Resolution::Missing)
            .collect();
        assert_eq!(missing.len(), 1, "{name}");
        assert_eq!(
            (missing[0].name, missing[0].class),
            (b"nowhere".as_slice(), Class::Plt)
        );
        assert_eq!((missing[0].lazy, missing[0].weak), (keeps, false), "{name}");
        assert_eq!(object.keeps_jump, keeps, "{name}");
        assert_eq!(object.residual.len(), usize::from(!keeps), "{name}");
        assert_eq!(scope.objects()[1].binds_now(), !keeps, "{name}");
        // The loader agrees: with eager binding it does not start.
        let started = compare(&exe, &Libraries::default()).unwrap();
        assert!(matches!(started, Outcome::DoesNotStart), "{name}");
    }
}

#[test]
fn text_relocations_are_refused() {
    let scratch = Scratch::new();
    let library = scratch.file(
        "lib.s",
        ".globl outside\n.text\n.globl f\nf: ret\n.quad outside\n\
         .section .note.GNU-stack,\"\",@progbits\n",
    );
    let out = scratch.join("libtext.so");
    cc([
        "-shared".as_ref(),
        "-nostdlib".as_ref(),
        "-Wl,-z,notext".as_ref(),
        library.as_os_str(),
        "-o".as_ref(),
        out.as_os_str(),
    ]);
    let object = LoadedObject::open(out).unwrap();
    let plan = object.relocation_plan();
    assert_eq!(plan.refusal, Some(Refusal::TextRelocations));
    assert_eq!(plan.symbolic.len(), 1);
}
