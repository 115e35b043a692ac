//! Which objects of a running process are not those of its table, or not the files
//! any more that the table's names mean: what has to be started again after an
//! upgrade, and what came in past the table. Reads /proc alone and disturbs nothing.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use indir_shim::format::layout::{OBJECT_SEARCH, SEARCH_OWN};
use indir_shim::format::note::{Notes, expand};
use indir_shim::format::table::Table;

use super::finding::{Findings, Kind};
use super::process::{self, Mapped, Process};
use super::report::{Report, Verified};
use crate::arch::Arch;
use crate::elf::MappedElf;
use crate::resolve::Store;
use crate::resolve::files::store::Probe;
use crate::shell::quoted;
use crate::table::{Inputs, LoadError, SEPARATOR, TableFile, absolute};

/// Folder of the system's tables, as the shim has it.
const SYSTEM_TABLES: &str = "/etc/indir/tables";
/// How the names of shims begin.
const SHIM: &[u8] = b"ld-indir-";

/// Looks at these processes.
pub fn verify_processes(pids: &[u32]) -> Report {
    let store = Store::default();
    let look = |&pid: &u32| verify_one(&store, pid).unwrap_or_else(|why| failed(pid, why));
    Report {
        verified: pids.iter().map(look).collect(),
        orphans: Vec::new(),
    }
}

/// Looks at every process of an indirect executable; says how many could not be
/// looked at.
///
/// # Errors
/// When /proc cannot be read.
pub fn verify_running() -> std::io::Result<(Report, usize)> {
    let store = Store::default();
    let mut report = Report::default();
    let mut passed_over = 0;
    for pid in process::all()? {
        match verify_one(&store, pid) {
            Ok(verified) => report.verified.push(verified),
            Err(Failure::Unreadable(_)) => passed_over += 1,
            // It has ended, or is nothing of ours.
            Err(Failure::Gone | Failure::NotIndirect(_)) => {}
        }
    }
    Ok((report, passed_over))
}

/// Why nothing can be said of a process.
enum Failure {
    Gone,
    NotIndirect(PathBuf),
    Unreadable(std::io::Error),
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::NotFound => Self::Gone,
            // What a process that ends says meanwhile.
            _ if error.raw_os_error() == Some(libc::ESRCH) => Self::Gone,
            _ => Self::Unreadable(error),
        }
    }
}

fn failed(pid: u32, failure: Failure) -> Verified {
    let folder = PathBuf::from(format!("/proc/{pid}"));
    let mut findings = Findings {
        root: None,
        exe: &folder,
        all: Vec::new(),
    };
    let (kind, path, why) = match failure {
        Failure::Gone => (
            Kind::Missing,
            folder.clone(),
            "there is no such process".to_owned(),
        ),
        Failure::NotIndirect(exe) => (
            Kind::Unusable,
            exe,
            "the process is not one of an indirect executable".to_owned(),
        ),
        Failure::Unreadable(error) => (Kind::Unreadable, folder.clone(), error.to_string()),
    };
    findings.push(kind, &path, why, None);
    let findings = findings.all;
    Verified {
        path,
        pid: Some(pid),
        table: None,
        findings,
    }
}

fn verify_one(store: &Store, pid: u32) -> Result<Verified, Failure> {
    let Some(process) = Process::new(pid)? else {
        return Err(Failure::NotIndirect(PathBuf::from(format!("/proc/{pid}"))));
    };
    let not_indirect = || Failure::NotIndirect(process.exe.clone());
    let map = match MappedElf::open(process.exe_link()) {
        Ok(map) => map,
        Err(crate::elf::ElfError::Io(error)) => return Err(error.into()),
        Err(_) => return Err(not_indirect()),
    };
    let elf = map.elf().map_err(|_| not_indirect())?;
    let notes = elf.notes();
    let id = notes.id().filter(|_| notes.reference.is_some());
    let id = id.ok_or_else(not_indirect)?;
    let objects = process.objects()?;
    let mut findings = Findings {
        root: None,
        exe: &process.exe,
        all: Vec::new(),
    };
    if process.exe_is_deleted {
        let why =
            "the executable was deleted or replaced since the process started: start it again";
        findings.push(Kind::Replaced, &process.exe, why, None);
    }
    let table = find_table(&process, &notes, id);
    match &table {
        None => findings.update(
            Kind::Missing,
            &process.exe,
            "there is no table: the process runs as the ordinary program that it is, or its table was removed since",
        ),
        Some(path) => match TableFile::load(&process.outside(path)) {
            Ok(Some(file)) => {
                if let Ok(table) = file.table() {
                    let look = Look::new(store, &process, &table, &objects);
                    look.at_table(&mut findings);
                    look.at_the_rest(&mut findings);
                }
            }
            Ok(None) => findings.update(Kind::Missing, path, "there is no table any more"),
            Err(LoadError::Table(_, error)) => {
                findings.update(Kind::Broken, path, error.message());
            }
            Err(error) => findings.push(Kind::Unreadable, path, error.to_string(), None),
        },
    }
    let findings = findings.all;
    Ok(Verified {
        path: process.exe.clone(),
        pid: Some(pid),
        table,
        findings,
    })
}

/// The table that a start of the executable would find now, in the shim's order.
fn find_table(process: &Process, notes: &Notes<'_>, id: &[u8]) -> Option<PathBuf> {
    let origin = process.exe.parent().unwrap_or(Path::new("/"));
    let origin = origin.as_os_str().as_bytes();
    let origin = if origin == b"/" { b"" } else { origin };
    let expanded = |reference: &[u8]| {
        let mut buffer = [0; libc::PATH_MAX as usize];
        let len = expand(reference, origin, id, &mut buffer)?;
        Some(PathBuf::from(OsStr::from_bytes(buffer.get(..len)?)))
    };
    let folders = process.variable("INDIR_TABLES").unwrap_or_default();
    let by_id = |folder: &[u8]| expanded(&[folder, b"/$ID"].concat());
    let folders = folders
        .as_bytes()
        .split(|&b| b == b':')
        .filter(|folder| !folder.is_empty());
    let places = folders
        .filter_map(by_id)
        .chain(notes.reference.and_then(expanded))
        .chain(notes.places().filter_map(expanded))
        .chain(by_id(SYSTEM_TABLES.as_bytes()))
        .collect::<Vec<_>>();
    places
        .into_iter()
        .find(|place| process.outside(place).exists())
}

/// One process against one table.
struct Look<'a> {
    store: &'a Store,
    process: &'a Process,
    table: &'a Table<'a>,
    objects: &'a [Mapped],
    /// What the table names: path, name, and device and inode now.
    named: Vec<Named>,
}

struct Named {
    path: PathBuf,
    name: Vec<u8>,
    id: Option<(u64, u64)>,
    may_vary: bool,
}

impl<'a> Look<'a> {
    fn new(
        store: &'a Store,
        process: &'a Process,
        table: &'a Table<'a>,
        objects: &'a [Mapped],
    ) -> Self {
        let named = table.objects().map(|object| {
            let path = absolute(object.path.to_bytes(), &process.exe);
            Named {
                id: id_of(&process.outside(&path)),
                path,
                name: object.soname.to_bytes().to_vec(),
                may_vary: object.raw.flags & OBJECT_SEARCH != 0,
            }
        });
        Self {
            store,
            process,
            table,
            objects,
            named: named.collect(),
        }
    }

    /// Whether `mapped` is what `named` means, or meant before it was replaced.
    fn is(&self, mapped: &Mapped, named: &Named) -> bool {
        if mapped.is_deleted {
            return mapped.path.file_name() == named.path.file_name()
                && self
                    .process
                    .real(&named.path)
                    .as_deref()
                    .unwrap_or(&named.path)
                    == mapped.path;
        }
        if mapped.id.is_some() && mapped.id == named.id || mapped.path == named.path {
            return true;
        }
        let is_variant = mapped.path.file_name() == named.path.file_name()
            && mapped
                .path
                .components()
                .any(|part| part.as_os_str() == "glibc-hwcaps");
        named.may_vary && is_variant
    }

    /// What the table names and the process has not.
    fn at_table(&self, findings: &mut Findings<'_>) {
        for named in &self.named {
            if self.objects.iter().any(|mapped| self.is(mapped, named)) {
                continue;
            }
            let path = &named.path;
            let instead = self.objects.iter().find(|mapped| {
                self.soname(mapped).as_bytes() == named.name
                    && !self.named.iter().any(|other| self.is(mapped, other))
            });
            match instead {
                // Told of there.
                Some(_) => {}
                None if named.id.is_none() => {
                    findings.update(Kind::Missing, path, "there is no such file");
                }
                None => {
                    let why = "the table names it and the process does not have it: the process started before the table was written, start it again";
                    findings.push(Kind::Stale, path, why, None);
                }
            }
        }
    }

    /// What the process has.
    fn at_the_rest(&self, findings: &mut Findings<'_>) {
        for mapped in self.objects {
            let path = &mapped.path;
            let name = path.file_name().unwrap_or_default();
            let is_ours = name.as_bytes().starts_with(SHIM)
                || self
                    .table
                    .binder()
                    .is_some_and(|binder| binder.to_bytes() == path.as_os_str().as_bytes());
            if is_ours {
                continue;
            }
            if mapped.is_deleted || self.was_replaced(mapped) {
                let why = "it was deleted or replaced since the process opened it: start the process again";
                findings.push(Kind::Replaced, path, why, None);
                continue;
            }
            if self.named.iter().any(|named| self.is(mapped, named)) {
                continue;
            }
            let soname = self.soname(mapped);
            let same = self
                .named
                .iter()
                .find(|named| named.name == soname.as_bytes());
            if let Some(named) = same {
                let has_both = self.objects.iter().any(|other| self.is(other, named));
                let why = if has_both {
                    format!(
                        "the process has a second {} beside `{}`, which the table names{}",
                        Path::new(&soname).display(),
                        named.path.display(),
                        self.way(path)
                    )
                } else {
                    format!(
                        "the process has it instead of `{}`, which the table names{}",
                        named.path.display(),
                        self.way(path)
                    )
                };
                findings.push(Kind::Foreign, path, why, None);
            } else if !self.is_expected(mapped, &soname) {
                let folder = path.parent().unwrap_or(Path::new("/"));
                let mend = format!(
                    "indir update --plugin-dir {} {}",
                    quoted(folder),
                    quoted(&self.process.exe)
                );
                let why = format!(
                    "the process opened it, and the table knows neither it nor its folder{}",
                    self.way(path)
                );
                findings.push(Kind::Foreign, path, why, Some(mend));
            }
        }
    }

    /// Whether the path means another file by now.
    fn was_replaced(&self, mapped: &Mapped) -> bool {
        let now = id_of(&self.process.outside(&mapped.path));
        match (mapped.id, now) {
            // Another device number is a file system of layers, not another file.
            (Some(then), Some(now)) => then.0 == now.0 && then.1 != now.1,
            _ => false,
        }
    }

    /// How the process may have come to it.
    fn way(&self, path: &Path) -> String {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let has = |name: &str, what: &Path| {
            let value = self.process.variable(name).unwrap_or_default();
            let mut parts = value.as_bytes().split(|b| matches!(b, b':' | b';' | b' '));
            let what = self.process.real(what);
            parts.any(|part| {
                let part = Path::new(OsStr::from_bytes(part));
                part.is_absolute() && what.is_some() && self.process.real(part) == what
            })
        };
        if has("LD_PRELOAD", path) {
            " (LD_PRELOAD names it)".to_owned()
        } else if has("LD_LIBRARY_PATH", folder) {
            " (LD_LIBRARY_PATH names its folder)".to_owned()
        } else {
            String::new()
        }
    }

    /// The name that others ask for it by.
    fn soname(&self, mapped: &Mapped) -> std::ffi::OsString {
        let file_name = || mapped.path.file_name().unwrap_or_default().to_owned();
        let of = |path: &Path| match self.store.probe(Arch::own(), path) {
            Probe::Found(library) => {
                let soname = library.soname.as_deref()?;
                Some(OsStr::from_bytes(soname).to_owned())
            }
            _ => None,
        };
        let own = of(&mapped.link);
        let own = own.or_else(|| match mapped.is_deleted {
            true => None,
            false => of(&self.process.outside(&mapped.path)),
        });
        own.unwrap_or_else(file_name)
    }

    /// Whether the table leads to it: its folder is one of the table's, or of plugins
    /// that the table knows, or ld.so's own search ends there as in any start.
    fn is_expected(&self, mapped: &Mapped, soname: &OsStr) -> bool {
        let exe = &self.process.exe;
        let folder = mapped.path.parent().unwrap_or(Path::new("/"));
        let canonical = |path: &Path| self.process.real(path).unwrap_or_else(|| path.to_owned());
        let search = self.table.search().to_bytes().split(|&b| b == SEPARATOR);
        let search = search.filter(|folder| !folder.is_empty());
        let search = search.map(|folder| absolute(folder, exe));
        let of_objects = self
            .named
            .iter()
            .filter_map(|named| named.path.parent().map(Path::to_owned));
        let folders: HashSet<PathBuf> = search
            .chain(of_objects)
            .map(|folder| canonical(&folder))
            .collect();
        let inputs = Inputs::of(self.table);
        let ldso = absolute(self.table.ldso().to_bytes(), exe);
        // glibc's own modules (gconv) lie below its folder.
        let trees = inputs
            .plugin_dirs
            .iter()
            .map(PathBuf::as_path)
            .chain(ldso.parent());
        let is_own = self.table.header().flags & SEARCH_OWN != 0;
        let system = || {
            let cached = self.store.cache(Arch::own()).get(soname.as_bytes());
            let cached = cached.and_then(|cached| cached.path.as_deref());
            let defaults = self.store.defaults(Arch::own()).folders.iter();
            let found = cached.map(canonical).or_else(|| {
                let mut places = defaults.map(|folder| folder.join(soname));
                places
                    .find(|place| place.exists())
                    .map(|place| canonical(&place))
            });
            found.as_deref() == Some(&*mapped.path)
        };
        folders.contains(folder)
            || trees
                .map(canonical)
                .any(|tree| mapped.path.starts_with(tree))
            || inputs.scan_plugins && folders.iter().any(|own| mapped.path.starts_with(own))
            || is_own && system()
    }
}

fn id_of(path: &Path) -> Option<(u64, u64)> {
    let stat = std::fs::metadata(path).ok()?;
    Some((stat.dev(), stat.ino()))
}
