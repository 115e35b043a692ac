//! The bound plan: whether it pays, and the bindings that go with a table.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::bindings::{Bindings, BindingsError};
use object::elf;

use super::bindings::{ClosureBindingsError, ClosureScope};
use super::error::PlanError;
use super::options::Kind;
use crate::elf::Root;
use crate::place::Place;
use crate::resolve::files::library::LibraryError;
use crate::resolve::{Closure, Library};
use crate::table::TableFile;
use crate::table::bindings_file::{self, Difference};

/// Fewest symbol lookups at start for which bindings pay. The binder costs one
/// more library (mapping it, its file, recognising objects), a lookup far less;
/// docs/benchmarks.md, "Choosing the plan", has the figures, `benches/plans.rs` makes
/// them.
pub const BOUND_FROM: usize = 400;

/// A closure that gets a bound plan.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Absolute path of the binder.
    pub(super) binder: PathBuf,
    scope: ClosureScope,
}

impl Candidate {
    /// `None` if the plan is to be direct: asked for, better, or the only one
    /// that is possible.
    ///
    /// # Errors
    /// When an object cannot be read, or a bound plan was asked for and there
    /// is no binder.
    pub(super) fn new(
        root: &Root,
        kind: Kind,
        exe: &Library,
        closure: &Closure,
    ) -> Result<Option<Self>, PlanError> {
        // The binder needs ld.so's `_r_debug`, which is found only if something
        // in the closure needs ld.so; everything that needs libc does.
        if kind == Kind::Direct || closure.ldso_index.is_none() || names_auditors(exe)? {
            return Ok(None);
        }
        let binder = binder_of(exe)?;
        if !root.is_file(&binder) {
            return match kind {
                Kind::Bound => Err(PlanError::NoBinder(binder)),
                _ => Ok(None),
            };
        }
        let scope = ClosureScope::new(exe, closure)?;
        if !scope.gives_the_list() {
            return Ok(None);
        }
        if kind == Kind::Auto && scope.lookups_at_start() < BOUND_FROM {
            return Ok(None);
        }
        Ok(Some(Self { binder, scope }))
    }

    /// The bindings file that belongs to the table with these bytes.
    pub(super) fn encode(self, table: &[u8]) -> Result<Vec<u8>, PlanError> {
        let bytes = self.scope.bind().to_bytes(digest_of(table));
        Ok(bytes.map_err(ClosureBindingsError::from)?)
    }
}

/// Whether the executable itself names auditors, which shall see every binding.
/// ld.so heeds the executable's tags only (elf/rtld.c, load_auditors).
fn names_auditors(exe: &Library) -> Result<bool, PlanError> {
    let elf = exe.map().elf().map_err(LibraryError::from)?;
    let dynamic = elf.dynamic().map_err(LibraryError::from)?;
    let has = |tag| dynamic.as_ref().is_some_and(|d| d.value(tag).is_some());
    Ok(has(elf::DT_AUDIT) || has(elf::DT_DEPAUDIT))
}

/// The binder of the prefix that linked the executable.
fn binder_of(exe: &Library) -> Result<PathBuf, PlanError> {
    let elf = exe.map().elf().map_err(LibraryError::from)?;
    let shim = Path::new(OsStr::from_bytes(elf.interpreter().unwrap_or_default()));
    Ok(shim.with_file_name(exe.arch.binder))
}

fn digest_of(table: &[u8]) -> [u8; 16] {
    let file = TableFile::new(table.to_vec());
    let digest = file.and_then(|file| file.table().map(|table| table.header().digest));
    digest.unwrap_or_default()
}

/// What is wrong with the bindings at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// There are none, or those of the table that was there before.
    Absent,
    /// They are good, but objects were copied or touched since.
    Files,
    /// Somebody should know.
    Bad(&'static str),
}

impl Candidate {
    /// Compares the bindings at `place` with the table with these bytes and with
    /// the objects of the closure.
    pub(super) fn fault(&self, place: &Place, table: &[u8]) -> Option<Fault> {
        let bytes = match bindings_file::read(&place.bindings()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Some(Fault::Absent);
            }
            Err(_) => return Some(Fault::Bad("the bindings cannot be read")),
        };
        let objects = self.scope.objects();
        let bindings = match Bindings::parse(&bytes, &digest_of(table)) {
            Ok(bindings) => bindings,
            // What an older release wrote.
            Err(BindingsError::Version) => return Some(Fault::Absent),
            Err(error) => return Some(Fault::Bad(error.message())),
        };
        if bindings.len() != objects.len() {
            return Some(Fault::Bad("the bindings are of another closure"));
        }
        let mut fault = None;
        for (index, object) in objects.iter().enumerate() {
            match bindings_file::compare(&bindings, index, object) {
                Difference::None => {}
                Difference::File => fault = Some(Fault::Files),
                Difference::Content => {
                    return Some(Fault::Bad(
                        "the bindings were made for another content of a library",
                    ));
                }
            }
        }
        fault
    }
}
