//! What the shim does with a table that is missing, damaged or another's: one line
//! that names the file, the reason and the command that mends it, exit code 127.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;
use indir::place::Place;
use indir::table::TableSpec;
use indir_shim::format::layout::MAX_TABLE;

use crate::support::program::{
    indirect, no_table, refused, refused_then_updated, refused_without_table, table_line, table_of,
    update,
};
use crate::support::{Ran, Scratch, indir, need, run};

pub(crate) const HELLO: &str = "#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }";

/// A program with its table.
pub(crate) struct Program {
    pub(crate) dir: Scratch,
    pub(crate) exe: PathBuf,
    pub(crate) table: PathBuf,
    bytes: Vec<u8>,
}

impl Program {
    pub(crate) fn new() -> Self {
        let dir = Scratch::new();
        let exe = indirect(&dir.join("hello.c"), HELLO, &[]);
        refused_then_updated(&exe, &[]);
        let table = table_of(&exe);
        let bytes = std::fs::read(&table).unwrap();
        Self {
            dir,
            exe,
            table,
            bytes,
        }
    }

    pub(crate) fn run(&self) -> Ran {
        run(&mut Command::new(&self.exe))
    }

    /// The program is refused with this table and this reason.
    #[track_caller]
    pub(crate) fn unusable(&self, table: &[u8], reason: &str) {
        std::fs::write(&self.table, table).unwrap();
        let what = format!("the table is unusable: {reason}");
        refused(&self.run(), &table_line(&self.exe, &what));
    }

    /// Puts the good table back; the program runs.
    #[track_caller]
    pub(crate) fn mended(&self) {
        std::fs::write(&self.table, &self.bytes).unwrap();
        self.run().success().prints("hello\n");
    }

    /// Writes a table by hand that names `ldso` and no library.
    pub(crate) fn with_ldso(&self, ldso: &Path) -> Ran {
        let map = MappedElf::open(&self.exe).unwrap();
        let place = Place::of(&self.exe, &map.elf().unwrap().notes()).unwrap();
        let spec = TableSpec {
            exe_id: place.id,
            ldso: ldso.to_owned(),
            ..TableSpec::default()
        };
        std::fs::write(&self.table, spec.to_bytes().unwrap()).unwrap();
        self.run()
    }
}

/// The process ended by itself.
#[track_caller]
pub(crate) fn no_signal(ran: &Ran) {
    assert_eq!(ran.output.status.signal(), None, "{ran}");
}

#[test]
fn a_missing_or_empty_table() {
    let program = Program::new();
    std::fs::remove_file(&program.table).unwrap();
    refused_without_table(&program.exe);
    std::fs::remove_dir(program.table.parent().unwrap()).unwrap();
    refused(&program.run(), &no_table(&program.exe));
    std::fs::create_dir(program.table.parent().unwrap()).unwrap();
    program.unusable(b"", "the table is empty");
    // The command of the message mends it, once told that nothing is lost.
    std::fs::remove_file(&program.table).unwrap();
    update(&program.exe, &[]);
    program.run().success();
}

#[test]
fn a_table_truncated_at_every_length() {
    let program = Program::new();
    for len in 1..program.bytes.len() {
        program.unusable(&program.bytes[..len], "the table is truncated");
    }
    program.mended();
    let mut longer = program.bytes.clone();
    longer.push(0);
    program.unusable(&longer, "the table is corrupt");
    program.unusable(&vec![0; MAX_TABLE + 1], "the table is too large");
}

#[test]
fn any_byte_of_a_table_may_be_wrong() {
    let program = Program::new();
    for at in 0..program.bytes.len() {
        for mask in [0x01, 0x80] {
            let mut table = program.bytes.clone();
            table[at] ^= mask;
            std::fs::write(&program.table, &table).unwrap();
            let ran = program.run();
            no_signal(&ran);
            match ran.code() {
                // Not every byte matters to a start.
                Some(0) => ran.prints("hello\n"),
                // The shim's line, or ld.so's own.
                Some(127 | 1) => ran.err_is_one_line(),
                _ => panic!("byte {at} ^ {mask:#x}: {ran}"),
            };
        }
    }
    program.mended();
}

#[test]
fn tables_of_another_kind() {
    let program = Program::new();
    let changed = |at: usize, bytes: &[u8]| {
        let mut table = program.bytes.clone();
        table[at..at + bytes.len()].copy_from_slice(bytes);
        table
    };
    program.unusable(&changed(0, b"X"), "the file is not a table");
    program.unusable(HELLO.as_bytes(), "the file is not a table");
    program.unusable(&changed(8, &[1, 0]), "the table has another format version");
    program.unusable(
        &changed(14, &[183, 0]),
        "the table is for another architecture",
    );
    // Where the strings are said to be outside.
    program.unusable(&changed(10, &[0xff, 0xff]), "the table is corrupt");

    let other = indirect(
        &program.dir.join("other/other.c"),
        "int main(void) { return 0; }",
        &[],
    );
    update(&other, &[]);
    let foreign = std::fs::read(table_of(&other)).unwrap();
    program.unusable(&foreign, "it is for another executable");
    // Nor is it passed over in a folder of tables.
    let tables = program.dir.dir("tables");
    let id = program.table.file_name().unwrap();
    std::fs::copy(table_of(&other), tables.join(id)).unwrap();
    run(Command::new(&program.exe).env("INDIR_TABLES", &tables))
        .exits(127)
        .err_is_one_line()
        .err_has("it is for another executable");
    program.mended();
}

#[test]
fn a_folder_or_an_unreadable_file_in_place_of_the_table() {
    let program = Program::new();
    std::fs::remove_file(&program.table).unwrap();
    std::fs::create_dir(&program.table).unwrap();
    let line = table_line(
        &program.exe,
        "the table does not count: it is not a regular file",
    );
    refused(&program.run(), &line);
    std::fs::remove_dir(&program.table).unwrap();
    std::os::unix::fs::symlink(&program.table, &program.table).unwrap();
    let line = table_line(
        &program.exe,
        "the table cannot be read: too many symbolic links",
    );
    refused(&program.run(), &line);
}

#[test]
fn a_table_that_the_user_may_not_read() {
    // Root reads everything, so another user has to try.
    assert!(
        nix::unistd::Uid::effective().is_root(),
        "this test has to be root to become another user"
    );
    let setpriv = need("setpriv", "util-linux");
    let dir = tempfile::Builder::new()
        .prefix("indir-")
        .tempdir_in("/var/tmp")
        .unwrap();
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap()
    };
    mode(dir.path(), 0o755);
    run(indir()
        .arg("setup")
        .arg("--prefix")
        .arg(dir.path().join("prefix")))
    .success();
    let b = format!("-B{}", dir.path().join("prefix/libexec/indir").display());
    let exe = crate::support::program::indirect_with(&b, &dir.path().join("hello.c"), HELLO, &[]);
    update(&exe, &[]);
    let as_nobody = || {
        run(Command::new(&setpriv)
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&exe))
    };
    as_nobody().success().prints("hello\n");
    mode(&table_of(&exe), 0o600);
    let line = table_line(&exe, "the table cannot be read: permission denied");
    refused(&as_nobody(), &line);
    run(&mut Command::new(&exe)).success();
    // The program itself may be for execution only.
    mode(&table_of(&exe), 0o644);
    mode(&exe, 0o711);
    as_nobody().success().prints("hello\n");
}
