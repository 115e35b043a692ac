//! Programs behave under the shim as under the ordinary loader: threads,
//! thread-local storage, C++ exceptions, IFUNC, constructors, and every shape
//! of executable that link editors make.
//!
//! Each is first refused for want of its table, then runs by it.

use std::path::Path;
use std::process::Command;

use crate::support::program::{Twins, indirect, refused_then_updated, shared, update};
use crate::support::{Scratch, run};

#[test]
fn threads_and_thread_local_storage() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    shared(
        &lib.join("libtls.so.c"),
        "__thread int general = 7;\n\
         __attribute__((tls_model(\"initial-exec\"))) __thread int initial = 8;\n\
         int *general_at(void) { return &general; }\n\
         int *initial_at(void) { return &initial; }\n",
        &["-Wl,-soname,libtls.so"],
    );
    let source = r#"
#include <pthread.h>
#include <stdio.h>
extern __thread int general;
int *general_at(void), *initial_at(void);
static __thread int own = 9;
static __thread char zeroed[3000];
static long results[8];
static void *work(void *arg) {
    long n = (long)arg, sum = 0;
    for (int round = 0; round < 1000; round++) {
        own += n, *initial_at() += n, general += n, zeroed[round]++;
        if (general_at() != &general) return "address";
    }
    for (int i = 0; i < 3000; i++) sum += zeroed[i];
    results[n] = own + *initial_at() + *general_at() + sum;
    return NULL;
}
int main(void) {
    pthread_t threads[8];
    void *failed;
    for (long n = 0; n < 8; n++) pthread_create(&threads[n], NULL, work, (void *)n);
    for (int n = 0; n < 8; n++) {
        pthread_join(threads[n], &failed);
        if (failed) return 1;
        printf("%ld\n", results[n]);
    }
    printf("%d %d %d\n", own, *general_at(), *initial_at());
}
"#;
    let twins = Twins::with_libraries(&dir, "tls.c", source, &["-pthread", "-ltls"], Some(&lib));
    twins
        .agree(&[])
        .success()
        .out_has("1024\n4024\n")
        .out_has("9 7 8\n");
}

#[test]
fn exceptions_cross_libraries() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    let header = "#include <stdexcept>\n#include <string>\n\
                  struct Odd : std::runtime_error { int n; Odd(int n); ~Odd() override; };\n";
    shared(
        &lib.join("libthrow.so.cc"),
        &format!(
            "{header}Odd::Odd(int n) : std::runtime_error(\"odd\"), n(n) {{}} Odd::~Odd() {{}}\n\
             void half(int n) {{ if (n % 2) throw Odd(n); }}\n"
        ),
        &["-Wl,-soname,libthrow.so"],
    );
    shared(
        &lib.join("libmiddle.so.cc"),
        &format!(
            "{header}#include <cstdio>\nvoid half(int);\n\
             struct Guard {{ ~Guard() {{ std::puts(\"unwound\"); }} }};\n\
             void middle(int n) {{ Guard guard; half(n); std::puts(\"even\"); }}\n"
        ),
        &[
            "-Wl,-soname,libmiddle.so",
            "-L",
            lib.to_str().unwrap(),
            "-lthrow",
        ],
    );
    let source = format!(
        "{header}#include <iostream>\n#include <exception>\nvoid middle(int);\n\
         int main() {{\n\
           middle(2);\n\
           try {{ middle(3); }} catch (const Odd &odd) {{ std::cout << odd.what() << odd.n << std::endl; }}\n\
           try {{ std::string().at(1); }} catch (const std::out_of_range &) {{ std::cout << \"range\" << std::endl; }}\n\
           std::exception_ptr kept;\n\
           try {{ middle(5); }} catch (...) {{ kept = std::current_exception(); }}\n\
           try {{ std::rethrow_exception(kept); }} catch (const std::runtime_error &e) {{ std::cout << dynamic_cast<const Odd &>(e).n << std::endl; }}\n\
         }}\n"
    );
    let twins = Twins::with_libraries(
        &dir,
        "catch.cc",
        &source,
        &["-lmiddle", "-lthrow"],
        Some(&lib),
    );
    twins
        .agree(&[])
        .success()
        .prints("even\nunwound\nunwound\nodd3\nrange\nunwound\n5\n");
}

#[test]
fn ifunc_in_a_library_and_in_the_executable() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    let ifunc = |name: &str, text: &str| {
        format!(
            "static const char *chosen_{name}(void) {{ return \"{text}\"; }}\n\
             static void *resolve_{name}(void) {{ __builtin_cpu_init(); return __builtin_cpu_supports(\"sse2\") ? chosen_{name} : 0; }}\n\
             const char *{name}(void) __attribute__((ifunc(\"resolve_{name}\")));\n"
        )
    };
    shared(
        &lib.join("libifunc.so.c"),
        &ifunc("library", "from the library"),
        &["-Wl,-soname,libifunc.so"],
    );
    let source = format!(
        "#include <stdio.h>\n#include <string.h>\n{}const char *library(void);\n\
         const char *(*volatile pointer)(void) = library;\n\
         int main(void) {{ puts(own()); puts(library()); puts(pointer()); printf(\"%d\\n\", pointer == library); \
         char b[64]; memset(b, 'x', 9); b[9] = 0; puts(b); printf(\"%zu\\n\", strlen(b)); }}\n",
        ifunc("own", "from the executable")
    );
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let twins = Twins::with_libraries(&dir, "i.c", &source, &[pie, "-lifunc"], Some(&lib));
        twins
            .agree(&[])
            .success()
            .prints("from the executable\nfrom the library\nfrom the library\n1\nxxxxxxxxx\n9\n");
    }
}

/// A source whose constructors and destructors say `name`.
fn chatty(name: &str) -> String {
    format!(
        "#include <unistd.h>\n#include <string.h>\n#include <stdlib.h>\n\
         static void say(const char *s) {{ write(1, s, strlen(s)); }}\n\
         static void at_exit(void) {{ say(\"{name} atexit\\n\"); }}\n\
         __attribute__((constructor(101))) static void early(void) {{ say(\"{name} early\\n\"); }}\n\
         __attribute__((constructor)) static void up(int argc, char **argv, char **envp) \
         {{ say(\"{name} up \"); say(argv[argc] == 0 && envp[0] != 0 ? argv[1] : \"?\"); say(\"\\n\"); atexit(at_exit); }}\n\
         __attribute__((destructor)) static void down(void) {{ say(\"{name} down\\n\"); }}\n"
    )
}

#[test]
fn constructors_and_destructors_run_in_order() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    let folder = lib.to_str().unwrap();
    shared(
        &lib.join("libbase.so.c"),
        &chatty("base"),
        &["-Wl,-soname,libbase.so"],
    );
    for name in ["left", "right"] {
        let needs = ["-L", folder, "-Wl,--no-as-needed", "-lbase"];
        let soname = format!("-Wl,-soname,lib{name}.so");
        shared(
            &lib.join(format!("lib{name}.so.c")),
            &chatty(name),
            &[&[soname.as_str()], &needs[..]].concat(),
        );
    }
    // Its own DT_PREINIT_ARRAY has two functions, which must still run first.
    let source = format!(
        "{}static void first(int argc, char **argv, char **envp) {{ say(\"preinit \"); say(argv[1]); say(argc == 2 && envp[0] ? \"\\n\" : \"?\\n\"); }}\n\
         static void second(void) {{ say(\"preinit again\\n\"); }}\n\
         __attribute__((section(\".preinit_array\"), used)) static void (*array[])() = {{ (void (*)())first, (void (*)())second }};\n\
         int main(void) {{ say(\"main\\n\"); }}\n",
        chatty("exe")
    );
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let args = [pie, "-Wl,--no-as-needed", "-lleft", "-lright", "-lbase"];
        let twins = Twins::with_libraries(&dir, "order.c", &source, &args, Some(&lib));
        let ran = twins.agree(&["argument"]);
        let out = ran.success().stdout();
        let at = |text: &str| {
            out.find(text)
                .unwrap_or_else(|| panic!("no {text:?}: {ran}"))
        };
        assert!(
            out.starts_with("preinit argument\npreinit again\nbase early\nbase up argument\n"),
            "{ran}"
        );
        assert!(
            at("left up") < at("exe up") && at("right up") < at("exe up"),
            "{ran}"
        );
        assert!(
            at("main") < at("exe down") && at("exe down") < at("base down"),
            "{ran}"
        );
    }
}

#[test]
fn a_program_of_any_shape_starts() {
    let source = "#include <stdio.h>\n#include <errno.h>\n\
                  int main(int argc, char **argv) { fprintf(stdout, \"%d %s\\n\", argc, argv[argc - 1]); \
                  errno = 0; return puts(\"done\") < 0; }\n";
    for shape in [
        &["-pie"][..],
        &["-no-pie"],
        &["-pie", "-Wl,-z,now,-z,relro"],
        &["-no-pie", "-Wl,-z,lazy,-z,norelro"],
        &["-pie", "-Wl,-z,noseparate-code"],
        &["-no-pie", "-Wl,-z,max-page-size=0x200000"],
        &["-pie", "-Wl,--hash-style=sysv"],
        &["-pie", "-Wl,-z,rodynamic"],
        &["-pie", "-fuse-ld=gold"],
        &["-no-pie", "-fuse-ld=lld"],
        &["-pie", "-fuse-ld=mold"],
        &["-pie", "-s"],
    ] {
        let dir = Scratch::new();
        let twins = Twins::new(&dir, "shape.c", source, shape);
        let ran = twins.agree(&["last"]);
        ran.success().prints("2 last\ndone\n");
    }
}

/// Turns the file's PT_PHDR into PT_NULL.
fn without_phdr(exe: &Path) {
    let mut bytes = std::fs::read(exe).unwrap();
    let word = |bytes: &[u8], at: usize| u64::from_le_bytes(*bytes[at..].first_chunk().unwrap());
    let start = word(&bytes, 32) as usize;
    let count = usize::from(u16::from_le_bytes(*bytes[56..].first_chunk().unwrap()));
    let phdr = (0..count)
        .map(|index| start + index * 56)
        .find(|&at| bytes[at..at + 4] == [6, 0, 0, 0])
        .expect("a PT_PHDR");
    bytes[phdr] = 0;
    std::fs::write(exe, bytes).unwrap();
}

#[test]
fn a_program_without_program_header_segment_starts() {
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let source = "#include <stdio.h>\nint x = 3; int *p = &x; int main(void) { return printf(\"%d\\n\", *p) < 0; }";
        let exe = indirect(&dir.join("n.c"), source, &[pie]);
        without_phdr(&exe);
        refused_then_updated(&exe, &[]);
        run(&mut Command::new(&exe)).success().prints("3\n");
    }
}

/// A program that uses nothing but the system calls write and exit.
const BARE: &str = r#"
#ifdef LIBRARY
const char *text(void);
#else
static const char *text(void) { return "bare\n"; }
#endif
__attribute__((force_align_arg_pointer)) void _start(void) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "0"(1L), "D"(1L), "S"(text()), "d"(5L) : "rcx", "r11", "memory");
    __asm__ volatile("syscall" : "=a"(result) : "0"(60L), "D"(result == 5 ? 0L : 1L) : "rcx", "r11", "memory");
}
"#;

#[test]
fn a_program_without_libraries_starts() {
    // A non-PIE without libraries is static to GNU ld, without `.dynamic`.
    let lld = ["-no-pie", "-fuse-ld=lld", "-Wl,--export-dynamic"];
    for shape in [&["-pie"][..], &lld] {
        let dir = Scratch::new();
        let exe = indirect(&dir.join("bare.c"), BARE, &[&["-nostdlib"], shape].concat());
        refused_then_updated(&exe, &[]);
        run(&mut Command::new(&exe)).success().prints("bare\n");
        // There is nothing to bind, and no ld.so in the closure to ask.
        update(&exe, &["--plan", "bound"]);
        run(&mut Command::new(&exe)).success().prints("bare\n");
    }
}

#[test]
fn a_program_without_version_needs_starts() {
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let lib = dir.dir("lib");
        shared(
            &lib.join("libtext.so.c"),
            "const char *text(void) { return \"from\\n\"; }",
            &["-nostdlib", "-Wl,-soname,libtext.so"],
        );
        let folder = lib.to_str().unwrap();
        let args = [pie, "-nostdlib", "-DLIBRARY", "-L", folder, "-ltext"];
        let exe = indirect(&dir.join("bare.c"), BARE, &args);
        refused_then_updated(&exe, &["--lib-dir", folder]);
        run(&mut Command::new(&exe)).success().prints("from\n");
        update(&exe, &["--plan", "bound"]);
        run(&mut Command::new(&exe)).success().prints("from\n");
    }
}

/// Writes `count` libraries, which are copies of one with other names: each
/// adds one to the executable's `counter`. Returns the `-l` options.
pub(crate) fn many_libraries(folder: &Path, count: usize) -> Vec<String> {
    let one = shared(
        &folder.join("template.c"),
        "extern int counter; __attribute__((constructor)) static void up(void) { counter++; }",
        &["-g0", "-Wl,--build-id=none", "-Wl,-soname,libmany000.so"],
    );
    let bytes = std::fs::read(one).unwrap();
    let pattern = b"libmany000.so";
    let at = bytes
        .windows(pattern.len())
        .position(|window| window == pattern)
        .unwrap();
    (0..count)
        .map(|index| {
            let mut copy = bytes.clone();
            let name = format!("libmany{index:03}.so");
            copy[at..at + pattern.len()].copy_from_slice(name.as_bytes());
            std::fs::write(folder.join(&name), copy).unwrap();
            format!("-lmany{index:03}")
        })
        .collect()
}

/// A program that succeeds if exactly `COUNT` libraries were started.
pub(crate) const COUNTER: &str = "#include <stdio.h>\nint counter; int main(void) { printf(\"%d\\n\", counter); return counter != COUNT; }";

#[test]
fn a_program_with_300_libraries_starts() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    let libraries = many_libraries(&lib, 300);
    let mut args = vec!["-DCOUNT=300", "-Wl,--export-dynamic", "-Wl,--no-as-needed"];
    args.extend(libraries.iter().map(String::as_str));
    let twins = Twins::with_libraries(&dir, "many.c", COUNTER, &args, Some(&lib));
    twins.agree(&[]).success().prints("300\n");
}

#[test]
fn a_program_may_be_moved_with_its_folder() {
    let dir = Scratch::new();
    let exe = indirect(&dir.join("here/p.c"), "int main(void) { return 0; }", &[]);
    update(&exe, &[]);
    std::fs::rename(dir.join("here"), dir.join("there")).unwrap();
    run(&mut Command::new(dir.join("there/p"))).success();
}
