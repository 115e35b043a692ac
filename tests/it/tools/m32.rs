//! 32-bit programs and libraries on the same system are left alone.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::link::{LINKERS, facts};
use crate::support::program::Twins;
use crate::support::{Scratch, b_flag, indir, need, run};

const SOURCE: &str = "#include <stdio.h>\nint main(void) { printf(\"%zu\\n\", sizeof(void *)); }\n";

/// Compiles for i386.
#[track_caller]
fn i386(output: PathBuf, args: &[&str], source: &str) -> PathBuf {
    let file = output.with_extension("c");
    std::fs::create_dir_all(output.parent().unwrap()).unwrap();
    std::fs::write(&file, source).unwrap();
    run(
        Command::new(need("gcc", "gcc libc6-dev-i386 lib32gcc-12-dev"))
            .args(["-m32", "-o"])
            .arg(&output)
            .arg(&file)
            .args(args),
    )
    .success();
    output
}

#[test]
fn links_of_32_bit_programs_are_left_alone() {
    let dir = Scratch::new();
    let b = b_flag();
    for (linker, package) in LINKERS {
        need(&format!("ld.{linker}"), package);
        let fuse = format!("-fuse-ld={linker}");
        let plain = i386(dir.join(linker).join("plain"), &[&fuse], SOURCE);
        let through = i386(dir.join(linker).join("through"), &[&fuse, &b], SOURCE);
        run(&mut Command::new(&through)).success().prints("4\n");
        let seen = facts(&through);
        assert_eq!(seen.reference, None, "{linker}");
        assert_eq!(
            seen.interpreter.as_deref(),
            Some("/lib/ld-linux.so.2"),
            "{linker}"
        );
        assert_eq!(seen.needed, facts(&plain).needed, "{linker}");
        assert!(!dir.join(linker).join(".indir").exists(), "{linker}");
    }
}

#[test]
fn tools_refuse_32_bit_programs_and_pass_over_them_in_folders() {
    let dir = Scratch::new();
    let twins = Twins::new(&dir, "wide.c", SOURCE, &[]);
    let folder = twins.indirect.parent().unwrap();
    let narrow = i386(folder.join("narrow"), &[], SOURCE);
    let before = std::fs::read(&narrow).unwrap();
    let what = format!("`{}`: not a 64-bit", narrow.display());

    let copy = dir.join("copy");
    let (in_place, out) = (OsStr::new("--in-place"), OsStr::new("-o"));
    for args in [
        vec![in_place, narrow.as_os_str()],
        vec![out, copy.as_os_str(), narrow.as_os_str()],
    ] {
        adopt(args).exits(1).err_is_one_line().err_has(&what);
    }
    assert!(!copy.exists());
    run(indir().arg("update").arg(&narrow))
        .exits(1)
        .err_has(&what);
    for command in ["update", "verify"] {
        let ran = run(indir().arg(command).arg(folder));
        assert!(!ran.success().stderr().contains("narrow"), "{ran}");
    }
    assert_eq!(std::fs::read(&narrow).unwrap(), before);
    run(&mut Command::new(&narrow)).success().prints("4\n");
    run(&mut Command::new(&twins.indirect))
        .success()
        .prints("8\n");
}

#[test]
fn libraries_for_another_width_are_passed_over() {
    let dir = Scratch::new();
    let lib = dir.dir("lib");
    crate::support::program::shared(
        &lib.join("libshade.so.c"),
        "int shade(void) { return 64; }",
        &["-Wl,-soname,libshade.so"],
    );
    let args = ["-shared", "-fPIC", "-Wl,-soname,libshade.so"];
    let narrow = i386(
        dir.join("lib32/libshade.so"),
        &args,
        "int shade(void) { return 32; }",
    );
    let source =
        "#include <stdio.h>\nint shade(void); int main(void) { printf(\"%d\\n\", shade()); }";
    let twins = Twins::with_libraries(&dir, "shade.c", source, &["-lshade"], Some(&lib));
    let folder = narrow.parent().unwrap();
    // As ld.so does with LD_LIBRARY_PATH, whoever is asked first.
    let start = |exe: &Path| run(Command::new(exe).env("LD_LIBRARY_PATH", folder));
    for exe in [&twins.ordinary, &twins.indirect, &twins.bound] {
        start(exe).success().prints("64\n");
    }
    for plan in ["direct", "bound"] {
        run(indir()
            .arg("update")
            .arg(&twins.indirect)
            .args([OsStr::new("--lib-dir"), folder.as_os_str()])
            .args([OsStr::new("--lib-dir"), lib.as_os_str()])
            .args(["--plan", plan]))
        .success();
        start(&twins.indirect).success().prints("64\n");
    }
    // A 32-bit one alone does not satisfy.
    run(indir()
        .arg("update")
        .arg(&twins.indirect)
        .args([OsStr::new("--lib-dir"), folder.as_os_str()])
        .args(["--plan", "direct"]))
    .exits(1)
    .err_has("`libshade.so`, needed by ")
    .err_has(&format!("passed over `{}`: not a 64-bit", narrow.display()));
}
