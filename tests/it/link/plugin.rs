//! The linker plugin, in the two linkers that load it.

use std::path::Path;
use std::process::Command;

use crate::support::link::facts;
use crate::support::{Scratch, need, prefix, run, shim};

fn plugin() -> String {
    format!(
        "-Wl,-plugin,{}/lib/indir/libindir-ld-plugin.so",
        prefix().display()
    )
}

/// An ordinary compiler over an ordinary linker, with the plugin.
fn link(linker: &str, args: &[&str], source: &Path, out: &Path) -> Command {
    let mut command = Command::new("gcc");
    command
        .arg(format!("-fuse-ld={linker}"))
        .arg(plugin())
        .arg(format!(
            "-Wl,-dynamic-linker,{},--build-id=sha1",
            shim().display()
        ))
        .args(args)
        .arg(source)
        .arg("-o")
        .arg(out);
    command
}

#[test]
fn an_executable_gets_the_note() {
    let scratch = Scratch::new();
    let temporary = scratch.dir("tmp");
    let source = scratch.file("a.c", "int main(void) { return 6; }\n");
    for linker in ["bfd", "gold"] {
        for mode in ["-pie", "-no-pie"] {
            let exe = scratch.join(format!("{linker}{mode}"));
            run(link(linker, &[mode], &source, &exe).env("TMPDIR", &temporary)).success();
            let facts = facts(&exe);
            assert_eq!(facts.reference.as_deref(), Some("$ORIGIN/.indir/$ID"));
            assert!(!facts.executable_stack);
            assert_eq!(
                std::fs::read_dir(&temporary).unwrap().count(),
                0,
                "{linker}"
            );

            let option = "-Wl,-plugin-opt,table=/tables/$ID";
            run(&mut link(linker, &[mode, option], &source, &exe)).success();
            assert_eq!(
                crate::support::link::facts(&exe).reference.as_deref(),
                Some("/tables/$ID")
            );
        }
    }
}

#[test]
fn it_runs_with_a_table() {
    let scratch = Scratch::new();
    let source = scratch.file("a.c", "int main(void) { return 6; }\n");
    for linker in ["bfd", "gold"] {
        let exe = scratch.join(linker);
        run(&mut link(linker, &[], &source, &exe)).success();
        run(&mut Command::new(&exe)).exits(6);
        run(crate::support::indir().arg("update").arg(&exe)).success();
        run(&mut Command::new(&exe)).exits(6);
        // As the option says, so does the note.
        let option = "-Wl,-plugin-opt,interpreter=/nowhere/ld.so";
        run(&mut link(linker, &[option], &source, &exe)).success();
        let recorded = facts(&exe).recorded;
        assert_eq!(recorded.as_deref(), Some("/nowhere/ld.so"));
        run(&mut Command::new(&exe)).exits(127).err_is_one_line();
    }
}

#[test]
fn other_outputs_are_left_alone() {
    let scratch = Scratch::new();
    let source = scratch.file("a.c", "int f(void) { return 6; }\n");
    let out = scratch.join("out");
    for linker in ["bfd", "gold"] {
        run(&mut link(linker, &["-shared", "-fPIC"], &source, &out)).success();
        assert_eq!(facts(&out).reference, None, "{linker}");
    }
}

#[test]
fn wrong_options_are_refused() {
    let scratch = Scratch::new();
    let source = scratch.file("a.c", "int main(void) { return 6; }\n");
    let out = scratch.join("out");
    for linker in ["bfd", "gold"] {
        for (option, message) in [
            ("tables=/x", "unknown option `tables=/x`"),
            ("table=x/y", "table=`x/y` neither is an absolute path"),
            ("interpreter=ld.so", "`ld.so` is not an absolute path"),
        ] {
            let flag = format!("-Wl,-plugin-opt,{option}");
            let ran = run(&mut link(linker, &[&flag], &source, &out));
            ran.exits(1).err_has(message);
            assert!(!out.exists(), "{linker}");
        }
    }
}

/// The declarations in linker-plugin/src/api.rs against the C header.
#[test]
fn declarations_agree_with_the_header() {
    need("ld.bfd", "binutils");
    let header = Path::new("/usr/include/plugin-api.h");
    assert!(
        header.is_file(),
        "{}: apt-get install binutils-dev",
        header.display()
    );
    let bindings = bindgen::Builder::default()
        .header(header.to_str().unwrap())
        .clang_args(["-DHAVE_STDINT_H", "-DHAVE_INTTYPES_H"])
        .default_enum_style(bindgen::EnumVariation::Consts)
        .prepend_enum_name(false)
        .layout_tests(true)
        .generate()
        .expect("bindgen reads the header (apt-get install libclang1)")
        .to_string();
    let ours = include_str!("../../../linker-plugin/src/api.rs");
    let mut compared = 0;
    for line in ours.lines() {
        let Some(rest) = line.strip_prefix("pub const ") else {
            continue;
        };
        let (name, rest) = rest.split_once(':').unwrap();
        let value = rest.split_once("= ").unwrap().1;
        let start = format!("pub const {name}: ");
        let theirs = bindings
            .lines()
            .find(|line| line.trim_start().starts_with(&start))
            .unwrap_or_else(|| panic!("{name} is not in the header"));
        assert!(
            theirs.ends_with(&format!("= {value}")),
            "{theirs} and {line}"
        );
        compared += 1;
    }
    assert!(compared >= 10, "only {compared} constants were compared");
    // Layout and signatures: a Rust compiler has to accept ours where the
    // header's are wanted.
    let scratch = Scratch::new();
    scratch.file("api.rs", ours);
    scratch.file("header.rs", &bindings);
    let check = scratch.file(
        "check.rs",
        "#![allow(warnings)]\n\
        mod api;\nmod header;\n\
        use std::mem::{offset_of, size_of, align_of, transmute};\n\
        const _: () = {\n\
            assert!(size_of::<api::Element>() == size_of::<header::ld_plugin_tv>());\n\
            assert!(align_of::<api::Element>() == align_of::<header::ld_plugin_tv>());\n\
            assert!(offset_of!(api::Element, tag) == offset_of!(header::ld_plugin_tv, tv_tag));\n\
            assert!(offset_of!(api::Element, value) == offset_of!(header::ld_plugin_tv, tv_u));\n\
            assert!(size_of::<api::Value>() == size_of::<header::ld_plugin_tv__bindgen_ty_1>());\n\
        };\n\
        // bindgen calls an enum unsigned; everything else must be the same type.\n\
        type Status = header::ld_plugin_status;\n\
        fn add(f: header::ld_plugin_add_input_file)\n\
            -> Option<unsafe extern \"C\" fn(*const std::ffi::c_char) -> Status> { f }\n\
        fn message(f: header::ld_plugin_message)\n\
            -> Option<unsafe extern \"C\" fn(i32, *const std::ffi::c_char, ...) -> Status> { f }\n\
        fn hook(f: header::ld_plugin_all_symbols_read_handler)\n\
            -> Option<unsafe extern \"C\" fn() -> Status> { f }\n\
        fn cleanup(f: header::ld_plugin_cleanup_handler)\n\
            -> Option<unsafe extern \"C\" fn() -> Status> { f }\n\
        fn read(f: header::ld_plugin_register_all_symbols_read) -> Option<unsafe extern \"C\" fn(\n\
            header::ld_plugin_all_symbols_read_handler) -> Status> { f }\n",
    );
    run(Command::new("rustc")
        .args([
            "--edition",
            "2024",
            "--crate-type",
            "lib",
            "--emit",
            "metadata",
            "--out-dir",
        ])
        .arg(scratch.path())
        .arg(&check))
    .success();
}
