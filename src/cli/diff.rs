//! `indir diff`: how two tables differ.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::anyhow;
use clap::builder::styling::{AnsiColor, Style};
use indir_shim::format::layout::Identity;
use indir_shim::format::table::{ObjectRef, Table};
use serde_json::{Value, json};

use super::show::{self, Shown};
use crate::exit;
use crate::table::Inputs;

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Show how two tables differ: libraries, builds, glibc, plan
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, two programs, and what the last update of one changed:
  indir diff ./hello /srv/old/hello
  indir diff .indir/28fc1b055601c447a92fdfe1b688c5bf7f229e0b.last ./hello

Lines with - are the first's, lines with + the second's. `.last` beside a table is
the one that the last update replaced.

Exit codes, as those of diff(1): 0 both say the same; 1 they differ; 2 wrong usage,
or one of them cannot be read.")]
pub struct Args {
    /// An indirect executable, or a table
    #[arg(value_name = "OLD", value_hint = clap::ValueHint::FilePath)]
    old: PathBuf,
    /// Another
    #[arg(value_name = "NEW", value_hint = clap::ValueHint::FilePath)]
    new: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// Never: what cannot be read is told, and has an exit code of its own.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match compare(args) {
        Ok(same) => Ok(ExitCode::from(if same { exit::DONE } else { exit::FAILED })),
        Err(error) => {
            crate::say::err!("indir: {}", crate::say::reason(&error));
            Ok(ExitCode::from(exit::USAGE))
        }
    }
}

/// Whether both say the same.
fn compare(args: &Args) -> anyhow::Result<bool> {
    let (old, new) = (show::load(&args.old)?, show::load(&args.new)?);
    let old = Side::of(&old)?;
    let new = Side::of(&new)?;
    let difference = Difference::of(&old, &new);
    if args.json {
        crate::say::json(&difference.to_json(args));
    } else {
        difference.print();
    }
    Ok(difference.is_none())
}

/// What is compared of a file: where it is, and which build.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: String,
    short: String,
    identity: Value,
}

impl File {
    fn new(path: String, identity: &Identity) -> Self {
        Self {
            path,
            short: show::short(identity),
            identity: show::json_identity(identity),
        }
    }

    fn to_json(&self) -> Value {
        json!({ "path": self.path, "identity": self.identity })
    }
}

/// What is compared of a table.
struct Side {
    table: PathBuf,
    plan: &'static str,
    ldso: File,
    lib_dirs: Vec<String>,
    plugin_dirs: Vec<String>,
    objects: Vec<(String, File)>,
}

impl Side {
    fn of(shown: &Shown) -> anyhow::Result<Self> {
        let exe = shown.exe.as_deref();
        let table = shown.file.table();
        let table: Table<'_> = table.map_err(|error| anyhow!("{}", error.message()))?;
        let inputs = Inputs::of(&table);
        let texts = |paths: &[PathBuf]| {
            let text = |path: &PathBuf| path.to_string_lossy().into_owned();
            paths.iter().map(text).collect()
        };
        let object = |object: ObjectRef<'_>| {
            let path = show::located(object.path, exe);
            (
                show::text(object.soname),
                File::new(path, &object.raw.identity),
            )
        };
        Ok(Self {
            table: shown.path.clone(),
            plan: show::plan(&table),
            ldso: File::new(
                show::located(table.ldso(), exe),
                &table.header().ldso_identity,
            ),
            lib_dirs: texts(&inputs.lib_dirs),
            plugin_dirs: texts(&inputs.plugin_dirs),
            objects: table.objects().map(object).collect(),
        })
    }

    fn object(&self, soname: &str) -> Option<&File> {
        let mut objects = self.objects.iter();
        objects
            .find(|(name, _)| name == soname)
            .map(|(_, file)| file)
    }
}

/// A library that both have, or one has.
type Changed<'a> = (&'a str, Option<&'a File>, Option<&'a File>);

struct Difference<'a> {
    old: &'a Side,
    new: &'a Side,
    objects: Vec<Changed<'a>>,
    /// Libraries that are the same.
    same: usize,
}

impl<'a> Difference<'a> {
    fn of(old: &'a Side, new: &'a Side) -> Self {
        let mut seen = BTreeSet::new();
        let names = old.objects.iter().chain(&new.objects);
        let names = names.map(|(name, _)| name.as_str());
        let all: Vec<Changed<'a>> = names
            .filter(|name| seen.insert(*name))
            .map(|name| (name, old.object(name), new.object(name)))
            .collect();
        let count = all.len();
        let objects: Vec<_> = all.into_iter().filter(|(_, old, new)| old != new).collect();
        Self {
            old,
            new,
            same: count - objects.len(),
            objects,
        }
    }

    fn is_none(&self) -> bool {
        let (old, new) = (self.old, self.new);
        self.objects.is_empty()
            && old.plan == new.plan
            && old.ldso == new.ldso
            && old.lib_dirs == new.lib_dirs
            && old.plugin_dirs == new.plugin_dirs
    }

    fn print(&self) {
        let (old, new) = (self.old, self.new);
        if old.plan != new.plan {
            both("plan", Some(old.plan), Some(new.plan));
        }
        if old.ldso != new.ldso {
            let (old, new) = (shown(&old.ldso), shown(&new.ldso));
            both("ld.so", Some(&old), Some(&new));
        }
        folders("lib-dir", &old.lib_dirs, &new.lib_dirs);
        folders("plugin-dir", &old.plugin_dirs, &new.plugin_dirs);
        for (name, old, new) in &self.objects {
            let (old, new) = (old.map(shown), new.map(shown));
            both(name, old.as_deref(), new.as_deref());
        }
        if !self.is_none() {
            let count =
                |is: fn(&Changed<'_>) -> bool| self.objects.iter().filter(|o| is(o)).count();
            crate::say::err!(
                "libraries: added {}, removed {}, changed {}, the same {}",
                count(|(_, old, _)| old.is_none()),
                count(|(_, _, new)| new.is_none()),
                count(|(_, old, new)| old.is_some() && new.is_some()),
                self.same
            );
        }
    }

    fn to_json(&self, args: &Args) -> Value {
        let (old, new) = (self.old, self.new);
        let side = |path: &Path, side: &Side| {
            json!({
                "path": path.to_string_lossy(),
                "table": side.table.to_string_lossy(),
                "plan": side.plan,
                "ldso": side.ldso.to_json(),
                "lib_dirs": side.lib_dirs,
                "plugin_dirs": side.plugin_dirs,
            })
        };
        let objects = self.objects.iter().map(|(name, old, new)| {
            let state = match (old, new) {
                (None, _) => "added",
                (_, None) => "removed",
                _ => "changed",
            };
            json!({
                "soname": name,
                "state": state,
                "old": old.map(File::to_json),
                "new": new.map(File::to_json),
            })
        });
        json!({
            "version": JSON_VERSION,
            "same": self.is_none(),
            "old": side(&args.old, old),
            "new": side(&args.new, new),
            "objects": objects.collect::<Vec<_>>(),
            "objects_same": self.same,
        })
    }
}

fn shown(file: &File) -> String {
    format!("{} ({})", file.path, file.short)
}

/// What one has and what the other has, on lines of their own.
fn both(what: &str, old: Option<&str>, new: Option<&str>) {
    crate::say::out!("{what}");
    for (sign, colour, text) in [("-", AnsiColor::Red, old), ("+", AnsiColor::Green, new)] {
        if let Some(text) = text {
            let style = Style::new().fg_color(Some(colour.into()));
            crate::say::styled(&[(style, format!("  {sign} {text}"))]);
        }
    }
}

fn folders(what: &str, old: &[String], new: &[String]) {
    if old == new {
        return;
    }
    crate::say::out!("{what}");
    let red = Style::new().fg_color(Some(AnsiColor::Red.into()));
    let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
    // Another order is a difference, too.
    let moved = old.len() == new.len() && old.iter().all(|folder| new.contains(folder));
    for folder in old.iter().filter(|folder| moved || !new.contains(folder)) {
        crate::say::styled(&[(red, format!("  - {folder}"))]);
    }
    for folder in new.iter().filter(|folder| moved || !old.contains(folder)) {
        crate::say::styled(&[(green, format!("  + {folder}"))]);
    }
}
