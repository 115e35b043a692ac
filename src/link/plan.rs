//! What the wrapper does to one link: decided from the command line alone.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use indir_shim::format::note;

use super::options::{Item, What};
use super::run::Nameless;
use crate::arch::{self, Arch};
use crate::artefacts::{self, Content};

/// Where shims, and objects with the default note, are, from the folder of the real path
/// of our executable, as `indir setup` writes them.
const FILES: &str = "../lib/indir";
/// The objects by which glibc starts a dynamic executable, one of which a compiler
/// gives to every link that is not asked to do without.
const START: [&str; 5] = ["crt1.o", "Scrt1.o", "gcrt1.o", "Mcrt1.o", "rcrt1.o"];

/// How to run the real linker.
pub(super) enum Plan {
    /// With the arguments as they came.
    Untouched,
    /// With these, which lack the wrapper's own options.
    Plain(Vec<OsString>),
    /// With these, and the symbols of a library set aside; what it writes.
    Aside(Vec<OsString>, PathBuf),
    /// So that an executable comes out indirect, if it is one of glibc's.
    Indirect(Job),
}

/// The link of what may come out as an indirect executable.
pub(super) struct Job {
    items: Vec<Item>,
    /// The file it writes.
    pub(super) output: PathBuf,
    /// The interpreter that the link asks for.
    pub(super) asked: PathBuf,
    /// The one for a start without a table.
    recorded: PathBuf,
    /// The machine of the executable.
    arch: &'static Arch,
    /// The interpreter it shall have.
    pub(super) shim: PathBuf,
    /// Where its table is.
    reference: Vec<u8>,
    /// The command line alone tells that an ordinary executable is linked. Else the
    /// output of a link without the note tells what it is.
    pub(super) is_sure: bool,
    /// The user's build-id is no function of the content, or there is none.
    pub(super) own_id: bool,
}

impl Plan {
    /// Decides for a scanned command line.
    ///
    /// # Errors
    /// When one of the wrapper's own options is wrong, or the shim is missing.
    pub(super) fn of(items: Vec<Item>) -> anyhow::Result<Self> {
        let has = |what: &What| items.iter().any(|item| item.what == *what);
        // Without inputs of the user's (`ld -v`), the note must not become one.
        let none = has(&What::Inform) || has(&What::OwnOff) || !has(&What::Input);
        let executable = !none && !has(&What::NoInterpreter);
        let named = interpreters(&items).filter(|named| executable && is_for(named.arch, &items));
        if let Some(named) = named {
            return Ok(Self::Indirect(Job::new(items, named)?));
        }
        if has(&What::OwnReach) && !has(&What::OwnOff) && !has(&What::Inform) {
            return Ok(Self::Aside(plain(&items), output(&items)));
        }
        Ok(if items.iter().any(|item| item.what.is_own()) {
            Self::Plain(plain(&items))
        } else {
            Self::Untouched
        })
    }
}

/// What a link names as interpreters.
struct Named {
    /// The machine that they are for, by their names.
    arch: &'static Arch,
    /// The one that is asked for.
    asked: PathBuf,
    /// The one that starts the program while it has no table.
    recorded: PathBuf,
}

/// The interpreter that the link asks for, if it is glibc's or a shim, and the one
/// that starts the program while it has no table: the same, or, where the user names
/// a shim, what the compiler named before. That of other systems and C libraries has
/// another name, and nothing of theirs is touched.
fn interpreters(items: &[Item]) -> Option<Named> {
    let all = items.iter().rev().filter_map(|item| match &item.what {
        What::DynamicLinker(path) => Some(Path::new(path)),
        _ => None,
    });
    let asked = all.clone().next()?;
    let name = asked.file_name()?.as_encoded_bytes();
    let shim = Arch::of_shim(name);
    let arch = shim.or_else(|| Arch::of_ldso(name))?;
    let is_glibc = |path: &&Path| {
        path.is_absolute()
            && path.file_name().is_some_and(|name| name == arch.ldso)
            && path.as_os_str().len() < note::MAX_REFERENCE
    };
    let recorded = if shim.is_some() {
        let glibc = all.clone().find(is_glibc);
        glibc.unwrap_or(Path::new(arch.interpreter))
    } else {
        Some(asked).filter(is_glibc)?
    };
    Some(Named {
        arch,
        asked: asked.to_owned(),
        recorded: recorded.to_owned(),
    })
}

fn plain(items: &[Item]) -> Vec<OsString> {
    let kept = items.iter().filter(|item| !item.what.is_own());
    kept.flat_map(|item| item.args.clone()).collect()
}

/// The file that the link writes.
fn output(items: &[Item]) -> PathBuf {
    let output = items.iter().rev().find_map(|item| match &item.what {
        What::Output(path) => Some(path.into()),
        _ => None,
    });
    output.unwrap_or_else(|| PathBuf::from("a.out"))
}

/// Whether it is linked for that machine, as far as the command line tells: without -m
/// for the linker's own.
fn is_for(arch: &Arch, items: &[Item]) -> bool {
    emulation(items).is_none_or(|name| arch.emulations.iter().any(|own| name == *own))
}

/// The last -m wins.
fn emulation(items: &[Item]) -> Option<&OsStr> {
    items.iter().rev().find_map(|item| match &item.what {
        What::Emulation(name) => Some(name.as_os_str()),
        _ => None,
    })
}

/// The machine that -m names, if it is served.
pub(super) fn machine(items: &[Item]) -> Option<&'static Arch> {
    let name = emulation(items)?;
    let is_it = |arch: &&'static Arch| arch.emulations.iter().any(|own| name == *own);
    arch::ALL.into_iter().find(is_it)
}

/// Whether glibc's start-up code is linked in, and nothing asks for a static program
/// or for another format.
fn is_ordinary(items: &[Item]) -> bool {
    let is_start = |item: &Item| {
        let file = item.args.first().map(Path::new);
        let name = file.and_then(Path::file_name);
        item.what == What::Input && name.is_some_and(|name| START.iter().any(|s| name == *s))
    };
    let is_odd = |item: &Item| matches!(item.what, What::Static | What::Format);
    items.iter().any(is_start) && !items.iter().any(is_odd)
}

impl Job {
    fn new(items: Vec<Item>, named: Named) -> anyhow::Result<Self> {
        let Named {
            arch,
            asked,
            recorded,
        } = named;
        let style = items.iter().rev().find_map(|item| match &item.what {
            What::BuildId(style) => Some(style),
            _ => None,
        });
        Ok(Self {
            output: output(&items),
            asked,
            recorded,
            shim: shim(&items, arch)?,
            arch,
            reference: reference(&items)?,
            is_sure: is_ordinary(&items),
            own_id: style.is_some_and(|style| !identifies(style)),
            items,
        })
    }

    /// What the real linker gets where nothing is changed.
    pub(super) fn plain(&self) -> Vec<OsString> {
        plain(&self.items)
    }

    /// What the real linker gets, and the note's object while it has no name; with
    /// `stack`, that object says that it needs no executable stack.
    ///
    /// # Errors
    /// When the object cannot be made.
    pub(super) fn indirect(
        &self,
        stack: bool,
    ) -> anyhow::Result<(Vec<OsString>, Option<Nameless>)> {
        let (note, nameless) = self.note_object(stack)?;
        let is_last =
            |what: fn(&What) -> bool| self.items.iter().rposition(|item| what(&item.what));
        let interpreter = is_last(|what| matches!(what, What::DynamicLinker(_)));
        let build_id = is_last(|what| matches!(what, What::BuildId(_)));
        let mut args = Vec::new();
        for (at, item) in self.items.iter().enumerate() {
            match &item.what {
                what if what.is_own() => {}
                // "Any style": lld's own choice is too short to be unique.
                What::BuildId(style) if Some(at) == build_id && style.is_empty() => {
                    args.push("--build-id=sha1".into());
                }
                _ => args.extend(item.args.iter().cloned()),
            }
            // In the midst of the options, so that an option without its value stays
            // the last. The last interpreter counts.
            if Some(at) == interpreter {
                args.extend(["-dynamic-linker".into(), self.shim.clone().into()]);
                args.push(note.clone());
                if build_id.is_none() {
                    args.push("--build-id=sha1".into());
                }
            }
        }
        Ok((args, nameless))
    }

    /// The object with the note: `setup`'s file for what is usual, since a file of a
    /// constant name suits --dependency-file and -Map; else one in memory.
    fn note_object(&self, stack: bool) -> anyhow::Result<(OsString, Option<Nameless>)> {
        let is_usual = stack
            && self.reference == note::DEFAULT_REFERENCE.as_bytes()
            && self.recorded == Path::new(self.arch.interpreter);
        let file = beside_us(FILES)?.join(self.arch.note_object);
        if is_usual && file.is_file() {
            return Ok((file.into(), None));
        }
        let object = Nameless::new(&artefacts::note_object(Content {
            machine: self.arch.machine.0,
            properties: artefacts::note_properties(self.arch.machine.0),
            reference: &self.reference,
            interpreter: self.recorded.as_os_str().as_encoded_bytes(),
            stack,
        }))?;
        Ok((object.path(), Some(object)))
    }
}

/// Whether a --build-id style is a function of the content that no two
/// executables share.
fn identifies(style: &OsStr) -> bool {
    ["", "sha1", "tree", "md5", "sha256"]
        .iter()
        .any(|known| style == *known)
}

/// The shim that the executable shall name.
fn shim(items: &[Item], arch: &Arch) -> anyhow::Result<PathBuf> {
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
    let path = beside_us(FILES)?.join(arch.shim);
    if !path.is_file() {
        if artefacts::built(arch.machine.0).is_none() {
            bail!(artefacts::not_built(arch.platform));
        }
        bail!(
            "the shim `{}` is missing; run `indir setup --prefix DIR`, or pass --indir-shim=PATH",
            path.display()
        );
    }
    Ok(path)
}

/// Where the table of the executable shall be.
fn reference(items: &[Item]) -> anyhow::Result<Vec<u8>> {
    let given = items.iter().rev().find_map(|item| match &item.what {
        What::OwnTable(reference) => Some(reference.as_encoded_bytes()),
        _ => None,
    });
    let reference = given.unwrap_or(note::DEFAULT_REFERENCE.as_bytes());
    if !note::is_reference(reference) || reference.contains(&0) {
        bail!(
            "--indir-table: `{}` neither is an absolute path nor begins with $ORIGIN/",
            String::from_utf8_lossy(reference)
        );
    }
    Ok(reference.to_vec())
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
