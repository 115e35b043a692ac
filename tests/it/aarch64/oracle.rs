//! ld.so of aarch64 is the oracle, under qemu-user: every library that `resolve::files`
//! finds must be the one that ld.so maps, in its order, and every slot that
//! `resolve::addresses` binds must hold exactly what ld.so writes under LD_BIND_NOW.
//!
//! As for the machine itself (`resolve/oracle.rs`), a program is stopped where ld.so tells
//! debuggers that all objects are relocated, before any constructor. With `INDIR_FULL=1`
//! it is every program of the large root (`tests/scripts/aarch64-oracle.sh`).

use std::collections::HashMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use indir::arch::Class;
use indir::elf::Root;
use indir::resolve::addresses::bindings::{Target, bind};
use indir::resolve::addresses::lookup::Scope;
use indir::resolve::addresses::object::LoadedObject;
use indir::resolve::{Library, Resolver, Store};
use object::elf::{PF_W, PT_LOAD};
use rayon::prelude::*;

use super::remote::Remote;
use super::root;

/// Programs of the small root: C, C++ libraries, many and few libraries, lazy and eager.
const NAMED: [&str; 12] = [
    "bash",
    "ls",
    "sort",
    "git",
    "python3",
    "curl",
    "sha256sum",
    "stat",
    "df",
    "env",
    "tac",
    "dpkg",
];

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    programs: usize,
    objects: usize,
    bound: usize,
    indirect: usize,
    residual: usize,
    /// What ld.so itself refuses to start.
    ends: usize,
}

impl std::ops::Add for Counts {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            programs: self.programs + other.programs,
            objects: self.objects + other.objects,
            bound: self.bound + other.bound,
            indirect: self.indirect + other.indirect,
            residual: self.residual + other.residual,
            ends: self.ends + other.ends,
        }
    }
}

type Known = Mutex<HashMap<PathBuf, Arc<LoadedObject>>>;

fn object(known: &Known, root: &Root, path: &Path) -> Arc<LoadedObject> {
    let real = std::fs::canonicalize(root.real(path).unwrap()).unwrap();
    let mut known = known.lock().unwrap();
    let open = || Arc::new(LoadedObject::open(&real).unwrap());
    Arc::clone(known.entry(real.clone()).or_insert_with(open))
}

fn address_of(object: &Arc<LoadedObject>, name: &[u8]) -> u64 {
    let scope = Scope::new(vec![Arc::clone(object)]);
    scope.find(name, None, Class::Data).unwrap().raw.value
}

/// Compares the program at `path` in the root; what differs is the error.
fn compare(store: &Store, known: &Known, path: &Path) -> Result<Counts, String> {
    let root = store.root();
    let library = Library::open(root.real(path).unwrap()).unwrap();
    let ended = Counts {
        ends: 1,
        ..Counts::default()
    };
    let folder = root.folder().unwrap();
    let Some(mut remote) = Remote::start(
        folder,
        &folder.join(path.strip_prefix("/").unwrap()),
        &["LD_BIND_NOW=1"],
    ) else {
        return Ok(ended);
    };
    let interpreter = library.interpreter.clone().unwrap();
    let interpreter = PathBuf::from(OsStr::from_bytes(&interpreter));
    let ldso = object(known, root, &interpreter);
    let base = remote.pc() - ldso.file().elf().unwrap().entry();
    let stop = base + address_of(&ldso, b"_dl_debug_state");
    let r_debug = base + address_of(&ldso, b"_r_debug");
    loop {
        if !remote.run_to(stop) {
            return Ok(ended);
        }
        // RT_CONSISTENT
        if remote.word(r_debug + 24) as u32 == 0 {
            break;
        }
    }
    let mut bases = Vec::new();
    let mut objects = Vec::new();
    let mut names = Vec::new();
    let mut at = remote.word(r_debug + 8);
    while at != 0 {
        let name = {
            let text = remote.word(at + 8);
            remote.string(text)
        };
        let file = match name.as_slice() {
            b"" => Some(path.to_owned()),
            name if name.starts_with(b"/") => Some(PathBuf::from(OsStr::from_bytes(name))),
            // The vDSO.
            _ => None,
        };
        if let Some(file) = file {
            bases.push(remote.word(at));
            objects.push(object(known, root, &file));
            names.push(file);
        }
        at = remote.word(at + 24);
    }
    // Without ld.so, which is in the list whether anything needs it or not.
    let closure = Resolver::new(store, &[]).resolve(path, &library);
    let closure = closure.map_err(|error| error.to_string())?;
    let is_ldso = |file: &&PathBuf| file.file_name() == interpreter.file_name();
    let found: Vec<PathBuf> = closure.nodes.iter().map(|node| node.path.clone()).collect();
    let found: Vec<&PathBuf> = found.iter().filter(|file| !is_ldso(file)).collect();
    let mapped: Vec<&PathBuf> = names.iter().skip(1).filter(|file| !is_ldso(file)).collect();
    if found != mapped {
        return Err(format!("ld.so maps {mapped:?}, found {found:?}"));
    }
    let scope = Scope::new(objects);
    let bindings = bind(&scope);
    let mut counts = Counts {
        programs: 1,
        objects: bases.len(),
        ..Counts::default()
    };
    let mut wrong = Vec::new();
    let all = scope.objects().iter().zip(&bindings.objects).zip(&bases);
    for ((object, result), base) in all {
        let writable = |s: &&indir::elf::Segment| s.kind == PT_LOAD && s.flags.0 & PF_W.0 != 0;
        let segments: Vec<_> = object.segments().iter().filter(writable).collect();
        let memory: Vec<(u64, Vec<u8>)> = segments
            .iter()
            .map(|s| (s.vaddr, remote.bytes(base.wrapping_add(s.vaddr), s.filesz)))
            .collect();
        for bound in &result.bound {
            let slot = u64::from(bound.slot);
            let actual = memory.iter().find_map(|(start, bytes)| {
                let at = usize::try_from(slot.checked_sub(*start)?).ok()?;
                Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
            });
            let expected = match bound.target {
                Target::Object { object, offset } => {
                    bases[object as usize].wrapping_add(u64::from(offset))
                }
                Target::Absolute(value) => u64::from(value),
            };
            if actual != Some(expected) {
                wrong.push(format!(
                    "{}+{slot:#x}: ld.so wrote {actual:x?}, computed {expected:#x}",
                    object.path().display()
                ));
            }
        }
        if result.refusal.is_none() {
            counts.bound += result.bound.len();
            counts.indirect += result.indirect.len();
            counts.residual += result.residual.len();
        }
    }
    if wrong.is_empty() {
        Ok(counts)
    } else {
        Err(format!(
            "{} slots differ: {}",
            wrong.len(),
            wrong[..wrong.len().min(3)].join("; ")
        ))
    }
}

/// Programs below `bin` and `sbin` of the root that ld.so starts.
fn programs(store: &Store) -> Vec<PathBuf> {
    let root = store.root().folder().unwrap();
    let mut found = Vec::new();
    for folder in ["usr/bin", "usr/sbin"] {
        for entry in std::fs::read_dir(root.join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let Ok(library) = std::fs::symlink_metadata(&path)
                .map_err(drop)
                .and_then(|m| {
                    if m.is_file() {
                        Library::open(&path).map_err(drop)
                    } else {
                        Err(())
                    }
                })
            else {
                continue;
            };
            if library.dynamic && library.interpreter.is_some() {
                found.push(Path::new("/").join(path.strip_prefix(root).unwrap()));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn slots_hold_what_ld_so_writes() {
    let full = std::env::var_os("INDIR_FULL").is_some();
    let store = Store::in_root(Root::new(&root(if full { "large" } else { "root" })).unwrap());
    let programs: Vec<PathBuf> = if full {
        programs(&store)
    } else {
        let all = NAMED.iter().map(|name| Path::new("/usr/bin").join(name));
        let real = |path: PathBuf| store.root().canonical(&path).unwrap();
        all.map(real).collect()
    };
    let known = Known::default();
    let results: Vec<(PathBuf, Result<Counts, String>)> = programs
        .into_par_iter()
        .map(|path| {
            let result = compare(&store, &known, &path);
            (path, result)
        })
        .collect();
    let mut counts = Counts::default();
    let mut wrong = Vec::new();
    for (path, result) in results {
        match result {
            Ok(one) => {
                if one.ends > 0 {
                    eprintln!("does not start: {}", path.display());
                }
                counts = counts + one;
            }
            Err(why) => wrong.push(format!("{}: {why}", path.display())),
        }
    }
    eprintln!("{counts:?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let least = if full { 150 } else { NAMED.len() };
    assert!(counts.programs >= least, "{counts:?}");
    assert!(counts.bound > 100 * counts.programs, "{counts:?}");
}
