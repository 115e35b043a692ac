//! What the wrapper does to one link: decided from the command line alone.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indir_shim::format::note;

use super::first;
use super::options::{Item, What};
use super::run::Nameless;

/// Where the shim is, from the folder of the real path of our executable.
const SHIM: &str = "../lib/indir/ld-indir-x86-64.so.1";
/// Likewise the object with the default note, as `indir setup` writes it.
const NOTE_OBJECT: &str = "../lib/indir/note-x86-64.o";

/// How to run the real linker.
pub(super) enum Plan {
    /// With the arguments as they came.
    Untouched,
    /// With these arguments, and nothing to do afterwards.
    Changed {
        /// What the real linker gets.
        args: Vec<OsString>,
        /// Whether LD_RUN_PATH stays in the environment.
        run_path: bool,
    },
    /// An executable comes out indirect.
    Indirect(Job),
}

/// The link of an indirect executable.
pub(super) struct Job {
    /// What the real linker gets.
    pub(super) args: Vec<OsString>,
    /// The file it writes.
    pub(super) output: PathBuf,
    /// The interpreter it shall have.
    pub(super) shim: PathBuf,
    /// The user's build-id is no function of the content, or there is none.
    pub(super) own_id: bool,
    /// Where its libraries may be found at once.
    pub(super) folders: first::Folders,
    /// The note's object while it has no name.
    _note: Option<Nameless>,
}

impl Plan {
    /// Decides for a scanned command line.
    ///
    /// # Errors
    /// When one of the wrapper's own options is wrong, or the shim is missing.
    pub(super) fn of(items: Vec<Item>) -> anyhow::Result<Self> {
        let has = |what: &What| items.iter().any(|item| item.what == *what);
        let unchanged = if items.iter().any(|item| is_own(&item.what)) {
            Self::Changed {
                args: pass(&items),
                run_path: true,
            }
        } else {
            Self::Untouched
        };
        // Without inputs of the user's (`ld -v`), the note must not become one.
        if has(&What::Inform) || has(&What::OwnOff) || !has(&What::Input) {
            return Ok(unchanged);
        }
        let run_path = std::env::var_os("LD_RUN_PATH").filter(|value| !value.is_empty());
        let (shared, relocatable) = (has(&What::Shared), has(&What::NoInterpreter));
        if !shared && !relocatable && has(&What::DynamicLinker) && is_x86_64(&items) {
            return Ok(Self::Indirect(indirect(items, run_path)?));
        }
        let has_rpath = items.iter().any(|item| rpath(&item.what).is_some());
        if !shared || relocatable || !(has_rpath || run_path.is_some()) {
            return Ok(unchanged);
        }
        let mut args = Vec::new();
        for item in items.iter().filter(|item| !is_own(&item.what)) {
            push(item, &mut args);
        }
        if let (false, Some(dirs)) = (has_rpath, run_path) {
            args.extend(["-rpath-link".into(), dirs]);
        }
        Ok(Self::Changed {
            args,
            run_path: false,
        })
    }
}

fn is_own(what: &What) -> bool {
    matches!(what, What::OwnShim(_) | What::OwnTable(_) | What::OwnOff)
}

fn pass(items: &[Item]) -> Vec<OsString> {
    let kept = items.iter().filter(|item| !is_own(&item.what));
    kept.flat_map(|item| item.args.clone()).collect()
}

/// The last -m wins; without one it is the linker's own architecture.
fn is_x86_64(items: &[Item]) -> bool {
    let last = items.iter().rev().find_map(|item| match &item.what {
        What::Emulation(name) => Some(name),
        _ => None,
    });
    last.is_none_or(|name| name == "elf_x86_64" || name == "elf_amd64")
}

/// The folders of an -rpath, however it is written: all linkers take -R as one
/// unless it names a file, which GNU ld and gold read as --just-symbols.
fn rpath(what: &What) -> Option<&OsStr> {
    match what {
        What::Rpath(dirs) => Some(dirs),
        What::RpathOrSymbols(path) => {
            let file = std::fs::metadata(path).is_ok_and(|file| !file.is_dir());
            (!file).then_some(path)
        }
        _ => None,
    }
}

/// Adds `item` to `args`, an -rpath as the -rpath-link that finds the same
/// libraries and leaves nothing in the output.
fn push(item: &Item, args: &mut Vec<OsString>) {
    match rpath(&item.what) {
        Some(dirs) => args.extend(["-rpath-link".into(), dirs.into()]),
        None => args.extend(item.args.iter().cloned()),
    }
}

fn indirect(items: Vec<Item>, run_path: Option<OsString>) -> anyhow::Result<Job> {
    let shim = shim(&items)?;
    let (note, nameless) = note_object(&items)?;
    let style = items.iter().rev().find_map(|item| match &item.what {
        What::BuildId(style) => Some(style.clone()),
        _ => None,
    });
    let is_last = |what: fn(&What) -> bool| items.iter().rposition(|item| what(&item.what));
    let interpreter = is_last(|what| matches!(what, What::DynamicLinker));
    let build_id = is_last(|what| matches!(what, What::BuildId(_)));
    let has_rpath = items.iter().any(|item| rpath(&item.what).is_some());

    let mut found = first::Folders::default();
    for item in &items {
        if let Some(list) = rpath(&item.what) {
            found.add_run(list);
        }
    }
    if let (false, Some(list)) = (has_rpath, &run_path) {
        found.add_run(list);
    }
    found.add_link(&items);

    let mut args = Vec::new();
    let mut output = PathBuf::from("a.out");
    for (at, item) in items.iter().enumerate() {
        match &item.what {
            what if is_own(what) => {}
            // Ours goes where the last of the user's was: in the midst of the
            // options, so that an option without its value stays the last.
            What::DynamicLinker if Some(at) == interpreter => {
                args.extend(["-dynamic-linker".into(), shim.clone().into()]);
                args.push(note.clone());
                if build_id.is_none() {
                    args.push("--build-id=sha1".into());
                }
                if let (false, Some(dirs)) = (has_rpath, &run_path) {
                    args.extend(["-rpath-link".into(), dirs.clone()]);
                }
            }
            What::DynamicLinker => {}
            // "Any style": lld's own choice is too short to be unique.
            What::BuildId(style) if Some(at) == build_id && style.is_empty() => {
                args.push("--build-id=sha1".into());
            }
            What::Output(path) => {
                output = path.into();
                args.extend(item.args.iter().cloned());
            }
            _ => push(item, &mut args),
        }
    }
    Ok(Job {
        args,
        output,
        shim,
        own_id: style.is_some_and(|style| !identifies(&style)),
        folders: found,
        _note: nameless,
    })
}

/// Whether a --build-id style is a function of the content that no two
/// executables share.
fn identifies(style: &OsStr) -> bool {
    ["", "sha1", "tree", "md5", "sha256"]
        .iter()
        .any(|known| style == *known)
}

/// The shim that the executable shall name.
fn shim(items: &[Item]) -> anyhow::Result<PathBuf> {
    let given = items.iter().rev().find_map(|item| match &item.what {
        What::OwnShim(path) => Some(PathBuf::from(path)),
        _ => None,
    });
    if let Some(path) = given {
        if !path.is_absolute() {
            bail!("--indir-shim: `{}` is not an absolute path", path.display());
        }
        return Ok(path);
    }
    let path = beside_us(SHIM)?;
    if !path.is_file() {
        bail!(
            "the shim `{}` is missing; run `indir setup --prefix DIR`, or pass --indir-shim=PATH",
            path.display()
        );
    }
    Ok(path)
}

/// `relative` to the folder that our executable really is in.
fn beside_us(relative: &str) -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("failed to read /proc/self/exe")?;
    let mut path = own.parent().unwrap_or(Path::new("/")).to_path_buf();
    for part in Path::new(relative).components() {
        match part {
            std::path::Component::ParentDir => {
                path.pop();
            }
            part => path.push(part),
        }
    }
    Ok(path)
}

/// The object with the note: `setup`'s file for the default reference, since a
/// file of a constant name suits --dependency-file and -Map; else one in memory.
fn note_object(items: &[Item]) -> anyhow::Result<(OsString, Option<Nameless>)> {
    let given = items.iter().rev().find_map(|item| match &item.what {
        What::OwnTable(reference) => Some(reference.as_encoded_bytes()),
        _ => None,
    });
    if given.is_none() {
        let file = beside_us(NOTE_OBJECT)?;
        if file.is_file() {
            return Ok((file.into(), None));
        }
    }
    let reference = given.unwrap_or(note::DEFAULT_REFERENCE.as_bytes());
    let known = reference.starts_with(b"/") || reference.starts_with(b"$ORIGIN/");
    if !known || reference.len() > note::MAX_REFERENCE || reference.contains(&0) {
        bail!(
            "--indir-table: `{}` neither is an absolute path nor begins with $ORIGIN/",
            String::from_utf8_lossy(reference)
        );
    }
    let object = Nameless::new(&crate::artefacts::note_object(reference))?;
    Ok((object.path(), Some(object)))
}
