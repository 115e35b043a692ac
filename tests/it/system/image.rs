//! Images that start with few files: what `indir files` lists is enough.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::adopt::adopt;
use crate::support::program::{linked, table_of};
use crate::support::{Scratch, indir, need, prefix, run};

fn listed(exe: &Path) -> Vec<PathBuf> {
    let ran = run(indir().arg("files").arg(exe));
    ran.success();
    ran.stdout().lines().map(PathBuf::from).collect()
}

/// Copies `files`, and nothing else, below `root`.
fn copy(files: &[PathBuf], root: &Path) {
    for file in files {
        let to = root.join(file.strip_prefix("/").unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(file, to).unwrap();
    }
}

#[test]
fn what_is_listed_suffices() {
    let dir = Scratch::new();
    let hello = "#include <stdio.h>\nint main(void) { puts(\"hello\"); }";
    let plain = linked(&dir.join("plain/hello.c"), hello, &[]);
    let direct = linked(&dir.join("direct/hello.c"), hello, &[]);
    let bound = linked(&dir.join("bound/hello.c"), hello, &[]);
    for (exe, plan) in [(&direct, "direct"), (&bound, "bound")] {
        run(indir().args(["update", "--plan", plan]).arg(exe)).success();
    }
    let adopted = dir.dir("adopted").join("sha256sum");
    adopt([Path::new("-o"), &adopted, &need("sha256sum", "coreutils")]).success();
    for (exe, count) in [(&plain, 4), (&direct, 5), (&bound, 7), (&adopted, 5)] {
        let files = listed(exe);
        assert!(files.len() >= count, "{files:?}");
        assert_eq!(files[0], *exe);
        assert_eq!(files.contains(&table_of(exe)), table_of(exe).exists());
        let root = dir.dir(format!(
            "root-{}",
            exe.parent().unwrap().file_name().unwrap().to_str().unwrap()
        ));
        copy(&files, &root);
        let ran = run(Command::new("chroot").arg(&root).arg(exe).arg("--version"));
        ran.success();
        assert!(!ran.stdout().is_empty());
    }
    let json = run(indir().args(["files", "--json"]).arg(&bound))
        .success()
        .stdout();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let kinds: Vec<_> = json["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds[..6],
        ["executable", "table", "bindings", "shim", "binder", "ld.so"]
    );
    run(indir().args(["files", "/bin/true"]))
        .exits(1)
        .err_is_one_line()
        .err_has("not indirect");
    run(indir().arg("seal").arg(&plain)).success();
    run(indir().arg("files").arg(&plain))
        .exits(1)
        .err_is_one_line()
        .err_has("indir update");
}

/// The hooks on a tree as initramfs-tools and dracut hand it over, and what they make of
/// a program: it starts there.
#[test]
fn hooks_complete_a_tree() {
    let dir = Scratch::new();
    let exe = dir.dir("bin").join("sha256sum");
    adopt([Path::new("-o"), &exe, &need("sha256sum", "coreutils")]).success();
    let share = prefix().join("share/indir");
    let dracut = share.join("dracut/99indir");
    let scripts = [
        (
            "initramfs-tools",
            format!("DESTDIR=$ROOT {}/initramfs-tools/indir", share.display()),
        ),
        (
            "dracut",
            format!(
                "initdir=$ROOT moddir={0}; . {0}/module-setup.sh; check && depends && install",
                dracut.display()
            ),
        ),
    ];
    for (name, script) in scripts {
        let root = dir.dir(name);
        copy(std::slice::from_ref(&exe), &root);
        run(Command::new("bash")
            .args(["-c", &script])
            .env("ROOT", &root))
        .success();
        let ran = run(Command::new("chroot").arg(&root).arg(&exe).arg("--version"));
        ran.success().out_has("coreutils");
    }
}

/// A whole image by initramfs-tools, unpacked.
#[test]
fn an_initramfs_has_what_its_programs_need() {
    need("mkinitramfs", "initramfs-tools-core");
    need("unmkinitramfs", "initramfs-tools-core");
    let dir = Scratch::new();
    let exe = dir.dir("bin").join("sha256sum");
    adopt([Path::new("-o"), &exe, &need("sha256sum", "coreutils")]).success();
    let conf = dir.dir("conf");
    let confs = run(Command::new("cp")
        .args(["-rT", "/etc/initramfs-tools"])
        .arg(&conf));
    confs.success();
    let put = |name: &str, text: &str| {
        let path = dir.file(format!("conf/hooks/{name}"), text);
        run(Command::new("chmod").arg("+x").arg(path)).success();
    };
    put(
        "a-program",
        &format!(
            "#!/bin/sh\n[ \"$1\" = prereqs ] && exit 0\n. /usr/share/initramfs-tools/hook-functions\n\
             mkdir -p \"$DESTDIR{0}\"\ncp {1} \"$DESTDIR{1}\"\n",
            exe.parent().unwrap().display(),
            exe.display()
        ),
    );
    let hook = prefix().join("share/indir/initramfs-tools/indir");
    std::os::unix::fs::symlink(hook, conf.join("hooks/indir")).unwrap();
    let (image, root) = (dir.join("image"), dir.join("root"));
    // No kernel is needed for what it is about.
    let modules = Path::new("/lib/modules/0-indir-test");
    std::fs::create_dir_all(modules).unwrap();
    for name in ["modules.order", "modules.builtin"] {
        std::fs::write(modules.join(name), "").unwrap();
    }
    std::fs::write("/boot/config-0-indir-test", "CONFIG_RD_GZIP=y\n").unwrap();
    let made = run(Command::new("mkinitramfs")
        .arg("-d")
        .arg(&conf)
        .arg("-o")
        .arg(&image)
        .arg("0-indir-test"));
    std::fs::remove_dir_all(modules).unwrap();
    std::fs::remove_file("/boot/config-0-indir-test").unwrap();
    made.success();
    run(Command::new("unmkinitramfs").args([&image, &root])).success();
    let root = if root.join("main").is_dir() {
        root.join("main")
    } else {
        root
    };
    run(Command::new("chroot").arg(&root).arg(&exe).arg("--version"))
        .success()
        .out_has("coreutils");
}

/// A whole image by dracut, unpacked: a program of a module, and one of `--install`.
#[test]
fn an_image_of_dracut_has_what_its_programs_need() {
    need("dracut", "dracut-core");
    let dir = Scratch::new();
    let programs = ["sha256sum", "sha1sum"].map(|name| {
        let exe = dir.dir("bin").join(name);
        adopt([Path::new("-o"), &exe, &need(name, "coreutils")]).success();
        exe
    });
    let base = dir.join("dracut");
    run(Command::new("cp")
        .args(["-rs", "/usr/lib/dracut"])
        .arg(&base))
    .success();
    let hook = prefix().join("share/indir/dracut/99indir");
    std::os::unix::fs::symlink(hook, base.join("modules.d/99indir")).unwrap();
    let module = format!(
        "check() {{ return 0; }}\ndepends() {{ return 0; }}\n\
         install() {{ inst_multiple {}; }}\n",
        programs[0].display()
    );
    dir.file("dracut/modules.d/90part/module-setup.sh", module);
    let image = dir.join("image");
    run(Command::new("dracut")
        .args(["--force", "--no-kernel", "--no-hostonly"])
        .args(["--conf", "/dev/null", "--confdir"])
        .arg(dir.dir("conf"))
        .arg("--tmpdir")
        .arg(dir.dir("tmp"))
        .args(["-m", "part indir", "--install"])
        .args([&programs[1], &image])
        .arg("0-indir-test")
        .env("dracutbasedir", &base))
    .success();
    let root = dir.dir("root");
    run(Command::new("lsinitrd")
        .arg("--unpack")
        .arg(&image)
        .current_dir(&root))
    .success();
    for exe in programs {
        run(Command::new("chroot").arg(&root).arg(exe).arg("--version"))
            .success()
            .out_has("coreutils");
    }
}
