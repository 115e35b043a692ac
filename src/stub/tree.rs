//! A whole development folder as stubs: `indir stub --tree`.
//!
//! What a compiler and a linker take from a library folder, as a function of
//! the ABIs in it: stubs, the symlinks between them, linker scripts with plain
//! names, and the objects and archives that are linked in statically beside
//! shared libraries. Everything else stays out: static archives that duplicate
//! a shared library, subfolders (plugins), text and data.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use object::elf;
use rayon::prelude::*;

use crate::abi::diff::Change;
use crate::abi::{self, Finder, floor};
use crate::elf::{ElfError, ElfFile, MappedElf};

use super::{archive, objects, script, special};

/// Longest chain of symlinks, as in Linux (`MAXSYMLINKS`).
const MAX_STEPS: usize = 40;

/// What to make a tree of.
#[derive(Debug)]
pub struct Options {
    /// Folders to read; of two files of one name, the first folder's counts.
    pub folders: Vec<PathBuf>,
    /// Folder with floors: `<file name>.abi` or `<soname>.abi`.
    pub floors: Option<PathBuf>,
    /// Keep static archives that duplicate a shared library.
    pub archives: bool,
    /// Where needed libraries are found.
    pub finder: Finder,
}

/// One file or symlink of the tree.
#[derive(Debug)]
pub enum Entry {
    /// A file with these bytes.
    File(Vec<u8>),
    /// A symlink to another entry.
    Link(OsString),
}

/// A tree in memory, and what could not be had.
#[derive(Debug, Default)]
pub struct Tree {
    /// By name.
    pub entries: BTreeMap<OsString, Entry>,
    /// Libraries that do not satisfy their floor, with the reasons.
    pub refused: Vec<(PathBuf, Vec<Change>)>,
    /// What could not be normalised and is in the tree as it was.
    pub kept: Vec<(PathBuf, String)>,
    /// Files that look like something to link with and cannot be used.
    pub failed: Vec<(PathBuf, String)>,
    /// What is no file that can be read, and so for no linker either.
    pub left_out: Vec<(PathBuf, String)>,
}

/// What is in a folder under one name.
enum Source {
    Library,
    Object(MappedElf),
    Archive(MappedElf),
    Script(script::Script),
    Link(OsString),
}

impl Tree {
    /// Reads the folders; `progress` is called once for each library done.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub fn read(options: &Options, progress: &(dyn Fn(u64, u64) + Sync)) -> std::io::Result<Self> {
        let mut tree = Self::default();
        let mut paths: BTreeMap<OsString, PathBuf> = BTreeMap::new();
        for folder in &options.folders {
            for entry in fs::read_dir(folder)? {
                let entry = entry?;
                paths
                    .entry(entry.file_name())
                    .or_insert_with(|| entry.path());
            }
        }
        let mut sources: BTreeMap<OsString, (PathBuf, Source)> = BTreeMap::new();
        for (name, path) in &paths {
            match classify(path, &paths) {
                Ok(Some(source)) => {
                    sources.insert(name.clone(), (path.clone(), source));
                }
                Ok(None) => {}
                Err(Unusable::Failed(why)) => tree.failed.push((path.clone(), why)),
                Err(Unusable::LeftOut(why)) => tree.left_out.push((path.clone(), why)),
            }
        }
        if !options.archives {
            drop_duplicates(&mut sources);
        }
        drop_dangling(&mut sources, &mut tree.left_out);
        let total = sources.len() as u64;
        let done = std::sync::atomic::AtomicU64::new(0);
        let made: Vec<(OsString, PathBuf, Made)> = sources
            .into_par_iter()
            .map(|(name, (path, source))| {
                if let Err(interrupted) = crate::interrupt::check() {
                    return (name, path, Made::Failed(interrupted.to_string()));
                }
                let made = make(&name, &path, source, options);
                let done = done.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                progress(done, total);
                (name, path, made)
            })
            .collect();
        for (name, path, made) in made {
            match made {
                Made::Entry(entry) => {
                    tree.entries.insert(name, entry);
                }
                Made::Kept(entry, why) => {
                    tree.entries.insert(name, entry);
                    tree.kept.push((path, why));
                }
                Made::Refused(changes) => tree.refused.push((path, changes)),
                Made::Failed(why) => tree.failed.push((path, why)),
            }
        }
        Ok(tree)
    }

    /// Writes the tree as the folder `output`, replacing an older one.
    ///
    /// # Errors
    /// When the folder beside it cannot be written.
    pub fn write(&self, output: &Path) -> std::io::Result<()> {
        let parent = match output.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::create_dir_all(parent)?;
        let fresh = tempfile::Builder::new()
            .prefix(".indir-tree-")
            .tempdir_in(parent)?;
        for (name, entry) in &self.entries {
            crate::interrupt::check().map_err(std::io::Error::other)?;
            let path = fresh.path().join(name);
            match entry {
                Entry::File(bytes) => {
                    fs::write(&path, bytes)?;
                    fs::set_permissions(&path, fs::Permissions::from_mode(0o644))?;
                }
                Entry::Link(target) => symlink(target, &path)?,
            }
        }
        fs::set_permissions(fresh.path(), fs::Permissions::from_mode(0o755))?;
        fs::File::open(fresh.path())?.sync_all()?;
        // rename() replaces no folder that has files: move the old one away.
        let old = tempfile::Builder::new()
            .prefix(".indir-tree-")
            .tempdir_in(parent)?;
        let aside = old.path().join("old");
        if output.symlink_metadata().is_ok() {
            fs::rename(output, &aside)?;
        }
        fs::rename(fresh.keep(), output)?;
        old.close()
    }
}

/// Why there is nothing to make of a file.
enum Unusable {
    /// It is broken, and what links with it would be as well.
    Failed(String),
    /// It is not there for any linker.
    LeftOut(String),
}

/// What is at `path`; `None` for what nobody links with.
fn classify(path: &Path, all: &BTreeMap<OsString, PathBuf>) -> Result<Option<Source>, Unusable> {
    let unreadable = |error: &io::Error| Unusable::LeftOut(special::unreadable(error));
    let metadata = path.symlink_metadata().map_err(|e| unreadable(&e))?;
    if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(|e| unreadable(&e))?;
        let name = target.file_name().unwrap_or_default().to_owned();
        if Some(name.as_os_str()) != path.file_name() && all.contains_key(&name) {
            return Ok(Some(Source::Link(name)));
        }
        // It leads out of the folders: the file itself, or nothing.
        match path.metadata() {
            Ok(found) if found.is_file() => {}
            Ok(found) => {
                let what = special::name(found.file_type());
                return what.map_or(Ok(None), |what| {
                    Err(Unusable::LeftOut(format!("leads to {what}")))
                });
            }
            Err(error) => return Err(Unusable::LeftOut(special::dangling(&target, &error))),
        }
    } else if let Some(what) = special::name(metadata.file_type()) {
        return Err(Unusable::LeftOut(format!("is {what}")));
    } else if !metadata.is_file() {
        return Ok(None);
    }
    let linkable = is_library_name(path) || has_extension(path, &["a", "o"]);
    let file = match MappedElf::open(path) {
        Ok(file) => file,
        Err(ElfError::Io(error)) => return Err(unreadable(&error)),
        Err(_) if !linkable || metadata.len() == 0 => return Ok(None),
        Err(error) => return Err(Unusable::Failed(error.to_string())),
    };
    let data = file.bytes();
    if objects::is_relocatable(data) {
        // libmcheck.a is a plain object: linkers look at the content too.
        return Ok(linkable.then_some(Source::Object(file)));
    }
    if archive::is_archive(data) {
        return Ok(linkable.then_some(Source::Archive(file)));
    }
    match file.elf() {
        Ok(elf) if is_library(&elf) => return Ok(Some(Source::Library)),
        Ok(_) => return Ok(None),
        Err(_) if !linkable || data.starts_with(b"#!") => return Ok(None),
        Err(error) if data.starts_with(&elf::ELFMAG) => {
            return Err(Unusable::Failed(error.to_string()));
        }
        Err(_) => {}
    }
    script::rewrite(data)
        .map(|s| Some(Source::Script(s)))
        .map_err(|e| Unusable::Failed(e.to_string()))
}

fn has_extension(path: &Path, wanted: &[&str]) -> bool {
    path.extension()
        .is_some_and(|e| wanted.iter().any(|w| e == OsStr::new(w)))
}

/// `libx.so`, `libx.so.1`, but not `libx.so.1-gdb.py`.
fn is_library_name(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    match name.split_once(".so") {
        Some((_, "")) => true,
        Some((_, rest)) => {
            rest.starts_with('.') && rest.bytes().all(|b| b == b'.' || b.is_ascii_digit())
        }
        None => false,
    }
}

/// A shared object, not a position-independent executable.
fn is_library(elf: &ElfFile<'_>) -> bool {
    let Ok(Some(dynamic)) = elf.dynamic() else {
        return false;
    };
    let pie = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0) & elf::DF_1_PIE.0 != 0;
    elf.kind() == elf::ET_DYN && !pie && (dynamic.soname.is_some() || elf.interpreter().is_none())
}

/// Leaves out `libx.a` where there is a `libx.so`, and the archives that a
/// left-out script names (`libm.a` is one, of `libm-2.36.a`).
fn drop_duplicates(sources: &mut BTreeMap<OsString, (PathBuf, Source)>) {
    let mut doomed: Vec<OsString> = Vec::new();
    for (name, (_, source)) in sources.iter() {
        if !has_extension(Path::new(name), &["a"])
            || !sources.contains_key(Path::new(name).with_extension("so").as_os_str())
        {
            continue;
        }
        doomed.push(name.clone());
        if let Source::Script(script) = source {
            doomed.extend(script.files.iter().map(OsString::from));
        }
    }
    for name in doomed {
        sources.remove(&name);
    }
}

/// Leaves out symlinks whose target is not in the tree, however many steps; those that
/// lead to what is left out, or in a circle, are named.
fn drop_dangling(
    sources: &mut BTreeMap<OsString, (PathBuf, Source)>,
    left_out: &mut Vec<(PathBuf, String)>,
) {
    let missing: BTreeSet<OsString> = left_out
        .iter()
        .filter_map(|(path, _)| path.file_name().map(OsStr::to_owned))
        .collect();
    let mut dangling: Vec<(OsString, Option<String>)> = Vec::new();
    for (name, (_, source)) in sources.iter() {
        let Source::Link(first) = source else {
            continue;
        };
        let mut target = first;
        let mut steps = 0;
        let end = loop {
            match sources.get(target) {
                Some((_, Source::Link(next))) if steps < MAX_STEPS => target = next,
                Some((_, Source::Link(_))) => break Some("leads in a circle"),
                Some(_) => break None,
                None => break Some("is not there"),
            }
            steps += 1;
        };
        let Some(end) = end else { continue };
        let named = steps == MAX_STEPS || missing.contains(target);
        let why = format!("a symlink to `{}`, which {end}", first.display());
        dangling.push((name.clone(), named.then_some(why)));
    }
    for (name, why) in dangling {
        if let (Some((path, _)), Some(why)) = (sources.remove(&name), why) {
            left_out.push((path, why));
        }
    }
}

enum Made {
    Entry(Entry),
    Kept(Entry, String),
    Refused(Vec<Change>),
    Failed(String),
}

fn make(name: &OsStr, path: &Path, source: Source, options: &Options) -> Made {
    let bytes = match source {
        Source::Link(target) => return Made::Entry(Entry::Link(target)),
        Source::Script(script) => Ok(script.text.into_bytes()),
        Source::Object(file) => objects::normalise(file.bytes()).map_err(|e| e.to_string()),
        Source::Archive(file) => match archive::normalise(file.bytes()) {
            Ok(made) if made.kept.is_empty() => Ok(made.bytes),
            Ok(made) => {
                // The first, and how many more: an archive may have hundreds.
                let mut why = made.kept.first().cloned().unwrap_or_default();
                if made.kept.len() > 1 {
                    why.push_str(&format!(", and {} more", made.kept.len() - 1));
                }
                return Made::Kept(Entry::File(made.bytes), why);
            }
            Err(error) => Err(error.to_string()),
        },
        Source::Library => return library(name, path, options),
    };
    match bytes {
        Ok(bytes) => Made::Entry(Entry::File(bytes)),
        Err(why) => Made::Failed(why),
    }
}

fn library(name: &OsStr, path: &Path, options: &Options) -> Made {
    let finder = &options.finder;
    let mut abi = match abi::load(path, finder) {
        Ok(loaded) => loaded.abi,
        Err(error) => return Made::Failed(error.reason()),
    };
    if let Some(folder) = &options.floors {
        let soname = abi.soname.as_deref().map(String::from_utf8_lossy);
        let by_soname = soname.map(|s| folder.join(format!("{s}.abi")));
        let by_name = folder.join(format!("{}.abi", name.to_string_lossy()));
        let pinned = [Some(by_name), by_soname]
            .into_iter()
            .flatten()
            .find(|p| p.is_file());
        if let Some(file) = pinned {
            let floor = match abi::load(&file, finder) {
                Ok(loaded) => loaded.abi,
                Err(error) => return Made::Failed(format!("its floor {error}")),
            };
            abi = match abi::load_for(path, finder, &floor) {
                Ok(loaded) => loaded.abi,
                Err(error) => return Made::Failed(error.reason()),
            };
            let lost = floor::check(&floor, &abi);
            if !lost.is_empty() {
                return Made::Refused(lost);
            }
            abi = floor;
        }
    }
    match super::stub(&abi) {
        Ok(bytes) => Made::Entry(Entry::File(bytes)),
        Err(error) => Made::Failed(error.to_string()),
    }
}
