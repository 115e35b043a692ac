//! Makes a prebuilt executable indirect.
//!
//! `edit` changes the bytes: interpreter and `indir` note (`block`), with as
//! little moved as will do; `spare` finds spare room in the file, `append` makes
//! some; `sections` keeps section headers true for strip, objcopy and patchelf;
//! `shims` are what they refer to; `undo` turns the bytes back; `restore` does without them where it must; `save`
//! replaces files and keeps what belongs to them. The program's own code and data are
//! never touched: its run path stays in the file (with a table, the shim leaves it out of what ld.so
//! sees) and is an input of every update; its interpreter stays in the note, for
//! starts without a table. Nothing here prints.

mod append;
mod block;
mod collect;
mod edit;
mod error;
mod image;
mod layout;
mod refuse;
mod restore;
mod save;
mod sections;
mod shims;
mod spare;
mod undo;

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
pub use collect::{InFolder, Skipped, in_folder, what};
pub use edit::{Edited, adopt, with_interpreter};
pub use error::AdoptError;
pub use image::Image;
pub use restore::{Restored, restore_file};
pub(crate) use save::{Replacement, refusal};
pub use shims::Shims;

use indir_shim::format::note::{self, Notes};

use crate::arch::Arch;
use crate::elf::{MappedElf, Root};
use crate::place::{self, Place, PlaceError, Subject};
use crate::resolve::{Library, Store};
use crate::update::{Options, Plan, PlanError, Planner, apply};

/// What was done to an executable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// It is indirect now.
    Now {
        /// Its program headers had to move: strip and objcopy do not expect
        /// that, and damage it.
        headers_moved: bool,
    },
    /// It was indirect already; its bytes stay as they were.
    Already,
}

/// An executable that was made indirect.
#[derive(Clone, Debug)]
pub struct Adoption {
    /// What was done.
    pub adopted: Adopted,
    /// Its table.
    pub table: PathBuf,
    /// What the table changes, if that can be told.
    pub change: Option<String>,
    /// The folders that its libraries are in.
    pub folders: Vec<PathBuf>,
}

impl Adoption {
    fn new(adopted: Adopted, plan: &Plan) -> Self {
        Self {
            adopted,
            table: plan.place.path.clone(),
            change: plan.change(),
            folders: plan.folders.clone(),
        }
    }
}

/// How executables are made indirect; what one run shares.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The shims to refer to.
    pub shims: &'a Shims,
    /// Further references to tables for the notes.
    pub places: &'a [Vec<u8>],
    /// How tables are made.
    pub options: &'a Options,
    /// The libraries that were read.
    pub store: &'a Store,
    /// Nothing is written.
    pub dry_run: bool,
}

/// Where the result goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The executable itself is replaced.
    InPlace,
    /// A new file.
    Copy(PathBuf),
}

impl Target {
    /// Where the result of `exe` will be, free of symbolic links.
    fn path(&self, exe: &Path) -> anyhow::Result<PathBuf> {
        let Self::Copy(out) = self else {
            return Ok(exe.canonicalize()?);
        };
        if std::fs::metadata(out).is_ok_and(|metadata| !metadata.is_file()) {
            bail!(
                "`{}` is there, and no file that could be replaced",
                out.display()
            );
        }
        let name = out.file_name().context("the output has no file name")?;
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        Ok(fs_err::canonicalize(folder)?.join(name))
    }

    /// Makes the folder of a new file.
    fn make_folder(&self) -> anyhow::Result<()> {
        if let Self::Copy(output) = self
            && let Some(folder) = output.parent()
            && !folder.as_os_str().is_empty()
        {
            fs_err::create_dir_all(folder)?;
        }
        Ok(())
    }
}

/// Makes the executable at `exe` indirect, with a table, as `request` says, and puts it
/// where `target` says; without a table anywhere it starts as it did before.
///
/// The table is written before the executable takes its name, so that there is
/// no moment at which it does not start, and nothing is changed on failure.
///
/// # Errors
/// When it is not a dynamically linked executable for a machine that is served, when its libraries
/// cannot be found or do not satisfy it ([`crate::exit::Refused`]), or when a file
/// must not or cannot be written.
pub fn adopt_file(exe: &Path, target: &Target, request: &Request<'_>) -> anyhow::Result<Adoption> {
    let &Request {
        shims,
        places,
        options,
        store,
        dry_run,
    } = request;
    // In place it is from now on the file of this path, wherever links will lead.
    let real = match target {
        Target::InPlace => exe.canonicalize()?,
        Target::Copy(_) => exe.to_owned(),
    };
    let exe = real.as_path();
    let source = open(exe)?;
    let root = store.root();
    refuse::unsuitable(root, &source)?;
    let arch =
        Arch::of(source.elf()?.machine()).ok_or_else(|| anyhow!("{}", AdoptError::Machine))?;
    let shim = shims.of(arch, root)?;
    let mut new_id = None;
    let (image, adopted) = match adopt(&source, shim.as_os_str().as_bytes(), places) {
        Ok(Edited::Changed {
            image,
            id,
            headers_moved,
        }) => {
            new_id = Some(id);
            (image, Adopted::Now { headers_moved })
        }
        Ok(Edited::Already) if !places.is_empty() => {
            let mut bytes = source.bytes().to_vec();
            place::add_places(&mut bytes, places)?;
            (Image::over(&source, &bytes), Adopted::Already)
        }
        Ok(Edited::Already) if *target == Target::InPlace => {
            let plan = Planner::new(store, options).plan(exe);
            let plan = plan.map_err(PlanError::into_error)?;
            if !dry_run {
                write_table(&plan)?;
            }
            return Ok(Adoption::new(Adopted::Already, &plan));
        }
        Ok(Edited::Already) => (Image::of_file(&source), Adopted::Already),
        Err(error) => bail!("{error}"),
    };
    if dry_run {
        return try_out(exe, &source, target, request, (&image, adopted));
    }
    target.make_folder()?;
    let path = target.path(exe)?;
    let place = place_of(&path, &source, new_id.as_deref())?.in_root(root)?;
    let mut replacement = match target {
        Target::InPlace => save::Replacement::of_file(exe, &source, &image, &place)?,
        Target::Copy(_) => save::Replacement::new_file(path, &source, &image, Some(&place))?,
    };
    let (name, subject) = (replacement.target().to_owned(), replacement.subject());
    let plan = plan_of(exe, target, request, (name, replacement.elf()?, subject))?;
    save::check_unchanged(&source)?;
    write_table(&plan)?;
    if adopted != Adopted::Already {
        undo::save(&plan, &Image::of_file(&source), &image)?;
    } else if let Ok(original) = undo::load(exe, &source) {
        undo::save(&plan, &original, &image)?;
    }
    // The patch and its digests were made of what was read until now.
    save::check_unchanged(&source)?;
    replacement.publish()?;
    Ok(Adoption::new(adopted, &plan))
}

/// What [`adopt_file`] would do of `image`, as far as that can be told without writing:
/// the new file has no name.
fn try_out(
    exe: &Path,
    source: &MappedElf,
    target: &Target,
    request: &Request<'_>,
    (image, adopted): (&Image<'_>, Adopted),
) -> anyhow::Result<Adoption> {
    let path = match target.path(exe) {
        // Folders for the results are made when there are some.
        Err(_) if matches!(target, Target::Copy(out) if out.parent().is_some_and(|f| !f.exists())) => {
            match target {
                Target::Copy(out) => std::path::absolute(out)?,
                Target::InPlace => exe.canonicalize()?,
            }
        }
        other => other?,
    };
    let in_place = *target == Target::InPlace;
    if in_place {
        save::check_links(source)?;
    }
    let mut file = tempfile::tempfile()?;
    image.write_to(&mut file)?;
    let subject = match in_place {
        true => Subject::of(source.metadata()),
        false => save::new_subject(source),
    };
    let elf = MappedElf::of_file(path.clone(), &file)?;
    let plan = plan_of(exe, target, request, (path, elf, subject))?;
    save::check_unchanged(source)?;
    Ok(Adoption::new(adopted, &plan))
}

/// The table of what the executable at `exe` becomes: a path, the new file and whose it
/// will be.
fn plan_of(
    exe: &Path,
    target: &Target,
    request: &Request<'_>,
    (path, elf, subject): (PathBuf, MappedElf, Subject),
) -> anyhow::Result<Plan> {
    let mut options = request.options.clone();
    let root = request.store.root();
    let moved = left_behind(root, exe, &path)?;
    if !moved.is_empty() {
        options.origin_dirs = Some(moved);
    }
    options.privileged = *target == Target::InPlace && crate::elf::is_privileged(exe);
    let library = Library::from_map(elf).map_err(|error| anyhow!("{error}"))?;
    let plan = Planner::new(request.store, &options).plan_as(path, &library, subject);
    let plan = plan.map_err(PlanError::into_error)?;
    if options.privileged {
        refuse::unstartable(root, &plan)?;
    }
    Ok(plan)
}

/// The folders that the executable at `exe` finds relative to itself and that a
/// copy at `target` would not find: its table must name them.
fn left_behind(root: &Root, exe: &Path, target: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let from = std::fs::canonicalize(exe)?;
    let library = Library::open(&from).map_err(|error| anyhow!("{error}"))?;
    let inside = |path: &Path| {
        let inside = root.inside(path);
        inside.ok_or_else(|| anyhow!("{}", PlanError::Outside(root.folder().map(Path::to_owned))))
    };
    Ok(crate::resolve::files::search::left_behind(
        root,
        &library,
        &inside(&from)?,
        &inside(target)?,
    ))
}

/// What was done to undo an adoption.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undone {
    /// The original bytes are back; the table that is of no use any more, if
    /// nobody else has that id.
    Now(PathBuf),
    /// It is not indirect, so that there is nothing to undo.
    NotIndirect,
}

/// Gives the executable at `exe` the bytes back that it had before
/// [`adopt_file`], or writes them where `target` says.
///
/// # Errors
/// When the file was changed since, or what restores it is missing, or a file
/// cannot be written.
pub fn undo_file(exe: &Path, target: &Target) -> anyhow::Result<Undone> {
    let exe = exe.canonicalize()?;
    let exe = exe.as_path();
    let source = open(exe)?;
    let place = match Place::of(exe, &source.elf()?.notes()) {
        Err(PlaceError::NoNote) => return Ok(Undone::NotIndirect),
        other => other?,
    };
    if *target == Target::InPlace && crate::elf::is_privileged(exe) {
        undo::check_trust(&place, &source)?;
    }
    let image = undo::load(exe, &source)?;
    target.make_folder()?;
    let replacement = match target {
        Target::InPlace => save::Replacement::of_file(exe, &source, &image, &place)?,
        Target::Copy(_) => save::Replacement::new_file(target.path(exe)?, &source, &image, None)?,
    };
    // The bytes were read until now.
    save::check_unchanged(&source)?;
    replacement.publish()?;
    Ok(Undone::Now(place.path))
}

/// The place of the table of what `source` becomes at `exe`; with a note of ours, the
/// executable has the id `new_id`.
fn place_of(exe: &Path, source: &MappedElf, new_id: Option<&[u8]>) -> anyhow::Result<Place> {
    let notes = match new_id {
        None => source.elf()?.notes(),
        Some(id) => {
            let mut notes = Notes::default();
            notes.reference = Some(note::DEFAULT_REFERENCE.as_bytes());
            notes.own_id = Some(id);
            notes
        }
    };
    Ok(Place::of(exe, &notes)?)
}

/// An indirect copy at `out` of the executable at `exe`, without a table and
/// not synced: for measurements.
///
/// # Errors
/// When `exe` cannot be read or made indirect, or `out` cannot be written.
pub fn adopted_copy(exe: &Path, out: &Path, shim: &Path) -> anyhow::Result<Adopted> {
    let source = open(exe)?;
    let (image, adopted) = match adopt(&source, shim.as_os_str().as_bytes(), &[])? {
        Edited::Changed {
            image,
            headers_moved,
            ..
        } => (image, Adopted::Now { headers_moved }),
        Edited::Already => (Image::of_file(&source), Adopted::Already),
    };
    save::plain(out, &image)?;
    Ok(adopted)
}

/// A copy at `out` of the executable at `exe` as it is, written in the same way
/// as the other copies are: for measurements.
///
/// # Errors
/// When `exe` cannot be read or `out` cannot be written.
pub fn plain_copy(exe: &Path, out: &Path) -> anyhow::Result<()> {
    save::plain(out, &Image::of_file(&open(exe)?))
}

/// A copy at `out` of the executable at `exe` that another interpreter runs;
/// not synced: for measurements.
///
/// # Errors
/// See [`adopted_copy`].
pub fn copy_with_interpreter(exe: &Path, out: &Path, interpreter: &Path) -> anyhow::Result<()> {
    let source = open(exe)?;
    let image = with_interpreter(&source, interpreter.as_os_str().as_bytes())?;
    save::plain(out, &image)
}

/// The error alone: its source would say the same again.
fn open(exe: &Path) -> anyhow::Result<MappedElf> {
    MappedElf::open(exe).map_err(|error| anyhow!("{error}"))
}

/// Writes the table of a plan.
fn write_table(plan: &Plan) -> anyhow::Result<()> {
    for (_, result) in apply(std::slice::from_ref(plan)) {
        result.map_err(save::refusal).with_context(|| {
            format!("failed to write its table `{}`", plan.place.path.display())
        })?;
    }
    Ok(())
}
