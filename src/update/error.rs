//! Why an executable gets no table.

use std::path::PathBuf;

use super::bindings::ClosureBindingsError;
use crate::exit::Refused;
use crate::interrupt::Interrupted;
use crate::place::{PlaceError, WriteError};
use crate::resolve::ResolveError;
use crate::resolve::files::library::LibraryError;
use crate::resolve::unmet::Unmet;
use crate::table::{BuildError, InputsError, LoadError};

/// Why no table can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The executable is not usable.
    #[error(transparent)]
    Executable(#[from] LibraryError),
    /// It is a shared library, or a kind of file that has no interpreter.
    #[error("it has no interpreter: not a dynamically linked executable")]
    NoInterpreter,
    /// It has no place for a table.
    #[error(transparent)]
    Place(#[from] PlaceError),
    /// The table that is there cannot be read, and holds the folders.
    #[error(
        "its table cannot be read, so its folders are not known: {0} (give them again with `--lib-dir`)"
    )]
    Load(#[source] LoadError),
    /// The table that is there is somebody else's.
    #[error("{0}; run `{1}` if you know what it is")]
    Foreign(LoadError, String),
    /// It is not in the system that `--sysroot` gives.
    #[error("it does not lie in the folder of `--sysroot`{}", .0.as_ref().map_or_else(String::new, |root| format!(", `{}`", root.display())))]
    Outside(Option<PathBuf>),
    /// Its table may not be where its note says.
    #[error(transparent)]
    Refused(WriteError),
    /// A file was written while it was read.
    #[error("`{}`: {}", .0.display(), crate::place::CHANGED)]
    Changed(PathBuf),
    /// A folder cannot be searched.
    #[error(transparent)]
    Inputs(#[from] InputsError),
    /// The closure cannot be found.
    #[error(transparent)]
    Resolve(#[from] ResolveError),
    /// ld.so was found but makes no sense.
    #[error("`{}` is not a usable ld.so: {}", .0.display(), .1)]
    Ldso(PathBuf, &'static str),
    /// An object of the closure has tables that ld.so could not use.
    #[error("`{}` cannot be used: {}", .0.display(), .1)]
    Object(PathBuf, String),
    /// The libraries lack what is needed.
    #[error("the libraries do not satisfy it; its table stays as it was{}", list(.0))]
    Unmet(Vec<Unmet>),
    /// Objects that do not go together.
    #[error("the libraries do not fit together; its table stays as it was{}", lines(.0))]
    Unfit(Vec<String>),
    /// A folder that the table names is not there any more.
    #[error("the folder `{}`, from which it takes libraries, is gone; its table stays as it was (give `--lib-dir` again, or `--replace` with the folder's new place)", .0.display())]
    Gone(PathBuf),
    /// The new folder of a replacement is not there.
    #[error("`--replace`: there is no folder `{}`; its table stays as it was", .0.display())]
    NoSuch(PathBuf),
    /// The same, of a question that writes nothing.
    #[error("the folder `{}`, from which its table takes libraries, is gone (`indir verify` says what to do)", .0.display())]
    Lost(PathBuf),
    /// The new folder of a replacement is not there, which is asked about.
    #[error("`--replace`: there is no folder `{}`", .0.display())]
    Nowhere(PathBuf),
    /// The new folder of a replacement lacks what the old one had.
    #[error("`--replace`: its table stays as it was{}", lines(.0))]
    NotHeld(Vec<String>),
    /// A folder of plugins cannot be searched.
    #[error("`--plugin-dir {}`: {} (give the folders of plugins again, or use `--no-plugins`)", .0.display(), .1)]
    PluginDir(PathBuf, String),
    /// A plugin would lose a library that it had.
    #[error("the libraries do not satisfy its plugins; its table stays as it was{}", lines(.0))]
    Plugins(Vec<String>),
    /// The table would not fit.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// There can be no bindings.
    #[error(transparent)]
    Bindings(#[from] ClosureBindingsError),
    /// A signal came.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A bound plan was asked for, and the binder is missing.
    #[error(
        "there is no binder at `{}`: the prefix was set up by another version (run `indir setup`, or use `--plan direct`)", .0.display()
    )]
    NoBinder(PathBuf),
}

fn list(unmet: &[Unmet]) -> String {
    unmet.iter().map(|unmet| format!("\n  {unmet}")).collect()
}

fn lines(all: &[String]) -> String {
    all.iter().map(|line| format!("\n  {line}")).collect()
}

impl PlanError {
    /// What the libraries lack, if that is why.
    pub fn unmet(&self) -> &[Unmet] {
        match self {
            Self::Unmet(all) => all,
            _ => &[],
        }
    }

    /// Whether this is a refusal (exit code 3): the files are there and sound,
    /// but the libraries do not satisfy the binaries, or somebody else has decided
    /// what is there.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Unmet(_)
                | Self::Unfit(_)
                | Self::Plugins(_)
                | Self::Gone(_)
                | Self::NoSuch(_)
                | Self::NotHeld(_)
                | Self::Foreign(..)
                | Self::Refused(_)
        )
    }

    /// As an error of one command, with the exit code that belongs to it.
    pub fn into_error(self) -> anyhow::Error {
        if self.is_refusal() {
            Refused(self.to_string()).into()
        } else {
            self.into()
        }
    }
}
