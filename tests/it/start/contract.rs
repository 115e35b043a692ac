//! What ld.so finds when the shim jumps to it is what the kernel gave.
//!
//! The table names `fixtures/observer.c` as ld.so, which prints its registers,
//! stack, auxiliary vector, signal state and descriptors. docs/loader-contract.md
//! is what is checked here; system calls are counted with strace.

use std::collections::HashMap;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;
use indir::place::Place;
use indir::table::TableSpec;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask};

use super::basic::{COUNTER, many_libraries};
use crate::support::program::{indirect, ordinary, update};
use crate::support::{Scratch, cc, need, run};

/// `AT_` keys that may differ from the kernel's: the program headers that the
/// shim built, and where ld.so is.
const CHANGED: [u64; 3] = [3, 5, 7];

/// Builds the stand-in for ld.so.
fn observer(dir: &Scratch) -> PathBuf {
    let output = dir.join("observer");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/observer.c");
    let flags = "-O1 -nostdlib -static-pie -fPIE -ffreestanding -fno-builtin -fno-stack-protector \
                 -mno-sse -fcf-protection=none -Wl,--no-dynamic-linker -Wl,--build-id=none";
    let mut args: Vec<std::ffi::OsString> = flags.split_whitespace().map(Into::into).collect();
    args.extend(["-o".into(), output.clone().into(), source.into()]);
    cc(args);
    output
}

/// Writes a table by hand.
fn write_table(exe: &Path, spec: TableSpec) {
    let map = MappedElf::open(exe).unwrap();
    let place = Place::of(exe, &map.elf().unwrap().notes()).unwrap();
    let spec = TableSpec {
        exe_id: place.id.clone(),
        ..spec
    };
    std::fs::create_dir_all(place.folder()).unwrap();
    std::fs::write(&place.path, spec.to_bytes().unwrap()).unwrap();
}

/// What the observer printed.
struct Seen(HashMap<String, Vec<String>>);

impl Seen {
    fn of(command: &mut Command) -> Self {
        let ran = run(command);
        ran.success();
        let mut fields: HashMap<String, Vec<String>> = HashMap::new();
        for line in ran.stdout().lines() {
            let (name, value) = line.split_once(' ').unwrap();
            fields
                .entry(name.to_owned())
                .or_default()
                .push(value.to_owned());
        }
        Self(fields)
    }

    fn all(&self, name: &str) -> Vec<String> {
        self.0.get(name).cloned().unwrap_or_default()
    }

    fn one(&self, name: &str) -> &str {
        &self.0[name][0]
    }

    fn number(&self, name: &str) -> u64 {
        u64::from_str_radix(self.one(name), 16).unwrap()
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.one(name)
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn auxv(&self, name: &str) -> Vec<(u64, u64)> {
        let word = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().unwrap());
        self.bytes(name)
            .chunks(16)
            .map(|pair| (word(pair), word(&pair[8..])))
            .collect()
    }
}

/// Blocks and ignores a few signals before exec, as a parent may.
#[expect(unsafe_code, reason = "pre_exec runs between fork and exec")]
fn with_signals(command: &mut Command) {
    // SAFETY: both calls are async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            let mut set = SigSet::empty();
            set.add(Signal::SIGUSR1);
            set.add(Signal::SIGTTIN);
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&set), None)?;
            signal(Signal::SIGHUP, SigHandler::SigIgn)?;
            Ok(())
        });
    }
}

#[test]
fn ld_so_is_started_as_the_kernel_would() {
    for pie in ["-pie", "-no-pie"] {
        let dir = Scratch::new();
        let ldso = observer(&dir);
        let source = "#include <stdio.h>\nint main(void) { return puts(\"never\"); }";
        let exe = indirect(&dir.join("i/program.c"), source, &[pie]);
        write_table(
            &exe,
            TableSpec {
                ldso: ldso.clone(),
                ..TableSpec::default()
            },
        );
        let direct = format!("-Wl,--dynamic-linker={}", ldso.display());
        let plain = ordinary(&dir.join("o/program.c"), source, &[pie, &direct]);
        let see = |exe: &Path| {
            let mut command = Command::new(exe);
            command.arg0("zero").args(["one", "", "three"]).env_clear();
            command
                .env("INDIR_DEBUG", "0")
                .env("LD_X", "\u{1f600}")
                .env("E", "");
            with_signals(&mut command);
            Seen::of(&mut command)
        };
        let (shim, kernel) = (see(&exe), see(&plain));

        // Registers and signal state: as without the shim.
        for name in [
            "rax",
            "rbx",
            "rcx",
            "rdx",
            "rsi",
            "rdi",
            "rbp",
            "r8",
            "r9",
            "r10",
            "r11",
            "r12",
            "r13",
            "r14",
            "r15",
            "fl",
            "x87control",
            "mxcsr",
            "vectors",
            "argc",
            "argv",
            "envp",
            "blocked",
            "action",
            "fd",
            "fsbase",
            "brk",
        ] {
            assert_eq!(shim.all(name), kernel.all(name), "{pie} {name}");
        }
        assert_eq!(shim.number("rax"), 0);
        assert_eq!(shim.number("fl"), 0x202);
        // SIGHUP, ignored.
        assert!(shim.all("action").contains(&"0000000000000101".to_owned()));
        assert_ne!(shim.number("blocked"), 0);

        for seen in [&shim, &kernel] {
            // The stack pointer is where the kernel put it (proc(5), startstack),
            let stat = String::from_utf8(seen.bytes("kernel-stat")).unwrap();
            let after_name = stat.rsplit_once(')').unwrap().1;
            let start_stack = after_name.split_whitespace().nth(25).unwrap();
            assert_eq!(
                start_stack.parse::<u64>().unwrap(),
                seen.number("rsp"),
                "{stat}"
            );
            // and what lies above it is what the kernel keeps a copy of.
            assert_eq!(seen.bytes("argv"), seen.bytes("kernel-cmdline"));
            assert_eq!(seen.bytes("envp"), seen.bytes("kernel-environ"));
        }
        let (given, own) = (shim.auxv("auxv"), shim.auxv("kernel-auxv"));
        let upto = |list: &[(u64, u64)]| list.iter().position(|pair| pair.0 == 0).unwrap();
        assert_eq!(upto(&given), upto(&own));
        for (got, kept) in given.iter().zip(&own[..upto(&own)]) {
            assert_eq!(got.0, kept.0);
            assert!(
                got.1 == kept.1 || CHANGED.contains(&got.0),
                "{got:?} {kept:?}"
            );
        }
        assert_eq!(
            kernel.auxv("auxv")[..upto(&own)],
            kernel.auxv("kernel-auxv")[..upto(&own)]
        );

        // AT_BASE is where the stand-in is mapped, with its protections.
        let maps = String::from_utf8(shim.bytes("kernel-maps")).unwrap();
        let at = |key: u64| given.iter().find(|pair| pair.0 == key).unwrap().1;
        let mapped: Vec<&str> = maps
            .lines()
            .filter(|line| line.ends_with("/observer"))
            .collect();
        assert!(mapped[0].starts_with(&format!("{:x}-", at(7))), "{maps}");
        assert!(!maps.contains("rwx"), "{maps}");
        let kinds = |maps: &str| -> Vec<String> {
            maps.lines()
                .filter(|line| line.ends_with("/observer"))
                .map(|line| line.split_whitespace().nth(1).unwrap().to_owned())
                .collect()
        };
        let kernel_maps = String::from_utf8(kernel.bytes("kernel-maps")).unwrap();
        // The kernel too leaves RELRO to ld.so.
        assert_eq!(kinds(&maps), kinds(&kernel_maps), "{maps}\n{kernel_maps}");
    }
}

/// System calls between exec and ld.so's first own one.
fn calls_of_the_shim(exe: &Path, first: &str) -> Vec<String> {
    let strace = need("strace", "strace");
    let ran = run(Command::new(strace).arg(exe));
    ran.success();
    let lines = ran.stderr();
    let calls: Vec<String> = lines
        .lines()
        .skip(1)
        .take_while(|line| !line.starts_with(first))
        .map(str::to_owned)
        .collect();
    assert!(
        lines.lines().count() > calls.len() + 1,
        "ld.so never began: {ran}"
    );
    calls
}

#[test]
fn the_shim_makes_at_most_twelve_system_calls() {
    let dir = Scratch::new();
    let source = "int main(void) { return 0; }";
    for count in [1, 3, 300] {
        let lib = dir.dir(format!("lib{count}"));
        let (exe, args) = if count == 1 {
            (indirect(&dir.join("one.c"), source, &[]), vec![])
        } else {
            // Each outside of ld.so's folder, so that they are worth checking.
            let libraries = many_libraries(&lib, count - 1);
            let define = format!("-DCOUNT={}", count - 1);
            let mut args = vec![define.as_str(), "-rdynamic", "-Wl,--no-as-needed", "-L"];
            args.push(lib.to_str().unwrap());
            args.extend(libraries.iter().map(String::as_str));
            let exe = indirect(&dir.join(format!("p{count}.c")), COUNTER, &args);
            (exe, vec!["--lib-dir", lib.to_str().unwrap()])
        };
        update(&exe, &args);
        let calls = calls_of_the_shim(&exe, "brk(NULL)");
        assert!(
            calls[0].starts_with("readlink(\"/proc/self/exe\""),
            "{calls:?}"
        );
        assert!(
            calls.len() <= 12,
            "{count} libraries: {} calls {calls:#?}",
            calls.len()
        );
    }
}

#[test]
fn the_memory_of_the_shim_is_bounded_and_never_writable_and_executable() {
    let dir = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) { FILE *f = fopen(\"/proc/self/maps\", \"r\"); \
                  int c; while ((c = getc(f)) != EOF) putchar(c); }";
    let exe = indirect(&dir.join("maps.c"), source, &[]);
    update(&exe, &[]);
    let ran = run(&mut Command::new(&exe));
    let maps = ran.success().stdout();
    let mut size = 0;
    for line in maps
        .lines()
        .filter(|line| line.contains("ld-indir-x86-64.so.1"))
    {
        let (start, end) = line
            .split_whitespace()
            .next()
            .unwrap()
            .split_once('-')
            .unwrap();
        let number = |text: &str| u64::from_str_radix(text, 16).unwrap();
        size += number(end) - number(start);
        assert!(line.contains(" r-xp ") || line.contains(" rw-p "), "{line}");
    }
    assert!(size > 0 && size < 64 * 1024, "{maps}");
    assert!(!maps.contains("rwx"), "{maps}");
    // The stack is as executable as the program asks for: not at all.
    let stack = maps.lines().find(|line| line.ends_with("[stack]")).unwrap();
    assert!(stack.contains(" rw-p "), "{stack}");
}

#[test]
fn an_executable_stack_is_given_only_if_asked_for() {
    let dir = Scratch::new();
    let source = "#include <stdio.h>\nint main(void) { char code[] = {(char)0xb8, 42, 0, 0, 0, (char)0xc3}; \
                  printf(\"%d\\n\", ((int (*)(void))code)()); }";
    let exe = indirect(
        &dir.join("stack.c"),
        source,
        &["-z", "execstack", "-Wl,--no-warn-execstack"],
    );
    update(&exe, &[]);
    run(&mut Command::new(&exe)).success().prints("42\n");
}
