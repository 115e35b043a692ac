//! The ways to start one program, each as a temporary copy of it.
//!
//! All copies lie in one temporary folder and have the program's own file name,
//! so that they differ in nothing but how libraries are found and bound; all are
//! written alike, because the kernel's page cache keeps a file in larger or smaller
//! units by how it was written, which shows in page faults. The
//! ordinary way finds the same files: where the original finds libraries by its
//! table or relative to itself, LD_LIBRARY_PATH names those folders, which
//! costs ld.so what a RUNPATH would.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use fs_err as fs;

use crate::adopt::{adopted_copy, copy_with_interpreter, plain_copy};
use crate::arch::Arch;
use crate::artefacts;
use crate::elf::{MappedElf, Root};
use crate::place::Place;
use crate::resolve::{Library, Resolver, Store};
use crate::table::{Inputs, TableFile};
use crate::update::{Kind, Options, Outcome};

/// How a program is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayKind {
    /// By ld.so, functions bound at their first call unless linked otherwise.
    Lazy,
    /// By ld.so, everything bound at start (LD_BIND_NOW=1).
    Eager,
    /// By the shim, paths only.
    Direct,
    /// By the shim, paths and bindings.
    Bound,
}

impl WayKind {
    /// Its name in tables, pictures and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Lazy => "ordinary, lazy",
            Self::Eager => "ordinary, eager",
            Self::Direct => "direct",
            Self::Bound => "bound",
        }
    }
}

/// A way that is ready to be run.
#[derive(Clone, Debug)]
pub struct Way {
    /// Which.
    pub kind: WayKind,
    /// The copy.
    pub exe: PathBuf,
    /// Variables besides the caller's.
    pub env: Vec<(String, String)>,
}

/// The ways of one program. The copies live as long as this.
#[derive(Debug)]
pub struct Ways {
    /// What can be run, the ordinary ways first.
    pub ways: Vec<Way>,
    /// What cannot, and why.
    pub missing: Vec<(WayKind, String)>,
    folder: tempfile::TempDir,
}

impl Ways {
    /// Makes the copies of the program at `exe`, indirect or not.
    ///
    /// # Errors
    /// When it cannot be made indirect, its libraries are not found, or the
    /// temporary folder cannot be written.
    pub fn new(exe: &Path) -> anyhow::Result<Self> {
        let exe = fs::canonicalize(exe)?;
        let folder = tempfile::Builder::new().prefix("indir-bench-").tempdir()?;
        let root = fs::canonicalize(folder.path())?;
        let name = exe.file_name().context("the program has no file name")?;
        let place = |way: &str| -> anyhow::Result<PathBuf> {
            let folder = root.join(way);
            fs::create_dir_all(&folder)?;
            Ok(folder.join(name))
        };
        let shim = place_shim(&root)?;
        let origin = Origin::of(&exe)?;

        let ordinary = place("ordinary")?;
        match &origin.ldso {
            Some(ldso) => copy_with_interpreter(&exe, &ordinary, ldso)?,
            None => plain_copy(&exe, &ordinary)?,
        }
        let mut env = Vec::new();
        if origin.relocated && !origin.folders.is_empty() {
            let joined = std::env::join_paths(&origin.folders)?;
            let joined = joined
                .into_string()
                .map_err(|_| anyhow!("a library folder is not UTF-8"))?;
            env.push(("LD_LIBRARY_PATH".to_owned(), joined));
        }
        let way = |kind, exe: &Path, env: &[(String, String)]| Way {
            kind,
            exe: exe.to_owned(),
            env: env.to_vec(),
        };
        let mut ways = vec![way(WayKind::Lazy, &ordinary, &env)];
        env.push(("LD_BIND_NOW".to_owned(), "1".to_owned()));
        ways.push(way(WayKind::Eager, &ordinary, &env));
        let mut missing = Vec::new();
        for (kind, plan) in [
            (WayKind::Direct, Kind::Direct),
            (WayKind::Bound, Kind::Bound),
        ] {
            let copy = place(kind.name())?;
            adopted_copy(&exe, &copy, &shim)?;
            match write_table(&copy, plan, &origin.folders) {
                Ok(()) => ways.push(way(kind, &copy, &[])),
                Err(error) => missing.push((kind, format!("{error:#}"))),
            }
        }
        for way in &ways {
            // Pages that wait to be written out would count as dirty memory.
            fs::File::open(&way.exe)?.sync_all()?;
        }
        Ok(Self {
            ways,
            missing,
            folder,
        })
    }

    /// A folder for whatever measuring leaves behind.
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }
}

/// The shim and the binder of this very executable.
fn place_shim(root: &Path) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let shim = root.join(Arch::own().shim);
    let files = [
        (shim.clone(), artefacts::SHIM),
        (root.join(Arch::own().binder), artefacts::BINDER),
    ];
    for (path, bytes) in files {
        fs::write(&path, bytes)?;
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(shim)
}

/// Where the original finds its libraries.
struct Origin {
    /// ld.so by its table, if it is indirect.
    ldso: Option<PathBuf>,
    /// Folders that must be searched first for a copy elsewhere.
    folders: Vec<PathBuf>,
    /// Whether an ordinary copy needs to be told these folders.
    relocated: bool,
}

impl Origin {
    fn of(exe: &Path) -> anyhow::Result<Self> {
        let map = MappedElf::open(exe).map_err(|error| anyhow!("{error}"))?;
        let elf = map.elf().map_err(|error| anyhow!("{error}"))?;
        let dynamic = elf.dynamic().ok().flatten().unwrap_or_default();
        let by_origin = dynamic
            .search()
            .is_some_and(|(_, list)| list.windows(7).any(|w| w == b"$ORIGIN" || w == b"${ORIGI"));
        let mut origin = Self {
            ldso: None,
            folders: Vec::new(),
            relocated: by_origin,
        };
        let notes = elf.notes();
        if notes.reference.is_some() {
            let place = Place::now(&Root::default(), exe, &notes)?;
            let table = TableFile::load_for(&place.path, crate::place::owner_of(exe))?
                .with_context(|| {
                    format!(
                        "it has no table (run `indir update {}`)",
                        crate::shell::quoted(exe)
                    )
                })?;
            let table = table
                .table()
                .map_err(|error| anyhow!("{}", error.message()))?;
            let ldso = crate::table::absolute(table.ldso().to_bytes(), exe);
            if !ldso.exists() {
                bail!(
                    "its table names `{}`, which is not there (run `indir verify {}`)",
                    ldso.display(),
                    crate::shell::quoted(exe)
                );
            }
            origin.ldso = Some(ldso);
            origin.folders = Inputs::of(&table).lib_dirs;
            origin.relocated = true;
        }
        let library = Library::open(exe).map_err(|error| anyhow!("{error}"))?;
        let store = Store::default();
        if let Ok(closure) = Resolver::new(&store, &origin.folders).resolve(exe, &library) {
            let own = closure
                .exe_folders
                .into_iter()
                .map(|folder| folder.path)
                .filter(|folder| folder.is_dir());
            origin.folders.extend(own);
        }
        Ok(origin)
    }
}

fn write_table(exe: &Path, kind: Kind, folders: &[PathBuf]) -> anyhow::Result<()> {
    let options = Options {
        kind,
        lib_dirs: Some(folders.to_vec()),
        ..Options::default()
    };
    let report = crate::update::run(&[exe.to_owned()], &options, false, &|_, _| {});
    for entry in report.entries {
        if let Outcome::Refused(why) | Outcome::Failed(why) = entry.outcome {
            bail!("{why}");
        }
    }
    Ok(())
}
