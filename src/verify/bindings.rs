//! The bindings beside a bound table. Without good ones a program starts by its
//! paths alone: rightly, and slower.

use indir_shim::format::bindings::{Bindings, BindingsError};
use indir_shim::format::bindings_layout::MAX_BINDINGS;
use indir_shim::format::layout::PLAN_BOUND;
use indir_shim::format::table::Table;

use super::context::Context;
use super::finding::{Findings, Kind};
use crate::resolve::Resolver;
use crate::shell::quoted;
use crate::table::{Inputs, TableFile};
use crate::update::bindings::ClosureBindings;

impl Context<'_> {
    pub(super) fn check_bindings(
        &self,
        file: &TableFile,
        table: &Table<'_>,
        findings: &mut Findings<'_>,
    ) {
        if table.header().plan != PLAN_BOUND {
            return;
        }
        let path = self.place.bindings();
        let bytes = match read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = "there are no bindings, so that the program starts slower";
                return findings.update(Kind::Missing, &path, why);
            }
            Err(error) => return findings.push(Kind::Unreadable, &path, error.to_string(), None),
        };
        match Bindings::parse(&bytes, &table.header().digest) {
            Ok(bindings) if bindings.len() != table.objects().count() + 1 => {
                let why = "the bindings are of another closure";
                findings.update(Kind::Foreign, &path, why);
            }
            Ok(_) if self.deep => match self.compute(file) {
                Some(now) if now == bytes => {}
                // An update would take them for good.
                Some(_) => {
                    let remove = format!("rm {}", quoted(&path));
                    let update = format!("indir update {}", quoted(self.exe));
                    findings.push(
                        Kind::Broken,
                        &path,
                        "the bindings are not what the symbols of the libraries make them",
                        Some(format!("{remove} && {update}")),
                    );
                }
                None => {
                    findings.update(
                        Kind::Unusable,
                        &path,
                        "the bindings cannot be computed again",
                    );
                }
            },
            Ok(_) => {}
            Err(error @ BindingsError::OtherTable) => {
                findings.update(Kind::Foreign, &path, error.message());
            }
            Err(error) => findings.update(Kind::Broken, &path, error.message()),
        }
    }

    /// The bindings as an update would write them.
    fn compute(&self, file: &TableFile) -> Option<Vec<u8>> {
        let table = file.table().ok()?;
        let inputs = Inputs::of(&table);
        let resolver =
            Resolver::new(self.store, &inputs.lib_dirs).with_origin_dirs(&inputs.origin_dirs);
        let closure = resolver.resolve(self.exe, self.library).ok()?;
        let bindings = ClosureBindings::new(self.library, &closure).ok()?;
        bindings.to_bytes(table.header().digest).ok()
    }
}

/// At most one byte more than any reader accepts.
fn read(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BINDINGS as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
