//! What the linker knew: every function and object that a relocation of the link leads to
//! is one that `reach` sees.
//!
//! `INDIR_TRUTH` names further libraries that were linked with their relocations kept, by a
//! colon between them (tests/scripts/reach-truth.sh).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use goblin::elf::Elf;
use indir::reach::{Build, Change, Judge, Options, Shared};

use super::support::text;
use crate::support::{Scratch, cache, cc, need, run};

/// Unpacks the upstream sources of `package` into `dir`.
fn sources(dir: &Scratch, package: &str) -> PathBuf {
    let folder = cache().join("src");
    let entries = std::fs::read_dir(&folder)
        .unwrap()
        .map(|e| e.unwrap().path());
    let start = format!("{package}_");
    let tarball = entries.into_iter().find(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(&start) && name.contains(".orig.tar.")
    });
    let tarball = tarball.unwrap_or_else(|| {
        panic!("{package} is not in {folder:?}: run tests/scripts/fetch-source.sh {package} (`make test` does)")
    });
    let to = dir.dir(package);
    need("xz", "xz-utils");
    need("bzip2", "bzip2");
    let strip = "--strip-components=1";
    run(Command::new("tar").args(["-xf", text(&tarball), strip, "-C", text(&to)])).success();
    to
}

/// Links `files` and keeps the relocations of the link.
fn linked(dir: &Scratch, soname: &str, files: &[PathBuf], more: &[&str]) -> PathBuf {
    let out = dir.join(soname);
    // Only between sections does a call leave a relocation. Without libc there is less to
    // look into; nothing runs.
    let mut args = vec![
        "-O2",
        "-fPIC",
        "-w",
        "-shared",
        "-nostdlib",
        "-Wl,--emit-relocs",
    ];
    args.extend(["-ffunction-sections", "-fdata-sections"]);
    args.extend(more);
    let name = format!("-Wl,-soname,{soname}");
    args.extend([&*name, "-o", text(&out)]);
    cc(args.into_iter().chain(files.iter().map(|file| text(file))));
    out
}

/// A symbol of the table, by the smallest address that it shares with others.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) start: u64,
    pub(super) end: u64,
    names: BTreeSet<String>,
}

pub(super) struct Truth {
    /// By address.
    pub(super) symbols: Vec<Named>,
    edges: BTreeMap<u64, BTreeSet<u64>>,
    functions: BTreeSet<String>,
    pub(super) exports: Vec<(String, u64)>,
}

impl Truth {
    pub(super) fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let elf = Elf::parse(&bytes).unwrap();
        let mut by_start: BTreeMap<u64, Named> = BTreeMap::new();
        let mut functions = BTreeSet::new();
        for symbol in &elf.syms {
            let (kind, start) = (symbol.st_type(), symbol.st_value);
            let name = elf.strtab.get_at(symbol.st_name).unwrap_or_default();
            if symbol.st_shndx == 0 || symbol.st_shndx >= 0xff00 || !matches!(kind, 1 | 2) {
                continue;
            }
            let end = start + symbol.st_size.max(1);
            let named = by_start.entry(start).or_insert(Named {
                start,
                end,
                names: BTreeSet::new(),
            });
            named.end = named.end.max(end);
            named.names.insert(name.to_owned());
            if kind == 2 {
                functions.insert(name.to_owned());
            }
        }
        let mut truth = Self {
            symbols: by_start.into_values().collect(),
            edges: BTreeMap::new(),
            functions,
            exports: Vec::new(),
        };
        let mut used = 0;
        for (index, relocations) in &elf.shdr_relocs {
            let info = elf.section_headers[*index].sh_info as usize;
            let target = &elf.section_headers[info];
            let name = elf.shdr_strtab.get_at(target.sh_name).unwrap_or_default();
            let is_text = name.starts_with(".text");
            if !is_text && !name.starts_with(".data") && !name.starts_with(".rodata") {
                continue;
            }
            for relocation in relocations.iter() {
                let symbol = elf.syms.get(relocation.r_sym).unwrap();
                if symbol.st_type() == 6 || symbol.st_shndx == 0 {
                    continue;
                }
                let addend = relocation.r_addend.unwrap_or(0);
                // R_X86_64_GOTPCREL and its relatives name the symbol whatever is added.
                let got = matches!(relocation.r_type, 9 | 41 | 42);
                let relative = matches!(relocation.r_type, 2 | 4);
                let to = if got {
                    symbol.st_value
                } else if relative && is_text {
                    let at = target.sh_offset + (relocation.r_offset - target.sh_addr);
                    let before = &bytes[at as usize - 3..at as usize];
                    // How many bytes follow the displacement is sure of LEA, CALL and
                    // jumps; what others read is content.
                    let lea = before[1] == 0x8d && before[0] & 0xf0 == 0x40;
                    let jump = matches!(before[2], 0xe8 | 0xe9)
                        || before[1] == 0x0f && before[2] & 0xf0 == 0x80;
                    if !lea && !jump {
                        continue;
                    }
                    symbol.st_value.wrapping_add_signed(addend + 4)
                } else if relative {
                    // Tables of jumps, whose targets are in the function.
                    continue;
                } else {
                    symbol.st_value.wrapping_add_signed(addend)
                };
                let ends = (truth.owner(relocation.r_offset), truth.owner(to));
                if let (Some(from), Some(to)) = ends {
                    used += 1;
                    truth.edges.entry(from).or_default().insert(to);
                }
            }
        }
        assert!(used > 100, "only {used} relocations");
        for symbol in &elf.dynsyms {
            let name = elf.dynstrtab.get_at(symbol.st_name).unwrap_or_default();
            if symbol.st_shndx != 0 && symbol.st_type() == 2 {
                truth.exports.push((name.to_owned(), symbol.st_value));
            }
        }
        truth
    }

    /// Where what holds `address` begins.
    fn owner(&self, address: u64) -> Option<u64> {
        let upto = self.symbols.partition_point(|named| named.start <= address);
        let near = self.symbols[upto.saturating_sub(12)..upto].iter().rev();
        let mut holding = near.filter(|named| address < named.end);
        holding.next().map(|named| named.start)
    }

    pub(super) fn reached(&self, from: u64) -> BTreeSet<u64> {
        let mut seen = BTreeSet::from([from]);
        let mut queue = vec![from];
        while let Some(at) = queue.pop() {
            for &to in self.edges.get(&at).into_iter().flatten() {
                if seen.insert(to) {
                    queue.push(to);
                }
            }
        }
        seen
    }

    fn names(&self, start: u64) -> &BTreeSet<String> {
        let found = self
            .symbols
            .binary_search_by_key(&start, |named| named.start);
        &self.symbols[found.unwrap()].names
    }
}

/// A program that loads `library`.
pub(super) fn user(dir: &Scratch, truth: &Truth, library: &Path) -> PathBuf {
    let (first, _) = truth.exports.first().unwrap();
    let source = format!("int {first}(void);\nint _start(void) {{ return {first}(); }}\n");
    let file = dir.file("user.c", source);
    let user = file.with_extension("");
    let more = ["-nostdlib", "-Wl,--unresolved-symbols=ignore-all"];
    let args = ["-w", "-fno-builtin", "-o", text(&user), text(&file)];
    cc(args.into_iter().chain(more).chain([text(library)]));
    user
}

pub(super) fn judge(old: &Path, new: &Path) -> Judge {
    let build = |path: &Path| Box::new(Build::of(path).unwrap());
    let change = Change::Builds(build(old), build(new));
    Judge::new(change, Options::default(), Shared::default())
}

/// Asserts that nothing is missed, and returns how many pairs of an export and what it
/// reaches there are, and how many pairs of functions `reach` sees besides.
fn compare(dir: &Scratch, library: &Path) -> (usize, usize) {
    let truth = Truth::of(library);
    let user = user(dir, &truth, library);
    let judge = judge(library, library);
    let soname = library.file_name().unwrap().to_str().unwrap();
    let (mut pairs, mut more) = (0, 0);
    for (name, at) in &truth.exports {
        let explained = judge.explain(&user, name).unwrap().unwrap();
        assert!(explained.differences.is_empty(), "{name}");
        let reached = explained.reached.iter();
        let own = reached.filter(|step| step.library == soname);
        let mut own: BTreeSet<&str> = own.map(|step| &*step.name).collect();
        for start in truth.reached(*at) {
            let names = truth.names(start);
            let seen = names.iter().any(|name| own.contains(&**name));
            assert!(
                seen,
                "{soname}: {name} reaches {names:?}, which is not seen"
            );
            pairs += 1;
            names.iter().for_each(|name| {
                own.remove(&**name);
            });
        }
        let functions = own.iter().filter(|name| truth.functions.contains(**name));
        more += functions.count();
    }
    (pairs, more)
}

/// zlib, as its relocations are kept.
pub(super) fn zlib(dir: &Scratch) -> PathBuf {
    let source = sources(dir, "zlib");
    let names = [
        "adler32", "compress", "crc32", "deflate", "gzclose", "gzlib", "gzread", "gzwrite",
        "infback", "inffast", "inflate", "inftrees", "trees", "uncompr", "zutil",
    ];
    let files = names.map(|name| source.join(format!("{name}.c")));
    linked(dir, "libz.so.1", &files, &["-DHAVE_UNISTD_H"])
}

/// expat, likewise.
pub(super) fn expat(dir: &Scratch) -> PathBuf {
    let source = sources(dir, "expat").join("expat/lib");
    let config = "#define XML_NS 1\n#define XML_DTD 1\n#define XML_CONTEXT_BYTES 1024\n\
        #define XML_DEV_URANDOM 1\n#define BYTEORDER 1234\n";
    std::fs::write(source.join("expat_config.h"), config).unwrap();
    let files = ["xmlparse", "xmlrole", "xmltok"].map(|name| source.join(format!("{name}.c")));
    linked(dir, "libexpat.so.1", &files, &[])
}

#[test]
fn nothing_of_zlib_is_missed() {
    let dir = Scratch::new();
    let (pairs, more) = compare(&dir, &zlib(&dir));
    println!("zlib: {pairs} pairs, {more} functions more");
    assert!(pairs > 500, "{pairs}");
    assert!(more * 10 < pairs, "{more} of {pairs}");
}

#[test]
fn nothing_of_expat_is_missed() {
    let dir = Scratch::new();
    let (pairs, more) = compare(&dir, &expat(&dir));
    println!("expat: {pairs} pairs, {more} functions more");
    assert!(pairs > 500, "{pairs}");
    assert!(more * 10 < pairs, "{more} of {pairs}");
}

#[test]
fn nothing_of_what_else_is_named_is_missed() {
    let dir = Scratch::new();
    let named = std::env::var("INDIR_TRUTH").unwrap_or_default();
    let named = named.split(':').filter(|path| !path.is_empty());
    // One at least, so that this cannot pass for want of a library.
    let one = linked(&dir, "libone.so.1", &[own(&dir)], &[]);
    for library in named.map(PathBuf::from).chain([one]) {
        let (pairs, more) = compare(&dir, &library);
        println!(
            "{}: {pairs} pairs, {more} functions more",
            library.display()
        );
        assert!(pairs > 100, "{pairs}");
    }
}

/// A source of 60 functions, each of which calls some others.
fn own(dir: &Scratch) -> PathBuf {
    let functions = (0..60).map(|i| {
        let calls = [i * 7 % 60, i * 11 % 60];
        format!(
            "static const int t{i}[3] = {{ {i}, 1, 2 }};\n\
             __attribute__((noinline)) int f{i}(int n) \
             {{ return n ? f{}(n - 1) + f{}(n - 1) : t{i}[n + 1]; }}\n",
            calls[0], calls[1]
        )
    });
    let declared = (0..60).map(|i| format!("int f{i}(int);\n"));
    dir.file("own.c", declared.chain(functions).collect::<String>())
}
