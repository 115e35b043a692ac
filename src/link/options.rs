//! The linker's command line, read as far as the wrapper must understand it.
//!
//! GNU ld, gold, lld and mold share the grammar: a long option begins with one
//! dash or two and takes its value after `=` or as the next argument; a short
//! one takes it attached or as the next argument. What matters is to know which
//! options take a value at all, so that a value is never mistaken for an option
//! (`-o -shared`). Sources: ld/lexsup.c, gold/options.h, lld/ELF/Options.td,
//! mold/elf/cmdline.cc. This module must not look at any file.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

/// What an argument (with its value, if that is a separate one) asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `-o FILE`.
    Output(OsString),
    /// `-dynamic-linker FILE`.
    DynamicLinker(OsString),
    /// `--no-dynamic-linker`, -shared, -r: no executable with an interpreter.
    NoInterpreter,
    /// `-static`, which linkers read differently: a static program, or static
    /// libraries from here on.
    Static,
    /// `--oformat FORMAT`.
    Format,
    /// `-R DIR` or `-R FILE`; which of the two, the file system decides.
    RpathOrSymbols(OsString),
    /// `--build-id=STYLE`; no style is "".
    BuildId(OsString),
    /// `-m EMULATION`.
    Emulation(OsString),
    /// `-L DIR`.
    LibraryPath(OsString),
    /// `--help`, `--version` and the like: nothing is linked.
    Inform,
    /// `--indir-shim=PATH`.
    OwnShim(OsString),
    /// `--indir-table=REF`.
    OwnTable(OsString),
    /// `--indir-reach`.
    OwnReach,
    /// `--indir-off`.
    OwnOff,
    /// Any other option, whose value names a file or folder to read.
    Reads(OsString),
    /// Any other option, whose value names a file to write.
    Writes(OsString),
    /// Any other option.
    Other,
    /// Not an option: an input file.
    Input,
}

impl What {
    /// Whether it is an option of the wrapper's, which the linker does not know.
    pub(super) fn is_own(&self) -> bool {
        matches!(
            self,
            Self::OwnShim(_) | Self::OwnTable(_) | Self::OwnReach | Self::OwnOff
        )
    }
}

/// One option or input, and how it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// The argument, or the two arguments.
    pub(super) args: Vec<OsString>,
    /// Length of what comes before the value in the last of `args`: `-L` in
    /// `-L/lib`, `--script=` in `--script=x`, nothing if the value is separate.
    pub(super) prefix: usize,
    /// What it asks for.
    pub(super) what: What,
}

impl Item {
    /// The same option with another value.
    pub(super) fn with_value(&self, value: &OsStr) -> Vec<OsString> {
        let mut args = self.args.clone();
        if let Some(last) = args.last_mut() {
            let mut new = OsStr::from_bytes(last.as_bytes().get(..self.prefix).unwrap_or_default())
                .to_os_string();
            new.push(value);
            *last = new;
        }
        args
    }
}

/// Long options that take a value as the next argument if there is no `=`, and
/// that the wrapper passes on without a further thought.
const LONG_WITH_VALUE: &[&str] = &[
    "architecture",
    "assert",
    "audit",
    "auxiliary",
    "defsym",
    "depaudit",
    "entry",
    "exclude-libs",
    "exclude-modules-for-implib",
    "export-dynamic-symbol",
    "filter",
    "fini",
    "format",
    "gpsize",
    "hash-style",
    "init",
    "library",
    "mllvm",
    "orphan-handling",
    "plugin-opt",
    "require-defined",
    "rpath",
    "rpath-link",
    "section-start",
    "soname",
    "sort-section",
    "spare-dynamic-tags",
    "Tbss",
    "Tdata",
    "Tldata-segment",
    "Trodata-segment",
    "Ttext",
    "Ttext-segment",
    "trace-symbol",
    "undefined",
    "unresolved-symbols",
    "wrap",
    "plugin",
];
/// Those whose value is a file or folder that the link reads.
const LONG_READS: &[&str] = &[
    "call-graph-ordering-file",
    "default-script",
    "dynamic-list",
    "export-dynamic-symbol-list",
    "just-symbols",
    "mri-script",
    "retain-symbols-file",
    "script",
    "section-ordering-file",
    "symbol-ordering-file",
    "sysroot",
    "version-exports-section",
    "version-script",
];
/// Those whose value is a file that the link writes.
const LONG_WRITES: &[&str] = &["Map", "dependency-file", "out-implib", "reproduce"];
/// Short options with a value, attached or separate.
const SHORT_WITH_VALUE: &[u8] = b"AbcefFGhlOPuyYz";
/// Those that are often flags of several letters: their value must be separate.
const SHORT_SEPARATE_ONLY: &[u8] = b"a";

/// Reads a command line whose response files are already expanded.
pub(super) fn scan(args: &[OsString]) -> Vec<Item> {
    let mut items = Vec::with_capacity(args.len());
    let mut rest = args;
    while let Some((first, tail)) = rest.split_first() {
        let (what, prefix, used) = classify(first, tail.first());
        let (item, tail) = rest.split_at(used.min(rest.len()));
        items.push(Item {
            args: item.to_vec(),
            prefix,
            what,
        });
        rest = tail;
    }
    items
}

/// What `arg` is, the length before its value, and how many arguments it takes.
fn classify(arg: &OsStr, next: Option<&OsString>) -> (What, usize, usize) {
    let bytes = arg.as_bytes();
    let (long, dashes) = match bytes {
        [b'-', b'-', long @ ..] => (long, 2),
        // "-" alone is standard input.
        [b'-', long @ ..] if !long.is_empty() => (long, 1),
        _ => return (What::Input, 0, 1),
    };
    let name_len = long.iter().position(|&b| b == b'=').unwrap_or(long.len());
    let (name, value) = long.split_at(name_len);
    let attached = value.get(1..).map(OsStr::from_bytes);
    let name = std::str::from_utf8(name).unwrap_or_default();

    // GNU ld reads `-omagic` and `-output` as `-o` with a value.
    if dashes == 2 || !name.starts_with('o') {
        if attached.is_none()
            && let Some(what) = flag(name)
        {
            return (what, bytes.len(), 1);
        }
        if let Some(make) = with_value(name) {
            return match (attached, next) {
                (Some(value), _) => (make(value), dashes + name_len + 1, 1),
                (None, _) if name == "build-id" => (make(OsStr::new("")), bytes.len(), 1),
                (None, Some(value)) => (make(value), 0, 2),
                // The linker itself says what is missing.
                (None, None) => (What::Other, bytes.len(), 1),
            };
        }
    }
    match long.split_first() {
        Some((&letter, attached)) if dashes == 1 => short(letter, attached, next),
        _ => (What::Other, bytes.len(), 1),
    }
}

fn flag(name: &str) -> Option<What> {
    Some(match name {
        "shared" | "Bshareable" | "r" | "i" | "Ur" | "relocatable" | "no-dynamic-linker" => {
            What::NoInterpreter
        }
        "static" => What::Static,
        "no-build-id" => What::BuildId("none".into()),
        "help" | "target-help" | "version" | "print-output-format" | "print-sysroot" => {
            What::Inform
        }
        "indir-off" => What::OwnOff,
        "indir-reach" => What::OwnReach,
        _ => return None,
    })
}

type Make = fn(&OsStr) -> What;

fn with_value(name: &str) -> Option<Make> {
    Some(match name {
        "output" => |value| What::Output(value.into()),
        "dynamic-linker" => |value| What::DynamicLinker(value.into()),
        "oformat" => |_| What::Format,
        "build-id" => |value| What::BuildId(value.into()),
        "library-path" => |value| What::LibraryPath(value.into()),
        "indir-shim" => |value| What::OwnShim(value.into()),
        "indir-table" => |value| What::OwnTable(value.into()),
        "dT" => |value| What::Reads(value.into()),
        _ if LONG_READS.contains(&name) => |value| What::Reads(value.into()),
        _ if LONG_WRITES.contains(&name) => |value| What::Writes(value.into()),
        _ if LONG_WITH_VALUE.contains(&name) => |_| What::Other,
        _ => return None,
    })
}

fn short(letter: u8, attached: &[u8], next: Option<&OsString>) -> (What, usize, usize) {
    let make: Make = match letter {
        b'o' => |value| What::Output(value.into()),
        b'R' => |value| What::RpathOrSymbols(value.into()),
        b'I' => |value| What::DynamicLinker(value.into()),
        b'm' => |value| What::Emulation(value.into()),
        b'L' => |value| What::LibraryPath(value.into()),
        b'T' => |value| What::Reads(value.into()),
        _ if SHORT_WITH_VALUE.contains(&letter) => |_| What::Other,
        _ if SHORT_SEPARATE_ONLY.contains(&letter) && attached.is_empty() => |_| What::Other,
        _ => return (What::Other, attached.len() + 2, 1),
    };
    match next {
        _ if !attached.is_empty() => (make(OsStr::from_bytes(attached)), 2, 1),
        Some(value) => (make(value), 0, 2),
        None => (What::Other, 2, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whats(line: &str) -> Vec<What> {
        let args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let items = scan(&args);
        let again: Vec<OsString> = items.iter().flat_map(|item| item.args.clone()).collect();
        assert_eq!(again, args, "nothing is lost");
        items.into_iter().map(|item| item.what).collect()
    }

    #[test]
    fn every_form_of_a_value() {
        for line in ["-o a", "-oa", "--output=a", "--output a"] {
            assert_eq!(whats(line), [What::Output("a".into())], "{line}");
        }
        for line in ["-rpath a", "-rpath=a", "--rpath a", "--rpath=a"] {
            assert_eq!(whats(line), [What::Other], "{line}");
        }
        for line in ["-dynamic-linker a", "--dynamic-linker=a", "-I a", "-Ia"] {
            assert_eq!(whats(line), [What::DynamicLinker("a".into())], "{line}");
        }
        for line in ["-R a", "-Ra"] {
            assert_eq!(whats(line), [What::RpathOrSymbols("a".into())], "{line}");
        }
        assert_eq!(
            whats("--build-id x"),
            [What::BuildId("".into()), What::Input]
        );
        assert_eq!(whats("-build-id=0x12"), [What::BuildId("0x12".into())]);
    }

    #[test]
    fn a_value_is_no_option() {
        for line in [
            "-o -shared",
            "-h -r",
            "-soname -shared",
            "-z -r",
            "-e -shared",
        ] {
            assert!(!whats(line).contains(&What::NoInterpreter), "{line}");
        }
        assert_eq!(whats("-plugin-opt -shared"), [What::Other]);
        assert_eq!(
            whats("-plugin-opt=x -shared"),
            [What::Other, What::NoInterpreter]
        );
        assert_eq!(
            whats("-rpath-link a -omagic"),
            [What::Other, What::Output("magic".into())]
        );
    }

    #[test]
    fn an_option_without_its_value_is_left_to_the_linker() {
        for line in ["-o", "-rpath", "--dynamic-linker", "-R", "-m"] {
            assert_eq!(whats(line), [What::Other], "{line}");
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_stood() {
        let args: Vec<OsString> = ["-Tx", "-T", "x", "--script=x", "--script", "x"]
            .map(OsString::from)
            .to_vec();
        let new: Vec<OsString> = scan(&args)
            .iter()
            .flat_map(|item| item.with_value(OsStr::new("new")))
            .collect();
        assert_eq!(
            new,
            ["-Tnew", "-T", "new", "--script=new", "--script", "new"]
        );
    }
}
