//! Which libraries do not satisfy an executable, and what of it is no loss.

use std::collections::HashMap;
use std::path::Path;

use super::error::PlanError;
use crate::elf::Identity;
use crate::resolve::unfit::{self, Unfit};
use crate::resolve::unmet::{Measure, Unmet};
use crate::resolve::{Closure, Library, Resolver, Store, check};
use crate::table::{Inputs, LoadError, TableFile, absolute};

/// Refuses a closure that lacks what is needed.
///
/// A function that is only ever called, in an object that binds late, does
/// not keep ld.so from starting the program. Such a miss is tolerated, and
/// returned, if it is no loss: the ordinary resolution, without any
/// `--lib-dir`, lacks it as well, and, where that is the very closure in
/// question, no library has changed since the last table. Likewise a copy
/// that its original does not fit into: in the ordinary resolution the original
/// must be as large, or aligned as strictly, or else its library unchanged.
pub(super) fn check(
    store: &Store,
    (exe_path, exe): (&Path, &Library),
    closure: &Closure,
    inputs: &Inputs,
    old: &Result<Option<TableFile>, LoadError>,
) -> Result<Vec<Unmet>, PlanError> {
    let find = |closure: &Closure| {
        let unmet = check::unmet(store, exe_path, exe, closure);
        unmet.map_err(|(path, why)| PlanError::Object(path, why))
    };
    let unmet = find(closure)?;
    if unmet.is_empty() {
        return Ok(unmet);
    }
    let is_loss = if unmet.iter().any(is_fatal) {
        true
    } else if inputs.lib_dirs.is_empty() {
        let is_new = |old: &TableFile, unmet: &Unmet| match (&unmet.misfit, &unmet.provider) {
            (Some(_), Some(provider)) => is_another(old, exe_path, closure, provider),
            _ => has_changed(old, exe_path, closure),
        };
        matches!(old, Ok(Some(old)) if unmet.iter().any(|unmet| is_new(old, unmet)))
    } else {
        let ordinary = Resolver::new(store, &[])
            .with_origin_dirs(&inputs.origin_dirs)
            .resolve(exe_path, exe);
        let lacks_too = |lacking: Vec<Unmet>| {
            // The library that lacks it may be another file.
            let key = |unmet: &Unmet| {
                let name = unmet.needed_by.file_name().map(ToOwned::to_owned);
                let names = (unmet.symbol.clone(), unmet.version.clone());
                (names, name, unmet.misfit.map(|misfit| misfit.what))
            };
            let size = |unmet: &Unmet| unmet.misfit.map_or(0, |misfit| misfit.original);
            let lacking: HashMap<_, _> = lacking.iter().map(|u| (key(u), size(u))).collect();
            let was_there = |u: &Unmet| lacking.get(&key(u)).is_some_and(|&was| size(u) <= was);
            unmet.iter().all(was_there)
        };
        !ordinary.is_ok_and(|closure| find(&closure).is_ok_and(lacks_too))
    };
    if is_loss {
        Err(PlanError::Unmet(unmet))
    } else {
        Ok(unmet)
    }
}

/// Whether ld.so would not start the program, or a glibc would be torn apart.
fn is_fatal(unmet: &Unmet) -> bool {
    match unmet.misfit {
        Some(misfit) => misfit.what == Measure::Indirect,
        None => !unmet.lazy || unmet.version == "GLIBC_PRIVATE",
    }
}

/// What else does not go together, and does not in the ordinary resolution either.
///
/// # Errors
/// When ld.so would not start the program, or only this closure is so.
pub(super) fn unfit(
    store: &Store,
    (exe_path, exe): (&Path, &Library),
    closure: &Closure,
    inputs: &Inputs,
) -> Result<Vec<String>, PlanError> {
    let all = unfit::unfit(exe_path, exe, closure);
    let text = |all: &[Unfit]| all.iter().map(ToString::to_string).collect();
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let ordinary = if inputs.lib_dirs.is_empty() {
        all.clone()
    } else {
        let resolver = Resolver::new(store, &[]).with_origin_dirs(&inputs.origin_dirs);
        let ordinary = resolver.resolve(exe_path, exe);
        ordinary.map_or_else(
            |_| Vec::new(),
            |ordinary| unfit::unfit(exe_path, exe, &ordinary),
        )
    };
    let is_new = |one: &Unfit| !ordinary.iter().any(|other| other.is_like(one));
    if all.iter().any(|one| one.is_fatal() || is_new(one)) {
        return Err(PlanError::Unfit(text(&all)));
    }
    Ok(text(&all))
}

/// Whether `closure` has other files, or files of other content, than `old`.
pub(super) fn has_changed(old: &TableFile, exe: &Path, closure: &Closure) -> bool {
    let Ok(table) = old.table() else { return true };
    let then = table.objects().map(|object| {
        let identity = Identity::from_raw(&object.raw.identity);
        (absolute(object.path.to_bytes(), exe), identity)
    });
    let now = closure
        .nodes
        .iter()
        .map(|node| (node.path.clone(), node.library.identity.clone()));
    !then.eq(now)
}

/// Whether `old` does not name the file at `path` of `closure`, with its content.
fn is_another(old: &TableFile, exe: &Path, closure: &Closure, path: &Path) -> bool {
    let (Ok(table), Some(now)) = (
        old.table(),
        closure.nodes.iter().find(|node| node.path == path),
    ) else {
        return true;
    };
    let is_same = |object: indir_shim::format::table::ObjectRef<'_>| {
        absolute(object.path.to_bytes(), exe) == path
            && Identity::from_raw(&object.raw.identity) == now.library.identity
    };
    !table.objects().any(is_same)
}
