//! A table against its executable, the files that it names, and the table that
//! an update would write now.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use indir_shim::format::layout::PLAN_BOUND;
use indir_shim::format::table::Table;

use super::context::Context;
use super::finding::{Findings, Kind};
use crate::elf::Identity;
use crate::place::Subject;
use crate::resolve::files::store::Probe;
use crate::table::{TableFile, absolute};
use crate::update::{self, Options, PlanError, Planner};

pub(super) fn path_of(path: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(path.to_bytes()))
}

impl Context<'_> {
    pub(super) fn check_table(
        &self,
        file: &TableFile,
        table: &Table<'_>,
        findings: &mut Findings<'_>,
    ) {
        if table.exe_id() != self.place.id {
            let why = "the table is another executable's";
            return findings.update(Kind::Foreign, &self.place.path, why);
        }
        let before = findings.all.len();
        let ldso = Identity::from_raw(&table.header().ldso_identity);
        self.check_file(table.ldso(), &ldso, findings);
        for object in table.objects() {
            let identity = Identity::from_raw(&object.raw.identity);
            // ld.so itself is an object of most closures: once is enough.
            if object.path != table.ldso() {
                self.check_file(object.path, &identity, findings);
            }
        }
        self.check_binder(table, findings);
        // An update is computed from the files: what is wrong with those has
        // been said.
        if findings.all.len() == before {
            self.check_update(file, table, findings);
        }
        if findings.all.len() == before {
            self.check_bindings(file, table, findings);
        }
        self.check_trust(table, findings);
    }

    fn check_file(&self, path: &CStr, then: &Identity, findings: &mut Findings<'_>) {
        let name = absolute(path.to_bytes(), self.name);
        let path = &self.real(path);
        let now = match self.store.probe(self.library.arch, &name) {
            Probe::Found(library) => library,
            Probe::Missing => {
                return findings.update(Kind::Missing, path, "there is no such file");
            }
            Probe::Skip(why) | Probe::Bad(why) => {
                return match Kind::of_useless(path) {
                    // An update would not read it either.
                    kind @ Kind::Unreadable => findings.push(kind, path, why.to_string(), None),
                    kind => findings.update(kind, path, why.to_string()),
                };
            }
        };
        if *then != Identity::None && *then != now.identity {
            let why = "it is not the file that the table was made for";
            findings.update(Kind::Replaced, path, why);
        }
    }

    /// Whether an update would write the table that is there.
    fn check_update(&self, file: &TableFile, table: &Table<'_>, findings: &mut Findings<'_>) {
        let options = Options {
            kind: if table.header().plan == PLAN_BOUND {
                update::Kind::Bound
            } else {
                update::Kind::Direct
            },
            ..Options::default()
        };
        let path = &self.place.path;
        let planner = Planner::new(self.store, &options);
        let subject = Subject::of(self.library.map().metadata());
        match planner.plan_at(
            self.exe.to_owned(),
            self.library,
            subject,
            self.place.clone(),
        ) {
            Ok(plan) if plan.bytes == file.bytes() => {}
            Ok(plan) if self.check_plugins(&plan, table, findings) => {}
            Ok(_) => {
                let why = "an update would write another table: the executable needs, or a search finds, other files than it names";
                findings.update(Kind::Stale, path, why);
            }
            Err(
                error @ (PlanError::Unmet(_)
                | PlanError::Unfit(_)
                | PlanError::Plugins(_)
                | PlanError::Resolve(_)),
            ) => {
                let text = error.to_string();
                let mut lines = text.lines().map(str::trim);
                // The first says that there are more.
                let first = lines.next().unwrap_or_default();
                let why = lines.next().unwrap_or(first).to_owned();
                let more = lines.count();
                let why = match more {
                    0 => why,
                    _ => format!("{why}, and {more} more"),
                };
                findings.update(Kind::Unsatisfied, self.exe, why);
            }
            Err(PlanError::Gone(folder)) => {
                let why = "the table takes libraries from this folder, which is gone";
                let mend = findings.updated_with("--lib-dir DIR ");
                findings.push(Kind::Missing, &folder, why, Some(mend));
            }
            Err(PlanError::PluginDir(folder, _)) if !self.store.root().exists(&folder) => {
                let why = "there is no such folder of plugins";
                let mend = findings.updated_with("--plugin-dir DIR ");
                findings.push(Kind::Missing, &folder, why, Some(mend));
            }
            Err(error) => findings.update(Kind::Unusable, path, error.to_string()),
        }
    }
}
