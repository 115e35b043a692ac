//! Real programs, bound under each glibc: what ld.so still looks up at start.

use std::process::Command;

use super::binder::{applied, relocations};
use crate::resolve::oracle::named;
use crate::support::{Scratch, glibc_lib, indir, run, shim};

/// Most symbols that ld.so may look up in a bound start.
const LEFT: usize = 150;

#[test]
fn large_programs_leave_next_to_nothing_to_look_up_under_any_glibc() {
    let mut table = String::new();
    for program in named() {
        let name = program.file_name().unwrap();
        for release in ["bookworm", "trixie", "sid"] {
            let dir = Scratch::new();
            let exe = dir.join(name);
            let glibc = glibc_lib(release);
            run(indir()
                .arg("adopt")
                .arg("--indir-shim")
                .arg(shim())
                .arg("--lib-dir")
                .arg(&glibc)
                .arg("-o")
                .args([&exe, &program]))
            .success();
            run(indir().args(["update", "--plan", "bound"]).arg(&exe)).success();
            let version = if name == "ffmpeg" {
                "-version"
            } else {
                "--version"
            };
            let command = |direct: bool| {
                let mut command = Command::new(&exe);
                command.arg(version).env("INDIR_DEBUG", "1");
                if direct {
                    // Everything that it looks up, first calls included.
                    command.env("INDIR_DISABLE_BINDINGS", "1");
                    command.env("LD_BIND_NOW", "1");
                }
                command
            };
            let ran = run(&mut command(false));
            assert!(applied(ran.success()), "{name:?}, {release}: {ran}");
            let (direct, bound) = (
                relocations(&mut command(true)),
                relocations(&mut command(false)),
            );
            table += &format!(
                "{} {release}: {direct} direct, {bound} bound\n",
                name.display()
            );
            assert!(direct > LEFT, "{name:?}, {release}: {direct}");
            assert!(bound <= LEFT, "{name:?}, {release}: {bound}");
        }
    }
    println!("{table}");
}
