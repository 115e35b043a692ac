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
use std::path::{Path, PathBuf};

use super::addresses::lookup::{Resolution, Scope};
use super::addresses::open::{Open, copied, library_copies, open_references};
use super::copies;
use super::files::closure::Closure;
use super::files::library::Library;
use super::files::store::Store;
use super::unmet::{Unmet, describe};

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
    let own = scope.objects().first().map(|exe| copied(exe));
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
    all.extend(copies::direct_functions(exe_path, closure, &scope));
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
