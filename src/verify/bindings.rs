//! The bindings beside a bound table. Without good ones a program starts by its
//! paths alone: rightly, and slower.

use std::path::Path;

use indir_shim::format::bindings::{Bindings, BindingsError};
use indir_shim::format::layout::PLAN_BOUND;
use indir_shim::format::table::Table;

use super::context::Context;
use super::finding::{Findings, Kind};
use crate::resolve::files::store::Probe;
use crate::resolve::{Library, Resolver};
use crate::shell::quoted;
use crate::table::bindings_file::{self, Difference};
use crate::table::{Inputs, TableFile, absolute};
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
        let bytes = match bindings_file::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let why = "there are no bindings, so that the program starts slower";
                return findings.update(Kind::Missing, &path, why);
            }
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                return findings.push(Kind::Unreadable, &path, error.to_string(), None);
            }
            // An update puts good ones in its place.
            Err(error) => return findings.update(Kind::Unreadable, &path, error.to_string()),
        };
        match Bindings::parse(&bytes, &table.header().digest) {
            Ok(bindings) if bindings.len() != table.objects().count() + 1 => {
                let why = "the bindings are of another closure";
                findings.update(Kind::Foreign, &path, why);
            }
            Ok(bindings) if self.report_other_content(&bindings, table, findings) => {}
            Ok(_) if self.deep => match self.compute(file) {
                Some(now) if bindings_file::bind_the_same(&now, &bytes) => {}
                // An update would take them for good.
                Some(_) => {
                    let remove = format!("rm {}", quoted(&path));
                    let update = findings.updated_with("");
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

    /// Reports objects that are not what the bindings were made for; whether
    /// there is any. What else identifies them is the table's, and has been
    /// looked at.
    fn report_other_content(
        &self,
        bindings: &Bindings<'_>,
        table: &Table<'_>,
        findings: &mut Findings<'_>,
    ) -> bool {
        let before = findings.all.len();
        let mut compare = |index: usize, path: &Path, library: &Library| {
            let same = library.loaded().is_ok_and(|object| {
                bindings_file::compare(bindings, index, &object) != Difference::Content
            });
            if !same {
                let why = "it is not the file that the bindings were made for";
                findings.update(Kind::Replaced, path, why);
            }
        };
        compare(0, self.exe, self.library);
        for (index, object) in table.objects().enumerate() {
            let name = absolute(object.path.to_bytes(), self.name);
            if let Probe::Found(library) = self.store.probe(self.library.arch, &name) {
                compare(index + 1, &self.real(object.path), &library);
            }
        }
        findings.all.len() != before
    }

    /// The bindings as an update would write them.
    fn compute(&self, file: &TableFile) -> Option<Vec<u8>> {
        let table = file.table().ok()?;
        let inputs = Inputs::of(&table);
        let resolver =
            Resolver::new(self.store, &inputs.lib_dirs).with_origin_dirs(&inputs.origin_dirs);
        let closure = resolver.resolve(self.name, self.library).ok()?;
        let bindings = ClosureBindings::new(self.library, &closure).ok()?;
        bindings.to_bytes(table.header().digest).ok()
    }
}
