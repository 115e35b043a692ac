//! Programs run instruction by instruction: they execute nothing of their libraries, and
//! read no constant of them, that `reach` says they cannot.
//!
//! `INDIR_STEPPED` is how many instructions in libraries each program makes at most; without
//! it a few programs make the first 60,000.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use goblin::elf::Elf;
use iced_x86::{Decoder, DecoderOptions, Instruction, OpKind, Register};
use indir::reach::{Build, Change, Judge, Options, Shared};

use super::support::text;
use super::truth::{expat, zlib};
use crate::support::traced::Traced;
use crate::support::{Scratch, cc, system_lib};

/// A library as it lies in memory.
struct Loaded {
    path: PathBuf,
    base: u64,
    end: u64,
    /// Sections of the file that are instructions, and that never change.
    code: Vec<(u64, u64)>,
    constants: Vec<(u64, u64)>,
    pieces: Vec<(u64, u64, bool)>,
}

impl Loaded {
    /// Whether what holds `address` is reached, or it is behind something reached that may
    /// run on, and in nothing.
    fn is_reached(&self, address: u64) -> bool {
        let upto = self.pieces.partition_point(|piece| piece.0 <= address);
        let before = self.pieces[..upto].iter().rev();
        let holding = before.clone().take(64).filter(|piece| address < piece.1);
        let holding: Vec<_> = holding.collect();
        if holding.is_empty() {
            let near = before.clone().next();
            return near.is_some_and(|piece| piece.2 && address - piece.1 < 64);
        }
        holding.iter().any(|piece| piece.2)
    }
}

fn has(ranges: &[(u64, u64)], address: u64) -> bool {
    ranges
        .iter()
        .any(|range| range.0 <= address && address < range.1)
}

/// The libraries that the process has mapped by now, of those that `pieces` knows.
fn mapped(pid: i32, pieces: &BTreeMap<PathBuf, Vec<(u64, u64, bool)>>) -> Vec<Loaded> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut spans: BTreeMap<PathBuf, (u64, u64)> = BTreeMap::new();
    for line in maps.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let Some(path) = fields.get(5) else { continue };
        let (start, end) = fields[0].split_once('-').unwrap();
        let number = |hex| u64::from_str_radix(hex, 16).unwrap();
        let span = spans
            .entry(PathBuf::from(path))
            .or_insert((number(start), 0));
        span.1 = number(end);
    }
    let known = spans.into_iter().filter_map(|(path, (base, end))| {
        let pieces = pieces.get(&path)?.clone();
        let bytes = std::fs::read(&path).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        let (mut code, mut constants) = (Vec::new(), Vec::new());
        for section in &elf.section_headers {
            let name = elf.shdr_strtab.get_at(section.sh_name).unwrap_or_default();
            let range = (section.sh_addr, section.sh_addr + section.sh_size);
            if section.is_executable() && !name.starts_with(".plt") {
                code.push(range);
            } else if name.starts_with(".rodata") {
                constants.push(range);
            }
        }
        Some(Loaded {
            path,
            base,
            end,
            code,
            constants,
            pieces,
        })
    });
    known.collect()
}

/// Where the instruction reads memory by registers, if it does.
fn read_by_registers(instruction: &Instruction, registers: &libc::user_regs_struct) -> Option<u64> {
    let memory = (0..instruction.op_count()).any(|op| instruction.op_kind(op) == OpKind::Memory);
    if !memory
        || instruction.is_ip_rel_memory_operand()
        || instruction.segment_prefix() != Register::None
    {
        return None;
    }
    if matches!(
        instruction.mnemonic(),
        iced_x86::Mnemonic::Lea | iced_x86::Mnemonic::Nop
    ) {
        return None;
    }
    instruction.virtual_address(0, 0, |register, _, _| {
        Some(match register.full_register() {
            Register::RAX => registers.rax,
            Register::RBX => registers.rbx,
            Register::RCX => registers.rcx,
            Register::RDX => registers.rdx,
            Register::RSI => registers.rsi,
            Register::RDI => registers.rdi,
            Register::RBP => registers.rbp,
            Register::RSP => registers.rsp,
            Register::R8 => registers.r8,
            Register::R9 => registers.r9,
            Register::R10 => registers.r10,
            Register::R11 => registers.r11,
            Register::R12 => registers.r12,
            Register::R13 => registers.r13,
            Register::R14 => registers.r14,
            Register::R15 => registers.r15,
            _ => return None,
        })
    })
}

fn asked() -> Option<usize> {
    let most = std::env::var("INDIR_STEPPED").ok()?;
    Some(most.parse().unwrap())
}

/// What a run came to.
#[derive(Debug, Default)]
struct Counts {
    steps: usize,
    addresses: usize,
    constants: usize,
}

/// Runs the program and asserts that it stays within what is reached.
fn step(program: &Path, args: &[&str], library: &Path) -> Counts {
    let build = || Box::new(Build::of(library).unwrap());
    let change = Change::Builds(build(), build());
    let judge = Judge::new(change, Options::default(), Shared::default());
    let extents = judge.extents(program).unwrap();
    let extents = extents.unwrap_or_else(|why| panic!("{}: {why:?}", program.display()));
    let pieces: BTreeMap<_, _> = extents
        .into_iter()
        .map(|one| (std::fs::canonicalize(&one.library).unwrap(), one.pieces))
        .collect();
    let most = asked().unwrap_or(60_000);
    let folder = text(library.parent().unwrap());
    let traced = Traced::start_with(
        program,
        args,
        &[("LD_BIND_NOW", "1"), ("LD_LIBRARY_PATH", folder)],
    );
    let mut counts = Counts::default();
    let mut libraries: Vec<Loaded> = Vec::new();
    let mut decoded: HashMap<u64, Instruction> = HashMap::new();
    let mut seen: BTreeSet<(PathBuf, u64)> = BTreeSet::new();
    let mut inside = 0;
    // What ld.so does before is not counted.
    for round in 0.. {
        if inside >= most || !traced.step() {
            break;
        }
        counts.steps += 1;
        let registers = traced.registers();
        let at = registers.rip;
        let find = |address: u64, all: &[Loaded]| {
            all.iter()
                .position(|one| one.base <= address && address < one.end)
        };
        // Libraries come while ld.so runs.
        if libraries.len() < pieces.len() && round % 2_000 == 0 {
            libraries = mapped(traced.pid(), &pieces);
        }
        let Some(index) = find(at, &libraries) else {
            continue;
        };
        inside += 1;
        let one = &libraries[index];
        let own = at - one.base;
        if has(&one.code, own) && seen.insert((one.path.clone(), own)) {
            counts.addresses += 1;
            let told = format!(
                "{}: executes {own:#x} of {}",
                program.display(),
                one.path.display()
            );
            assert!(one.is_reached(own), "{told}");
        }
        let instruction = decoded.entry(at).or_insert_with(|| {
            let bytes = traced.bytes(at, 16);
            Decoder::with_ip(64, &bytes, at, DecoderOptions::NONE).decode()
        });
        let Some(read) = read_by_registers(instruction, &registers) else {
            continue;
        };
        let Some(holder) = find(read, &libraries).map(|index| &libraries[index]) else {
            continue;
        };
        let place = read - holder.base;
        if has(&holder.constants, place) && seen.insert((holder.path.clone(), place)) {
            counts.constants += 1;
            let told = format!(
                "{}: {own:#x} of {} reads {place:#x} of {}",
                program.display(),
                one.path.display(),
                holder.path.display()
            );
            assert!(holder.is_reached(place), "{told}");
        }
    }
    println!("{}: {counts:?}", program.display());
    counts
}

#[test]
fn programs_of_the_system_stay_within_what_they_reach() {
    let libc = std::fs::canonicalize(system_lib().join("libc.so.6")).unwrap();
    let programs: [(&str, &[&str]); 9] = [
        ("/usr/bin/true", &[]),
        ("/usr/bin/date", &["-u", "+%A %j"]),
        ("/usr/bin/wc", &["/etc/passwd"]),
        ("/usr/bin/tr", &["a", "b"]),
        ("/usr/bin/seq", &["3", "0.5", "9"]),
        ("/usr/bin/expr", &["12", "*", "34"]),
        ("/usr/bin/printf", &["%s %d %g\\n", "text", "5", "2.5"]),
        ("/usr/bin/env", &["-i", "/nowhere"]),
        (
            "/usr/bin/dash",
            &["-c", "for i in 1 2 3; do echo $((i * 7)); done"],
        ),
    ];
    let few = asked().map_or(2, |_| programs.len());
    for (program, args) in programs.into_iter().take(few) {
        let counts = step(Path::new(program), args, &libc);
        assert!(counts.addresses > 500, "{program}: {counts:?}");
    }
}

#[test]
fn programs_of_libraries_stay_within_what_they_reach() {
    let dir = Scratch::new();
    let run = |name: &str, library: PathBuf, source: &str, args: &[&str]| {
        let file = dir.file(format!("{name}.c"), source);
        let program = file.with_extension("");
        cc([
            "-w",
            "-O1",
            "-o",
            text(&program),
            text(&file),
            text(&library),
            "-lc",
        ]);
        let counts = step(&program, args, &library);
        assert!(counts.addresses > 1000, "{name}: {counts:?}");
        let constants = if asked().is_some() { 10 } else { 0 };
        assert!(counts.constants >= constants, "{name}: {counts:?}");
    };
    let expat = expat(&dir);
    let source = "void *XML_ParserCreate(const char *); int XML_Parse(void *, const char *, int, int);\n\
        int main(void) { const char *text = \"<?xml version='1.0' encoding='utf-8'?><a b='c'>&lt;d</a>\";\n\
        return XML_Parse(XML_ParserCreate(0), text, __builtin_strlen(text), 1) != 1; }\n";
    run("parses", expat, source, &[]);
    if asked().is_none() {
        return;
    }
    let zlib = zlib(&dir);
    let source = "int compress(char *, long *, const char *, long);\n\
        int main(void) { char out[999]; long len = 999;\n\
        return compress(out, &len, \"some text, some more text, and some text\", 40); }\n";
    run("packs", zlib.clone(), source, &[]);
    let source = "int compress(char *, long *, const char *, long);\n\
        int uncompress(char *, long *, const char *, long);\n\
        int main(void) { char out[999], back[99]; long len = 999, more = 99;\n\
        return compress(out, &len, \"text text text text\", 19) + uncompress(back, &more, out, len); }\n";
    run("unpacks", zlib, source, &[]);
}
