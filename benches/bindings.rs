//! Computing bindings, and decoding them.
//!
//! - *closure*: one large program with nothing parsed before: files mapped,
//!   tables parsed, every symbol looked up, the file encoded. The files are in
//!   the page cache.
//! - *small*: a thousand executables of /usr/bin with at most ten libraries
//!   (repeated if there are fewer), libraries shared, closures found first and
//!   counted apart.
//! - *decode*: what a slot costs at start without the page faults: checking a
//!   stream, and applying it to memory that is warm.
//!
//! Beside the elapsed time stands the time on all processors, which says more on
//! a busy machine.
//!
//! `INDIR_BENCH_RUNS` sets the number of runs of each (11).

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use indir::resolve::{Library, Resolver, Store};
use indir::update::bindings::ClosureBindings;
use indir_shim::format::bindings::{Bindings, Writable};
use rayon::prelude::*;

/// Programs with large closures, and the packages that bring them.
const LARGE: [(&str, &str); 5] = [
    ("inkscape", "inkscape"),
    ("clang-14", "clang-14"),
    ("ffmpeg", "ffmpeg"),
    ("gdb", "gdb"),
    ("vim.gtk3", "vim-gtk3"),
];
const SMALL: usize = 1000;
const MOST_LIBRARIES: usize = 10;

fn main() {
    let runs = std::env::var("INDIR_BENCH_RUNS").map_or(11, |n| n.parse().expect("a number"));
    println!(
        "closure      objects   slots  lookups  file KiB  B/slot  median ms  cpu ms  check ns  apply ns"
    );
    for (name, package) in LARGE {
        match std::fs::canonicalize(Path::new("/usr/bin").join(name)) {
            Ok(path) => large(name, &path, runs),
            Err(_) => println!("{name:12} not installed (apt-get install {package})"),
        }
    }
    small();
    println!(
        "peak resident memory, mapped files included: {} MiB",
        peak_mib()
    );
}

fn large(name: &str, path: &Path, runs: usize) {
    let mut times = Vec::new();
    let mut cpu = Vec::new();
    let mut last = None;
    for _ in 0..runs {
        let store = Store::default();
        let exe = Library::open(path).expect("an executable");
        let closure = Resolver::new(&store, &[])
            .resolve(path, &exe)
            .expect("its closure");
        let (start, busy) = (Instant::now(), processor_time());
        let bindings = ClosureBindings::new(&exe, &closure).expect("its bindings");
        let bytes = bindings.to_bytes([0; 16]).expect("a file");
        times.push(start.elapsed());
        cpu.push(processor_time() - busy);
        last = Some((bindings, bytes));
    }
    let Some((bindings, bytes)) = last else {
        return;
    };
    let (check, apply) = decode(&bindings, &bytes, runs);
    let slots = bindings.bindings().bound_slots();
    println!(
        "{name:12} {:7} {slots:7} {:8} {:9.1} {:7.2} {:10.1} {:7.1} {check:9.2} {apply:9.2}",
        bindings.scope().objects().len(),
        bindings.bindings().lookups(),
        bytes.len() as f64 / 1024.0,
        bytes.len() as f64 / slots as f64,
        median(times).as_secs_f64() * 1e3,
        median(cpu).as_secs_f64() * 1e3,
    );
}

/// Nanoseconds a slot for checking and for applying.
fn decode(bindings: &ClosureBindings, bytes: &[u8], runs: usize) -> (f64, f64) {
    let file = Bindings::parse(bytes, &[0; 16]).expect("what was just written");
    let objects = bindings.scope().objects();
    let bases: Vec<u64> = (1..=objects.len() as u64).map(|n| n << 32).collect();
    let writable: Vec<Vec<Writable>> = objects
        .iter()
        .map(|object| {
            let data = object.segments().iter().filter(|s| s.flags.0 & 2 != 0);
            data.filter(|s| s.kind.0 == 1)
                .map(|s| Writable {
                    start: s.vaddr,
                    end: s.vaddr + s.memsz,
                })
                .collect()
        })
        .collect();
    let end = |w: &Vec<Writable>| w.iter().map(|w| w.end).max().unwrap_or(0);
    let mut memory = vec![0_u64; writable.iter().map(end).max().unwrap_or(0) as usize / 8 + 1];
    let slots = f64::from(file.header().bound_count.get());
    let time = |step: &mut dyn FnMut(usize)| {
        let all = (0..runs.max(2)).map(|_| {
            let start = Instant::now();
            (0..objects.len()).for_each(&mut *step);
            start.elapsed()
        });
        median(all.collect()).as_secs_f64() * 1e9 / slots
    };
    let check = time(&mut |index| {
        let object = file.object(index).expect("an object");
        object
            .check(&writable[index], bases.len())
            .expect("sound streams");
    });
    let apply = time(&mut |index| {
        let object = file.object(index).expect("an object");
        object
            .apply(&writable[index], &bases, |slot, value| {
                memory[(slot / 8) as usize] = value;
            })
            .expect("sound streams");
    });
    std::hint::black_box(&memory);
    (check, apply)
}

fn small() {
    let mut programs: Vec<(u64, PathBuf)> = std::fs::read_dir("/usr/bin")
        .expect("/usr/bin")
        .filter_map(|entry| std::fs::canonicalize(entry.ok()?.path()).ok())
        .filter_map(|path| {
            let library = Library::open(&path).ok()?;
            library.map().elf().ok()?.interpreter()?;
            Some((library.map().metadata().len(), path))
        })
        .collect();
    programs.sort();
    programs.dedup();
    let store = Store::default();
    let resolver = Resolver::new(&store, &[]);
    programs.retain(|(_, path)| {
        let exe = Library::open(path).expect("an executable");
        let closure = resolver.resolve(path, &exe);
        closure.is_ok_and(|closure| closure.nodes.len() <= MOST_LIBRARIES)
    });
    let kinds = programs.len().min(SMALL);
    let all = programs.iter().map(|p| p.1.as_path()).cycle();
    let programs: Vec<&Path> = all.take(SMALL).collect();
    // What was parsed to choose them does not count.
    let store = Store::default();
    let resolver = Resolver::new(&store, &[]);
    let start = Instant::now();
    let closures: Vec<_> = programs
        .par_iter()
        .filter_map(|path| {
            let exe = Library::open(*path).ok()?;
            let closure = resolver.resolve(path, &exe).ok()?;
            Some((exe, closure))
        })
        .collect();
    let found = start.elapsed();
    let (start, busy) = (Instant::now(), processor_time());
    let sums: Vec<(usize, usize)> = closures
        .into_par_iter()
        .map(|(exe, closure)| {
            let bindings = ClosureBindings::new(&exe, &closure).expect("bindings");
            let bytes = bindings.to_bytes([0; 16]).expect("a file");
            (bindings.bindings().bound_slots(), bytes.len())
        })
        .collect();
    let bound = start.elapsed();
    println!(
        "{} small executables ({kinds} different): closures {:.2} s, bindings {:.2} s ({:.2} s of \
         processors), {} slots, {:.1} MiB of files",
        sums.len(),
        found.as_secs_f64(),
        bound.as_secs_f64(),
        (processor_time() - busy).as_secs_f64(),
        sums.iter().map(|s| s.0).sum::<usize>(),
        sums.iter().map(|s| s.1).sum::<usize>() as f64 / f64::from(1 << 20),
    );
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// User and system time of all threads so far.
fn processor_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("rusage");
    let of = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, time.tv_usec() as u32 * 1000)
    };
    of(usage.user_time()) + of(usage.system_time())
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}
