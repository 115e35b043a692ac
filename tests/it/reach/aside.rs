//! Symbols that `indir-ld` sets aside while it links: `NAME.reach`.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::support::{next, program, reach, reach_json, states, text};
use crate::support::{Scratch, b_flag, run};

/// A library with a table that one function reads and another points into.
fn library(dir: &Scratch, folder: &str, entry: u32, more: &[&str]) -> PathBuf {
    let source = format!(
        "static const int table[8] = {{ 11, 22, 33, 44, 55, {entry}, 77, 88 }};\n\
         int read(int i) {{ return table[i & 7]; }}\nconst int *inside(void) {{ return table + 3; }}\n\
         int plain(int i) {{ return i + 2; }}\n"
    );
    let file = dir.file(format!("{folder}/f.c"), source);
    let out = dir.join(format!("{folder}/libf.so.1"));
    let mut command = Command::new("cc");
    command.args([
        "-O2",
        "-shared",
        "-fPIC",
        "-Wl,-soname,libf.so.1",
        "-o",
        text(&out),
    ]);
    run(command.arg(&file).args(more)).success();
    out
}

fn beside(library: &Path) -> PathBuf {
    let mut path = library.to_owned();
    path.as_mut_os_string().push(".reach");
    path
}

fn strip(library: &Path) {
    run(Command::new("strip").arg(library)).success();
}

struct Pair {
    dir: Scratch,
    old: PathBuf,
    new: PathBuf,
    programs: Vec<PathBuf>,
}

impl Pair {
    /// Both builds, linked with `more`, and stripped; a program for each function.
    fn new(more: &[&str]) -> Self {
        let dir = Scratch::new();
        let b_flag = b_flag();
        let more = [&[&*b_flag, "-Wl,--indir-reach"], more].concat();
        let old = library(&dir, "old", 66, &more);
        let new = library(&dir, "new", 67, &more);
        let programs = ["read", "inside", "plain"];
        let programs = programs.map(|name| program(&dir, &old, name)).to_vec();
        strip(&old);
        strip(&new);
        Self {
            dir,
            old,
            new,
            programs,
        }
    }

    fn states(&self, more: &[&str]) -> Vec<String> {
        let found = states(&reach_json(&self.old, &self.new, &self.programs, more));
        ["read", "inside", "plain"]
            .map(|name| found[name].clone())
            .to_vec()
    }
}

const TOLD: [&str; 3] = ["affected", "affected", "same"];
const UNKNOWN: [&str; 3] = ["unknown"; 3];

#[test]
fn a_stripped_library_is_known_by_what_was_set_aside() {
    let pair = Pair::new(&[]);
    assert_eq!(pair.states(&[]), TOLD);
    // Nor do later edits of run paths and needs take it away.
    run(Command::new("patchelf")
        .args(["--set-rpath", "/a/b"])
        .arg(&pair.new))
    .success();
    assert_eq!(pair.states(&[]), TOLD);
    let (own, kept) = (beside(&pair.new), pair.dir.join("kept"));
    std::fs::rename(&own, &kept).unwrap();
    assert_eq!(pair.states(&[]), UNKNOWN);
    // By build-id, where debug files are.
    let notes = run(Command::new("readelf").args(["-n", text(&pair.new)])).stdout();
    let id = notes.split("Build ID: ").nth(1).unwrap();
    let id = id.split_whitespace().next().unwrap();
    let name = format!("debug/.build-id/{}/{}.reach", &id[..2], &id[2..]);
    pair.dir.file(name, std::fs::read(&kept).unwrap());
    assert_eq!(
        pair.states(&["--debug-dir", text(&pair.dir.join("debug"))]),
        TOLD
    );
    // Graphs that are kept are of the symbols as well as of the library.
    let graphs = pair.dir.join("graphs");
    let graphs = ["--graphs", text(&graphs)];
    assert_eq!(pair.states(&graphs), UNKNOWN);
    std::fs::rename(&kept, &own).unwrap();
    assert_eq!(pair.states(&graphs), TOLD);
    assert_eq!(pair.states(&graphs), TOLD);
    std::fs::remove_file(&own).unwrap();
    assert_eq!(pair.states(&graphs), UNKNOWN);
}

#[test]
fn what_is_of_another_build_is_refused() {
    // Two builds may have one build-id; code and layout tell them apart.
    for more in [&[][..], &["-Wl,--build-id=0x123456789abcdef0"]] {
        let pair = Pair::new(more);
        assert_eq!(pair.states(&[]), TOLD);
        let b_flag = b_flag();
        let more = [&[&*b_flag, "-Wl,--indir-reach", "-O0"], more].concat();
        let other = library(&pair.dir, "other", 67, &more);
        std::fs::copy(beside(&other), beside(&pair.new)).unwrap();
        assert_eq!(pair.states(&[]), UNKNOWN);
    }
}

#[test]
fn what_is_damaged_or_anybodys_is_refused() {
    let pair = Pair::new(&[]);
    let file = beside(&pair.old);
    let good = std::fs::read(&file).unwrap();
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..12 {
        let mut bytes = good.clone();
        let at = next(&mut state) % bytes.len();
        match round {
            0 => bytes.truncate(at),
            _ => bytes[at] ^= 1 << (next(&mut state) % 8),
        }
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(pair.states(&[]), UNKNOWN, "{at}");
    }
    std::fs::write(&file, good).unwrap();
    assert_eq!(pair.states(&[]), TOLD);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o666)).unwrap();
    assert_eq!(pair.states(&[]), UNKNOWN);
    let one = std::slice::from_ref(&pair.programs[0]);
    reach(&pair.old, &pair.new, one, &[]).out_has("has no symbols");
}

#[test]
fn the_link_itself_is_the_real_linkers() {
    let dir = Scratch::new();
    let plain = std::fs::read(library(&dir, "one", 66, &[])).unwrap();
    let b_flag = b_flag();
    let out = library(&dir, "one", 66, &[&b_flag, "-Wl,--indir-reach"]);
    assert_eq!(std::fs::read(&out).unwrap(), plain);
    assert!(beside(&out).exists());
    // Where there is nothing to set aside, that is told.
    let source = dir.join("one/f.c");
    let link = |more: &[&str]| {
        let mut command = Command::new("cc");
        command.args([&*b_flag, "-Wl,--indir-reach", "-o", text(&dir.join("out"))]);
        run(command.arg(&source).args(more))
    };
    let ran = link(&["-shared", "-fPIC", "-s"]);
    ran.exits(1).err_has("has no symbols to set aside");
    let ran = link(&["-shared", "-fPIC", "-Wl,--build-id=none"]);
    ran.exits(1).err_has("has no build-id");
    assert!(!beside(&dir.join("out")).exists());
    // Programs have none, and are indirect as ever.
    let main = dir.file("one/main.c", "int main(void) { return 0; }\n");
    link(&[text(&main), "-Dread=read_"]).success();
    assert!(!beside(&dir.join("out")).exists());
    let notes = run(Command::new("readelf").args(["-lW", text(&dir.join("out"))]));
    notes.out_has("ld-indir-x86-64.so.1");
}
