//! `indir files`: every file that a program needs to start.

use std::collections::HashSet;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use indir_shim::format::layout::PLAN_BOUND;
use serde_json::json;

use crate::elf::{MappedElf, Root};
use crate::exit;
use crate::place::{Place, PlaceError};
use crate::resolve::{Library, Resolver, Store};
use crate::shell::quoted;
use crate::table::{TableFile, absolute};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// List every file that a program needs to start
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example, for an image that is to start with the program alone:
  indir files /usr/sbin/cryptsetup | cpio -pdL /tmp/image

One path a line: the executable, its table and bindings, the shim, the binder, ld.so
and the libraries, each once. What it opens while it runs is not among them. Hooks for
initramfs-tools and dracut that use it are in PREFIX/share/indir.

Exit codes: 0 done; 1 something failed, or a file that is listed is not there; 2 wrong
usage.")]
pub struct Args {
    /// An indirect executable
    #[arg(value_name = "PROGRAM")]
    path: PathBuf,
    /// Print one JSON document, which says what each file is
    #[arg(long)]
    json: bool,
}

/// A file, and what it is to the program.
type Listed = (&'static str, PathBuf);

/// Runs the subcommand.
///
/// # Errors
/// When it is not indirect, or what it needs cannot be told.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let context = || format!("`{}`", args.path.display());
    let files = files(&args.path).with_context(context)?;
    if args.json {
        let all: Vec<_> = files
            .iter()
            .map(|(kind, path)| json!({ "kind": kind, "path": path.to_string_lossy() }))
            .collect();
        let path = args.path.to_string_lossy();
        let document = json!({ "version": JSON_VERSION, "path": path, "files": all });
        crate::say::json(&document);
    } else {
        let lines = files
            .iter()
            .flat_map(|(_, path)| [path.as_os_str().as_bytes(), b"\n"]);
        crate::say::data(&lines.collect::<Vec<_>>().concat());
    }
    let mut code = exit::DONE;
    for (_, path) in files.iter().filter(|(_, path)| !path.exists()) {
        crate::say::err!(
            "indir: `{}`: it needs `{}`, which is not there (run `indir verify {}`)",
            args.path.display(),
            path.display(),
            quoted(&args.path)
        );
        code = exit::FAILED;
    }
    Ok(ExitCode::from(code))
}

fn files(program: &Path) -> anyhow::Result<Vec<Listed>> {
    let exe = std::fs::canonicalize(program)?;
    let map = MappedElf::open(&exe).map_err(|error| anyhow!("{error}"))?;
    let elf = map.elf().map_err(|error| anyhow!("{error}"))?;
    let notes = elf.notes();
    let root = Root::default();
    let place = match Place::find(&root, &exe, &notes) {
        Err(PlaceError::NoNote) => bail!("{}", super::show::not_indirect(program)),
        other => other?,
    };
    let shim = elf.interpreter().context("it has no interpreter")?;
    let mut files = vec![("executable", exe.clone())];
    let shim = ("shim", PathBuf::from(OsStr::from_bytes(shim)));
    match place {
        Some(place) => {
            let table = TableFile::load_for(&place.path, map.metadata().uid())?;
            let file = table.with_context(|| format!("there is no `{}`", place.path.display()))?;
            let table = file
                .table()
                .map_err(|error| anyhow!("{}", error.message()))?;
            if table.exe_id() != place.id {
                bail!(
                    "its table `{}` is another executable's",
                    place.path.display()
                );
            }
            let bindings = place.bindings();
            files.push(("table", place.path));
            if table.header().plan == PLAN_BOUND && bindings.exists() {
                files.push(("bindings", bindings));
            }
            files.push(shim);
            let located = |path: &CStr| absolute(path.to_bytes(), &exe);
            if let Some(binder) = table.binder() {
                files.push(("binder", located(binder)));
            }
            files.push(("ld.so", located(table.ldso())));
            files.extend(
                table
                    .objects()
                    .map(|object| ("library", located(object.path))),
            );
        }
        None => {
            let Some(recorded) = notes.interpreter else {
                bail!("it has no table, and no interpreter without one (run `indir update`)");
            };
            let library = Library::open(&exe).map_err(|error| anyhow!("{error}"))?;
            let closure = Resolver::new(&Store::default(), &[]).resolve(&exe, &library)?;
            files.push(shim);
            files.push((
                "ld.so",
                PathBuf::from(OsStr::from_bytes(recorded.to_bytes())),
            ));
            files.extend(closure.nodes.into_iter().map(|node| ("library", node.path)));
        }
    }
    let mut seen = HashSet::new();
    files.retain(|(_, path)| seen.insert(path.clone()));
    Ok(files)
}
