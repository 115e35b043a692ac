//! ld.so is the oracle: every slot that `resolve::addresses::bindings` binds must hold
//! exactly what ld.so writes under LD_BIND_NOW.
//!
//! A program is started under ptrace and stopped where ld.so tells debuggers
//! that all objects are relocated (`_dl_debug_state` with RT_CONSISTENT), which
//! is before any constructor. No auditor is loaded, so nothing but the stop is
//! changed. The objects and their order are read from the process (link_map),
//! the values from /proc/PID/mem; then the program is killed.
//!
//! By default a fixed sample of the executables in /usr/bin and /usr/sbin and
//! some large programs; with INDIR_FULL=1 all of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use indir::adopt::copy_with_interpreter;
use indir::arch::Class;
use indir::elf::Root;
use indir::resolve::Library;
use indir::resolve::addresses::bindings::{ObjectBindings, Target, bind};
use indir::resolve::addresses::lookup::Scope;
use indir::resolve::addresses::object::LoadedObject;
use indir::resolve::files::search::left_behind;
use indir::table::bindings::{BindingsSpec, ObjectFile};
use indir_shim::format::bindings::{Bindings, Writable};

use crate::support::traced::{Libraries, Traced, data, interpreter, library, link_map};
use crate::support::{Scratch, glibc_lib, loader};

/// The sample has at least this many programs.
const SAMPLE: usize = 150;

/// Programs that are always in it, with the packages that bring them.
const NAMED: [(&str, &str); 6] = [
    ("ffmpeg", "ffmpeg"),
    ("clang-14", "clang-14"),
    ("gdb", "gdb"),
    ("vim.gtk3", "vim-gtk3"),
    ("git", "git"),
    ("python3", "python3"),
];

/// What was seen of one program.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) objects: usize,
    pub(crate) bound: usize,
    pub(crate) indirect: usize,
    pub(crate) residual: usize,
    pub(crate) refused: usize,
    pub(crate) kept_lazy: usize,
    pub(crate) bytes: usize,
    pub(crate) stored: usize,
}

/// How a comparison ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Nothing differs.
    Compared(Counts),
    /// ld.so itself refuses to start it with eager binding.
    DoesNotStart,
}

fn writable(object: &LoadedObject) -> Vec<Writable> {
    use object::elf::{PF_W, PT_LOAD};
    object
        .segments()
        .iter()
        .filter(|s| s.kind == PT_LOAD && s.flags.0 & PF_W.0 != 0)
        .map(|s| Writable {
            start: s.vaddr,
            end: s.vaddr + s.memsz,
        })
        .collect()
}

/// What the computed bindings put into each slot of one object.
fn computed(result: &ObjectBindings, bases: &[u64]) -> Vec<(u64, u64)> {
    let value = |target| match target {
        Target::Object { object, offset } => bases[object as usize].wrapping_add(u64::from(offset)),
        Target::Absolute(value) => u64::from(value),
    };
    let slots = result.bound.iter();
    slots
        .map(|b| (u64::from(b.slot), value(b.target)))
        .collect()
}

/// What the bindings file puts there; the same, but for objects that it leaves.
fn stored(
    file: &Bindings<'_>,
    index: usize,
    object: &LoadedObject,
    bases: &[u64],
) -> Vec<(u64, u64)> {
    let entry = file.object(index).unwrap();
    let writable = writable(object);
    entry.check(&writable, bases.len()).unwrap();
    let mut slots = Vec::new();
    entry
        .apply(&writable, bases, |slot, value| slots.push((slot, value)))
        .unwrap();
    slots.sort_unstable();
    slots
}

/// Compares every slot of every object of `program`.
pub(crate) fn compare(program: &Path, libraries: &Libraries) -> Result<Outcome, String> {
    compare_with(program, &[], libraries)
}

/// The same with these variables.
fn compare_with(
    program: &Path,
    variables: &[(&str, &str)],
    libraries: &Libraries,
) -> Result<Outcome, String> {
    let mut all = variables.to_vec();
    all.push(("LD_BIND_NOW", "1"));
    let traced = Traced::start(program, &all);
    let (ldso_base, ldso_path) = interpreter(&traced);
    let ldso = library(libraries, &ldso_path);
    if !traced.run_to_consistent(ldso_base, &ldso) {
        return Ok(Outcome::DoesNotStart);
    }
    let ldso_scope = Scope::new(vec![Arc::clone(&ldso)]);
    let r_debug = ldso_scope.find(b"_r_debug", None, Class::Data).unwrap();
    let (bases, objects) = link_map(&traced, program, ldso_base + r_debug.raw.value, libraries);
    let scope = Scope::new(objects);
    let bindings = bind(&scope);
    let files = vec![ObjectFile::default(); bases.len()];
    let ldso = scope.objects().iter().position(|o| Arc::ptr_eq(o, &ldso));
    let digest = [7; 16];
    let bytes = BindingsSpec {
        scope: &scope,
        bindings: &bindings,
        files: &files,
        ldso,
        digest,
    };
    let bytes = bytes.to_bytes().unwrap();
    let file = Bindings::parse(&bytes, &digest).unwrap();
    let mut counts = Counts {
        objects: bases.len(),
        bytes: bytes.len(),
        stored: file.header().bound_count.get() as usize,
        ..Counts::default()
    };
    let mut wrong = Vec::new();
    let all = scope.objects().iter().zip(&bindings.objects).zip(&bases);
    for (index, ((object, result), base)) in all.enumerate() {
        let segments = data(&traced, *base, object);
        let read = |slot: u64| {
            let at = base.wrapping_add(slot);
            let (start, bytes) = segments
                .iter()
                .find(|(start, bytes)| at >= *start && at - start < bytes.len() as u64)?;
            let from = (at - start) as usize;
            Some(u64::from_le_bytes(
                bytes.get(from..from + 8)?.try_into().ok()?,
            ))
        };
        let mut slots = computed(result, &bases);
        slots.sort_unstable();
        let in_file = stored(&file, index, object, &bases);
        let is_left = result.refusal.is_some() || ldso == Some(index);
        assert!(if is_left {
            in_file.is_empty()
        } else {
            in_file == slots
        });
        for (slot, expected) in slots {
            let actual = read(slot);
            if actual != Some(expected) {
                wrong.push(format!(
                    "{}+{slot:#x}: ld.so wrote {actual:x?}, computed {expected:#x}",
                    object.path().display(),
                ));
            }
        }
        let plan = object.relocation_plan();
        let all = plan.symbolic.len() + plan.relative.len() + plan.residual.len();
        let classified = result.bound.len() + result.indirect.len() + result.residual.len();
        // Nothing is lost: what is not bound is left to ld.so.
        assert!(
            classified == all || result.keeps_jump,
            "{}",
            object.path().display()
        );
        counts.bound += result.bound.len();
        counts.indirect += result.indirect.len();
        counts.residual += result.residual.len();
        counts.refused += usize::from(result.refusal.is_some());
        counts.kept_lazy += usize::from(result.keeps_jump);
    }
    if wrong.is_empty() {
        return Ok(Outcome::Compared(counts));
    }
    let total = wrong.len();
    wrong.truncate(5);
    Err(format!(
        "{}: {total} slots differ\n  {}",
        program.display(),
        wrong.join("\n  ")
    ))
}

/// Every dynamically linked executable of the two folders, sorted, each once.
fn candidates() -> Vec<PathBuf> {
    let mut all = BTreeSet::new();
    for folder in ["/usr/bin", "/usr/sbin"] {
        for entry in std::fs::read_dir(folder).unwrap() {
            let Ok(path) = std::fs::canonicalize(entry.unwrap().path()) else {
                continue;
            };
            if is_dynamic_executable(&path) {
                all.insert(path);
            }
        }
    }
    all.into_iter().collect()
}

fn is_dynamic_executable(path: &Path) -> bool {
    use object::elf::EM_X86_64;
    use std::os::unix::fs::PermissionsExt as _;
    let Ok(file) = indir::elf::MappedElf::open(path) else {
        return false;
    };
    let executable = file.metadata().permissions().mode() & 0o111 != 0;
    executable
        && file
            .elf()
            .is_ok_and(|elf| elf.machine() == EM_X86_64 && elf.interpreter().is_some())
}

/// Paths of the named programs.
pub(crate) fn named() -> Vec<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    NAMED
        .iter()
        .map(|(name, package)| {
            std::iter::once(PathBuf::from("/usr/bin"))
                .chain(std::env::split_paths(&paths))
                .filter_map(|folder| std::fs::canonicalize(folder.join(name)).ok())
                .find(|path| is_dynamic_executable(path))
                .unwrap_or_else(|| panic!("{name} is missing: apt-get install {package}"))
        })
        .collect()
}

fn is_full() -> bool {
    std::env::var_os("INDIR_FULL").is_some()
}

#[test]
fn every_slot_is_what_the_loader_writes() {
    let all = candidates();
    let mut programs: BTreeSet<PathBuf> = named().into_iter().collect();
    let step = if is_full() {
        1
    } else {
        (all.len() / SAMPLE).max(1)
    };
    programs.extend(all.iter().step_by(step).cloned());
    assert!(
        programs.len() >= SAMPLE.min(all.len()),
        "only {} programs",
        programs.len()
    );
    survey("the machine's glibc", programs, compare);
}

/// The same programs, as copies that another glibc loads.
#[test]
fn every_slot_is_what_the_loader_of_another_glibc_writes() {
    for release in ["trixie", "sid"] {
        let mut programs: BTreeSet<PathBuf> = named().into_iter().collect();
        if is_full() {
            programs.extend(candidates());
        }
        let scratch = Scratch::new();
        let glibc = glibc_lib(release);
        let compare = |program: &Path, libraries: &Libraries| {
            // Programs of two folders may have the same name.
            let copy = scratch
                .dir(program.parent().unwrap().strip_prefix("/").unwrap())
                .join(program.file_name().unwrap());
            copy_with_interpreter(program, &copy, &loader(&glibc)).unwrap();
            // What the original finds by $ORIGIN, the copy does not.
            let beside = left_behind(
                &Root::default(),
                &Library::open(program).unwrap(),
                program,
                &copy,
            );
            let folders = std::env::join_paths(std::iter::once(&glibc).chain(&beside)).unwrap();
            let variable = [("LD_LIBRARY_PATH", folders.to_str().unwrap())];
            let result = compare_with(&copy, &variable, libraries);
            libraries.lock().unwrap().remove(&copy);
            std::fs::remove_file(copy).unwrap();
            result
        };
        survey(release, programs, compare);
    }
}

/// Compares all `programs` and prints what was found; `of` says under what.
fn survey(
    of: &str,
    programs: BTreeSet<PathBuf>,
    compare: impl Fn(&Path, &Libraries) -> Result<Outcome, String> + Sync,
) {
    let programs: Vec<PathBuf> = programs.into_iter().collect();
    let libraries = Libraries::default();
    let results = Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                // ptrace belongs to a thread, so each follows its own children.
                loop {
                    let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let Some(program) = programs.get(at) else {
                        break;
                    };
                    let result = compare(program, &libraries);
                    results.lock().unwrap().push((program.clone(), result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap();
    results.sort_by(|a, b| a.0.cmp(&b.0));
    let mut sum = Counts::default();
    let mut compared = 0;
    let mut failures = Vec::new();
    for (program, result) in results {
        match result {
            Ok(Outcome::Compared(counts)) => {
                compared += 1;
                sum.objects += counts.objects;
                sum.bound += counts.bound;
                sum.indirect += counts.indirect;
                sum.residual += counts.residual;
                sum.refused += counts.refused;
                sum.kept_lazy += counts.kept_lazy;
                sum.bytes += counts.bytes;
                sum.stored += counts.stored;
                println!("{}: {counts:?}", program.display());
            }
            Ok(Outcome::DoesNotStart) => {
                println!("{}: does not start with eager binding", program.display());
            }
            Err(message) => failures.push(message),
        }
    }
    println!(
        "{of}: {compared} of {} programs compared, {} objects: {} slots bound, {} left to IFUNC \
         resolvers, {} other relocations left to ld.so, {} objects refused, {} keep lazy binding; \
         {} bytes of bindings, {:.2} a slot",
        programs.len(),
        sum.objects,
        sum.bound,
        sum.indirect,
        sum.residual,
        sum.refused,
        sum.kept_lazy,
        sum.bytes,
        sum.bytes as f64 / sum.stored as f64,
    );
    assert!(failures.is_empty(), "{of}: {}", failures.join("\n"));
    assert!(
        compared * 10 >= programs.len() * 9,
        "{of}: too few programs start"
    );
}
