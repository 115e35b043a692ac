//! The shim that an executable is to refer to.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::arch::Arch;
use crate::artefacts;
use crate::elf::Root;
use crate::shell::quoted;

/// Where shims are, from the folder of the real path of our executable.
const SHIMS: &str = "../lib/indir";

/// Which shim executables refer to.
#[derive(Clone, Debug)]
pub enum Shims {
    /// This one.
    One(PathBuf),
    /// The one of their machine in this folder.
    In(PathBuf),
}

impl Shims {
    /// Those beside the running `indir`, as `indir setup` lays both out.
    ///
    /// # Errors
    /// When this executable's own path is not known.
    pub fn own() -> anyhow::Result<Self> {
        let exe = std::env::current_exe().context("failed to find this executable's own path")?;
        let folder = exe.parent().unwrap_or(Path::new("/"));
        let shims = folder.join(SHIMS);
        Ok(Self::In(shims.canonicalize().unwrap_or(shims)))
    }

    /// The shim for that machine, a path below `root`.
    ///
    /// # Errors
    /// When there is none: this `indir` was not set up under a prefix, or not for that
    /// machine.
    pub fn of(&self, arch: &Arch, root: &Root) -> anyhow::Result<PathBuf> {
        let folder = match self {
            Self::One(shim) => return Ok(shim.clone()),
            Self::In(folder) => folder,
        };
        let shim = folder.join(arch.shim);
        if !root.is_file(&shim) && artefacts::built(arch.machine.0).is_none() {
            bail!(artefacts::not_built(arch.platform));
        }
        if let Some(system) = root.folder() {
            if !root.is_file(&shim) {
                let prefix = folder.ancestors().nth(2).unwrap_or(Path::new("/"));
                let below = prefix.strip_prefix("/").unwrap_or(prefix);
                bail!(
                    "there is no shim `{}` in `{}` (run `indir setup --prefix {}`, or pass --indir-shim PATH)",
                    shim.display(),
                    system.display(),
                    quoted(&system.join(below))
                );
            }
            return Ok(shim);
        }
        shim.canonicalize().with_context(|| {
            format!(
                "the shim `{}` is missing; run `indir setup --prefix DIR` and use DIR/bin/indir, or pass --indir-shim PATH",
                shim.display()
            )
        })
    }
}
