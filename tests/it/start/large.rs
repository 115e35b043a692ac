//! As many libraries as a table can name, and constructors in the order of an
//! ordinary start by either of glibc's two ways of sorting.

use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::program::{ordinary, shared};
use crate::support::{Scratch, cc, indir, need, run};

#[test]
fn two_thousand_libraries_under_long_paths_fit_a_table() {
    const COUNT: usize = 2000;
    let dir = Scratch::new();
    let folder = dir.dir("x".repeat(150));
    let source = dir.file(
        "f.c",
        "static int f(void) { return 1; } int (*g)(void) = f;",
    );
    let object = dir.join("f.o");
    cc([
        "-c",
        "-fPIC",
        "-o",
        object.to_str().unwrap(),
        source.to_str().unwrap(),
    ]);
    let ld = need("ld", "binutils");
    let mut arguments = String::new();
    for index in 0..COUNT {
        let name = format!("liblibrary{index}.so");
        let library = folder.join(&name);
        // Copies of one would be one object with other names: ld.so goes by inode.
        run(Command::new(&ld)
            .args(["-shared", "--build-id=none", "-soname", &name, "-o"])
            .args([&library, &object]))
        .success();
        arguments.push_str(library.to_str().unwrap());
        arguments.push('\n');
    }
    let list = dir.file("list", &arguments);
    let (list, rpath) = (
        format!("@{}", list.display()),
        format!("-Wl,-rpath,{}", folder.display()),
    );
    let args = ["-Wl,--no-as-needed", &list, &rpath];
    let exe = ordinary(&dir.join("p.c"), "int main(void) { return 0; }", &args);
    run(&mut Command::new(&exe)).success();
    let out = dir.join("adopted");
    adopt(["-o", out.to_str().unwrap(), exe.to_str().unwrap()]).success();
    run(&mut Command::new(&out)).success();
    let shown = run(indir().arg("show").arg(&out));
    shown
        .success()
        .out_has(&format!("libraries   {}", COUNT + 2));
    // The folder is searched once.
    let search = format!("search      {}", folder.display());
    assert_eq!(shown.stdout().matches(&search).count(), 1);
    run(indir().arg("verify").arg(&out)).success().prints("");
}

#[test]
fn constructors_run_in_the_order_of_an_ordinary_start() {
    // Who needs whom: circles, and one library that is initialised first.
    let needs: [&[usize]; 4] = [&[2, 1], &[0], &[3, 0, 1], &[2, 0]];
    let dir = Scratch::new();
    let source = |index: usize| {
        format!(
            "#include <stdio.h>\n__attribute__((constructor)) static void c(void) {{ printf(\"+{index} \"); fflush(stdout); }}
            __attribute__((destructor)) static void d(void) {{ printf(\"-{index} \"); fflush(stdout); }}
            int f{index}(void) {{ return 1; }}"
        )
    };
    let name = |index: usize| {
        dir.join(format!("lib{index}.so"))
            .to_str()
            .unwrap()
            .to_owned()
    };
    let soname = |index: usize| format!("-Wl,-soname,lib{index}.so");
    for index in 0..needs.len() {
        shared(
            &dir.join(format!("lib{index}.so.c")),
            &source(index),
            &[&soname(index)],
        );
    }
    for (index, needs) in needs.iter().enumerate() {
        let mut args = vec!["-Wl,--no-as-needed".to_owned(), soname(index)];
        args.extend(needs.iter().map(|&need| name(need)));
        if index == 3 {
            args.push("-Wl,-z,initfirst".to_owned());
        }
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let made = shared(&dir.join(format!("new{index}.so.c")), &source(index), &args);
        std::fs::rename(made, dir.join(format!("new{index}"))).unwrap();
    }
    for index in 0..needs.len() {
        std::fs::rename(dir.join(format!("new{index}")), name(index)).unwrap();
    }
    for order in [[3, 2, 0], [0, 1, 2], [2, 3, 1]] {
        let mut args = vec![
            "-Wl,--no-as-needed".to_owned(),
            "-Wl,--disable-new-dtags,-rpath,$ORIGIN".to_owned(),
        ];
        args.extend(order.iter().map(|&index| name(index)));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let exe = ordinary(&dir.join("p.c"), "int main(void) { return 0; }", &args);
        let out = dir.join("adopted");
        adopt(["-o", out.to_str().unwrap(), exe.to_str().unwrap()]).success();
        for plan in ["direct", "bound"] {
            run(indir().arg("update").args(["--plan", plan]).arg(&out)).success();
            for sort in ["1", "2"] {
                let tunables = ("GLIBC_TUNABLES", format!("glibc.rtld.dynamic_sort={sort}"));
                let start = |exe| run(Command::new(exe).env(tunables.0, &tunables.1));
                let ordinary = start(&exe);
                start(&out).success().prints(&ordinary.success().stdout());
            }
        }
    }
}
