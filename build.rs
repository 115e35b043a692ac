//! Builds the files that the executable embeds and `indir setup` writes.
//!
//! Cargo cannot build them as part of the workspace: it cannot embed another
//! package's cdylib, and a `no_std` binary needs its own panic handler and link arguments, and `panic=abort`. So rustc is
//! called directly, always with the same recipe, whatever the profile is:
//! other optimisation levels change what code the compiler emits (calls
//! through the GOT, for example) and would ship something that was not tested.
//!
//! Shim and binder are built for the machine that `indir` is built for, and for those of
//! `INDIR_TARGETS`. Each takes a rustc with that machine's core library, and GNU ld.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "shim/build/check.rs"]
mod check;
#[path = "shim/build/tools.rs"]
mod tools;

/// A machine that shim and binder can be built for.
struct Machine {
    /// As rustc and `INDIR_TARGETS` call it; its folder in shim/src/arch.
    arch: &'static str,
    /// `e_machine`.
    elf: u16,
    /// The shim's file name.
    shim: &'static str,
    /// The binder's file name.
    binder: &'static str,
    /// Debian's package of the GNU ld for it on other machines.
    package: &'static str,
    /// What its code is generated with.
    code: &'static [&'static str],
}

const MACHINES: [Machine; 2] = [
    Machine {
        arch: "x86_64",
        elf: 62,
        shim: "ld-indir-x86-64.so.1",
        binder: "libindir-bind.so",
        package: "binutils-x86-64-linux-gnu",
        code: &[],
    },
    Machine {
        arch: "aarch64",
        elf: 183,
        shim: "ld-indir-aarch64.so.1",
        binder: "libindir-bind-aarch64.so",
        package: "binutils-aarch64-linux-gnu",
        // A jump table's targets would need a `bti j` each.
        code: &["-Cllvm-args=-aarch64-min-jump-table-entries=1000"],
    },
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=shim");
    println!("cargo::rerun-if-changed=linker-plugin");
    println!("cargo::rerun-if-env-changed=INDIR_TARGETS");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it"));
    plugin(&root, &out);
    let mut built = String::from("&[\n");
    for machine in machines() {
        let recipe = Recipe::new(machine, &root, &out);
        recipe.library();
        recipe.shim();
        recipe.binder();
        let bytes = |name| format!("include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}\"))");
        built.push_str(&format!(
            "    Built {{ machine: {}, shim: {}, binder: {} }},\n",
            machine.elf,
            bytes(machine.shim),
            bytes(machine.binder)
        ));
    }
    built.push_str("]\n");
    fs::write(out.join("built.rs"), built).expect("OUT_DIR can be written");
}

/// The architecture that `indir` itself is built for.
fn own_arch() -> String {
    env::var("CARGO_CFG_TARGET_ARCH").expect("cargo sets it")
}

/// Our own machine and those of `INDIR_TARGETS`, in the order of [`MACHINES`].
fn machines() -> Vec<&'static Machine> {
    let told = env::var("INDIR_TARGETS").unwrap_or_default();
    let own = own_arch();
    let mut wanted: Vec<&str> = told.split(',').filter(|name| !name.is_empty()).collect();
    wanted.push(&own);
    for name in &wanted {
        assert!(
            MACHINES.iter().any(|machine| machine.arch == *name),
            "INDIR_TARGETS: there are shims for x86_64 and aarch64, not for `{name}`"
        );
    }
    let machines = MACHINES.iter();
    machines
        .filter(|machine| wanted.contains(&machine.arch))
        .collect()
}

/// `rustc` with what makes the output independent of the folder that it is
/// built in.
fn rustc(program: &Path, root: &Path, target: &str) -> Command {
    let mut command = Command::new(program);
    command
        .current_dir(root)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .args(["--edition=2024", "--cap-lints=allow"])
        .args(["-Cpanic=abort", "-Ccodegen-units=1", "-Cstrip=symbols"])
        .arg("--remap-path-prefix")
        .arg(format!("{}=.", root.display()))
        .args(["--target", target]);
    command
}

/// The compiler that cargo uses, and what it compiles `indir` for.
fn own_rustc() -> (PathBuf, String) {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    (rustc.into(), env::var("TARGET").expect("cargo sets TARGET"))
}

fn run(command: &mut Command, what: &str) {
    let program = command.get_program().to_owned();
    let status = command
        .status()
        .unwrap_or_else(|e| panic!("{what}: cannot run {}: {e}", program.display()));
    assert!(status.success(), "{what}: {} failed", program.display());
}

/// linker-plugin/, which has no dependencies. The workspace member is the same
/// source, there to be checked.
fn plugin(root: &Path, out: &Path) {
    let (program, target) = own_rustc();
    run(
        rustc(&program, root, &target)
            .args(["--crate-name=indir_ld_plugin", "--crate-type=cdylib"])
            .args(["-Copt-level=s", "-Clto=fat"])
            .arg("linker-plugin/src/lib.rs")
            .arg("-o")
            .arg(out.join("libindir-ld-plugin.so")),
        "linker plugin",
    );
}

/// What both freestanding artefacts are compiled with.
const FREESTANDING: [&str; 5] = [
    "-Copt-level=z",
    // Small functions cost less where they are called than a call does, in bytes too.
    "-Cllvm-args=-inline-threshold=20",
    "-Crelocation-model=pie",
    "-Cforce-unwind-tables=no",
    "-Cdebuginfo=0",
];

/// How both are linked. GNU ld everywhere, without a compiler in front of it: the same
/// bytes, whichever linker that one would choose, and on another machine too.
const LINK: [&str; 9] = [
    "--build-id=sha1",
    "-znorelro",
    "-znow",
    "-znoexecstack",
    "--hash-style=gnu",
    "--no-eh-frame-hdr",
    "--gc-sections",
    "--strip-all",
    "-o",
];

/// How the artefacts of one machine are built.
struct Recipe<'a> {
    machine: &'static Machine,
    rustc: PathBuf,
    target: String,
    ld: String,
    root: &'a Path,
    out: &'a Path,
}

impl<'a> Recipe<'a> {
    fn new(machine: &'static Machine, root: &'a Path, out: &'a Path) -> Self {
        let (rustc, target) = tools::compiler(machine, root);
        Self {
            machine,
            rustc,
            target,
            ld: tools::linker(machine),
            root,
            out,
        }
    }

    fn rustc(&self) -> Command {
        let mut command = rustc(&self.rustc, self.root, &self.target);
        command.args(FREESTANDING).args(self.machine.code);
        command
    }

    /// A place for what is built on the way.
    fn part(&self, name: &str) -> PathBuf {
        self.out.join(format!("{}-{name}", self.machine.arch))
    }

    /// The shim crate as a freestanding rlib.
    fn library(&self) {
        let folder = self.part("library");
        fs::create_dir_all(&folder).expect("OUT_DIR can be written");
        run(
            self.rustc()
                .args(["--crate-name=indir_shim", "--crate-type=rlib"])
                .arg("shim/src/lib.rs")
                .arg("-o")
                .arg(folder.join("libindir_shim.rlib")),
            "shim library",
        );
    }

    /// Compiles `source` with the library into one object, and links that.
    fn link(&self, what: &str, source: &str, model: &str, arguments: &[&str], file: &Path) {
        let archive = self.part(what);
        let library = self.part("library").join("libindir_shim.rlib");
        run(
            self.rustc()
                .args(["--crate-type=staticlib", "-Clto=fat", model])
                .arg(format!("--crate-name=start_{what}"))
                .arg(source)
                .arg("--extern")
                .arg(format!("indir_shim={}", library.display()))
                .arg("-o")
                .arg(&archive),
            what,
        );
        run(
            Command::new(&self.ld)
                .current_dir(self.root)
                .args(arguments)
                .args(LINK)
                .arg(file)
                .arg(&archive),
            what,
        );
        fs::remove_file(archive).expect("rustc wrote it");
    }

    /// The shim: a static PIE without relocations.
    fn shim(&self) {
        let file = self.out.join(self.machine.shim);
        let script = format!("-Tshim/src/arch/{}/shim.ld", self.machine.arch);
        let arguments = [
            "-static",
            "-pie",
            "--no-dynamic-linker",
            "-ztext",
            &script,
            "--export-dynamic-symbol=_dl_debug_state",
            "--no-undefined",
        ];
        let model = "-Crelocation-model=pie";
        self.link("shim", "shim/start/interp.rs", model, &arguments, &file);
        check::close_gap(&file);
        check::check(&file, self.machine, "shim", &[]);
        // A linker that did not know where it begins would have left the rest out.
        let bytes = fs::read(&file).expect("ld wrote the shim");
        let constant = b"/proc/self/exe";
        assert!(
            bytes.windows(constant.len()).any(|part| part == constant),
            "the shim has lost its code"
        );
    }

    /// The binder: a library whose only relocations are the address of `_r_debug`
    /// and the IFUNC that starts it.
    fn binder(&self) {
        let file = self.out.join(self.machine.binder);
        let soname = format!("-soname={}", self.machine.binder);
        let arguments = [
            "-shared",
            &soname,
            // Constants and code in one segment.
            "-znoseparate-code",
            "--undefined=indir_trigger",
            "-zundefs",
        ];
        let model = "-Crelocation-model=pic";
        self.link("binder", "shim/start/bind.rs", model, &arguments, &file);
        check::check(&file, self.machine, "binder", &[b"_r_debug\0"]);
    }
}
