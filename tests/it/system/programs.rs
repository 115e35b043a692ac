//! Programs that load while they run: each does real work as an ordinary program,
//! and, adopted, by direct and bound tables on the system's glibc and on others,
//! and says the same every time.
//!
//! A case is a script, `tests/programs/NAME.sh`, with directives in its comments:
//!
//! | directive | |
//! |---|---|
//! | `packages: …` | Debian packages that it needs |
//! | `adopt: …` | executables that it calls as `$BIN/NAME` |
//! | `build: …` | a command that makes one more of these, in a folder with the sources |
//! | `plugins: …` | their `--plugin-dir` |
//! | `link: TARGET NAME` | a symlink beside `$BIN` |
//! | `except: …` | libraries that a plugin's own DT_RUNPATH may lead to (docs/plugins.md) |
//!
//! The script runs in a new folder, `$WORK`. To descriptor 3 it writes what its
//! processes have mapped: whatever is in one of the table's folders must come
//! from there.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{Ran, Scratch, debian_lib, glibc_lib, indir, run, shim};

/// Longest run of a script, in seconds.
const LIMIT: &str = "240";

/// The libraries of one configuration: builds of glibc and of everything else.
const LIBRARIES: [(&str, &str); 4] = [
    ("libssl3", "libssl.so.3"),
    ("libcurl4", "libcurl.so.4"),
    ("libexpat1", "libexpat.so.1"),
    ("libxml2", "libxml2.so.2"),
];

/// A script and what its directives say.
struct Case {
    script: PathBuf,
    text: String,
}

impl Case {
    fn new(name: &str) -> Self {
        let script = programs().join(format!("{name}.sh"));
        let text = fs::read_to_string(&script).unwrap();
        Self { script, text }
    }

    fn words(&self, directive: &str) -> Vec<&str> {
        let prefix = format!("# {directive}: ");
        let lines = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix(&prefix));
        lines.flat_map(str::split_whitespace).collect()
    }

    /// The executables, which must be there.
    fn executables(&self, dir: &Scratch) -> Vec<PathBuf> {
        let adopt = self.words("adopt").into_iter().map(PathBuf::from);
        let mut all: Vec<PathBuf> = adopt.collect();
        let build = self.words("build").join(" ");
        if !build.is_empty() {
            let folder = dir.dir("build");
            for source in fs::read_dir(programs()).unwrap().flatten() {
                fs::copy(source.path(), folder.join(source.file_name())).unwrap();
            }
            let before = fs::read_dir(&folder).unwrap().count();
            let ran = run(Command::new("sh")
                .arg("-c")
                .arg(&build)
                .current_dir(&folder));
            assert!(ran.code() == Some(0), "{}: {ran}", self.hint());
            assert_eq!(fs::read_dir(&folder).unwrap().count(), before + 1);
            all.push(folder.join("show"));
        }
        for exe in &all {
            assert!(
                exe.exists(),
                "{} is missing: {}",
                exe.display(),
                self.hint()
            );
        }
        all
    }

    fn hint(&self) -> String {
        format!("apt-get install {}", self.words("packages").join(" "))
    }

    /// Runs the script with the programs of `root`; what it wrote to descriptor 3
    /// comes second.
    fn run(&self, dir: &Scratch, root: &Path) -> (Ran, String) {
        let work = dir.dir("work");
        let maps = dir.file("maps", "");
        let mut command = Command::new("timeout");
        command
            .args(["-k", "5", LIMIT, "bash", "-euc", "exec 3>>\"$0\"; . \"$1\""])
            .arg(&maps)
            .arg(&self.script)
            .current_dir(&work)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", &work)
            .env("TMPDIR", "/tmp")
            .env("LC_ALL", "C.UTF-8")
            .env("BIN", root.join("bin"))
            .env("WORK", &work);
        let ran = run(&mut command);
        let mapped = fs::read_to_string(&maps).unwrap();
        fs::remove_dir_all(&work).unwrap();
        (ran, mapped)
    }
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs")
}

/// `--lib-dir`s of a configuration.
fn folders(glibc: &str, others: &str) -> Vec<PathBuf> {
    let other = |(package, soname)| {
        let lib = debian_lib(package, others, soname);
        lib.parent().unwrap().to_owned()
    };
    let others = LIBRARIES.into_iter().map(other);
    std::iter::once(glibc_lib(glibc)).chain(others).collect()
}

/// Every mapped library whose name is in one of `folders` comes from there.
fn assert_from(folders: &[PathBuf], mapped: &str, except: &[&str], what: &str) {
    if mapped.is_empty() || folders.is_empty() {
        return;
    }
    // What is mapped for execution: a debugger reads libraries of others, too.
    let code = mapped.lines().filter(|line| line.contains(" r-xp "));
    let paths = code.filter_map(|line| line.split_once(" /"));
    let paths = paths.map(|(_, path)| Path::new("/").join(path));
    let mut from_folders = 0;
    for path in paths {
        let Some(name) = path.file_name() else {
            continue;
        };
        let name = name.to_string_lossy();
        if except.iter().any(|except| name.starts_with(except)) || !name.contains(".so") {
            continue;
        }
        // By the name of the file behind the soname.
        let Some(folder) = folders.iter().find(|folder| folder.join(&*name).exists()) else {
            continue;
        };
        let wanted = fs::canonicalize(folder.join(&*name)).unwrap();
        assert_eq!(
            path, wanted,
            "{what}: not from the table's folder\n{mapped}"
        );
        from_folders += 1;
    }
    assert!(
        from_folders > 0,
        "{what}: no library of {folders:?} in\n{mapped}"
    );
}

fn check(name: &str) {
    let case = Case::new(name);
    let dir = Scratch::new();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let executables = case.executables(&dir);
    let (ordinary, indirect) = (dir.join("ordinary"), dir.join("indirect"));
    let link = case.words("link");
    for root in [&ordinary, &indirect] {
        fs::create_dir_all(root.join("bin")).unwrap();
        if let [target, name] = link.as_slice() {
            symlink(target, root.join(name)).unwrap();
        }
    }
    for exe in &executables {
        let place = ordinary.join("bin").join(exe.file_name().unwrap());
        symlink(exe, place).unwrap();
    }
    let (wanted, mapped) = case.run(&dir, &ordinary);
    assert!(
        wanted.code() == Some(0) && !wanted.stdout().is_empty(),
        "the ordinary programs fail: {}: {wanted}",
        case.hint()
    );
    let dumps = !mapped.is_empty();

    let bin = indirect.join("bin");
    let mut adopt = indir();
    adopt.args(["adopt", "--indir-shim"]).arg(shim());
    for folder in case.words("plugins") {
        adopt.args(["--plugin-dir", folder]);
    }
    run(adopt.arg("-o").arg(&bin).args(&executables)).success();
    let configurations = [
        ("direct", None),
        ("bound", None),
        ("direct", Some(("trixie", "old"))),
        ("bound", Some(("sid", "new"))),
    ];
    for (plan, builds) in configurations {
        let what = format!("{name}, {plan}, {builds:?}");
        let folders = builds.map_or_else(Vec::new, |(glibc, others)| folders(glibc, others));
        let mut update = indir();
        update.arg("update").arg(&bin).args(["--plan", plan]);
        for folder in &folders {
            update.arg("--lib-dir").arg(folder);
        }
        run(&mut update).success();
        let (ran, mapped) = case.run(&dir, &indirect);
        assert!(
            ran.code() == Some(0) && ran.stdout() == wanted.stdout(),
            "{what}: differs\nordinary: {wanted}\nindirect: {ran}"
        );
        assert_eq!(
            dumps,
            !mapped.is_empty(),
            "{what}: what is mapped is not told"
        );
        assert_from(&folders, &mapped, &case.words("except"), &what);
    }
}

/// One test for each case.
macro_rules! cases {
    ($($name:ident,)*) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

cases! {
    bash,
    clang,
    data,
    gcc,
    gdb,
    git,
    gtk,
    java,
    lua,
    nginx,
    node,
    perl,
    php,
    postgresql,
    python3,
    qt,
    ruby,
    sqlite3,
    vim,
}

#[test]
fn every_script_is_a_case() {
    let files = fs::read_dir(programs()).unwrap().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let mut scripts: Vec<String> = names
        .filter_map(|name| Some(name.strip_suffix(".sh")?.to_owned()))
        .collect();
    scripts.sort();
    assert_eq!(scripts, NAMES);
}
