//! Bound programs in a world that is not quite the expected one, and libraries
//! of unusual make: each run is compared with the same start in the direct plan.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::binder::applied;
use crate::support::program::{indirect, shared, update};
use crate::support::{Ran, Scratch, run};

/// The shared library `lib<name>.so` in `folder`.
fn library(folder: &Path, name: &str, source: &str, args: &[&str]) -> PathBuf {
    let soname = format!("-Wl,-soname,lib{name}.so");
    let file = folder.join(format!("lib{name}.so.c"));
    shared(&file, source, &[&[soname.as_str()], args].concat())
}

/// An indirect program with a bound plan whose libraries are in `libs`.
fn bound(dir: &Scratch, source: &str, libs: &Path, args: &[&str]) -> PathBuf {
    let search = format!("-L{}", libs.display());
    let later = format!("-Wl,-rpath-link,{}", libs.display());
    let exe = indirect(
        &dir.join("program.c"),
        source,
        &[&[search.as_str(), &later], args].concat(),
    );
    let folder = libs.to_str().unwrap();
    update(&exe, &["--plan", "bound", "--lib-dir", folder]);
    exe
}

/// Runs it with bindings and without; both must print the same. Returns the
/// first, with the binder's explanation.
#[track_caller]
fn as_without_bindings(exe: &Path, variables: &[(&str, &Path)]) -> Ran {
    let command = |eager: bool| {
        let mut command = Command::new(exe);
        command
            .envs(variables.iter().copied())
            .env("INDIR_DEBUG", "1");
        if eager {
            command.env("LD_BIND_NOW", "1");
        }
        command
    };
    let direct = run(command(false).env("INDIR_DISABLE_BINDINGS", "1"));
    let ran = run(&mut command(false));
    ran.success().prints(&direct.success().stdout());
    run(&mut command(true)).success().prints(&direct.stdout());
    ran
}

/// An allocator that is preloaded serves libraries whose calls of malloc were
/// bound ahead to libc's.
#[test]
fn a_preloaded_malloc_wins_in_every_library() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    let source = "#include <stdlib.h>\n#include <string.h>\n\
                  char *copy(const char *s) { return strcpy(malloc(strlen(s) + 1), s); }\n\
                  static void *(*const allocate)(size_t) = malloc;\n\
                  void *by_pointer(void) { return allocate(5); }\n";
    library(&libs, "copy", source, &[]);
    let main = "#include <stdio.h>\n#include <stdlib.h>\n\
                char *copy(const char *); void *by_pointer(void); extern int served(void) __attribute__((weak));\n\
                int main(void) { int before = served ? served() : 0; free(copy(\"x\")); free(by_pointer());\n\
                free(malloc(3)); int after = served ? served() : 0; printf(\"%d\\n\", after - before); return 0; }";
    let exe = bound(&dir, main, &libs, &["-lcopy"]);
    let ran = as_without_bindings(&exe, &[]);
    assert!(applied(ran.prints("0\n")), "{ran}");
    let allocator = "#include <stddef.h>\n\
                     static char arena[1 << 20] __attribute__((aligned(16))); static size_t used; static int calls;\n\
                     void *malloc(size_t n) { calls++; void *p = arena + used; used += (n + 15) & ~15UL; return p; }\n\
                     void *calloc(size_t n, size_t m) { return malloc(n * m); }\n\
                     void *realloc(void *p, size_t n) { char *q = malloc(n); for (size_t i = 0; p && i < n; i++) q[i] = ((char *)p)[i]; return q; }\n\
                     void free(void *p) { (void)p; }\n\
                     int served(void) { return calls; }\n";
    let preload = library(&dir.dir("pre"), "allocator", allocator, &["-fno-builtin"]);
    as_without_bindings(&exe, &[("LD_PRELOAD", &preload)]).prints("3\n");
}

/// LD_LIBRARY_PATH brings libraries that need more, fewer and other libraries
/// than those that the table was made for.
#[test]
fn more_fewer_and_reordered_objects_are_resolved_as_ever() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    let link = format!("-L{}", libs.display());
    let says = |value: i32| format!("int who(void) {{ return {value}; }}\n");
    let asks = |name: &str| format!("int who(void);\nint ask_{name}(void) {{ return who(); }}\n");
    library(&libs, "deep", &says(1), &[]);
    library(&libs, "other", &says(2), &[]);
    library(&libs, "first", &asks("first"), &[&link, "-ldeep"]);
    library(&libs, "second", &asks("second"), &[&link, "-lother"]);
    let main = "#include <stdio.h>\nint ask_first(void), ask_second(void);\n\
                int main(void) { printf(\"%d %d\\n\", ask_first(), ask_second()); return 0; }";
    let exe = bound(&dir, main, &libs, &["-lfirst", "-lsecond"]);
    let ran = as_without_bindings(&exe, &[]);
    assert!(applied(ran.prints("1 1\n")), "{ran}");

    let world = |name: &str| {
        let folder = dir.dir(name);
        let link = format!("-L{}", folder.display());
        (folder, link)
    };
    let path = "LD_LIBRARY_PATH";
    // One more, which comes before all that offer the symbol.
    let (more, more_link) = world("more");
    library(&more, "new", &says(3), &[]);
    let needs = [&more_link, "-lnew", link.as_str(), "-ldeep"];
    library(&more, "first", &asks("first"), &needs);
    as_without_bindings(&exe, &[(path, &more)]);
    // The definition moves into a library that came first without it.
    let (moved, _) = world("moved");
    library(
        &moved,
        "first",
        &(says(4) + "int ask_first(void) { return who(); }"),
        &[],
    );
    as_without_bindings(&exe, &[(path, &moved)]).prints("4 4\n");
    // One that offers nothing any more: the next one does.
    let (fewer, _) = world("fewer");
    library(&fewer, "deep", "int nothing;", &[]);
    as_without_bindings(&exe, &[(path, &fewer)]).prints("2 2\n");
    // The two that decide need each other's in another order.
    let (order, _) = world("order");
    library(
        &order,
        "first",
        &asks("first"),
        &["-Wl,--no-as-needed", &link, "-lother"],
    );
    library(
        &order,
        "second",
        &asks("second"),
        &["-Wl,--no-as-needed", &link, "-ldeep"],
    );
    as_without_bindings(&exe, &[(path, &order)]);
    // And a library in front of everything.
    let preload = library(&dir.dir("pre"), "front", &says(5), &[]);
    as_without_bindings(&exe, &[("LD_PRELOAD", &preload)]).prints("5 5\n");
    let both: [(&str, &Path); 2] = [("LD_PRELOAD", &preload), (path, &more)];
    as_without_bindings(&exe, &both).prints("5 5\n");
}

/// Dynamic tags of a file, as readelf prints them.
fn tags(file: &Path) -> String {
    let ran = run(Command::new("readelf").arg("-Wd").arg(file));
    ran.success().stdout()
}

#[test]
fn libraries_without_relocations_and_programs_without_a_plt_are_bound() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    let bare = library(
        &libs,
        "bare",
        "int bare(void) { return 3; }",
        &["-nostdlib"],
    );
    assert!(!tags(&bare).contains("(RELA)"), "{}", tags(&bare));
    library(
        &libs,
        "puts",
        "#include <stdio.h>\nint say(void) { return puts(\"said\"); }",
        &["-fno-plt"],
    );
    let main = "#include <stdio.h>\nint bare(void), say(void); int (*pointer)(void) = bare;\n\
                int main(void) { say(); printf(\"%d %d\\n\", bare(), pointer()); return 0; }";
    for relro in [&["-Wl,-z,norelro"][..], &["-Wl,-z,relro,-z,now"]] {
        let exe = bound(
            &dir,
            main,
            &libs,
            &[&["-lbare", "-lputs", "-fno-plt"], relro].concat(),
        );
        assert!(!tags(&exe).contains("(JMPREL)"), "{}", tags(&exe));
        let ran = as_without_bindings(&exe, &[]);
        assert!(applied(ran.prints("said\n3 3\n")), "{ran}");
    }
}

/// A library with text relocations is left to ld.so, the others are bound.
#[test]
fn a_library_with_text_relocations_still_works() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    let text = "int other(void); __asm__(\".text\\n.globl place\\nplace: .quad other\\n\");\n\
                extern int (*const place)(void); int through(void) { return place(); }";
    library(&libs, "other", "int other(void) { return 6; }", &[]);
    let file = library(&libs, "text", text, &["-Wl,-z,notext"]);
    assert!(tags(&file).contains("TEXTREL"), "{}", tags(&file));
    let main = "#include <stdio.h>\nint through(void), other(void);\n\
                int main(void) { printf(\"%d %d\\n\", through(), other()); return 0; }";
    let exe = bound(&dir, main, &libs, &["-ltext", "-lother"]);
    let ran = as_without_bindings(&exe, &[]);
    assert!(applied(ran.prints("6 6\n")), "{ran}");
}
