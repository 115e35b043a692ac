//! What an object needs and nobody provides, in one line for the user.

use std::fmt;
use std::path::{Path, PathBuf};

use super::addresses::lookup::Scope;
use super::files::closure::Closure;

/// Something that an object needs and its provider lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Unmet {
    /// The symbol; `None` if a whole version is missing that no symbol uses.
    pub symbol: Option<String>,
    /// The version; empty for a symbol without one.
    pub version: String,
    /// Who needs it.
    pub needed_by: PathBuf,
    /// Who should provide it; `None` if any object might.
    pub provider: Option<PathBuf>,
    /// ld.so starts the program all the same, and stops it when the function is
    /// first called.
    pub lazy: bool,
    /// The provider has it, but it does not fit into the copy in `needed_by`.
    pub misfit: Option<Misfit>,
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.symbol, self.version.as_str()) {
            (Some(symbol), "") => write!(f, "{symbol}")?,
            (Some(symbol), version) => write!(f, "{symbol}@{version}")?,
            (None, version) => write!(f, "version {version}")?,
        }
        if let (Some(misfit), Some(provider)) = (&self.misfit, &self.provider) {
            let Misfit { copy, original, .. } = misfit;
            let (library, user) = (provider.display(), self.needed_by.display());
            match misfit.what {
                Measure::Size => write!(
                    f,
                    " is {original} bytes in {library}, the copy in {user} has room for {copy}"
                )?,
                Measure::Align => write!(
                    f,
                    " is aligned to {original} bytes in {library}, the copy in {user} to {copy}"
                )?,
                Measure::Protected => write!(
                    f,
                    " is protected in {library}, which would not use the copy in {user}"
                )?,
                Measure::Indirect => write!(
                    f,
                    " is protected in {library}, which needs indirect access to it (GNU_PROPERTY_1_NEEDED_INDIRECT_EXTERN_ACCESS), and {user} has it directly"
                )?,
            }
            return f.write_str(": link the program again");
        }
        write!(
            f,
            " needed by {}, not provided by ",
            self.needed_by.display()
        )?;
        match &self.provider {
            Some(provider) => write!(f, "{}", provider.display()),
            None => f.write_str("any library"),
        }
    }
}

/// How a library's object does not fit into the copy of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Misfit {
    /// What does not fit.
    pub what: Measure,
    /// What the copy has, in bytes.
    pub copy: u64,
    /// What the library's object has or needs, in bytes.
    pub original: u64,
}

/// Of what there is too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Measure {
    /// `st_size`.
    Size,
    /// Alignment of the address.
    Align,
    /// STV_PROTECTED: the library does not look for the copy (1 or 0).
    Protected,
    /// The same, and ld.so refuses it (elf/dl-protected.h).
    Indirect,
}

/// The miss of a symbol of an object of the scope, a fatal one.
pub(super) fn describe(
    exe_path: &Path,
    closure: &Closure,
    scope: &Scope,
    (from, symbol): (usize, u32),
) -> Option<Unmet> {
    let object = scope.objects().get(from)?;
    let version = object.symbol_version(symbol);
    let provider = version.and_then(|version| closure.provider(version.file?));
    let path = match from.checked_sub(1) {
        Some(index) => &closure.nodes.get(index)?.path,
        None => exe_path,
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Unmet {
        symbol: Some(text(object.symbol_name(symbol)?)),
        version: version
            .map(|version| text(version.name))
            .unwrap_or_default(),
        needed_by: path.to_owned(),
        provider: provider.map(|node| node.path.clone()),
        lazy: false,
        misfit: None,
    })
}
