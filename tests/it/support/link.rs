//! What tests of the linker wrapper share: the linkers, and facts of what they write.
//!
//! Facts are read with `goblin`, which shares no code with `indir`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;

use super::{Scratch, b_flag, cc, need, prefix, run, shim};

/// Every linker that the wrapper must serve, as `-fuse-ld=` calls it, and its package.
pub(crate) const LINKERS: [(&str, &str); 4] = [
    ("bfd", "binutils"),
    ("gold", "binutils"),
    ("lld", "lld"),
    ("mold", "mold"),
];

/// Every compiler driver, and its package.
pub(crate) const COMPILERS: [(&str, &str); 3] =
    [("gcc", "gcc"), ("g++", "g++"), ("clang", "clang")];

/// Each linker with the path of the real one.
pub(crate) fn linkers() -> impl Iterator<Item = (&'static str, PathBuf)> {
    LINKERS
        .into_iter()
        .map(|(name, package)| (name, need(&format!("ld.{name}"), package)))
}

/// A program in C that says hello.
pub(crate) const HELLO: &str =
    "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

/// Compiles [`HELLO`] to an object of this name in `scratch`; `code` is `-fPIE` or `-fPIC`.
pub(crate) fn object(scratch: &Scratch, name: &str, code: &str) -> PathBuf {
    let source = scratch.file("source.c", HELLO);
    let object = scratch.join(name);
    cc([
        code.as_ref(),
        "-c".as_ref(),
        source.as_path(),
        "-o".as_ref(),
        &object,
    ]);
    object
}

/// Panics unless the program at `exe` is indirect and says hello.
#[track_caller]
pub(crate) fn assert_says_hello(exe: &Path) {
    assert_indirect(exe);
    run(&mut Command::new(exe)).success().prints("hello\n");
}

/// The wrapper under the name by which `-fuse-ld=` asks for it.
pub(crate) fn wrapper(linker: &str) -> PathBuf {
    prefix().join(format!("libexec/indir/ld.{linker}"))
}

/// `compiler -B… -fuse-ld=linker`.
pub(crate) fn indirect(compiler: &str, linker: &str) -> Command {
    let mut command = Command::new(compiler);
    command.arg(b_flag()).arg(format!("-fuse-ld={linker}"));
    command
}

/// A link line for the linker itself, as a compiler would write it: dynamic,
/// not PIE, with libc.
pub(crate) fn link_line<A: AsRef<OsStr>>(
    linker: &mut Command,
    output: &Path,
    inputs: impl IntoIterator<Item = A>,
) {
    linker
        .args([
            "-m",
            "elf_x86_64",
            "-dynamic-linker",
            "/lib64/ld-linux-x86-64.so.2",
            "-o",
        ])
        .arg(output)
        .args([gcc_file("crt1.o"), gcc_file("crti.o")])
        .args(inputs)
        .arg("-L/lib/x86_64-linux-gnu")
        .arg("-L/usr/lib/x86_64-linux-gnu")
        .args(["-lc".into(), gcc_file("crtn.o")]);
}

fn gcc_file(name: &str) -> PathBuf {
    let printed = run(Command::new("gcc").arg(format!("-print-file-name={name}")));
    PathBuf::from(printed.success().stdout().trim_end())
}

/// What an ELF file says that the wrapper has to do with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) interpreter: Option<String>,
    /// DT_RPATH and DT_RUNPATH.
    pub(crate) search: Vec<String>,
    pub(crate) needed: Vec<String>,
    /// The table reference of the note.
    pub(crate) reference: Option<String>,
    /// The note's own id unless it is zero, else the build-id.
    pub(crate) id: Vec<u8>,
    pub(crate) build_id: Option<Vec<u8>>,
    /// The interpreter that the note records for a start without a table.
    pub(crate) recorded: Option<String>,
    /// Whether the stack is executable.
    pub(crate) executable_stack: bool,
}

/// Reads the facts of the file at `path`.
pub(crate) fn facts(path: &Path) -> Facts {
    let data = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let elf = Elf::parse(&data).unwrap();
    let note = |section: &str| {
        let mut notes = elf.iter_note_sections(&data, Some(section))?;
        let note = notes.next()?.unwrap();
        assert!(notes.next().is_none(), "two notes in {section}");
        Some(note.desc.to_vec())
    };
    // The shim's own note has no content.
    let own = note(".note.indir").filter(|desc| !desc.is_empty());
    let texts: Vec<String> = own.as_ref().map_or_else(Vec::new, |desc| {
        let texts = desc[20..].split(|&byte| byte == 0);
        texts
            .map(|text| String::from_utf8(text.to_vec()).unwrap())
            .collect()
    });
    let reference = texts.first().cloned();
    let recorded = texts.get(1).filter(|text| !text.is_empty()).cloned();
    let own_id = own.map(|desc| desc[..20].to_vec());
    let build_id = note(".note.gnu.build-id");
    let id = own_id
        .filter(|id| id.iter().any(|&byte| byte != 0))
        .or_else(|| build_id.clone())
        .unwrap_or_default();
    let strings = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect();
    Facts {
        interpreter: elf.interpreter.map(str::to_owned),
        search: strings(&[elf.rpaths.as_slice(), &elf.runpaths].concat()),
        needed: strings(&elf.libraries),
        reference,
        recorded,
        id,
        build_id,
        executable_stack: elf
            .program_headers
            .iter()
            .any(|p| p.p_type == goblin::elf::program_header::PT_GNU_STACK && p.is_executable()),
    }
}

/// Panics unless the file at `path` is an indirect executable of our prefix.
#[track_caller]
pub(crate) fn assert_indirect(path: &Path) -> Facts {
    let facts = facts(path);
    assert_eq!(
        facts.interpreter.as_deref(),
        shim().to_str(),
        "{}",
        path.display()
    );
    assert_eq!(facts.reference.as_deref(), Some("$ORIGIN/.indir/$ID"));
    assert!(
        facts.id.len() >= 16,
        "id {:x?} of {}",
        facts.id,
        path.display()
    );
    assert!(!facts.executable_stack, "{}", path.display());
    facts
}
