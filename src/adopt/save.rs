//! Putting the new bytes where they belong: temporary, sync, rename.
//!
//! In place, the file keeps its mode, owner, modification time and extended
//! attributes (file capabilities are one). A rename would leave other hard
//! links behind with the old bytes, so a file with several is refused.
//!
//! The temporary lies in the folder of tables beside the executable, where every
//! later run finds and removes it if this one is killed. It never has a
//! privilege: set-user-ID, set-group-ID and capabilities are given when the file
//! has its name. A kill between the two leaves a program without its privilege,
//! which is the safe side.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context as _, bail};
use fs_err as fs;

use super::image::Image;
use crate::elf::MappedElf;
use crate::exit::Refused;
use crate::place::{
    ADOPTED_SUFFIX, Beside, CHANGED, Folder, Owner, Place, Subject, Tables, Temporary, WriteError,
    hex,
};

/// Longest list of names, or value, of extended attributes (Linux's own limit).
const MAX_XATTR: usize = 64 << 10;
/// The attribute that holds file capabilities.
const CAPABILITIES: &[u8] = b"security.capability";
/// Set-user-ID, set-group-ID, sticky.
const PRIVILEGES: u32 = 0o7000;

/// Somebody put another file, or a link, in the place of one that is to be replaced.
const MOVED: &str = "it was replaced while it was read";

/// Taken alone while a folder of tables may go, and shared while one is made for a file.
static EMPTYING: RwLock<()> = RwLock::new(());

/// That a file is still what was read of it.
///
/// # Errors
/// When somebody has written to the file since it was opened.
pub(super) fn check_unchanged(source: &MappedElf) -> anyhow::Result<()> {
    if !source.is_unchanged() {
        bail!("{CHANGED}");
    }
    Ok(())
}

/// A complete new file that has not taken its name yet. Dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Replacement {
    temporary: Option<Temporary>,
    beside: Beside,
    tables: Option<Tables>,
    name: OsString,
    target: PathBuf,
    subject: Subject,
    /// What it gets when it has its name: bits of its mode, capabilities.
    mode: u32,
    capabilities: Option<Vec<u8>>,
}

impl Replacement {
    /// For the file at `path`, which is absolute and free of symlinks; `place` is that
    /// of its table.
    pub(super) fn of_file(
        path: &Path,
        source: &MappedElf,
        image: &Image<'_>,
        place: &Place,
    ) -> anyhow::Result<Self> {
        check_links(source)?;
        Self::in_place(path, source, image, Some(place))
    }

    /// The same for a file whose other names, if it has any, the caller replaces.
    pub(crate) fn of_names(
        path: &Path,
        source: &MappedElf,
        image: &Image<'_>,
    ) -> anyhow::Result<Self> {
        Self::in_place(path, source, image, None)
    }

    fn in_place(
        path: &Path,
        source: &MappedElf,
        image: &Image<'_>,
        place: Option<&Place>,
    ) -> anyhow::Result<Self> {
        let metadata = source.metadata();
        let subject = Subject::of(metadata);
        let target = fs::canonicalize(path)?;
        if target != path {
            bail!("{MOVED}");
        }
        let mut this = Self::write(target, subject, image, place)?;
        let old = this.beside.folder().open_file(&this.name)?;
        if !is_same(&old.metadata()?, metadata) {
            bail!("{MOVED}");
        }
        let capabilities = check_privileges(&this.beside, metadata, &old)?;
        let file = this.file()?;
        let keep = || -> anyhow::Result<()> {
            if (metadata.uid(), metadata.gid()) != own_ids(file)? {
                fchown(file, Some(metadata.uid()), Some(metadata.gid()))
                    .context("failed to keep its owner")?;
            }
            copy_xattrs(&old, file).context("failed to keep its extended attributes")?;
            let mode = std::fs::Permissions::from_mode(metadata.mode() & 0o777);
            file.set_permissions(mode)
                .context("failed to keep its mode")?;
            let times = std::fs::FileTimes::new().set_modified(metadata.modified()?);
            file.set_times(times).context("failed to keep its time")
        };
        keep()?;
        file.sync_all().context("failed to write the new file")?;
        this.mode = metadata.mode() & 0o7777;
        this.capabilities = capabilities;
        Ok(this)
    }

    /// For a new file at `target`, with the mode of `source`, less privileges
    /// that do not pass to a copy.
    pub(super) fn new_file(
        target: PathBuf,
        source: &MappedElf,
        image: &Image<'_>,
        place: Option<&Place>,
    ) -> anyhow::Result<Self> {
        let subject = new_subject(source);
        let mode = subject.owner.mode;
        let mut this = Self::write(target, subject, image, place)?;
        this.mode = mode;
        let file = this.file()?;
        file.set_permissions(std::fs::Permissions::from_mode(mode))?;
        file.sync_all().context("failed to write the new file")?;
        Ok(this)
    }

    fn write(
        target: PathBuf,
        subject: Subject,
        image: &Image<'_>,
        place: Option<&Place>,
    ) -> anyhow::Result<Self> {
        let beside = Beside::open(&target, &subject).map_err(refusal)?;
        let name = target.file_name().context("the output has no file name")?;
        let name = name.to_owned();
        // Until there is a file in it, another thread could find the folder empty.
        let _shared = EMPTYING.read().unwrap_or_else(PoisonError::into_inner);
        let tables = match place {
            Some(place) => Some(Tables::open(&target, &subject, place).map_err(refusal)?),
            None => None,
        };
        let tables = tables.filter(Tables::is_ours);
        let failed = || format!("failed to write in `{}`", beside.folder().path().display());
        let create = |folder: &Arc<Folder>, name: &OsString| -> Result<Temporary, WriteError> {
            let mut temporary = Temporary::create(folder, name)?;
            image.write_to(temporary.file())?;
            Ok(temporary)
        };
        let temporary = match (&tables, place) {
            (Some(tables), Some(place)) => {
                let name = OsString::from(format!("{}{ADOPTED_SUFFIX}", hex(&place.id)));
                tables.clean().map_err(refusal)?;
                tables.act(|| create(tables.folder(), &name))
            }
            _ => beside.act(|| create(beside.folder(), &name)),
        };
        let temporary = temporary.map_err(refusal).with_context(failed)?;
        Ok(Self {
            temporary: Some(temporary),
            beside,
            tables,
            name,
            target,
            subject,
            mode: 0,
            capabilities: None,
        })
    }

    fn file(&mut self) -> anyhow::Result<&File> {
        let temporary = self.temporary.as_mut().context("it is written already")?;
        Ok(temporary.file())
    }

    /// The file as it will be, to be read.
    pub(super) fn elf(&mut self) -> anyhow::Result<MappedElf> {
        let target = self.target.clone();
        Ok(MappedElf::of_file(target, self.file()?)?)
    }

    /// Whose it will be, and which file it replaces.
    pub(super) fn subject(&self) -> Subject {
        self.subject
    }

    /// The name that it will take.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Takes the name, durably.
    pub(crate) fn publish(mut self) -> anyhow::Result<()> {
        let failed = || format!("failed to replace `{}`", self.target.display());
        self.beside
            .check(&self.target, &self.subject)
            .map_err(refusal)?;
        let temporary = self.temporary.take().context("it is written already")?;
        let rename = || Ok(temporary.rename(self.beside.folder(), &self.name)?);
        let file = match &self.tables {
            Some(tables) => tables.act(rename),
            None => self.beside.act(rename),
        };
        let file = file.map_err(refusal).with_context(failed)?;
        self.beside.folder().sync().with_context(failed)?;
        self.give_privileges(&file).with_context(|| {
            format!(
                "`{}` is written, but lacks the privileges that it had (mode {:o})",
                self.target.display(),
                self.mode
            )
        })
    }

    fn give_privileges(&self, file: &File) -> anyhow::Result<()> {
        use rustix::fs::{XattrFlags, fsetxattr};
        if self.mode & PRIVILEGES == 0 && self.capabilities.is_none() {
            return Ok(());
        }
        if self.mode & PRIVILEGES != 0 {
            file.set_permissions(std::fs::Permissions::from_mode(self.mode))?;
        }
        if let Some(value) = &self.capabilities {
            fsetxattr(file, CAPABILITIES, value, XattrFlags::empty())?;
        }
        Ok(file.sync_all()?)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        // First the file goes, then a folder that was made for it alone.
        self.temporary = None;
        if let Some(tables) = &self.tables {
            let _alone = EMPTYING.write().unwrap_or_else(PoisonError::into_inner);
            tables.remove_if_empty();
        }
    }
}

/// Refuses a file with several names.
pub(super) fn check_links(source: &MappedElf) -> anyhow::Result<()> {
    let links = source.metadata().nlink();
    if links > 1 {
        let mut new = source.path().as_os_str().to_owned();
        new.push(".new");
        let (path, new) = (
            crate::shell::quoted(source.path()),
            crate::shell::quoted(Path::new(&new)),
        );
        bail!(
            "it has {links} hard links, of which only one would be changed; to make it a file of its own, run `cp -p {path} {new} && mv {new} {path}`"
        );
    }
    Ok(())
}

/// Refuses what [`Replacement::of_file`] would refuse, and writes nothing.
pub(super) fn check_in_place(path: &Path, source: &MappedElf) -> anyhow::Result<()> {
    check_links(source)?;
    let target = fs::canonicalize(path)?;
    let metadata = source.metadata();
    let beside = Beside::open(&target, &Subject::of(metadata)).map_err(refusal)?;
    let name = target.file_name().context("it has no file name")?;
    let old = beside.folder().open_file(name)?;
    check_privileges(&beside, metadata, &old).map(drop)
}

/// The capabilities of the file that is open as `old`, unless its owner could not have
/// given it what it has.
fn check_privileges(
    beside: &Beside,
    metadata: &std::fs::Metadata,
    old: &File,
) -> anyhow::Result<Option<Vec<u8>>> {
    let capabilities = attribute(old, CAPABILITIES)?;
    if beside.is_for_another() && (metadata.mode() & 0o2000 != 0 || capabilities.is_some()) {
        return Err(Refused(
            "it has a privilege that its owner could not give it, and its owner could change it meanwhile: move it to a folder of root's"
                .to_owned(),
        )
        .into());
    }
    Ok(capabilities)
}

/// A new file of ours, made of `source`.
pub(super) fn new_subject(source: &MappedElf) -> Subject {
    let owner = Owner {
        uid: nix::unistd::geteuid().as_raw(),
        gid: nix::unistd::getegid().as_raw(),
        mode: source.metadata().mode() & 0o777,
    };
    Subject { file: None, owner }
}

/// As an error of the command: what somebody else's rights forbid is a refusal.
pub(crate) fn refusal(error: WriteError) -> anyhow::Error {
    match error {
        WriteError::Refused(why) => Refused(why).into(),
        WriteError::Io(error) => error.into(),
        WriteError::Interrupted(interrupted) => interrupted.into(),
    }
}

fn is_same(a: &std::fs::Metadata, b: &std::fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Writes an executable file at `out`, not synced.
pub(super) fn plain(out: &Path, image: &Image<'_>) -> anyhow::Result<()> {
    let mut file = fs::File::create(out)?;
    image.write_to(&mut file)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn own_ids(file: &std::fs::File) -> std::io::Result<(u32, u32)> {
    let metadata = file.metadata()?;
    Ok((metadata.uid(), metadata.gid()))
}

/// The value of one extended attribute.
fn attribute(file: &File, name: &[u8]) -> std::io::Result<Option<Vec<u8>>> {
    use rustix::io::Errno;
    let mut value = vec![0; MAX_XATTR];
    match rustix::fs::fgetxattr(file, name, &mut value) {
        Ok(len) => {
            value.truncate(len);
            Ok(Some(value))
        }
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Copies all extended attributes that may be read and are not there already, but
/// for capabilities.
fn copy_xattrs(from: &File, to: &File) -> std::io::Result<()> {
    use rustix::fs::{XattrFlags, flistxattr, fsetxattr};
    let mut names = vec![0; MAX_XATTR];
    let len = match flistxattr(from, &mut names) {
        Ok(len) => len,
        Err(rustix::io::Errno::NOTSUP) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let names = names.get(..len).unwrap_or_default();
    for name in names
        .split(|&byte| byte == 0)
        .filter(|name| !name.is_empty() && *name != CAPABILITIES)
    {
        let value = attribute(from, name)?;
        // A security module labels new files itself.
        if let Some(value) =
            value.filter(|value| attribute(to, name).ok() != Some(Some(value.clone())))
        {
            fsetxattr(to, name, &value, XattrFlags::empty())?;
        }
    }
    Ok(())
}
