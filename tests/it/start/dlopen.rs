//! dlopen and its relatives under the shim.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::program::{Twins, indirect, refused_then_updated, shared};
use crate::support::{Scratch, run};

/// Opens each argument, calls its `plug` and closes it; `-` before a name
/// tells to expect failure.
const OPENER: &str = r#"
#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int bad = argv[i][0] == '-';
        void *handle = dlopen(argv[i] + bad, RTLD_NOW);
        if (!handle != bad) { printf("%s: %s\n", argv[i], handle ? "opened" : dlerror()); return 1; }
        if (bad) continue;
        int (*plug)(void) = (int (*)(void))dlsym(handle, "plug");
        printf("%d\n", plug ? plug() : -1);
        if (dlclose(handle)) return 2;
        if (dlopen(argv[i], RTLD_NOW | RTLD_NOLOAD)) return 3;
    }
}
"#;

/// `libNAME.so` in `folder`: its `plug` returns `value`, by way of `need` if given.
fn plugin(folder: &Path, name: &str, value: i32, need: Option<(&Path, &str)>) -> PathBuf {
    let mut args = vec![format!("-Wl,-soname,lib{name}.so")];
    let source = match need {
        None => {
            format!("int plug(void) {{ return {value}; }} int {name}(void) {{ return {value}; }}")
        }
        Some((lib, need)) => {
            args.push(format!("-L{}", lib.display()));
            args.push(format!("-l{need}"));
            format!("int {need}(void); int plug(void) {{ return {value} + {need}(); }}")
        }
    };
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    shared(&folder.join(format!("lib{name}.so.c")), &source, &args)
}

#[test]
fn dlopen_by_soname_searches_the_tables_folders() {
    let dir = Scratch::new();
    let (first, second) = (dir.dir("first"), dir.dir("second"));
    plugin(&first, "one", 1, None);
    plugin(&second, "two", 2, None);
    // The executable needs none of them: the folders come from --lib-dir alone.
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    let folders = [&first, &second].map(|folder| folder.to_str().unwrap());
    refused_then_updated(&exe, &["--lib-dir", folders[0], "--lib-dir", folders[1]]);
    run(Command::new(&exe).args(["libone.so", "libtwo.so", "-libthree.so"]))
        .success()
        .prints("1\n2\n");
    // glibc's own are found as ever.
    run(Command::new(&exe).args(["-libm.so.999", "libone.so"])).success();
}

#[test]
fn dlopen_by_soname_searches_the_folders_of_the_closure() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    plugin(&lib, "needed", 4, None);
    plugin(&lib, "beside", 5, None);
    let folder = lib.to_str().unwrap();
    let source = format!("int needed(void); int (*keep)(void) = needed;\n{OPENER}");
    let exe = indirect(&dir.join("open.c"), &source, &["-L", folder, "-lneeded"]);
    refused_then_updated(&exe, &["--lib-dir", folder]);
    run(Command::new(&exe).arg("libbeside.so"))
        .success()
        .prints("5\n");
}

#[test]
fn dlopen_by_path_and_with_origin() {
    let dir = Scratch::new();
    let plugins = dir.dir("app/plugins");
    let path = plugin(&plugins, "extra", 6, None);
    let exe = indirect(&dir.join("app/open.c"), OPENER, &[]);
    refused_then_updated(&exe, &[]);
    let absolute = path.to_str().unwrap();
    run(Command::new(&exe).current_dir(dir.join("app")).args([
        absolute,
        "./plugins/libextra.so",
        "$ORIGIN/plugins/libextra.so",
        "-libextra.so",
    ]))
    .success()
    .prints("6\n6\n6\n");
}

#[test]
fn what_a_plugin_needs_comes_from_the_table() {
    let dir = Scratch::new();
    let (lib, plugins) = (dir.dir("lib"), dir.dir("plugins"));
    plugin(&lib, "deep", 30, None);
    // No DT_RUNPATH: only the table knows where libdeep.so is.
    let path = plugin(&plugins, "wide", 12, Some((&lib, "deep")));
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    refused_then_updated(&exe, &["--lib-dir", lib.to_str().unwrap()]);
    run(Command::new(&exe).arg(&path)).success().prints("42\n");
}

#[test]
fn a_plugin_with_its_own_runpath_uses_it() {
    let dir = Scratch::new();
    let (lib, plugins) = (dir.dir("lib"), dir.dir("plugins"));
    plugin(&plugins.join("private"), "near", 3, None);
    let near = plugins.join("private");
    let source = "int near(void); int plug(void) { return near(); }";
    let args = [
        &format!("-L{}", near.display()),
        "-lnear",
        "-Wl,-rpath,$ORIGIN/private",
    ];
    let path = shared(&plugins.join("libuser.so.c"), source, &args);
    let exe = indirect(&dir.join("open.c"), OPENER, &[]);
    refused_then_updated(&exe, &["--lib-dir", lib.to_str().unwrap()]);
    run(Command::new(&exe).arg(&path)).success().prints("3\n");
}

#[test]
fn dlsym_dladdr_and_dl_iterate_phdr_tell_the_same() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    plugin(&lib, "probe", 8, None);
    let source = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
int probe(void);
int exported(void) { return 11; }
static const char *base(const char *path) { const char *slash = strrchr(path, '/'); return slash ? slash + 1 : path; }
static int each(struct dl_phdr_info *info, size_t size, void *data) {
    int loads = 0, dynamic = 0;
    /* A bound plan has one object more. */
    if (strstr(info->dlpi_name, "/libindir-bind.so")) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        loads += info->dlpi_phdr[i].p_type == PT_LOAD;
        dynamic += info->dlpi_phdr[i].p_type == PT_DYNAMIC;
    }
    printf("object %s %d %d\n", base(info->dlpi_name), loads, dynamic);
    if (!*info->dlpi_name) {
        int inside = 0;
        for (int i = 0; i < info->dlpi_phnum; i++) {
            const ElfW(Phdr) *p = &info->dlpi_phdr[i];
            char *start = (char *)info->dlpi_addr + p->p_vaddr;
            if (p->p_type == PT_LOAD) inside += (char *)exported >= start && (char *)exported < start + p->p_memsz;
        }
        printf("main inside %d\n", inside);
    }
    return 0;
}
int main(void) {
    Dl_info info;
    struct link_map *map;
    printf("%d\n", ((int (*)(void))dlsym(RTLD_DEFAULT, "exported"))());
    printf("%d\n", ((int (*)(void))dlsym(RTLD_DEFAULT, "probe"))());
    printf("%d\n", ((size_t (*)(const char *))dlsym(RTLD_NEXT, "strlen"))("four") == 4);
    printf("%d\n", dlvsym(RTLD_DEFAULT, "memcpy", "GLIBC_2.14") != NULL);
    printf("%s\n", dladdr((void *)probe, &info) ? base(info.dli_fname) : "none");
    printf("%s\n", info.dli_sname);
    printf("%s\n", dladdr((void *)exported, &info) ? info.dli_sname : "none");
    printf("base %d\n", info.dli_fbase != NULL && !memcmp(info.dli_fbase, "\177ELF", 4));
    void *self = dlopen(NULL, RTLD_NOW);
    if (dlinfo(self, RTLD_DI_LINKMAP, &map)) return 1;
    printf("map %s\n", map->l_name);
    dl_iterate_phdr(each, NULL);
}
"#;
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let args = [pie, "-Wl,--export-dynamic", "-lprobe"];
        let twins = Twins::with_libraries(&dir, "symbols.c", source, &args, Some(&lib));
        twins
            .agree(&[])
            .success()
            .out_has("11\n8\n1\n1\nlibprobe.so\nprobe\nexported\nbase 1\nmap \n")
            .out_has("main inside 1\n");
    }
}
