//! Programs that are really compiled, linked through `indir-ld` and started
//! through the shim, each beside its ordinary twin.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use indir::elf::MappedElf;
use indir::place::Place;
use indir_shim::quote;

use super::{Ran, Scratch, b_flag, cc, cxx, indir, run};

/// Compiles and links `source`, C or C++ by the extension of `file`, with
/// nothing of indir; `args` come after the source. Returns the path.
pub(crate) fn ordinary(file: &Path, source: &str, args: &[&str]) -> PathBuf {
    compile(file, source, args, &[])
}

/// The same through `indir-ld`, and sealed, so that the program does not start before
/// [`update`].
pub(crate) fn indirect(file: &Path, source: &str, args: &[&str]) -> PathBuf {
    indirect_with(&b_flag(), file, source, args)
}

/// The same with the `-B…` of another prefix.
pub(crate) fn indirect_with(b_flag: &str, file: &Path, source: &str, args: &[&str]) -> PathBuf {
    let exe = linked_with(b_flag, file, source, args);
    run(indir().arg("seal").arg(&exe)).success();
    exe
}

/// The same through `indir-ld` and no more: an ordinary program until it has a table.
pub(crate) fn linked(file: &Path, source: &str, args: &[&str]) -> PathBuf {
    linked_with(&b_flag(), file, source, args)
}

/// The same with the `-B…` of another prefix.
pub(crate) fn linked_with(b_flag: &str, file: &Path, source: &str, args: &[&str]) -> PathBuf {
    compile(file, source, args, &[b_flag])
}

/// A shared library without DT_SONAME unless `args` ask for one.
pub(crate) fn shared(file: &Path, source: &str, args: &[&str]) -> PathBuf {
    compile(file, source, args, &["-shared", "-fPIC"])
}

/// `file` is the source's name; the output is the same without the extension.
fn compile(file: &Path, source: &str, args: &[&str], first: &[&str]) -> PathBuf {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, source).unwrap();
    let output = file.with_extension("");
    let mut all: Vec<OsString> = first.iter().map(OsString::from).collect();
    all.extend(["-g".into(), "-o".into(), output.clone().into(), file.into()]);
    all.extend(args.iter().map(OsString::from));
    if file.extension().is_some_and(|extension| extension == "cc") {
        cxx(all);
    } else {
        cc(all);
    }
    output
}

/// Where the table of `exe` lies.
pub(crate) fn table_of(exe: &Path) -> PathBuf {
    let map = MappedElf::open(exe).unwrap();
    let place = Place::of(exe, &map.elf().unwrap().notes());
    place.unwrap().path
}

/// `indir update EXE ARGS…`, which must succeed.
#[track_caller]
pub(crate) fn update(exe: &Path, args: &[&str]) {
    run(indir().arg("update").arg(exe).args(args)).success();
}

/// Asserts that `exe` does not start without its table, with the exact line,
/// and updates it: what runs then runs by the table.
#[track_caller]
pub(crate) fn refused_then_updated(exe: &Path, args: &[&str]) {
    refused_without_table(exe);
    update(exe, args);
}

/// Asserts that `exe` does not start for want of its table.
#[track_caller]
pub(crate) fn refused_without_table(exe: &Path) {
    refused(&run(&mut Command::new(exe)), &no_table(exe));
}

/// Asserts exit code 127 and exactly this line on stderr.
#[track_caller]
pub(crate) fn refused(ran: &Ran, line: &str) {
    ran.exits(127).prints("");
    assert!(
        ran.stderr() == format!("{line}\n"),
        "expected the line {line:?}: {ran}"
    );
}

/// The line for a table that is missing.
pub(crate) fn no_table(exe: &Path) -> String {
    table_line(exe, "the table cannot be read: no such file")
}

/// The shim's line about the table of `exe`.
pub(crate) fn table_line(exe: &Path, what: &str) -> String {
    let shown = |path: &Path| {
        let mut out = Vec::new();
        quote::shown(path.as_os_str().as_bytes(), |part| out.extend(part));
        String::from_utf8_lossy(&out).into_owned()
    };
    let mut word = Vec::new();
    quote::shell(exe.as_os_str().as_bytes(), |part| word.extend(part));
    format!(
        "indir: {}: {what} (table {}); run `indir update {}`",
        shown(exe),
        shown(&table_of(exe)),
        String::from_utf8_lossy(&word)
    )
}

/// A program and its ordinary twin, which finds the libraries of `folder`
/// through DT_RUNPATH; the indirect one is updated with `--lib-dir`.
pub(crate) struct Twins {
    /// Linked through `indir-ld`, its table written.
    pub(crate) indirect: PathBuf,
    /// A copy of it with a bound plan.
    pub(crate) bound: PathBuf,
    /// Linked without.
    pub(crate) ordinary: PathBuf,
}

impl Twins {
    /// Builds both from `source` in folders of their own; `name` has the
    /// extension `.c` or `.cc`.
    #[track_caller]
    pub(crate) fn new(dir: &Scratch, name: &str, source: &str, args: &[&str]) -> Self {
        Self::with_libraries(dir, name, source, args, None)
    }

    /// The same with the libraries of `folder`.
    #[track_caller]
    pub(crate) fn with_libraries(
        dir: &Scratch,
        name: &str,
        source: &str,
        args: &[&str],
        folder: Option<&Path>,
    ) -> Self {
        let folder = folder.map(|folder| folder.to_str().unwrap().to_owned());
        let mut own: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        own.extend(folder.iter().map(|folder| format!("-L{folder}")));
        let mut rpath = own.clone();
        rpath.extend(folder.iter().map(|folder| format!("-Wl,-rpath,{folder}")));
        let own: Vec<&str> = own.iter().map(String::as_str).collect();
        let rpath: Vec<&str> = rpath.iter().map(String::as_str).collect();
        let indirect = indirect(&dir.join("indirect").join(name), source, &own);
        let bound = dir.dir("bound").join(indirect.file_name().unwrap());
        std::fs::copy(&indirect, &bound).unwrap();
        let mut inputs: Vec<&str> = Vec::new();
        if let Some(folder) = &folder {
            inputs.extend(["--lib-dir", folder]);
        }
        refused_then_updated(&indirect, &inputs);
        inputs.extend(["--plan", "bound"]);
        refused_then_updated(&bound, &inputs);
        Self {
            indirect,
            bound,
            ordinary: ordinary(&dir.join("ordinary").join(name), source, &rpath),
        }
    }

    /// Runs all with `args`; they must end alike and print the same. Returns
    /// what the indirect one did.
    #[track_caller]
    pub(crate) fn agree(&self, args: &[&str]) -> Ran {
        let ordinary = run(Command::new(&self.ordinary).args(args));
        let agrees = |exe: &Path| {
            let ran = run(Command::new(exe).args(args));
            assert!(
                ordinary.code() == ran.code()
                    && ordinary.stdout() == ran.stdout()
                    && ordinary.stderr() == ran.stderr(),
                "the twins differ\nordinary: {ordinary}\nindirect: {ran}"
            );
            ran
        };
        agrees(&self.bound);
        agrees(&self.indirect)
    }
}
