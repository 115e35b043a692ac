//! `indir show`: what a table says.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indir_shim::format::layout::{
    MAGIC, OBJECT_FIXED, OBJECT_GLIBC, OBJECT_LDSO, OBJECT_SEARCH, PLAN_BOUND, SEARCH_OWN,
};
use indir_shim::format::table::Table;
use serde_json::json;

use crate::adopt::{self, Skipped};
use crate::elf::{Identity, MappedElf, Root};
use crate::place::{Place, PlaceError, hex};
use crate::shell::quoted;
use crate::table::{Inputs, Kept, SEPARATOR, TableFile, absolute};

/// `version` of the JSON document.
const JSON_VERSION: u32 = 1;

/// Show a table: which file provides what
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  indir show ./hello")]
pub struct Args {
    /// An indirect executable, or a table
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// When there is no readable table.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let Shown { path, exe, file } = load(&args.path)?;
    let table = file
        .table()
        .map_err(|error| anyhow::anyhow!(error.message()))?;
    if let Some(exe) = &exe
        && id_of(exe).is_some_and(|id| id != table.exe_id())
    {
        crate::say::err!(
            "warning: `{}` is another executable's table, so that `{}` does not start (run `indir update {}`)",
            path.display(),
            args.path.display(),
            quoted(&args.path)
        );
    }
    if args.json {
        crate::say::json(&to_json(&path, exe.as_deref(), &table));
    } else {
        print(&path, exe.as_deref(), &table);
    }
    Ok(ExitCode::SUCCESS)
}

/// A table that was asked for.
pub(super) struct Shown {
    /// Where it lies.
    pub(super) path: PathBuf,
    /// The executable that it was asked for by.
    pub(super) exe: Option<PathBuf>,
    pub(super) file: TableFile,
}

/// The table at `given`, which may be one that is kept for `update --undo`, or that of
/// the executable there.
///
/// # Errors
/// When there is none that can be read.
pub(super) fn load(given: &Path) -> anyhow::Result<Shown> {
    let (path, exe) = table_path(given)?;
    let file = match Kept::load(&path) {
        Ok(Some(kept)) => Ok(Some(kept.table)),
        _ => TableFile::load(&path),
    };
    let file = file.map_err(|error| anyhow::anyhow!("`{}`: {error}", given.display()))?;
    let Some(file) = file else {
        bail!(
            "`{}` has no table at `{}` (run `indir update {}`)",
            given.display(),
            path.display(),
            quoted(given)
        );
    };
    Ok(Shown { path, exe, file })
}

/// What identifies the executable at `exe`.
fn id_of(exe: &Path) -> Option<Vec<u8>> {
    let map = MappedElf::open(exe).ok()?;
    Some(map.elf().ok()?.notes().id()?.to_vec())
}

/// `path` itself if it is a table, else the place of its table, and the executable.
fn table_path(path: &Path) -> anyhow::Result<(PathBuf, Option<PathBuf>)> {
    let context = || format!("`{}`", path.display());
    let real = std::fs::canonicalize(path).with_context(context)?;
    let map = match MappedElf::open(&real) {
        Ok(map) if map.bytes().starts_with(&MAGIC) || Kept::is_kept(map.bytes()) => {
            return Ok((real, None));
        }
        // The error alone: its source would say the same again.
        other => other.map_err(|error| anyhow::anyhow!("`{}`: {error}", path.display()))?,
    };
    let elf = map.elf().with_context(context)?;
    match Place::now(&Root::default(), &real, &elf.notes()) {
        Ok(place) => Ok((place.path, Some(real))),
        Err(PlaceError::NoNote) => bail!("`{}`: {}", path.display(), not_indirect(path)),
        Err(error) => Err(anyhow::Error::new(error).context(context())),
    }
}

/// Why the file at `path` is not indirect, and the command that would make it so, if
/// there is one.
pub(super) fn not_indirect(path: &Path) -> String {
    let why = match adopt::what(&Root::default(), path) {
        Ok(None) => {
            let path = quoted(path);
            return format!(
                "it is not indirect (link it with `indir-ld`, or run `indir adopt -o NEW {path}`)"
            );
        }
        Ok(Some(Skipped::Static)) => {
            "it is statically linked: it loads no library, and has no table"
        }
        Ok(Some(Skipped::Library)) => "it is a shared library: executables have tables",
        Ok(Some(Skipped::Foreign)) if names_a_shim(path) => {
            "its interpreter is a shim, but it has no `indir` note (link it again, or take the original)"
        }
        Ok(Some(Skipped::Foreign)) => {
            "it is not a program of glibc's for a machine that is served, and only those have tables"
        }
        Ok(Some(Skipped::Script)) => "it is a script: executables have tables",
        Ok(Some(Skipped::Other)) | Err(_) => "it is no executable",
    };
    why.to_owned()
}

/// Whether the executable lost its note only.
fn names_a_shim(path: &Path) -> bool {
    MappedElf::open(path).is_ok_and(|map| {
        let interpreter = map
            .elf()
            .ok()
            .and_then(|elf| elf.interpreter().map(<[u8]>::to_vec));
        let name = interpreter
            .as_deref()
            .and_then(|path| path.rsplit(|&byte| byte == b'/').next());
        name.is_some_and(|name| name.starts_with(b"ld-indir-"))
    })
}

/// Where a path of the table lies; as it stands there, if it is not known beside which
/// executable.
pub(super) fn located(path: &CStr, exe: Option<&Path>) -> String {
    match exe {
        Some(exe) => absolute(path.to_bytes(), exe)
            .to_string_lossy()
            .into_owned(),
        None => text(path),
    }
}

/// The tag that the table's folders become.
fn tag(table: &Table<'_>) -> &'static str {
    if table.header().flags & SEARCH_OWN != 0 {
        "RUNPATH"
    } else {
        "RPATH"
    }
}

/// How many folders LD_LIBRARY_PATH comes behind.
fn fixed(table: &Table<'_>) -> usize {
    let fixed = usize::from(table.header().search_fixed.get());
    let first = table.search().to_bytes().get(..fixed).unwrap_or(b"");
    match first {
        [] => 0,
        first => first.split(|&b| b == SEPARATOR).count(),
    }
}

pub(super) fn text(string: &CStr) -> String {
    string.to_string_lossy().into_owned()
}

fn folders(list: &CStr) -> Vec<String> {
    let folders = list.to_bytes().split(|&b| b == SEPARATOR);
    let named = folders.filter(|folder| !folder.is_empty());
    named
        .map(|folder| String::from_utf8_lossy(folder).into_owned())
        .collect()
}

/// Digits of a build-id that are shown: enough to tell two builds apart.
const SHORT: usize = 16;

/// Few letters for an identity.
pub(super) fn short(raw: &indir_shim::format::layout::Identity) -> String {
    match Identity::from_raw(raw) {
        Identity::None => "-".to_owned(),
        Identity::BuildId(id) => {
            let mut id = hex(&id);
            id.truncate(SHORT);
            id
        }
        Identity::SizeMtime(size, _) => format!("{size} bytes"),
    }
}

fn flags(flags: u8) -> Vec<&'static str> {
    [
        (OBJECT_LDSO, "ld.so"),
        (OBJECT_SEARCH, "hwcaps"),
        (OBJECT_FIXED, "fixed"),
        (OBJECT_GLIBC, "glibc"),
    ]
    .into_iter()
    .filter(|(bit, _)| flags & bit != 0)
    .map(|(_, name)| name)
    .collect()
}

pub(super) fn plan(table: &Table<'_>) -> &'static str {
    if table.header().plan == PLAN_BOUND {
        "bound"
    } else {
        "direct"
    }
}

fn print(path: &Path, exe: Option<&Path>, table: &Table<'_>) {
    let header = table.header();
    crate::say::out!("table       {}", path.display());
    crate::say::out!("version     {}", header.version.get());
    crate::say::out!("plan        {}", plan(table));
    crate::say::out!("executable  {}", hex(table.exe_id()));
    crate::say::out!("digest      {}", hex(&header.digest));
    crate::say::out!("abi         {}", hex(&header.abi_digest));
    crate::say::out!("ld.so       {}", located(table.ldso(), exe));
    if let Some(binder) = table.binder() {
        crate::say::out!("binder      {}", text(binder));
    }
    let inputs = Inputs::of(table);
    for folder in &inputs.lib_dirs {
        crate::say::out!("lib-dir     {}", folder.display());
    }
    for folder in &inputs.plugin_dirs {
        crate::say::out!("plugin-dir  {}", folder.display());
    }
    if inputs.scan_plugins {
        crate::say::out!("plugin-dir  (below `lib` of the packages of the closure)");
    }
    if inputs.plan.is_some() {
        crate::say::out!("asked       {}", plan(table));
    }
    for (index, folder) in folders(table.search()).iter().enumerate() {
        let note = match (tag(table), index < fixed(table)) {
            ("RUNPATH", _) => " (RUNPATH)",
            (_, true) => " (before LD_LIBRARY_PATH)",
            _ => "",
        };
        crate::say::out!("search      {folder}{note}");
    }
    crate::say::out!("libraries   {}", table.len());
    libraries(exe, table);
}

/// The libraries by folder, in the order of their first.
fn libraries(exe: Option<&Path>, table: &Table<'_>) {
    let mut by_folder: Vec<(String, Vec<[String; 3]>)> = Vec::new();
    for object in table.objects() {
        let path = located(object.path, exe);
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", &path));
        let soname = text(object.soname);
        let name = match soname == file || soname == path {
            true => file.to_owned(),
            false => format!("{soname} = {file}"),
        };
        let line = [
            name,
            short(&object.raw.identity),
            flags(object.raw.flags).join(" "),
        ];
        match by_folder.iter_mut().find(|(known, _)| known == folder) {
            Some((_, lines)) => lines.push(line),
            None => by_folder.push((folder.to_owned(), vec![line])),
        }
    }
    let lines = || by_folder.iter().flat_map(|(_, lines)| lines);
    // A few long names do not push the rest off a terminal.
    let widths = lines().map(|[name, ..]| name.chars().count());
    let name_width = widths.filter(|&width| width <= NAMES).max().unwrap_or(0);
    let ids = lines().map(|[_, id, _]| id.chars().count());
    let id_width = ids.max().unwrap_or(0);
    for (folder, lines) in &by_folder {
        crate::say::out!("  {folder}/");
        for [name, id, flags] in lines {
            let line = format!("    {name:name_width$}  {id:id_width$}  {flags}");
            crate::say::out!("{}", line.trim_end());
        }
    }
}

/// Longest name that others are aligned with.
const NAMES: usize = 44;

pub(super) fn json_identity(raw: &indir_shim::format::layout::Identity) -> serde_json::Value {
    match Identity::from_raw(raw) {
        Identity::None => serde_json::Value::Null,
        Identity::BuildId(id) => json!({ "build_id": hex(&id) }),
        Identity::SizeMtime(size, mtime) => json!({ "size": size, "mtime_ns": mtime }),
    }
}

fn to_json(path: &Path, exe: Option<&Path>, table: &Table<'_>) -> serde_json::Value {
    let header = table.header();
    let objects: Vec<_> = table
        .objects()
        .map(|object| {
            json!({
                "soname": text(object.soname),
                "path": located(object.path, exe),
                "stored": text(object.path),
                "identity": json_identity(&object.raw.identity),
                "flags": flags(object.raw.flags),
            })
        })
        .collect();
    let inputs = Inputs::of(table);
    let paths = |folders: &[PathBuf]| -> Vec<String> {
        let folders = folders.iter();
        folders
            .map(|folder| folder.to_string_lossy().into_owned())
            .collect()
    };
    json!({
        "version": JSON_VERSION,
        "table": path.to_string_lossy(),
        "format": header.version.get(),
        "plan": plan(table),
        "plan_asked": inputs.plan.is_some(),
        "executable_id": hex(table.exe_id()),
        "digest": hex(&header.digest),
        "abi_digest": hex(&header.abi_digest),
        "ldso": {
            "path": located(table.ldso(), exe),
            "stored": text(table.ldso()),
            "identity": json_identity(&header.ldso_identity),
            "span": header.ldso_span.get(),
            "r_debug": header.ldso_r_debug.get(),
        },
        "binder": table.binder().map(text),
        "lib_dirs": paths(&inputs.lib_dirs),
        "plugin_dirs": paths(&inputs.plugin_dirs),
        "scan_plugins": inputs.scan_plugins,
        "search": folders(table.search()),
        "search_tag": tag(table),
        "search_fixed": fixed(table),
        "objects": objects,
    })
}
