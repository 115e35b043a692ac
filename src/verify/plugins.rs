//! The plugins of an executable against its table: what an update would find in the
//! folders that it was told of, and the table that is there does not know.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use indir_shim::format::table::Table;

use super::context::Context;
use super::finding::{Findings, Kind};
use crate::table::{Inputs, SEPARATOR, TableFile, absolute};
use crate::update::Plan;

impl Context<'_> {
    /// Whether plugins are why an update would write `plan` and not `table`.
    pub(super) fn check_plugins(
        &self,
        plan: &Plan,
        table: &Table<'_>,
        findings: &mut Findings<'_>,
    ) -> bool {
        let plugins = plan.plugins.iter().flatten();
        let before = findings.all.len();
        let known: HashSet<String> = Inputs::of(table).lacking.into_iter().collect();
        for plugin in plugins.clone() {
            let Some((first, more)) = plugin.missing.split_first() else {
                continue;
            };
            // What was not complete when the table was written was told then.
            if known.contains(&plugin.hash()) {
                continue;
            }
            let more = match more.len() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            let why = format!("the plugin is not complete any more: {first}{more}");
            findings.push(Kind::Unsatisfied, &plugin.path, why, None);
        }
        let folders = |table: &Table<'_>| -> HashSet<PathBuf> {
            let search = table.search().to_bytes().split(|&b| b == SEPARATOR);
            search.map(|folder| absolute(folder, self.name)).collect()
        };
        let new = TableFile::new(plan.bytes.clone());
        let new = new.and_then(|file| file.table().map(|table| folders(&table)));
        let added: HashSet<PathBuf> = match new {
            Ok(new) => new.difference(&folders(table)).cloned().collect(),
            Err(_) => HashSet::new(),
        };
        for plugin in plugins {
            let unknown = plugin.libraries.iter().find(|library| {
                let folder = library.parent();
                folder.is_some_and(|folder| added.contains(folder))
            });
            if let Some(library) = unknown {
                let folder = library.parent().unwrap_or(Path::new("/"));
                let why = format!(
                    "the plugin needs `{}`, and the table does not know of `{}`",
                    Path::new(library.file_name().unwrap_or(OsStr::new(""))).display(),
                    folder.display()
                );
                findings.update(Kind::Stale, &plugin.path, why);
            }
        }
        findings.all.len() > before
    }
}
