//! The search inputs of a table, so that an update can be repeated.
//!
//! Text, one fact a line: `lib-dirs N` says that the first N folders of the
//! table's `search` were given with `--lib-dir`; `plugin-dir PATH` and
//! `scan-plugins` say where plugins are; `origin-dir PATH` is a folder that
//! `$ORIGIN` named where the executable was adopted from; `plan NAME` is the plan that
//! was asked for; `lacking-plugins HASHES` tells which plugins were not complete when
//! the table was written, so that `indir verify` tells what has changed. Lines that
//! this version does not know are dropped when the table is rewritten; a newer tool
//! that needs them kept raises the table's version. Storing a count instead of the folders
//! keeps a table of 20 Nix-length paths under 4 KiB.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::table::Table;
use sha2::{Digest as _, Sha256};

/// What joins folders in `search`, as in DT_RPATH.
pub const SEPARATOR: u8 = b':';

/// Why a folder or a replacement cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputsError {
    /// DT_RPATH cannot express the folder.
    #[error("`{}` cannot be searched: a folder's path must not contain `:`, a line break or `$`, which DT_RPATH cannot express", .0.display())]
    Inexpressible(PathBuf),
    /// `--replace` without `=`, or with an empty or relative side.
    #[error("`{0}` is not of the form OLD=NEW with two absolute paths")]
    Replacement(String),
}

/// Refuses a folder that cannot stand in a DT_RPATH.
///
/// # Errors
/// When its path contains `:`, a line break or `$`.
pub fn check_folder(folder: &Path) -> Result<(), InputsError> {
    let bad = |b: &u8| matches!(*b, SEPARATOR | b'\n' | b'$');
    if folder.as_os_str().as_bytes().iter().any(bad) {
        return Err(InputsError::Inexpressible(folder.to_owned()));
    }
    Ok(())
}

/// The folders, each once, if all can stand in a DT_RPATH.
fn checked(folders: impl IntoIterator<Item = PathBuf>) -> Result<Vec<PathBuf>, InputsError> {
    let mut once = Vec::new();
    for folder in folders {
        check_folder(&folder)?;
        if !once.contains(&folder) {
            once.push(folder);
        }
    }
    Ok(once)
}

/// One `--replace OLD=NEW`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Prefix to look for, in whole path components.
    pub old: PathBuf,
    /// What stands there afterwards.
    pub new: PathBuf,
}

impl std::str::FromStr for Replacement {
    type Err = InputsError;

    fn from_str(text: &str) -> Result<Self, InputsError> {
        let bad = || InputsError::Replacement(text.to_owned());
        let (old, new) = text.split_once('=').ok_or_else(bad)?;
        let (old, new) = (PathBuf::from(old), PathBuf::from(new));
        if !old.is_absolute() || !new.is_absolute() {
            return Err(bad());
        }
        check_folder(&new)?;
        Ok(Self { old, new })
    }
}

impl Replacement {
    /// `path` with the prefix replaced, if it has it.
    pub fn apply(&self, path: &Path) -> Option<PathBuf> {
        let rest = path.strip_prefix(&self.old).ok()?;
        Some(if rest.as_os_str().is_empty() {
            self.new.clone()
        } else {
            self.new.join(rest)
        })
    }
}

/// A plan that was asked for, which later updates keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chosen {
    /// Paths only.
    Direct,
    /// Paths and bindings.
    Bound,
}

impl Chosen {
    fn word(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Bound => "bound",
        }
    }
}

/// Length of a hash of `lacking-plugins`, in hexadecimal digits.
const LACKING_LEN: usize = 8;
/// Most of them: a string of a table has less than 64 KiB.
const MAX_LACKING: usize = 4000;

/// What a table was made from, besides the executable itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inputs {
    /// The `--lib-dir` folders, in order, without repetition.
    pub lib_dirs: Vec<PathBuf>,
    /// The `--plugin-dir` folders, in order, without repetition.
    pub plugin_dirs: Vec<PathBuf>,
    /// What `$ORIGIN` named where the executable came from, in order.
    pub origin_dirs: Vec<PathBuf>,
    /// Plugins are also looked for in the packages of the closure.
    pub scan_plugins: bool,
    /// The plan that was asked for; `None` leaves the choice to each update.
    pub plan: Option<Chosen>,
    /// Hashes of the plugins that were not complete and of what they lacked, sorted.
    pub lacking: Vec<String>,
}

impl Inputs {
    /// Inputs with these folders.
    ///
    /// # Errors
    /// When a folder cannot stand in a DT_RPATH.
    pub fn new(lib_dirs: impl IntoIterator<Item = PathBuf>) -> Result<Self, InputsError> {
        Ok(Self {
            lib_dirs: checked(lib_dirs)?,
            ..Self::default()
        })
    }

    /// Sets the folders of plugins.
    ///
    /// # Errors
    /// When one of them cannot stand in a line of the table, or could not be
    /// searched.
    pub fn set_plugin_dirs(
        &mut self,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(), InputsError> {
        self.plugin_dirs = checked(folders)?;
        Ok(())
    }

    /// Sets the folders that `$ORIGIN` named where the executable came from.
    ///
    /// # Errors
    /// When one of them cannot stand in a line of the table, or could not be
    /// searched.
    pub fn set_origin_dirs(
        &mut self,
        folders: impl IntoIterator<Item = PathBuf>,
    ) -> Result<(), InputsError> {
        self.origin_dirs = checked(folders)?;
        Ok(())
    }

    /// Sets the hashes of incomplete plugins; what does not fit is left out.
    pub fn set_lacking(&mut self, hashes: impl IntoIterator<Item = String>) {
        self.lacking = hashes.into_iter().collect();
        self.lacking.sort_unstable();
        self.lacking.dedup();
        self.lacking.truncate(MAX_LACKING);
    }

    /// What a hash of an incomplete plugin is made from: its path and what it lacks.
    pub fn hash_lacking(plugin: &Path, missing: &[String]) -> String {
        let mut hash = Sha256::new();
        hash.update(plugin.as_os_str().as_bytes());
        for line in missing {
            hash.update([0]);
            hash.update(line);
        }
        let mut text = crate::place::hex(&hash.finalize());
        text.truncate(LACKING_LEN);
        text
    }

    /// The inputs that `table` was made from.
    pub fn of(table: &Table<'_>) -> Self {
        let lines = || table.inputs().to_bytes().split(|&b| b == b'\n');
        let path = |bytes: &[u8]| PathBuf::from(OsStr::from_bytes(bytes));
        let count = lines()
            .find_map(|line| line.strip_prefix(b"lib-dirs "))
            .and_then(|number| std::str::from_utf8(number).ok()?.parse::<usize>().ok())
            .unwrap_or(0);
        let folders = table.search().to_bytes().split(|&b| b == SEPARATOR);
        let lib_dirs = folders.take(count).filter(|folder| !folder.is_empty());
        let paths = |prefix: &'static [u8]| {
            lines()
                .filter_map(move |line| line.strip_prefix(prefix))
                .map(path)
                .filter(|folder| folder.is_absolute())
                .collect()
        };
        Self {
            lib_dirs: lib_dirs.map(path).collect(),
            plugin_dirs: paths(b"plugin-dir "),
            origin_dirs: paths(b"origin-dir "),
            scan_plugins: lines().any(|line| line == b"scan-plugins"),
            plan: [Chosen::Direct, Chosen::Bound].into_iter().find(|chosen| {
                lines().any(|line| line.strip_prefix(b"plan ") == Some(chosen.word().as_bytes()))
            }),
            lacking: lines()
                .find_map(|line| line.strip_prefix(b"lacking-plugins "))
                .and_then(|hashes| std::str::from_utf8(hashes).ok())
                .map(|hashes| hashes.split(' ').map(str::to_owned).collect())
                .unwrap_or_default(),
        }
    }

    /// The text that is stored in the table.
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        if !self.lib_dirs.is_empty() {
            text.extend(format!("lib-dirs {}\n", self.lib_dirs.len()).into_bytes());
        }
        let origin_dirs = self
            .origin_dirs
            .iter()
            .map(|folder| ("origin-dir ", folder));
        let plugin_dirs = self
            .plugin_dirs
            .iter()
            .map(|folder| ("plugin-dir ", folder));
        for (key, folder) in origin_dirs.chain(plugin_dirs) {
            text.extend(key.as_bytes());
            text.extend(folder.as_os_str().as_bytes());
            text.push(b'\n');
        }
        if self.scan_plugins {
            text.extend(b"scan-plugins\n");
        }
        if let Some(chosen) = self.plan {
            text.extend(format!("plan {}\n", chosen.word()).into_bytes());
        }
        if !self.lacking.is_empty() {
            text.extend(format!("lacking-plugins {}\n", self.lacking.join(" ")).into_bytes());
        }
        text
    }

    /// All folders.
    pub fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        let all = [&self.lib_dirs, &self.plugin_dirs, &self.origin_dirs];
        all.into_iter().flatten()
    }

    /// Rewrites the folders; the first matching replacement of each is used.
    /// Returns whether any folder changed.
    pub fn replace(&mut self, replacements: &[Replacement]) -> bool {
        let mut changed = false;
        for folders in [
            &mut self.lib_dirs,
            &mut self.plugin_dirs,
            &mut self.origin_dirs,
        ] {
            let mut replaced = Vec::with_capacity(folders.len());
            for folder in folders.drain(..) {
                let new = replacements
                    .iter()
                    .find_map(|r| r.apply(&folder))
                    .unwrap_or_else(|| folder.clone());
                changed |= new != folder;
                if !replaced.contains(&new) {
                    replaced.push(new);
                }
            }
            *folders = replaced;
        }
        changed
    }
}
