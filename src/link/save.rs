//! `INDIR_SAVE_LINK=DIR`: keeps a link, for bug reports and measurements.
//!
//! DIR gets `root/`, a copy of every file that the link reads under its
//! absolute path, which serves as the sysroot; `args`, the command line as a
//! response file; and `run-with`, a script that runs the link again. A DIR that
//! holds a link already is kept, and DIR.2, DIR.3 … are tried. Not copied are
//! the members of thin archives and the compiler's own plugins.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use fs_err as fs;

use super::options::{Item, What};
use super::{real, response};

/// The environment variable that names the folder.
pub(super) const VARIABLE: &str = "INDIR_SAVE_LINK";

/// What a link depends on besides its command line: GCC talks to its plugin
/// through the environment.
const ENVIRONMENT: &[&str] = &[
    "COLLECT_GCC",
    "COLLECT_GCC_OPTIONS",
    "COLLECT_LTO_WRAPPER",
    "COMPILER_PATH",
    "LD_RUN_PATH",
];
/// Most folders tried beside a DIR that is taken.
const MAX_FOLDERS: usize = 100_000;

/// Keeps the link of `items` by `linker` in `folder`.
///
/// # Errors
/// When something cannot be copied or written.
pub(super) fn save(folder: &Path, linker: &Path, items: &[Item]) -> anyhow::Result<()> {
    let (folder, script) = claim(folder)?;
    let root = folder.join("root");
    fs::create_dir_all(folder.join("out"))?;
    let read = inputs(linker, items)?;
    for file in &read {
        copy(file, &root)?;
    }
    let args = arguments(items, &read, &root)?;
    fs::write(
        folder.join("args"),
        response::quote(args.iter().map(OsString::as_os_str)),
    )?;
    let mut script = script;
    script.write_all(&run_with(linker, items)?)?;
    Ok(())
}

/// A folder without a saved link in it, and its `run-with`, new and empty.
fn claim(folder: &Path) -> anyhow::Result<(PathBuf, std::fs::File)> {
    for number in 1..MAX_FOLDERS {
        let mut name = folder.as_os_str().to_os_string();
        if number > 1 {
            name.push(format!(".{number}"));
        }
        let folder = PathBuf::from(name);
        fs::create_dir_all(&folder)?;
        let script = folder.join("run-with");
        let mut options = std::fs::OpenOptions::new();
        match options
            .write(true)
            .create_new(true)
            .mode(0o755)
            .open(&script)
        {
            Ok(file) => return Ok((folder, file)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("failed to write `{}`", script.display()));
            }
        }
    }
    bail!("${VARIABLE}: `{}` holds too many links", folder.display())
}

/// Every file that the link reads: those named, and those that the linker says
/// it found, by links of its own into a folder that is thrown away. Undefined
/// symbols, which most links that fail do of, do not hide what was read.
fn inputs(linker: &Path, items: &[Item]) -> anyhow::Result<BTreeSet<PathBuf>> {
    let mut files: BTreeSet<PathBuf> = named(items).filter(|file| file.is_file()).collect();
    let scratch = tempfile::tempdir().context("failed to make a temporary folder")?;
    let list = scratch.path().join("inputs.d");
    let mut args = vec![OsString::from("-o"), scratch.path().join("out").into()];
    args.extend(["--dependency-file".into(), list.clone().into()]);
    for item in items {
        match &item.what {
            what if what.is_own() => {}
            What::Output(_) | What::Writes(_) => {}
            _ => args.extend(item.args.iter().cloned()),
        }
    }
    for lenient in [&[][..], &["--unresolved-symbols=ignore-all"]] {
        args.extend(lenient.iter().map(OsString::from));
        let status = Command::new(linker)
            .arg(at_file(&scratch.path().join("args"), &args)?)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .with_context(|| format!("failed to run `{}`", linker.display()))?;
        if let (true, Ok(rules)) = (status.success(), fs::read(&list)) {
            let found = prerequisites(&rules).into_iter();
            // mold lists the response file too.
            files.extend(found.filter(|file| !file.starts_with(scratch.path())));
            return Ok(files);
        }
    }
    files.extend(libraries(items));
    Ok(files)
}

fn at_file(path: &Path, args: &[OsString]) -> anyhow::Result<OsString> {
    fs::write(path, response::quote(args.iter().map(OsString::as_os_str)))?;
    let mut arg = OsString::from("@");
    arg.push(path);
    Ok(arg)
}

/// The files that the command line names.
fn named(items: &[Item]) -> impl Iterator<Item = PathBuf> {
    items.iter().filter_map(|item| match &item.what {
        What::Input => item.args.first().map(PathBuf::from),
        What::Reads(path) | What::RpathOrSymbols(path) => Some(path.into()),
        _ => None,
    })
}

/// What `-lX` may mean in the `-L` folders.
fn libraries(items: &[Item]) -> impl Iterator<Item = PathBuf> {
    let folders = items.iter().filter_map(|item| match &item.what {
        What::LibraryPath(folder) => Some(Path::new(folder)),
        _ => None,
    });
    folders.flat_map(|folder| {
        let names = items.iter().filter_map(|item| {
            let name = item.args.first()?.as_bytes().strip_prefix(b"-l")?;
            Some(OsStr::from_bytes(name))
        });
        names.flat_map(move |name| {
            ["so", "a"].into_iter().filter_map(move |ending| {
                let mut file = OsString::from("lib");
                file.push(name);
                file.push(".");
                file.push(ending);
                let file = folder.join(file);
                file.is_file().then_some(file)
            })
        })
    })
}

/// The files after the first colon of make rules as linkers write them.
fn prerequisites(rules: &[u8]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut word = Vec::new();
    let mut bytes = rules.iter().copied().chain([b'\n']);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'\n') | None => {}
                Some(next) => word.push(next),
            },
            b' ' | b'\t' | b'\n' => {
                let file = PathBuf::from(OsString::from_vec(std::mem::take(&mut word)));
                if !file.as_os_str().as_bytes().ends_with(b":") && file.is_file() {
                    files.push(file);
                }
            }
            b'$' => word.extend(bytes.next()),
            _ => word.push(byte),
        }
    }
    files
}

/// `path` made absolute, and without `.` and `..`, as a relative path.
fn below(path: &Path) -> anyhow::Result<PathBuf> {
    let absolute = std::path::absolute(path)
        .with_context(|| format!("failed to make `{}` absolute", path.display()))?;
    let mut out = PathBuf::new();
    for part in absolute.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::CurDir => {}
        }
    }
    Ok(out)
}

fn copy(file: &Path, root: &Path) -> anyhow::Result<()> {
    let to = root.join(below(file)?);
    if let Some(parent) = to.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::copy(file, to)?;
    Ok(())
}

/// The command line with every path turned into one relative to the folder.
fn arguments(
    items: &[Item],
    read: &BTreeSet<PathBuf>,
    root: &Path,
) -> anyhow::Result<Vec<OsString>> {
    let inside = |path: &Path| -> anyhow::Result<OsString> {
        Ok(Path::new("root").join(below(path)?).into())
    };
    let written = |path: &OsStr| -> OsString {
        let name = Path::new(path).file_name().unwrap_or(OsStr::new("a.out"));
        Path::new("out").join(name).into()
    };
    let mut args = vec![OsString::from("--sysroot=root")];
    let mut output = false;
    for item in items {
        match &item.what {
            what if what.is_own() => {}
            What::Output(path) => {
                output = true;
                args.extend(item.with_value(&written(path)));
            }
            What::Writes(path) => args.extend(item.with_value(&written(path))),
            What::LibraryPath(folder) if !folder.as_bytes().starts_with(b"=") => {
                fs::create_dir_all(root.join(below(Path::new(folder))?))?;
                args.extend(item.with_value(&inside(Path::new(folder))?));
            }
            What::Reads(path) | What::RpathOrSymbols(path) if Path::new(path).is_file() => {
                args.extend(item.with_value(&inside(Path::new(path))?));
            }
            // The user's own sysroot is a part of ours.
            What::Reads(path) if Path::new(path).is_dir() => {
                if let Some(first) = args.first_mut() {
                    *first = "--sysroot=".into();
                    first.push(inside(Path::new(path))?);
                }
            }
            What::Input => {
                for arg in &item.args {
                    let file = Path::new(arg).is_file();
                    args.push(if file {
                        inside(Path::new(arg))?
                    } else {
                        arg.clone()
                    });
                }
            }
            _ => args.extend(item.args.iter().cloned()),
        }
    }
    if !output {
        args.extend(["-o".into(), "out/a.out".into()]);
    }
    let folders: BTreeSet<&Path> = read.iter().filter_map(|file| shared(file)).collect();
    for folder in folders {
        args.extend(["-rpath-link".into(), inside(folder)?]);
    }
    Ok(args)
}

/// The folder of `file` if it looks like a shared library.
fn shared(file: &Path) -> Option<&Path> {
    let name = file.file_name()?.as_bytes();
    let so = name.ends_with(b".so") || name.windows(4).any(|part| part == b".so.");
    if so { file.parent() } else { None }
}

/// The script.
fn run_with(linker: &Path, items: &[Item]) -> anyhow::Result<Vec<u8>> {
    let own = std::env::current_exe().context("failed to read /proc/self/exe")?;
    let mut out = b"#!/bin/sh\n\
        # Runs a saved link again; what it writes is in out/.\n\
        #     run-with [LINKER [ARGUMENT...]]\n\
        # LINKER is by default the wrapper that saved the link.\n\
        cd -- \"$(dirname -- \"$0\")\" || exit 1\n\
        mkdir -p out\n\
        unset INDIR_SAVE_LINK\n"
        .to_vec();
    for name in ENVIRONMENT {
        if let Some(value) = std::env::var_os(name) {
            out.extend_from_slice(format!("export {name}=").as_bytes());
            quote(&value, &mut out);
            out.push(b'\n');
        }
    }
    out.extend_from_slice(b"if [ $# -gt 0 ]; then exec \"$@\" @args; fi\nexport ");
    out.extend_from_slice(format!("{}=", real::VARIABLE).as_bytes());
    quote(linker.as_os_str(), &mut out);
    out.extend_from_slice(b"\nexec ");
    quote(own.with_file_name("indir-ld").as_os_str(), &mut out);
    for item in items {
        if item.what.is_own() {
            for arg in &item.args {
                out.push(b' ');
                quote(arg, &mut out);
            }
        }
    }
    out.extend_from_slice(b" @args\n");
    Ok(out)
}

/// `text` as one word of the shell.
fn quote(text: &OsStr, out: &mut Vec<u8>) {
    out.push(b'\'');
    for &byte in text.as_bytes() {
        match byte {
            b'\'' => out.extend_from_slice(b"'\\''"),
            byte => out.push(byte),
        }
    }
    out.push(b'\'');
}
