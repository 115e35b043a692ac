//! What names a machine stands in folders called `arch`, so that a port is a file in each
//! of them, and nothing is forgotten elsewhere (docs/porting.md).

use std::path::{Path, PathBuf};

/// Folders whose sources are looked at.
const FOLDERS: [&str; 3] = ["src", "shim/src", "linker-plugin/src"];

/// What only a machine's own files may say, in code: constants of its psABI, names of its
/// glibc, assembly, and conditions on the processor.
const WORDS: [&str; 20] = [
    "R_X86_64",
    "R_AARCH64",
    "EM_X86_64",
    "EM_AARCH64",
    "DT_AARCH64",
    "DT_X86_64",
    "STO_AARCH64",
    "AARCH64_FEATURE",
    "X86_FEATURE",
    "X86_ISA",
    "FLAG_X8664",
    "FLAG_AARCH64",
    "ld-linux-x86-64",
    "ld-linux-aarch64",
    "x86-64-v",
    "target_arch",
    "asm!",
    "iced_x86",
    "elf_x86_64",
    "aarch64linux",
];

/// `indir reach` decodes machine code, and of x86-64 only: it says `unknown` of all else.
const EXEMPT: [&str; 1] = ["src/reach"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if path.is_dir() && name != "arch" {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// The lines of code that say what they must not, with their numbers.
fn faults(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        // Tests come last in a file, and name real files.
        if line.starts_with("#[cfg(test)]") {
            break;
        }
        let comment = line.trim_start().starts_with("//");
        if !comment && WORDS.iter().any(|word| line.contains(word)) {
            found.push((at + 1, line.trim().to_owned()));
        }
    }
    found
}

#[test]
fn machines_are_named_in_their_own_folders_only() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    for folder in FOLDERS {
        sources(&top.join(folder), &mut files);
    }
    assert!(files.len() > 150, "only {} files", files.len());
    let mut all = Vec::new();
    for file in files {
        let name = file.strip_prefix(top).unwrap();
        let is_exempt = EXEMPT.iter().any(|folder| name.starts_with(folder));
        if is_exempt || name.to_string_lossy().ends_with("_tests.rs") {
            continue;
        }
        for (line, text) in faults(&std::fs::read_to_string(&file).unwrap()) {
            all.push(format!("{}:{line}: {text}", name.display()));
        }
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
}

#[test]
fn a_planted_name_is_found() {
    let text = "// R_X86_64_64\nlet kind = elf::R_X86_64_64;\n#[cfg(test)]\nmod tests { asm!() }\n";
    let found = faults(text);
    assert_eq!(found, [(2, "let kind = elf::R_X86_64_64;".to_owned())]);
}
