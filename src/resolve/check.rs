//! Whether the objects of a closure fit together.
//!
//! `versions` is what ld.so does before it relocates anything
//! (`_dl_check_map_versions` in glibc elf/dl-version.c): each needed version
//! must be defined by the object that provides its file. An object that defines
//! no versions satisfies every need, and a weak need may stay open.
//! `symbols` is what ld.so does under LD_BIND_NOW: each reference that is not
//! weak must have a definition; `copies` adds what a program has copies of. What
//! a miss means is `update`'s decision.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::closure::Closure;
use super::copies::{self, Measure, Misfit};
use super::library::Library;
use super::lookup::{Class, Resolution, Scope};
use super::object::LoadedObject;
use super::store::Store;

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

/// A reference of a library: index of the library in the closure, index of the
/// symbol in it, how it is looked up, and whether only late calls use it.
type LibraryReference = (usize, u32, Class, bool);

/// What the libraries of a closure lack among themselves. The same for every
/// executable with these libraries, which can only add definitions.
#[derive(Clone, Debug, Default)]
pub struct Open {
    references: Vec<LibraryReference>,
    /// Index of a library in the closure, and a symbol that it has a copy of.
    copies: Vec<(usize, u32)>,
    versions: bool,
}

/// Everything that the closure of `exe` lacks, the executable's needs first,
/// then in ld.so's order.
///
/// # Errors
/// Path and reason when an object's tables cannot be read.
pub fn unmet(
    store: &Store,
    exe_path: &Path,
    exe: &Library,
    closure: &Closure,
) -> Result<Vec<Unmet>, (PathBuf, String)> {
    let load =
        |path: &Path, library: &Library| library.loaded().map_err(|why| (path.to_owned(), why));
    let mut objects = vec![load(exe_path, exe)?];
    for node in &closure.nodes {
        objects.push(load(&node.path, &node.library)?);
    }
    let key: Vec<_> = closure
        .nodes
        .iter()
        .map(|node| node.library.file_id)
        .collect();
    let open = store.open(&key, || Open {
        references: open_references(objects.get(1..).unwrap_or(&[])),
        copies: library_copies(objects.get(1..).unwrap_or(&[])),
        versions: !versions(libraries(closure), closure).is_empty(),
    });
    let mut versions_unmet = versions(std::iter::once((exe_path, exe)), closure);
    if open.versions {
        versions_unmet.extend(versions(libraries(closure), closure));
    }
    let scope = Scope::new(objects);
    let mut all = symbols(exe_path, closure, &scope, &open);
    let own = scope.objects().first().map(|exe| copies::copied(exe));
    let own = own.into_iter().flatten().map(|symbol| (0, symbol));
    let of_libraries = open
        .copies
        .iter()
        .map(|&(index, symbol)| (index + 1, symbol));
    all.extend(copies::unfit(
        exe_path,
        closure,
        &scope,
        own.chain(of_libraries),
    ));
    let users = std::iter::once((exe_path, exe)).chain(libraries(closure));
    Ok(with_versions(all, versions_unmet, users))
}

/// What the nodes from `first` on lack, which came into the running program with
/// an object that was opened: missing versions, and references that are not weak.
///
/// # Errors
/// Path and reason when an object's tables cannot be read.
pub fn unmet_by_opened(
    exe_path: &Path,
    exe: &Library,
    closure: &Closure,
    first: usize,
) -> Result<Vec<Unmet>, (PathBuf, String)> {
    let all = std::iter::once((exe_path, exe)).chain(libraries(closure));
    let load =
        |(path, library): (&Path, &Library)| library.loaded().map_err(|why| (path.to_owned(), why));
    let scope = Scope::new(all.map(load).collect::<Result<_, _>>()?);
    let mut missing = Vec::new();
    for from in first + 1..scope.objects().len() {
        for reference in scope.references(from) {
            let resolve = || scope.resolve(from, reference.symbol, reference.class);
            if !reference.weak
                && resolve() == Resolution::Missing
                && let Some(unmet) = describe(exe_path, closure, &scope, (from, reference.symbol))
            {
                let lazy = reference.lazy;
                missing.push(Unmet { lazy, ..unmet });
            }
        }
    }
    let opened = || libraries(closure).skip(first);
    Ok(with_versions(
        missing,
        versions(opened(), closure),
        opened(),
    ))
}

/// Missing symbols and missing versions as one list: a version is told by the
/// symbols that are needed with it.
fn with_versions<'a>(
    mut all: Vec<Unmet>,
    versions: Vec<Unmet>,
    users: impl Iterator<Item = (&'a Path, &'a Library)> + Clone,
) -> Vec<Unmet> {
    let key = |unmet: &Unmet| (unmet.needed_by.clone(), unmet.version.clone());
    let fatal: HashSet<(PathBuf, String)> = versions.iter().map(key).collect();
    for unmet in &mut all {
        unmet.lazy &= !fatal.contains(&key(unmet));
    }
    let named: HashSet<_> = all.iter().map(key).collect();
    for unmet in versions
        .into_iter()
        .filter(|unmet| !named.contains(&key(unmet)))
    {
        let user = users.clone().find(|(path, _)| *path == unmet.needed_by);
        let symbols = user.map_or_else(Vec::new, |(_, user)| user.users_of(&unmet.version));
        if symbols.is_empty() {
            all.push(unmet);
            continue;
        }
        all.extend(symbols.into_iter().map(|symbol| Unmet {
            symbol: Some(symbol),
            ..unmet.clone()
        }));
    }
    all
}

fn libraries(closure: &Closure) -> impl Iterator<Item = (&Path, &Library)> + Clone {
    let nodes = closure.nodes.iter();
    nodes.map(|node| (&*node.path, &*node.library))
}

/// The needed versions of `objects` that the closure does not define.
fn versions<'a>(
    objects: impl Iterator<Item = (&'a Path, &'a Library)>,
    closure: &Closure,
) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    for (path, object) in objects {
        for need in object.needed_versions.iter().filter(|need| !need.weak) {
            // The executable itself, or a file that nobody asked for: ld.so has
            // an assertion for the latter, and linkers never write it.
            let Some(provider) = closure.provider(&need.file) else {
                continue;
            };
            let defined = match &provider.library.defined_versions {
                Some(defined) => defined.contains(&need.name),
                // ld.so only warns, and takes its symbols, if the library has
                // versions for what it needs itself; one that has none at all
                // trips an assertion in `check_match` (elf/dl-lookup.c).
                None => !provider.library.needed_versions.is_empty(),
            };
            if !defined {
                unmet.push(Unmet {
                    symbol: None,
                    version: String::from_utf8_lossy(&need.name).into_owned(),
                    needed_by: path.to_owned(),
                    provider: Some(provider.path.clone()),
                    lazy: false,
                    misfit: None,
                });
            }
        }
    }
    unmet
}

/// The references of the executable and the open ones of its libraries that
/// nobody satisfies.
fn symbols(exe_path: &Path, closure: &Closure, scope: &Scope, open: &Open) -> Vec<Unmet> {
    let own = scope.references(0).into_iter().filter(|r| !r.weak);
    let own = own.map(|r| (0, r.symbol, r.class, r.lazy));
    let libraries = open
        .references
        .iter()
        .map(|&(index, symbol, class, lazy)| (index + 1, symbol, class, lazy));
    let missing = own.chain(libraries).filter(|&(from, symbol, class, _)| {
        scope.resolve(from, symbol, class) == Resolution::Missing
    });
    let unmet = missing.filter_map(|(from, symbol, _, lazy)| {
        let unmet = describe(exe_path, closure, scope, (from, symbol))?;
        Some(Unmet { lazy, ..unmet })
    });
    unmet.collect()
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

/// What each of `libraries` has copies of.
fn library_copies(libraries: &[Arc<LoadedObject>]) -> Vec<(usize, u32)> {
    let numbered = libraries.iter().enumerate();
    let copies = numbered.flat_map(|(index, library)| {
        let symbols = copies::copied(library).into_iter();
        symbols.map(move |symbol| (index, symbol))
    });
    copies.collect()
}

/// What `libraries` lack among themselves.
fn open_references(libraries: &[Arc<LoadedObject>]) -> Vec<LibraryReference> {
    // Position 0 of a scope is the executable's; the first library stands in
    // for it, since an object that is there twice defines nothing new.
    let scope = Scope::new(
        libraries
            .first()
            .into_iter()
            .chain(libraries)
            .cloned()
            .collect(),
    );
    let mut open = Vec::new();
    for index in 0..libraries.len() {
        for reference in scope.references(index + 1) {
            let resolve = || scope.resolve(index + 1, reference.symbol, reference.class);
            if !reference.weak && resolve() == Resolution::Missing {
                open.push((index, reference.symbol, reference.class, reference.lazy));
            }
        }
    }
    open
}
