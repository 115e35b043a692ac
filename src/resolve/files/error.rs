//! Why a closure cannot be found, in one line for the user.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use indir_shim::format::layout::MAX_OBJECTS;

/// Why a closure could not be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// A library is nowhere.
    #[error("{}", missing(.name, .needed_by, .looked, .skipped))]
    Missing {
        /// The name that was looked for.
        name: String,
        /// Who asks for it.
        needed_by: PathBuf,
        /// Where it was looked for, in order.
        looked: Vec<PathBuf>,
        /// Files of that name that do not serve, and why.
        skipped: Vec<(PathBuf, String)>,
    },
    /// A library is there but ld.so would stop at it.
    #[error("`{}`, needed by `{}`, cannot be used: {why}", .path.display(), .needed_by.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Who asks for it.
        needed_by: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A name with a slash that is not an absolute path.
    #[error("`{}` needs `{name}`, which depends on the current folder (give that library a soname with `-Wl,-soname` and link again)", .needed_by.display())]
    Relative {
        /// The name.
        name: String,
        /// Who asks for it.
        needed_by: PathBuf,
    },
    /// It is not glibc's ld.so that interprets it.
    #[error("its interpreter `{}` is not the ld.so of a glibc for this machine", .0.display())]
    OtherInterpreter(PathBuf),
    /// libc.so.6 and ld.so of two builds.
    #[error(
        "`{}` is of the build `{of_libc}`, but `{}` of `{of_ldso}`: they must be of one build (give a folder that has both with `--lib-dir`)", .libc.display(), .ldso.display()
    )]
    Pair {
        /// libc.so.6.
        libc: PathBuf,
        /// Its build.
        of_libc: String,
        /// ld.so.
        ldso: PathBuf,
        /// Its build.
        of_ldso: String,
    },
    /// More objects than a table can hold.
    #[error("more than {MAX_OBJECTS} libraries are needed")]
    TooMany,
    /// A file without dynamic section has no closure.
    #[error("it is statically linked: there is nothing to indirect")]
    Static,
}

fn missing(
    name: &str,
    needed_by: &Path,
    looked: &[PathBuf],
    skipped: &[(PathBuf, String)],
) -> String {
    let mut text = format!(
        "`{name}`, needed by `{}`, is not found; looked in",
        needed_by.display()
    );
    // A Nix-like closure has hundreds of folders; the first tell the story.
    const SHOWN: usize = 8;
    for (index, folder) in looked.iter().take(SHOWN).enumerate() {
        let _ = write!(
            text,
            "{} {}",
            if index == 0 { "" } else { "," },
            folder.display()
        );
    }
    if looked.len() > SHOWN {
        let _ = write!(text, " and {} more", looked.len() - SHOWN);
    }
    for (path, why) in skipped {
        let _ = write!(text, "; passed over `{}`: {why}", path.display());
    }
    text.push_str(" (give its folder with `--lib-dir`)");
    text
}
