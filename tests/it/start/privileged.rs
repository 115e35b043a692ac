//! AT_SECURE: what other users could turn on the way to a file, and what
//! children of a set-user-ID program inherit.

use std::process::Command;

use super::secure::{GOOD, Setuid, as_nobody, distrusted, give_to_nobody, mode, shade};
use crate::support::program::{indirect_with, update};
use crate::support::run;

#[test]
fn a_symbolic_link_on_the_way_must_be_roots() {
    let setuid = Setuid::new();
    let shared = setuid.ground.dir("shared");
    let link = shared.join("link");
    std::os::unix::fs::symlink(&setuid.lib, &link).unwrap();
    nix::unistd::fchownat(
        nix::fcntl::AT_FDCWD,
        &link,
        Some(nix::unistd::Uid::from_raw(65_534)),
        None,
        nix::fcntl::AtFlags::AT_SYMLINK_NOFOLLOW,
    )
    .unwrap();
    // In a folder of root's the link is nobody's all the same.
    update(&setuid.exe, &["--lib-dir", link.to_str().unwrap()]);
    let refused = || {
        distrusted(
            &as_nobody(&setuid.exe, &[], &[]),
            &setuid.exe,
            "not trusted: ",
        )
    };
    refused();
    // A link of root's will do, but not where others could have put it.
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("../lib", &link).unwrap();
    as_nobody(&setuid.exe, &[], &[]).success().prints(GOOD);
    mode(&shared, 0o1777);
    refused();
    // Links that go round in circles end.
    mode(&shared, 0o755);
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink("link", &link).unwrap();
    refused();
}

#[test]
fn a_link_that_others_turn_all_the_time_is_never_followed() {
    let setuid = Setuid::new();
    let shared = setuid.ground.dir("shared");
    mode(&shared, 0o1777);
    let evil = setuid.ground.dir("evil");
    shade(&evil, "evil");
    give_to_nobody(&evil);
    let link = shared.join("link");
    std::os::unix::fs::symlink(&setuid.lib, &link).unwrap();
    update(&setuid.exe, &["--lib-dir", link.to_str().unwrap()]);
    let other = shared.join("other");
    std::os::unix::fs::symlink(&evil, &other).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let flags = RenameFlags::RENAME_EXCHANGE;
                renameat2(AT_FDCWD, &link, AT_FDCWD, &other, flags).unwrap();
            }
        });
        for _ in 0..200 {
            let ran = as_nobody(&setuid.exe, &[], &[]);
            assert!(!ran.stdout().contains("evil"), "{ran}");
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn children_of_a_set_user_id_program_do_not_see_our_variables() {
    let setuid = Setuid::new();
    let b = format!("-B{}", setuid.ground.join("prefix/libexec/indir").display());
    let source = "#include <stdio.h>\n#include <stdlib.h>\n#include <sys/auxv.h>\n\
        #include <unistd.h>\nextern char **environ;\n\
        int main(void) { for (char **e = environ; *e; e++) puts(*e);\n\
        printf(\"%lu %s\\n\", getauxval(AT_PAGESZ), getenv(\"KEPT\"));\n\
        fflush(stdout); execl(\"/usr/bin/env\", \"env\", NULL); }\n";
    let exe = indirect_with(&b, &setuid.ground.join("bin/wrapper.c"), source, &[]);
    update(&exe, &[]);
    mode(&exe, 0o4755);
    let env = [
        ("INDIR_TABLES", "/x"),
        ("FIRST", "1"),
        ("INDIR_TABLE", "/x"),
        ("INDIR_DEBUG", "1"),
        ("KEPT", "yes"),
        ("INDIR_NEW", ""),
    ];
    let ran = as_nobody(&exe, &[], &env);
    ran.success().out_has("4096 yes\n").out_has("FIRST=1\n");
    assert!(!ran.stdout().contains("INDIR_"), "{ran}");
    assert_eq!(ran.stdout().matches("KEPT=yes").count(), 2, "{ran}");
    // Without privileges they stay.
    mode(&exe, 0o755);
    as_nobody(&exe, &[], &[("INDIR_NEW", "x")])
        .success()
        .out_has("INDIR_NEW=x\n");
    run(&mut Command::new(&exe)).success();
}
