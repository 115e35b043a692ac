//! What an update changes of one table, for people.

use std::path::{Path, PathBuf};

use indir_shim::format::layout::PLAN_BOUND;
use indir_shim::format::table::Table;

use crate::table::{Inputs, absolute};

/// What of a table a person decides by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `direct` or `bound`.
    pub plan: &'static str,
    /// The folder of ld.so: the glibc.
    pub glibc: PathBuf,
    /// The folders of `--lib-dir`.
    pub lib_dirs: Vec<PathBuf>,
}

impl Facts {
    /// Those of `table`, which is that of the executable at `exe`.
    pub fn of(table: &Table<'_>, exe: &Path) -> Self {
        let ldso = absolute(table.ldso().to_bytes(), exe);
        Self {
            plan: match table.header().plan {
                PLAN_BOUND => "bound",
                _ => "direct",
            },
            glibc: ldso.parent().unwrap_or(Path::new("/")).to_owned(),
            lib_dirs: Inputs::of(table).lib_dirs,
        }
    }

    /// The way from `old` to this, on one line.
    pub fn since(&self, old: Option<&Self>) -> String {
        let Some(old) = old else {
            return format!("new: {}, {}", self.plan, self.glibc.display());
        };
        let mut parts = Vec::new();
        if old.plan != self.plan {
            parts.push(format!("{} -> {}", old.plan, self.plan));
        }
        if old.glibc != self.glibc {
            let (old, new) = (old.glibc.display(), self.glibc.display());
            parts.push(format!("{old} -> {new}"));
        }
        let gone = old.lib_dirs.iter().filter(|f| !self.lib_dirs.contains(f));
        parts.extend(gone.map(|folder| format!("without {}", folder.display())));
        let new = self.lib_dirs.iter().filter(|f| !old.lib_dirs.contains(f));
        parts.extend(new.map(|folder| format!("with {}", folder.display())));
        if parts.is_empty() {
            parts.push("other libraries".to_owned());
        }
        parts.join(", ")
    }
}
