//! The binder under real ld.so: what it binds, and when it stands back.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{indirect, shared, table_of, update};
use crate::support::{Ran, Scratch, glibc_lib, indir, run};

/// A library of thirty functions, data, a constructor, an exported variable
/// that executables copy, and a weak reference.
fn library(folder: &Path, answer: i32) -> PathBuf {
    let mut source = format!(
        "#include <stdlib.h>\nint part_answer = {answer};\nint *part_pointer = &part_answer;\n\
         extern void nobody(void) __attribute__((weak));\n\
         int part_weak(void) {{ return nobody != 0; }}\n\
         static int ready; __attribute__((constructor)) static void up(void) {{ ready = 7; }}\n\
         int part_ready(void) {{ return ready; }}\n\
         void *part_alloc(void) {{ return malloc(3); }}\n"
    );
    for n in 0..30 {
        source += &format!("int part_f{n}(void) {{ return {n}; }}\n");
    }
    shared(
        &folder.join("libpart.so.c"),
        &source,
        &["-Wl,-soname,libpart.so"],
    )
}

/// Prints what it reaches through the library.
const PROGRAM: &str = r#"
#include <stdio.h>
#include <stdlib.h>
extern int part_answer, *part_pointer;
int part_weak(void), part_ready(void), part_f3(void), part_f29(void);
void *part_alloc(void);
int (*pointer)(void) = part_f3;
int main(void) {
    free(part_alloc());
    printf("%d %d %d %d %d %d\n", part_answer, part_pointer == &part_answer,
           part_weak(), part_ready(), pointer(), part_f29());
}
"#;

const PRINTS: &str = "42 1 0 7 3 29\n";

struct Bound {
    dir: Scratch,
    exe: PathBuf,
    libs: PathBuf,
}

/// The program with a bound plan; `args` are for the link.
fn bound(args: &[&str]) -> Bound {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    library(&libs, 42);
    let search = format!("-L{}", libs.display());
    let mut all = vec![search.as_str(), "-lpart"];
    all.extend(args);
    let exe = indirect(&dir.join("program.c"), PROGRAM, &all);
    update(
        &exe,
        &["--plan", "bound", "--lib-dir", libs.to_str().unwrap()],
    );
    Bound { dir, exe, libs }
}

impl Bound {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.exe);
        command.env("INDIR_DEBUG", "1");
        command
    }

    /// Runs it with the binder's explanation on stderr.
    fn run(&self) -> Ran {
        run(&mut self.command())
    }

    fn bindings(&self) -> PathBuf {
        let mut name = table_of(&self.exe).into_os_string();
        name.push(".bind");
        name.into()
    }
}

/// Relocations by symbol that ld.so did, by its own account.
pub(crate) fn relocations(command: &mut Command) -> usize {
    let ran = run(command.env("LD_DEBUG", "statistics"));
    let line = "number of relocations:";
    let text = ran.stderr();
    let count = text
        .lines()
        .rfind(|l| l.contains(line) && !l.contains("final"))
        .and_then(|l| l.rsplit(' ').next()?.parse().ok());
    count.unwrap_or_else(|| panic!("no statistics: {ran}"))
}

pub(crate) fn applied(ran: &Ran) -> bool {
    ran.stderr().contains("indir: bindings applied")
}

#[test]
fn ld_so_has_next_to_nothing_left_to_look_up() {
    for args in [
        &["-no-pie"][..],
        &["-pie"],
        &["-Wl,-z,now"],
        &["-Wl,-z,lazy"],
        &["-Wl,-z,norelro"],
    ] {
        let bound = bound(args);
        let ran = bound.run();
        ran.success().prints(PRINTS);
        assert!(applied(&ran), "{args:?}: {ran}");
        let with = relocations(Command::new(&bound.exe).env("LD_BIND_NOW", "1"));
        let without = relocations(
            Command::new(&bound.exe)
                .env("LD_BIND_NOW", "1")
                .env("INDIR_DISABLE_BINDINGS", "1"),
        );
        assert!(with + 20 < without, "{args:?}: {with} of {without}");
    }
}

#[test]
fn objects_with_packed_relative_relocations_are_bound() {
    let bound = bound(&["-Wl,-z,pack-relative-relocs"]);
    let ran = bound.run();
    ran.success().prints(PRINTS);
    assert!(applied(&ran), "{ran}");
}

#[test]
fn every_glibc_gets_the_same_answers() {
    for version in ["trixie", "sid"] {
        let bound = bound(&[]);
        let (glibc, libs) = (glibc_lib(version), bound.libs.clone());
        update(
            &bound.exe,
            &[
                "--plan",
                "bound",
                "--lib-dir",
                glibc.to_str().unwrap(),
                "--lib-dir",
                libs.to_str().unwrap(),
            ],
        );
        let ran = bound.run();
        ran.success().prints(PRINTS);
        assert!(applied(&ran), "{version}: {ran}");
        let left = relocations(Command::new(&bound.exe).env("LD_BIND_NOW", "1"));
        assert!(left <= 150, "{version}: {left}");
    }
}

#[test]
fn a_preloaded_function_wins() {
    let bound = bound(&[]);
    let preload = shared(
        &bound.dir.join("libpre.so.c"),
        "int part_f29(void) { return 99; }",
        &[],
    );
    run(bound.command().env("LD_PRELOAD", &preload))
        .success()
        .prints("42 1 0 7 3 99\n");
}

#[test]
fn a_replaced_library_is_resolved_in_the_ordinary_way() {
    let bound = bound(&[]);
    library(&bound.libs, 43);
    bound.run().success().prints("43 1 0 7 3 29\n");
    // Nor may a library that LD_LIBRARY_PATH brings be written to blindly.
    let other = bound.dir.dir("other");
    library(&other, 44);
    run(bound.command().env("LD_LIBRARY_PATH", &other))
        .success()
        .prints("44 1 0 7 3 29\n");
}

#[test]
fn bindings_that_are_missing_foreign_or_damaged_only_cost_speed() {
    let bound = bound(&[]);
    let file = bound.bindings();
    let good = std::fs::read(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    let ran = bound.run();
    ran.success().prints(PRINTS);
    assert!(!applied(&ran), "{ran}");
    for len in [0, 1, 8, 47, 48, 100, good.len() / 2, good.len() - 1] {
        std::fs::write(&file, &good[..len]).unwrap();
        let ran = bound.run();
        ran.success().prints(PRINTS);
        assert!(!applied(&ran), "cut to {len}: {ran}");
    }
    // The digest of another table.
    let mut foreign = good.clone();
    foreign[30] ^= 1;
    std::fs::write(&file, &foreign).unwrap();
    let ran = bound.run();
    ran.success().prints(PRINTS);
    assert!(!applied(&ran), "{ran}");
    std::fs::write(&file, &good).unwrap();
    assert!(applied(&bound.run()));
}

#[test]
fn an_auditor_sees_every_binding() {
    let bound = bound(&[]);
    let audit = shared(
        &bound.dir.join("libaudit.so.c"),
        "#define _GNU_SOURCE\n#include <link.h>\n#include <stdio.h>\n\
         unsigned la_version(unsigned v) { return v; }\n\
         unsigned la_objopen(struct link_map *m, Lmid_t l, uintptr_t *c) { return LA_FLG_BINDTO | LA_FLG_BINDFROM; }\n\
         uintptr_t la_symbind64(Elf64_Sym *s, unsigned n, uintptr_t *r, uintptr_t *d, unsigned *f, const char *name) {\n\
         fprintf(stderr, \"bound %s\\n\", name); return s->st_value; }\n",
        &[],
    );
    let ran = run(bound
        .command()
        .env("LD_AUDIT", &audit)
        .env("LD_BIND_NOW", "1"));
    ran.success().prints(PRINTS);
    assert!(ran.stderr().contains("bound part_f29"), "{ran}");
}

/// An auditor that the executable itself names sees every binding.
#[test]
fn a_program_with_an_auditor_of_its_own_stays_direct() {
    let dir = Scratch::new();
    let audit = shared(
        &dir.join("libaudit.so.c"),
        "#define _GNU_SOURCE\n#include <link.h>\n#include <unistd.h>\n\
         unsigned la_version(unsigned v) { return LAV_CURRENT; }\n\
         unsigned la_objopen(struct link_map *m, Lmid_t l, uintptr_t *c) { return LA_FLG_BINDTO | LA_FLG_BINDFROM; }\n\
         uintptr_t la_symbind64(Elf64_Sym *s, unsigned n, uintptr_t *r, uintptr_t *d, unsigned *f, const char *name) {\n\
         write(2, \"bound\\n\", 6); return s->st_value; }\n",
        &["-w"],
    );
    for option in ["--audit", "--depaudit"] {
        let named = format!("-Wl,{option}={}", audit.display());
        let source = "#include <stdio.h>\nint main(void) { puts(\"x\"); return 0; }";
        let exe = indirect(&dir.join("audited.c"), source, &["-Wl,-z,lazy", &named]);
        let mut seen = Vec::new();
        for plan in ["direct", "bound"] {
            update(&exe, &["--plan", plan]);
            let ran = run(&mut Command::new(&exe));
            ran.success().prints("x\n");
            seen.push(ran.stderr());
        }
        assert!(seen[0].contains("bound\n"), "{option}: {seen:?}");
        assert_eq!(seen[0], seen[1], "{option}");
        run(indir().arg("verify").arg(&exe)).success();
    }
}

/// `_r_debug` is where the binder finds the objects: a copy of ld.so's is empty until
/// the program itself is relocated, and the program may mean something else by it.
#[test]
fn a_program_with_an_r_debug_of_its_own_stays_direct() {
    let dir = Scratch::new();
    let cases = [
        (
            "own",
            "#include <stdio.h>\nstruct { int version; void *map; } _r_debug = { 1, (void *)0x10 };\n\
             int main(void) { puts(\"x\"); return 0; }",
            &["-rdynamic"][..],
        ),
        (
            "copy",
            "#include <stdio.h>\n#include <link.h>\n\
             int main(void) { puts(_r_debug.r_map != 0 ? \"x\" : \"empty\"); return 0; }",
            &["-no-pie", "-fno-pie"][..],
        ),
    ];
    for (name, source, args) in cases {
        let exe = indirect(&dir.join(format!("{name}.c")), source, args);
        update(&exe, &["--plan", "bound"]);
        let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
        ran.success().prints("x\n");
        assert!(ran.stderr().contains("plan direct"), "{name}: {ran}");
        run(indir().arg("verify").arg(&exe)).success();
    }
}

/// Libraries that come by the environment, after the table was written, come first too.
#[test]
fn an_r_debug_that_the_environment_brings_is_not_taken_for_ld_so_s() {
    let dir = Scratch::new();
    let part = |folder: &str, text: &str| {
        let source = dir.join(format!("{folder}/libpart.so.c"));
        let text = format!("{text}\nint part(void) {{ return 5; }}\n");
        shared(&source, &text, &["-Wl,-soname,libpart.so"])
    };
    let library = part("lib", "");
    let search = format!("-L{}", library.parent().unwrap().display());
    let source = "#include <stdio.h>\nint part(void); int main(void) { printf(\"%d\\n\", part()); return 0; }";
    let exe = indirect(&dir.join("program.c"), source, &[&search, "-lpart"]);
    let folder = library.parent().unwrap().to_str().unwrap();
    update(&exe, &["--plan", "bound", "--lib-dir", folder]);
    let own = [
        ("empty", "char _r_debug[4096];"),
        (
            "wild",
            "long _r_debug[512] = { 1, 0x10, 0x10, 0x10, 0x10 };",
        ),
    ];
    for (name, text) in own {
        let other = part(name, text);
        for (variable, value) in [
            ("LD_PRELOAD", other.as_path()),
            ("LD_LIBRARY_PATH", other.parent().unwrap()),
        ] {
            let ran = run(Command::new(&exe).env(variable, value));
            assert_eq!(ran.code(), Some(0), "{name} by {variable}: {ran}");
            ran.prints("5\n");
        }
    }
}

#[test]
fn ldd_lists_the_program_s_libraries_only() {
    let bound = bound(&[]);
    let ran = run(Command::new("ldd").arg(&bound.exe));
    ran.success();
    assert!(ran.stdout().contains("libpart.so"), "{ran}");
    assert!(!ran.stdout().contains("libindir-bind"), "{ran}");
}

/// A function that nobody provides, never called.
#[test]
fn a_lazy_program_starts_without_a_function_it_never_calls() {
    let dir = Scratch::new();
    let source = "void missing(void); int part(void) { return 5; } void call(void) { missing(); }";
    // Without a soname it is needed by its path, which the ordinary resolution
    // finds too: the function is no loss of this update.
    let loose = shared(&dir.join("libloose.so.c"), source, &["-Wl,-z,lazy"]);
    let exe = indirect(
        &dir.join("loose.c"),
        "int part(void); int main(void) { return part(); }",
        &[
            loose.to_str().unwrap(),
            "-Wl,-z,lazy",
            "-Wl,--allow-shlib-undefined",
        ],
    );
    update(&exe, &["--plan", "bound"]);
    let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
    ran.exits(5);
    assert!(applied(&ran), "{ran}");
    let eager = run(Command::new(&exe).env("LD_BIND_NOW", "1"));
    eager.exits(127);
    assert!(eager.stderr().contains("missing"), "{eager}");
}

#[test]
fn plugins_share_the_program_s_scope_and_unique_symbols() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    let header = "template <class T> struct Once { static int value; };\n\
                  template <class T> int Once<T>::value = 1;\n";
    let library = format!("{header} int *of_library() {{ return &Once<int>::value; }}");
    let plugin = format!(
        "{header} int shared_function(); extern \"C\" int *plug() {{ shared_function(); return &Once<int>::value; }}"
    );
    shared(
        &libs.join("libonce.so.cc"),
        &library,
        &["-Wl,-soname,libonce.so"],
    );
    let plug = shared(&dir.join("plug.so.cc"), &plugin, &[]);
    let program = format!(
        "{header}
#include <cstdio>
#include <dlfcn.h>
int *of_library();
int shared_function() {{ return 1; }}
int main(int, char **argv) {{
    Once<int>::value++;
    for (int round = 0; round < 2; round++) {{
        void *handle = dlopen(argv[1], RTLD_NOW);
        if (!handle) {{ puts(dlerror()); return 1; }}
        auto plug = (int *(*)())dlsym(handle, \"plug\");
        printf(\"%d %d %d\\n\", *plug(), plug() == of_library(), of_library() == &Once<int>::value);
        if (dlclose(handle)) return 2;
    }}
}}"
    );
    let search = format!("-L{}", libs.display());
    let exe = indirect(
        &dir.join("once.cc"),
        &program,
        &[&search, "-lonce", "-rdynamic"],
    );
    update(
        &exe,
        &["--plan", "bound", "--lib-dir", libs.to_str().unwrap()],
    );
    let ran = run(Command::new(&exe).arg(&plug).env("INDIR_DEBUG", "1"));
    ran.success().prints("2 1 1\n2 1 1\n");
    assert!(applied(&ran), "{ran}");
}

#[test]
fn c_plus_plus_programs_throw_across_bound_libraries() {
    let dir = Scratch::new();
    let libs = dir.dir("libs");
    shared(
        &libs.join("libthrow.so.cc"),
        "#include <stdexcept>\n#include <string>\nvoid thrower() { throw std::runtime_error(std::string(\"over\")); }",
        &["-Wl,-soname,libthrow.so"],
    );
    let search = format!("-L{}", libs.display());
    let exe = indirect(
        &dir.join("catch.cc"),
        "#include <iostream>\n#include <stdexcept>\nvoid thrower();\n\
         int main() { try { thrower(); } catch (std::exception &e) { std::cout << e.what() << std::endl; } }",
        &[&search, "-lthrow"],
    );
    update(
        &exe,
        &["--plan", "bound", "--lib-dir", libs.to_str().unwrap()],
    );
    let ran = run(Command::new(&exe).env("INDIR_DEBUG", "1"));
    ran.success().prints("over\n");
    assert!(applied(&ran), "{ran}");
    let left = relocations(Command::new(&exe).env("LD_BIND_NOW", "1"));
    assert!(left <= 150, "{left} relocations left");
}

#[test]
fn auto_leaves_small_programs_direct_and_going_back_removes_the_bindings() {
    let bound = bound(&[]);
    assert!(bound.bindings().exists());
    update(&bound.exe, &["--plan", "auto"]);
    assert!(!bound.bindings().exists());
    bound.run().success().prints(PRINTS);
    // Twice the same is no change.
    update(&bound.exe, &["--plan", "bound"]);
    let written = std::fs::metadata(bound.bindings())
        .unwrap()
        .modified()
        .unwrap();
    update(&bound.exe, &["--plan", "bound"]);
    let again = std::fs::metadata(bound.bindings())
        .unwrap()
        .modified()
        .unwrap();
    assert_eq!(written, again);
    // Removed bindings are written again, although the table is current.
    std::fs::remove_file(bound.bindings()).unwrap();
    update(&bound.exe, &["--plan", "bound"]);
    assert!(applied(&bound.run()));
}
