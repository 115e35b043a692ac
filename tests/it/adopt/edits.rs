//! Adopted executables stay right under strip, objcopy and patchelf: seeded
//! random sequences of edits over real and awkward executables. The oracle is
//! the output of the original; the control is the original under the same
//! edits, since some of these tools' sequences break any executable.
//!
//! `INDIR_FULL=1` runs more sequences; `INDIR_SEED=N` other ones.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::programs::languages;
use crate::support::adopt::{COMMON, HELLO, adopt, assert_is_indirect};
use crate::support::program::ordinary;
use crate::support::{Ran, Scratch, indir, need, run};

/// Edited besides [`COMMON`].
const SYSTEM: [&str; 4] = ["git", "strace", "shuf", "patchelf"];

/// Stands for the path of the interpreter.
const INTERPRETER: &str = "INTERPRETER";

/// SplitMix64: the same edits on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

fn corpus(dir: &Scratch) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = COMMON
        .iter()
        .chain(&SYSTEM)
        .map(|name| need(name, name))
        .collect();
    all.extend(languages(dir));
    for (linker, package) in crate::support::link::LINKERS {
        need(&format!("ld.{linker}"), package);
        for pie in ["-pie", "-no-pie"] {
            for (n, extra) in [&["-g"][..], &["-s"], &["-Wl,--build-id=none"]]
                .into_iter()
                .enumerate()
            {
                let linker = format!("-fuse-ld={linker}");
                let file = dir.join(format!("made/{linker}{pie}{n}.c"));
                let mut args = vec![pie, &linker];
                args.extend(extra);
                all.push(ordinary(&file, HELLO, &args));
            }
        }
    }
    // Few pages, and relocations of the DT_RELR kind.
    for (name, args) in [
        ("packed", &["-fuse-ld=bfd", "-Wl,-z,noseparate-code"][..]),
        ("relr", &["-fuse-ld=bfd", "-Wl,-z,pack-relative-relocs"]),
        ("rpath", &["-fuse-ld=lld", "-Wl,-rpath,/nowhere/at/all"]),
        (
            "runtime",
            &[
                "-fuse-ld=bfd",
                "-rdynamic",
                "-Wl,--enable-new-dtags,-rpath,/x",
            ],
        ),
        ("hash", &["-fuse-ld=bfd", "-Wl,--hash-style=sysv"]),
        ("lazy", &["-fuse-ld=mold", "-Wl,-z,lazy", "-Wl,-z,norelro"]),
    ] {
        all.push(ordinary(&dir.join(format!("made/{name}.c")), HELLO, args));
    }
    all
}

/// One edit: a command that changes a file in place.
struct Edit {
    line: Vec<OsString>,
    /// What the executable needs is another.
    needs: bool,
}

impl Edit {
    fn random(random: &mut Random, dir: &Scratch) -> Self {
        let patchelfs = [need("patchelf", "patchelf"), patchelf_19()];
        let tool = patchelfs[random.below(2)].to_str().unwrap().to_owned();
        let long = format!("/{}", "r".repeat(1 + random.below(300)));
        let note = dir.join("extra");
        let section = format!(".extra{}={}", random.below(1000), note.display());
        let patchelf = |args: &[&str], needs| Self {
            line: std::iter::once(&*tool)
                .chain(args.iter().copied())
                .map(Into::into)
                .collect(),
            needs,
        };
        let other = |args: &[&str]| Self {
            line: args.iter().map(Into::into).collect(),
            needs: false,
        };
        match random.below(20) {
            0 => other(&["strip"]),
            1 => other(&["strip", "--strip-debug"]),
            2 => other(&["strip", "--strip-unneeded", "-R", ".comment"]),
            3 => other(&["objcopy"]),
            4 => other(&["objcopy", "--add-section", &section]),
            5 => other(&["objcopy", "--compress-debug-sections"]),
            6 => other(&["objcopy", "--decompress-debug-sections"]),
            7 => other(&[
                "sh",
                "-ec",
                "objcopy --only-keep-debug \"$0\" \"$0.debug\"; strip -g \"$0\"; objcopy --add-gnu-debuglink=\"$0.debug\" \"$0\"",
            ]),
            8 => other(&["llvm-objcopy-14"]),
            9 => other(&["llvm-strip-14"]),
            10 => other(&["llvm-objcopy-14", "--add-section", &section]),
            11 => patchelf(&["--set-rpath", &long], false),
            12 => patchelf(&["--force-rpath", "--set-rpath", "/short"], false),
            13 => patchelf(&["--add-rpath", &long], false),
            14 => patchelf(&["--remove-rpath"], false),
            15 => patchelf(&["--shrink-rpath"], false),
            16 => patchelf(&["--add-needed", "libm.so.6"], true),
            17 => patchelf(&["--add-needed", "libresolv.so.2"], true),
            18 => patchelf(&["--remove-needed", "libresolv.so.2"], true),
            _ => patchelf(&["--set-interpreter", INTERPRETER], false),
        }
    }

    /// Whether it succeeded. An executable keeps the `interpreter` that it has.
    fn apply(&self, exe: &Path, interpreter: &Path) -> bool {
        let own = |word: &OsString| match word.to_str() {
            Some(INTERPRETER) => interpreter.into(),
            _ => word.clone(),
        };
        let mut words = self.line.iter().map(own);
        let tool = words.next().unwrap();
        run(Command::new(tool).args(words).arg(exe)).code() == Some(0)
    }
}

/// The system's ld.so under a path as long as the shim's.
fn interpreter(dir: &Scratch) -> PathBuf {
    let mut path = dir.join("ld.so").into_os_string();
    while path.len() < crate::support::shim().as_os_str().len() {
        path.push("o");
    }
    std::os::unix::fs::symlink("/lib64/ld-linux-x86-64.so.2", &path).unwrap();
    path.into()
}

/// As `tests/scripts/fetch-patchelf.sh` unpacks it.
fn patchelf_19() -> PathBuf {
    let path = crate::support::cache().join("patchelf/patchelf");
    assert!(
        path.exists(),
        "{} is missing; run tests/scripts/fetch-patchelf.sh (`make test` does)",
        path.display()
    );
    path
}

fn start(exe: &Path, name: &OsStr) -> Ran {
    run(Command::new(exe).arg0(name).arg("--version"))
}

fn alike(a: &Ran, b: &Ran) -> bool {
    a.output == b.output
}

/// What became of all sequences.
#[derive(Debug, Default)]
struct Counts {
    edits: usize,
    /// The tool refused the original.
    refused: usize,
    /// The tool broke the original as well, which ended the sequence.
    broken: usize,
}

#[test]
fn edits_by_other_tools_keep_adopted_executables_right() {
    need("objcopy", "binutils");
    need("llvm-objcopy-14", "llvm-14");
    let full = std::env::var_os("INDIR_FULL").is_some();
    let seed = std::env::var("INDIR_SEED").map_or(5, |seed| seed.parse().unwrap());
    let (rounds, length) = if full { (10, 6) } else { (2, 4) };
    let dir = Scratch::new();
    dir.file("extra", [7; 100]);
    let programs = corpus(&dir);
    let ordinary = interpreter(&dir);
    assert!(programs.len() >= 40, "{}", programs.len());
    let mut random = Random(seed);
    let mut counts = Counts::default();
    let mut failures = Vec::new();
    for round in 0..rounds {
        for (n, original) in programs.iter().enumerate() {
            let folder = dir.dir(format!("{round}.{n}"));
            let ours = folder.join("ours");
            let control = folder.join("control");
            std::fs::copy(original, &control).unwrap();
            adopt([OsStr::new("-o"), ours.as_os_str(), original.as_os_str()]).success();
            let name = original.file_name().unwrap();
            let before = start(original, name);
            let mut history = vec![original.clone().into_os_string()];
            for _ in 0..length {
                let edit = Edit::random(&mut random, &dir);
                history.push(edit.line.join(OsStr::new(" ")));
                counts.edits += 1;
                let done = edit.apply(&control, &ordinary);
                let ours_done = edit.apply(&ours, &crate::support::shim());
                if done && !alike(&start(&control, name), &before) {
                    counts.broken += 1;
                    break;
                }
                if !done {
                    // Some edits are possible on ours alone, which then differs
                    // from the control.
                    counts.refused += 1;
                    if !ours_done {
                        continue;
                    }
                }
                let mut now = None;
                if edit.needs && ours_done {
                    let updated = run(indir().arg("update").arg(&ours));
                    now = (updated.code() != Some(0)).then_some(updated);
                }
                let now = now.unwrap_or_else(|| start(&ours, name));
                if done && !ours_done || !alike(&now, &before) {
                    failures.push(format!("{history:?}: {done} {ours_done}\n{now}"));
                    break;
                }
                assert_is_indirect(&ours);
                if !done {
                    break;
                }
            }
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
    println!(
        "{} programs, {counts:?}, failures {}",
        programs.len(),
        failures.len()
    );
    assert!(failures.is_empty(), "seed {seed}: {}", failures.join("\n"));
    assert!(counts.broken * 4 < counts.edits, "{counts:?}");
}

/// patchelf 0.14.3 moves every section in front of the path that it replaces, and
/// may tear one apart, which strip and objcopy then drop.
#[test]
fn another_interpreter_and_then_strip_leave_fixed_addresses_right() {
    let dir = Scratch::new();
    let patchelf = need("patchelf", "patchelf");
    need("strip", "binutils");
    need("llvm-objcopy-14", "llvm-14");
    let many = |n| format!("int exported_function_number_{n}(int x) {{ return x * {n}; }}\n");
    let source = (0..200).map(many).collect::<String>();
    // patchelf 0.14.3 itself ends with SIGSEGV on much .bss by mold.
    let source = source + &HELLO.replace("3000000", "30");
    let ld_so = interpreter(&dir);
    let mut survivors = 0;
    // More than any room that notes leave.
    let long = |target: &Path| format!("{}{}", "/.".repeat(100), target.display());
    for (linker, package) in crate::support::link::LINKERS {
        need(&format!("ld.{linker}"), package);
        let file = dir.join(format!("wide/{linker}.c"));
        let fuse = format!("-fuse-ld={linker}");
        let original = ordinary(&file, &source, &["-no-pie", "-rdynamic", &fuse]);
        let before = start(&original, original.file_name().unwrap());
        for tool in ["strip", "objcopy", "llvm-objcopy-14"] {
            for is_long in [false, true] {
                let folder = dir.dir("edited");
                let [ours, control] = ["ours", "control"].map(|name| folder.join(name));
                std::fs::copy(&original, &control).unwrap();
                adopt([OsStr::new("-o"), ours.as_os_str(), original.as_os_str()]).success();
                let edited = |exe: &Path, loader: &Path| {
                    let path = match is_long {
                        true => long(loader),
                        false => loader.display().to_string(),
                    };
                    let mut set = Command::new(&patchelf);
                    run(set.args(["--set-interpreter", &path]).arg(exe)).success();
                    run(Command::new(tool).arg(exe)).success();
                    start(exe, original.file_name().unwrap())
                };
                // Of mold's, the original does not survive all of these.
                if alike(&edited(&control, &ld_so), &before) {
                    survivors += 1;
                    let now = edited(&ours, &crate::support::shim());
                    assert!(alike(&now, &before), "{linker} {tool} {is_long}:\n{now}");
                }
                std::fs::remove_dir_all(folder).unwrap();
            }
        }
    }
    assert!(survivors >= 18, "{survivors}");
}
