//! Which libraries do not satisfy an executable, and what of it is no loss.

use std::collections::HashMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::error::PlanError;
use crate::elf::Identity;
use crate::resolve::unmet::Unmet;
use crate::resolve::{Closure, Library, Resolver, Store, check};
use crate::table::{Inputs, LoadError, TableFile};

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
    let is_loss = if !unmet.iter().all(|u| u.lazy || u.misfit.is_some()) {
        true
    } else if inputs.lib_dirs.is_empty() {
        let is_new = |old: &TableFile, unmet: &Unmet| match (&unmet.misfit, &unmet.provider) {
            (Some(_), Some(provider)) => is_another(old, closure, provider),
            _ => has_changed(old, closure),
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

/// Whether `closure` has other files, or files of other content, than `old`.
pub(super) fn has_changed(old: &TableFile, closure: &Closure) -> bool {
    let Ok(table) = old.table() else { return true };
    let then = table.objects().map(|object| {
        let identity = Identity::from_raw(&object.raw.identity);
        (object.path.to_bytes().to_vec(), identity)
    });
    let now = closure.nodes.iter().map(|node| {
        (
            node.path.as_os_str().as_bytes().to_vec(),
            node.library.identity.clone(),
        )
    });
    !then.eq(now)
}

/// Whether `old` does not name the file at `path` of `closure`, with its content.
fn is_another(old: &TableFile, closure: &Closure, path: &Path) -> bool {
    let (Ok(table), Some(now)) = (
        old.table(),
        closure.nodes.iter().find(|node| node.path == path),
    ) else {
        return true;
    };
    let is_same = |object: indir_shim::format::table::ObjectRef<'_>| {
        object.path.to_bytes() == path.as_os_str().as_bytes()
            && Identity::from_raw(&object.raw.identity) == now.library.identity
    };
    !table.objects().any(is_same)
}
