//! Options that several commands take, and what is said of them.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::elf::Root;
use crate::table::Replacement;
use crate::update::Idle;

/// `folder` as it will stand in tables: absolute, symlinks kept, since a
/// symlink may be what the administrator switches.
pub(super) fn absolute(root: &Root, folder: &Path) -> anyhow::Result<PathBuf> {
    existing(root, "--lib-dir", folder)
}

/// The same of another option.
pub(super) fn existing(root: &Root, option: &str, folder: &Path) -> anyhow::Result<PathBuf> {
    let context = || format!("`{option} {}`", folder.display());
    if root.folder().is_some() && !folder.is_absolute() {
        anyhow::bail!(
            "`{option} {}`: with `--sysroot` give a path of that system, from its root",
            folder.display()
        );
    }
    let folder = std::path::absolute(folder).with_context(context)?;
    let real = root.real(&folder).with_context(context)?;
    if !std::fs::metadata(real).with_context(context)?.is_dir() {
        anyhow::bail!("`{option} {}`: not a folder", folder.display());
    }
    Ok(folder.components().collect())
}

/// The root that `--sysroot` gives.
///
/// # Errors
/// When there is no such folder.
pub(super) fn root(folder: Option<&Path>) -> anyhow::Result<Root> {
    let Some(folder) = folder else {
        return Ok(Root::default());
    };
    Root::new(folder).with_context(|| format!("`--sysroot {}`", folder.display()))
}

/// Says which replacements no table knew.
pub(super) fn unknown(all: &[Replacement]) {
    for replacement in all {
        let old = replacement.old.display();
        crate::say::err!("warning: `--replace {old}=…`: no table takes anything from `{old}`");
    }
}

/// Says which folders of `--lib-dir` provide nothing.
pub(super) fn idle(all: &[Idle]) {
    for idle in all {
        let mut hint = String::new();
        if let Some(deeper) = &idle.meant {
            hint = format!(" (do you mean `{}`?)", deeper.display());
        }
        crate::say::err!(
            "warning: `--lib-dir {}`: no library comes from there{hint}",
            idle.folder.display()
        );
    }
}
