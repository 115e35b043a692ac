//! A program and its library in several builds, one update away from each other.

use std::path::{Path, PathBuf};

use crate::support::{Ran, Scratch, b_flag, cc, indir, run};

/// A program with one library, `libfoo.so`, in several builds.
pub(super) struct Tree(pub(super) Scratch);

impl Tree {
    pub(super) fn new() -> Self {
        Self(Scratch::new())
    }

    /// Builds `FOLDER/libfoo.so` from `source`, with a version script if one is
    /// given, and returns the folder.
    pub(super) fn library(&self, folder: &str, source: &str, versions: &str) -> PathBuf {
        let dir = self.0.dir(folder);
        let source = self.0.file(format!("{folder}.c"), source);
        let mut args = vec![
            "-shared".into(),
            "-fPIC".into(),
            "-Wl,-soname,libfoo.so".into(),
            "-o".into(),
            text(&dir.join("libfoo.so")),
            text(&source),
        ];
        if !versions.is_empty() {
            let script = self.0.file(format!("{folder}.map"), versions);
            args.push(format!("-Wl,--version-script,{}", text(&script)));
        }
        cc(args);
        dir
    }

    /// Links `prog` against the library in `folder`, indirect.
    pub(super) fn program(&self, folder: &Path, source: &str, flags: &[&str]) -> PathBuf {
        let program = self.0.join("prog");
        let source = self.0.file("prog.c", source);
        let mut args = vec![b_flag(), "-o".into(), text(&program), text(&source)];
        args.extend([format!("-L{}", text(folder)), "-lfoo".into()]);
        args.extend(flags.iter().map(ToString::to_string));
        cc(args);
        program
    }
}

pub(super) fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

pub(super) fn update(program: &Path, folder: &Path) -> Ran {
    run(indir()
        .arg("update")
        .arg(program)
        .arg("--lib-dir")
        .arg(folder))
}

/// The bytes of the only table beside `program`.
pub(super) fn table(program: &Path) -> Vec<u8> {
    let folder = program.parent().unwrap().join(".indir");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    // What `update --undo` would go back to is kept beside it.
    files.retain(|file| file.extension().is_none_or(|end| end != "last"));
    assert_eq!(files.len(), 1, "{files:?}");
    std::fs::read(files.remove(0)).unwrap()
}
