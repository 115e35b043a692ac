//! Takes out of linked files what names builds of libraries.
//!
//! The linker leaves run paths and the interpreter that was asked for in what it links,
//! so that everything that builds, tests and installs programs finds ordinary ones.
//! When a package is finished they may go: its executables are started by their tables.
//! `edit` changes bytes, `folders` says which folders are the package's own, `strings`
//! who else uses a string. Nothing here prints.

mod edit;
mod folders;
mod strings;

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
pub use edit::{Options, SealError};
use rayon::prelude::*;

use self::folders::Package;
use crate::adopt::{Image, Replacement, refusal};
use crate::arch::Arch;
use crate::elf::{ElfFile, MappedElf};
use crate::place::{self, Beside, Folder, Subject, is_table_folder};

/// Most files of one run.
const MAX_FILES: usize = 10_000_000;

/// What became of one file.
#[derive(Debug)]
pub enum Outcome {
    /// It was changed.
    Sealed,
    /// There was nothing to do.
    Already,
    /// What it still names; only when nothing is to be changed.
    Names(Vec<String>),
    /// It could not be looked at or changed.
    Failed(anyhow::Error),
}

/// What kind of file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Indirect,
    /// For glibc's ld.so, without a note.
    Ordinary,
    Library,
}

/// One file, whatever names it has.
#[derive(Debug)]
struct Target {
    kind: Kind,
    names: Vec<PathBuf>,
    /// The folder that was given, if one was.
    root: Option<PathBuf>,
    links: u64,
}

/// Seals everything that `paths` mean: a file, or every indirect executable of a folder,
/// and with `options.libraries` every shared library; with `check` it only tells what is
/// to be done. In the order of the paths, those of a folder sorted. After a signal the
/// files that it has not come to are left out.
pub fn run(paths: &[PathBuf], options: &Options, check: bool) -> Vec<(PathBuf, Outcome)> {
    let mut out = Vec::new();
    let mut targets: BTreeMap<(u64, u64), Target> = BTreeMap::new();
    let mut order = Vec::new();
    for path in paths {
        if let Err(error) = collect(path, options, check, &mut targets, &mut order) {
            out.push((path.clone(), Outcome::Failed(error)));
        }
    }
    let done = order.into_par_iter().filter_map(|key| {
        let target = targets.get(&key)?;
        if crate::interrupt::is_pending() {
            return None;
        }
        let outcome = if check {
            self::check(target, options).map(Outcome::Names)
        } else {
            seal(target, options)
        };
        let name = target.names.first()?.clone();
        Some((name, outcome.unwrap_or_else(Outcome::Failed)))
    });
    out.par_extend(done);
    out
}

/// Finds the files that `path` means.
fn collect(
    path: &Path,
    options: &Options,
    check: bool,
    targets: &mut BTreeMap<(u64, u64), Target>,
    order: &mut Vec<(u64, u64)>,
) -> anyhow::Result<()> {
    let real = std::fs::canonicalize(path)?;
    let mut add = |file: PathBuf, kind, root: Option<&Path>| {
        let Ok(metadata) = std::fs::metadata(&file) else {
            return;
        };
        let key = (metadata.dev(), metadata.ino());
        let target = targets.entry(key).or_insert_with(|| {
            order.push(key);
            Target {
                kind,
                names: Vec::new(),
                root: root.map(Path::to_owned),
                links: metadata.nlink(),
            }
        });
        if !target.names.contains(&file) {
            target.names.push(file);
        }
    };
    if !real.is_dir() {
        match kind(&real).map_err(|error| anyhow!("{error}"))? {
            Some(Kind::Library) if !options.libraries => {
                bail!("it is a shared library: give `--libraries` too")
            }
            Some(Kind::Ordinary) if !check => {
                bail!("it is not indirect (link it with `indir-ld`, or run `indir adopt` on it)")
            }
            Some(kind) => add(real, kind, None),
            None => bail!("it is neither an executable for glibc's ld.so nor a shared library"),
        }
        return Ok(());
    }
    let walk = walkdir::WalkDir::new(&real).sort_by_file_name().into_iter();
    let walk = walk.filter_entry(|entry| !is_table_folder(entry.file_name()));
    let mut files = Vec::new();
    for entry in walk.take(MAX_FILES) {
        let entry =
            entry.with_context(|| format!("failed to look through `{}`", path.display()))?;
        if entry.file_type().is_file() {
            files.push(entry.into_path());
        }
    }
    let kinds = files.into_par_iter().filter_map(|file| {
        // What is no ELF file, or a malformed one, is not ours to judge in a folder.
        let kind = begins_as_elf(&file).then(|| kind(&file).ok().flatten())??;
        let wanted = match kind {
            Kind::Indirect => true,
            Kind::Ordinary => check,
            Kind::Library => options.libraries,
        };
        wanted.then_some((file, kind))
    });
    for (file, kind) in kinds.collect::<Vec<_>>() {
        add(file, kind, Some(path));
    }
    Ok(())
}

/// Most files of a tree are not ELF: four bytes tell, without a mapping.
fn begins_as_elf(file: &Path) -> bool {
    use std::io::Read as _;
    let mut magic = [0; 4];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == *b"\x7fELF"
}

fn kind(file: &Path) -> Result<Option<Kind>, crate::elf::ElfError> {
    let map = MappedElf::open(file)?;
    let elf = map.elf()?;
    let notes = elf.notes();
    Ok(match elf.interpreter() {
        Some(_) if notes.reference.is_some() || notes.malformed => Some(Kind::Indirect),
        Some(path) => {
            let name = path.rsplit(|&byte| byte == b'/').next();
            let own = Arch::of(elf.machine()).map(|arch| arch.ldso.as_bytes());
            let has_name = elf
                .dynamic()?
                .is_some_and(|dynamic| dynamic.soname.is_some());
            (name.is_some() && name == own && !has_name).then_some(Kind::Ordinary)
        }
        None => is_library(&elf)?.then_some(Kind::Library),
    })
}

/// Whether it is dynamic, and no static executable that moves itself.
fn is_library(elf: &ElfFile<'_>) -> Result<bool, crate::elf::ElfError> {
    use object::elf;
    const DF_1_PIE: u64 = 0x0800_0000;
    let Some(dynamic) = elf.dynamic()? else {
        return Ok(false);
    };
    let is_pie = dynamic.value(elf::DT_FLAGS_1).unwrap_or(0) & DF_1_PIE != 0;
    Ok(elf.kind() == elf::ET_DYN && !is_pie)
}

fn check(target: &Target, options: &Options) -> anyhow::Result<Vec<String>> {
    let (name, map) = open(target)?;
    let package = Package::of(name, target.root.as_deref(), &options.own);
    let is_program = target.kind != Kind::Library;
    Ok(edit::names(map.bytes(), &package, is_program)?)
}

fn open(target: &Target) -> anyhow::Result<(&Path, MappedElf)> {
    let name = target.names.first().context("it has no name")?;
    // The error alone: its source would say the same again.
    let map = MappedElf::open(name).map_err(|error| anyhow!("{error}"))?;
    Ok((name, map))
}

/// Seals one file under all its names.
fn seal(target: &Target, options: &Options) -> anyhow::Result<Outcome> {
    let (name, map) = open(target)?;
    let package = Package::of(name, target.root.as_deref(), &options.own);
    let bytes = edit::seal(map.bytes(), &package, options)?;
    if bytes == map.bytes() {
        return Ok(Outcome::Already);
    }
    let known = target.names.len() as u64;
    if target.links > known {
        bail!(
            "it has {} hard links, of which {known} would be sealed; give the others too",
            target.links
        );
    }
    if !map.is_unchanged() {
        bail!("{}", place::CHANGED);
    }
    let new = Replacement::of_names(name, &map, &Image::of(&bytes))?;
    new.publish()?;
    for other in target.names.iter().skip(1) {
        link(name, other, &map)
            .with_context(|| format!("failed to replace `{}`", other.display()))?;
    }
    Ok(Outcome::Sealed)
}

/// Makes `other`, a name of the file that was read as `old`, another name of the one
/// at `name`.
fn link(name: &Path, other: &Path, old: &MappedElf) -> anyhow::Result<()> {
    let beside = Beside::open(other, &Subject::of(old.metadata())).map_err(refusal)?;
    let from = Folder::open(name.parent().unwrap_or(Path::new("/")))?;
    let from = (&from, name.file_name().unwrap_or_default());
    let own = other.file_name().unwrap_or_default();
    let linked = beside.act(|| Ok(place::replace_hard_link(beside.folder(), own, from)?));
    linked.map_err(refusal)?;
    Ok(beside.folder().sync()?)
}
