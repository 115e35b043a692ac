//! The closure that `indir` computes is the one that ld.so loads.
//!
//! The oracle is the real loader: `ld.so --list PROGRAM` maps everything that
//! the program needs, prints it in order and never runs the program.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;
use indir::resolve::{Library, Resolver, Store};
use rayon::prelude::*;

use crate::support::run;

/// The system's loader.
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
/// Fewest programs that a Debian machine with compilers has.
const MINIMUM: usize = 300;

/// What ld.so loads for `program`, in order, the vDSO aside; or what it says.
fn listed_by_loader(program: &Path) -> Result<Vec<PathBuf>, String> {
    let mut command = Command::new(LOADER);
    // At a real start $ORIGIN comes from /proc/self/exe, which has no symlinks.
    command
        .arg("--list")
        .arg(std::fs::canonicalize(program).unwrap());
    for name in ["LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_DEBUG"] {
        command.env_remove(name);
    }
    let ran = run(&mut command);
    let text = ran.stdout();
    if ran.code() != Some(0) || text.contains("not found") {
        return Err(format!("{text}{}", ran.stderr()));
    }
    let mut files = Vec::new();
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("linux-vdso.so.1") || line == "statically linked" {
            continue;
        }
        let path = line.split(" => ").last().unwrap_or(line);
        let path = path.rsplit_once(" (0x").map_or(path, |(path, _)| path);
        files.push(PathBuf::from(path));
    }
    Ok(files)
}

/// What indir says that ld.so loads, with `lib_dirs` searched first.
pub(super) fn closure(program: &Path, lib_dirs: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let store = Store::default();
    let program = std::fs::canonicalize(program).unwrap();
    let exe = Library::open(&program).map_err(|error| error.to_string())?;
    let resolver = Resolver::new(&store, lib_dirs);
    let closure = resolver
        .resolve(&program, &exe)
        .map_err(|error| error.to_string())?;
    Ok(closure.nodes.into_iter().map(|node| node.path).collect())
}

/// ld.so prints itself by the path it was started by, and a glibc-hwcaps
/// variant where the table names the file for every processor.
fn same(listed: &Path, resolved: &Path) -> bool {
    let file = |path: &Path| std::fs::metadata(path).map(|m| (m.dev(), m.ino())).ok();
    let is_loader = |path: &Path| path.file_name() == Path::new(LOADER).file_name();
    if listed == resolved {
        return true;
    }
    if is_loader(listed) && is_loader(resolved) {
        return file(listed).is_some() && file(listed) == file(resolved);
    }
    let baseline = listed.to_str().and_then(|path| {
        let (folder, rest) = path.split_once("/glibc-hwcaps/")?;
        Some(Path::new(folder).join(rest.split_once('/')?.1))
    });
    baseline.as_deref() == Some(resolved)
}

/// Whether both see the same; `Ok(false)` if both find that a library is
/// missing, which is agreement but compares no closure.
pub(super) fn compare(program: &Path) -> Result<bool, String> {
    match (listed_by_loader(program), closure(program, &[])) {
        (Ok(listed), Ok(resolved))
            if listed.len() == resolved.len()
                && listed.iter().zip(&resolved).all(|(a, b)| same(a, b)) =>
        {
            Ok(true)
        }
        (Err(_), Err(_)) => Ok(false),
        (listed, resolved) => Err(format!(
            "{}\n  ld.so: {listed:#?}\n  indir: {resolved:#?}",
            program.display()
        )),
    }
}

/// Every dynamic ELF executable in `folder`, each file once.
fn programs(folder: &str) -> Vec<PathBuf> {
    let mut seen = HashSet::new();
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.retain(|file| {
        let Ok(real) = std::fs::canonicalize(file) else {
            return false;
        };
        let dynamic = MappedElf::open(&real)
            .is_ok_and(|map| map.elf().is_ok_and(|elf| elf.interpreter().is_some()));
        dynamic && seen.insert(real)
    });
    files
}

#[test]
fn every_program_of_the_system_has_the_closure_that_ld_so_loads() {
    let programs: Vec<PathBuf> = ["/usr/bin", "/usr/sbin"]
        .into_iter()
        .flat_map(programs)
        .collect();
    let compared: Vec<Result<bool, String>> = programs
        .par_iter()
        .map(|program| compare(program))
        .collect();
    let differences: Vec<&str> = compared
        .iter()
        .filter_map(|result| Some(result.as_ref().err()?.as_str()))
        .collect();
    assert!(
        differences.is_empty(),
        "{} of {} differ:\n{}",
        differences.len(),
        programs.len(),
        differences.join("\n")
    );
    let count = compared
        .iter()
        .filter(|result| **result == Ok(true))
        .count();
    println!("{count} of {} programs compared", programs.len());
    assert!(
        count >= MINIMUM,
        "only {count} of {} programs could be compared (more packages in /usr/bin are needed)",
        programs.len()
    );
}
